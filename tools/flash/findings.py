"""What a doctor finds: a line each."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, FAILURE = "ok", "warning", "failure"


class Finding(NamedTuple):
    """One line of a doctor: `level`, what was found, and for a trouble its `fix`."""

    level: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.level:8} {self.what}" + (f". {self.fix}" if self.fix else "")
