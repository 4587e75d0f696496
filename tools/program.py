"""What this program is called here, its version, and its exit code after Ctrl-C."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
# A checkout has it, an installed package has not.
IS_CHECKOUT = (_ROOT / "pyproject.toml").exists()
INTERRUPTED = 130
NAME = "python3 -m tools" if IS_CHECKOUT else "firstboot"


def version() -> str:
    """The version of the firmware, which is that of all."""
    text = (_ROOT / "firmware" / "board" / "kept.py").read_text(encoding="utf-8")
    return re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE)[1]


def named(text: str) -> str:
    """A text with the program called what it is called here."""
    return text.replace("python3 -m tools", NAME)
