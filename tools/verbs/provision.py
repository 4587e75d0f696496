"""The verb `provision`."""

from __future__ import annotations

import json
import sys
from enum import Enum
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


class AccessToken(str, Enum):
    device = "device"
    server = "server"


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
        typer.Option(help="deviceName; without it 20 random characters.", show_default=False),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(help="For coaps: the CA's certificate, PEM or DER.", show_default=False),
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="For coaps: take whatever the server shows.")
    ] = False,
    access_token: Annotated[
        AccessToken,
        typer.Option(help="Who chooses it: device proposes one, so that none can be lost."),
    ] = AccessToken.device,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print code, payload and explanation as JSON.")
    ] = False,
) -> None:
    """Provision a device from this computer.

    It is done as boards do it. The response payload is printed whole, credentials and all. Until
    then what it takes to go on is kept in the folder NAME.attempt: after Ctrl-C, silence or a
    crash the same command goes on with it.

    Example: python3 -m tools provision --server coap://localhost --key K --secret S --name sensor-1
    """
    from tools.provision import provision

    secret = secret_of(secret, secret_file)
    if not secret:
        raise typer.BadParameter("it is missing", param_hint="--secret or --secret-file")
    if not key:
        raise typer.BadParameter("it is empty", param_hint="--key")

    def show(result) -> None:
        if as_json:
            typer.echo(json.dumps(result._asdict()))
        elif result.payload:
            typer.echo(result.payload)
        sys.stdout.flush()
        if result.explanation:
            say(result.explanation)

    authorities = existing_file(ca, "--ca").read_bytes() if ca else None
    chooses = access_token.value
    raise typer.Exit(
        provision(server, key, secret, name, chooses, show, say, authorities, not no_verify)
    )
