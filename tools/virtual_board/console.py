"""Follow a board's console: what its lines say about how the power-up goes. Pure."""

from __future__ import annotations

import re

PROVISIONED, FAILED, REFUSED, TIME_RAN_OUT, BAD_CONFIGURATION = 0, 1, 3, 4, 5

_LINE = re.compile(r"\[ *\d+\.\d{3}\] (.*)")
_EXIT_CODES = {
    "provisioned": PROVISIONED,
    "refused": REFUSED,
    "config.json": BAD_CONFIGURATION,
}
_STATES = (
    "config.json",
    "Wi-Fi",
    "provisioning",
    "provisioned",
    "refused",
    "failed",
    "application",
)


class Console:
    """`state` is the word that began the last line that had one; `exit_code` follows from it."""

    def __init__(self) -> None:
        self.state = ""
        self.provisioned = False
        self.gave_up = False

    def feed(self, line: str) -> None:
        """Take one console line."""
        match = _LINE.match(line)
        if not match:
            return
        text = match[1]
        word, colon, _ = text.partition(":")
        if colon and word in _STATES:
            self.state = word
            self.provisioned = self.provisioned or word == "provisioned"
        self.gave_up = text.lstrip().startswith("next try in") and self.state in (
            "refused",
            "config.json",
        )

    @property
    def exit_code(self) -> int:
        """The exit code of a power-up that ended here."""
        return PROVISIONED if self.provisioned else _EXIT_CODES.get(self.state, FAILED)
