"""Ask what belongs in config.json, check the answers, and write it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from tools import private
from tools.flash import content, ports
from tools.flash.config_file import ConfigError
from tools.flash.doctor import examine_server
from tools.flash.doctor_board import networks_heard
from tools.flash.errors import WRONG_USAGE, FlashingError
from tools.flash.findings import FAILURE
from tools.flash.link import Link
from tools.program import NAME

CLOUD = "coap://coap.thingsboard.cloud"
_CA = "ca.pem"
_FIRST_APP = Path(__file__).with_name("first_app.py")
_OFFERED = 9
_NMCLI = ("nmcli", "--terse", "--fields", "SSID", "device", "wifi", "list")


def init(
    path: Path, given: dict[str, str | None], replace: bool, with_app: bool | None = None
) -> None:
    """Write a config.json. What is not `given` is asked for in a terminal.

    `given`: ssid, password, server, key, secret and name. `with_app`: whether to write an app.py
    beside it; None: ask. Raises FlashingError.
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

    # Each answer is checked at once, among answers that are good.
    config: dict[str, Any] = {
        "wifi": {"ssid": "network", "password": ""},
        "server": CLOUD,
        "provisioning": {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": "key",
            "provisionDeviceSecret": "secret",
        },
    }

    def keep(place: str, answer: str) -> None:
        section, _, key = place.rpartition(".")
        (config[section] if section else config)[key] = answer
        config.pop("ca", None)
        if config["server"].lower().startswith("coaps:"):
            config["ca"] = _CA
        content.config_for(json.dumps(config).encode(), "0" * 12, name="the options")

    def ask(name: str, place: str, question: str, understand=str, **options) -> None:
        if given[name] is not None or not interactive:
            keep(place, given[name] if given[name] is not None else options.get("default", ""))
            return

        while True:
            try:
                keep(place, understand(typer.prompt(question, **options)))
                return
            except ConfigError as error:
                typer.echo(f"   {'; '.join(error.problems)}")

    offered = [] if given["ssid"] or not interactive else _networks()
    which = "1. The Wi-Fi network's name" + (", or its number" if offered else "")
    ask("ssid", "wifi.ssid", which, lambda answer: _chosen(answer, offered))
    hidden = {"hide_input": True, "default": "", "show_default": False}
    ask("password", "wifi.password", "2. Its password", **hidden)
    question = "3. ThingsBoard's CoAP server, as a URI"
    ask("server", "server", question, _uri, default=CLOUD)
    while not _check(config["server"]) and not given["server"]:
        if typer.confirm("   Take it all the same?"):
            break
        ask("server", "server", question, _uri, default=CLOUD)
    key = "4. provisionDeviceKey, from the device profile's Device provisioning tab"
    ask("key", "provisioning.provisionDeviceKey", key)
    secret = "   provisionDeviceSecret, from the same place"
    ask("secret", "provisioning.provisionDeviceSecret", secret, hide_input=True)
    name = "5. The devices' names; {id} becomes the board's"
    ask("name", "provisioning.deviceName", name, default="sensor-{id}")
    text = json.dumps(config, ensure_ascii=False, indent=2).encode() + b"\n"
    private.replace(path, text)
    typer.echo(f"{path} is written; only you can read it.")
    if "ca" in config:
        typer.echo(f"Put the certificate of the CA that issued the server's beside it, as {_CA}.")
    app = path.with_name("app.py")
    is_there = os.path.lexists(app)
    if with_app is None and interactive and not is_there:
        with_app = typer.confirm(f"Write {app}, too, which reports a temperature?", default=True)
    if with_app and is_there:
        typer.echo(f"{app} is there already, and stays as it is.")
    elif with_app:
        with app.open("xb") as file:
            file.write(_FIRST_APP.read_bytes())
        typer.echo(f"{app} is written: an application to begin with.")
    typer.echo("Next, with a board plugged in:")
    options = "" if str(path) == "config.json" else f" --config {path}"
    options += f" --app {app}" if with_app else ""
    typer.echo(f"  {NAME} flash{options}")
    typer.echo("With --install-micropython behind it, if the board has no MicroPython yet.")


def _networks() -> list[str]:
    heard = list(dict.fromkeys(_of_this_computer() or _of_a_board()))[:_OFFERED]
    for number, name in enumerate(heard, 1):
        typer.echo(f"   {number}  {name}")
    return heard


def _chosen(answer: str, offered: list[str]) -> str:
    if answer.isdecimal() and 0 < int(answer) <= len(offered):
        return offered[int(answer) - 1]
    return answer


def _uri(answer: str) -> str:
    return answer if "://" in answer else f"coap://{answer}"


def _check(server: str) -> bool:
    """Say what the server does; whether nothing is wrong with it."""
    findings = list(examine_server(server))
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
