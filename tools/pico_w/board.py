"""Power-ups of the real image of a Pico W, with the other end of its network on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from tools.pico_w.flash_chip import UNIQUE_ID_SIZE
from tools.pico_w.flash_file import KIND, RUNTIME, FlashFile
from tools.pico_w.loopback import Loopback
from tools.pico_w.machine import Machine
from tools.pico_w.network import Network
from tools.pico_w.pace import Pace
from tools.virtual_board.board import Outcome
from tools.virtual_board.console import PROVISIONED, TIME_RAN_OUT, Console
from tools.virtual_board.flash import check_flash
from tools.virtual_board.lock import locked

_PROMPT = b">>> "
_GREETING = "MicroPython v"  # before the prompt
_RUNS = "application: running app.py"
_CTRL_C = b"\x03"
_LONGEST_WAIT_S = 0.05


def unique_id_of(flash: Path) -> bytes:
    """The id of the board that has a flash, as the virtual board has it."""
    return hashlib.sha256(str(Path(flash).absolute()).encode()).digest()[:UNIQUE_ID_SIZE]


class PicoW:
    """A Pico W with the MicroPython of `image` on `flash`, which put_firmware makes.

    Console lines go to `on_line` as they come. `network`: what is behind its access point. After
    `power_up`, `board_s` says how long that took in emulated board time, and `cycles` at its
    clock. Raises FlashError for what is no flash.
    """

    def __init__(
        self,
        flash: Path,
        image: Path,
        on_line: Callable[[str], None] = print,
        network: Network | None = None,
    ):
        self.flash = Path(flash).absolute()
        self.image = image
        self.on_line = on_line
        self.network = network or Network()
        self.board_s = self.cycles = 0.0
        self._machine: Machine | None = None
        self._is_cut = False
        check_flash(self.flash, KIND, RUNTIME)

    def power_up(self, timeout: float | None = 120, stay: bool = False) -> Outcome:
        """Power up, and follow the board until it is provisioned or cannot be.

        After `timeout` seconds of emulated board time the power is cut. With `stay`, app.py runs
        and refusals are retried. Raises FlashError when the flash is in use.
        """
        follower = Follower(self.on_line, stay, self._end)
        self._is_cut = False
        network = Loopback(self.network)
        try:
            with locked(self.flash):
                machine = self._machine = Machine(
                    self.image,
                    self.flash.read_bytes(),
                    unique_id_of(self.flash),
                    self.network,
                    follower.feed,
                )
                file = FlashFile(self.flash, machine)
                try:
                    self._run(machine, network, follower, timeout)
                finally:
                    file.close()
                    self.board_s = machine.ms / 1000
                    self.cycles = self.board_s * machine.frequency
        finally:
            self._machine = None
            network.close()
        return follower.outcome

    def cut_power(self) -> None:
        """Cut the power at once, from a callback or another thread."""
        self._end()

    def interrupt(self) -> None:
        """Press Ctrl-C on the serial console, from a callback or another thread."""
        if self._machine:
            self._machine.after(0, lambda: self._machine.console.type(_CTRL_C))

    def _end(self) -> None:
        self._is_cut = True
        if self._machine:
            self._machine.pause()

    def _run(self, machine, network, follower, timeout) -> None:
        pace = Pace(machine)
        if timeout is not None:
            machine.after(timeout * 1000, lambda: (follower.time_ran_out(), self._end()))
        while not self._is_cut:
            machine.run()
            network.wait(min(pace.ahead, _LONGEST_WAIT_S))
        follower.power_is_off()


class Follower:
    """Follows a console up to the line after which there is no use in going on."""

    def __init__(self, on_line, stay: bool, end: Callable[[], None]):
        self.outcome = Outcome()
        self._console = Console()
        self._on_line = on_line
        self._stay = stay
        self._end = end
        self._text = b""

    def feed(self, output: bytes) -> None:
        """Take what the board prints."""
        self._text += output
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            self._take(line.rstrip(b"\r").decode("utf-8", "replace"))
        if self._text == _PROMPT:
            self._finish(self._console.exit_code, "main.py ended")

    def time_ran_out(self) -> None:
        """The time for this power-up is over."""
        self._finish(PROVISIONED if self._console.provisioned else TIME_RAN_OUT, "time ran out")

    def power_is_off(self) -> None:
        """Nothing comes any more."""
        self.outcome.ended = self.outcome.ended or "power cut"

    def _take(self, line: str) -> None:
        if self.outcome.ended:
            return
        if line.startswith(_GREETING):
            self._finish(self._console.exit_code, "main.py ended")
            return
        self.outcome.lines.append(line)
        self._console.feed(line)
        self._on_line(line)
        if self._stay:
            return
        if self._console.gave_up:
            self._finish(self._console.exit_code, "no use in going on")
        elif line.endswith(_RUNS):
            self._finish(PROVISIONED, "app.py would run now")

    def _finish(self, exit_code: int, ended: str) -> None:
        if not self.outcome.ended:
            self.outcome.exit_code, self.outcome.ended = exit_code, ended
        self._end()
