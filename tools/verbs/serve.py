"""The verb `serve`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tools.verbs.shared import (
    PLAIN_CODES,
    Secret,
    SecretFile,
    end,
    existing_file,
    new_verb,
    secret_of,
)

verb = new_verb()


class Strategy(str, Enum):
    create = "create"
    preprovisioned = "preprovisioned"


@verb.command(epilog=PLAIN_CODES)
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The UDP port; 0: a free one. 5683 unless named, 5684 with --coaps.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        Strategy, typer.Option(help="The device profile's provision strategy.")
    ] = Strategy.create,
    key: Annotated[str, typer.Option(help="The profile's provisionDeviceKey.")] = "demo-key",
    secret: Secret = "demo-secret",
    secret_file: SecretFile = None,
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A device that is there already; as often as needed."),
    ] = None,
    delay: Annotated[
        float, typer.Option(min=0, help="Seconds before each reply; above 0.5 it comes separately.")
    ] = 0.0,
    first_reply_after: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to the first reply after the start, which then comes separately; from a"
            " ThingsBoard, 2 to 4.",
        ),
    ] = 0.0,
    coaps: Annotated[
        bool, typer.Option("--coaps", help="Speak CoAP over DTLS, with --cert or --new-ca.")
    ] = False,
    cert: Annotated[
        Path | None,
        typer.Option(
            help="The certificate in PEM, with those above it in the same file.",
            show_default=False,
        ),
    ] = None,
    cert_key: Annotated[
        Path | None, typer.Option(help="Its private key in PEM.", show_default=False)
    ] = None,
    new_ca: Annotated[
        Path | None,
        typer.Option(
            help="In place of --cert: make a CA and a certificate for --host, and write the CA's"
            " certificate to this file, for `ca` in config.json.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Be a ThingsBoard to test with, until Ctrl-C.

    It speaks CoAP over UDP and prints a line for each datagram, with --coaps for each that was
    inside DTLS.

    Example: python3 -m tools serve --strategy preprovisioned --device sensor-1
    """
    from tools.fake_thingsboard.model import ThingsBoard
    from tools.fake_thingsboard.serve import serve

    thingsboard = ThingsBoard(
        key=key, secret=secret_of(secret, secret_file), strategy=strategy.value
    )
    try:
        for name in device or ():
            thingsboard.add_device(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None
    if port is None:
        port = 5684 if coaps else 5683
    credentials = _credentials(host, coaps, cert, cert_key, new_ca)
    try:
        serve(thingsboard, host, port, delay, first_reply_after, credentials, typer.echo)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cert") from None
    except OSError as error:
        end(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. "
            "End what listens there, or name another --port."
        )


def _credentials(host, coaps, cert, cert_key, new_ca) -> tuple[bytes, bytes] | None:
    """The certificate and its key, in PEM, that the options name or ask for."""
    if not coaps:
        if cert or cert_key or new_ca:
            raise typer.BadParameter("this is for DTLS", param_hint="--coaps")
        return None
    if cert and cert_key and not new_ca:
        return (
            existing_file(cert, "--cert").read_bytes(),
            existing_file(cert_key, "--cert-key").read_bytes(),
        )
    if not new_ca or cert or cert_key:
        raise typer.BadParameter(
            "name --cert and --cert-key, or --new-ca alone", param_hint="--coaps"
        )
    from tools.fake_thingsboard.serve import new_credentials

    ca, credentials = new_credentials(host)
    new_ca.write_bytes(ca)
    return credentials
