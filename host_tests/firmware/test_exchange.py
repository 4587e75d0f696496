"""firmware.coap.exchange: RFC 7252 sections 4 and 5, in virtual time."""

from firmware.coap.exchange import LARGEST_MESSAGE, Exchange
from firmware.coap.failure import explain
from firmware.coap.message import ACK, CON, GET, RST, encode
from firmware.errors import CoapError, NoResponse
from host_tests.firmware.coap_helpers import NON, empty, play, reply, separate, start

TOKEN = b"\x00\x02\x03\x04\x05\x06\x07\x00"  # it draws the shortest time-out
REQUEST = bytes(encode(CON, GET, 0x1234, TOKEN, [(11, b"a")]))
ANOTHER = bytes(encode(CON, GET, 0x1235, b"\x09" + TOKEN[1:], ()))
CONTENT = 0x45  # 2.05
ACKNOWLEDGED = empty(ACK, 0x1234)
PIGGYBACKED = reply(REQUEST, CONTENT, payload=b"p")
SEPARATE = separate(REQUEST, CONTENT, 0x7777, b"s")
UNCONFIRMED = separate(REQUEST, CONTENT, 0x7777, b"n", type=NON)
RESET = empty(RST, 0x1234)

# (what happens, arrivals [(ms, datagram)], times of the transmissions, payload or the error's
# `acknowledged`, when it is over); the initial time-out is 2 s.
ALL = [0, 2000, 6000, 14000, 30000]
SCHEDULES = (
    ("nothing ever comes", [], ALL, False, 62000),
    ("answered at once", [(5, PIGGYBACKED)], [0], b"p", 5),
    ("answered just before the first time-out", [(1999, PIGGYBACKED)], [0], b"p", 1999),
    ("the request or its reply is lost once", [(2005, PIGGYBACKED)], ALL[:2], b"p", 2005),
    ("... twice", [(6005, PIGGYBACKED)], ALL[:3], b"p", 6005),
    ("... three times", [(14005, PIGGYBACKED)], ALL[:4], b"p", 14005),
    ("... four times", [(30005, PIGGYBACKED)], ALL, b"p", 30005),
    ("the last wait is used to its end", [(61999, PIGGYBACKED)], ALL, b"p", 61999),
    ("separate", [(5, ACKNOWLEDGED), (1500, SEPARATE)], [0], b"s", 1500),
    ("separate and slow", [(5, ACKNOWLEDGED), (90000, SEPARATE)], [0], b"s", 90000),
    ("separate, the first ACK lost", [(2005, ACKNOWLEDGED), (9000, SEPARATE)], ALL[:2], b"s", 9000),
    ("separate, non-confirmable", [(5, ACKNOWLEDGED), (900, UNCONFIRMED)], [0], b"n", 900),
    ("separate, never comes", [(5, ACKNOWLEDGED)], [0], True, 93005),
    ("separate, ACK twice", [(5, ACKNOWLEDGED), (50000, ACKNOWLEDGED)], [0], True, 93005),
    ("separate, ACK at the end", [(61000, ACKNOWLEDGED)], ALL, True, 154000),
    ("bare confirmable, no ACK", [(5, SEPARATE)], [0], b"s", 5),
    ("bare confirmable, after losses", [(6100, SEPARATE)], ALL[:3], b"s", 6100),
    ("bare non-confirmable", [(5, UNCONFIRMED)], [0], b"n", 5),
    ("piggybacked after the empty ACK", [(5, ACKNOWLEDGED), (2100, PIGGYBACKED)], [0], b"p", 2100),
)


class Impatient(Exchange):
    ACK_TIMEOUT = 100
    ACK_RANDOM_FACTOR = 1.2
    MAX_RETRANSMIT = 2


class Once(Exchange):
    ACK_TIMEOUT = 100
    MAX_RETRANSMIT = 0


def started(acknowledged=(), request=REQUEST):
    """Return an exchange with the request under way.

    `acknowledged`: the Message IDs of responses to ANOTHER, acknowledged before.
    """
    exchange = Exchange()
    for message_id in acknowledged:
        start(exchange, ANOTHER)
        take(exchange, separate(ANOTHER, CONTENT, message_id))
        exchange.acknowledge()
    start(exchange, request)
    exchange.timer = None
    return exchange


