"""Power returns to a whole building: N boards provision at once. In virtual time.

Each board is the firmware's own exchange, retransmission, backoff and reading of replies; the
server is the model of ThingsBoard, which handles so many datagrams a second and drops the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from tools import shims

shims.install()

from firmware.coap.client import JSON  # noqa: E402
from firmware.coap.exchange import Exchange  # noqa: E402
from firmware.coap.message import ACK, CON, GET, POST, decode, encode, uint_bytes  # noqa: E402
from firmware.retry import backoff  # noqa: E402
from firmware.thingsboard import provisioning  # noqa: E402
from firmware.thingsboard.device_api import api_path, is_known  # noqa: E402
from firmware.thingsboard.refusals import Failure, ProvisioningError  # noqa: E402
from tools.fake_thingsboard.californium import Duplicates  # noqa: E402
from tools.fake_thingsboard.messages import BARE  # noqa: E402
from tools.fake_thingsboard.model import ThingsBoard  # noqa: E402
from tools.storm.simulation import (  # noqa: E402
    JOINED,
    ONE_WAY,
    Agenda,
    Storm,
    Weather,
    no_jitter,
    take_timer,
)

_URI_PATH, _CONTENT_FORMAT = 11, 12


class _Board:
    """One board, from its first datagram until it is provisioned."""

    def __init__(self, number: int, random: Callable[[int], bytes]):
        self.number = number
        self.is_done = False
        self._random = random
        self._token = f"{number:020d}"
        self._failures = 0
        self._exchange: Exchange | None = None
        self._probing = False
        self._request = self._encode(POST, provisioning.PATH, self._body())

    def start(self) -> tuple[bytes | None, int | None]:
        """Send what is to be sent now. Gives a datagram and after how many ms to come back."""
        request = self._request
        if self._probing:
            credentials = {"credentialsType": "ACCESS_TOKEN", "credentialsValue": self._token}
            request = self._encode(GET, api_path(credentials, "attributes"), b"")
        self._exchange = Exchange()
        return self._exchange.start(request, request[4:12]), take_timer(self._exchange)

    def on_timer(self) -> tuple[bytes | None, int | None]:
        """The time that was asked for is over."""
        if self._exchange is None:
            return self.start()
        datagram = self._exchange.on_timer()
        if self._exchange.failed:
            return None, self._back_off()
        return datagram, take_timer(self._exchange)

    def on_datagram(self, datagram: bytes) -> tuple[bytes | None, int | None]:
        """A datagram has come."""
        if self._exchange is None:
            return None, None
        answer = self._exchange.on_datagram(datagram)
        response = self._exchange.response
        if response is None:
            return answer, take_timer(self._exchange)
        try:
            if self._probing:
                self.is_done = is_known(response)
            else:
                response.payload = bytes(response.payload)
                provisioning.read_response(response)
                self.is_done = True
        except Failure:
            self._probing = True
            return self.start()
        except ProvisioningError:
            self._request = self._encode(POST, provisioning.PATH, self._body())
        return None, None if self.is_done else self._back_off()

    def _back_off(self) -> int:
        self._exchange = None
        wait = backoff(self._failures, self._random)
        self._failures += 1
        return wait

    def _body(self) -> bytes:
        return provisioning.request_body(
            {
                "deviceName": f"sensor-{self.number}",
                "provisionDeviceKey": "key",
                "provisionDeviceSecret": "secret",
                "token": self._token,
            }
        )

    def _encode(self, code: int, path: str, payload: bytes) -> bytes:
        options = [(_URI_PATH, segment.encode()) for segment in path.split("/") if segment]
        if payload:
            options.append((_CONTENT_FORMAT, uint_bytes(JSON)))
        message_id = int.from_bytes(self._random(2), "big")
        return bytes(encode(CON, code, message_id, self._random(8), options, payload))


class _Server:
    """ThingsBoard behind a limit: what is over it in a second is dropped unseen."""

    def __init__(self, weather: Weather, arrivals: Counter):
        self._weather = weather
        self._arrivals = arrivals
        self._thingsboard = ThingsBoard(key="key", secret="secret")
        self._duplicates = Duplicates()
        self._message_id = 0

    def on_datagram(self, board: int, datagram: bytes, now: int) -> list[bytes]:
        second = now // 1000
        self._arrivals[second] += 1
        if now < self._weather.outage * 1000 or self._arrivals[second] > self._weather.rate_limit:
            return []
        peer = ("", board)
        again = self._duplicates.received(peer, datagram, now / 1000)
        if again is not None:
            return again
        request = decode(memoryview(datagram))
        if request.type == ACK:
            return []
        path = [bytes(value).decode() for number, value in request.options if number == _URI_PATH]
        answer = self._thingsboard.handle(request.code, path, bytes(request.payload))
        kind, message_id = ACK, request.message_id
        if answer.way == BARE:
            self._message_id = self._message_id + 1 & 0xFFFF
            kind, message_id = CON, self._message_id
        reply = bytes(encode(kind, answer.code, message_id, request.token, (), answer.payload))
        self._duplicates.sent(peer, request.message_id, reply)
        return [reply]


def simulate(
    weather: Weather, jitter: bool = True, on_progress: Callable[[int], None] | None = None
) -> Storm:
    """Run a storm to its end. `on_progress` gets how many boards are provisioned."""
    chance = Random(weather.seed)
    storm = Storm(weather.boards)
    server = _Server(weather, storm.arrivals)
    agenda = Agenda()
    boards = []
    for number in range(weather.boards):
        boards.append(_Board(number, chance.randbytes if jitter else no_jitter))
        agenda.start(number, chance.randint(*JOINED) if jitter else JOINED[0])
    for number, outgoing in agenda.steps(boards):
        if boards[number].is_done:
            storm.provisioned.append(agenda.now)
            if on_progress and len(storm.provisioned) % 100 == 0:
                on_progress(len(storm.provisioned))
            if len(storm.provisioned) == weather.boards:
                break
        elif outgoing is not None:
            storm.sent += 1
            if chance.random() >= weather.loss:
                arrival = agenda.now + ONE_WAY
                for reply in server.on_datagram(number, outgoing, arrival):
                    if chance.random() >= weather.loss:
                        agenda.deliver(number, arrival + ONE_WAY, reply)
    return storm
