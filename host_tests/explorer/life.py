"""A board among people: a power-up of the real firmware, and its application after it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import NamedTuple

from firmware.board import security
from firmware.errors import FirstbootError
from firmware.provisioning.record_file import fingerprint
from firmware.provisioning.rejection import credentials_rejected
from firmware.thingsboard.refusals import Refused
from host_tests.explorer.board import Board, power_up, quick, replaced
from host_tests.explorer.folder import Folder
from host_tests.explorer.network import Network
from host_tests.explorer.run import Violation
from host_tests.explorer.scene import ATTEMPT, CONFIG, CREDENTIALS
from host_tests.explorer.town import (
    CHANGED_TOKEN,
    Town,
    is_proposed,
    is_same_server,
    read_json,
)
from tools.fake_thingsboard.codec import ACK, decode
from tools.fake_thingsboard.messages import CREATED

_PATIENCE = 6 * 3_600_000  # ms
_OPERATOR_COMES_AFTER = 10_000  # ms
_SESSION_PORTS = 100_000

PROVISIONED = "by itself"
EXPIRED = "off too long"
EDITED = "asked otherwise in between"
OPERATOR = "an operator changed it"
ANOTHERS = "another board's"
STUCK = "waits"


class Fault(NamedTuple):
    """What goes wrong with datagrams: those of a direction are mute until the first wait, or the
    n-th is lost, or from it on the board's port is another one."""

    mutes: str = ""
    number: int = -1
    fate: str = ""

    @property
    def code(self) -> str:
        return self.mutes.replace(" ", "-") or f"{self.number}={self.fate}"

    @classmethod
    def of(cls, code: str) -> Fault:
        number, _, fate = code.partition("=")
        return cls("", int(number), fate) if fate else cls(code.replace("-", " "))


class Moment(NamedTuple):
    label: str
    files: dict[str, bytes]
    network: Network


class Outcome(NamedTuple):
    """`end`: PROVISIONED, STUCK in a wait, or why an operator had to act first."""

    end: str
    town: Town
    moments: list[Moment]
    lines: list[str]
    sent: list[int]
    datagrams: int


class _Stuck(BaseException):
    """The board waits, and somebody does something about it."""


def live(town: Town, acts, fault: Fault | None, watch: bool, stays_on: bool = False) -> Outcome:
    """Power up the board whose turn it is, in `town`, which is changed. Raises Violation.

    `acts`: what people do from now on. With none left, the operator does what the board says, until
    it is provisioned. Else it ends in the first wait, unless the board `stays_on` while they act.
    """
    life = _Life(town, acts, fault, watch, stays_on)
    life.board.forget()
    return life.outcome