def play_out(arrivals=(), request=REQUEST):
    """Run a request to its end; return the exchange, what it sent, and when it was over."""
    exchange = Exchange()
    sent, now = play(exchange, request, arrivals)
    return exchange, sent, now


def request_with(token):
    return bytes(encode(CON, GET, 0x1234, token, ()))


def take(exchange, datagram):
    """Give the exchange a datagram; return its answer, as bytes."""
    answer = exchange.on_datagram(memoryview(datagram))
    return None if answer is None else bytes(answer)


def check_only_counted(datagram, ignored=1):
    """The datagram has no answer and changes nothing but the count."""
    exchange = started()
    assert take(exchange, datagram) is None
    check_still_waiting(exchange, ignored)


def check_reset(datagram, message_id):
    """The datagram is answered with RST and ends nothing."""
    exchange = started()
    assert take(exchange, datagram) == empty(RST, message_id)
    check_still_waiting(exchange, 1)


def check_still_waiting(exchange, ignored):
    assert exchange.response is None
    assert not exchange.failed
    assert exchange.timer is None
    assert exchange.ignored == ignored
    assert take(exchange, PIGGYBACKED) is None
    assert exchange.response.payload == b"p"


def check_schedule(exchange, name, arrivals, transmissions, outcome, over):
    sent, now = play(exchange, REQUEST, arrivals)
    assert [when for when, _ in sent] == transmissions, name
    assert now == over, name
    if isinstance(outcome, bytes):
        assert exchange.response.payload == outcome, name
        assert not exchange.failed, name
    else:
        error = explain(exchange)
        assert isinstance(error, NoResponse), name
        assert error.acknowledged is outcome, name
        assert exchange.response is None, name


def test_schedules():
    for schedule in SCHEDULES:
        check_schedule(Exchange(), *schedule)


def test_a_request_has_nothing_of_the_one_before():
    for before in SCHEDULES:
        for after in SCHEDULES:
            exchange = Exchange()
            play(exchange, REQUEST, before[1])
            check_schedule(exchange, *after)


def test_what_was_ignored_is_counted_anew():
    exchange = Exchange()
    play(exchange, REQUEST, [(1, b"\x00"), (2, b"\x00"), (3, PIGGYBACKED)])
    assert exchange.ignored == 2
    play(exchange, REQUEST, [(1, b"\x00"), (3, PIGGYBACKED)])
    assert exchange.ignored == 1


def test_a_request_after_a_reset():
    exchange = Exchange()
    play(exchange, REQUEST, [(1, RESET)])
    assert exchange.failed
    check_schedule(exchange, *SCHEDULES[1])


def test_same_bytes_each_time():
    _, sent, _ = play_out()
    assert [datagram for _, datagram in sent] == [REQUEST] * 5


def test_longest_initial_timeout_gives_93_s():
    _, sent, now = play_out(request=request_with(b"\xff" * 8))
    assert [when for when, _ in sent] == [0, 2999, 8997, 20993, 44985]
    assert now == 92969


def test_initial_timeout_is_2_to_3_s():
    exchange = Exchange()
    for token, timeout in ((bytes(8), 2000), (b"\x80" + bytes(7), 2500), (b"\xff" * 8, 2999)):
        start(exchange, request_with(token))
        assert exchange.timer == timeout


def test_initial_timeouts_are_spread():
    exchange = Exchange()
    drawn = set()
    for first in range(256):
        for last in range(256):
            start(exchange, request_with(bytes((first, 2, 3, last))))
            drawn.add(exchange.timer)
    assert drawn == set(range(2000, 3000))


def test_parameters_are_adjustable():
    exchange = Impatient()
    sent, now = play(exchange, REQUEST)
    assert [when for when, _ in sent] == [0, 100, 300]
    assert now == 700
    _, now = play(exchange, REQUEST, [(50, ACKNOWLEDGED)])
    assert now == 50 + 7 * 120
    sent, now = play(exchange, request_with(b"\xff" * 8))
    assert [when for when, _ in sent] == [0, 119, 357]
    assert now == 7 * 119
    assert (Exchange.ACK_TIMEOUT, Exchange.MAX_RETRANSMIT) == (2000, 4)
    assert Exchange.ACK_RANDOM_FACTOR == 1.5


def test_no_retransmission_with_max_retransmit_0():
    exchange = Once()
    sent, now = play(exchange, REQUEST)
    assert sent == [(0, REQUEST)]
    assert now == 100
    assert "1 datagram" in explain(exchange).what


