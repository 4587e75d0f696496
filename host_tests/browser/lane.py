"""A browser for a phone or a laptop, and a virtual board whose page it opens."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from host_tests.compiled import compiled
from host_tests.onboarding_bench import HURRY, config, without
from host_tests.power_up_bench import KEY, SECRET
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.pictures.page import FLAGS
from tools.virtual_board.board import Outcome, VirtualBoard
from tools.virtual_board.errors import FlashError
from tools.virtual_board.flash import put_file, put_on_flash, read_file
from tools.virtual_board.scenario import Scenario

# A page looks again every few seconds; how long it waits for an answer is left as it is.
_LOOKS_SOONER = """
const wait = setTimeout
window.setTimeout = (what, ms, ...more) => wait(what, ms > 5000 ? ms : ms / 4, ...more)
"""
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
LAPTOP = {"viewport": {"width": 1280, "height": 800}}
_OPENS_WITHIN_S = 20
_LOOK_AGAIN_S = 0.05
_ENDS_WITHIN_S = 60


def chromium() -> str:
    """Chromium's command. Skips the test where there is none."""
    found = shutil.which("chromium")
    if not found:
        pytest.skip("chromium is not on this computer")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, as playwright has it. Skips the test where there is none."""
    command = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=command, args=FLAGS)
        yield started
        started.close()


class Windows:
    """A browser's windows, each kept for who wants such a one next: a new one takes a while.

    `troubles`: what the pages' dialogs and errors said.
    """

    def __init__(self, browser: Any):
        self.troubles: list[str] = []
        self._browser = browser
        self._free: dict[str, list] = {}
        self._used: list[tuple[str, Any]] = []

    def open(
        self, viewport: dict, color_scheme: str = "light", is_patient: bool = False, **options: Any
    ) -> Any:
        """A window, as playwright has it. `is_patient`: its pages look again no sooner."""
        such = repr((is_patient, sorted(options.items())))
        window = self._free[such].pop() if self._free.get(such) else self._new(is_patient, options)
        self._used.append((such, window))
        window.set_viewport_size(viewport)
        window.emulate_media(color_scheme=color_scheme)
        return window

    def leave(self) -> None:
        """Nobody looks at any of them any more."""
        for such, window in self._used:
            window.goto("about:blank")
            self._free.setdefault(such, []).append(window)
        self._used.clear()
        self.troubles.clear()

    def _new(self, is_patient: bool, options: dict) -> Any:
        context = self._browser.new_context(**options)
        if not is_patient:
            context.add_init_script(_LOOKS_SOONER)
        window = context.new_page()
        window.set_default_timeout(30_000)
        window.on("dialog", self._dismiss)
        window.on("pageerror", lambda error: self.troubles.append(str(error)))
        return window

    def _dismiss(self, dialog: Any) -> None:
        self.troubles.append(dialog.message)
        dialog.dismiss()


class Hanging:
    """A board that hangs in a room, with a ThingsBoard that it finds once it has Wi-Fi.

    `lacks`: what its config.json leaves to a person. `is_full`: nothing more fits on its flash. The
    board is powered up in its context, and `outcome` is there after it.
    """

    def __init__(
        self,
        folder: Path,
        kind: str = "esp32",
        lacks: tuple[str, ...] = (),
        is_full: bool = False,
        **scenario,
    ):
        self.thingsboard = ThingsBoard(KEY, SECRET)
        self.server = FakeThingsBoard(self.thingsboard)
        self.outcome = Outcome()
        self._flash = folder / "flash"
        self._kind = kind
        self._lacks = lacks
        self._is_full = is_full
        self._scenario = Scenario(**{"scan_ms": 20, "hurry": HURRY, **scenario})
        self._thread = self._powered_up()

    def __enter__(self) -> Hanging:
        self.server.__enter__()
        given = without(config(self.server.uri), *self._lacks)
        given = json.dumps(given).encode()
        put_on_flash(self._flash, self._kind, "micropython", given, source=compiled())
        if self._is_full:
            fill(self._flash)
        self.board = VirtualBoard(
            self._flash, self._kind, "micropython", self._scenario, lambda line: None
        )
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.board.cut_power()
        self._thread.join()
        self.server.__exit__(*_)

    def power_cycle(self) -> None:
        """Take its power away, and give it back."""
        self.board.cut_power()
        self._thread.join()
        self._thread = self._powered_up()
        self._thread.start()

    @property
    def url(self) -> str:
        """Where its page is for a phone on its access point, as soon as somebody is there."""
        deadline = time.monotonic() + _OPENS_WITHIN_S
        port = self.board.ports.wait_for("tcp", 80, _OPENS_WITHIN_S)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), _OPENS_WITHIN_S).close()
                return f"http://127.0.0.1:{port}/"
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "the board does not open its page again"
                time.sleep(_LOOK_AGAIN_S)

    def wait(self) -> Outcome:
        """Wait until the board has ended: it is provisioned, and main.py is through."""
        self._thread.join(_ENDS_WITHIN_S)
        assert not self._thread.is_alive(), "the board goes on"
        return self.outcome

    def on_flash(self, path: str) -> dict:
        """A file of JSON on its flash."""
        return json.loads(read_file(self._flash, path))

    def _powered_up(self) -> threading.Thread:
        return threading.Thread(target=self._power_up)

    def _power_up(self) -> None:
        self.outcome = self.board.power_up(_ENDS_WITHIN_S, stay=True)


def fill(flash: Path) -> None:
    """Leave no room on a flash for a file that needs a block."""
    numbers = itertools.count()
    for size in (1 << 16, 1 << 12):
        with contextlib.suppress(OSError, FlashError):
            while True:
                put_file(flash, f"full{next(numbers)}", bytes(size))


def findings(page) -> list[str]:
    """What axe-core finds that some people cannot use."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    violations = page.evaluate("axe.run().then(found => found.violations)")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in violations]
