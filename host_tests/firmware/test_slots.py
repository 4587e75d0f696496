"""firmware.update.slots and .start: which place runs, and what is noted of it."""

from firmware.board import kept
from firmware.errors import FirstbootError
from firmware.update.slots import State
from firmware.update.start import choose, is_to_be_noted, reason
from host_tests.firmware.helpers import raises
from host_tests.firmware.updates import SETTINGS, TITLE, Site, bundle
from host_tests.firmware.world import EIO, os_error

PACKAGE = {"title": TITLE, "version": "2", "checksum": "c", "size": 5}
CREDENTIALS = {"credentialsValue": "the-token", "server": "coap://example.com"}


def on_trial(confirmed=False):
    site = Site()
    site.update(bundle({"app.py": b""})).switch()
    if confirmed:
        site.state.confirm()
    return site


def test_a_board_without_the_file_runs_the_root():
    state = Site().state
    assert (state.running, state.before, state.on_trial, state.package()) == ("", "", False, None)
    assert state.found["failed"] is None and state.found["untold"] is None and state.slot() == "/a"


def test_a_file_that_cannot_be_read_runs_the_root():
    for content in (
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff\xff",
        b"{}",
        b'{"running": {"place": "/x"}, "before": {"place": ""}}',
        b'{"running": {"place": "/a"}, "before": {"place": "/a"}}',
    ):
        site = on_trial()
        site.folders.files["/slots.json"] = content
        assert choose(site.state) == ""
        # And what is installed then begins anew.
        site.update(bundle({"app.py": b"3"}, "3"), "3").switch()
        assert choose(site.state) == "/a" and site.files("/a") == {"/app.py": b"3"}


def test_each_part_of_the_file_is_looked_at():
    site = on_trial()
    import json

    found = json.loads(site.folders.files["/slots.json"])
    for key in found:
        for value in ("x", 1, [], ["x"], {}, {1: 2}):
            wrong = dict(found, failed=dict(PACKAGE, why="x"))
            wrong[key] = value
            site.put("/slots.json", wrong)
            state = site.state
            assert state.running in ("", "/a") and state.untold() in ("", "x")
            assert state.slot() and state.unneeded() and state.root_firmware() is not None
        del wrong[key]
        site.put("/slots.json", wrong)
        assert site.state.running == ""
    # What is told of it, and compared with it, is there.
    words = {"title": "x", "version": "1", "checksum": "x", "why": "x"}
    for key in words:
        short = dict(words)
        del short[key]
        for wrong in (
            {"failed": short},
            {"untold": "FAILED"},
            {"progress": 1},
            {"progress": {1: 2}},
        ):
            site.put("/slots.json", dict(found, **wrong))
            assert site.state.running == "" and not site.state.has_failed("x", "1", "x")


def test_a_flash_that_does_not_read_runs_the_root_and_changes_nothing():
    site = on_trial()
    before = site.folders.files["/slots.json"]
    open = site.storage.open

    def fails(path, mode):
        if path == "/slots.json":
            raise os_error(EIO)
        return open(path, mode)

    site.storage.open = fails
    state = site.state
    assert state.running == ""
    for change in (state.confirm, state.count_start):
        raises(FirstbootError, change)
    for change in (state.fail, state.told):
        raises(FirstbootError, change, "FAILED")
    assert site.folders.files["/slots.json"] == before


def test_starts_are_counted_before_they_run():
    site = on_trial()
    for left in (4, 3, 2, 1, 0):
        assert choose(site.state) == "/a" and site.state.found["starts"] == left
    assert choose(site.state) == ""
    state = site.state
    assert (
        not state.on_trial
        and state.found["failed"]["why"] == "it did not prove itself in its starts"
    )
    assert state.has_failed(TITLE, "2", "checksum 2") and state.found["untold"] == "FAILED"
    assert not state.has_failed(TITLE, "2", "another") and not state.has_failed(TITLE, "3", "")


def test_what_is_proven_is_not_counted():
    site = on_trial(confirmed=True)
    before = site.folders.files["/slots.json"]
    for _ in range(9):
        assert choose(site.state) == "/a"
    assert site.folders.files["/slots.json"] == before
    state = site.state
    assert state.found["untold"] == "UPDATED"
    state.told("UPDATED")
    assert site.state.found["untold"] is None


def test_the_root_is_never_rolled_back():
    site = Site()
    site.folders.files["/app.py"] = b"# mine"
    site.state.fail("x")
    site.state.confirm()
    assert sorted(site.folders.files) == ["", "/app.py"]


