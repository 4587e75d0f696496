"""What an operator does to a device at work, and what kind of application and network it has."""

from __future__ import annotations

from typing import NamedTuple

NAME, TOKEN, OTHER_TOKEN = "sensor-0123456789ab", "TOKEN", "OTHER-TOKEN"
NEVER = 100_000_000
QUEUE = 4096  # bytes, of Device
REFRESH = 60_000


class Story(NamedTuple):
    """`acts`: (ms, what, argument), see Life.act.

    The application sends `readings` readings, one `every` ms. `is_awaited`: with asyncio. `kind`:
    of credentials, over coaps with `is_secure`. `queue`, `keeps`: as Device takes them. `confirms`:
    every how many readings one is confirmed; 0: none. `handler`: ms that a handler takes. `busy`:
    ms after a reading in which the application listens to nothing. `restarts`: ms from one to the
    next of the moments at which ThingsBoard restarts, faster than any does. `sleeps`: ms that the
    board sleeps deep after each reading, without `persist`; `has_memory`: that lasts. `nat`: ms
    after which the routers forget a quiet way. `refresh`: as Device takes it, where something goes
    wrong that is no single datagram. `is_cold`: the clock is not set before the board has asked for
    the time. `repeats`: all notifications have one Message ID. `patience`: ms after the last
    trouble in which all is well again.
    """

    name: str
    acts: tuple
    readings: int = 8
    every: int = 4_000
    is_awaited: bool = False
    is_secure: bool = False
    kind: str = "ACCESS_TOKEN"
    queue: int = QUEUE
    keeps: str = "newest"
    confirms: int = 1
    handler: int = 0
    busy: int = 0
    restarts: int = 0
    sleeps: int = 0
    has_memory: bool = True
    nat: int = NEVER
    refresh: int = REFRESH
    is_cold: bool = False
    repeats: bool = False
    patience: int = 600_000


_MIXED = (
    (3_000, "set", {"n": 1, "a": 1}),
    (5_000, "call", "persistent"),
    (5_001, "set", {"n": 2}),
    (9_000, "delete", ["a"]),
    (9_001, "call", "persistent"),
    (9_002, "call", "persistent"),
    (14_000, "call", "two-way"),
    (14_001, "set", {"n": 3, "b": [1]}),
    (19_000, "set", {"b": [True]}),
)

_OVERSLEPT = (
    (90, "call", "persistent"),
    (5_000, "set", {"n": 1, "a": 1}),
    (46_000, "set", {"n": 2}),
    (47_000, "call", "persistent"),
    (100_000, "delete", ["a"]),
    (101_000, "outage", 100_000),
    (110_000, "call", "persistent"),
)

_CUT_OFF = (
    (3_000, "set", {"n": 1}),
    (9_000, "call", "two-way"),
    (60_000, "outage", 60_000),
)

