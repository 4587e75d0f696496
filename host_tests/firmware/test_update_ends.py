"""What ThingsBoard serves is not what its attributes say, for good: how the update ends.

Each row of FAILS is told as FAILED in words, each of OUTAGES is asked for until it comes. In both
telemetry and calls go on, the flash and the wire are left alone, and a good version is taken next.
"""

import json
from hashlib import sha256

from firmware.coap.message import uint, uint_bytes
from firmware.update import install, intake
from host_tests.firmware import updates
from host_tests.firmware.at_work import credentials
from host_tests.firmware.ota import BLOCK2, CONTENT, SIZE2, Flash, Site, attributes
from host_tests.firmware.test_update import ALL, HOUR, SOON, why

FILES = {"app.py": b"x = 1\n" * 500, "lib/b.py": b"y = 2\n" * 300}
ETAG = 4
# ms that a reading may wait: that long the board waits for a block that does not come.
LONGEST_DELAY = 100_000


def good(version="1.0"):
    """Return a bundle of several blocks."""
    return updates.bundle(FILES, version, title="app")


def start(given=None, **config):
    """Return a Site that is online, with nothing assigned; it has credentials and data on flash."""
    site = Site(given, config=dict(SOON, **config), flash=Flash())
    site.flash.files["/credentials.json"] = json.dumps(credentials()).encode()
    site.flash.files["/data.json"] = b"{}"
    site.done = []
    site.device.on_rpc("m", site.done.append)
    site.run(5_000)
    return site


# What is served: each takes a Site, lets ThingsBoard serve that, and assigns version 1.0.


def assigns(site, data=None, served=None, **other):
    """Assign a bundle, with other attributes; None takes one away. `served`: the file there is."""
    data = good() if data is None else data
    site.packages.data["sw"] = data if served is None else served
    values = attributes("sw", "app", "1.0", data)
    for key in other:
        values["sw_" + key] = other[key]
    site.set({key: values[key] for key in values if values[key] is not None})


def with_attributes(**other):
    return lambda site: assigns(site, **other)


def serves(change, **other):
    """Let each answer be what `change(site, number, found)` returns; `number`: of the block.

    Of a chunk `number` is None. `found`: (code, payload, options, whether it is a message).
    """

    def row(site):
        answer = site.packages.answer

        def changed(peer, message, parts, query):
            if "size" in query:
                return change(site, None, answer(peer, message, parts, query))
            block = message.option(BLOCK2)
            number = 0 if block is None else uint(block) >> 4
            return change(site, number, answer(peer, message, parts, query))

        site.packages.answer = changed
        assigns(site, **other)

    return row


def answers(code):
    """Let each answer be a code."""

    def row(site):
        site.packages.codes = [code]
        assigns(site)

    return row


def by_chunks(change):
    """Let blocks be refused, and each chunk be what `change(number, chunk)` returns."""

    def row(site):
        answer = site.packages.answer

        def changed(peer, message, parts, query):
            if "size" not in query:
                return 0x82, b"", (), True
            found = answer(peer, message, parts, query)
            return found and change(int(query["chunk"]), found)

        site.packages.answer = changed
        assigns(site)

    return row


def chunks_are_blocks(site):
    """Let blocks be refused, and all of the package come for a chunk."""
    answer = site.packages.answer
    site.packages.answer = lambda peer, message, parts, query: (
        answer(peer, message, parts, {}) if "size" in query else (0x82, b"", (), True)
    )
    assigns(site)


def without_size(payload, **other):
    """Let the file be another, and nothing tell its size; with other attributes."""

    def change(site, number, found):
        if found is None or number is None:
            return found
        code, part, options, is_own = found
        return code, part, [each for each in options if each[0] != SIZE2], is_own

    def row(site):
        serves(change, **other)(site)
        site.packages.data["sw"] = payload

    return row


def ends(at):
    """Let the block of this number be the last, and chunks end with it."""

    def change(site, number, found):
        code, part, options, is_own = found
        if number is None:
            return code, part[:100], options, is_own
        if number < at:
            return found
        return code, part[:500], [(BLOCK2, uint_bytes(number << 4 | 6))], is_own

    return serves(change)


def block2(option, part=None):
    """Let each block but the first have this Block2, and chunks be refused."""

    def change(site, number, found):
        if number is None:
            return 0x80, b"", (), True
        code, payload, options, is_own = found
        if number:
            options = [(BLOCK2, uint_bytes(option(number)))]
            payload = payload if part is None else part
        return code, payload, options, is_own

    return serves(change)


