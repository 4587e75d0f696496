"""Observations of attributes and RPC, RFC 7641, as ThingsBoard and Californium keep them."""

from __future__ import annotations

from typing import NamedTuple

from tools.fake_thingsboard.codec import Message
from tools.fake_thingsboard.messages import CONTENT, DELETED, JSON, Reply
from tools.fake_thingsboard.transmissions import Peer

Key = tuple[str, str]  # name of the device, feature


class Observation(NamedTuple):
    """`request`: the registration. `number`: of the last notification.

    `in_flight`: Message ID of a notification that is not acknowledged. `newest`: what came after
    it; it takes the place of whatever came between.
    """

    peer: Peer
    request: Message
    number: int = 0
    in_flight: int | None = None
    newest: Reply | None = None


class Outgoing(NamedTuple):
    """A message to an observer: in answer to `request`, with this `observe`, None for none.

    `key`: of the observation that it is a notification of. `in_place_of`: Message ID of what is
    not sent again.
    """

    peer: Peer
    request: Message
    reply: Reply
    observe: int | None
    key: Key | None = None
    in_place_of: int | None = None


class Notifications:
    """One observation of each feature of each device."""

    def __init__(self) -> None:
        self.observations: dict[Key, Observation] = {}

    def copy(self) -> Notifications:
        """An independent copy."""
        copy = Notifications()
        copy.observations = self.observations.copy()
        return copy

    def register(self, key: Key, peer: Peer, request: Message) -> list[Outgoing]:
        """Begin an observation; gives what the one that it takes the place of is told."""
        old = self.observations.pop(key, None)
        self.observations[key] = Observation(peer, request)
        if old is None:
            return []
        is_same = (old.peer, old.request.token) == (peer, request.token)
        return [_end_of(old)._replace(observe=None if is_same else 0)]

    def deregister(self, peer: Peer, token: bytes) -> None:
        """End what was registered from there with that token."""
        for key, observation in list(self.observations.items()):
            if (observation.peer, observation.request.token) == (peer, token):
                del self.observations[key]

    def end(self, name: str) -> list[Outgoing]:
        """End the observations of a device that has other credentials now, or is deleted."""
        ended = [self.observations.pop((name, feature), None) for feature in ("rpc", "attributes")]
        return [_end_of(each) for each in ended if each]

    def notify(self, key: Key, payload: str) -> list[Outgoing]:
        """Tell an observer, unless it has not acknowledged what it was told before."""
        observation = self.observations[key]
        observation = observation._replace(number=observation.number + 1)
        self.observations[key] = observation
        reply = Reply(CONTENT, payload.encode("utf-8", "replace"), JSON)
        if observation.in_flight is not None:
            self.observations[key] = observation._replace(newest=reply)
            return []
        return [self._outgoing(key, reply)]

    def sent(self, key: Key, message_id: int) -> None:
        """A confirmable notification went out."""
        observation = self.observations[key]
        self.observations[key] = observation._replace(in_flight=message_id, newest=None)

    def acknowledged(self, peer: Peer, message_id: int) -> list[Outgoing]:
        """The observer has a notification: now it is told the newest."""
        key = self._find(peer, message_id)
        if key is None:
            return []
        observation = self.observations[key]
        self.observations[key] = observation._replace(in_flight=None)
        return [self._outgoing(key, observation.newest)] if observation.newest else []

    def superseded(self, peer: Peer, message_id: int) -> list[Outgoing]:
        """What goes out in place of a notification that would be sent again; nothing: itself."""
        key = self._find(peer, message_id)
        if key is None or self.observations[key].newest is None:
            return []
        outgoing = self._outgoing(key, self.observations[key].newest)
        return [outgoing._replace(in_place_of=message_id)]

    def lost(self, peer: Peer, message_id: int) -> None:
        """A notification was reset, or never acknowledged: the observation is over."""
        self.observations.pop(self._find(peer, message_id), None)

    def _outgoing(self, key: Key, reply: Reply) -> Outgoing:
        observation = self.observations[key]
        return Outgoing(observation.peer, observation.request, reply, observation.number, key)

    def _find(self, peer: Peer, message_id: int) -> Key | None:
        for key, observation in self.observations.items():
            if (observation.peer, observation.in_flight) == (peer, message_id):
                return key
        return None


def _end_of(observation: Observation) -> Outgoing:
    peer, request, _, in_flight, _ = observation
    return Outgoing(peer, request, Reply(DELETED), 0, in_place_of=in_flight)
