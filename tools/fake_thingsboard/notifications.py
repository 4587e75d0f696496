"""Observations of attributes and RPC, RFC 7641, as ThingsBoard and Californium keep them."""

from __future__ import annotations

from typing import NamedTuple

from tools.fake_thingsboard.codec import Message
from tools.fake_thingsboard.messages import DELETED, Reply
from tools.fake_thingsboard.transmissions import Peer

Key = tuple[str, str]  # name of the device, feature


class Observation(NamedTuple):
    """`request`: the registration. `number`: of the last notification.

    `in_flight`: Message ID of a notification that is not acknowledged, and `call` the number of the
    RPC request that it is, if any. `newest`: what came after it, and its call; it takes the place
    of whatever came between.
    """

    peer: Peer
    request: Message
    number: int = 0
    in_flight: int | None = None
    call: int | None = None
    newest: tuple[Reply, int | None] | None = None


class Outgoing(NamedTuple):
    """A message to an observer: in answer to `request`, with this `observe`, None for none.

    `key`: of the observation that it is a notification of, and `call` the number of the RPC request
    that it is. `in_place_of`: Message ID of what is not sent again.
    """

    peer: Peer
    request: Message
    reply: Reply
    observe: int | None
    key: Key | None = None
    call: int | None = None
    in_place_of: int | None = None


class Notifications:
    """One observation of each feature of each device."""

    def __init__(self) -> None:
        self.observations: dict[Key, Observation] = {}
        self._in_flight: dict[tuple[Peer, int], Key] = {}

    def copy(self) -> Notifications:
        """An independent copy."""
        copy = Notifications()
        copy.observations = self.observations.copy()
        copy._in_flight = self._in_flight.copy()
        return copy

    def register(self, key: Key, peer: Peer, request: Message) -> list[Outgoing]:
        """Begin an observation; gives what the one that it takes the place of is told."""
        old = self.observations.get(key)
        is_same = old and (old.peer, old.request.token) == (peer, request.token)
        ended = self.end(key, None if is_same else 0)
        self.observations[key] = Observation(peer, request)
        return ended

    def deregister(self, peer: Peer, token: bytes) -> None:
        """End what was registered from there with that token."""
        for key, observation in list(self.observations.items()):
            if (observation.peer, observation.request.token) == (peer, token):
                self.forget(key)

    def end(self, key: Key, observe: int | None = 0) -> list[Outgoing]:
        """End an observation, if it is there; gives what the observer is told."""
        observation = self.forget(key)
        if observation is None:
            return []
        peer, request, _, in_flight, *_ = observation
        return [Outgoing(peer, request, Reply(DELETED), observe, in_place_of=in_flight)]

    def notify(self, key: Key, reply: Reply, call: int | None = None) -> list[Outgoing]:
        """Tell an observer, unless it has not acknowledged what it was told before."""
        observation = self.observations[key]
        observation = observation._replace(number=observation.number + 1)
        self.observations[key] = observation
        if observation.in_flight is not None:
            self.observations[key] = observation._replace(newest=(reply, call))
            return []
        return [self._outgoing(key, reply, call)]

    def sent(self, key: Key, message_id: int, call: int | None) -> None:
        """A confirmable notification went out."""
        observation = self.observations[key]
        self._in_flight.pop((observation.peer, observation.in_flight), None)
        self._in_flight[observation.peer, message_id] = key
        self.observations[key] = observation._replace(in_flight=message_id, call=call, newest=None)

    def key_of(self, peer: Peer, message_id: int) -> Key | None:
        """Whose notification has this Message ID and is not acknowledged."""
        return self._in_flight.get((peer, message_id))

    def acknowledged(self, key: Key) -> list[Outgoing]:
        """The observer has its notification: now it is told the newest."""
        observation = self.observations[key]
        del self._in_flight[observation.peer, observation.in_flight]
        self.observations[key] = observation._replace(in_flight=None, call=None)
        return [self._outgoing(key, *observation.newest)] if observation.newest else []

    def superseded(self, key: Key) -> list[Outgoing]:
        """What goes out in place of a notification that would be sent again; nothing: itself."""
        observation = self.observations[key]
        if observation.newest is None:
            return []
        outgoing = self._outgoing(key, *observation.newest)
        return [outgoing._replace(in_place_of=observation.in_flight)]

    def forget(self, key: Key) -> Observation | None:
        """End an observation without a word."""
        observation = self.observations.pop(key, None)
        if observation is not None:
            self._in_flight.pop((observation.peer, observation.in_flight), None)
        return observation

    def _outgoing(self, key: Key, reply: Reply, call: int | None) -> Outgoing:
        observation = self.observations[key]
        return Outgoing(observation.peer, observation.request, reply, observation.number, key, call)
