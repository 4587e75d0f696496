"""One board and its ThingsBoard in virtual time, for tests of what goes wrong around them."""

from __future__ import annotations

import errno
import json
from types import SimpleNamespace

from host_tests.explorer.board import ADDRESSES, Board, power_up
from host_tests.explorer.flash import Chip, Files
from host_tests.explorer.images import FRESH, images
from host_tests.explorer.network import SERVER_ADDRESS
from host_tests.explorer.scene import ATTEMPT, CONFIG, CREDENTIALS, NAME, Setting
from host_tests.explorer.search import root
from tools import shims


class PowerCut(BaseException):
    """The power fails."""


class Site:
    """A board and its ThingsBoard. `on_wait(waits)` is called in each wait with how many there
    were; it changes what surrounds the board, or raises PowerCut."""

    def __init__(self, **setting):
        self.setting = Setting(**setting)
        state = root(self.setting, FRESH, images(self.setting)[FRESH], "what goes wrong")
        self.chip = Chip(state.image)
        self.files = Files(self.chip, self.setting.kind)
        self.wire = state.network
        self.thingsboard = self.wire.server.thingsboard
        self.address = ADDRESSES[0]
        self.names = [SERVER_ADDRESS]
        self.server_address = SERVER_ADDRESS
        self.ticks_at_power_up = None
        self.on_wait = lambda waits: None
        self.on_send = lambda: None
        self.radio = None
        self.sent: list[tuple[int, bytes]] = []
        self.power_ups = 0

    def power_up(self):
        """Give the credentials, or None when `on_wait` cut the power. `console` has the lines."""
        self.power_ups += 1
        self.waits = 0
        seed = f"what goes wrong {self.power_ups}"
        board = self.board = Board(self.files, self.wire, self.address, seed, self._asleep)
        board.on_send, board.on_receive = self._on_send, lambda datagram: None
        board.names = {"thingsboard.example.com": self.names}
        board.open_transport = self._open_transport
        if self.radio:
            board.network = self.radio
        if self.ticks_at_power_up is not None:
            board.ticks = self._ticks(self.wire.now)
        try:
            return power_up(board)[0]
        except PowerCut:
            return None

    @property
    def console(self) -> str:
        return "\n".join(self.board.lines)

    def saved(self, path: str):
        """The JSON file at a path on flash, None when there is none."""
        content = dict(Files(Chip(self.chip.image), self.setting.kind).read_all()).get(path)
        return content and json.loads(content)

    def check(self, credentials) -> None:
        """Both ends agree, and nothing on flash is corrupt."""
        assert list(self.thingsboard.devices) == [NAME]
        assert credentials["credentialsValue"] == self.thingsboard.devices[NAME].token
        assert self.saved(CREDENTIALS) == credentials
        assert self.saved(ATTEMPT) is None
        assert self.saved(CONFIG) == json.loads(self.setting.config)

    def configure(self, **changes) -> None:
        """Change config.json as a person would: `provisionDeviceSecret`, `server` and the like."""
        config = json.loads(self.setting.config)
        for key, value in changes.items():
            (config if key in config else config["provisioning"])[key] = value
        self.files.write(CONFIG, json.dumps(config).encode())

    def _asleep(self, board, ms):
        if board.state != "Wi-Fi":
            self.waits += 1
            self.on_wait(self.waits)
        self.wire.advance(ms)

    def _open_transport(self, address, port, local_port=0):
        transport = Board.open_transport(self.board, address, port, local_port)
        if address != self.server_address:
            transport.send = lambda datagram: self.sent.append((self.wire.now, bytes(datagram)))
        return transport

    def _on_send(self, peer, datagram):
        self.on_send()
        self.sent.append((self.wire.now, datagram))
        self.wire.send(peer, datagram)

    def _ticks(self, powered_up_at):
        return lambda: (self.ticks_at_power_up + self.wire.now - powered_up_at) % shims.TICKS_PERIOD


class Radio(SimpleNamespace):
    """A `network` module whose Wi-Fi drops after some ms and comes back after some more."""

    STA_IF, STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 0, 1000, 1001, 1010
    STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 201, 202

    def __init__(self, site, drops_after, back_after, address_after):
        super().__init__(joined=False)
        self._site, self._drops_after, self._back_after = site, drops_after, back_after
        self._address_after = address_after
        site.on_send = self._on_send
        site.wire.is_down = lambda: not self.isconnected()

    def WLAN(self, interface):
        return self

    def isconnected(self):
        if self._drops_after <= self._site.wire.now < self._back_after:
            self.joined = False
        return self.joined

    def connect(self, ssid, key):
        self.joined = True
        if self._site.wire.now >= self._back_after:
            self._site.address = self._site.board.address = self._address_after

    def disconnect(self):
        self.joined = False

    def status(self):
        return self.STAT_GOT_IP if self.isconnected() else self.STAT_NO_AP_FOUND

    def active(self, *on):
        return True

    def hostname(self, name):
        return None

    def _on_send(self):
        if not self.isconnected():
            raise OSError(errno.EHOSTUNREACH, "no route to host")

    def config(self, key):
        return "home"

    def ifconfig(self):
        return (self._site.address, "", "", "")