class _Life:
    def __init__(self, town: Town, acts, fault, watch: bool, stays_on: bool):
        self.town = town
        self.acts = list(acts)
        self.stays_on = stays_on
        self.end = PROVISIONED
        self.moments: list[Moment] = []
        self.sent: list[int] = []
        self._watch = watch
        self._frozen: Network | None = None
        self.wire = town.network
        self.wire.count = 0
        self.wire.fates = {}
        if fault:
            self.wire.mutes = fault.mutes
            self.wire.fates = {fault.number: fault.fate}
        self._started = self.wire.now
        town.power_ups += 1
        seed = f"{town.seed}/{town.setting}/{town.id}/{town.power_ups}"
        folder = Folder(town.files, town.setting.file_system, self.moment)
        self.board = _Board(self, folder, seed)
        was_provisioned = CREDENTIALS in town.files
        try:
            self._run()
        except _Stuck:
            self.end = STUCK
        except (Violation, KeyError):
            raise
        except Exception as error:
            raise self._broken(f"{type(error).__name__}: {error}") from error
        if self.end != STUCK:
            self.moment("once it is provisioned")
            if was_provisioned and self.wire.count and not self.was_rejected:
                raise self._broken("it was provisioned and sent a datagram all the same")
            if not self.acts:
                self._check_end()
        if broken := town.check():
            raise self._broken(broken)
        self.wire.fates = {}
        self.wire.mutes = ""
        self.wire._sockets = {}
        self.outcome = Outcome(
            self.end, town, self.moments, self.board.lines, self.sent, self.wire.count
        )

    def _broken(self, what: str) -> Violation:
        return Violation(what, self.board.lines)

    def _run(self) -> None:
        self.was_rejected = False
        with replaced(*(_SECURE if self.town.setting.transport == "coaps" else ())):
            credentials, _ = power_up(self.board)
            while True:
                if self.town.takes(credentials) and not self.town.is_told_so:
                    return
                self.was_rejected = True
                self._pass(60_000)
                credentials = self._rejected(credentials)

    def _rejected(self, credentials: dict) -> dict:
        """What an application does with a 4.01, and with one that is not true."""
        is_false = self.town.takes(credentials)
        try:
            with quick():
                credentials = credentials_rejected(self.board)
            self.town.is_told_so = False
        except FirstbootError as error:
            self.board.lines += str(error).split("\n")
            self.board.state = error.state
            if is_false and isinstance(error, Refused):
                self.town.is_told_so = False
            else:
                self.wait(error.retry_after or 60_000)
        return credentials

    # Moments

    def moment(self, label: str) -> None:
        if not self._watch:
            return
        if self._frozen is None or self._frozen.version != self.wire.version:
            self._frozen = self.wire.copy()
            self._frozen.version = self.wire.version
        self.moments.append(Moment(label, self.town.files.copy(), self._frozen))

    def check_acknowledgement(self, peer, datagram: bytes, address: str) -> None:
        """What made a device, and each block of it, is acknowledged only once it is saved."""
        message = decode(datagram)
        server = self.wire.servers.get(address)
        if message.type != ACK or not server:
            return
        waiting = server.unacknowledged.get((peer, message.message_id))
        reply = waiting and decode(waiting.datagram)
        if reply and reply.code == CREATED:
            saved = json.loads(self.town.files.get(CREDENTIALS, b"{}")).get("credentialsValue", "?")
            # Of a reply in blocks this one may hold the beginning.
            texts = saved.values() if isinstance(saved, dict) else (saved,)
            if not all(text[:20].encode() in reply.payload for text in texts):
                raise self._broken("acknowledged before it was saved")

    # Waits

    def wait(self, ms: int) -> None:
        board = self.board
        self.moment("in a wait")
        self.wire.mutes = ""
        if board.state == "refused":
            reason = self._reason()
        if self.acts:
            if not self.stays_on:
                raise _Stuck
            act = self.acts.pop(0)
            self.wire.advance(_OPERATOR_COMES_AFTER)
            if not act.while_on(self.town):
                raise _Stuck
            ms -= _OPERATOR_COMES_AFTER
        elif board.state == "refused":
            if self.end == PROVISIONED:
                self.end = reason
            self.wire.advance(_OPERATOR_COMES_AFTER)
            self._operator_acts(" ".join(board.lines[-5:]))
            self.wire.version += 1
            ms -= _OPERATOR_COMES_AFTER
        elif board.state == "config.json":
            self._correct_config()
        elif board.state != "failed":
            raise self._broken(f"it waits in the state {board.state}")
        self._pass(max(ms, 0))

    def _pass(self, ms: int) -> None:
        if self.wire.now - self._started > _PATIENCE:
            raise self._broken("it never ends")
        self.wire.advance(ms)

    def _correct_config(self) -> None:
        text = " ".join(self.board.lines[-5:])
        if "copied from another board" in text:
            self.end = OPERATOR
            self.town.files["/own.der"] = bytes(reversed(self.town.files["/own.der"]))
        elif "provisionDeviceSecret" in text:
            self.town.configure(self.town.original)
        else:
            raise self._broken("config.json cannot be used")

    def _reason(self) -> str:
        """Why nothing but an operator can help. Raises Violation when something could have."""
        town = self.town
        config = town.config
        server = town.server_of(config["server"])
        if server is None:
            raise self._broken("refused by a server that does not answer")
        thingsboard = server.thingsboard
        request = config["provisioning"]
        keys = request["provisionDeviceKey"], request.get("provisionDeviceSecret")
        is_right = keys == (thingsboard.key, thingsboard.secret)
        if "NOT_FOUND" in " ".join(self.board.lines[-5:]):
            if is_right:
                raise self._broken("NOT_FOUND, though key and secret are right")
            return EDITED
        name = town.device_name
        device = thingsboard.devices.get(name)
        if device is None:
            # A duplicate still gets the refusal from before the device was deleted.
            is_old = any(
                exchange.received_at > self.wire.now - town.deleted_at
                for each in town.servers()
                for _, exchange in each.duplicates.snapshot(self.wire.now)
            )
            is_free = not (is_old or self._uses(config, thingsboard))
            if town.setting.strategy == "create" and is_free:
                raise self._broken("refused, though the name is free")
            return OPERATOR
        if not town.is_made_by(server, name, town.turn):
            return ANOTHERS
        current = json.loads(town.files.get(CREDENTIALS, b"{}")).get("credentialsValue")
        if device.token in (current, CHANGED_TOKEN):
            return OPERATOR
        if is_proposed(server, name) and device.token not in town.forgotten:
            raise self._broken("refused, though it proposed its access token")
        if self._is_shown(config) and self._is_its_certificate(device):
            raise self._broken("refused, though its certificate is known")
        if town.setting.transport == "coap":
            nodes = [each for each in town.servers() if each.thingsboard is thingsboard]
            remembered = [each.duplicates.snapshot(self.wire.now) for each in nodes]
            for (peer, _), exchange in (each for known in remembered for each in known):
                is_at_hand = exchange.reply and not exchange.reply_acknowledged
                if peer[0] == town.address and is_at_hand and not town.is_edited:
                    reply = decode(exchange.reply)
                    is_reply = reply.code == CREATED and peer[1] // 100_000 == self.wire.rebound
                    if is_reply and device.credentials.value == _value_in(reply.payload):
                        raise self._broken("refused, though the server still had the reply")
        return EDITED if town.is_edited else EXPIRED

    def _is_shown(self, config: dict) -> bool:
        kind = config["provisioning"].get("credentialsType", "X509_CERTIFICATE")
        return bool(config.get("certificate")) and kind == "X509_CERTIFICATE"

    def _is_its_certificate(self, device) -> bool:
        der = self.town.files["/own.der"]
        return device.credentials.value == security.b2a_base64(der).decode().strip()

    def _uses(self, config: dict, thingsboard) -> list[str]:
        """The names of devices that have what this board asks for."""
        request = config["provisioning"]
        asked = [request.get(key) for key in ("token", "username")]
        asked = [text.replace("{id}", self.town.id) for text in asked if text]
        return [
            device.name
            for device in thingsboard.devices.values()
            if self._is_its_certificate(device) or _texts(device.credentials.value) & set(asked)
        ]

    def _operator_acts(self, text: str) -> None:
        """Do what the board says. Raises Violation when it says something else."""
        town = self.town
        config = town.config
        server = town.server_of(config["server"])
        thingsboard = server.thingsboard
        name = town.device_name
        if "NOT_FOUND" in text:
            town.configure(town.original)
            return
        device = thingsboard.devices.get(name)
        if device is None and town.setting.strategy == "preprovisioned":
            self._must_say(text, "add it")
            town.add_device(server, name)
        elif device is None and self._uses(config, thingsboard):
            self._must_say(text, "certificate is another device's")
            for other in self._uses(config, thingsboard):
                if town.is_made_by(server, other, town.turn):
                    thingsboard.delete_device(other)
                else:
                    config["provisioning"].pop("token", None)
            town.original = config
            town.configure(config)
        elif device is None:
            return
        elif not town.is_made_by(server, name, town.turn) and device.provision_state:
            self._must_say(text, "change deviceName")
            config["provisioning"]["deviceName"] = f"sensor-{town.turn + 2}"
            if town.setting.strategy == "preprovisioned":
                town.add_device(server, (town.turn and "sensor-3") or "sensor-2")
            town.original = config
            town.configure(config)
        elif town.setting.strategy == "create":
            self._must_say(text, "delete")
            thingsboard.delete_device(name)
        else:
            self._must_say(text, "delete its server attribute provisionState")
            thingsboard.delete_provision_state(name)

    def _must_say(self, text: str, wanted: str) -> None:
        if wanted not in text:
            raise self._broken(f"the operator is not told to: {wanted}")

    # The end

    def _check_end(self) -> None:
        town = self.town
        files = town.files
        credentials = json.loads(files.get(CREDENTIALS, b"null"))
        if not credentials or not town.takes(credentials):
            raise self._broken("the server does not take the credentials on flash")
        left = read_json(files, ATTEMPT + ".new") or read_json(files, ATTEMPT)
        if left and left["replaces"] != fingerprint(self.board):
            for each in left["tokens"]:
                is_there = is_same_server(each["server"], credentials["server"])
                if is_there and each["deviceName"] == credentials["deviceName"]:
                    raise self._broken("a token that is settled is still on flash")
            if not left["tokens"]:
                raise self._broken("the attempt is still on flash")
        for path in (CREDENTIALS + ".new", CONFIG + ".new", "/attempt_again.json"):
            # Half of one is as good as none.
            if read_json(files, path):
                raise self._broken(f"{path} is still on flash")
        found = json.loads(files.get(CONFIG, b"null"))
        expected = town.original
        if expected.get("forget_secret") and not self.was_rejected:
            request = {**expected["provisioning"]}
            request.pop("provisionDeviceSecret", None)
            expected = {**expected, "provisioning": request}
        if found != expected:
            raise self._broken("config.json is not what people wrote")


