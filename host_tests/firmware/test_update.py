"""firmware.update: a package is downloaded, installed and told of, in virtual time."""

import sys

from firmware.update import states
from firmware.update.errors import UpdateError, passing
from host_tests.firmware import updates
from host_tests.firmware.at_work import credentials
from host_tests.firmware.helpers import raises
from host_tests.firmware.ota import (
    BLOCK,
    BLOCK2,
    Flash,
    Installation,
    Site,
    Trial,
    attributes,
    bundle,
)
from host_tests.firmware.world import Reset, example

ALL = ["DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING"]
SOON = {"spread": 1}
HOUR = 3_600_000
# What may become of a datagram: how late each copy of it is, in ms.
FATES = ((), (), (0, 5), (3_000,), (70,), (0, 40_000))


class Draw:
    """Numbers by chance, the same on both interpreters."""

    def __init__(self, seed):
        self._seed = seed

    def __call__(self, below):
        self._seed = (self._seed * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._seed >> 8) % below


def assigned(**how):
    """Return a Site that has been assigned a package, and its bytes."""
    site = Site(config=SOON)
    site.run(5_000)
    return site, site.assign(**how)


def refused(site, refusal=None, version="1.0"):
    """Assign a package that the board refuses, and let it."""
    before, Installation.refusal = Installation.refusal, refusal or UpdateError("bad", "Mend it.")
    try:
        site.assign(version, size=2000)
        site.run(10 * 60_000)
    finally:
        Installation.refusal = before
    assert site.stages()[-2:] == ["DOWNLOADING", "FAILED"]


def why(site):
    """Return the only error that was told."""
    (told,) = site.told("sw_error")[-1:]
    return told["sw_error"]


def test_a_package_is_downloaded_and_switched_to():
    site, data = assigned(size=5000)
    site.run(60_000)
    assert site.data == data and site.stages() == ALL and site.resets == 1
    assert site.packages.blocks == [(number, 6) for number in range(5)]
    assert site.state.running == "/a" and site.state.on_trial
    assert site.told("current_sw_title") == [{}] * 4
    site.trial.confirm()
    site.run(10_000)
    assert site.told()[-1] == {
        "sw_state": "UPDATED",
        "current_sw_title": "app",
        "current_sw_version": "1.0",
    }
    site.run(HOUR)
    assert site.stages() == ALL + ["UPDATED"] and site.resets == 1
    assert len(site.packages.blocks) == 5


def test_firmware_is_a_package_too():
    site, data = assigned(kind="fw", size=2048)
    site.run(60_000)
    assert site.data == data and site.stages("fw") == ALL
    site.trial.confirm()
    site.run(10_000)
    assert site.told()[-1]["current_fw_version"] == "1.0" and site.stages("sw") == []


def test_where_software_and_firmware_are_assigned_the_software_is_taken():
    site = Site(config=SOON)
    site.run(5_000)
    site.assign("1.0", kind="fw")
    data = site.assign("2.0")
    site.run(60_000)
    assert site.data == data and site.stages() == ALL and site.stages("fw") == []


def test_a_rollback_is_told_once_and_the_package_is_not_tried_again():
    site, _ = assigned()
    site.run(60_000)
    site.state.fail("app.py raised ValueError")
    site.power_on()
    site.run(HOUR)
    assert site.stages() == ALL + ["FAILED"] and site.resets == 1
    assert site.told("sw_error")[-1] == {"sw_error": "app.py raised ValueError"}
    site.power_on()
    site.run(60_000)
    assert site.stages() == ALL + ["FAILED"]
    site.assign("2.0")
    site.run(60_000)
    assert site.stages() == ALL + ["FAILED"] + ALL and site.resets == 2


def test_a_package_that_ends_with_its_first_block_is_doubted_like_any_of_another_size():
    site = Site(config=SOON)
    site.run(5_000)
    site.packages.short = b"x" * 500
    data = site.assign(size=3000)
    site.run(60_000)
    assert site.stages() == ["DOWNLOADING"] and site.resets == 0
    site.packages.short = None
    site.run(10 * 60_000, until_reset=True)
    assert site.data == data and site.stages() == ALL