def an_etag_a_block(site, number, found):
    if number is None:
        return 0x80, b"", (), True
    code, part, options, is_own = found
    return code, part, [(ETAG, bytes((number + 1,)))] + list(options), is_own


def one_etag(site, number, found):
    if found is None:
        return None
    code, part, options, is_own = found
    return code, part, [(ETAG, b"1")] + list(options), is_own


def another_size_later(site, number, found):
    """The size is right at first; then another one, whenever the first block is asked for again."""
    if number is None:
        return 0x80, b"", (), True
    if number == 2:
        site.has_changed = True
        return None
    if found and number == 0 and hasattr(site, "has_changed"):
        code, part, options, is_own = found
        return code, part, [(BLOCK2, options[0][1]), (SIZE2, uint_bytes(77_777))], is_own
    return found


def gone_later(site, number, found):
    """The package is deleted while it comes."""
    if number == 2:
        site.packages.codes = [0x84]
        return None
    return found


def both(site):
    """Software and firmware at once: the software is taken, and is not what it should be."""
    site.packages.data["fw"] = good("7.0")
    site.set(attributes("fw", "app", "7.0", good("7.0")))
    assigns(site, served=good()[:-1] + b"!")


GIVEN = good()
# Of each its name, how it comes to be, words of the error, and the most requests for the package.
FILES_FAIL = (
    ("shorter", lambda site: assigns(site, served=GIVEN[:3000]), "serves a package of 3000", 30),
    ("shorter, without its size", without_size(GIVEN[:3000]), "a chunk of", 40),
    ("shorter by blocks, without its size", without_size(GIVEN[:3072]), "none from 3072 on", 40),
    ("its second block is the last", ends(1), "a chunk of 100 bytes", 40),
    ("its third block is the last", ends(2), "a chunk of 100 bytes", 40),
    ("its first block is the last", ends(0), "serves a package of 500", 40),
    ("longer", lambda site: assigns(site, served=GIVEN + b"!"), "serves a package of", 30),
    (
        "longer, without its size, and its checksum is that of all",
        without_size(GIVEN + b"!", checksum=sha256(GIVEN + b"!").digest().hex()),
        "a chunk of 989 bytes",
        40,
    ),
    ("empty", lambda site: assigns(site, served=b""), "serves a package of 0 bytes", 30),
    (
        "an empty block",
        block2(lambda number: number << 4 | 6, b""),
        "when it was asked for the package",
        40,
    ),
    ("other bytes", lambda site: assigns(site, served=GIVEN[:-1] + b"!"), "do not have the", 30),
    (
        "other bytes, and a checksum that no board has",
        lambda site: assigns(site, served=GIVEN[:-1] + b"!", checksum_algorithm="CRC64"),
        "what was downloaded is not",
        30,
    ),
)
ATTRIBUTES_FAIL = (
    ("another checksum", with_attributes(checksum="0" * 64), "do not have the SHA256", 30),
    ("a checksum of letters", with_attributes(checksum="z" * 64), "is no SHA256", 0),
    ("a checksum that is too short", with_attributes(checksum="0" * 63), "is no SHA256", 0),
    ("a checksum of another algorithm", with_attributes(checksum="0" * 32), "is no SHA256", 0),
    ("a checksum that is a number", with_attributes(checksum=12345678), "is no SHA256", 0),
    ("no checksum", with_attributes(checksum=None), "sw_checksum", 0),
    ("an empty checksum", with_attributes(checksum=""), "sw_checksum", 0),
    ("no algorithm", with_attributes(checksum_algorithm=None), "sw_checksum_algorithm", 0),
    ("no size", with_attributes(size=None), "sw_size", 0),
    ("size 0", with_attributes(size=0), "sw_size", 0),
    ("a negative size", with_attributes(size=-5), "sw_size", 0),
    ("a size in letters", with_attributes(size="many"), "sw_size", 0),
    ("a size with a point", with_attributes(size=4800.5), "sw_size", 0),
    ("a size of true", with_attributes(size=True), "sw_size", 0),
    ("a size that is a list", with_attributes(size=[4800]), "sw_size", 0),
    ("a huge size", with_attributes(size=10**12), "no room", 0),
    ("a URL", with_attributes(url="https://example.com/x", size=None, checksum=None), "URL", 0),
    ("a title that the bundle has not", with_attributes(title='Ünï %s "q"\n& ?=/'), "calls it", 2),
    ("a version that the bundle has not", with_attributes(version="1.0 "), "calls it", 2),
    ("a long title that the bundle has not", with_attributes(title="t" * 255), "calls it", 2),
    ("no title at all", with_attributes(title=""), "calls it", 2),
)
ANSWERS_FAIL = (
    ("4.00", answers(0x80), "4.00 when it was asked", 40),
    ("4.01", answers(0x81), "4.01 when it was asked", 30),
    ("4.03", answers(0x83), "4.03 when it was asked", 30),
    ("4.04", answers(0x84), "has no package", 30),
    ("4.05", answers(0x85), "4.05 when it was asked", 30),
    ("2.03", answers(0x43), "2.03 when it was asked", 30),
    ("another block", block2(lambda number: (number + 1) << 4 | 6), "4.00 when it was asked", 40),
    ("the first block again", block2(lambda number: 6), "4.00 when it was asked", 40),
    ("blocks of no size", block2(lambda number: number << 4 | 7), "4.00 when it was asked", 40),
    ("more, and a short block", block2(lambda number: number << 4 | 14, b"x"), "4.00 when", 40),
    (
        "chunks that are empty",
        by_chunks(lambda number, found: (CONTENT, b"", (), True)),
        "a chunk of 0",
        40,
    ),
    (
        "chunks that are too long",
        by_chunks(lambda number, found: (CONTENT, found[1] + b"x", (), True)),
        "a chunk of",
        40,
    ),
    (
        "chunks that end",
        by_chunks(lambda number, found: found if number < 3 else (CONTENT, b"x", (), True)),
        "a chunk of 1 bytes",
        40,
    ),
    (
        "chunks that are blocks of all",
        chunks_are_blocks,
        "limit of",
        60,
    ),
    ("an ETag a block", serves(an_etag_a_block), "4.00 when it was asked", 40),
    ("another size later", serves(another_size_later), "serves a package of 77777", 40),
    ("gone later", serves(gone_later), "has no package", 40),
    (
        "blocks but the first are silence",
        serves(lambda site, number, found: found if number == 0 else None),
        "none from 1024 on",
        60,
    ),
    (
        "chunks but the first are silence",
        by_chunks(lambda number, found: None if number else found),
        "none from 1024 on",
        60,
    ),
    ("software that is wrong, and firmware that is right", both, "do not have the", 30),
)
FAILS = FILES_FAIL + ATTRIBUTES_FAIL + ANSWERS_FAIL
OUTAGES = (
    ("5.00", answers(0xA0), "5.00"),
    ("5.03", answers(0xA3), "5.03"),
    ("4.29", answers(0x9D), "4.29"),
    ("silence", answers(None), "had not ended its response"),
    ("chunks that are silence", by_chunks(lambda number, found: None), "had not ended its"),
)


