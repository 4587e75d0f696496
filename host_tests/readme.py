"""What stands in README.md."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def read_block(marker: str) -> str:
    """What stands in the fenced block that follows a marker."""
    text = README.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {re.escape(marker)} -->\n```\w*\n(.*?)```\n", text, re.DOTALL)
    assert found, f"README.md has no fenced block after <!-- {marker} -->"
    return found[1]