def test_empty_ack_ends_the_retransmission_timer():
    exchange = started()
    assert take(exchange, ACKNOWLEDGED) is None
    assert exchange.timer == 93000
    exchange.timer = None
    assert exchange.on_timer() is None
    assert exchange.failed
    assert explain(exchange).acknowledged is True
    assert "acknowledged" in explain(exchange).what


def test_duplicate_empty_ack_does_not_prolong_the_wait():
    exchange = started()
    take(exchange, ACKNOWLEDGED)
    exchange.timer = None
    assert take(exchange, ACKNOWLEDGED) is None
    assert exchange.timer is None
    assert exchange.ignored == 0


def test_no_response_counts_the_datagrams():
    exchange, _, _ = play_out()
    assert explain(exchange).what == "no answer to 5 datagrams"
    assert explain(exchange).fix


def test_no_response_tells_what_was_ignored():
    exchange, _, _ = play_out([(1, b"\x00"), (2, empty(ACK, 0x4321))])
    assert explain(exchange).what == "no answer to 5 datagrams; 2 ignored, the last: wrong ID"


def test_piggybacked_response_is_owed_no_ack():
    exchange = started()
    assert take(exchange, PIGGYBACKED) is None
    assert exchange.acknowledge() == []


def test_non_confirmable_response_is_owed_no_ack():
    exchange = started()
    assert take(exchange, UNCONFIRMED) is None
    assert exchange.acknowledge() == []


def test_nothing_is_acknowledged_before_there_is_a_response():
    exchange = started()
    assert exchange.acknowledge() == []
    take(exchange, ACKNOWLEDGED)
    assert exchange.acknowledge() == []


def test_confirmable_response_is_acknowledged_only_when_asked():
    exchange = started()
    assert take(exchange, SEPARATE) is None
    assert exchange.response.payload == b"s"
    assert exchange.acknowledge() == [empty(ACK, 0x7777)]


def test_bare_confirmable_response_is_acknowledged_too():
    exchange = started()
    take(exchange, separate(REQUEST, CONTENT, 0xFF01))
    assert exchange.acknowledge() == [b"\x60\x00\xff\x01"]


def test_nothing_is_acknowledged_before_there_is_a_request():
    assert Exchange().acknowledge() == []


def test_all_that_is_owed_is_acknowledged_together_and_once():
    exchange = started()
    take(exchange, SEPARATE)
    for message_id in (7, 8, 9, 10, 11):
        start(exchange, ANOTHER)
        take(exchange, separate(ANOTHER, CONTENT, message_id))
    owed = [empty(ACK, message_id) for message_id in (0x7777, 7, 8, 9, 10, 11)]
    assert exchange.acknowledge() == owed
    assert exchange.acknowledge() == []
    start(exchange, ANOTHER)
    duplicates = [separate(REQUEST, CONTENT, message_id) for message_id in (7, 8, 9, 10, 11)]
    assert [take(exchange, each) for each in [SEPARATE] + duplicates] == owed


def test_acknowledging_twice_is_remembered_once():
    exchange = started([1, 2, 3])
    take(exchange, SEPARATE)
    for owed in ([empty(ACK, 0x7777)], [], []):
        assert exchange.acknowledge() == owed
    start(exchange, ANOTHER)
    for message_id in (1, 2, 3):
        duplicate = separate(REQUEST, CONTENT, message_id)
        assert take(exchange, duplicate) == empty(ACK, message_id)


def test_duplicate_is_acknowledged_again_in_the_next_request():
    exchange = started()
    take(exchange, SEPARATE)
    exchange.acknowledge()
    start(exchange, ANOTHER)
    for _ in range(2):
        assert take(exchange, SEPARATE) == empty(ACK, 0x7777)
    assert exchange.response is None
    assert not exchange.failed
    assert exchange.ignored == 0
    take(exchange, reply(ANOTHER, CONTENT, payload=b"2"))
    assert exchange.response.payload == b"2"


def test_duplicate_of_what_was_not_acknowledged_is_reset_once_nothing_is_owed():
    exchange = started()
    take(exchange, SEPARATE)
    start(exchange, ANOTHER)
    assert take(exchange, SEPARATE) is None
    assert exchange.ignored == 0
    exchange.owed = ()
    assert take(exchange, SEPARATE) == empty(RST, 0x7777)


