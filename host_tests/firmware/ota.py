"""A board that is updated over the air, in virtual time: what the tests of firmware.update share.

ThingsBoard's resource for packages answers as Californium does: see Packages.
"""

import gc
import hashlib
import json

from firmware.coap.message import ACK, CON, EMPTY, RST, decode, encode, uint, uint_bytes
from firmware.update import download, install, installing, job, states, watch
from firmware.update.errors import UpdateError
from firmware.update.slots import State
from host_tests.firmware.at_work import TOKEN, Work, credentials
from host_tests.firmware.coap_helpers import Transport
from host_tests.firmware.helpers import Clock
from host_tests.firmware.updates import Folders
from host_tests.firmware.world import (
    CONTENT,
    UNAUTHORIZED,
    PowerCut,
    Reset,
    example,
    os_error,
    ticks_add,
)

BLOCK2, SIZE2 = 23, 28
NOT_FOUND = 0x84
BLOCK = 1024
# ms after which a confirmable message that is not acknowledged is sent again.
_AGAIN = (0, 2_750, 8_250, 19_250, 41_250)
_LIFETIME = 300_000  # ms, of a transfer
_FLUSH = 4  # blocks that are lost in a cut at most

states.ticks_add = ticks_add
job.ticks_diff = download.ticks_diff = states.ticks_diff = Clock().ticks_diff
watch.ticks_add, watch.ticks_diff = ticks_add, Clock().ticks_diff


def bundle(size, mark=b"1"):
    """Return a package in which no two blocks are the same."""
    gc.collect()
    body = bytearray(size)
    for place in range(0, size, 8):
        body[place : min(place + 8, size)] = (b"%s%06d\n" % (mark, place))[: size - place]
    return bytes(body)


def attributes(kind, title, version, data, algorithm="SHA256", checksum=None):
    """Return the shared attributes that assign a package."""
    values = {
        "title": title,
        "version": version,
        "size": len(data),
        "checksum_algorithm": algorithm,
        "checksum": checksum or hashlib.sha256(data).digest().hex(),
    }
    return {"%s_%s" % (kind, key): values[key] for key in values}


class Installation:
    """Stands for firmware.update.install's: a package in two files of the world's flash.

    `refusal`: what `write` raises, `broken`: what `finish` does. `room`: bytes.
    """

    refusal = broken = None
    is_full = False
    out = None
    room = 60_000

    def __init__(self, board):
        self._storage = board.storage
        self.place = "/a"

    def begin(self, assigned):
        size = assigned["size"]
        package = {key: assigned[key] for key in ("title", "version", "size", "checksum")}
        self._package = package
        if self._read("/begun") != package:
            if size > self.room:
                raise UpdateError("there is no room for the update", "Free some.")
            self._storage.remove("/data")
            self._storage.save("/begun", json.dumps(package).encode())
        there = len(self._storage.read("/data") or b"")
        self.offset = there if there == size else there & -BLOCK
        self._data = bytearray((self._storage.read("/data") or b"")[: self.offset])

    def write(self, data):
        if self.refusal:
            raise self.refusal
        assert isinstance(data, (memoryview, bytes))
        self._data.extend(data)
        there, size = len(self._data), self._package["size"]
        assert there <= size
        if there % (_FLUSH * BLOCK) == 0 or there == size:
            self._storage.save("/data", bytes(self._data))

    def finish(self):
        if self.broken:
            self.discard()
            raise self.broken
        assert len(self._storage.read("/data")) == self._read("/begun")["size"]

    def discard(self):
        self._storage.remove("/begun")
        self._storage.remove("/data")

    def close(self):
        pass

    def _read(self, path):
        content = self._storage.read(path)
        return content and json.loads(content)


class _StandIn:
    """What an update calls on the board of a Site whose flash has no folders."""

    def begun(job):
        installation = Installation(job.session.board)
        installation.begin(job.package)
        return installation.place, installation, installation.offset

    def replay(job, place):
        data = job.session.board.storage.read("/data")
        for at in range(0, job.offset, 512):
            job.checksum.update(memoryview(data)[at : min(at + 512, job.offset)])
        return True

    def verify(board, place):
        Installation(board).finish()

    def discard(board, place):
        Installation(board).discard()


def _stand_in(module, name):
    really, instead = getattr(module, name), getattr(_StandIn, name)

    def chosen(of, *more):
        board = of.session.board if hasattr(of, "session") else of
        return (instead if hasattr(board, "has_no_folders") else really)(of, *more)

    setattr(module, name, chosen)


STAND_INS = {
    "begun": install,
    "replay": install,
    "verify": installing,
    "discard": installing,
}
for _name in STAND_INS:
    _stand_in(STAND_INS[_name], _name)


