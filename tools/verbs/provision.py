"""The verb `provision`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tools.verbs.shared import (
    POWER_UP_CODES,
    Secret,
    SecretFile,
    existing_file,
    new_verb,
    say,
    secret_of,
)

verb = new_verb()


@verb.command(epilog=POWER_UP_CODES)
def provision(
    server: Annotated[
        str, typer.Option(metavar="URI", help="coap://host or coap://host:port; coaps over DTLS")
    ],
    key: Annotated[str, typer.Option(help="The device profile's provisionDeviceKey.")],
    secret: Secret = None,
    secret_file: SecretFile = None,
    name: Annotated[
        str | None,
        typer.Option(help="deviceName; without it ThingsBoard chooses one.", show_default=False),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(help="For coaps: the CA's certificate, PEM or DER.", show_default=False),
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="For coaps: take whatever the server shows.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print code, payload and explanation as JSON.")
    ] = False,
) -> None:
    """Provision a device from this computer.

    The client is the one that boards use. The response payload is printed whole, credentials and
    all.

    Example: python3 -m tools provision --server coap://localhost --key K --secret S --name sensor-1
    """
    from tools.provision import provision

    secret = secret_of(secret, secret_file)
    if not secret:
        raise typer.BadParameter("it is missing", param_hint="--secret or --secret-file")
    authorities = existing_file(ca, "--ca").read_bytes() if ca else None
    result = provision(server, key, secret, name, authorities, not no_verify)
    if as_json:
        typer.echo(json.dumps(result._asdict()))
    elif result.payload:
        typer.echo(result.payload)
    if result.explanation:
        say(result.explanation)
    raise typer.Exit(result.exit_code)