def work(site, ms):
    """Let the application run so long; each of its readings, and of the calls to it, is in time."""
    end = site.clock.slept + ms
    while site.clock.slept < end:
        began = site.clock.slept
        assert len(site.packages.blocks) < 500
        site.device.send_telemetry({"n": began})
        while site.device.waiting or "rpc" not in site.observers:
            assert site.clock.slept - began < LONGEST_DELAY
            site.device.wait(100)
        while began not in site.done:
            assert site.clock.slept - began < LONGEST_DELAY
            # Again, since what comes as it is observed anew is lost.
            site.call(site.clock.slept, "m", began)
            site.device.wait(100)
        site.clock.sleep_ms(25_000)


def rest(site):
    """Return what no update may touch."""
    return {
        path: content
        for path, content in site.flash.files.items()
        if path[:3] not in ("/a", "/b", "/a/", "/b/") and path != "/slots.json"
    }


def is_taken_next(site):
    """Whether a good version is, which is served as it should be."""
    site.packages = type(site.packages)(site.clock)
    site.unassign()
    told = len(site.stages())
    site.assign("9.0", data=good("9.0"))
    site.run(30 * 60_000, until_reset=True)
    return site.stages()[told:] == ALL and site.state.package()["version"] == "9.0"


def fails(name):
    """Check a row of FAILS."""
    ((serve, words, most),) = [row[1:] for row in FAILS if row[0] == name]
    site = start()
    before, known = rest(site), dict(site.device.session.credentials)
    serve(site)
    site.flash.begin()
    end = site.clock.slept + HOUR
    while "FAILED" not in site.stages() and site.clock.slept < end:
        work(site, 60_000)
    work(site, 60_000)
    stages = site.stages()
    assert stages[-1:] == ["FAILED"] and stages.count("FAILED") == 1, (name, stages)
    assert stages[:-1] == ALL[: len(stages) - 1] and len(stages) <= 3, (name, stages)
    error = why(site)
    assert words in error and ". " in error and error[-1] == ".", (name, error)
    asked = len(site.packages.blocks)
    assert asked <= most, (name, asked)
    operations = site.flash.operations
    assert operations <= 150, (name, operations)
    assert site.resets == 0 and site.state.running == "" and not site.state.on_trial, name
    # It is over: also for a board that starts anew.
    work(site, 300_000)
    site.power_on()
    site.device.on_rpc("m", site.done.append)
    work(site, 300_000)
    assert site.stages() == stages and len(site.packages.blocks) == asked, name
    assert site.flash.operations == operations, name
    assert rest(site) == before and site.device.session.credentials == known, name
    assert set(site.states) <= {"connected"}, (name, site.states)
    assert is_taken_next(site), (name, site.stages())


