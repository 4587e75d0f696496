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
# What has USB of its own has machine.unique_id() for its serial number.
_WITH_OWN_USB = {
    (0x2E8A, 0x0005): "RP2040 or RP2350 with MicroPython",
    (0x303A, 0x4001): "ESP32 with MicroPython",
    (0x303A, 0x1001): "ESP32 with USB of its own",
}


class Port(NamedTuple):
    """A USB serial port, as the computer knows it; `vid` and `pid` say whose."""

    device: str
    serial_number: str = ""
    description: str = ""
    vid: int = 0
    pid: int = 0

    @property
    def board_id(self) -> str:
        """The board's unique id, where USB tells it."""
        return plain_id(self.serial_number) if (self.vid, self.pid) in _WITH_OWN_USB else ""

    def __str__(self) -> str:
        if self.board_id:
            return f"{_WITH_OWN_USB[self.vid, self.pid]}, id {self.board_id}"
        number = f", {_ID}{self.serial_number}" if self.serial_number else ""
        return f"{self.description or 'unknown'}{number}"


def connected() -> list[Port]:
    """The USB serial ports; a computer's own serial ports have no board."""
    found = [
        Port(each.device, each.serial_number or "", each.description or "", each.vid, each.pid or 0)
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
    shown = "".join(f"\n  {port.device}  {port}" for port in ports)
    raise FlashingError(
        f"{len(ports)} boards are connected{shown}\nNone was touched",
        "Name one with --port (`boards --ask` asks what they are), or use --all",
        WRONG_USAGE,
    )


def ask(port: Port) -> str:
    """What is at a port: the board there if it is at its prompt, else what USB says of it.

    One carriage return is typed, which a program that reads its input gets.
    """
    try:
        with Link(port.device, may_stop=False) as link:
            return str(facts.ask(link))
    except FlashingError as error:
        return f"{port}: {error.what.removeprefix(port.device + ': ')}"


def ask_all(ports: list[Port]) -> list[str]:
    """What is at each port, see `ask`; they are asked side by side."""
    with ThreadPoolExecutor(max(1, len(ports))) as pool:
        return list(pool.map(ask, ports))


def _with_id(wanted: str, ports: list[Port]) -> str:
    serial_number = wanted[len(_ID) :]
    board_id = plain_id(serial_number)
    for port in ports:
        if port.serial_number and serial_number.lower() == port.serial_number.lower():
            return port.device
        if port.board_id and board_id == port.board_id:
            return port.device
    unknown = [port for port in ports if not port.board_id]
    texts = dict(zip(unknown, ask_all(unknown)))
    for port, text in texts.items():
        if f"id {board_id}," in text:
            return port.device
    shown = "".join(f"\n  {port.device}  {texts.get(port, port)}" for port in ports)
    raise FlashingError(
        f"no board with the serial number {serial_number} was found{shown}\n"
        "No program on them was stopped",
        "Check the number and the cable; a board that runs a program is named by its port",
        WRONG_USAGE,
    )
