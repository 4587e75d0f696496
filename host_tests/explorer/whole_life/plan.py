"""What happens in a board's life and when, all of it drawn from a seed."""

from __future__ import annotations

from binascii import crc32
from random import Random
from typing import NamedTuple

from tools.virtual_board.boards import KINDS

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
# How long it is from one event to the next, at most; how often it takes readings, and registers.
_PACES = (
    ((2 * SECOND, 30 * SECOND, 5 * MINUTE), MINUTE, MINUTE),
    ((2 * SECOND, 30 * SECOND, 5 * MINUTE, HOUR), 5 * MINUTE, 5 * MINUTE),
    ((2 * SECOND, 5 * MINUTE, HOUR, 5 * HOUR), 20 * MINUTE, 5 * MINUTE),
    ((30 * SECOND, HOUR, 30 * HOUR), HOUR, HOUR),
)
_MOST_EVENTS = 40

# What an application does: the good ones go on for ever.
GOOD, RAISES, RAISES_LATE, RESETS, SILENT, ENDS = (
    "is good",
    "raises at once",
    "raises after an hour",
    "resets",
    "never reaches ThingsBoard",
    "ends",
)
# None of these is ever confirmed.
BROKEN = (RAISES, RESETS, SILENT, ENDS)
VERSIONS = ("2", "3", "4")
# What people change in config.json; None takes a key out.
EDITS = (
    {"led": None},
    {"led": 5},
    {"forget_secret": True},
    {"ntp": []},
    {"restart_after_crash": 5},
    {"update": None},
    {"update": {"trial": 600, "contact": 1200, "spread": 60}},
    {"provisioning": {"deviceName": "another-{id}"}},
    {"wifi": [{"ssid": "Home", "password": "correct horse"}, {"ssid": "Barn"}]},
)
KEYS = "abc"
# How often each is drawn, and what with.
_EVENTS = {
    "set": 8,
    "delete": 4,
    "call": 10,
    "restart": 3,
    "outage": 3,
    "silence": 2,
    "address": 1,
    "NAT": 2,
    "cut": 4,
    "reset": 1,
    "token": 1,
    "delete device": 1,
    "edit": 2,
    "full": 1,
    "assign": 4,
    "withdraw": 1,
}
_FATES = ("lost", "lost", "lost", "doubled", "delayed", "swapped")


class Plan(NamedTuple):
    """`events`: (ms, what, argument), see Life.happen. `astray`: of how many datagrams in a
    thousand something becomes. `kind`: of the board. The application: `is_awaited`, with asyncio;
    `every` so many ms it takes up to `burst` readings, one in `confirms` of them confirmed, with 0
    none; `queue`, `keeps`, `persist`, `refresh` as Device takes them. `handler`: ms that one takes.
    `is_cold`: the clock is not set at power-up. `sleeps`: ms that the board sleeps deep after each
    reading, 0 for none; `awake`, as Device takes it; `has_memory`: that lasts meanwhile. `does`:
    what each version of VERSIONS does; `trial`: of config.json's `update`, in s. `rounds`: how
    often something happens in the end, when all is right.
    """

    seed: str
    events: tuple
    astray: int
    kind: str
    is_awaited: bool
    every: int
    burst: int
    confirms: int
    queue: int
    keeps: str
    persist: bool
    refresh: int
    handler: int
    is_cold: bool
    has_memory: bool
    sleeps: int
    awake: int | None
    does: dict[str, str]
    trial: int
    rounds: int

    @property
    def fates(self) -> Fates:
        return Fates(self.seed, self.astray)


class Fates:
    """What becomes of datagrams, by their numbers: as a dictionary, and the same each time."""

    def __init__(self, seed: str, astray: int):
        self._seed = seed
        self._astray = astray

    def get(self, number: int, otherwise: str) -> str:
        drawn = crc32(f"{self._seed}/{number}".encode())
        if drawn % 1000 >= self._astray:
            return otherwise
        return _FATES[drawn // 1000 % len(_FATES)]


def draw(seed: str) -> Plan:
    """Draw a life."""
    random = Random(f"life {seed}")
    choice = random.choice
    gaps, every, refresh = choice(_PACES)
    rounds = choice((1, 1, 1, 1, 1, 20))
    sleeps = choice((0, 0, 0, 0, 10 * MINUTE, HOUR))
    if sleeps or every == HOUR:
        rounds = 1  # it starts anew all the time, or it takes too long
    return Plan(
        seed=seed,
        astray=choice((0, 0, 10, 50, 200)),
        kind=choice(sorted(KINDS)),
        is_awaited=random.random() < 0.3,
        every=every,
        burst=choice((1, 1, 3)),
        confirms=choice((1, 1, 0, 3)),
        queue=choice((4096, 4096, 40)),
        keeps=choice(("newest", "oldest")),
        persist=random.random() < 0.5,
        refresh=refresh if rounds == 1 else MINUTE,
        handler=choice((0, 0, 0, 3 * SECOND, MINUTE)) if not sleeps else 0,
        is_cold=random.random() < 0.3,
        has_memory=random.random() < 0.5,
        sleeps=sleeps,
        awake=choice((None, 20 * SECOND)),
        does={"2": GOOD, "3": choice(BROKEN), "4": choice((GOOD, RAISES_LATE))},
        trial=choice((60, 7200)),
        rounds=rounds,
        events=tuple(_events(random, gaps)),
    )


def _events(random: Random, gaps: tuple):
    at = 0
    for _ in range(random.randint(3, _MOST_EVENTS)):
        at += random.randint(0, random.choice(gaps))
        what = random.choices(list(_EVENTS), list(_EVENTS.values()))[0]
        yield at, what, _argument(what, random)
        if what == "assign" and random.random() < 0.5:
            yield at, "cut", (random.randint(1, 200), SECOND)


def _argument(what: str, random: Random):
    choice = random.choice
    if what == "set":
        keys = random.sample(KEYS, random.randint(0, 2))
        return {key: choice((1, True, 1.5, "text", [1], {"x": None})) for key in keys}
    if what == "delete":
        return random.sample(KEYS, random.randint(1, 2))
    if what == "call":
        return choice(("persistent", "persistent", "two-way", "one-way"))
    if what == "restart":
        return random.randint(21 * SECOND, choice((MINUTE, 10 * MINUTE, 3 * HOUR)))
    if what in ("outage", "silence"):
        return random.randint(SECOND, choice((MINUTE, 10 * MINUTE, 3 * HOUR)))
    if what == "cut":
        # So many operations of the flash later, None: at once; and for how long.
        return choice((None, random.randint(1, 40))), random.randint(SECOND, choice((MINUTE, HOUR)))
    if what == "token":
        return random.randint(SECOND, choice((MINUTE, 5 * HOUR)))
    if what == "edit":
        return choice(EDITS)
    if what == "full":
        # So many blocks are left free, and until when.
        return random.randint(0, 4), random.randint(MINUTE, choice((10 * MINUTE, 5 * HOUR)))
    if what == "assign":
        return choice(VERSIONS)
    return None
