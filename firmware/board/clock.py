"""The clock that certificates are checked against: set by SNTP (RFC 5905 section 14)."""

from time import gmtime, ticks_add, ticks_diff

from micropython import const

from firmware.coap.message import uint

# The date of this firmware, in seconds since 1970: no clock can rightly say less. A test says
# when it has to be moved on.
BUILT = 1_795_392_000  # 2026-11-23

_PORT = const(123)
_APART = const(10)  # s; two servers that are no further apart agree
_DEADLINE = const(10_000)
_PATIENCE = const(2_000)
_POLL = const(20)
_AGAIN = const(1_800_000)  # ms
_SIZE = const(48)
_CLIENT = const(0x23)  # version 4, mode 3
_SERVER_MODE = const(4)
_UNSYNCHRONISED = const(3)
_LARGEST_STRATUM = const(15)
_FROM_1900_TO_1970 = 2_208_988_800


def set_clock(board, servers):
    """Set the board's clock by SNTP: once a power-up, and again when a certificate disagrees.

    `servers`: host names, or None. What two of them agree on counts, else the first answer.
    Without an answer in 10 s the clock is left as it is, or set to the date of this firmware when
    it says less; the console says so, and they are asked again after half an hour at the earliest.
    """
    for ms in clock_steps(board, servers):
        board.sleep(ms)


def clock_steps(board, servers):
    """The steps of `set_clock`: they yield how long to wait, in ms.

    What MicroPython does in one piece: look up a server's address.
    """
    if board.clock_is_set and not _is_due(board):
        return
    is_wrong = board.clock_is_set is None
    board.clock_is_set = True
    answers = yield from _ask_all(board, servers or [])
    # In ticks; None: nobody has to be asked again.
    board.clock_asked_at = board.ticks() if servers and not answers else None
    if answers:
        seconds, host = _choose(answers, board.now if is_wrong else None)
        seconds += ticks_diff(board.ticks(), answers[0][2]) // 1000
        board.set_clock(seconds)
        # Not by its name: who forges answers has them for a token in the place of a host, too.
        number = servers.index(host) + 1
        board.indicator.say("clock set to %s UTC by host %d of `ntp`" % (shown(seconds), number))
        return
    why = "no answer from any host of `ntp`" if servers else "config.json names no `ntp`"
    if board.now >= BUILT:
        board.indicator.say("clock left at %s UTC: %s" % (shown(board.now), why))
        return
    board.set_clock(BUILT, True)
    board.indicator.say(
        "clock set to this firmware's date, %s UTC: %s" % (shown(BUILT), why),
        "Certificates are checked against that date.",
    )


def doubt(board):
    """Have the clock set again before the next session: a certificate disagrees with it."""
    board.clock_is_set = None


def _is_due(board):
    """Return whether nobody answered, long ago."""
    asked_at = board.clock_asked_at
    # Less than 0: it is days ago.
    return asked_at is not None and not 0 <= ticks_diff(board.ticks(), asked_at) < _AGAIN


def shown(seconds):
    """Return a time in seconds since 1970 for a person."""
    epoch = 946_684_800 if gmtime(0)[0] == 2000 else 0
    return "%04d-%02d-%02d %02d:%02d" % tuple(gmtime(seconds - epoch)[:5])


def _ask_all(board, servers):
    """The steps that return what servers say until two agree: (seconds then, host, ticks)."""
    answers = []
    tried = []
    deadline = ticks_add(board.ticks(), _DEADLINE)
    for host in servers * 2:
        is_again = host in tried
        tried.append(host)
        if ticks_diff(deadline, board.ticks()) <= 0 or (is_again and answers):
            break
        seconds = yield from _ask(board, host)
        if seconds:
            now = board.ticks()
            first = answers[0][2] if answers else now
            seconds -= ticks_diff(now, first) // 1000
            answers.append((seconds, host, first))
            if _agreed(answers, seconds) > 1:
                break
    return answers


def _choose(answers, wrong):
    """Return the (seconds, host) to believe. `wrong`: what the clock says and should not."""
    best = None
    for seconds, host, _ in answers:
        # Two that agree before one alone; then what is not what disagreed; then the first.
        rank = (_agreed(answers, seconds) > 1, wrong is None or abs(seconds - wrong) > _APART)
        if best is None or rank > best[0]:
            best = rank, seconds, host
    return best[1:]


def _agreed(answers, seconds):
    """Return how many answers say about the same."""
    return len([1 for other, _, _ in answers if abs(other - seconds) <= _APART])


def _ask(board, host):
    """The steps that return a server's time in seconds since 1970, or None."""
    transport = None
    try:
        transport = board.open_transport(board.resolve(host, _PORT)[0], _PORT, 0)
        request = bytearray(_SIZE)
        request[0] = _CLIENT
        # The server gives it back, so that only who got the request can answer it.
        request[40:] = board.random(8)
        transport.send(request)
        end = ticks_add(board.ticks(), _PATIENCE)
        while ticks_diff(end, board.ticks()) > 0:
            reply = transport.receive(_SIZE, 0)
            seconds = reply and _seconds(reply, request[40:])
            if seconds:
                return seconds
            yield _POLL
    except (OSError, IndexError):
        # Not found, or out of reach: the next server may be better.
        pass
    finally:
        if transport:
            transport.close()
    return None


def _seconds(reply, sent):
    """Return the time in a reply, or None for what is no answer to what was sent."""
    if (
        len(reply) < _SIZE
        or reply[0] & 7 != _SERVER_MODE
        or reply[0] >> 6 == _UNSYNCHRONISED
        or not 0 < reply[1] <= _LARGEST_STRATUM
        or reply[24:32] != sent
    ):
        return None
    seconds = uint(reply[40:44])
    if not seconds:
        return None
    if not seconds >> 31:
        # The 32 bits begin anew in 2036 (RFC 5905 section 6).
        seconds += 1 << 32
    seconds -= _FROM_1900_TO_1970
    return seconds if seconds >= BUILT else None
