"""Where on the host a virtual board's ports are, for the phone on its access point."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tools.virtual_board.dhcp import SERVERS, DhcpPort

_PAGE = "tcp 80"
_DHCP = "udp 67"


class Ports:
    """Follows the events of a board; it keeps its ports from life to life.

    `known`: the host's port for each of the board's, such as {"tcp 80": 61234}. `say` is told where
    its page is, the first time. While its access point is up there is what the board's MicroPython
    does by itself: DHCP, at "udp 67".
    """

    def __init__(self, kind: str) -> None:
        self.known: dict[str, int] = {}
        self.say: Callable[[str], None] = lambda text: None
        self._changed = threading.Condition()
        self._kind = kind
        self._dhcp: DhcpPort | None = None

    def follow(self, event: dict) -> None:
        """Take an event."""
        if event["event"] == "access point":
            self._switch_dhcp(event["active"])
        if event["event"] == "port":
            self._note(f"{event['protocol']} {event['port']}", event["host_port"])

    def end_life(self) -> None:
        """The board is reset, or without power."""
        self._switch_dhcp(False)

    def _switch_dhcp(self, is_on: bool) -> None:
        if is_on and not self._dhcp:
            self._dhcp = DhcpPort(SERVERS[self._kind](), self.known.get(_DHCP, 0))
            self._note(_DHCP, self._dhcp.port)
        elif not is_on and self._dhcp:
            self._dhcp.close()
            self._dhcp = None

    def _note(self, name: str, host_port: int) -> None:
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
