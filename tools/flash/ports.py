"""Which boards to use: named ports, a serial number, all of them, or the only one there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from serial.tools import list_ports

from tools.flash import facts
from tools.flash.errors import WRONG_USAGE, FlashingError
from tools.flash.link import Link
from tools.flash.tables import plain_id

_ID = "id:"


class Port(NamedTuple):
    """A USB serial port, as the computer knows it."""

    device: str
    serial_number: str = ""
    description: str = ""


def connected() -> list[Port]:
    """The USB serial ports; a computer's own serial ports have no board."""
    found = [
        Port(each.device, each.serial_number or "", each.description or "")
        for each in list_ports.comports()
        if each.vid is not None
    ]
    return sorted(found)


def choose(named: list[str], every: bool, available: list[Port] | None = None) -> list[str]:
    """The ports of the boards to use. Raises FlashingError when it is not clear which.

    `named`: ports, or `id:` and a serial number. `every`: all that are there, when none is named.
    """
    if named:
        plain = [each for each in named if not each.startswith(_ID)]
        wanted = [each for each in named if each.startswith(_ID)]
        if wanted:
            ports = connected() if available is None else available
            plain += [_with_id(each, ports) for each in wanted]
        return list(dict.fromkeys(plain))
    ports = connected() if available is None else available
    if not ports:
        raise FlashingError(
            "no board is connected",
            "Plug one in with a USB cable that carries data (many only charge), or name its port "
            "with --port. A Pico W without MicroPython is a USB drive, not a port",
            WRONG_USAGE,
        )
    if every or len(ports) == 1:
        return [port.device for port in ports]
    shown = "".join(f"\n  {port.device}  {text}" for port, text in zip(ports, described(ports)))
    raise FlashingError(
        f"{len(ports)} boards are connected{shown}\nNo program on them was stopped",
        "Name one with --port, or use --all",
        WRONG_USAGE,
    )


def describe(port: Port) -> str:
    """What is at a port: the board there if it is at its prompt, else what USB says of it."""
    try:
        with Link(port.device, may_stop=False) as link:
            return str(facts.ask(link))
    except FlashingError as error:
        text = error.what.removeprefix(port.device + ": ")
        number = f", {_ID}{port.serial_number}" if port.serial_number else ""
        return f"{port.description or 'unknown'}{number}: {text}"


def described(ports: list[Port]) -> list[str]:
    """What is at each port; they are asked side by side."""
    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(describe, ports))


def _with_id(wanted: str, ports: list[Port]) -> str:
    serial_number = wanted[len(_ID) :]
    for port in ports:
        if port.serial_number and port.serial_number.lower() == serial_number.lower():
            return port.device
    descriptions = described(ports)
    for port, text in zip(ports, descriptions):
        if f"id {plain_id(serial_number)}," in text:
            return port.device
    shown = "".join(f"\n  {port.device}  {text}" for port, text in zip(ports, descriptions))
    raise FlashingError(
        f"no board with the serial number {serial_number} was found{shown}\n"
        "No program on them was stopped",
        "Check the number and the cable; a board that runs a program is named by its port",
        WRONG_USAGE,
    )
