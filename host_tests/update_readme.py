"""Brings README.md's demo output up to date: a plugin of pytest.

python3 -m tools test -p host_tests.update_readme --update-readme host_tests/test_readme.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = r"(<!-- {marker} -->\n```\w*\n)(.*?)(```\n)"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-readme", action="store_true", help="write the demo's output into README.md"
    )


def read_block(marker: str) -> str:
    """What stands in the fenced block that follows a marker."""
    found = _block(marker).search(README.read_text(encoding="utf-8"))
    assert found, f"README.md has no fenced block after <!-- {marker} -->"
    return found[2]


def write_block(marker: str, text: str) -> None:
    """Replace what stands in the fenced block that follows a marker."""
    readme = README.read_text(encoding="utf-8")
    updated = _block(marker).sub(lambda block: block[1] + text + block[3], readme, count=1)
    README.write_text(updated, encoding="utf-8")


def _block(marker: str) -> re.Pattern:
    return re.compile(_BLOCK.format(marker=re.escape(marker)), re.DOTALL)
