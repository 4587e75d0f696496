"""A storm: every board is provisioned, jitter is what does it, and README's figures are true."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.cli import app
from tools.pictures import storm
from tools.pictures.command import kept
from tools.storm import power, restart, update
from tools.storm.report import figures_of, storm_table
from tools.storm.simulation import Weather
from tools.storm.update import SPREAD

README = Path(__file__).resolve().parent.parent / "README.md"


def test_every_board_is_provisioned():
    for weather in (
        Weather(boards=300, rate_limit=50),
        Weather(boards=300, rate_limit=50, outage=60),
        Weather(boards=300, rate_limit=20, loss=0.3, seed=2),
    ):
        storm = power.simulate(weather)
        assert len(storm.provisioned) == weather.boards
        assert storm.time_until(1) >= weather.outage * 1000


def test_the_same_seed_is_the_same_storm():
    weather = Weather(boards=200, rate_limit=20, loss=0.2, seed=7)
    assert power.simulate(weather) == power.simulate(weather)
    assert power.simulate(weather) != power.simulate(
        Weather(boards=200, rate_limit=20, loss=0.2, seed=8)
    )


def test_jitter_is_what_does_it():
    weather = Weather(boards=500, rate_limit=20)
    with_jitter, without = power.simulate(weather), power.simulate(weather, jitter=False)
    last = without.time_until(weather.boards)
    assert last is None or last > 5 * with_jitter.time_until(weather.boards)


def test_a_server_that_handles_all_needs_one_datagram_a_board():
    storm = power.simulate(Weather(boards=100, rate_limit=1000))
    assert storm.sent == 100


def test_figures_as_json():
    arguments = ["storm", "--boards", "50", "--rate-limit", "20", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures["with jitter"]["s until all are"] < figures["without jitter"]["s until all are"]


@pytest.fixture(scope="module")
def shown():
    """The storms that README.md shows, in figures and as a picture."""
    return storm.both_storms()


def test_readme_shows_what_the_command_prints(shown):
    text = README.read_text(encoding="utf-8").split("<!-- storm -->\n", 1)[1]
    table = re.match(r"```\n(.*?)```", text, re.DOTALL)[1]
    figures = map(figures_of, shown)
    assert table == storm_table(dict(zip(("with jitter", "without jitter"), figures)))


def test_the_picture_shows_what_the_command_prints(shown):
    assert kept("storm") == storm.draw(*shown), "python3 -m tools pictures draws it anew"


RESTART = Weather(rate_limit=100, outage=60)


def test_after_a_restart_every_board_observes_again():
    for weather in (
        Weather(boards=200, rate_limit=50, outage=30),
        Weather(boards=200, rate_limit=20, outage=60, loss=0.2, seed=3),
    ):
        storm = restart.simulate(weather)
        assert len(storm.provisioned) == weather.boards
        assert storm == restart.simulate(weather)


def test_after_a_restart_jitter_spreads_the_boards():
    weather = Weather(boards=1000, rate_limit=20, outage=60)
    with_jitter, without = restart.simulate(weather), restart.simulate(weather, jitter=False)
    last = without.time_until(weather.boards)
    assert last is None or last > 3 * with_jitter.time_until(weather.boards)


def test_the_restart_in_readme_is_this_one():
    """Of the column with jitter; the other takes five times as long to make."""
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"<!-- storm restart -->\n```\n(.*?)```", text, re.DOTALL).group(1)
    figures = figures_of(restart.simulate(RESTART), "restart")
    rows = storm_table({"with jitter": figures}).splitlines()[1:]
    for row, line in zip(rows, shown.splitlines()[1:], strict=True):
        assert line.split()[: len(row.split())] == row.split()


def test_every_board_gets_an_update_through_loss():
    for weather in (
        Weather(boards=200, rate_limit=100),
        Weather(boards=100, rate_limit=20, outage=60, loss=0.1, seed=3),
        Weather(boards=20, rate_limit=100, size=1),
    ):
        storm = update.simulate(weather)
        assert len(storm.provisioned) == weather.boards
        assert storm == update.simulate(weather)


def test_an_update_takes_what_its_blocks_take():
    """Told, 4 states of 2 datagrams, 20 blocks, and one of the first block that is acknowledged."""
    storm = update.simulate(Weather(boards=10, rate_limit=1000))
    assert storm.sent == 10 * (4 * 2 + 20 + 1)


def test_jitter_keeps_the_server_answering_while_it_serves_an_update():
    weather = Weather(boards=1000, rate_limit=100)
    with_jitter, without = update.simulate(weather), update.simulate(weather, jitter=False)
    assert with_jitter.dropped < with_jitter.sent / 100
    assert without.dropped > without.sent / 2
    assert with_jitter.time_until(weather.boards) < (SPREAD + 60) * 1000


UPDATE = Weather(rate_limit=1000)


def test_the_update_in_readme_is_this_one():
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"<!-- storm update -->\n```\n(.*?)```", text, re.DOTALL).group(1)
    storms = {"with jitter": True, "without jitter": False}
    figures = {
        name: figures_of(update.simulate(UPDATE, on), "update") for name, on in storms.items()
    }
    assert storm_table(figures) == shown
