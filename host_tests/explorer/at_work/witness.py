"""What an application gives its device and is given, what goes out and what arrives of it."""

from __future__ import annotations

import json
from collections import Counter

from firmware.coap.client import Client
from firmware.errors import Silence
from firmware.thingsboard.telemetry import Queue
from host_tests.explorer.at_work.wire import Session, Transport, Wire
from host_tests.explorer.run import Violation
from tools.fake_thingsboard.codec import NON, decode
from tools.fake_thingsboard.model import ThingsBoard

_POLL = 20  # ms


class Witness:
    """Notes what a board at work does, and raises Violation for what it must never do.

    A reading is {"r": its number}, the attribute "n" only grows. The one who lives has a `wire`, a
    `thingsboard`, a `board`, its `address`, and what its `random` bytes are drawn from.
    """

    wire: Wire
    thingsboard: ThingsBoard
    transport: Transport | None = None
    is_secure = False
    known: dict | None = None  # the attributes that were handed over

    def __init__(self):
        self.ports = 20_000
        self.taken: dict[int, int] = {}  # by the number of a reading: when it was taken
        self.lost: set[int] = set()  # that were not on flash when the power was cut
        self.dropped: list[int] = []
        self.unconfirmed: set[int] = set()  # that were given so
        self.once: list[int] = []  # that were sent so
        self.sent: set[int] = set()
        self.last_sent = -1
        self.sent_again: set[int] = set()  # of `once`, in another message
        self.done: Counter = Counter()  # how often each call was executed in this power-up
        self.stored: dict[int, set] = {}  # in a device that is deleted

    def watch_drops(self, queue: Queue) -> None:
        """Note which readings there is no room for."""
        put = queue.put

        def waiting() -> set[int]:
            return {json.loads(values)["r"] for _, values in queue.readings}

        def watched(values, ts=None):
            before = waiting() | {values["r"]}
            put(values, ts)
            self.dropped += before - waiting()

        queue.put = watched

    def take_change(self, change: dict) -> None:
        """The handler of attributes is given something."""
        if self.known is None:
            self.known = change.copy()
            return
        for key, value in change.items():
            before = self.known.pop(key, None)
            if json.dumps(before) == json.dumps(value):
                raise Violation(f"a change of {key} was handed over twice")
            if key == "n" and None not in (before, value) and value < before:
                raise Violation("a change was handed over that is older than the last")
            if value is not None:
                self.known[key] = value

    def take_call(self, params) -> None:
        """A call is executed that no other has the params of."""
        self.done[params] += 1
        if self.done[params] > 1:
            raise Violation("a call was executed twice")

    def connect(self, server: str, sessions, idle) -> Client:
        """What firmware.coap.connect does."""
        if self.wire.is_out:
            raise Silence("no such name")
        self.ports += 1
        how = Session if self.is_secure else Transport
        self.transport = how(self.wire, self.address, self.ports)
        client = Client(self.transport, "h", idle, ticks=self.board.ticks, random=self.random)
        client.send = lambda *what: self._note_sent(client, *what)
        return client

    def listen(self, ms: int) -> bool:
        """Let time pass until something arrives; whether it did."""
        peer = self.transport.peer if self.transport else None
        if self.wire.has_for(peer):
            # Who does not read it, since it is time to sleep, looks again all the same.
            self.wire.advance(min(ms, _POLL))
        self.wire.listen(peer, ms)
        return self.wire.has_for(peer)

    def all_stored(self) -> dict[int, set]:
        """The times that each reading has in ThingsBoard."""
        found = dict(self.stored)
        for state in self.thingsboard.devices.values():
            for body in state.telemetry:
                for ts, values in _readings(json.loads(body)):
                    # Without one ThingsBoard gives its own, another for each message.
                    times = found.get(values["r"], frozenset())
                    found[values["r"]] = times | {object() if ts is None else ts}
        return found

    def _note_sent(self, client: Client, datagram: bytes, has_to_go: bool = False) -> None:
        """Note which readings are sent, and how. Raises Violation."""
        Client.send(client, datagram, has_to_go)
        if b"telemetry" not in bytes(datagram) or client.exchange.transmissions > 1:
            return
        message = decode(bytes(datagram))
        if message.path[-1:] != ("telemetry",):
            return
        numbers = [values["r"] for _, values in _readings(json.loads(message.payload))]
        if not numbers:
            return
        self.sent_again.update(set(numbers) & set(self.once))
        if message.type == NON:
            if not self.unconfirmed.issuperset(numbers):
                raise Violation("a reading that was to be confirmed was not")
            if len(numbers) > 1:
                raise Violation("readings that had waited were not confirmed")
            self.once += numbers
        new = [number for number in numbers if number not in self.sent]
        is_late = new and new[0] < self.last_sent
        if numbers != sorted(numbers) or is_late:
            raise Violation(f"readings were sent in another order: {numbers}")
        self.sent.update(numbers)
        self.last_sent = max(self.last_sent, *numbers)


def _readings(body) -> list[tuple[int | None, dict]]:
    """Each reading of the application's in a message: its time or None, and its values."""
    found = body if isinstance(body, list) else [body]
    readings = [(each.get("ts"), each.get("values", each)) for each in found]
    return [(ts, values) for ts, values in readings if "r" in values]
