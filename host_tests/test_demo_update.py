"""The demonstration of updates: what README says of it happens."""

from __future__ import annotations

import re

from host_tests.test_tools import tools
from host_tests.virtual_bench import needs_micropython


@needs_micropython
def test_a_good_version_stays_and_a_broken_one_goes():
    done = tools("demo", "--update")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    steps = (
        "Version 1 of my-app is on a new board",
        'telemetry {"version":1}',
        "Version 2, signed",
        "update: my-app 2: DOWNLOADING",
        'telemetry {"sw_state":"VERIFIED"}',
        "update: my-app 2: the board starts anew",
        "application: running app.py of /a",
        'telemetry {"version":2}',
        "update: my-app 2 is confirmed",
        "Version 3, with a bug in it",
        "update: my-app 3: the board starts anew",
        "application: running app.py of /b",
        "app.py raised RuntimeError",
        "update: my-app 3 failed: RuntimeError: a bug in version 3",
        'telemetry {"version":2}',
        "What ThingsBoard was told: DOWNLOADING, DOWNLOADED, VERIFIED, UPDATING, UPDATED, "
        "DOWNLOADING, DOWNLOADED, VERIFIED, UPDATING, FAILED: RuntimeError: a bug in version 3.",
        "On its flash: the board runs /a: my-app 2, confirmed.",
        "On its flash: my-app 3 failed: RuntimeError: a bug in version 3.",
    )
    at = 0
    for step in steps:
        at = shown.find(step, at)
        assert at >= 0, f"{step!r} is not in its place in:\n{shown}"
    assert not re.search(r'"token"|credentialsValue":"[^…]', shown)


def test_it_is_shown_alone():
    assert tools("demo", "--update", "--coaps").returncode == 2
