"""Where on the host a virtual board's ports are, for the phone on its access point."""

from __future__ import annotations

import threading
from collections.abc import Callable

_PAGE = "tcp 80"


class Ports:
    """Follows the events of a board; it keeps its ports from life to life.

    `known`: the host's port for each of the board's, such as {"tcp 80": 61234}. `say` is told where
    its page is, the first time.
    """

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.say: Callable[[str], None] = lambda text: None
        self._changed = threading.Condition()

    def follow(self, event: dict) -> None:
        """Take an event."""
        if event["event"] != "port":
            return
        name, host_port = f"{event['protocol']} {event['port']}", event["host_port"]
        if name == _PAGE and self.known.get(name) != host_port:
            self.say(
                f"what a phone sees on the board's access point: http://127.0.0.1:{host_port}/"
            )
        with self._changed:
            self.known[name] = host_port
            self._changed.notify_all()

    def wait_for(self, protocol: str, port: int, timeout: float) -> int:
        """The host's port, as soon as the board has bound its own. Raises TimeoutError."""
        name = f"{protocol} {port}"
        with self._changed:
            if not self._changed.wait_for(lambda: name in self.known, timeout):
                raise TimeoutError(f"the board has not opened {name} within {timeout} s")
            return self.known[name]
