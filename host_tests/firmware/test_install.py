"""firmware.update.install: a bundle gets whole into the slot that may be written, or not at all."""

import json
from hashlib import sha256

from firmware.update.errors import UpdateError
from host_tests.firmware.helpers import raises
from host_tests.firmware.updates import MPY, TITLE, Site, bundle, replay, sealed

FILES = {"app.py": b"def run(credentials): pass\n" * 100, "web/page.html": b"<p>", "zero": b""}


def named(files):
    return {"/" + path: content for path, content in files.items()}


def test_a_bundle_comes_into_a_slot_byte_for_byte():
    content = bundle(FILES)
    for size in (1, 7, 1024, len(content)):
        site = Site()
        site.update(content, size=size).switch()
        assert site.files("/a") == named(FILES)
        state = site.state
        assert (state.running, state.before, state.on_trial, state.found["starts"]) == (
            "/a",
            "",
            True,
            5,
        )
        package = state.package()
        assert (package["title"], package["version"]) == (TITLE, "2")
        assert (state.found["trial"], state.found["contact"]) == (7200, 3600)


def test_nothing_runs_before_it_is_switched_to():
    site = Site()
    site.update(bundle(FILES))
    assert site.state.running == "" and "/slots.json" not in site.folders.files


def test_the_next_one_goes_into_the_other_slot():
    site = Site()
    site.update(bundle(FILES)).switch()
    site.state.confirm()
    for version, place, before in (("3", "/b", "/a"), ("4", "/a", "/b"), ("5", "/b", "/a")):
        content = bundle({"app.py": version.encode()}, version)
        site.update(content, version).switch()
        assert (site.state.running, site.state.before) == (place, before)
        assert site.files(place) == {"/app.py": version.encode()}
        site.state.confirm()


def test_on_trial_the_one_before_is_not_written():
    site = Site()
    site.update(bundle(FILES)).switch()
    site.state.confirm()
    site.update(bundle(FILES, "3"), "3").switch()
    error = raises(UpdateError, site.install)
    assert error.may_pass and "on trial" in error.what
    site.state.fail("a reason")
    site.install()


def test_on_trial_after_the_root_there_is_a_slot_left_and_the_root_still_comes_back():
    site = Site()
    site.update(bundle(FILES)).switch()
    site.update(bundle(FILES, "3"), "3").switch()
    assert (site.state.running, site.state.before) == ("/b", "")


def test_a_download_goes_on_where_it_was():
    files = {"a": b"1" * 20_000, "app.py": b"2" * 40_000, "z": b"3" * 3000}
    content = bundle(files)
    for stop in range(500, len(content), 3333):
        site = Site()
        site.begin(content).write(content[:stop])
        again = site.begin(content)
        assert stop - 16_384 - 1024 < again.offset <= stop and again.offset % 1024 == 0
        replayed = bytearray()
        assert replay(again, replayed.extend)
        assert replayed == content[: again.offset]
        again.write(content[again.offset :])
        again.finish()
        assert site.files("/a") == named(files)


def test_a_download_that_is_all_there_is_only_finished():
    site = Site()
    content = bundle(FILES)
    site.begin(content).write(content)
    again = site.begin(content)
    assert again.offset == len(content)
    again.switch()
    assert site.state.running == "/a"


def test_files_that_the_application_has_changed_come_again():
    """A version that ran before is assigned again: its slot is as it has left it."""
    content = bundle(FILES)
    for change in (b"", b"x", FILES["app.py"][:-1] + b"x", FILES["app.py"] + b"x" * 3000):
        for name in FILES:
            site = Site()
            site.update(content).switch()
            site.state.confirm()
            site.update(bundle(FILES, "3"), "3").switch()
            site.state.confirm()
            site.folders.files["/a/" + name] = change
            again = site.begin(content)
            assert again.offset <= len(content) and site.state.before == ""
            try:
                again.write(content[again.offset :])
                again.finish()
            except UpdateError as error:
                assert error.may_pass
                again = site.update(content)
            again.switch()
            assert site.files("/a") == named(FILES)