def test_response_that_is_held_is_neither_reset_nor_acknowledged():
    """Nor one whose token differs in its last byte: a power cut may lie between the two."""
    exchange = started()
    exchange.held = TOKEN[:-1]
    take(exchange, SEPARATE)
    start(exchange, ANOTHER)
    for last in range(256):
        token = TOKEN[:-1] + bytes((last,))
        assert take(exchange, reply(REQUEST, CONTENT, type=CON, message_id=5, token=token)) is None
    assert exchange.ignored == 0
    for token in (b"", TOKEN[:-2], TOKEN[1:], b"\x09" + TOKEN[1:-1] + b"\x01"):
        other = reply(REQUEST, CONTENT, type=CON, message_id=5, token=token)
        assert take(exchange, other) == empty(RST, 5)
    exchange.acknowledge()
    assert take(exchange, SEPARATE) == empty(ACK, 0x7777)


def test_block_options_have_three_bytes_at_most():
    for number in (23, 27):
        for value in (b"", b"\x08", b"\x00\x08", b"\x00\x00\x08", b"\xff\xff\xfe"):
            exchange = started()
            assert take(exchange, reply(REQUEST, CONTENT, [(number, value)])) is None
            assert exchange.response.option(number) == value
        exchange = started()
        take(exchange, reply(REQUEST, CONTENT, [(number, b"\x00\x00\x00\x08")]))
        assert exchange.response is None and exchange.ignored == 1


def test_no_token_is_held_by_itself():
    for token in (b"", b"\x01"):
        stranger = reply(REQUEST, CONTENT, type=CON, message_id=5, token=token)
        assert take(started(), stranger) == empty(RST, 5)


def test_duplicates_of_the_last_four_responses_are_known():
    exchange = started(range(1, 7))
    answers = [take(exchange, separate(ANOTHER, CONTENT, number)) for number in range(1, 7)]
    types = (RST, RST, ACK, ACK, ACK, ACK)
    assert answers == [empty(type, number + 1) for number, type in enumerate(types)]


def test_what_one_exchange_acknowledged_is_unknown_to_another():
    exchange = started()
    take(exchange, SEPARATE)
    exchange.acknowledge()
    assert take(started(request=ANOTHER), SEPARATE) == empty(RST, 0x7777)


def test_non_confirmable_with_an_acknowledged_message_id_is_not_acknowledged():
    exchange = started([0x7777])
    other = reply(REQUEST, CONTENT, type=NON, message_id=0x7777, token=b"\x09")
    assert take(exchange, other) is None
    assert exchange.ignored == 1


def test_our_token_wins_over_an_acknowledged_message_id():
    # Message IDs come round again after EXCHANGE_LIFETIME, and when a server restarts.
    exchange = started([0x7777])
    assert take(exchange, SEPARATE) is None
    assert exchange.response.payload == b"s"
    assert exchange.acknowledge() == [empty(ACK, 0x7777)]


def test_ping_with_an_acknowledged_message_id_is_reset():
    assert take(started([0x7777]), empty(CON, 0x7777)) == empty(RST, 0x7777)


def test_late_ack_after_the_response_is_only_counted_in_the_next_request():
    exchange = started()
    take(exchange, SEPARATE)
    start(exchange, ANOTHER)
    exchange.timer = None
    assert take(exchange, ACKNOWLEDGED) is None
    assert exchange.timer is None
    assert exchange.ignored == 1


def test_reset_is_an_error_that_says_so():
    exchange = started()
    assert take(exchange, RESET) is None
    assert exchange.failed
    error = explain(exchange)
    assert type(error) is CoapError
    assert "Reset" in error.what
    assert error.fix


def test_reset_of_another_message_is_only_counted():
    check_only_counted(empty(RST, 0x1235))


def test_reset_with_a_code_is_only_counted():
    check_only_counted(reply(REQUEST, CONTENT, type=RST))


def test_reset_after_the_empty_ack_is_only_counted():
    exchange = started()
    take(exchange, ACKNOWLEDGED)
    exchange.timer = None
    assert take(exchange, RESET) is None
    check_still_waiting(exchange, 1)


def test_ping_is_answered_with_reset():
    check_reset(empty(CON, 0xABCD), 0xABCD)


