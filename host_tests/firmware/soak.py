"""One board alone for years, in virtual time: everything that can happen to it, at random.

Runs on both interpreters: see `Soak`, and host_tests/soak.py for a long one.
"""

import gc
import sys

from firmware import memory, retry
from firmware.board.kept import unchanged
from firmware.board.storage import ATTEMPT
from firmware.coap.message import GET, POST
from firmware.coap.uri import parse
from firmware.errors import FirstbootError
from firmware.power_up import power_up
from firmware.provisioning import rejection
from firmware.provisioning.record_file import fingerprint
from host_tests.firmware.secure_world import CA, Secured
from host_tests.firmware.world import (
    CREATED,
    NAME,
    NOT_FOUND,
    SECRET,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
    PowerCut,
    Reply,
    Reset,
    Stub,
    World,
    example,
    modules_of_firmware,
    not_found,
    put_back,
)

HOUR = 3_600_000
DAY = 24 * HOUR
DEVICE = "sensor-a1b2c3d4e5f6"

_PERIOD = 2 * HOUR
_QUIET = 4 * DAY
_NETWORKS = ("Home", "Office", "Barn")


class Soak:
    """The life of a board. `seed`: what all chance is drawn from.

    `happened`: how often what happened. `posted`: how often the application reached ThingsBoard,
    and of it over coaps `posted_securely`; `last_posted`: when, and `longest_silence` between two,
    in ms. `power_ups`, `resets`. `heaps`: the heap in use, in bytes, on MicroPython, each time the
    application had run for a day. `unexpected`: exceptions whose traceback was shown and that
    nobody had put there.
    """

    def __init__(self, seed, days):
        self.world = world = World()
        self.secured = Secured(world)
        self._config = example()
        world.on_sleep = self._on_sleep
        answer = world.server.answer
        world.server.answer = lambda request: self._answer(answer, request)
        self.end = days * DAY
        self.happened = {}
        self.posted = self.posted_securely = self.last_posted = self.longest_silence = 0
        self.power_ups = self.resets = 0
        self.heaps = []
        self.unexpected = []
        self._cures = []
        self._drawn = seed * 2 + 1
        self._next = DAY
        self._is_quiet = False

    def run(self):
        """Live; the last days are quiet, so that what heals has healed."""
        before = retry.sys
        loaded = modules_of_firmware()
        retry.sys = Stub(print_exception=self._on_traceback, modules=sys.modules)
        try:
            while self.world.clock.slept < self.end + _QUIET:
                self._power_up()
        except _Ended:
            pass
        finally:
            retry.sys = before
            put_back(loaded)
            self.secured.close()

    def _power_up(self):
        world = self.world
        self.power_ups += 1
        try:
            board = world.new_board()
            found = unchanged(board)
            if found:
                self._check_secret()
            credentials, _ = found or power_up(board)
            self._application(board, credentials)
        except PowerCut:
            world.flash.begin()
        except Reset:
            self.resets += 1
        for name in self.world.flash.files:
            if name.endswith(".bad1"):
                raise AssertionError(name)

    def _check_secret(self):
        """Where a start has nothing to look at, no secret is left that was to be forgotten."""
        files = self.world.flash.files
        if b'"forget_secret": true' in files["/config.json"]:
            assert not [path for path in files if SECRET.encode() in files[path]]

    def _application(self, board, credentials):
        """What README's app.py does, with a look at the 4.01."""
        began = self.world.clock.slept
        was_measured = False
        settings = trouble = None
        while True:
            try:
                credentials = self._post(board, credentials, settings, trouble) or credentials
                trouble = None
            except FirstbootError as error:
                trouble = error
                board.indicator.say(*str(error).split("\n"))
            try:
                from firmware.board import config

                settings = config.load(board, provisioned=True)
            except FirstbootError:
                # An operator is at it.
                pass
            if not was_measured and self.world.clock.slept - began > DAY:
                was_measured = True
                self._measure()
            board.sleep(_PERIOD)

    def _post(self, board, credentials, settings, trouble):
        from firmware.board import config, wifi
        from firmware.coap.client import Client

        settings = settings or config.load(board, provisioned=True)
        wifi.join(settings, board, trouble)
        transport = None
        try:
            host, port, _, is_secure = parse(credentials["server"])
            secure = board.sessions(settings)
            if is_secure and not secure:
                raise FirstbootError("config.json says coap, and the credentials coaps")
            transport = board.open_transport(board.resolve(host, port)[0], port, 20_000)
            if is_secure:
                transport = secure(transport, host)
            client = Client(transport, NAME, board.idle, ticks=board.ticks, random=board.random)
            path = "/api/v1/%s/telemetry" % credentials["credentialsValue"]
            response = client.post(path, b'{"temperature":21.5}')
        except (OSError, TypeError, AttributeError, ValueError) as error:
            from firmware.coap.failure import out_of_reach

            raise out_of_reach("%s cannot be reached" % NAME, error)
        finally:
            if transport:
                transport.close()
        if response.code == CREATED:
            now = self.world.clock.slept
            self.longest_silence = max(self.longest_silence, now - self.last_posted)
            self.posted += 1
            self.posted_securely += is_secure
            self.last_posted = now
        elif response.code == UNAUTHORIZED:
            return rejection.credentials_rejected(board)

    def _answer(self, answer, request):
        if request.code in (GET, POST) and request.path.endswith("/telemetry"):
            known = request.path.split("/")[2] in self.world.server.devices.values()
            return Reply(CREATED if known else UNAUTHORIZED)
        return answer(request)

    def _measure(self):
        if sys.implementation.name == "micropython":
            self._forget()
            # Which modules the application has loaded by now is chance.
            memory.give_back()
            gc.collect()
            self.heaps.append(gc.mem_alloc())

    def _forget(self):
        """Let go of what the world remembers only for tests."""
        world = self.world
        world.lines, world.sent, world.resolved, world.waits = [], [], [], []
        world.network.calls, world.flash.operations = [], []
        server = world.server
        server.requests, server.datagrams, server.acknowledged = [], [], []
        old = world.clock.slept - 247_000
        for key in [key for key in server._remembered if server._remembered[key][0] < old]:
            del server._remembered[key]

    # What happens

    def _draw(self, below):
        self._drawn = (self._drawn * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._drawn >> 8) % below

    def _draw_time(self, most):
        return self._draw(most // 1000) * 1000

    def _on_traceback(self, error):
        if str(error) != "put there":
            self.unexpected.append(error)
            sys.print_exception(error)

    def _on_sleep(self, ms):
        now = self.world.clock.slept
        if len(self.world.sent) > 500 or len(self.world.flash.operations) > 5_000:
            self._forget_but_the_cut()
        if now > self.end + _QUIET:
            raise _Ended()
        for cure in [cure for cure in self._cures if cure[0] <= now]:
            self._cures.remove(cure)
            cure[1]()
        if now > self.end:
            if not self._is_quiet:
                self._is_quiet = True
                for _, cure in self._cures:
                    cure()
                self._cures = []
                self.world.flash.begin()
            return
        if now >= self._next:
            self._next = now + HOUR + self._draw_time(2 * DAY)
            name = _EVENTS[self._draw(len(_EVENTS))]
            self.happened[name] = self.happened.get(name, 0) + 1
            getattr(self, "_" + name)()

    def _forget_but_the_cut(self):
        cut_at = self.world.flash.cut_at
        done = len(self.world.flash.operations)
        self._forget()
        if cut_at is not None:
            self.world.flash.cut_at = max(0, cut_at - done)

    def _later(self, cure, within=DAY):
        self._cures.append((self.world.clock.slept + HOUR // 4 + self._draw_time(within), cure))

    def _power_cut(self):
        raise PowerCut()

    def _power_cut_while_writing(self):
        flash = self.world.flash
        flash.begin()
        flash.cut_at = self._draw(40)
        # What makes it write: a config.json that was touched.
        self._touch()
        raise PowerCut()

    def _touch(self):
        files = self.world.flash.files
        files["/config.json"] = files["/config.json"].rstrip() + b" " * self._draw(5)

    def _flash_full(self):
        self.world.flash.broken = ("write",)

        def cure():
            self.world.flash.broken = ()

        self._later(cure)

    def _flash_bit(self):
        self.world.flash.corrupt = 1

    def _wifi_silent(self):
        if self.world.network.isconnected():
            self.world.network.silent_until = ("join", "cycle", "reset")[self._draw(2)]

    def _wifi_silent_in_power_up(self):
        self.world.network.silent_until = ("join", "cycle", "reset")[self._draw(3)]
        raise PowerCut()

    def _radio_raises(self):
        self._wedge(OSError("Wifi Internal Error"))

    def _radio_joins_for_ever(self):
        self._wedge("joining")

    def _wedge(self, how):
        network = self.world.network
        network.since = None
        network.wedged = how
        network.wedged_until = ("cycle", "reset")[self._draw(2)]

    def _wifi_gone(self):
        network = self.world.network
        network.since = None
        network.joins = [[(1_000, (201, 202, 2, 1001)[self._draw(4)])]]

        def cure():
            network.joins = [[(300, network.STAT_GOT_IP)]]

        self._later(cure)

    def _wifi_changes(self):
        """An operator lists another network, or several."""
        network = self.world.network
        names = _NETWORKS[: 1 + self._draw(3)]
        networks = [dict(example()["wifi"], ssid=name) for name in names]
        network.heard = [(name, 3, -40 - self._draw(50)) for name in names]
        self._edit(wifi=networks if len(names) > 1 else networks[0])
        network.since = None
        if self._draw(2):
            raise PowerCut()

    def _edit(self, **changes):
        self._config.update(changes)
        self.world.put("/config.json", self._config)

    def _config_broken(self):
        before = self.world.flash.files["/config.json"]
        self.world.put("/config.json", before[: 10 + self._draw(len(before) - 10)])
        self._later(self._edit, HOUR)
        if self._draw(2):
            raise PowerCut()

    def _config_touched(self):
        self._touch()
        raise PowerCut()

    def _credentials_removed(self):
        """An operator provisions the board anew, and deletes the device first."""
        self.world.server.devices.pop(DEVICE, None)
        self.world.flash.files.pop("/credentials.json", None)
        raise PowerCut()

    def _server_moves_to_the_other_scheme(self):
        """An operator edits config.json, and provisions the board anew."""
        is_secure = self._config["server"].startswith("coaps")
        self._edit(server="coap%s://%s" % ("" if is_secure else "s", NAME), ca=CA)
        if is_secure:
            del self._config["ca"]
            self._edit()
        self._credentials_removed()

    def _secret_forgotten(self):
        """An operator wants it off the board, and puts it back."""
        self._edit(forget_secret=True)
        self._later(lambda: self._edit(forget_secret=False))
        raise PowerCut()

    def _flash_of_another_kind(self):
        """An operator puts littlefs in place of FAT, or the reverse, and the files back."""
        self.world.flash.is_fat = not self.world.flash.is_fat
        raise PowerCut()

    def _time_forged(self):
        self.secured.time.lie = (self._draw(2) * 2 - 1) * (200 + self._draw(2_000)) * 86_400
        self._later(lambda: setattr(self.secured.time, "lie", 0))
        raise PowerCut()

    def _time_silent(self):
        self.secured.time.silent = True
        self._later(lambda: setattr(self.secured.time, "silent", False))
        raise PowerCut()

    def _device_deleted(self):
        self.world.server.devices.pop(DEVICE, None)

    def _server_restarts(self):
        self.world.server._remembered = {}

    def _server_deaf(self):
        self._server_is("deaf")

    def _server_mute(self):
        self._server_is("mute")

    def _server_is(self, what):
        server = self.world.server
        setattr(server, what, True)
        self._later(lambda: setattr(server, what, False))

    def _server_says(self):
        reply = (Reply(NOT_FOUND), Reply(SERVICE_UNAVAILABLE), not_found(), Reply(UNAUTHORIZED))
        self.world.server.script = [reply[self._draw(4)]]

    def _no_dns(self):
        names = self.world.names
        found = names.pop(NAME, None)
        if found:
            self._later(lambda: names.update({NAME: found}))

    def _stack_raises(self):
        kind = (TypeError, AttributeError, ValueError, MemoryError)[self._draw(3)]
        self.world.raised = [kind("put there")] * (1 + self._draw(8))


class _Ended(BaseException):
    pass


_EVENTS = (
    "power_cut",
    "power_cut",
    "power_cut_while_writing",
    "power_cut_while_writing",
    "flash_full",
    "flash_bit",
    "wifi_silent",
    "wifi_silent",
    "wifi_silent_in_power_up",
    "radio_raises",
    "radio_joins_for_ever",
    "wifi_gone",
    "wifi_changes",
    "config_broken",
    "config_touched",
    "credentials_removed",
    "server_moves_to_the_other_scheme",
    "server_moves_to_the_other_scheme",
    "flash_of_another_kind",
    "secret_forgotten",
    "time_forged",
    "time_forged",
    "time_silent",
    "device_deleted",
    "server_restarts",
    "server_deaf",
    "server_mute",
    "server_says",
    "no_dns",
    "stack_raises",
)


def check(soak):
    """Check how a board is after it: provisioned, its application running, its flash tidy."""
    world = soak.world
    credentials = world.get("/credentials.json")
    assert credentials["credentialsValue"] == world.server.devices[DEVICE]
    assert world.clock.slept - soak.last_posted <= _PERIOD + HOUR, "the application is silent"
    files = sorted(world.flash.files)
    attempt = world.get(ATTEMPT)
    if attempt and attempt["replaces"] == fingerprint(world.board):
        # ThingsBoard took the credentials no more, and then took them again.
        files.remove(ATTEMPT)
    assert files == [CA, "/config.json", "/credentials.json", "/start.json"], files
    assert soak.longest_silence <= 3 * DAY, soak.longest_silence // HOUR
    assert soak.unexpected == []
    assert world.open_ports == []
    if soak.heaps:
        # The first ones are of modules that were not all there yet.
        assert soak.heaps[-1] <= max(soak.heaps[: len(soak.heaps) // 2 + 1]) + 2_048, soak.heaps


def live(seed, days):
    """Let a board live and check it; return its figures, by name."""
    soak = Soak(seed, days)
    soak.run()
    check(soak)
    return {
        "days": days,
        "troubles": sum(soak.happened.values()),
        "power-ups": soak.power_ups,
        "resets by itself": soak.resets,
        "telemetry posted": soak.posted,
        "of it over coaps": soak.posted_securely,
        "hours of silence": soak.longest_silence // HOUR,
        "heaps": soak.heaps,
    }
