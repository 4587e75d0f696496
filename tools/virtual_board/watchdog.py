"""The watchdog of a virtual board, kept by what keeps its power supply."""

from __future__ import annotations

import time
from collections.abc import Mapping


class Watchdog:
    """`fires` is when, on time.monotonic(), or None before the board has started it."""

    def __init__(self) -> None:
        self.fires: float | None = None
        self._timeout_s: float | None = None

    def follow(self, event: Mapping) -> None:
        """Follow what the board does; a soft reset does not stop it."""
        name = event["event"]
        if name == "watchdog":
            self._timeout_s = event["timeout_ms"] / 1000
        if name in ("watchdog", "feed") and self._timeout_s is not None:
            self.fires = time.monotonic() + self._timeout_s
        if name == "reset" and event["cause"] != "soft":
            self.fires = self._timeout_s = None

    def reset(self) -> dict | None:
        """The reset that it makes, once it has fired."""
        if self.fires is None or time.monotonic() < self.fires:
            return None
        return {"event": "reset", "cause": "watchdog"}