def is_waited_out(name):
    """Check a row of OUTAGES."""
    ((serve, words),) = [row[1:] for row in OUTAGES if row[0] == name]
    site = start()
    before = rest(site)
    serve(site)
    work(site, HOUR)
    asked = len(site.packages.blocks)
    # Not much later than every 15 minutes, and sooner at first.
    assert 6 <= asked <= 40, (name, asked)
    site.flash.begin()
    work(site, 2 * HOUR)
    assert 7 <= len(site.packages.blocks) - asked <= 60, name
    assert site.flash.operations == 0 and site.stages() == ALL[:1], name
    said = "\n".join(site.world.lines)
    assert words in said and "asked for again within" in said, (name, said)
    assert rest(site) == before, name
    site.packages = type(site.packages)(site.clock)
    site.packages.data["sw"] = GIVEN
    site.run(HOUR, until_reset=True)
    assert site.stages() == ALL and site.resets == 1, name


def test_a_file_that_is_another_fails_in_words():
    for row in FILES_FAIL:
        fails(row[0])


def test_attributes_that_are_not_right_fail_in_words():
    for row in ATTRIBUTES_FAIL:
        fails(row[0])


def test_answers_that_are_not_the_file_fail_in_words():
    for row in ANSWERS_FAIL:
        fails(row[0])


def test_an_outage_is_waited_out():
    for row in OUTAGES:
        is_waited_out(row[0])


def test_what_comes_all_the_same_is_taken():
    for serve in (
        without_size(GIVEN + bytes(9000)),
        with_attributes(tag="a tag", url=""),
        with_attributes(checksum=sha256(GIVEN).digest().hex().upper()),
        serves(one_etag),
    ):
        site = start()
        serve(site)
        site.run(10 * 60_000, until_reset=True)
        assert site.resets == 1 and site.stages() == ALL


def slept(site):
    """Let a board that sleeps deep be awake once."""
    site.power_on()
    site.device.send_telemetry({"n": 1})
    site.device.sleep(60_000)


def fails_asleep(name, most):
    """Check a row of FAILS on a board that sleeps deep: there are so many requests at most."""
    ((serve, words),) = [row[1:3] for row in FAILS if row[0] == name]
    site = start()
    serve(site)
    for _ in range(12):
        slept(site)
    stages, asked = site.stages(), len(site.packages.blocks)
    assert stages[-1:] == ["FAILED"] and stages.count("FAILED") == 1 and len(stages) <= 3, stages
    assert words in why(site) and asked <= most, (name, asked)
    slept(site)
    assert site.stages() == stages and len(site.packages.blocks) == asked, name


def test_a_board_that_sleeps_deep_ends_it_too():
    fails_asleep("shorter", 12)
    fails_asleep("other bytes", 20)
    fails_asleep("4.04", 12)
    fails_asleep("size 0", 0)
    fails_asleep("blocks of no size", 32)


def test_a_board_that_sleeps_deep_asks_once_while_it_is_awake():
    for serve in (answers(0xA0), answers(None)):
        site = start()
        serve(site)
        for _ in range(30):
            slept(site)
        assert 25 <= len(site.packages.blocks) <= 30 and site.stages() == ALL[:1]


