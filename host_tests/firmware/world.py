"""A board, its flash, its Wi-Fi and a ThingsBoard, all in virtual time. No socket, no machine.

A test makes a `World`, says what goes wrong in it, and powers it up:

    world = World()
    world.server.deaf = True
    world.stop_after = 1
    world.power_up()

Every line that the board prints is looked at before it is kept: one with a secret, a password or
a token in it fails the test.
"""

import errno
import json
import sys
import time

from firmware.coap.message import ACK, CON, EMPTY, GET, POST, RST, decode, encode, uint
from host_tests.firmware.helpers import Clock

ADDRESS = "192.0.2.1"
NAME = "thingsboard.example.com"
BOARD_ID = "a1b2c3d4e5f6"

KEY = "profile-key-1234"
SECRET = "profile-secret-1234"
WIFI_PASSWORD = "wifi-password-1234"

CREATED = 0x41
CONTENT = 0x45
BAD_REQUEST = 0x80
UNAUTHORIZED = 0x81
NOT_FOUND = 0x84
CONTINUE = 0x5F
INTERNAL_SERVER_ERROR = 0xA0
SERVICE_UNAVAILABLE = 0xA3

_FAILURE = b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}'
_NOT_FOUND = b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}'
_EXCHANGE_LIFETIME = 247_000
_LONGEST_TICKS = 1 << 29

# Error numbers; MicroPython's errno has not all of them.
EIO = 5
ENOENT = 2
ENOSPC = 28
EROFS = 30
EADDRINUSE = errno.EADDRINUSE
ENETUNREACH = 101
EHOSTUNREACH = 113


def os_error(number):
    """Return an OSError with this `errno` on both interpreters."""
    return OSError(number, "errno %d" % number)


class Stub:
    """An object with these attributes."""

    def __init__(self, **attributes):
        for name in attributes:
            setattr(self, name, attributes[name])


def _import_on_a_computer():
    """Import what imports `machine` and `network`, and give it the ticks of a board."""
    pin = Stub(OUT=1)
    machine = Stub(Pin=pin, unique_id=lambda: b"\xa1\xb2\xc3\xd4\xe5\xf6", reset=None, WDT=None)
    modules = {"machine": machine, "network": Stub()}
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        import firmware.board.hardware
        import firmware.board.indicator
        import firmware.board.wifi
        import firmware.coap.client
        import firmware.provisioning.attempt
    finally:
        for name in before:
            if before[name] is None:
                del sys.modules[name]
            else:
                sys.modules[name] = before[name]
    return (
        firmware.provisioning.attempt,
        firmware.board.hardware,
        firmware.board.indicator,
        firmware.board.wifi,
        firmware.coap.client,
    )


_ticks = Clock()


def ticks_add(ticks, delta):
    """What `time.ticks_add` is on a board, with its limit."""
    if not -_LONGEST_TICKS < delta < _LONGEST_TICKS:
        raise OverflowError("ticks interval overflow")
    return _ticks.ticks_add(ticks, delta)


if sys.implementation.name == "micropython":
    # For what firmware.power_up gives back and imports anew. CPython's time has them already.
    _names = {name: getattr(time, name) for name in dir(time)}
    _names.update(ticks_add=ticks_add, ticks_diff=_ticks.ticks_diff)
    sys.modules["time"] = Stub(**_names)

for _module in _import_on_a_computer():
    for _name in ("ticks_add", "ticks_diff"):
        if hasattr(_module, _name):
            setattr(_module, _name, ticks_add if _name == "ticks_add" else _ticks.ticks_diff)

from firmware.board import hardware  # noqa: E402, F401
from firmware.board.indicator import Indicator  # noqa: E402
from firmware.board.kept import unchanged  # noqa: E402
from firmware.board.storage import Storage  # noqa: E402
from firmware.errors import FirstbootError  # noqa: E402
from firmware.power_up import power_up  # noqa: E402
from firmware.retry import backoff  # noqa: E402, F401


class Reset(BaseException):
    """The board reset itself."""


class Shown(BaseException):
    """The console shows what it must not. No Exception: the firmware waits those out."""


class PowerCut(BaseException):
    """The power is gone: what was not on the flash is lost."""


class Stopped(BaseException):
    """The test has seen enough: `World.stop_after` waits for the next try."""


