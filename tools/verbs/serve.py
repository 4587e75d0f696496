"""The verb `serve`."""

from __future__ import annotations

import errno
import re
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
    finite,
    new_verb,
    say,
    secret_of,
    text_in,
)

verb = new_verb()


class Strategy(str, Enum):
    create = "create"
    preprovisioned = "preprovisioned"


class Transport(str, Enum):
    default = "DEFAULT"
    coap = "COAP"
    mqtt = "MQTT"


class Payload(str, Enum):
    json = "JSON"
    protobuf = "PROTOBUF"


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
    transport: Annotated[
        Transport,
        typer.Option(
            help="The profile's; with MQTT all that its devices ask is answered with 5.00."
        ),
    ] = Transport.default,
    payload_type: Annotated[
        Payload, typer.Option(help="The profile's; with PROTOBUF telemetry in JSON gets 4.00.")
    ] = Payload.json,
    psm_activity_timer: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=finite,
            help="For a profile with power saving (PSM): seconds after its last word in which a"
            " device is told things.",
            show_default=False,
        ),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            metavar="N:SECONDS",
            help="How much telemetry of a device is taken in so many seconds; more gets 5.00.",
            show_default=False,
        ),
    ] = None,
    delay: Annotated[
        float,
        typer.Option(
            min=0,
            callback=finite,
            help="Seconds before each reply; above 0.5 it comes separately.",
        ),
    ] = 0.0,
    first_reply_after: Annotated[
        float,
        typer.Option(
            min=0,
            callback=finite,
            help="Seconds to the first reply after the start, which then comes separately; from a"
            " ThingsBoard, 2 to 4.",
        ),
    ] = 0.0,
    software: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A package that all devices are assigned as software; what `bundle` makes names"
            " its own --title and --version.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Of --software.", show_default=False)] = "",
    version: Annotated[str, typer.Option(help="Of --software.", show_default=False)] = "",
    script: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the operator does: a file of commands, one a line; 'help' in the console"
            " lists them.",
            show_default=False,
        ),
    ] = None,
    console: Annotated[
        bool | None,
        typer.Option(
            help="Take the operator's commands from standard input, as it does unless told"
            " otherwise when that is a terminal.",
            show_default=False,
        ),
    ] = None,
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
    inside DTLS, and for what devices send and reply. You are its operator: type 'help'.

    Example: python3 -m tools serve --strategy preprovisioned --device sensor-1

    With --script FILE, where FILE may be:

    \b
      wait for sensor-1 rpc
      call sensor-1 setRelay true
      after 5 s set targetTemperature 21
      after 1 min stop 20 s
      after 10 s token sensor-1
      delete sensor-1
    """
    import sys

    from tools.fake_thingsboard.model import ThingsBoard
    from tools.fake_thingsboard.ota import Package
    from tools.fake_thingsboard.script import CommandError, parse_script, read_package_file
    from tools.fake_thingsboard.serve import serve

    thingsboard = ThingsBoard(
        key=key,
        secret=secret_of(secret, secret_file),
        strategy=strategy.value,
        transport=transport.value,
        payload_type=payload_type.value,
        psm_activity_timer=None if psm_activity_timer is None else round(psm_activity_timer * 1000),
        rate_limit=_rate_limit(rate_limit),
    )
    try:
        for name in device or ():
            thingsboard.add_device(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None
    if software:
        try:
            data = read_package_file(str(software))
        except CommandError as error:
            raise typer.BadParameter(str(error), param_hint="--software") from None
        title, version = _looked_at(data, title, version)
        if not (title and version):
            raise typer.BadParameter(
                "what is no bundle needs --title and --version", param_hint="--software"
            )
        thingsboard.assign_to_all(Package("sw", title, version, data))
    elif title or version:
        raise typer.BadParameter("only with --software", param_hint="--title, --version")
    commands = []
    try:
        if script:
            commands = parse_script(text_in(script, "--script"))
    except CommandError as error:
        raise typer.BadParameter(f"{script}: {error}", param_hint="--script") from None
    if console is None:
        console = sys.stdin is not None and sys.stdin.isatty()
    if port is None:
        port = 5684 if coaps else 5683
    credentials = _credentials(host, coaps, cert, cert_key, new_ca)
    try:
        serve(
            thingsboard,
            host,
            port,
            delay,
            first_reply_after,
            credentials,
            commands,
            sys.stdin if console else (),
            typer.echo,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cert") from None
    except OSError as error:
        fix = "Name an address of this computer with --host"
        if error.errno == errno.EADDRINUSE:
            fix = "End what listens there, or name another --port"
        end(f"Cannot listen on {host} port {port}: {error.strerror or error}. {fix}.")


def _looked_at(data: bytes, title: str, version: str) -> tuple[str, str]:
    """What a package is assigned as, after what boards will say to it is said."""
    from tools.bundle import command
    from tools.bundle.format import BundleError, read

    try:
        bundle = read(data)
    except BundleError as error:
        say(f"warning: boards refuse it as no bundle: {error}")
        return title, version
    said = bundle.title, bundle.version
    named = title or said[0], version or said[1]
    say(f"{' '.join(said)}, {len(data):,} bytes, for {command.needs(bundle)}")
    if named != said:
        say(f"warning: it is assigned as {' '.join(named)}, and boards refuse it as another")
    if bundle.signature is None:
        say("It is not signed: boards with `update.key` in config.json refuse it.")
    return named


def _rate_limit(text: str | None) -> tuple[int, int] | None:
    """How many messages in how many ms, of what ThingsBoard writes `3:20`."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not like 3:20", param_hint="--rate-limit")
    return int(match[1]), int(match[2]) * 1000


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

    if (
        new_ca.exists()
        and b"BEGIN CERTIFICATE" not in existing_file(new_ca, "--new-ca").read_bytes()
    ):
        raise typer.BadParameter(
            f"{new_ca} is there and is no certificate: name another file", param_hint="--new-ca"
        )
    ca, credentials = new_credentials(host)
    new_ca.write_bytes(ca)
    return credentials