def test_another_package_starts_over():
    site = Site()
    site.begin(bundle({"app.py": b"1" * 5000})).write(bundle({"app.py": b"1" * 5000}))
    content = bundle({"app.py": b"2"}, "3")
    installation = site.begin(content, "3")
    assert installation.offset == 0 and site.files("/a") == {}
    installation.write(content)
    installation.finish()
    assert site.files("/a") == {"/app.py": b"2"}


def test_what_came_under_another_key_starts_over():
    content = bundle({"app.py": b"x" * 40_000})
    for stop in (20_000, len(content)):
        site = Site()
        site.begin(content).write(content[:stop])
        site.settings["key"] = "a key that it is not signed with"
        assert site.begin(content).offset == 0 and site.files("/a") == {}


def test_files_for_other_boards_are_not_kept():
    files = [
        ("-", "app.py", b"# any"),
        ("5.2", "lib/x.mpy", b"old" * 900),
        (MPY, "lib/x.mpy", b"mine"),
        ("7", "lib/x.mpy", b"new" * 900),
        ("-", "z", b"z" * 9000),
    ]
    content = bundle(files)
    site = Site()
    site.update(content)
    kept = {"/app.py": b"# any", "/z": b"z" * 9000}
    if MPY != "0.3":
        kept["/lib/x.mpy"] = b"mine"
    assert site.files("/a") == kept
    site = Site()
    site.begin(content).write(content[:-100])
    again = site.begin(content)
    assert 0 < again.offset < len(content) and not replay(again, lambda data: None)
    again.write(content[again.offset :])
    again.finish()
    assert site.files("/a") == kept


def test_a_byte_that_differs_is_found_before_it_runs():
    content = bundle({"app.py": b"1" * 600, "b": b"2" * 600})
    for at in range(0, len(content), 13):
        site = Site()
        wrong = content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]
        error = raises(UpdateError, site.update, wrong)
        assert error.what and error.fix
        assert site.state.running == ""
        # Nothing is left to go on with.
        assert site.begin(content).offset == 0
        site.update(content)


def test_a_package_that_ends_early_or_late():
    site = Site()
    content = bundle(FILES)
    installation = site.begin(content)
    installation.write(content[:-30])
    error = raises(UpdateError, installation.switch)
    assert error.may_pass and site.state.running == ""
    installation = site.begin(content)
    installation.write(content[installation.offset :])
    assert raises(UpdateError, installation.write, b"x").may_pass


def test_what_belongs_to_another_board_writes_nothing():
    import sys

    newer = "%d.%d" % (sys.implementation.version[0] + 1, 0)
    for content, what in (
        (bundle(FILES, boards="esp8266 stm32"), "is for esp8266 stm32"),
        (bundle(FILES, micropython=newer), "needs MicroPython " + newer),
        (bundle(FILES, firmware="99.0.0"), "needs firstboot 99.0.0"),
        (bundle({"main": b""}), "has no app.py"),
        (bundle([("5.0", "app.mpy", b"")]), "has no app.py"),
        (bundle(FILES, "7"), "calls it my-app 2, but the bundle is my-app 7"),
        (bundle(FILES, title="x"), "calls it my-app 2, but the bundle is x 2"),
    ):
        site = Site()
        site.put("/package", "mine")
        before = dict(site.folders.files)
        error = raises(UpdateError, site.update, content)
        assert what in error.what and error.fix and not error.may_pass, error
        assert site.folders.files == before


def test_a_bundle_with_firmware_needs_none_of_the_root():
    site = Site()
    site.update(bundle({"app.py": b"", "firmware/application.py": b"x"}, firmware="99.0.0"))


def test_files_that_leave_their_place_are_refused():
    for path in (
        "../app.py",
        "a/../../main.py",
        "/main.py",
        "a//b",
        "./a",
        "a/.",
        "a\\b",
        "main.py",
        "main.mpy",
        "boot.py",
        "config.json",
        "credentials.json",
        "manifest",
        "package",
        "manifest.new/x",
        "manifest.rest",
        "package.new/x",
        "x" * 101,
    ):
        site = Site()
        error = raises(UpdateError, site.update, bundle([("-", path, b"")]))
        assert "does not belong into a slot" in error.what, path
        assert list(site.folders.files) == [""]
    site = Site()
    site.update(bundle({"app.py": b"", "web/main.py": b"", "x/config.json": b"{}"}))