class Flash:
    """A file system in memory, with `open` and what MicroPython's `os` has.

    A file's content is there once it is closed, as on littlefs; a file that is new is empty until
    then. `is_fat`: then what is overwritten is empty at once, and a rename first removes what has
    the new name. `cut_at`: the number of the operation before which the power goes. `fail_at`: the
    number of the operation that raises OSError(`error`); a failing write has written half.
    `corrupt`: how many of the next files lose a bit when they are closed.
    """

    def __init__(self):
        self.files = {}
        self.operations = []
        self.cut_at = None
        self.fail_at = None
        self.error = ENOSPC
        self.broken = ()
        self.corrupt = 0
        self.is_fat = False

    def begin(self):
        """Count operations from here on, with nothing to go wrong."""
        self.operations = []
        self.cut_at = self.fail_at = None

    def operate(self, name, path):
        """Note an operation; return whether it goes wrong."""
        number = len(self.operations)
        if number == self.cut_at:
            raise PowerCut()
        self.operations.append((name, path))
        return number == self.fail_at or name in self.broken

    def run(self, name, path):
        if self.operate(name, path):
            raise os_error(self.error)

    def count(self, name, path):
        """Return how often an operation was done on a path."""
        return len([1 for operation in self.operations if operation == (name, path)])

    def open(self, path, mode):
        self.run("open", path)
        if mode == "rb":
            self._find(path)
        elif self.is_fat or path not in self.files:
            self.files[path] = b""
        return _File(self, path, mode)

    def stat(self, path):
        if "stat" in self.broken:
            raise os_error(self.error)
        self._find(path)
        return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]), 0, 0, 0)

    def rename(self, old, new):
        self._find(old)
        if self.is_fat and new in self.files:
            self.remove(new)
        self.run("rename", new)
        self.files[new] = self.files.pop(old)

    def remove(self, path):
        self._find(path)
        self.run("remove", path)
        del self.files[path]

    def listdir(self, path):
        return [name[1:] for name in self.files]

    def _find(self, path):
        if path not in self.files:
            raise os_error(ENOENT)