class Flash(Folders):
    """A flash with folders, on which the power goes before the operation number `cut_at`."""

    def __init__(self):
        super().__init__()
        self.begin()

    def begin(self):
        """Count operations from here on, with no cut to come."""
        self.operations = 0
        self.cut_at = None

    def operate(self):
        """An operation begins."""
        if self.operations == self.cut_at:
            raise PowerCut()
        self.operations += 1

    def open(self, path, mode):
        file = super().open(path, mode)
        if mode != "rb":
            self.operate()
            file.folders = self
            file.flush = file.close = lambda: self._close(file)
        return file

    def _close(self, file):
        self.operate()
        type(file).flush(file)

    def mkdir(self, path):
        self.operate()
        super().mkdir(path)

    def rmdir(self, path):
        self.operate()
        super().rmdir(path)

    def remove(self, path):
        self._content(path)
        self.operate()
        super().remove(path)

    def rename(self, old, new):
        self._content(old)
        self.operate()
        super().rename(old, new)


class Trial:
    """Stands for firmware.update.trial's."""

    def __init__(self, state):
        self.state = state
        self.is_over = False

    is_reached = False

    def contact(self):
        self.is_reached = True

    def is_due(self):
        return False

    def before_sleep(self):
        if self.is_reached:
            self.confirm()

    def confirm(self):
        self.state.confirm()
        self.is_over = True


class Packages:
    """ThingsBoard's /sw and /fw. `data`: the package that is assigned, by its kind.

    Without `size` in the query the first block is a confirmable message after an empty ACK, and
    later ones come on the ACK, to whom was served the first one; others get an empty ACK and
    nothing. `short`: what comes as all of a package, as a last block with no size. `codes`: the
    codes of the next answers, None for silence, the last one for ever.
    """

    def __init__(self, clock):
        self.data = {}
        self.short = None
        self.codes = []
        self.blocks = []
        self.transfers = {}
        self._clock = clock
        self._message_id = 0x7000

    def restart(self):
        self.transfers = {}

    def answer(self, peer, message, parts, query):
        """Return (code, payload, options, whether it is a message of its own); None: nothing."""
        block = message.option(BLOCK2)
        number, szx = (uint(block) >> 4, uint(block) & 7) if block is not None else (0, 6)
        if "size" not in query:
            self.blocks.append((number, szx))
        if self.codes:
            code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
            return None if code is None else (code, b"", (), True)
        if parts[1:] != [TOKEN]:
            return UNAUTHORIZED, b"", (), True
        body = self.data.get(parts[0])
        if number:
            body, at = self.transfers.pop((peer, parts[0]), (None, None))
            if body is None or self._clock.slept - at > _LIFETIME:
                return None
        elif body is None:
            return NOT_FOUND, b"", (), True
        elif "size" in query:
            size, chunk = int(query["size"]), int(query["chunk"])
            assert size <= BLOCK
            self.blocks.append(chunk)
            part = body[chunk * size : (chunk + 1) * size]
            return (CONTENT, part, (), True) if part else None
        size = 16 << szx
        if self.short is not None:
            return CONTENT, self.short, [(BLOCK2, uint_bytes(szx))], True
        if len(body) <= size:
            return CONTENT, body, (), True
        part = body[number * size : (number + 1) * size]
        assert part, "one past the end"
        more = (number + 1) * size < len(body)
        if more:
            self.transfers[(peer, parts[0])] = body, self._clock.slept
        options = [(BLOCK2, uint_bytes(number << 4 | more << 3 | szx))]
        if not number:
            options.append((SIZE2, uint_bytes(len(body))))
        return CONTENT, part, options, not number


class Lossy(Transport):
    """A transport whose datagrams have fates: by their number, over all transports of a `wire`."""

    def __init__(self, clock, server, wire):
        super().__init__(clock, server)
        self.wire = wire

    def send(self, datagram):
        if self.closed:
            raise os_error(9)
        datagram = bytes(datagram)
        self.sent.append((self.clock.slept, datagram))
        self.wire.bytes += len(datagram)
        for _ in self.wire.fate():
            for delay, answer in self._server(datagram) or ():
                self.arrive(delay, answer)

    def arrive(self, delay, datagram):
        for late in self.wire.fate():
            super().arrive(delay + late, datagram)

    def receive(self, size, timeout):
        datagram = super().receive(size, timeout)
        if datagram:
            self.wire.bytes += len(datagram)
        return datagram

    def settle(self, message_id):
        """Let nothing more come with a Message ID that was acknowledged."""
        now = self.clock.slept
        self._arrivals = [
            each
            for each in self._arrivals
            if each[0] <= now or each[2][:1][0] >> 4 & 3 or each[2][2:4] != message_id
        ]


class Wire:
    """`fates`: by the number of a datagram, of both directions, how late each copy is, in ms.

    () is lost, (0, 0) doubled. `is_cut`: all are lost. `power_cut_at`: the number of the datagram
    at which the power goes.
    """

    def __init__(self):
        self.fates = {}
        self.count = self.bytes = 0
        self.is_cut = False
        self.power_cut_at = None

    def fate(self):
        self.count += 1
        if self.count - 1 == self.power_cut_at:
            raise PowerCut()
        if self.is_cut:
            return ()
        return self.fates.get(self.count - 1, (0,))