def test_a_path_that_is_a_file_and_a_folder_leaves_room_for_the_next():
    site = Site()
    content = bundle({"app.py": b"x", "app.py/x": b"x"})
    assert raises(UpdateError, site.update, content).may_pass
    site.update(bundle(FILES, "3"), "3").switch()
    assert site.files("/a") == named(FILES)


def test_what_is_no_bundle():
    head = "firstboot-bundle 1\ntitle my-app\nversion 2\n"
    digest = sha256(b"").digest().hex()
    file = "file - 0 %s " % digest
    app = file + "app.py\n"
    belongs = "does not belong there"
    nothing = "says nothing"
    fits = "does not fit"
    order = "in no order, or one is there twice"
    Site().update(sealed(head + app))
    # After the first ones each is whole but for one thing.
    for content, what in (
        (b"\n", "is not whole"),
        (b"x" * 3000, "is not whole"),
        (b"x\n" * 9000, nothing),
        (b"\x00\xff\n\n", nothing),
        (sealed(head.replace("1", "2", 1) + app), "its format is 2"),
        (sealed("title my-app\nversion 2\n" + app), belongs),
        (sealed("firstboot-bundle 1\nversion 2\ntitle my-app\n" + app), belongs),
        (sealed("firstboot-bundle 1\ntitle my-app\n" + app), belongs),
        (sealed(head + "title my-app\n" + app), belongs),
        (sealed(head + "strange x\n" + app), belongs),
        (sealed(head + app + "strange x\n"), belongs),
        (sealed(head + app + "boards esp32\n"), belongs),
        (sealed(head + "micropython 1.23\nboards linux\n" + app), belongs),
        (sealed(head + "micropython one\n" + app), "names no version: one"),
        (sealed(head + "boards\n" + app), nothing),
        (sealed(head + "boards  linux\n" + app), nothing),
        (sealed(head + "boards linux \n" + app), nothing),
        (sealed(head + app + file + "\n"), nothing),
        (sealed(head + app + file[:-1] + "\n"), fits),
        (sealed(head + app + "file - -1 %s b\n" % digest), fits),
        (sealed(head + app + "file - 1 00 b\n"), fits),
        (sealed(head + app + "file - 99999999 %s b\n" % digest), fits),
        (sealed(head + app + "file - 000000000 %s b\n" % digest), fits),
        (sealed(head + app + file + "a\n"), order),
        (sealed(head + app + app), order),
        (sealed(head + app + file + "a\x01b\n"), nothing),
        (sealed(head + "boards linux%s\n" % (" x" * 100) + app), "longer than"),
        (head.encode() + app.encode() + b"\n", "is not whole"),
        (sealed(head + app)[:-1] + b"title x\n\n", belongs),
        (sealed(head + app).replace(b"sha256 ", b"sha256 0"), "is damaged"),
        (sealed(head + app, lambda data: b"a"), "is no base64"),
    ):
        site = Site()
        error = raises(UpdateError, site.update, content)
        assert what in error.what and error.fix, (content, error)
        assert list(site.folders.files) == [""], content


def test_no_room_is_said_before_the_first_byte():
    site = Site()
    content = bundle({"app.py": b"x" * 50_000})
    site.folders.room = 70_000
    error = raises(UpdateError, site.begin, content)
    assert "no room" in error.what and str(len(content)) in error.what
    assert list(site.folders.files) == [""]
    # Of many small files each takes a block.
    many = {"app.py": b""}
    many.update({"f%d" % number: b"x" for number in range(30)})
    error = raises(UpdateError, site.update, bundle(many))
    assert "no room" in error.what
    assert list(site.folders.files) == [""]


def test_a_flash_that_fills_while_it_is_written():
    site = Site()
    content = bundle({"app.py": b"x" * 50_000})
    installation = site.begin(content)
    installation.write(content[:1024])
    site.folders.room = 20_000
    error = raises(UpdateError, installation.write, content[1024:])
    assert error.may_pass and "cannot be written" in error.what