class _File:
    def __init__(self, flash, path, mode):
        self._flash = flash
        self._path = path
        self._content = b"" if mode == "wb" else None
        self._position = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._content is None:
            return
        if exception[0] is None:
            self._flash.run("close", self._path)
            if self._flash.corrupt:
                self._flash.corrupt -= 1
                self._content = self._content[:-1] + bytes((self._content[-1] ^ 1,))
        elif exception[0] is PowerCut:
            return
        self._flash.files[self._path] = self._content

    def read(self, size=None):
        if not self._position:
            # Of a file that is read in parts that is one operation.
            self._flash.run("read", self._path)
        begin, self._position = self._position, (size or 0) + self._position
        return self._flash.files[self._path][begin : size and self._position]

    def write(self, data):
        if self._flash.operate("write", self._path):
            self._content += data[: len(data) // 2]
            raise os_error(self._flash.error)
        self._content += data
        return len(data)


class Network:
    """MicroPython's `network` module of a board, `kind` "esp32" or "rp2", with one radio.

    `joins`: what each `connect` leads to, the last one for ever: a list of (ms after it, status).
    `heard`: what a scan finds, (name, security, dBm) each. `silent_until`: a join is up, and
    nothing gets through, until what cures it: "join", "cycle" (the radio off and on) or "reset".
    `wedged`: what `connect` raises, or a status that stays; `wedged_until`: what cures it.
    """

    STA_IF = 0
    heard = ()
    address = "192.0.2.99"
    silent_until = None
    wedged = None
    wedged_until = "cycle"
    # In a network, whether with an address or not.
    is_associated = False
    # An ESP32 that has left a network says that it is idle, also while it joins anew.
    has_left = False

    def __init__(self, kind, clock):
        self.kind = kind
        self.clock = clock
        self.calls = []
        self.is_active = False
        self.since = None
        self.ssid = ""
        if kind == "esp32":
            self.STAT_IDLE, self.STAT_CONNECTING, self.STAT_GOT_IP = 1000, 1001, 1010
            self.STAT_NO_AP_FOUND, self.STAT_WRONG_PASSWORD = 201, 202
        else:
            self.STAT_IDLE, self.STAT_CONNECTING, self.STAT_GOT_IP = 0, 1, 3
            self.STAT_NO_AP_FOUND, self.STAT_WRONG_PASSWORD = -2, -3
        self.joins = [[(300, self.STAT_GOT_IP)]]
        self.join = []

    def WLAN(self, interface):
        assert interface == self.STA_IF, "no access point"
        return self

    def hostname(self, name):
        self._call("hostname", name)

    def country(self, code):
        self._call("country", code)

    def active(self, *is_active):
        if not is_active:
            return self.is_active
        self._call("active", *is_active)
        self.is_active = is_active[0]
        if not self.is_active:
            self.since = None
            self.cure("cycle")

    def connect(self, ssid, *key):
        if not self.is_active:
            raise OSError("Wifi Not Started")
        if self.kind == "esp32" and self._shown() == self.STAT_CONNECTING:
            raise OSError("Wifi Internal State Error")
        self._call("connect", ssid, *key)
        if isinstance(self.wedged, Exception):
            raise self.wedged
        self.cure("join")
        self.ssid = ssid
        self.join = self.joins.pop(0) if len(self.joins) > 1 else self.joins[0]
        self.since = self.clock.slept

    def disconnect(self):
        self._call("disconnect")
        self.has_left = self.has_left or self.isconnected()
        self.since = None

    def isconnected(self):
        return self.status() == self.STAT_GOT_IP

    def status(self, *param):
        if param:
            assert param == ("rssi",)
            if not self.is_associated:
                raise OSError("Wifi Not Connected")
            return -60
        status = self._shown()
        if self.kind == "esp32" and self.has_left and status == self.STAT_CONNECTING:
            return self.STAT_IDLE
        self.has_left = self.has_left and status == self.STAT_IDLE
        return status

    def _shown(self):
        if self.since is None:
            return self.STAT_IDLE
        status = self.STAT_CONNECTING
        if self.wedged is not None:
            return self.wedged if isinstance(self.wedged, int) else status
        for after, then in self.join:
            if self.clock.slept - self.since >= after:
                status = then
        return status

    def cure(self, by):
        """Have done what cures some troubles."""
        cures = ("join", "cycle", "reset")
        if self.silent_until and cures.index(by) >= cures.index(self.silent_until):
            self.silent_until = None
        if self.wedged is not None and cures.index(by) >= cures.index(self.wedged_until):
            self.wedged = None

    def scan(self):
        if not self.is_active:
            raise OSError("Wifi Not Started" if self.kind == "esp32" else 1)
        self._call("scan")
        return [(name.encode(), b"", 1, dbm, security, 0) for name, security, dbm in self.heard]

    def ifconfig(self):
        return (self.address, "255.255.255.0", "192.0.2.254", "192.0.2.254")

    def config(self, name):
        return self.ssid if name == "ssid" else None

    def named(self, name):
        """Return the arguments of each call of a function."""
        return [call[1:] for call in self.calls if call[0] == name]

    def _call(self, *call):
        self.calls.append(call)


class Reply:
    """What a server answers. `separate`: ms until a confirmable response, after an empty ACK."""

    def __init__(self, code, payload=b"", options=(), separate=None):
        self.code = code
        self.payload = payload
        self.options = list(options)
        self.separate = separate


class Server:
    """A ThingsBoard at an address, as far as these tests need one. Duplicates as Californium.

    `deaf`: nothing reaches it. `mute`: nothing that it sends arrives. `script`: for each of the
    next requests a Reply, or a function of (server, request) that returns one.
    """

    def __init__(self, clock):
        self.clock = clock
        self.deaf = False
        self.mute = False
        self.strategy = "create"
        self.secret = SECRET
        self.devices = {}
        self.script = []
        self.datagrams = []
        self.requests = []
        self.acknowledged = []
        self._remembered = {}
        self._body = b""
        self._next_message_id = 0x5000

    def on_datagram(self, datagram, source):
        """Take a datagram; return a list of (ms from now, datagram)."""
        if self.deaf:
            return []
        message = decode(memoryview(datagram))
        if message.type in (ACK, RST):
            if message.type == ACK:
                self.acknowledged.append(message.message_id)
            return []
        remembered = (source, message.message_id)
        since, replies = self._remembered.get(remembered, (None, None))
        if since is None or self.clock.slept - since >= _EXCHANGE_LIFETIME:
            self.requests.append(Request(message, datagram, source, self.clock.slept))
            replies = self._encode(message, self._answer(self.requests[-1]))
            self._remembered[remembered] = (self.clock.slept, replies)
        else:
            replies = self._again(replies)
        return [] if self.mute else replies

    def answer(self, request):
        """Answer a request as ThingsBoard does."""
        if request.code == POST and request.path == "api/v1/provision":
            return self._provision(json.loads(request.payload))
        parts = request.path.split("/")
        if request.code == GET and parts[:2] == ["api", "v1"] and parts[3:] == ["attributes"]:
            return Reply(NOT_FOUND if parts[2] in self.devices.values() else UNAUTHORIZED)
        return Reply(BAD_REQUEST)

    def of(self, code):
        """Return the requests with a method."""
        return [request for request in self.requests if request.code == code]

    def _answer(self, request):
        block = request.option(27)
        if block is not None:
            self._body = (self._body if uint(block) >> 4 else b"") + request.payload
            if uint(block) & 8:
                return Reply(CONTINUE, options=[(27, block)])
            request.payload = self._body
        reply = self.script.pop(0) if self.script else self.answer
        return reply if isinstance(reply, Reply) else reply(request)

    def _provision(self, asked):
        if asked["provisionDeviceSecret"] != self.secret:
            return Reply(BAD_REQUEST, _NOT_FOUND)
        name = asked["deviceName"]
        if self.strategy == "create":
            if name in self.devices:
                return Reply(BAD_REQUEST, _FAILURE)
            self.devices[name] = asked.get("token") or "chosen-by-the-server"
        elif name not in self.devices:
            return Reply(BAD_REQUEST, _FAILURE)
        return success(self.devices[name])

    def _encode(self, request, reply):
        token = bytes(request.token)
        if reply.separate is None:
            response = encode(
                ACK, reply.code, request.message_id, token, reply.options, reply.payload
            )
            return [(10, bytes(response))]
        self._next_message_id += 1
        response = encode(
            CON, reply.code, self._next_message_id, token, reply.options, reply.payload
        )
        empty_ack = encode(ACK, EMPTY, request.message_id, b"", [])
        return [(10, bytes(empty_ack)), (10 + reply.separate, bytes(response))]

    def _again(self, replies):
        confirmable = decode(memoryview(replies[-1][1]))
        return replies[:1] if confirmable.message_id in self.acknowledged else replies


def success(value, credentials_type="ACCESS_TOKEN", separate=None):
    """Return the Reply with the status SUCCESS."""
    fields = {"credentialsValue": value, "credentialsType": credentials_type, "status": "SUCCESS"}
    return Reply(CREATED, json.dumps(fields).encode(), separate=separate)


def failure(separate=None):
    """Return the Reply with the status FAILURE."""
    return Reply(BAD_REQUEST, _FAILURE, separate=separate)


def not_found():
    """Return the Reply with the status NOT_FOUND."""
    return Reply(BAD_REQUEST, _NOT_FOUND)


class Request:
    """A request that reached a server. `source`: the local port; `time`: ms of the world."""

    def __init__(self, message, datagram, source, time):
        self.code = message.code
        self.message_id = message.message_id
        self.token = bytes(message.token)
        self.payload = bytes(message.payload)
        self.path = "/".join(
            bytes(value).decode() for number, value in message.options if number == 11
        )
        self.options = [(number, bytes(value)) for number, value in message.options]
        self.datagram = datagram
        self.source = source
        self.time = time

    def option(self, number):
        for known, value in self.options:
            if known == number:
                return value
        return None

    @property
    def body(self):
        return json.loads(self.payload)


class Transport:
    """The board's socket to a server."""

    largest_block = 1024

    def __init__(self, world, address, port, local_port):
        self.world = world
        self._address = address
        self._server = world.servers.get((address, port))
        self._local_port = local_port
        self._arriving = []
        self.closed = False
        # Whom a server takes it for.
        self.source = local_port

    def send(self, datagram):
        world = self.world
        assert not self.closed
        world.on_send()
        if self._address in world.unreachable:
            raise os_error(EHOSTUNREACH)
        datagram = bytes(datagram)
        world.sent.append((self._address, self._local_port, datagram))
        if self._server and not world.network.silent_until:
            for delay, reply in self._server.on_datagram(datagram, self.source):
                self._arriving.append((world.clock.slept + delay, reply))
            self._arriving.sort(key=lambda arrival: arrival[0])

    def receive(self, size, timeout):
        clock = self.world.clock
        if not self._arriving or self._arriving[0][0] > clock.slept + timeout:
            clock.sleep_ms(timeout)
            return None
        due, datagram = self._arriving.pop(0)
        clock.sleep_ms(due - clock.slept)
        return datagram[:size]

    def close(self):
        self.closed = True
        self.world.open_ports.remove(self._local_port)


class ColdClock:
    """A board's clock: it says 2000 until it is set. `slept`: gives ms that never go back."""

    def __init__(self, slept):
        self._slept = slept
        self.set(946_684_800)

    def set(self, seconds):
        self._seconds, self._at = seconds, self._slept()

    def now(self):
        return self._seconds + (self._slept() - self._at) // 1000


class Board:
    """What firmware.board.hardware.Board is to the rest of the firmware."""

    id = BOARD_ID
    description = "a virtual board"
    attempt_again = trial = None
    clock_is_set = True
    clock_is_guessed = False
    clock_asked_at = None
    in_steps = False

    def __init__(self, world):
        self._world = world
        self.chip = world.chip
        self.storage = Storage("", world.flash.open, world.flash)
        self.indicator = Indicator(world.on_led, world.print, world.clock.ticks_ms)
        self.network = world.network
        self.ticks = world.clock.ticks_ms
        self.random = world.random
        self.radio = {"silent": 0, "failed": 0, "wedged": 0}
        self.ends_said = []
        self.clock_is_set = False
        self._clock = ColdClock(lambda: world.clock.slept)
        self.leds = []
        self.watchdog = None
        self.background = []
        self.resets = 0
        self.idled = 0

    @property
    def address(self):
        return self.network.ifconfig()[0] if self.network.isconnected() else None

    @property
    def now_ms(self):
        return self._world.now_ms

    def sessions(self, config, kind=None):
        if self._world.sessions and config["secure"]:
            return self._world.sessions(self, config, kind)

    @property
    def now(self):
        return self._clock.now()

    def set_clock(self, seconds, is_guess=False):
        self._clock.set(seconds)
        self.clock_is_guessed = is_guess

    def read(self, path):
        return self.storage.read(path)

    def exists(self, path):
        try:
            return self.storage.exists(path)
        except FirstbootError:
            return False

    def use_led(self, pin):
        self.leds.append(pin)

    def start_watchdog(self, seconds):
        self.watchdog = seconds

    def recall(self):
        return self._world.memory or b""

    def remember(self, content):
        """As an ESP32 does, if the World has memory for it."""
        if self._world.memory is None or len(content) > 2048:
            return False
        self._world.memory = content
        return True

    def deep_sleep(self, ms):
        self._world.deep_sleeps.append(ms)

    def idle(self):
        self.idled += 1
        for work in self.background:
            work()
        self.indicator.blink()

    def button(self, pin):
        if pin == 99:
            raise ValueError("invalid pin")
        return lambda: self._world.is_pressed

    def sleep(self, ms):
        self._world.on_sleep(ms)
        ticks_add(self.ticks(), ms)
        self._world.clock.sleep_ms(ms)
        self.idle()

    def reset(self):
        self.resets += 1
        raise Reset()

    def resolve(self, host, port):
        if self._world.raised:
            raise self._world.raised.pop(0)
        self._world.resolved.append(host)
        addresses = None if self._world.network.silent_until else self._world.names.get(host)
        if addresses is None:
            raise os_error(-2)
        return list(addresses)

    def open_transport(self, address, port, local_port):
        world = self._world
        if local_port in world.used_ports:
            raise os_error(EADDRINUSE)
        if address in world.unroutable:
            raise os_error(ENETUNREACH)
        world.open_ports.append(local_port)
        return Transport(world, address, port, local_port)


def modules_of_firmware():
    """Return the modules of the firmware that are loaded, by name."""
    return {name: sys.modules[name] for name in sys.modules if name.startswith("firmware.")}


def put_back(loaded):
    """Load again what was given back: other tests have it too, and it has to be the same one."""
    # The package of a module before it.
    for name in sorted(loaded):
        if name not in sys.modules or sys.modules[name] is not loaded[name]:
            package, _, own_name = name.rpartition(".")
            sys.modules[name] = loaded[name]
            setattr(sys.modules[package], own_name, loaded[name])


class World:
    """All of it. `config`: config.json as a dictionary, or its bytes, or None for none.

    `names`: the DNS. `raised`: what the next look-ups in it raise. `unreachable`: addresses to
    which sending fails; `unroutable`: to which no socket can be opened. `sessions`: what opens
    sessions for coaps, see firmware.board.security; None has none. `loaded`: the modules that
    were there when the last power-up ended. `stop_after`: after how many tries `power_up` ends with
    None. `waits`: how long each wait for the next try was. `resets`: how often the board reset
    itself.
    """

    def __init__(self, config=True, kind="esp32"):
        self.chip = "ESP32" if kind == "esp32" else "RP2040"
        self.clock = Clock((1 << 30) - 60_000)
        self.flash = Flash()
        self.network = Network(kind, self.clock)
        self.server = Server(self.clock)
        self.servers = {(ADDRESS, 5683): self.server}
        self.names = {NAME: [ADDRESS]}
        self.unreachable = ()
        self.unroutable = ()
        self.used_ports = ()
        self.open_ports = []
        self.resolved = []
        self.raised = []
        self.sent = []
        self.lines = []
        self.waits = []
        self._waited = None
        self.resets = 0
        self.led = None
        self.stop_after = None
        # What the clock said when all began, in ms since 1970.
        self.clock_began = 1_800_000_000_000
        self.board = None
        self.on_send = lambda: None
        self.sessions = None
        self.is_pressed = False
        # What lasts through a deep sleep, None for no such memory; how long each one was.
        self.memory = None
        self.deep_sleeps = []
        self.scripted_random = {}
        self._random = 1
        if config is not None:
            self.put("/config.json", example() if config is True else config)

    def put(self, path, content):
        """Put a file on the flash; a dictionary as JSON."""
        is_dict = isinstance(content, dict)
        self.flash.files[path] = json.dumps(content).encode() if is_dict else content

    def get(self, path):
        """Return the JSON in a file on the flash, or None when there is no such file."""
        content = self.flash.files.get(path)
        return None if content is None else json.loads(content)

    def add_server(self, address):
        """Return a second ThingsBoard, at another address."""
        self.servers[(address, 5683)] = server = Server(self.clock)
        return server

    def new_board(self):
        """Turn the power on: nothing is left but the flash. Returns the Board."""
        self.open_ports = []
        self.network.is_active = False
        self.network.since = None
        self.network.cure("reset")
        self.board = Board(self)
        return self.board

    def power_up(self, tries=None):
        """Power the board up; return what firmware.application runs app.py with.

        That is (credentials, config, or what was kept of it); None when stopped or cut.
        """
        if tries is not None:
            self.stop_after = tries
        self.waits = []
        loaded = modules_of_firmware()
        try:
            while True:
                try:
                    board = self.new_board()
                    return unchanged(board) or power_up(board)
                except Reset:
                    self.resets += 1
        except (Stopped, PowerCut):
            return None
        finally:
            self.loaded = set(sys.modules)
            put_back(loaded)

    @property
    def now_ms(self):
        """What the clock says, in ms since 1970."""
        return self.clock_began + self.clock.slept

    def on_sleep(self, ms):
        # A wait of several sleeps is one.
        if self.lines and "next try in" in self.lines[-1] and self._waited != len(self.lines):
            self._waited = len(self.lines)
            self.waits.append(ms)
            if self.stop_after is not None and len(self.waits) >= self.stop_after:
                raise Stopped()

    def on_led(self, level):
        self.led = level

    def print(self, line):
        """What the board's `print` is."""
        for secret in self.secrets():
            if secret in line:
                raise Shown("a secret in " + line)
        if "\n" in line:
            raise Shown("more than a line: " + line)
        self.lines.append(line)

    def texts(self):
        """Return the console's lines without their times."""
        return [line[11:] for line in self.lines]

    def find(self, start):
        """Return the lines of the console, without times, that start so."""
        return [text for text in self.texts() if text.startswith(start)]

    def random(self, size):
        """Return bytes as os.urandom does; those of `scripted_random` first, by size."""
        if self.scripted_random.get(size):
            return self.scripted_random[size].pop(0)
        result = bytearray()
        for _ in range(size):
            self._random = (self._random * 1103515245 + 12345) & 0x7FFFFFFF
            result.append(self._random >> 16 & 0xFF)
        return bytes(result)

    def secrets(self):
        """Return every secret, password and token that there is now."""
        found = [KEY, SECRET, WIFI_PASSWORD] + list(self.server.devices.values())
        attempt = self.flash.files.get("/attempt.json", b"")
        if b'"token"' in attempt:
            try:
                found.append(json.loads(attempt)["token"])
            except (ValueError, TypeError, KeyError):
                pass
        return [secret for secret in found if isinstance(secret, str) and secret]


def example(**changes):
    """Return a config.json as a dictionary. A name with `__` is a path; ... leaves the key out."""
    config = {
        "wifi": {"ssid": "Home", "password": WIFI_PASSWORD},
        "server": "coap://" + NAME,
        "provisioning": {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": KEY,
            "provisionDeviceSecret": SECRET,
        },
    }
    for path in changes:
        section, _, key = path.rpartition("__")
        values = config.setdefault(section, {}) if section else config
        if changes[path] is ...:
            del values[key]
        else:
            values[key] = changes[path]
    return config