def test_a_slot_that_is_gone_gives_way():
    for confirmed in (False, True):
        site = on_trial(confirmed)
        del site.folders.files["/a/manifest"]
        assert (
            choose(site.state) == "" and "its files are gone" in site.state.found["failed"]["why"]
        )


def test_a_start_that_cannot_be_noted_runs_the_one_before():
    site = on_trial()
    site.folders.room = 0
    assert choose(site.state) == ""
    # Nor that it has failed; the next start does.
    assert site.state.on_trial and is_to_be_noted(site.state)
    site.folders.room = 10_000
    assert choose(site.state) == "" and site.state.found["failed"]["version"] == "2"
    assert not is_to_be_noted(site.state)


def test_what_proves_itself_on_a_flash_that_is_full_stays():
    site = on_trial()
    site.folders.files.update({"/b": None, "/b/x.mpy": bytes(4096)})
    site.folders.room = 0
    site.state.confirm()
    state = site.state
    assert (state.running, state.on_trial, state.found["untold"]) == ("/a", False, "UPDATED")


def test_a_memory_that_is_too_short_says_nothing_of_the_file():
    site = on_trial()

    def fails(path, mode):
        raise MemoryError

    site.storage.open = fails
    raises(MemoryError, State, site.storage)


def test_a_package_that_never_ran_is_refused():
    site = on_trial(confirmed=True)
    site.state.refuse(TITLE, "3", "c", "no room" * 99)
    state = site.state
    assert state.running == "/a" and state.has_failed(TITLE, "3", "c")
    assert state.found["untold"] == "UPDATED FAILED" and len(state.found["failed"]["why"]) == 200


def test_progress_is_kept_until_it_is_told():
    site = Site()
    site.state.keep(["sw", 1])
    assert site.state.found["progress"] == ["sw", 1] and choose(site.state) == ""
    site.state.told("UPDATED")
    assert site.state.found["progress"] is None


def test_an_outcome_that_comes_while_another_is_told_is_told_too():
    site = on_trial()
    state = site.state
    state.refuse(TITLE, "3", "c", "no room", ["sw", "3", 4])
    assert state.untold() == "FAILED"
    # ThingsBoard's answer to that ends the trial.
    site.state.confirm()
    state.told("FAILED")
    assert site.state.untold() == "UPDATED" and site.state.found["progress"]
    site.state.told("UPDATED")
    assert site.state.untold() == "" and site.state.found["progress"] is None


def test_a_package_that_is_refused_before_the_last_was_told():
    site = on_trial(confirmed=True)
    site.state.refuse(TITLE, "3", "c", "no room")
    assert site.state.untold() == "UPDATED"
    site.state.told("UPDATED")
    assert site.state.untold() == "FAILED"


def test_another_state_of_the_same_file_sees_what_was_changed():
    site = on_trial()
    first, second = site.state, site.state
    first.count_start()
    second.keep([1])
    assert site.state.found["starts"] == 4
    first.confirm()
    second.told("UPDATED")
    assert not site.state.on_trial


def test_the_root_s_version_is_kept():
    site = Site()
    root = kept.VERSION
    try:
        State(site.storage).switch("/a", PACKAGE, SETTINGS)
        site.state.confirm()
        kept.VERSION = "9.0.0"
        State(site.storage).switch("/b", PACKAGE, SETTINGS)
        assert site.state.root_firmware() == root
        site.state.fail("a reason")
        site.state.fail("another")
        # The root runs, and was flashed anew.
        assert site.state.root_firmware() == "9.0.0"
    finally:
        kept.VERSION = root


def test_a_reason_has_no_secret():
    site = Site()
    site.put("/credentials.json", CREDENTIALS)
    config = {
        "wifi": [{"ssid": "home", "password": "correct horse"}],
        "provisioning": {"provisionDeviceSecret": "s3cret", "deviceName": "sensor-1"},
        "update": None,
    }
    site.put("/config.json", config)
    for error, expected in (
        (KeyError("the-token"), "KeyError: "),
        (
            ValueError("no correct horse for s3cret at sensor-1"),
            "ValueError: no … for … at sensor-1",
        ),
        (MemoryError(), "MemoryError: "),
    ):
        words = reason(error, site.folders.open)
        assert words.startswith(expected)
        assert "the-token" not in words
    site.folders.files["/config.json"] = b"{"
    assert reason(ValueError("x"), site.folders.open) == "ValueError: x"