def test_what_failed_gives_its_room_to_the_next():
    site = Site()
    site.update(bundle(FILES)).switch()
    site.state.fail("x")
    site.update(bundle({"app.py": b"3"}, "3"), "3").switch()
    site.state.confirm()
    site.update(bundle({"app.py": b"4"}, "4"), "4").switch()
    site.state.fail("x")
    assert (site.state.running, site.state.before) == ("/a", "")
    site.begin(bundle({"app.py": b"5"}, "5"), "5")
    assert site.files("/a") == {"/app.py": b"3"} and site.files("/b") == {}


def test_what_is_refused_leaves_the_version_that_comes_back():
    """Until its list of files has been judged, the proven version before stays whole."""
    site = Site(key=None)
    for version in ("2", "3"):
        site.update(bundle({"app.py": version.encode()}, version), version).switch()
        site.state.confirm()
    before = dict(site.folders.files)
    site.folders.room = 100_000
    for content, what in (
        (b"x" * 3000, "is no bundle"),
        (bundle(FILES, "4", boards="esp8266"), "is for esp8266"),
        (bundle({"../app.py": b""}, "4"), "does not belong into a slot"),
        (bundle({"app.py": b"x" * 90_000}, "4"), "no room"),
    ):
        error = raises(UpdateError, site.update, content, "4")
        assert what in error.what
        assert (site.state.running, site.state.before) == ("/b", "/a")
        assert site.folders.files == before
    content = bundle(FILES, "4")
    installation = site.begin(content, "4")
    manifest = content.find(b"\n\n")
    installation.write(content[:manifest])
    assert site.state.before == "/a" and site.files("/a")["/app.py"] == b"2"
    installation.write(content[manifest:])
    assert site.state.before == ""
    installation.switch()
    assert site.files("/a") == named(FILES)


def test_what_ends_within_its_manifest_is_not_taken_for_the_version_that_comes_back():
    site = Site()
    for version in ("2", "3"):
        site.update(bundle({"app.py": version.encode()}, version), version).switch()
        site.state.confirm()
    before = dict(site.folders.files)
    for content in (b"x", b"words of a text\n" * 200, bundle(FILES, "4")[:300]):
        error = raises(UpdateError, site.update, content, "4")
        assert "is no bundle" in error.what and not error.may_pass
        assert site.folders.files == before and site.state.before == "/a"


def test_the_version_that_comes_back_makes_room_for_the_next():
    for path in ("app.py", "deep/in/it.py"):
        site = Site()
        for version in ("2", "3"):
            files = {"app.py": b"", path: version.encode() * 41_000}
            site.update(bundle(files, version), version).switch()
            site.state.confirm()
        site.folders.room = 50_000
        site.update(bundle(files, "4"), "4").switch()
        assert site.files("/a") == named(files)


def test_on_a_full_flash_it_makes_room_for_the_list_of_files_too():
    site = Site()
    for version in ("2", "3"):
        content = bundle({"app.py": version.encode() * 90_000}, version)
        site.update(content, version).switch()
        site.state.confirm()
    site.folders.room = 1_000
    files = {"lib/%s%d.py" % ("long" * 10, number): b"" for number in range(8)}
    files["app.py"] = b"4"
    site.update(bundle(files, "4"), "4").switch()
    assert site.files("/a") == named(files)


def test_only_what_is_proven_comes_back():
    """While it is written over, the root stands in for what came back."""
    site = Site()
    site.update(bundle(FILES)).switch()
    site.state.confirm()
    site.update(bundle(FILES, "3"), "3").switch()
    site.state.confirm()
    assert site.state.before == "/a"
    site.begin(bundle(FILES, "4"), "4").write(bundle(FILES, "4"))
    assert (site.state.running, site.state.before) == ("/b", "")
    assert json.loads(site.folders.files["/slots.json"])["before"] == {"place": ""}


def test_a_watchdog_is_fed_while_much_is_read():
    site = Site()
    content = bundle({"app.py": b"x" * 10_240})
    installation = site.begin(content)
    installation.write(content)
    site.idled = 0
    installation.finish()
    assert site.idled >= 20
