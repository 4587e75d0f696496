"""The pictures in README.md show what is true, and can be read by everybody."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from host_tests.update_readme import README
from tools.measure import budgets
from tools.measure.figures import FIGURES
from tools.pictures import leds, measured
from tools.pictures.command import FOLDER, PICTURES, kept

MOST_BYTES = 60_000
SVG = "{http://www.w3.org/2000/svg}"
every_picture = pytest.mark.parametrize("name", PICTURES)


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


def test_every_kept_picture_is_drawn_by_the_command():
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(PICTURES)
