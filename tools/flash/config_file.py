"""Reads a config.json on a computer, and says of each mistake where it is and what to write."""

from __future__ import annotations

import json

from tools.flash.errors import BAD_CONFIGURATION, FlashingError


class ConfigError(FlashingError):
    """A config.json that cannot be used; `problems` are its mistakes, a line each."""

    def __init__(self, name: str, problems: list[str], fix: str = ""):
        between = " " if len(problems) == 1 else "\n  "
        fix = fix or f"Correct {name}"
        super().__init__(f"{name}:{between}" + "\n  ".join(problems), fix, BAD_CONFIGURATION)
        self.problems = problems


def read(content: bytes, name: str) -> dict:
    """The JSON object in a config.json called `name`. Raises ConfigError with line and column."""
    from firmware.board.json_mistakes import explain
    from firmware.board.strict_json import mistake_in

    if mistake := mistake_in(content):
        raise ConfigError(name, [explain(content, *mistake)])
    given = json.loads(content.decode("utf-8-sig"))
    if not isinstance(given, dict):
        raise ConfigError(name, ["it is JSON, but no object: it begins with { and ends with }"])
    return given
