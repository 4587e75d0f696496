"""The pictures in README.md show what is true, and can be read by everybody."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from host_tests.browser import lane
from host_tests.readme import README, read_block
from tools.measure import budgets
from tools.measure.figures import FIGURES
from tools.pictures import demo, leds, measured, page
from tools.pictures.command import FOLDER, PICTURES, kept, show_states

MOST_BYTES = 60_000
LIGHTS = ("light", "dark")
SVG = "{http://www.w3.org/2000/svg}"
every_picture = pytest.mark.parametrize("name", PICTURES)


def test_the_demo_is_drawn_as_it_was_recorded():
    recorded = demo.load()
    assert kept("demo") == demo.draw(recorded), "python3 -m tools pictures draws it anew"
    assert demo.printed(recorded) == read_block("demo"), "python3 -m tools pictures writes it anew"


def test_a_demo_that_prints_something_else_is_recorded_anew(tmp_path, monkeypatch):
    lines = demo.load()
    for name in ("RECORDED", "README"):
        copy = tmp_path / name
        copy.write_text(getattr(demo, name).read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.setattr(demo, name, copy)
    readme = demo.README.read_text(encoding="utf-8")

    same = [demo.Line(at + 7, text.replace("127.0.0.1:", "127.0.0.1:1")) for at, text in lines]
    monkeypatch.setattr(demo, "record", lambda: same)
    demo.renew()
    assert demo.load() == lines and demo.README.read_text(encoding="utf-8") == readme

    other = [*same, demo.Line(1_000, "one more \\1")]
    monkeypatch.setattr(demo, "record", lambda: other)
    demo.renew()
    assert demo.load() == other
    assert f"```\n{demo.printed(other)}```" in demo.README.read_text(encoding="utf-8")


def test_the_terminal_shows_each_line_in_its_time_and_whole():
    text = "server │ " + ",".join(f'"field{number}":"…"' for number in range(12))
    picture = ElementTree.fromstring(demo.draw([demo.Line(0, "begin"), demo.Line(400, text)]))
    late = [group for group in picture.iter(f"{SVG}g") if group.get("class") == "at-400"]
    parts = [each.text.replace("\xa0", " ") for group in late for each in group]
    assert len(late) > 2 and [part for part in parts if "server" in part] == ["server │ "]
    assert "".join(part for part in parts if "│" not in part) == text.partition(" │ ")[2]
    shares = re.search(
        r"@keyframes at-400 .*?([\d.]+)% { opacity: 1 }", picture.find(f"{SVG}style").text
    )
    assert 0 < float(shares[1]) < 50


def test_the_leds_are_drawn_as_they_blink():
    assert kept("leds") == leds.draw(), "python3 -m tools pictures draws it anew"


def test_the_measured_figures_are_drawn():
    recorded = budgets.load()
    assert kept("measured") == measured.draw(recorded), "python3 -m tools pictures draws it anew"
    with_goal = [figure.what for figure in FIGURES if figure.goal is not None and figure.tested]
    assert all(f">{what}<" in kept("measured") for what in with_goal)


def test_a_figure_beyond_its_goal_and_one_beyond_the_room_are_seen():
    ours = {"encode": 45_000, "garbage_wait": 0}
    within = measured.draw({"firstboot": ours})
    beyond = measured.draw({"firstboot": {**ours, "garbage_wait": 1}})
    assert within.count('class="orange"') == 1 < beyond.count('class="orange"')
    far = measured.draw({"firstboot": ours, "aiocoap": {"encode": 900_000}})
    assert f'd="M{measured.RIGHT - 6} ' in far and "aiocoap" in far


@every_picture
def test_readme_shows_the_picture_and_says_what_it_shows(name):
    (words,) = re.findall(rf"!\[(.*)\]\(tools/pictures/{name}\.svg\)", README.read_text("utf-8"))
    assert len(words) > 20


@every_picture
def test_the_picture_is_small_still_for_those_who_want_it_and_holds_no_program(name):
    text = kept(name)
    assert len(text.encode()) < MOST_BYTES
    picture = ElementTree.fromstring(text)
    assert picture.findtext(f"{SVG}title") and picture.findtext(f"{SVG}desc")
    assert picture.get("role") == "img"
    assert "prefers-color-scheme: dark" in text
    assert "animation:" not in text or "prefers-reduced-motion" in text
    assert not re.search(r"<script|<foreignObject|\son\w+=|href|url\(|@import", text)


def test_the_screenshots_are_of_the_page_that_boards_have():
    assert not page.is_stale(), "python3 -m tools pictures makes them anew, with Chromium"


@pytest.mark.parametrize("name", page.SHEETS)
def test_readme_shows_the_screenshots_and_they_are_small(name):
    picture = FOLDER / f"{name}.webp"
    assert picture.read_bytes()[8:12] == b"WEBP" and picture.stat().st_size < 1.5 * MOST_BYTES
    (words,) = re.findall(rf"!\[(.*)\]\(tools/pictures/{name}\.webp\)", README.read_text("utf-8"))
    assert len(words) > 20


def test_every_kept_picture_is_drawn_by_the_command():
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(PICTURES)
    assert {path.stem for path in FOLDER.glob("*.webp")} == set(page.SHEETS)


LETTER = 0.58  # of the font's size, on an average: that of a wide one
SHARES = {"end": 1.0, "middle": 0.5}


def sides(text: ElementTree.Element) -> tuple[float, float]:
    """Where a text begins and ends, about."""
    look = text.get("class").split()
    width = len(text.text or "") * LETTER * (14 if "small" in look else 16)
    left = float(text.get("x")) - width * sum(SHARES.get(each, 0) for each in look)
    return left, left + width


@every_picture
def test_no_words_leave_the_picture_or_cross_others(name):
    picture = ElementTree.fromstring(kept(name))
    rows: dict[str, list[tuple[float, float]]] = {}
    for text in picture.iter(f"{SVG}text"):
        if not text.get("transform") and "mono" not in text.get("class"):
            rows.setdefault(text.get("y"), []).append(sides(text))
    for row in rows.values():
        edges = [0.0, *(edge for each in sorted(row) for edge in each), float(picture.get("width"))]
        assert edges == sorted(edges), edges


def test_the_page_is_drawn_in_each_of_its_states(tmp_path, monkeypatch):
    assert {"idle", "scanning", "apart", "broken", "provisioned"} < set(page.STATES)
    assert len({page.html(state) for state in page.STATES}) == len(page.STATES)
    lane.chromium()
    monkeypatch.setattr(page, "STATES", ("scanning", "apart"))
    drawn = page.draw_states(tmp_path / "states", "de")
    names = [f"{window}-{colours}-de-1" for window in ("phone", "laptop") for colours in LIGHTS]
    assert [path.stem for path in drawn] == names
    assert all(path.read_bytes()[:4] == b"RIFF" for path in drawn)


def test_without_a_browser_no_state_is_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert show_states(tmp_path / "states", "en") == 1
    assert "chromium is not on this computer" in capsys.readouterr().err
