"""What is explored: the settings, the state between two power-ups, and when two are the same."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import Any, NamedTuple

from host_tests.explorer.flash import Chip, Files, Image
from host_tests.explorer.network import Network
from tools.fake_thingsboard.codec import decode

NAME = "sensor-1"
KEY, SECRET = "the-key", "the-secret"
ANOTHER_BOARD = "provisioned by another board"
CREDENTIALS, ATTEMPT, CONFIG = "/credentials.json", "/attempt.json", "/config.json"

STRATEGIES = ("create", "preprovisioned")
ACCESS_TOKENS = ("device", "server")

# Ages and delays within one class, in ms, are taken for the same.
AGE_CLASS = 62_000
_DELAY_CLASS = 10_000


class Setting(NamedTuple):
    """What does not change during an exploration."""

    strategy: str = "create"
    access_token: str = "device"
    reply: str = "piggybacked"
    kind: str = "esp32"

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def config(self) -> bytes:
        return _config(self.access_token)


@cache
def _config(access_token: str) -> bytes:
    return json.dumps(
        {
            "wifi": {"ssid": "home", "password": "correct horse"},
            "server": "coap://thingsboard.example.com",
            "provisioning": {
                "deviceName": NAME,
                "provisionDeviceKey": KEY,
                "provisionDeviceSecret": SECRET,
            },
            "access_token": access_token,
        }
    ).encode()


class Step(NamedTuple):
    """A step of a schedule: for the command that repeats it, and for people."""

    code: str
    text: str


class State(NamedTuple):
    """A board without power, and the world around it. `schedule` is how it came to this."""

    image: Image
    network: Network
    address: int  # which of the board's two
    schedule: tuple[Step, ...]


@lru_cache(maxsize=4096)
def contents(image: Image, kind: str) -> tuple[tuple[str, bytes], ...]:
    """Every file on an image. Raises LittleFSError when it does not mount."""
    return tuple(Files(Chip(image), kind, is_read=True).read_all().items())


def key_of(image: Image, network: Network, setting: Setting, known: dict | None = None) -> tuple:
    """What the firmware can tell a flash and a network by: equal keys, equal futures.

    Random values are numbered in the order in which they appear, times fall into classes, and a
    flash is what its files say. Where the log of littlefs stands is not in it: that is explored
    from images of its own. `known` keeps what it works out of networks, which must not change.
    """
    known = {} if known is None else known
    files, in_files = found = _files_of(image, setting)
    number = id(network)
    if number not in known:
        known[number] = _world_of(network)
    both = id(found), number
    if both not in known:
        world, in_world = known[number]
        names = Names()
        random = tuple(names(kind, value) for kind, value in (*in_files, *in_world))
        known[both] = found, (files, world, random)
    return known[both][1]


@lru_cache(maxsize=4096)
def _files_of(image: Image, setting: Setting) -> tuple[tuple, list]:
    taken = Taken()
    files = tuple(
        (path, named_content(taken, content))
        for path, content in contents(image, setting.kind)
        if path != CONFIG or content != setting.config
    )
    return files, taken


def _world_of(network: Network) -> tuple[tuple, list]:
    taken = Taken()
    server = network.server
    devices = tuple(
        (device.name, taken("token", device.token), device.provision_state)
        for device in server.thingsboard.devices.values()
    )
    remembered = tuple(
        named_exchange(taken, each) for each in server.duplicates.snapshot(network.now)
    )
    coming = tuple(named_pending(taken, each) for each in network.pending())
    return (devices, remembered, coming), taken


class Taken(list):
    """Takes random values out of what they are in, in the order in which they appear."""

    def __call__(self, kind: str, value: Any) -> Any:
        if value is None:
            return None
        self.append((kind, value))
        return kind


class Names(dict):
    """Numbers random values in the order in which they appear."""

    def __call__(self, kind: str, value: Any) -> Any:
        if value is None:
            return None
        return self.setdefault((kind, value), f"{kind} {len(self)}")


def named_exchange(names: Names, known: tuple) -> tuple:
    """What the server remembers of a request, one of its duplicates' snapshot."""
    (peer, message_id), exchange = known
    return (
        _peer(names, peer),
        names("message_id", message_id),
        int(exchange.received_at // AGE_CLASS),
        exchange.acknowledged,
        exchange.reply and _datagram(names, exchange.reply),
        exchange.reply_acknowledged,
    )


def named_pending(names: Names, coming: tuple) -> tuple:
    """What is still to come, one of the network's `pending`."""
    after, kind, peer, what, address = coming
    return after // _DELAY_CLASS, kind, _peer(names, peer), _what(names, what), address


def _peer(names: Names, peer) -> tuple:
    address, port = peer
    return address, names("port", port)


def _what(names: Names, what) -> Any:
    """A datagram, (request's Message ID, reply) or (reply's Message ID, count)."""
    if isinstance(what, bytes):
        return _datagram(names, what)
    if isinstance(what, tuple):
        return tuple(_what(names, part) for part in what)
    return names("number", what) if what > 9 else what


def _datagram(names: Names, datagram: bytes) -> tuple:
    type, code, token, payload = _decoded(datagram)
    return type, code, names("coap_token", token), payload and named_content(names, payload)


@lru_cache(maxsize=65536)
def _decoded(datagram: bytes) -> tuple:
    message = decode(datagram)
    return message.type, message.code, message.token, message.payload


_RANDOM = {
    "token": "token",
    "credentialsValue": "token",
    "message_id": "message_id",
    "coap_token": "coap_token",
    "port": "port",
    "body": "body",
    "replaces": "replaces",
}


def named_content(names: Names, content: bytes) -> Any:
    """A content by what is not random in it, and by the numbers of what is."""
    fixed, random = _taken_apart(content)
    return fixed, tuple(names(kind, value) for kind, value in random)


@lru_cache(maxsize=65536)
def _taken_apart(content: bytes) -> tuple[Any, tuple]:
    """A content without its random values, and those: (kind, value)."""
    fields = _fields(content)
    if fields is None:
        return content, ()
    random = []
    return _without_random(fields, "", random), tuple(random)


def _without_random(value: Any, field: str, random: list) -> Any:
    """A JSON value, hashable; what is random in it goes into `random`, in the order it has."""
    if isinstance(value, dict):
        return tuple((key, _without_random(value[key], key, random)) for key in value)
    if isinstance(value, list):
        return tuple(_without_random(each, field, random) for each in value)
    if field not in _RANDOM:
        return value
    random.append((_RANDOM[field], value))
    return field, value is None


def _fields(content: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(content)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    if "coap_token" in fields:
        fields["coap_token"] = bytes.fromhex(fields["coap_token"])
    return fields
