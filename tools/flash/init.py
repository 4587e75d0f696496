"""Ask what belongs in config.json, check the answers, and write it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from tools import private
from tools.flash import content, ports
from tools.flash.doctor import examine_server
from tools.flash.doctor_board import networks_heard
from tools.flash.errors import BAD_CONFIGURATION, WRONG_USAGE, FlashingError
from tools.flash.findings import FAILURE
from tools.flash.link import Link
from tools.program import NAME

CLOUD = "coap://coap.thingsboard.cloud"
_OFFERED = 9
_NMCLI = ("nmcli", "--terse", "--fields", "SSID", "device", "wifi", "list")


def init(path: Path, given: dict[str, str | None], replace: bool) -> None:
    """Write a config.json. What is not `given` is asked for in a terminal.

    `given`: ssid, password, server, key, secret and name. Raises FlashingError.
    """
    if path.exists() and not replace:
        raise FlashingError(
            f"{path} is there already", "Name another --config, or use --force", WRONG_USAGE
        )
    if not path.absolute().parent.is_dir():
        raise FlashingError(
            f"there is no folder {path.parent}", "Make it, or name another --config", WRONG_USAGE
        )
    interactive = sys.stdin.isatty()
    missing = [name for name in ("ssid", "server", "key", "secret") if not given[name]]
    if missing and not interactive:
        raise FlashingError(
            f"{', '.join(f'--{name}' for name in missing)} missing, and there is no terminal to "
            "ask in",
            "Give them as options",
            WRONG_USAGE,
        )

    def ask(name: str, question: str, **options) -> str:
        if given[name] is not None:
            return given[name]
        if not interactive:
            return options.get("default", "")
        return typer.prompt(question, **options)

    ssid = given["ssid"] or _network()
    password = ask("password", "2. Its password", hide_input=True, default="", show_default=False)
    server = given["server"] or _server()
    key = ask("key", "4. provisionDeviceKey, from the device profile's Device provisioning tab")
    secret = ask("secret", "   provisionDeviceSecret, from the same place", hide_input=True)
    name = ask("name", "5. The devices' names; {id} becomes the board's", default="sensor-{id}")
    config = {
        "wifi": {"ssid": ssid, "password": password},
        "server": server,
        "provisioning": {
            "deviceName": name,
            "provisionDeviceKey": key,
            "provisionDeviceSecret": secret,
        },
    }
    text = json.dumps(config, ensure_ascii=False, indent=2).encode() + b"\n"
    content.config_for(text, "0" * 12, name=path)
    if given["server"]:
        _check(server)
    private.replace(path, text)
    typer.echo(f"{path} is written; only you can read it. Next, with a board plugged in:")
    where = "" if str(path) == "config.json" else f" --config {path}"
    typer.echo(f"  {NAME} flash{where}")
    typer.echo("With --install-micropython behind it, if the board has no MicroPython yet.")


def _network() -> str:
    heard = list(dict.fromkeys(_of_this_computer() or _of_a_board()))[:_OFFERED]
    for number, name in enumerate(heard, 1):
        typer.echo(f"   {number}  {name}")
    which = "1. The Wi-Fi network's name" + (", or its number" if heard else "")
    answer = typer.prompt(which)
    if answer.isdecimal() and 0 < int(answer) <= len(heard):
        return heard[int(answer) - 1]
    return answer


def _server() -> str:
    while True:
        server = typer.prompt("3. ThingsBoard's CoAP server, as a URI", default=CLOUD)
        if "://" not in server:
            server = f"coap://{server}"
        if _check(server) or typer.confirm("   Take it all the same?"):
            return server


def _check(server: str) -> bool:
    """Say what the server does; whether nothing is wrong with it."""
    try:
        findings = list(examine_server(server))
    except ValueError as error:
        raise FlashingError(f"{server}: {error}", "Correct it", BAD_CONFIGURATION) from None
    for finding in findings:
        typer.echo(f"   {finding}")
    return not any(finding.level == FAILURE for finding in findings)


def _of_this_computer() -> list[str]:
    if not shutil.which(_NMCLI[0]):
        return []
    try:
        done = subprocess.run(_NMCLI, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.replace("\\:", ":") for line in done.stdout.splitlines() if line]


def _of_a_board(connected: Callable = ports.connected) -> list[str]:
    """What a board at its prompt hears; one that runs a program is left alone."""
    for port in connected():
        try:
            with Link(port.device, may_stop=False, ends_within=30) as link:
                return [name for name in networks_heard(link) if name]
        except FlashingError:
            continue
    return []
