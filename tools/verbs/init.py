"""The verb `init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.program import INTERRUPTED
from tools.verbs.shared import (
    PLAIN_CODES,
    Secret,
    SecretFile,
    end,
    explained,
    new_verb,
    secret_of,
)

verb = new_verb()


@verb.command(epilog=PLAIN_CODES + "\n  5  bad configuration")
def init(
    config: Annotated[Path, typer.Option(help="The file to write.")] = Path("config.json"),
    ssid: Annotated[
        str | None, typer.Option(help="The Wi-Fi network's name.", show_default=False)
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="FIRSTBOOT_WIFI_PASSWORD",
            help="Its password, empty for an open network; other users of this computer see it.",
            show_default=False,
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="URI", help="ThingsBoard's CoAP server.", show_default=False),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The device profile's provisionDeviceKey.", show_default=False),
    ] = None,
    secret: Secret = None,
    secret_file: SecretFile = None,
    name: Annotated[
        str | None,
        typer.Option(help="deviceName; {id} becomes the board's.", show_default=False),
    ] = None,
    app: Annotated[
        bool | None,
        typer.Option(
            help="Write an app.py that reports a temperature, beside it; one that is there stays."
            " A terminal asks.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a config.json.")] = False,
) -> None:
    """Write a config.json, from five answers or from options.

    The networks in range are offered, and whether the server answers CoAP is looked at. Only you
    can read the file. An application to begin with is written too, if you want.

    Example: python3 -m tools init
    """
    from tools.flash.errors import FlashingError
    from tools.flash.init import init

    given = {
        "ssid": ssid,
        "password": password,
        "server": server,
        "key": key,
        "secret": secret_of(secret, secret_file),
        "name": name,
    }
    try:
        init(config, given, force, app)
    except typer.Abort:
        end("", INTERRUPTED)
    except FlashingError as error:
        end(str(error), error.exit_code)
    except OSError as error:
        end(explained(error))
