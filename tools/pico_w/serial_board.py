"""An emulated Pico W at a serial port: mpremote, and any other tool, connects to it."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from tools.pico_w.board import unique_id_of
from tools.pico_w.flash_file import KIND, RUNTIME, FlashFile
from tools.pico_w.loopback import Loopback
from tools.pico_w.machine import Machine
from tools.pico_w.network import Network
from tools.pico_w.pace import Pace
from tools.virtual_board.flash import check_flash
from tools.virtual_board.lock import locked
from tools.virtual_board.serial_line import SerialLine

_LONGEST_WAIT_S = 0.01


class AtAPort:
    """A machine's console at the serial port `link`, its network's other end on loopback."""

    def __init__(self, machine: Machine, link: Path, network: Network):
        self.machine = machine
        self.line = SerialLine(Path(link).absolute())
        self._loopback = Loopback(network)
        self._pace = Pace(machine)
        machine.on_console = self.line.transmit
        self.line.plug_in()

    def step(self) -> None:
        """Go on for some milliseconds, no faster than this computer's clock."""
        self.machine.console.type(self.line.receive())
        self.machine.run()
        self.line.send()
        self._loopback.wait(min(self._pace.ahead, _LONGEST_WAIT_S))

    def close(self) -> None:
        """Pull the cable, and give the sockets back."""
        self.line.pull()
        self._loopback.close()


class SerialPicoW:
    """The board of `image` on `flash`, at the serial port `link`, powered up while in its context.

    It lives in a thread of this process. `unique_id`: 8 bytes, the flash's own when None. Raises
    FlashError for what is no flash, ValueError for an id of another size, RuntimeError when `link`
    cannot be made.
    """

    def __init__(
        self,
        flash: Path,
        image: Path,
        link: Path,
        unique_id: bytes | None = None,
        network: Network | None = None,
    ):
        self.flash = Path(flash).absolute()
        self.link = Path(link).absolute()
        self.network = network or Network()
        check_flash(self.flash, KIND, RUNTIME)
        unique_id = unique_id or unique_id_of(self.flash)
        self.machine = Machine(image, self.flash.read_bytes(), unique_id, self.network)
        self._is_over = False
        self._failure: BaseException | None = None
        self._stack = ExitStack()
        self._thread = threading.Thread(target=self._run, daemon=True, name="Pico W")

    def __enter__(self) -> SerialPicoW:
        with ExitStack() as stack:
            stack.enter_context(locked(self.flash))
            stack.callback(FlashFile(self.flash, self.machine).close)
            self._port = AtAPort(self.machine, self.link, self.network)
            stack.callback(self._port.close)
            self._stack = stack.pop_all()
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._is_over = True
        self._thread.join()
        self._stack.close()

    def wait(self) -> None:
        """Wait until the board's thread ends; it raises what that ended with."""
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._is_over:
                self._port.step()
        except BaseException as failure:
            self._failure = failure
