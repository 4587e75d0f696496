"""The page on a board's access point, as a phone and a laptop show it: made by the board's code.

They are screenshots of a browser's, which fonts make differ from computer to computer: MADE_OF says
what the page was when they were made.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from tools import shims

shims.install()

from firmware.onboarding import page  # noqa: E402
from firmware.onboarding.text_en import TEXTS  # noqa: E402

FOLDER = Path(__file__).resolve().parent
MADE_OF = FOLDER / "page.sha256"
# Of Chromium: without them it asks its maker's hosts for this and that.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_GAP = 24
_NETWORKS = (
    (47, b"Home", 3),
    (58, b"Home office", 3),
    (66, "Café Zoë".encode(), 0),
    (81, b"Neighbours", 3),
)


class State(NamedTuple):
    """One screenshot: what the candidate is in, the colours, and the browser's language."""

    state: str
    colours: str = "light"
    language: str = "en"


class Sheet(NamedTuple):
    """Screenshots side by side, each of a window of this size."""

    width: int
    height: int
    states: tuple[State, ...]


SHEETS = {
    "page-phone": Sheet(
        360,
        780,
        (
            State("idle"),
            State("wrong password"),
            State("trying", "dark"),
            State("provisioned", "dark"),
        ),
    ),
    "page-laptop": Sheet(1000, 740, (State("idle", "dark", "de"),)),
}
# Of what the page has words for, all that explains and is no field.
STATES = tuple(each for each in TEXTS if f"{each}?" in TEXTS and f"{each}!" not in TEXTS)
_WINDOWS = {"phone": (360, 780), "laptop": (1280, 800)}
# A picture is 16,383 pixels wide at most.
_SIDE_BY_SIDE = 10


class NoBrowserError(Exception):
    """There is no browser to make the pictures with."""


def html(state: str, language: str = "en") -> str:
    """The page of a board in a state."""
    candidate = SimpleNamespace(
        state="idle" if state == "scanning" else state,
        ssid=b"Home",
        name="sensor-24dcc399a4e8",
        asked=(),
        lacks_wifi=True,
    )
    portal = SimpleNamespace(
        candidate=candidate,
        ssid="firstboot-99a4e8",
        token="0" * 16,
        networks=_NETWORKS,
        wrong=(),
        wants_scan=state == "scanning",
        chosen=b"Home",
        board=SimpleNamespace(id="24dcc399a4e8"),
    )
    return b"".join(page.render(portal, language)).decode()


def made_of() -> str:
    """A digest of all that the pictures show."""
    digest = hashlib.sha256(repr(SHEETS).encode())
    for sheet in SHEETS.values():
        for each in sheet.states:
            digest.update(html(each.state, each.language).encode())
    return digest.hexdigest()


def is_stale() -> bool:
    """Whether the page is another than the one in the pictures."""
    return not MADE_OF.exists() or MADE_OF.read_text(encoding="utf-8").strip() != made_of()


def renew() -> None:
    """Make the pictures anew. Raises NoBrowserError."""
    for name, picture in _drawn(SHEETS):
        (FOLDER / f"{name}.webp").write_bytes(picture)
    MADE_OF.write_text(made_of() + "\n", encoding="utf-8")


def draw_states(folder: Path, language: str = "en") -> list[Path]:
    """Draw the page in each state, on a phone and on a laptop, light and dark, into a folder.

    Raises NoBrowserError.
    """
    sheets = {}
    for window, (width, height) in _WINDOWS.items():
        for colours in ("light", "dark"):
            for first in range(0, len(STATES), _SIDE_BY_SIDE):
                shown = STATES[first : first + _SIDE_BY_SIDE]
                name = f"{window}-{colours}-{language}-{first // _SIDE_BY_SIDE + 1}"
                states = tuple(State(state, colours, language) for state in shown)
                sheets[name] = Sheet(width, height, states)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, picture in _drawn(sheets):
        paths.append(folder / f"{name}.webp")
        paths[-1].write_bytes(picture)
    return paths


def _drawn(sheets: dict[str, Sheet]) -> Iterator[tuple[str, bytes]]:
    command = shutil.which("chromium")
    if not command:
        raise NoBrowserError("chromium is not on this computer")
    from tools.set_up import add

    add("browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=FLAGS)
        window = browser.new_page(reduced_motion="reduce")
        for name, sheet in sheets.items():
            yield name, _sheet(window, sheet)
        browser.close()


# Side by side, with round corners, and nothing behind them.
_COMPOSE = """async ({shots, width, height, gap}) => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d")
  canvas.width = shots.length * (width + gap) - gap
  canvas.height = height
  for (const [at, shot] of shots.entries()) {
    const picture = new Image()
    picture.src = "data:image/png;base64," + shot
    await picture.decode()
    const box = new Path2D()
    box.roundRect(at * (width + gap), 0, width, height, 18)
    pen.save()
    pen.clip(box)
    pen.drawImage(picture, at * (width + gap), 0)
    pen.restore()
    pen.strokeStyle = "#8888"
    pen.stroke(box)
  }
  return canvas.toDataURL("image/webp", 0.82).split(",")[1]
}"""


def _sheet(window, sheet: Sheet) -> bytes:
    """The screenshots of a sheet as one picture."""
    window.set_viewport_size({"width": sheet.width, "height": sheet.height})
    shots = [base64.b64encode(_shot(window, each)).decode() for each in sheet.states]
    size = {"width": sheet.width, "height": sheet.height, "gap": _GAP}
    return base64.b64decode(window.evaluate(_COMPOSE, {"shots": shots, **size}))


def _shot(window, shown: State) -> bytes:
    window.emulate_media(color_scheme=shown.colours)
    window.set_content(html(shown.state, shown.language))
    return window.screenshot()