class Site(Work):
    """A board whose application runs a Device, and a ThingsBoard that assigns packages."""

    def __init__(self, given=None, config=None, flash=None, **options):
        self.flash = flash
        self.update_config = {} if config is None else config
        self.wire = Wire()
        self.resets = 0
        self.outcome = None
        self._duplicates = {}
        self.packages = None
        super().__init__(given, **options)

    def power_on(self, given=None, **options):
        if self.flash:
            self.world.flash = self.flash
        self.world.put("/config.json", example(update=self.update_config))
        if self.packages is None:
            self.packages = Packages(self.clock)
        super().power_on(given or credentials(), **options)
        if not self.flash:
            self.board.has_no_folders = True
        state = State(self.board.storage)
        self.trial = self.board.trial = Trial(state) if state.on_trial else None

    @property
    def board(self):
        return self.device.session.board

    def connect(self, server, sessions, idle):
        super().connect(server, sessions, idle)
        lossy = Lossy(self.clock, self._of(len(self.transports)), self.wire)
        self.transports[-1] = lossy
        from firmware.coap.client import Client

        return Client(lossy, "h", idle, ticks=self.clock.ticks_ms, random=self.world.random)

    def _of(self, peer):
        return lambda datagram: self.answer_to(peer, datagram)

    def answer_to(self, peer, datagram):
        """Take a datagram; each duplicate of a request gets what the first one got."""
        message = decode(memoryview(datagram))
        if message.type in (ACK, RST):
            self.transports[peer - 1].settle(datagram[2:4])
            return self.answer(datagram)
        if self.is_deaf or not message.code:
            return ()
        key = peer, message.message_id
        if key not in self._duplicates:
            found = list(self._first(peer, message, datagram))
            self._duplicates[key] = [each for each in found if each[1][0] >> 4 & 3 == ACK] or None
            return found
        return self._duplicates[key] or [(10, encode(ACK, EMPTY, message.message_id, b"", ()))]

    def _first(self, peer, message, datagram):
        parts = [bytes(value).decode() for number, value in message.options if number == 11]
        if parts[0] not in ("sw", "fw"):
            again = self.answer(datagram)
            return [
                (delay + later, each)
                for delay, each in again
                for later in (_AGAIN if each[0] >> 4 & 3 == CON else (0,))
            ]
        query = dict(
            bytes(value).decode().split("=") for number, value in message.options if number == 15
        )
        found = self.packages.answer(peer, message, parts, query)
        empty = encode(ACK, EMPTY, message.message_id, b"", ())
        if found is None:
            return [(10, bytes(empty))]
        code, payload, options, is_own = found
        token = bytes(message.token)
        if not is_own:
            reply = encode(ACK, code, message.message_id, token, options, payload)
            return [(10, bytes(reply))]
        self._message_id += 1
        reply = bytes(encode(CON, code, self._message_id, token, options, payload))
        return [(10, bytes(empty))] + [(40 + later, reply) for later in _AGAIN]

    # People

    def assign(self, version="1.0", size=5000, kind="sw", title="app", data=None, **how):
        """Assign a package, as ThingsBoard does, and tell of it; return its bytes."""
        data = data or bundle(size, version[:1].encode())
        self.packages.data[kind] = data
        self.set(attributes(kind, title, version, data, **how))
        return data

    def unassign(self, kind="sw"):
        """Take the package away."""
        self.packages.data.pop(kind, None)
        keys = [key for key in self.attributes if key.startswith(kind + "_")]
        for key in keys:
            del self.attributes[key]
        self.notify("attributes", {"deleted": keys})

    # What came of it

    def run(self, ms, until_reset=False):
        """Let the application run so long, with a reading now and then.

        The board starts by itself after a cut, and after a reset, if it is not run `until_reset`.
        """
        end = self.clock.slept + ms
        resets = self.resets
        is_on = True
        while self.clock.slept < end and not (until_reset and self.resets > resets):
            try:
                if not is_on:
                    self.power_on()
                is_on = False
                before = len(self.requests), len(self.packages.blocks)
                self.device.send_telemetry({"n": 1})
                self.device.wait(1_000)
                is_quiet = (len(self.requests) - 1, len(self.packages.blocks)) == before
                # At one go, since virtual time has a price.
                is_at_once = ms >= 600_000 or is_quiet
                self.clock.sleep_ms(min(20_000, end - self.clock.slept) if is_at_once else 1_000)
                is_on = True
            except Reset:
                self.resets += 1
            except PowerCut:
                self.world.flash.begin()
        if not is_on:
            self.power_on()

    def until(self, blocks):
        """Run until so many blocks have been asked for."""
        while len(self.packages.blocks) < blocks:
            self.device.wait(10)

    def told(self, *keys):
        """Return what ThingsBoard was told of updates, in order; of these keys only, if any."""
        found = []
        for body in self.of("telemetry"):
            body = json.loads(body)
            if isinstance(body, dict) and ("sw_state" in body or "fw_state" in body):
                found.append({key: body[key] for key in keys if key in body} if keys else body)
        return found

    def stages(self, kind="sw"):
        """Return the states that ThingsBoard was told, in order."""
        return [each[kind + "_state"] for each in self.told() if kind + "_state" in each]

    @property
    def state(self):
        return State(self.board.storage)

    @property
    def data(self):
        """What is on the flash of the package."""
        return self.world.flash.files.get("/data")