STORIES = (
    Story(
        "attributes",
        (
            (500, "set", {"n": 0}),
            (4_000, "set", {"n": 1, "a": 1}),
            (8_000, "set", {"n": 2}),
            (8_001, "set", {"b": 1}),
            (8_002, "set", {"n": 3}),
            (12_000, "delete", ["a"]),
            (12_001, "set", {"n": 4}),
            (16_000, "set", {"b": True}),
            (20_000, "set", {"a": 2, "n": 5}),
            (24_000, "delete", ["a"]),
        ),
    ),
    Story(
        "calls",
        (
            (3_000, "call", "persistent"),
            (6_000, "call", "persistent"),
            (6_001, "call", "persistent"),
            (6_002, "call", "persistent"),
            (11_000, "call", "one-way"),
            (15_000, "call", "two-way"),
            (15_001, "set", {"n": 1}),
            (19_000, "call", "persistent"),
        ),
    ),
    Story(
        "a restart in the middle of a call",
        (
            (3_000, "call", "persistent"),
            (3_030, "down", 20_000),
            (10_000, "call", "persistent"),
            (40_000, "call", "persistent"),
        ),
    ),
    Story(
        "a restart while a handler runs",
        (
            (65_000, "call", "persistent"),
            (70_000, "down", 21_000),
            (100_000, "call", "persistent"),
        ),
        handler=60_000,
        patience=1_200_000,
    ),
    Story(
        "a restart at every moment",
        tuple((3_000 + 4_000 * number, "call", "persistent") for number in range(8)),
        handler=2_500,
        restarts=500,
        patience=1_200_000,
    ),
    Story(
        "a restart at every moment, and calls read late",
        tuple((3_000 + 4_000 * number, "call", "persistent") for number in range(16)),
        readings=3,
        every=1_000,
        busy=25_000,
        restarts=500,
        patience=1_200_000,
    ),
    Story(
        "deletions",
        (
            (3_000, "set", {"n": 1, "a": 1, "b": 1, "deleted": ["a"]}),
            (6_000, "delete", ["a"]),
            (6_001, "delete", ["b"]),
            (6_002, "set", {"b": 1}),
            (11_000, "set", {"a": 2}),
            (11_001, "delete", ["a"]),
            (15_000, "delete", ["a", "b", "deleted", "n"]),
            (19_000, "set", {"n": 2}),
            (24_000, "delete", ["n"]),
        ),
        repeats=True,
    ),
    Story(
        "the device deleted",
        (
            (3_000, "set", {"n": 1, "a": 1}),
            (8_970, "call again", "persistent"),
            (9_000, "delete device", None),
            (9_001, "set", {"n": 1, "b": 1}),
            (15_000, "call again", "persistent"),
            (18_000, "call", "persistent"),
            (20_000, "delete", ["b"]),
        ),
    ),
    Story(
        "the token changed and put back",
        (
            (3_000, "set", {"n": 1, "a": 1}),
            (5_000, "call", "persistent"),
            (9_000, "change token", OTHER_TOKEN),
            (9_001, "set", {"n": 2}),
            (12_000, "call", "persistent"),
            (60_000, "change token", TOKEN),
            (61_000, "delete", ["a"]),
        ),
        patience=7_000_000,
    ),
    Story("coaps", _MIXED, is_secure=True),
    Story("coaps with a certificate", _MIXED, is_secure=True, kind="X509_CERTIFICATE"),
    Story("asyncio", _MIXED, is_awaited=True),
    Story(
        "asyncio and a slow handler",
        (
            (3_000, "set", {"n": 0}),
            *((4_000 + 1_000 * n, "set", {"n": n, "a": n % 3}) for n in range(1, 13)),
            *((5_500 + 2_000 * n, "call", "persistent") for n in range(1, 5)),
            (13_500, "set", {"b": 1}),
        ),
        is_awaited=True,
        handler=6_000,
        readings=70,
        every=1_000,
        refresh=300_000,
        patience=1_800_000,
    ),
    Story(
        "a slow handler",
        (
            (3_000, "set", {"n": 1}),
            (150_000, "set", {"n": 2, "a": 1}),
            (151_000, "call", "persistent"),
            (250_000, "delete", ["a"]),
            (400_000, "set", {"n": 3}),
            (401_000, "call", "persistent"),
        ),
        handler=100_000,
        patience=1_800_000,
    ),
    Story(
        "no network, the newest dropped",
        ((10_000, "outage", 300_000), (12_000, "set", {"n": 1})),
        readings=36,
        every=10_000,
        queue=60,
        patience=2_000_000,
        keeps="oldest",
    ),
    Story(
        "no network, the oldest dropped, asyncio",
        ((100_000, "outage", 200_000), (102_000, "set", {"n": 1})),
        readings=60,
        every=5_000,
        queue=30,
        patience=2_000_000,
        is_awaited=True,
    ),
    Story(
        "no network for an hour",
        ((100_000, "outage", 3_600_000), (110_000, "set", {"n": 1})),
        readings=70,
        every=60_000,
        patience=3_000_000,
    ),
    Story(
        "unconfirmed",
        _CUT_OFF,
        readings=36,
        confirms=0,
    ),
    Story(
        "each third confirmed, asyncio",
        _CUT_OFF,
        readings=80,
        every=1_500,
        confirms=3,
        is_awaited=True,
    ),
    Story("unconfirmed, coaps", _MIXED, is_secure=True, readings=24, confirms=0),
    Story("asleep", _OVERSLEPT, readings=12, sleeps=30_000, patience=900_000),
    Story(
        "asleep, with flash alone",
        _OVERSLEPT,
        readings=12,
        sleeps=30_000,
        has_memory=False,
        patience=900_000,
    ),
    Story(
        "a clock that is not set",
        ((1_000, "outage", 60_000), (20_000, "set", {"n": 1})),
        readings=24,
        is_cold=True,
    ),
    Story(
        "a quiet way",
        (
            (3_000, "set", {"n": 1}),
            (210_000, "call", "two-way"),
            (340_000, "set", {"n": 2}),
            (470_000, "call", "two-way"),
        ),
        readings=1,
        nat=120_000,
        refresh=300_000,
        patience=1_200_000,
    ),
    Story(
        "silence for 42 seconds",
        ((9_900, "silence", 42_000), (10_000, "set", {"n": 1}), (10_001, "call", "persistent")),
        readings=4,
        every=18_000,
    ),
    Story(
        "another address",
        ((10_000, "address", None), (12_000, "set", {"n": 1}), (13_000, "call", "two-way")),
        readings=1,
    ),
)


def story(name: str) -> Story:
    """The story of this name."""
    return next(story for story in STORIES if story.name == name)
