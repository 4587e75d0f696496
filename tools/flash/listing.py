"""Which boards are plugged in."""

from __future__ import annotations

import json

import typer

from tools.flash import drives, ports


def list_boards(asks: bool, as_json: bool) -> None:
    """Print a line a board, or JSON, as USB tells.

    `asks`: boards at their prompt are asked what they are; no program on a board is stopped.
    """
    found = ports.connected()
    texts = ports.ask_all(found) if asks else list(map(str, found))
    lines = [
        {"port": port.device, "serial_number": port.serial_number, "board": text}
        for port, text in zip(found, texts)
    ]
    lines += [
        {
            "port": str(drive),
            "serial_number": "",
            "board": f"{chip} without MicroPython: flash --install-micropython puts it there",
        }
        for drive, chip in drives.find().items()
    ]
    if as_json:
        typer.echo(json.dumps(lines, ensure_ascii=False))
        return
    for line in lines:
        typer.echo(f"{line['port']}  {line['board']}")
    if not lines:
        typer.echo(
            "No board is plugged in, or its USB cable only charges. A Pico W without MicroPython "
            "shows as a drive when BOOTSEL is held while it is plugged in",
            err=True,
        )
