"""N boards are assigned an update at once, and ThingsBoard serves it in blocks. In virtual time.

Each board is the firmware's exchange, backoff and jitter; the server handles so many datagrams a
second and drops the rest. It tells one board after the other, as fast.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from random import Random

from tools import shims

shims.install()

from firmware.coap.exchange import Exchange  # noqa: E402
from firmware.coap.message import (  # noqa: E402
    ACK,
    CON,
    EMPTY,
    GET,
    POST,
    decode,
    encode,
    uint,
    uint_bytes,
)
from firmware.retry import backoff  # noqa: E402
from firmware.thingsboard.ota import state_of  # noqa: E402
from tools.flash.content import default_of  # noqa: E402
from tools.storm.simulation import (  # noqa: E402
    ONE_WAY,
    Agenda,
    Storm,
    Weather,
    no_jitter,
    take_timer,
)

BLOCK = 1024
# s within which boards begin: `update.spread` of config.json unless it says otherwise.
SPREAD = default_of("update.", "spread")

_STATES = ("DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING")
_BLOCK2 = 23
_URI_PATH = 11
_CONTENT, _CREATED = 0x45, 0x44
_SMALLEST, _LARGEST = 0, 6  # exponents of a block's size
_WRITES = 20  # ms: a block goes to flash


class _Board:
    """One board, from the word of an update until all of it is on its flash.

    What it is asked to do gives datagrams, and after how many ms to come back.
    """

    def __init__(self, number: int, blocks: int, random: Callable[[int], bytes]):
        self._random = random
        self._name = f"{number:020d}".encode()
        self._message_id = int.from_bytes(random(2), "big")
        self._exchange: Exchange | None = None
        self._failures = 0
        # Whether ThingsBoard has served this port the first block: then it serves the others.
        self._is_served = False
        self._to_do = ["DOWNLOADING", *range(blocks), "DOWNLOADED", "VERIFIED", "UPDATING"]

    @property
    def is_done(self) -> bool:
        """Whether it restarts into the new version."""
        return not self._to_do

    def on_timer(self) -> tuple[list[bytes], int | None]:
        """The time that was asked for is over."""
        if self._exchange is None:
            return self._ask([])
        datagram = self._exchange.on_timer()
        if self._exchange.failed:
            # It connects anew, from another port.
            self._exchange = None
            self._is_served = False
            self._failures += 1
            return [], backoff(self._failures - 1, self._random)
        return [datagram], take_timer(self._exchange)

    def on_datagram(self, datagram: bytes) -> tuple[list[bytes], int | None]:
        """A datagram has come."""
        if self._exchange is None:
            return [], None
        answer = self._exchange.on_datagram(datagram)
        answers = [answer] if answer else []
        if self._exchange.response is None:
            return answers, take_timer(self._exchange)
        answers += [bytes(each) for each in self._exchange.acknowledge()]
        self._exchange = None
        self._failures = 0
        if not self._is_about_to_go_on():
            is_block = isinstance(self._to_do.pop(0), int)
            self._is_served = is_block
            if self.is_done or is_block:
                return answers, None if self.is_done else _WRITES
        self._is_served = True
        return self._ask(answers)

    def _is_about_to_go_on(self) -> bool:
        """Whether the first block has to be asked for before the one that is wanted."""
        return self._to_do[0] not in (0, *_STATES) and not self._is_served

    def _ask(self, before: list[bytes]) -> tuple[list[bytes], int | None]:
        what = self._to_do[0]
        if what in _STATES:
            path = (b"api", b"v1", self._name, b"telemetry")
            datagram = self._encoded(POST, path, [], json.dumps(state_of("sw", what)).encode())
        else:
            szx = _SMALLEST if self._is_about_to_go_on() else _LARGEST
            number = 0 if szx == _SMALLEST else what
            block = (_BLOCK2, uint_bytes(number << 4 | szx))
            datagram = self._encoded(GET, (b"sw", self._name), [block], b"")
        self._exchange = Exchange()
        return [*before, self._exchange.start(datagram, datagram[4:12])], take_timer(self._exchange)

    def _encoded(self, code: int, path: tuple[bytes, ...], options: list, body: bytes) -> bytes:
        self._message_id = self._message_id + 1 & 0xFFFF
        token = self._random(7) + bytes((self._message_id & 0xFF,))
        segments = [(_URI_PATH, segment) for segment in path]
        return bytes(encode(CON, code, self._message_id, token, segments + options, body))


def simulate(
    weather: Weather, jitter: bool = True, on_progress: Callable[[int], None] | None = None
) -> Storm:
    """Assign an update of `weather.size` bytes to all boards, and let them download it.

    In what it returns "provisioned" is a board that has all of it; times are in ms since it was
    assigned.
    """
    chance = Random(weather.seed)
    storm = Storm(weather.boards)
    agenda = Agenda()
    boards = []
    done = 0
    for number in range(weather.boards):
        random = chance.randbytes if jitter else no_jitter
        boards.append(_Board(number, math.ceil(weather.size / BLOCK), random))
        told = number * 1000 // weather.rate_limit
        waits = chance.randint(0, SPREAD * 1000) if jitter else 0
        agenda.start(number, told + ONE_WAY + waits)
    for number, outgoing in agenda.steps(boards):
        if boards[number].is_done:
            done += 1
            storm.provisioned.append(agenda.now)
            if on_progress and done % 100 == 0:
                on_progress(done)
        arrival = agenda.now + ONE_WAY
        for each in outgoing:
            storm.sent += 1
            storm.arrivals[arrival // 1000] += 1
            if storm.arrivals[arrival // 1000] > weather.rate_limit:
                storm.dropped += 1
                continue
            if arrival < weather.outage * 1000 or chance.random() < weather.loss:
                continue
            for reply in _replies(each):
                if chance.random() >= weather.loss:
                    agenda.deliver(number, arrival + ONE_WAY, reply)
        if done == weather.boards:
            break
    return storm


def _replies(datagram: bytes) -> list[bytes]:
    """What ThingsBoard answers, in the kinds of messages in which it does; a block is not shown."""
    request = decode(memoryview(datagram))
    if request.type == ACK:
        return []
    token = bytes(request.token)
    block = request.option(_BLOCK2)
    if request.code == POST:
        return [bytes(encode(CON, _CREATED, request.message_id, token, ()))]
    if block is not None and len(block) and uint(block) >> 4:
        return [bytes(encode(ACK, _CONTENT, request.message_id, token, (), b"block"))]
    return [
        bytes(encode(ACK, EMPTY, request.message_id, b"", ())),
        bytes(encode(CON, _CONTENT, request.message_id, token, (), b"block")),
    ]
