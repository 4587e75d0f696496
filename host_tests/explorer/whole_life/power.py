"""A board's flash and the board itself, whose power may go in the middle of anything."""

from __future__ import annotations

import errno

from host_tests.explorer.at_work import board as at_work
from host_tests.explorer.at_work.board import PowerCut
from host_tests.explorer.at_work.wire import Wire
from host_tests.explorer.network import SERVER_ADDRESS
from host_tests.explorer.over_the_air import Reset


class Powered:
    """What a board uses of the flash, which raises PowerCut when the power is gone.

    `what`: Files, or one of them that is open. In the middle of an operation nothing can be raised:
    littlefs calls the flash.
    """

    def __init__(self, what, is_on):
        self._what = what
        self._is_on = is_on

    def __getattr__(self, name: str):
        def call(*arguments):
            self._check()
            try:
                result = getattr(self._what, name)(*arguments)
            finally:
                self._check()
            return Powered(result, self._is_on) if name == "open" else result

        return call

    def __iter__(self):
        self._check()
        return iter(self._what)

    def __enter__(self) -> Powered:
        return self

    def __exit__(self, *exception) -> None:
        self._check()
        self._what.close()

    def _check(self) -> None:
        if not self._is_on():
            raise PowerCut


class PoweredWire(Wire):
    """A wire that nothing goes over and that no time passes on when the power is gone."""

    is_cut = False

    def send(self, peer, datagram, address=SERVER_ADDRESS) -> None:
        self._check()
        super().send(peer, datagram, address)

    def listen(self, peer, timeout: int) -> None:
        self._check()
        super().listen(peer, timeout)

    def advance(self, ms: int) -> None:
        self._check()
        super().advance(ms)

    def _check(self) -> None:
        if self.is_cut:
            raise PowerCut


class Board(at_work.Board):
    """A board whose resets a Life notices. `background`: what every wait calls besides."""

    def __init__(self, life):
        super().__init__(life)
        self.background: list = []
        self.indicator.write = lambda line: life.note(f"board  │ {line}")

    def read(self, path: str) -> bytes | None:
        try:
            with self.files.open(path, "rb") as file:
                return file.read()
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return None

    def idle(self) -> None:
        for work in self.background:
            work()

    def sleep(self, ms: int) -> None:
        super().sleep(ms)
        self.idle()

    def reset(self) -> None:
        self.life.restarted()
        raise Reset
