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
    that it is. `in_place_of`: Message ID of what it goes out in place of, when that would be sent
    again. `cancels`: Message ID of what is not sent again either.
    """

    peer: Peer
    request: Message
    reply: Reply
    observe: int | None
    key: Key | None = None
    call: int | None = None
    in_place_of: int | None = None
    cancels: int | None = None


class Notifications:
    """One observation of each feature of each device.

    One confirmable message of an observation is in flight at a time: its first reply if that is
    confirmable, a notification, or the 2.02 that ends it.
    """

    def __init__(self) -> None:
        self.observations: dict[Key, Observation] = {}
        self._keys: dict[tuple[Peer, bytes], Key] = {}  # by who observes and the token
        self._in_flight: dict[tuple[Peer, int], Key] = {}
        # What is in flight of ended ones: the 2.02 that waits for it, None if that is it.
        self._ended: dict[tuple[Peer, int], Outgoing | None] = {}

    def copy(self) -> Notifications:
        """An independent copy."""
        copy = Notifications()
        copy.observations = self.observations.copy()
        copy._keys = self._keys.copy()
        copy._in_flight = self._in_flight.copy()
        copy._ended = self._ended.copy()
        return copy

    def register(self, key: Key, peer: Peer, request: Message) -> list[Outgoing]:
        """Begin an observation; gives what those are told that it takes the place of."""
        other = self._keys.get((peer, request.token))
        told = self.cancel(other) if other else []
        told += self.end(key)
        self.observations[key] = Observation(peer, request)
        self._keys[peer, request.token] = key
        return told

    def deregister(self, peer: Peer, token: bytes) -> None:
        """End what was registered from there with that token."""
        key = self._keys.get((peer, token))
        if key:
            self.forget(key)

    def end(self, key: Key) -> list[Outgoing]:
        """End an observation, if it is there; gives what the observer is told now."""
        observation = self.forget(key)
        if observation is None:
            return []
        farewell = Outgoing(observation.peer, observation.request, Reply(DELETED), 0)
        if observation.in_flight is None:
            return [farewell]
        self._ended[observation.peer, observation.in_flight] = farewell
        return []

    def cancel(self, key: Key) -> list[Outgoing]:
        """End an observation that Californium has given up already; gives what is sent at once."""
        observation = self.forget(key)
        peer, request, _, in_flight, *_ = observation
        return [Outgoing(peer, request, Reply(DELETED), None, cancels=in_flight)]

    def cancel_all(self, peer: Peer) -> list[int]:
        """End all observations of a peer without a word; gives what of them is in flight."""
        keys = [key for key, each in self.observations.items() if each.peer == peer]
        observations = [self.forget(key) for key in keys]
        ended = [message_id for of, message_id in self._ended if of == peer]
        for message_id in ended:
            del self._ended[peer, message_id]
        in_flight = [each.in_flight for each in observations if each.in_flight is not None]
        return in_flight + ended

    def notify(self, key: Key, reply: Reply, call: int | None = None) -> list[Outgoing]:
        """Tell an observer, unless it has not acknowledged what it was told before."""
        observation = self.observations[key]
        observation = observation._replace(number=observation.number + 1)
        self.observations[key] = observation
        if observation.in_flight is not None:
            self.observations[key] = observation._replace(newest=(reply, call))
            return []
        return [self._outgoing(key, reply, call)]

    def sent(self, outgoing: Outgoing, message_id: int) -> None:
        """A confirmable message of an observation went out."""
        peer, key = outgoing.peer, outgoing.key
        if key is not None:
            observation = self.observations[key]
            self._in_flight.pop((peer, observation.in_flight), None)
            self._in_flight[peer, message_id] = key
            self.observations[key] = observation._replace(
                in_flight=message_id, call=outgoing.call, newest=None
            )
        elif outgoing.observe is not None:
            self._ended[peer, message_id] = None

    def key_of(self, peer: Peer, message_id: int) -> Key | None:
        """Whose notification has this Message ID and is not acknowledged."""
        return self._in_flight.get((peer, message_id))

    def is_in_flight(self, peer: Peer, message_id: int) -> bool:
        """Whether an observation, perhaps an ended one, has this message in flight."""
        return (peer, message_id) in self._in_flight or (peer, message_id) in self._ended

    def acknowledged(self, key: Key) -> list[Outgoing]:
        """The observer has its notification: now it is told the newest."""
        observation = self.observations[key]
        del self._in_flight[observation.peer, observation.in_flight]
        self.observations[key] = observation._replace(in_flight=None, call=None)
        return [self._outgoing(key, *observation.newest)] if observation.newest else []

    def farewell(self, peer: Peer, message_id: int) -> list[Outgoing]:
        """What is in flight of an ended observation is settled: what the observer is told now."""
        farewell = self._ended.pop((peer, message_id), None)
        return [farewell] if farewell else []

    def superseded(self, peer: Peer, message_id: int) -> list[Outgoing]:
        """What goes out in place of a message that would be sent again; nothing: itself."""
        key = self.key_of(peer, message_id)
        if key is None:
            if self._ended.get((peer, message_id)) is None:
                return []
            (farewell,) = self.farewell(peer, message_id)
            return [farewell._replace(in_place_of=message_id)]
        observation = self.observations[key]
        if observation.newest is None:
            return []
        return [self._outgoing(key, *observation.newest)._replace(in_place_of=message_id)]

    def forget(self, key: Key) -> Observation | None:
        """End an observation without a word."""
        observation = self.observations.pop(key, None)
        if observation is not None:
            del self._keys[observation.peer, observation.request.token]
            self._in_flight.pop((observation.peer, observation.in_flight), None)
        return observation

    def _outgoing(self, key: Key, reply: Reply, call: int | None) -> Outgoing:
        observation = self.observations[key]
        return Outgoing(observation.peer, observation.request, reply, observation.number, key, call)
