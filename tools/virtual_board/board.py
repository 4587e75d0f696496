"""A virtual board: power it up, watch its console, cut its power."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.virtual_board.boards import KINDS
from tools.virtual_board.console import FAILED, PROVISIONED, TIME_RAN_OUT, Console
from tools.virtual_board.errors import FlashError
from tools.virtual_board.flash import RUNTIMES, check_flash
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.lock import locked
from tools.virtual_board.ports import Ports
from tools.virtual_board.process import BoardProcess
from tools.virtual_board.scenario import Scenario
from tools.virtual_board.watchdog import Watchdog

# How long main.py may go on once the board is provisioned.
_GRACE_S = 2.0
# Of a reset, or the scenario.
_OUTLIVE_SOFT_RESET = ("associated", "joining", "access_point")
_ENDINGS = {
    "ended": "main.py ended",
    "raised": "an exception",
    "unmountable": "no file system",
}


@dataclass
class Outcome:
    """How a power-up went.

    `exit_code`: 0 provisioned, 3 refused, 4 time ran out, 5 bad configuration, 1 anything else.
    `lines`: the console, across resets. `events`: pin changes, resets and the like, as dicts.
    `ended`: what ended it, in a few words.
    """

    exit_code: int = FAILED
    lines: list[str] = field(default_factory=list)
    events: list[dict] = field(default_factory=list)
    ended: str = ""


def settings_of(
    flash: Path,
    kind: str,
    scenario: Scenario,
    reset: dict,
    stay: bool,
    repl: Sequence[str] = (),
    ports: dict[str, int] | None = None,
) -> dict:
    """What the process that plays a board has to know, after `reset`.

    `repl` names the files that run before the REPL; without any there is none. `ports`: where the
    board's ports have been on the host, see Ports.
    """
    board = KINDS[kind]
    unique_id = hashlib.sha256(str(flash).encode()).digest()[: board.unique_id_size]
    return {
        "flash": str(flash),
        "kind": kind,
        "machine": board.machine,
        "geometry": {
            "block_size": board.block_size,
            "block_count": board.block_count,
            "prog_size": board.prog_size,
        },
        "reset_cause": reset["cause"],
        "rtc_memory": reset.get("rtc_memory", ""),
        "stay": stay,
        "repl": repl,
        "ports": ports or {},
        "scenario": {
            **scenario,
            **{name: reset.get(name) for name in _OUTLIVE_SOFT_RESET},
            "id": scenario["id"] or unique_id.hex(),
            "datagram_queue": scenario["datagram_queue"] or board.datagram_queue,
        },
    }


class VirtualBoard:
    """A board of `kind` played by `runtime` on `flash`, which put_on_flash makes.

    Console lines go to `on_line` as they come. `ports`: where on the host's loopback the phone on
    its access point finds its ports. Raises FlashError for what is no flash, ValueError
    for an unknown kind or runtime, RuntimeError when there is no MicroPython.
    """

    def __init__(
        self,
        flash: Path,
        kind: str = "esp32",
        runtime: str = "micropython",
        scenario: Scenario | None = None,
        on_line: Callable[[str], None] = print,
    ):
        if kind not in KINDS or runtime not in RUNTIMES:
            raise ValueError(f"no virtual board {kind!r} on {runtime!r}")
        if runtime == "micropython" and find_micropython().command is None:
            raise RuntimeError(f"no MicroPython to play the board: {find_micropython().why}")
        self.flash = Path(flash).absolute()
        self.kind = kind
        self.runtime = runtime
        self.scenario = Scenario(**(scenario or {}))
        self.on_line = on_line
        self.ports = Ports(kind)
        self._process: BoardProcess | None = None
        self._power = threading.Lock()
        self._is_cut = False
        check_flash(self.flash, kind, runtime)

    def power_up(self, timeout: float | None = 120, stay: bool = False) -> Outcome:
        """Power up, and follow the board through its resets until it is provisioned or cannot be.

        After `timeout` seconds the power is cut. With `stay`, app.py runs and refusals are
        retried. Raises FlashError when the flash is no file system or is in use.
        """
        outcome, console = Outcome(), Console()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._is_cut = False
        life = _Life(deadline, stay, outcome, console, self)
        survived = {name: self.scenario[name] for name in _OUTLIVE_SOFT_RESET}
        reset = {"cause": self.scenario["reset_cause"], **survived}
        with locked(self.flash) as lock:
            while reset is not None:
                process = self._start(reset, stay, lock)
                if process is None:
                    break
                try:
                    reset = life.follow(process)
                finally:
                    process.close()
                    self.ports.end_life()
        outcome.ended = outcome.ended or ("power cut" if self._is_cut else "the process died")
        if outcome.ended == _ENDINGS["unmountable"]:
            raise FlashError(f"{self.flash} holds no file system, neither littlefs nor FAT")
        return outcome

    def cut_power(self) -> None:
        """Cut the power at once, from another thread. The next power_up() gives it back."""
        with self._power:
            self._is_cut = True
            if self._process:
                self._process.cut_power()

    def interrupt(self) -> None:
        """Press Ctrl-C on the serial console, from another thread."""
        with self._power:
            if self._process:
                self._process.interrupt()

    def limit_memory(self, more: int) -> None:
        """From now on let it have so many bytes more, of what MicroPython has outside its heap.

        An ESP32's mbedTLS allocates there. On Linux only.
        """
        self._process.limit_memory(more)

    def _start(self, reset: dict, stay: bool, lock: int) -> BoardProcess | None:
        settings = settings_of(
            self.flash, self.kind, self.scenario, reset, stay, ports=self.ports.known
        )
        with self._power:
            self._process = None if self._is_cut else BoardProcess(self.runtime, settings, lock)
            return self._process


class _Life:
    """The lives of a board between resets, up to its last."""

    def __init__(self, deadline, stay, outcome, console, board):
        self._deadline = deadline
        self._stay = stay
        self._outcome = outcome
        self._console = console
        self._on_line = board.on_line
        self._ports = board.ports
        self._watchdog = Watchdog()

    def follow(self, process: BoardProcess) -> dict | None:
        """Follow one life. Gives the reset that ended it, or None when it was the last."""
        reset = None
        while reset is None:
            try:
                message = process.next(self._next_deadline())
            except queue.Empty:
                reset = self._on_deadline()
                if reset is None:
                    return None
            else:
                if message is None:
                    if self._outcome.ended == _ENDINGS["ended"]:
                        self._outcome.exit_code = self._console.exit_code
                    return None
                if isinstance(message, dict):
                    reset = self._on_event(message)
                elif self._on_console(message):
                    return None
        process.cut_power()
        while (message := process.next(None)) is not None:
            if isinstance(message, str):
                self._on_console(message)
        return reset

    def _next_deadline(self) -> float | None:
        deadlines = [self._deadline, self._watchdog.fires]
        return min((at for at in deadlines if at is not None), default=None)

    def _on_console(self, line: str) -> bool:
        was_provisioned = self._console.provisioned
        self._outcome.lines.append(line)
        self._console.feed(line)
        self._on_line(line)
        if self._stay:
            return False
        if self._console.gave_up:
            self._finish(self._console.exit_code, "no use in going on")
            return True
        if self._console.provisioned and not was_provisioned:
            grace = time.monotonic() + _GRACE_S
            self._deadline = grace if self._deadline is None else min(self._deadline, grace)
        return False

    def _on_event(self, event: dict) -> dict | None:
        self._outcome.events.append(event)
        name = event["event"]
        self._watchdog.follow(event)
        self._ports.follow(event)
        if name == "reset":
            return event
        if name in _ENDINGS:
            self._outcome.ended = _ENDINGS[name]
        return None

    def _on_deadline(self) -> dict | None:
        reset = self._watchdog.reset()
        if reset:
            self._watchdog.follow(reset)
            self._outcome.events.append(reset)
            return reset
        exit_code = PROVISIONED if self._console.provisioned else TIME_RAN_OUT
        self._finish(exit_code, "time ran out")
        return None

    def _finish(self, exit_code: int, ended: str) -> None:
        self._outcome.exit_code = exit_code
        self._outcome.ended = ended