def test_what_is_no_bundle_and_ends_early_is_told_as_that_at_once():
    for data in (bytes(600), b"x", b"words of a text\n" * 200):
        site = Site(config=SOON, flash=Flash())
        site.run(5_000)
        site.assign(data=data)
        site.run(HOUR)
        assert site.stages() == ["DOWNLOADING", "FAILED"], data[:20]
        assert "is no bundle" in why(site)
        assert len(site.packages.blocks) == -(-len(data) // 1024)


def test_a_file_that_cannot_be_closed_holds_nothing_up():
    def fails():
        raise OSError(28)

    site = Site(config=SOON, flash=Flash())
    site.run(5_000)
    site.assign(data=updates.bundle({"app.py": b"x" * 8000}, "1.0", title="app"))
    site.until(blocks=5)
    job = site.device.session.observed.update._job
    job.writer.out.close = fails
    site.unassign()
    site.run(60_000)
    assert job.writer is None and site.device.session.trouble is None


def test_without_a_trial_that_could_be_made_what_is_assigned_is_taken():
    """There was no memory for it, or no timer, and the root runs."""
    site, _ = assigned(size=3000)
    site.run(60_000, until_reset=True)
    site.board.trial = site.trial = None
    site.assign("2.0", size=3000)
    site.run(60_000, until_reset=True)
    assert site.stages()[4:] == ALL and site.resets == 2


def test_what_is_assigned_during_a_trial_waits_for_its_end():
    """ThingsBoard reads the last state as that of what is assigned."""
    site, _ = assigned(size=3000)
    site.run(60_000, until_reset=True)
    blocks = len(site.packages.blocks)
    site.assign("2.0")
    site.run(60_000)
    assert len(site.packages.blocks) == blocks and site.stages()[4:] == []
    site.trial.confirm()
    site.run(60_000, until_reset=True)
    assert site.stages()[4:] == ["UPDATED"] + ALL and site.resets == 2


def test_what_failed_is_tried_again_once_another_was_assigned():
    site, _ = assigned(size=3000)
    running = dict(site.attributes)
    site.run(60_000, until_reset=True)
    site.trial.confirm()
    refused(site, version="2.0")
    failed = dict(site.attributes)
    site.set(running)
    site.run(60_000)
    assert site.resets == 1 and site.state.found["failed"] is None
    site.set(failed)
    site.run(60_000, until_reset=True)
    assert site.resets == 2 and site.stages()[-4:] == ALL


def test_an_outcome_is_told_also_when_nothing_is_assigned_any_more():
    site, _ = assigned()
    site.run(60_000)
    site.state.fail("it did not prove itself")
    site.unassign()
    site.power_on()
    site.run(10_000)
    assert site.stages() == ALL + ["FAILED"]


def test_every_checksum_of_thingsboard():
    for algorithm, checksum, is_right in (
        ("MD5", "9bf1a3e1b3c6ee1e8a1cfc3ee5ac8e02", False),
        ("CRC32", "a3e1b3c6", False),
        ("SHA3", "00", True),
    ):
        site, data = assigned(size=3000, algorithm=algorithm, checksum=checksum)
        site.run(HOUR)
        if is_right:
            assert site.stages() == ALL
            assert "SHA3 is not checked" in "\n".join(site.world.lines)
        else:
            # It may have been a bit on the way: not at once.
            assert site.stages() == ALL[:2] + ["FAILED"]
            assert len(site.packages.blocks) == 9
            assert algorithm in why(site)


def test_a_checksum_in_upper_case():
    """As PowerShell and certutil print it, for whom ThingsBoard makes none."""
    data = bundle(3000)
    site, _ = assigned(size=3000, checksum=attributes("sw", "", "", data)["sw_checksum"].upper())
    site.run(60_000)
    assert site.data == data and site.stages() == ALL


def test_telemetry_calls_and_changes_go_on_meanwhile():
    site = Site(config=SOON)
    done, changes, readings = [], [], []
    site.device.on_rpc("m", lambda params: done.append(len(site.packages.blocks)))
    site.device.on_attributes(changes.append)
    site.run(5_000)
    site.assign(size=50 * BLOCK)
    site.until(blocks=5)
    del changes[:]
    while len(site.packages.blocks) < 45:
        number = len(site.packages.blocks)
        site.call(number, "m")
        site.set({"a": number})
        site.device.send_telemetry({"x": number})
        site.device.wait(50)
        readings.append(number)
        assert done[-1] - number < 5 and changes[-1] == {"a": number}
    assert len(readings) > 5 and len(done) == len(changes) == len(readings)
    assert len(site.of("rpc/%d" % readings[-2])) == 1
    assert sorted(site.telemetry()["x"].values()) == readings


def test_bytes_on_the_wire():
    site, data = assigned(size=30_000)
    asked = []
    answer = site.packages.answer

    def noted(*request):
        asked.append(site.wire.bytes)
        return answer(*request)

    site.packages.answer = noted
    site.run(60_000)
    assert site.data == data
    assert (asked[-1] - asked[0]) / (len(asked) - 1) < 1.05 * BLOCK


def test_what_a_restart_of_thingsboard_leaves_goes_on():
    site, data = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    site.packages.restart()
    site.run(5 * 60_000)
    assert site.data == data and site.stages() == ALL
    # The one that was not answered, then the first one again, of 16 bytes.
    assert len(site.packages.blocks) == 22 and (0, 0) in site.packages.blocks


def test_an_outage_goes_on_where_it_was():
    site, data = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    site.wire.is_cut = True
    site.run(10 * 60_000)
    site.wire.is_cut = False
    site.run(20 * 60_000)
    assert site.data == data and site.stages() == ALL
    assert len(site.packages.blocks) == 21


def test_a_connection_that_carries_no_block_is_left():
    """Nothing else is sent that would find out."""
    site, _ = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    connections = len(site.transports)
    site.wire.is_cut = True
    site.device.wait(200_000)
    assert len(site.transports) > connections


def test_another_address_in_the_middle():
    site, data = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    site.world.network.address = "192.0.2.77"
    site.run(20_000, until_reset=True)
    assert site.data == data and site.resets == 1 and len(site.transports) == 2
    assert len(site.packages.blocks) == 21


def test_a_power_cut_goes_on_where_the_flash_is():
    site, data = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    there = len(site.data)
    assert 4 * BLOCK <= there < 20 * BLOCK
    asked = len(site.packages.blocks)
    site.power_on()
    site.run(2 * 60_000)
    assert site.data == data and site.stages() == ALL
    # The first one again, of 16 bytes, and then only what is missing.
    missing = [(number, 6) for number in range(there // BLOCK, 20)]
    assert site.packages.blocks[asked:] == [(0, 0)] + missing


def test_a_cut_at_every_operation_of_a_real_installation():
    """With firmware.update.install, on a flash with folders; the board is updated twice."""
    files = {"app.py": b"a" * 1500, "lib/b.py": b"b" * 3000, "lib/c/d.py": b""}
    first, second = [updates.bundle(files, version) for version in ("1", "2")]

    def updated(cut_at=None):
        site = Site(config=SOON, flash=Flash())
        site.run(5_000)
        for version, data in (("1", first), ("2", second)):
            site.assign(version, title=updates.TITLE, data=data)
            if version == "2":
                site.flash.begin()
                site.flash.cut_at = cut_at
            site.run(3 * 60_000)
            assert site.state.package()["version"] == version, cut_at
            assert site.state.running == "/" + "ab"[version == "2"], cut_at
            operations = site.flash.operations
            site.flash.begin()
            site.trial.confirm()
            site.run(10_000)
        stages = site.stages()
        assert [each for each in stages if stages.count(each) < 2] == [], cut_at
        # A cut after it was told and before that was noted tells it again.
        assert len(stages) <= 2 * len(ALL) + 3, cut_at
        assert site.flash.files["/b/lib/b.py"] == files["lib/b.py"], cut_at
        return operations

    for number in range(updated()):
        updated(number)


def test_a_download_begins_anew_when_the_bundle_was_judged():
    """In between there is no block in memory, nor what blocks need."""
    data = updates.bundle({"app.py": b"x" * 3000, "z": b""}, "1")
    site = Site(config=SOON, flash=Flash())
    site.run(5_000)
    site.assign("1", title=updates.TITLE, data=data)
    site.run(60_000, until_reset=True)
    assert site.packages.blocks == [(0, 6), (0, 0)] + [(number, 6) for number in range(1, 4)]
    assert "/a/manifest.rest" not in site.flash.files
    assert site.flash.files["/a/app.py"] == b"x" * 3000 and site.flash.files["/a/z"] == b""


def test_a_cut_at_every_datagram():
    site, _ = assigned(size=3000)
    first = site.wire.count
    site.run(30_000, until_reset=True)
    for number in range(first, site.wire.count):
        site, data = assigned(size=3000)
        site.wire.power_cut_at = number
        site.run(3 * 60_000, until_reset=True)
        assert site.data == data and site.resets == 1, number
        stages = site.stages()
        once = [each for place, each in enumerate(stages) if each not in stages[:place]]
        assert once == ALL and len(stages) <= len(ALL) + 1, number


def test_bad_weather():
    """Losses, duplicates and reorderings, restarts, outages and cuts, by chance."""
    draw = Draw(1)
    for number in range(20):
        site, data = assigned(size=9 * BLOCK + 100)
        first = site.wire.count
        for _ in range(6):
            site.wire.fates[first + draw(60)] = FATES[draw(len(FATES))]
        event = draw(4)
        site.until(blocks=1 + draw(8))
        if event == 0:
            site.packages.restart()
        elif event == 1:
            site.wire.is_cut = True
            site.run(1_000 * draw(400))
            site.wire.is_cut = False
        elif event == 2:
            site.power_on()
        site.run(20 * 60_000, until_reset=True)
        assert site.data == data and site.resets == 1, number
        stages = site.stages()
        once = [each for place, each in enumerate(stages) if each not in stages[:place]]
        assert once == ALL, number


def test_an_application_that_pauses_for_long():
    """ThingsBoard forgets what it serves after five minutes."""
    site, data = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    site.clock.sleep_ms(310_000)
    asked = len(site.packages.blocks)
    site.run(20_000, until_reset=True)
    assert site.data == data and site.resets == 1
    assert site.packages.blocks[asked] == (0, 0) and len(site.packages.blocks) == 21


def test_the_assignment_changes_in_the_middle():
    site, _ = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    data = site.assign("2.0", size=15_000)
    site.run(3 * 60_000)
    assert site.data == data and site.stages() == ALL[:1] + ALL
    assert site.state.package()["version"] == "2.0"


def test_the_assignment_is_taken_away_in_the_middle():
    site, _ = assigned(size=20 * BLOCK)
    site.until(blocks=10)
    asked = len(site.packages.blocks)
    site.unassign()
    site.run(20 * 60_000)
    assert site.stages() == ALL[:1] and site.resets == 0
    assert len(site.packages.blocks) <= asked + 2
    data = site.assign(size=20 * BLOCK)
    site.run(3 * 60_000)
    assert site.data == data


def test_thingsboard_serves_another_package_than_it_has_assigned():
    """Its word comes a little later."""
    site = Site(config=SOON)
    site.run(5_000)
    data = bundle(7000, b"2")
    site.assign(size=5000)
    site.packages.data["sw"] = data
    site.run(3_000)
    assert site.data is None and site.stages() == ALL[:1]
    site.set(attributes("sw", "app", "2.0", data))
    site.run(3 * 60_000)
    assert site.data == data and site.stages() == ALL[:1] + ALL


def test_a_size_that_stays_wrong_fails():
    site = Site(config=SOON)
    site.run(5_000)
    site.assign(size=5000)
    site.packages.data["sw"] = bundle(7000)
    site.run(HOUR)
    assert site.stages() == ["DOWNLOADING", "FAILED"] and "7000 bytes" in why(site)


def test_sizes_around_a_block():
    for size in (1, 15, 16, 17, 1023, 1024, 1025, 2047, 2048, 2049):
        site, data = assigned(size=size)
        site.run(60_000)
        assert site.data == data and site.stages() == ALL, size
        assert len(site.packages.blocks) == max(1, (size + 1023) // 1024), size


def test_no_room_is_said_before_the_first_byte():
    site, _ = assigned(size=Installation.room + 1)
    site.run(HOUR)
    assert site.stages() == ["FAILED"] and "no room" in why(site) and site.packages.blocks == []
    # Noted at once and told: cut in between it would begin with all states told.
    assert site.world.flash.count("rename", "/slots.json") == 2


def test_a_bundle_that_is_not_for_this_board():
    Installation.refusal = UpdateError("it is for esp32", "Assign another.")
    try:
        site, _ = assigned()
        site.run(HOUR)
    finally:
        Installation.refusal = None
    assert site.stages() == ["DOWNLOADING", "FAILED"]
    assert why(site) == "it is for esp32. Assign another."
    assert len(site.packages.blocks) == 1


def test_what_may_pass_is_tried_three_times():
    Installation.broken = passing("not what its SHA-256 say", "Again.")
    try:
        site, _ = assigned(size=3000)
        site.run(HOUR)
    finally:
        Installation.broken = None
    assert site.stages() == ALL[:2] + ["FAILED"] and len(site.packages.blocks) == 9
    site.power_on()
    site.run(HOUR)
    assert len(site.packages.blocks) == 9


def test_no_memory_for_it_is_said_too():
    site, _ = assigned(size=3000)
    refusal, Installation.refusal = Installation.refusal, MemoryError()
    try:
        site.run(10 * 60_000)
    finally:
        Installation.refusal = refusal
    assert site.stages() == ["DOWNLOADING", "FAILED"] and "memory" in why(site)


def test_what_there_was_no_memory_to_load_is_loaded_anew():
    site, _ = assigned(size=3000)
    refusal, Installation.refusal = Installation.refusal, MemoryError()
    # As MicroPython leaves one.
    sys.modules["firmware.half_loaded"] = None
    try:
        site.run(10 * 60_000)
        assert "firmware.half_loaded" not in sys.modules
    finally:
        Installation.refusal = refusal
        sys.modules.pop("firmware.half_loaded", None)


def test_what_there_was_no_memory_to_load_to_say_so_is_loaded_anew():
    def no_memory(*arguments):
        sys.modules["firmware.half_loaded"] = None
        raise MemoryError

    site, _ = assigned(size=3000)
    refusal, Installation.refusal = Installation.refusal, MemoryError()
    said, states.no_memory = states.no_memory, no_memory
    try:
        site.run(10 * 60_000)
        assert "firmware.half_loaded" not in sys.modules
    finally:
        Installation.refusal = refusal
        states.no_memory = said
        sys.modules.pop("firmware.half_loaded", None)


def test_too_little_memory_for_some_time_holds_up_no_telemetry():
    site, data = assigned(size=3000)
    refusal, Installation.refusal = Installation.refusal, MemoryError()
    try:
        site.until(blocks=1)
        site.device.send_telemetry({"x": 1})
        site.device.wait(50)
        assert list(site.telemetry()["x"].values()) == [1]
    finally:
        Installation.refusal = refusal
    site.run(10 * 60_000, until_reset=True)
    assert site.data == data and site.stages() == ALL


def test_a_shortage_of_memory_long_ago_delays_nothing():
    site = Site(config=SOON)
    site.run(5_000)
    refused(site, MemoryError())
    # Ticks are compared over six days.
    site.clock.sleep_ms(7 * 24 * HOUR)
    site.assign("2.0", size=2000)
    site.run(10 * 60_000)
    assert site.stages() == ["DOWNLOADING", "FAILED"] + ALL


def test_attributes_that_cannot_be_compared_are_looked_at_later():
    class Many:
        def __init__(self, error):
            self.error = error

        def __iter__(self):
            raise self.error

    # RuntimeError: nested too deep.
    for error in (MemoryError(), RuntimeError()):
        site = Site(config=SOON)
        site.run(5_000)
        update = site.device.session.observed.update
        assert not update.is_due()
        update.on_attributes(Many(error))
        assert update.is_due()


def test_a_flash_that_fills_at_any_point():
    data = updates.bundle({"app.py": b"x" * 8000}, "1.0", title="app")
    for blocks, least in ((2, 1), (5, 1), (9, 1), (9, 2), (9, 3), (9, 4)):
        site = Site(config=SOON, flash=Flash())
        site.run(5_000)
        site.assign(data=data)
        while len(site.packages.blocks) < blocks or len(site.stages()) < least:
            site.device.wait(1)
        site.flash.room = 0
        site.run(HOUR)
        told = site.stages()
        number = len(told) - 1
        assert told == ALL[:number] + ["FAILED"] and number >= least, (blocks, least, told)
        assert site.state.running == "" and site.resets == 0
        assert "Free space" in why(site)
    # What would come back is in the way of the next.
    site = Site(config=SOON, flash=Flash())
    site.run(5_000)
    for version in "12":
        site.assign(version, data=updates.bundle({"app.py": b"x" * 8000}, version, title="app"))
        site.run(60_000, until_reset=True)
        site.trial.confirm()
        site.run(10_000)
    site.flash.room = 0
    site.assign("3", data=data)
    site.run(HOUR)
    assert site.state.found["failed"]["version"] == "3" and "no room" in why(site)
    assert site.state.running == "/b" and site.state.before == ""


def test_blocks_that_make_no_sense_come_as_chunks():
    site, data = assigned(size=5 * BLOCK)
    answer = site.packages.answer

    def shifted(peer, message, parts, query):
        code, payload, options, is_own = answer(peer, message, parts, query)
        if options and message.option(BLOCK2) != b"\x06":
            options = [(BLOCK2, b"\x0e")]
        return code, payload, options, is_own

    site.packages.answer = shifted
    site.run(60_000, until_reset=True)
    assert site.data == data and site.stages() == ALL
    assert site.packages.blocks[-4:] == [1, 2, 3, 4]


def test_a_package_at_a_url():
    site = Site(config=SOON)
    site.run(5_000)
    site.set({"sw_title": "app", "sw_version": "1.0", "sw_url": "https://example.com/x"})
    site.run(60_000)
    assert site.stages() == ["FAILED"] and "URL" in why(site)


def test_half_an_assignment_is_none():
    site = Site(config=SOON)
    site.run(5_000)
    site.set({"sw_title": "app", "sw_version": "1.0"})
    site.run(60_000)
    assert site.told() == [] and site.packages.blocks == [] and site.states == ["connected"]
    data = site.assign()
    site.run(60_000)
    assert site.data == data


def test_blocks_that_are_refused_come_as_chunks():
    for code in (0x80, 0x82):
        site, data = assigned(size=5000)
        site.packages.codes = [code]
        answer = site.packages.answer

        def only_chunks(peer, message, parts, query, site=site, code=code, answer=answer):
            site.packages.codes = [] if "size" in query else [code]
            return answer(peer, message, parts, query)

        site.packages.answer = only_chunks
        site.run(60_000)
        assert site.data == data and site.stages() == ALL, code
        assert site.packages.blocks[-5:] == [0, 1, 2, 3, 4]


def test_chunks_go_on_within_one_where_smaller_blocks_ended():
    site, data = assigned(size=5 * BLOCK)
    answer = site.packages.answer

    def one_small_block(peer, message, parts, query):
        if "size" in query:
            return answer(peer, message, parts, query)
        if message.option(BLOCK2) == b"\x06":
            return 0x45, data[:256], [(BLOCK2, b"\x0c")], True
        return 0x80, b"", (), True

    site.packages.answer = one_small_block
    site.run(60_000)
    assert site.data == data and site.stages() == ALL
    assert site.packages.blocks == [0, 1, 2, 3, 4]


def test_chunks_that_are_refused_fail():
    site, _ = assigned(size=5000)
    site.packages.codes = [0x80]
    site.run(HOUR)
    assert site.stages() == ["DOWNLOADING", "FAILED"] and "4.00" in why(site)


def test_a_server_in_trouble_is_asked_later():
    for code in (0xA0, 0xA3, 0x9D, None):
        site, data = assigned(size=5000)
        site.packages.codes = [code] * 3
        site.run(10 * 60_000)
        site.packages.codes = []
        site.run(20 * 60_000)
        assert site.data == data and site.stages() == ALL, code


def test_a_lost_chunk_is_asked_for_with_a_new_message_id():
    site, data = assigned(size=5000)
    answer = site.packages.answer
    asked = []

    def only_chunks(peer, message, parts, query):
        asked.append((peer, message.message_id, query.get("chunk")))
        if "size" not in query:
            return 0x82, b"", (), True
        if len(asked) == 4:
            return None
        return answer(peer, message, parts, query)

    site.packages.answer = only_chunks
    site.run(10 * 60_000)
    assert site.data == data and site.stages() == ALL
    chunks = [chunk for _, _, chunk in asked if chunk]
    # Chunk 0, of 16 bytes, tells whether the package is still there.
    assert chunks == ["0", "1", "2", "0", "2", "3", "4"]
    assert len({each[:2] for each in asked}) == len(asked)


def test_a_chunk_that_is_too_long_is_asked_for_again():
    site, data = assigned(size=5000)
    answer = site.packages.answer
    asked = []

    def too_long_once(peer, message, parts, query):
        if "size" not in query:
            return 0x82, b"", (), True
        asked.append(query["chunk"])
        code, payload, options, is_own = answer(peer, message, parts, query)
        return code, payload + b"x" * (len(asked) == 2), options, is_own

    site.packages.answer = too_long_once
    site.run(60_000)
    assert site.data == data and site.stages() == ALL
    # Nothing of it was written: what came before it stays good.
    assert asked.count("1") == 2 and asked[-4:] == ["1", "2", "3", "4"] and asked.count("4") == 1


def test_x509_is_said_as_what_it_is():
    site = Site(credentials("X509_CERTIFICATE", "MIIB"), config=SOON)
    site.run(5_000)
    site.assign()
    site.run(HOUR)
    assert site.stages() == ["DOWNLOADING", "FAILED"] and "issue 13097" in why(site)
    assert (
        len(site.packages.blocks) == 1
        and site.device.session.credentials["credentialsType"] == "X509_CERTIFICATE"
    )


def test_boards_begin_at_different_times():
    begun = set()
    for first in range(0, 256, 16):
        site = Site(config={})
        site.run(5_000)
        site.world.scripted_random[2] = [bytes((first, 0))]
        site.assign()
        at = site.clock.slept
        site.run(11 * 60_000)
        assert site.stages() == ALL
        (began,) = [at_ for at_, _, _, payload in site.requests if b'"DOWNLOADING"' in payload]
        begun.add((began - at) // 30_000)
    assert len(begun) > 12


def test_a_board_that_sleeps_deep_begins_at_once():
    site = Site(config={})
    site.run(5_000)
    data = site.assign(size=20_000)
    site.power_on()
    site.device.send_telemetry({"n": 1})
    raises(Reset, site.device.sleep, 60_000)
    site.power_on()
    assert site.data == data and site.stages() == ALL


def test_what_comes_while_a_board_is_awake_comes_once():
    """However few blocks that are before it sleeps deep again."""
    data = updates.bundle({"app.py": b"x" * 30_000}, "1")
    site = Site(config={}, flash=Flash())
    site.run(5_000)
    site.assign("1", title=updates.TITLE, data=data)
    wakes = 0
    while not site.state.on_trial and wakes < 12:
        wakes += 1
        site.power_on(awake=400)
        site.device.send_telemetry({"n": 1})
        try:
            site.device.sleep(60_000)
        except Reset:
            # All of it is there.
            pass
    assert wakes > 5 and site.state.on_trial and site.stages() == ALL
    # Two in each wake are the first 16 bytes, and one that was not whole.
    assert len(site.packages.blocks) <= 30 + 2 * wakes


def test_a_device_without_updates_in_its_config_takes_none():
    site = Site(config=None)
    site.update_config = None
    site.power_on()
    site.run(5_000)
    site.assign()
    site.run(60_000)
    assert site.device.session.observed is None and site.told() == []


def test_an_application_s_handler_has_all_attributes_also_when_it_comes_late():
    site = Site(config=SOON)
    site.attributes["a"] = 1
    site.run(5_000)
    changes = []
    site.device.on_attributes(changes.append)
    site.run(5_000)
    assert changes == [{"a": 1}]
    site.set({"a": 2})
    site.run(5_000)
    assert changes == [{"a": 1}, {"a": 2}]


def test_a_device_that_does_nothing_but_wait_is_updated():
    site = Site(config=SOON)
    data = site.assign(size=3000)
    raises(Reset, site.device.wait, 60_000)
    assert site.data == data
    # Nor does the word alone, in another place, let a board connect for ever.
    site = Site(config=SOON)
    site.world.put("/config.json", example(wifi__ssid='"update"', update=None))
    site.device.wait(60_000)
    assert len(site.transports) == 1 and site.requests == []


def test_what_is_switched_to_is_started_whatever_fails_then():
    site, _ = assigned(size=3000)
    session = site.device.session
    disconnect = session.disconnect

    def fails_once():
        session.disconnect = disconnect
        raise MemoryError()

    session.disconnect = fails_once
    site.run(60_000, until_reset=True)
    assert site.resets == 1 and site.state.on_trial
    # It is there, and cannot be read back.
    site, _ = assigned(size=3000)
    storage = site.board.storage
    read = storage.read

    def fails_to_read_once(path):
        content = read(path)
        if path == "/slots.json" and content and b'"/a"' in content:
            storage.read = read
            raise MemoryError()
        return content

    storage.read = fails_to_read_once
    site.run(60_000, until_reset=True)
    assert site.resets == 1 and site.state.on_trial


def test_thingsboard_is_asked_when_its_answer_ends_a_trial():
    """An application that says nothing by itself is not rolled back for that."""
    site = Site(refresh=3_600_000)
    site.device.on_attributes(lambda values: None)
    site.device.wait(5_000)
    site.trial = site.board.trial = Trial(site.state)
    site.device.wait(200_000)
    assert not site.trial.is_reached
    site.trial.is_due = lambda: not site.trial.is_reached
    site.device.wait(2_000)
    assert site.trial.is_reached
    asked = len(site.requests)
    site.device.wait(200_000)
    assert len(site.requests) == asked


def test_what_is_on_trial_reaches_thingsboard_without_updates_in_its_config_too():
    """As `flash` puts it on a board with slots; its application says nothing by itself."""
    site = Site(config=SOON, flash=Flash())
    site.update_config = None
    site.state.switch("/a", {"title": "flash", "version": "1", "checksum": ""}, updates.SETTINGS)
    site.power_on()
    site.device.wait(5_000)
    assert site.trial.is_reached
    site.device.on_attributes(lambda values: None)
    site.device.session.disconnect()
    site.device.wait(5_000)
    assert site.device.session.observed.update is None


def test_an_application_that_never_waits_is_updated():
    site = Site(config=SOON)

    def run():
        for number in range(100):
            site.device.send_telemetry({"n": number})
            site.clock.sleep_ms(60_000)
            if number == 5:
                site.assign(size=3000)

    raises(Reset, run)
    assert site.stages() == ALL


def test_what_waits_is_kept_when_the_board_starts_anew():
    site, _ = assigned(size=BLOCK)
    try:
        while True:
            site.device.wait(100)
    except Reset:
        pass
    assert site.world.flash.files.get("/telemetry.json") is None


def test_a_download_loses_nothing_whatever_becomes_of_a_datagram():
    site, _ = assigned(size=2500)
    first = site.wire.count
    site.run(30_000, until_reset=True)
    assert site.resets == 1
    for number in range(first, site.wire.count):
        for fate in ((), (0, 5), (3_000,), (0, 90_000)):
            site, data = assigned(size=2500)
            site.wire.fates = {number: fate}
            site.run(5 * 60_000, until_reset=True)
            assert site.data == data and site.stages() == ALL and site.resets == 1, (number, fate)
