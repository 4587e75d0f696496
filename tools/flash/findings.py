"""What a doctor finds: a line each."""

from __future__ import annotations

from typing import NamedTuple

from tools.flash.errors import sentences

OK, WARNING, FAILURE = "ok", "warning", "failure"


class Finding(NamedTuple):
    """One line of a doctor: `level`, what was found, and for a trouble its `fix`."""

    level: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.level:8} {sentences(self.what, self.fix)}"


def doubtful(settings: dict, chip: str = "") -> list[Finding]:
    """What a board refuses in a config.json before it is provisioned, and takes afterwards."""
    from firmware.board.config_doubts import doubts

    fix = "Only provisioned boards go on with that"
    return [Finding(WARNING, each, fix) for each in doubts(settings, settings["networks"], chip)]
