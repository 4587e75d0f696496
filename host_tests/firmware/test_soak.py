"""A board alone for years, in short; host_tests/soak.py lets it live long."""

import sys

from host_tests.firmware.soak import live


def test_a_board_alone():
    # By then each module has been loaded in every trouble, and the heap is level.
    days = 40 if sys.implementation.name == "micropython" else 100
    figures = live(3, days)
    assert figures["troubles"] >= days // 2
    assert figures["telemetry posted"] >= days * 4
    assert 0 < figures["of it over coaps"] < figures["telemetry posted"]