class _Board(Board):
    """A board in a town."""

    attempt_again = None
    now = 0

    def __init__(self, life: _Life, folder: Folder, seed: str):
        town = life.town
        self.life = life
        super().__init__(folder, life.wire, town.address, seed, lambda board, ms: life.wait(ms))
        self.id = town.id
        self.names = town.names

    def sessions(self, config, kind=None):
        return security.sessions(self, config, kind) if config["secure"] else None

    def open_transport(self, address: str, port: int, local_port: int = 0):
        return _Transport(self, address, local_port)


class _Transport:
    """A socket, and over coaps a session in it."""

    largest_block = 1024

    def __init__(self, board: _Board, address: str, port: int):
        self._life = board.life
        self._wire = board.wire
        self._address = address
        self._place = board.address
        self._port = port
        self._open()

    def _open(self) -> None:
        """NAT shows other ports."""
        self._peer = self._place, self._port + 100_000 * self._wire.rebound
        self._wire.open(self._peer)

    def open_session(self, certificate: bytes | None) -> None:
        """A new client to the server, whose certificate it looks at now."""
        self.close()
        self.largest_block = 512
        self._wire.sessions += 1
        self._port = _SESSION_PORTS + self._wire.sessions
        self._open()
        if server := self._wire.servers.get(self._address):
            pem = certificate and security.b2a_base64(certificate).decode().strip()
            server.open_session(self._peer, pem)

    def send(self, datagram) -> None:
        datagram = bytes(datagram)
        wire, life = self._wire, self._life
        life.sent.append(wire.count)
        life.moment(f"before datagram {wire.count} is sent")
        if wire.fates.get(wire.count) == "rebound":
            self.close()
            wire.rebound += 1
            self._open()
        life.check_acknowledgement(self._peer, datagram, self._address)
        wire.send(self._peer, datagram, self._address)
        life.moment(f"after datagram {wire.count - 1} was sent")

    def receive(self, size: int, timeout: int) -> bytes | None:
        datagram = self._wire.receive(self._peer, timeout)
        if datagram is not None:
            self._life.moment("when a datagram was received")
        return datagram

    def close(self) -> None:
        self._wire.close(self._peer)


def _make_context(authorities, certificate=None, key=None):
    return SimpleNamespace(certificate=certificate)


def _open_session(transport: _Transport, context, host, idle, ticks, patience) -> _Transport:
    transport.open_session(context.certificate)
    return transport


def _texts(value) -> set[str]:
    return set(value) if isinstance(value, tuple) else {value}


def _value_in(payload: bytes):
    try:
        return json.loads(payload).get("credentialsValue")
    except ValueError:
        return None


_SECURE = (
    (security, "make_context", _make_context),
    (security, "DTLS", _open_session),
    (security, "set_clock", lambda *asked: None),
)