def test_ping_is_named_in_the_trouble_report():
    exchange, _, _ = play_out([(1, empty(CON, 0xABCD))])
    assert "1 ignored, the last: wrong code" in explain(exchange).what


def test_empty_non_confirmable_is_only_counted():
    check_only_counted(empty(NON, 0xABCD))


def test_unknown_token_in_a_confirmable_is_reset():
    check_reset(reply(REQUEST, CONTENT, type=CON, message_id=5, token=b"\x09" + TOKEN[1:]), 5)
    check_reset(reply(REQUEST, CONTENT, type=CON, message_id=6, token=TOKEN[:7]), 6)
    check_reset(reply(REQUEST, CONTENT, type=CON, message_id=7, token=b""), 7)


def test_unknown_token_in_a_non_confirmable_is_only_counted():
    check_only_counted(reply(REQUEST, CONTENT, type=NON, message_id=5, token=b"\x09" + TOKEN[1:]))


def test_unknown_token_in_a_piggybacked_response_is_only_counted():
    check_only_counted(reply(REQUEST, CONTENT, token=b"\x09" + TOKEN[1:]))
    check_only_counted(reply(REQUEST, CONTENT, token=b""))


def test_other_message_id_in_an_acknowledgement_is_only_counted():
    check_only_counted(empty(ACK, 0x1235))
    check_only_counted(reply(REQUEST, CONTENT, message_id=0x1235))


def test_unknown_token_does_not_stop_the_retransmission():
    other = reply(REQUEST, CONTENT, token=b"\x09")
    _, sent, _ = play_out([(5, other), (2005, PIGGYBACKED)])
    assert [when for when, _ in sent] == [0, 2000]


def test_request_from_the_server_is_reset():
    check_reset(bytes(encode(CON, GET, 9, b"\x09", [(11, b"a")])), 9)


def test_request_with_our_token_is_reset():
    check_reset(bytes(encode(CON, GET, 9, TOKEN, ())), 9)


def test_reserved_code_classes_are_rejected():
    for code in (0x01, 0x1F, 0x21, 0x3F, 0x61, 0xC1, 0xE1, 0xFF):
        check_reset(reply(REQUEST, code, type=CON, message_id=8), 8)
        check_only_counted(reply(REQUEST, code, type=NON, message_id=8))
        check_only_counted(reply(REQUEST, code))


def test_every_response_class_is_a_response():
    for code in (0x41, 0x45, 0x5F, 0x80, 0x84, 0x9F, 0xA0, 0xA3, 0xBF):
        exchange = started()
        take(exchange, reply(REQUEST, code))
        assert exchange.response.code == code


MALFORMED_AFTER_THE_HEADER = (
    b"\xff",  # a marker with no payload
    b"\xf0",  # a reserved delta
    b"\x0f",  # a reserved length
    b"\xd0",  # a truncated delta
    b"\x01",  # a truncated value
)


def test_malformed_confirmable_is_reset():
    for junk in MALFORMED_AFTER_THE_HEADER:
        check_reset(b"\x48\x45\x99\x98" + TOKEN + junk, 0x9998)
    check_reset(b"\x48\x45\x99\x98" + TOKEN[:7], 0x9998)
    check_reset(b"\x49\x45\x99\x98" + TOKEN + b"\x09", 0x9998)
    check_reset(b"\x4f\x45\x99\x98", 0x9998)
    check_reset(b"\x40\x00\x99\x98\x00", 0x9998)


def test_malformed_acknowledgement_reset_or_non_confirmable_is_only_counted():
    for first in (0x50, 0x60, 0x70):
        for junk in MALFORMED_AFTER_THE_HEADER:
            check_only_counted(bytes((first | 8, CONTENT)) + b"\x12\x34" + TOKEN + junk)
        check_only_counted(bytes((first | 9, CONTENT)) + b"\x12\x34" + TOKEN + b"\x09")
        check_only_counted(bytes((first, 0)) + b"\x12\x34\x00")


def test_other_version_is_only_counted():
    for first in (0x08, 0x88, 0xC8):
        check_only_counted(bytes((first,)) + SEPARATE[1:])


def test_under_4_bytes_is_only_counted():
    for size in range(4):
        check_only_counted(SEPARATE[:size])
        check_only_counted(PIGGYBACKED[:size])


