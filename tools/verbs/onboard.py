"""The verb `onboard`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tools.program import INTERRUPTED
from tools.verbs.shared import (
    POWER_UP_CODES,
    Port,
    end,
    finite,
    new_verb,
    say,
    secret_of,
)

verb = new_verb()
_PASSWORD = "FIRSTBOOT_WIFI_PASSWORD"


@verb.command(epilog=POWER_UP_CODES)
def onboard(
    port: Port = None,
    ssid: Annotated[
        str | None, typer.Option(help="The Wi-Fi network to join.", show_default=False)
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"The file that its password is in, alone; - is standard input. Without it the"
            f" password is what {_PASSWORD} in the environment says, or asked for.",
            show_default=False,
        ),
    ] = None,
    is_open: Annotated[bool, typer.Option("--open", help="The network has no password.")] = False,
    networks: Annotated[
        bool, typer.Option("--networks", help="Only list the networks that the board hears.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(min=0, callback=finite, help="Seconds until it has to be provisioned."),
    ] = 120,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON; the rest goes to stderr.")
    ] = False,
) -> None:
    """Tell a board its Wi-Fi by cable, and see it provisioned.

    The board is asked as a browser at its USB port asks it, by the Improv standard. It answers
    where its config.json has `onboarding`, while it has no Wi-Fi or its access point is open.
    A password is never taken from the command line, which other users of this computer see.

    Example: python3 -m tools onboard --port /dev/ttyUSB0 --ssid "my network"
    """
    from tools.flash.errors import FlashingError
    from tools.flash.ports import choose
    from tools.onboard import Onboarding

    if bool(ssid) == networks:
        raise typer.BadParameter("it is this or --networks, which lists them", param_hint="--ssid")
    if ssid and not 1 <= len(ssid.encode()) <= 32:
        raise typer.BadParameter("it has more than 32 bytes", param_hint="--ssid")
    try:
        (at,) = choose([port] if port else [], False)
        password = "" if networks or is_open else _password(ssid, password_file)
        with Onboarding(at, say, lambda line: say(f"board │ {line}")) as onboarding:
            result = onboarding.join(ssid, password, timeout) if ssid else onboarding.scan()
    except typer.Abort:
        end("", INTERRUPTED)
    except FlashingError as error:
        end(str(error), error.exit_code)
    if as_json:
        typer.echo(json.dumps(result.fields(), ensure_ascii=False))
    elif networks:
        for name, dbm, needs_password in result.networks:
            typer.echo(f"{dbm:>4} dBm  {'' if needs_password == 'YES' else 'open  '}{name}")
    else:
        typer.echo(result.result + (f": {result.url}" if result.url else ""))
    if result.detail:
        say(result.detail)
    raise typer.Exit(result.exit_code)


def _password(ssid: str, file: Path | None) -> str:
    given = secret_of(os.environ.get(_PASSWORD), file, "--password-file")
    if given is None:
        if not sys.stdin.isatty():
            raise typer.BadParameter(
                f"a file, {_PASSWORD} or --open has to say it", param_hint="--password-file"
            )
        given = typer.prompt(
            f'Password of "{ssid}"', hide_input=True, default="", show_default=False, err=True
        )
    if given and not 8 <= len(given.encode()) <= 64:
        raise typer.BadParameter(
            "a Wi-Fi password has 8 to 64 characters", param_hint="--password-file"
        )
    return given
