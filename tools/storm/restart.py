"""ThingsBoard restarts under N running boards, and forgets what they observe. In virtual time.

A board learns of it when it registers again, which it does by its own `refresh`. Each is the
firmware's exchange, backoff and jitter; the server handles so many datagrams a second and drops
the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tools import shims

shims.install()

from firmware.coap.exchange import Exchange  # noqa: E402
from firmware.coap.message import ACK, CON, GET, encode  # noqa: E402
from firmware.device import REFRESH  # noqa: E402
from firmware.retry import backoff, spread  # noqa: E402
from tools.storm.simulation import (  # noqa: E402
    JOINED,
    ONE_WAY,
    Agenda,
    Storm,
    Weather,
    no_jitter,
    take_timer,
)

_RESOURCES = (b"rpc", b"attributes")
_CONTENT = 0x45
_OBSERVE, _URI_PATH = 6, 11
# ms after power returned: then every board has registered a few times.
_RESTART = 3 * REFRESH


class _Board:
    """One board, which registers its observations again and again."""

    is_done = False

    def __init__(self, number: int, random: Callable[[int], bytes], agenda: Agenda):
        self._agenda = agenda
        # When each of its observations was registered, in ms.
        self.registered = [-1, -1]
        self._random = random
        self._token = f"{number:020d}".encode()
        self._exchange: Exchange | None = None
        self._resource = 0
        self._failures = 0

    def on_timer(self) -> tuple[bytes | None, int]:
        """The time that was asked for is over: a datagram, and after how many ms to come back."""
        if self._exchange is None:
            return self._register()
        datagram = self._exchange.on_timer()
        if self._exchange.failed:
            self._exchange = None
            self._resource = 0
            self._failures += 1
            return None, backoff(self._failures - 1, self._random)
        return datagram, take_timer(self._exchange)

    def on_datagram(self, datagram: bytes) -> tuple[bytes | None, int | None]:
        """A datagram has come."""
        if self._exchange is None:
            return None, None
        answer = self._exchange.on_datagram(datagram)
        if self._exchange.response is None:
            return answer, take_timer(self._exchange)
        self.registered[self._resource] = self._agenda.now
        self._exchange = None
        self._failures = 0
        self._resource = (self._resource + 1) % len(_RESOURCES)
        return self._register() if self._resource else (None, spread(REFRESH, self._random))

    def _register(self) -> tuple[bytes, int]:
        path = (b"api", b"v1", self._token, _RESOURCES[self._resource])
        options = [(_OBSERVE, b"")] + [(_URI_PATH, segment) for segment in path]
        token = self._random(8)
        message_id = int.from_bytes(self._random(2), "big")
        self._exchange = Exchange()
        datagram = self._exchange.start(bytes(encode(CON, GET, message_id, token, options)), token)
        return datagram, take_timer(self._exchange)


def simulate(
    weather: Weather, jitter: bool = True, on_progress: Callable[[int], None] | None = None
) -> Storm:
    """Let the server be away for `weather.outage` s under running boards, and forget all.

    In what it returns "provisioned" is a board whose observations are alive again; times are in ms
    since the server is back, and it is counted from then on.
    """
    chance = Random(weather.seed)
    storm = Storm(weather.boards)
    away = range(_RESTART, _RESTART + int(weather.outage * 1000))
    agenda = Agenda()
    boards = []
    alive: set[int] = set()
    handled = second = 0
    for number in range(weather.boards):
        boards.append(_Board(number, chance.randbytes if jitter else no_jitter, agenda))
        agenda.start(number, chance.randint(*JOINED) if jitter else JOINED[0])
    for number, outgoing in agenda.steps(boards):
        if number not in alive and min(boards[number].registered) >= away.stop:
            alive.add(number)
            storm.provisioned.append(agenda.now - away.stop)
            if on_progress and len(alive) % 100 == 0:
                on_progress(len(alive))
        if len(alive) == weather.boards:
            break
        if outgoing is None:
            continue
        arrival = agenda.now + ONE_WAY
        if arrival >= away.stop:
            storm.sent += 1
            storm.arrivals[(arrival - away.stop) // 1000] += 1
        if arrival // 1000 != second:
            second, handled = arrival // 1000, 0
        handled += 1
        is_lost = chance.random() < weather.loss or chance.random() < weather.loss
        if arrival in away or handled > weather.rate_limit or is_lost:
            continue
        head = outgoing[:4]
        token = bytes(outgoing[4 : 4 + (head[0] & 15)])
        options = [(_OBSERVE, b"")]
        reply = bytes(encode(ACK, _CONTENT, head[2] << 8 | head[3], token, options, b"{}"))
        agenda.deliver(number, arrival + ONE_WAY, reply)
    return storm