def test_the_end_of_the_time_awake_is_no_doubt():
    site = start()
    serves(lambda site, number, found: None if number else found)(site)
    for _ in range(15):
        site.power_on(awake=20_000)
        site.device.send_telemetry({"n": 1})
        site.device.sleep(60_000)
    assert site.stages() == ALL[:1] and site.state.found["progress"][4] <= 1


def test_doubts_between_which_blocks_come_are_no_end():
    site = start()
    site.assign(data=GIVEN)
    for _ in range(4):
        asked = len(site.packages.blocks)
        while len(site.packages.blocks) == asked:
            site.device.wait(10)
            assert "FAILED" not in site.stages()
        site.packages.codes = [0x84]
        work(site, 400_000)
        site.packages.codes = []
    site.run(10 * 60_000, until_reset=True)
    assert site.stages() == ALL and site.resets == 1


def test_many_doubts_between_which_blocks_come_are_no_end():
    refused = []

    def once_a_chunk(number, found):
        if number and number not in refused:
            refused.append(number)
            return 0x84, b"", (), True
        return found

    site = start()
    by_chunks(once_a_chunk)(site)
    assigns(site, updates.bundle({"app.py": b"x = 1\n" * 3000}, "1.0", title="app"))
    site.run(HOUR, until_reset=True)
    assert len(refused) > 15 and site.stages()[-4:] == ALL and site.resets == 1


def test_what_was_half_an_assignment_is_taken_when_it_is_whole():
    for lacking in ({"size": None}, {"checksum_algorithm": None}, {"checksum": None}):
        site = start()
        assigns(site, **lacking)
        work(site, HOUR)
        assert site.stages() == ["FAILED"]
        assigns(site)
        site.run(10 * 60_000, until_reset=True)
        assert site.stages() == ["FAILED"] + ALL and site.resets == 1, lacking


def test_a_board_that_sleeps_deep_has_too_little_memory():
    site = start()
    site.assign(data=GIVEN)
    begun, install.begun = install.begun, short_of_memory
    try:
        slept(site)
    finally:
        install.begun = begun
    assert site.stages() == ["FAILED"] and "memory" in why(site)


def short_of_memory(job):
    raise MemoryError


def test_a_manifest_that_the_flash_damages_is_downloaded_again():
    site = start()
    site.assign(data=GIVEN)
    pass_on, intake.pass_on = intake.pass_on, damaged
    try:
        site.until(blocks=1)
        work(site, 1)
    finally:
        intake.pass_on = pass_on
    site.run(10 * 60_000, until_reset=True)
    assert set(site.states) == {"connected"} and site.stages() == ALL and site.resets == 1


def damaged(writer):
    raise ValueError("invalid literal")


def test_what_is_taken_away_is_asked_for_no_more():
    for serve in (answers(0xA0), answers(0x84), with_attributes(size=None)):
        site = start()
        serve(site)
        work(site, 300_000)
        asked = len(site.packages.blocks)
        site.unassign()
        work(site, HOUR)
        assert len(site.packages.blocks) == asked and "FAILED" not in site.stages()
        assert is_taken_next(site)


def test_what_has_failed_is_not_taken_when_it_is_assigned_again():
    site = start()
    assigns(site, served=GIVEN[:-1] + b"!")
    work(site, HOUR)
    stages, asked = site.stages(), len(site.packages.blocks)
    assert stages[-1] == "FAILED"
    site.unassign()
    work(site, 60_000)
    assigns(site)
    work(site, HOUR)
    assert len(site.packages.blocks) == asked and site.stages() == stages


def test_what_another_version_of_the_firmware_has_noted_is_understood():
    for more in ([], [1], [1, 1, 1]):
        site = start()
        site.assign(data=GIVEN)
        site.until(blocks=3)
        progress = site.state.found["progress"]
        site.state.keep(progress[:3] + more)
        site.power_on()
        site.run(10 * 60_000, until_reset=True)
        assert site.stages() == ALL and site.resets == 1, more


def test_what_ends_within_its_manifest_is_not_taken_for_the_version_that_comes_back():
    site = start()
    for version in ("1.0", "2.0"):
        site.assign(version, data=good(version))
        site.run(HOUR, until_reset=True)
        site.state.confirm()
        site.power_on()
        site.run(60_000)
    site.assign("3.0", data=b"words of a text\n" * 200)
    site.run(HOUR)
    assert site.resets == 2 and "is no bundle" in why(site)
    assert (site.state.running, site.state.before) == ("/b", "/a")
    assert site.flash.files["/a/app.py"] == FILES["app.py"]
