"""Lets the explorer go further than the suite has time for: a plugin of pytest.

python3 -m tools test -p host_tests.explorer.plugin --explore-deep -o faulthandler_timeout=0 \
    host_tests/test_explorer.py
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--explore-deep", action="store_true", help="explore more cuts and lost datagrams: slow"
    )