def test_unknown_critical_option_in_a_confirmable_is_reset():
    for number in (1, 3, 9, 65535):
        check_reset(separate(REQUEST, CONTENT, 0x7777, options=[(number, b"")]), 0x7777)


def test_unknown_critical_option_in_an_acknowledgement_is_ignored():
    check_only_counted(reply(REQUEST, CONTENT, [(9, b"x")]))


def test_unknown_critical_option_in_a_non_confirmable_is_ignored():
    check_only_counted(separate(REQUEST, CONTENT, 0x7777, type=NON, options=[(9, b"x")]))


def test_unknown_critical_option_behind_known_ones():
    options = [(4, b"e"), (12, b""), (14, b"\x01"), (23, b"\x06"), (27, b"\x06"), (65533, b"")]
    check_only_counted(reply(REQUEST, CONTENT, options))


def test_a_block_option_of_3_bytes_is_known_and_one_of_4_is_not():
    """RFC 7959 section 2.2."""
    for number in (23, 27):
        exchange, sent, _ = play_out([(5, reply(REQUEST, CONTENT, [(number, b"\0\0\x06")]))])
        assert exchange.response.option(number) == b"\0\0\x06" and len(sent) == 1
        check_only_counted(reply(REQUEST, CONTENT, [(number, b"\0\0\0\x06")]))


def test_unknown_critical_option_is_named_when_no_response_comes():
    exchange, sent, _ = play_out([(5, reply(REQUEST, CONTENT, [(9, b"x")]))])
    assert [when for when, _ in sent] == ALL
    assert "unknown option 9" in explain(exchange).what


def test_elective_and_block_options_are_accepted():
    options = [(4, b"e"), (6, b""), (12, b""), (14, b"\x01"), (23, b"\x06"), (27, b"\x06")]
    exchange = started()
    take(exchange, reply(REQUEST, CONTENT, options + [(28, b""), (65534, b"")]))
    assert exchange.response.option(14) == b"\x01"


def test_more_than_10_options_are_read():
    options = [(8, bytes((number,))) for number in range(40)]
    exchange = started()
    take(exchange, reply(REQUEST, CONTENT, options, b"payload"))
    assert len(exchange.response.options) == 40
    assert exchange.response.payload == b"payload"


def test_repeated_block_option_is_rejected():
    # RFC 7252 section 5.4.5: the second one counts as an unrecognised critical option.
    check_only_counted(reply(REQUEST, CONTENT, [(23, b"\x0e"), (23, b"\x06")], bytes(1024)))
    check_reset(
        separate(REQUEST, CONTENT, 0x7777, bytes(9), options=[(27, b"\x0e"), (27, b"")]), 0x7777
    )


def test_block_option_of_4_bytes_is_rejected():
    # RFC 7252 section 5.4.3: a length that an option cannot have makes it unrecognised.
    check_only_counted(reply(REQUEST, CONTENT, [(23, b"\x00\x00\x00\x06")], b"x"))
    check_reset(separate(REQUEST, CONTENT, 0x7777, options=[(27, b"\x00\x00\x00\x06")]), 0x7777)


def test_1152_bytes_are_a_message():
    for make in (reply, lambda request, code, **more: separate(request, code, 3, **more)):
        payload = bytes(LARGEST_MESSAGE - len(make(REQUEST, CONTENT, payload=b"x")) + 1)
        datagram = make(REQUEST, CONTENT, payload=payload)
        assert len(datagram) == 1152
        exchange = started()
        take(exchange, datagram)
        assert exchange.response.payload == payload


def test_over_1152_bytes_is_rejected():
    check_only_counted(reply(REQUEST, CONTENT, payload=bytes(1152)))
    check_reset(separate(REQUEST, CONTENT, 0x7777, bytes(1152)), 0x7777)


def test_message_id_is_compared_whole():
    for message_id in (0x0034, 0x1200, 0x3412):
        check_only_counted(reply(REQUEST, CONTENT, message_id=message_id))


def test_response_after_a_storm():
    storm = [
        (first, bytes((first, CONTENT)) + b"\x12\x35" + bytes(reversed(TOKEN)) + b"\xffx")
        for first in range(256)
    ]
    exchange, sent, _ = play_out(storm + [(300, SEPARATE)])
    assert exchange.response.payload == b"s"
    assert exchange.ignored == 256
    assert [when for when, _ in sent] == [0] + list(range(0x40, 0x50))  # RST to each CON
