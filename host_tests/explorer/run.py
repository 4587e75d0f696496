"""One power-up of the real firmware, every moment of it at which the power may fail, its end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from littlefs import LittleFSError

from host_tests.explorer.board import ADDRESSES, Board, power_up
from host_tests.explorer.flash import Chip, Files, Image
from host_tests.explorer.folder import Folder
from host_tests.explorer.network import Network
from host_tests.explorer.scene import (
    ANOTHER_BOARD,
    ATTEMPT,
    CONFIG,
    CREDENTIALS,
    NAME,
    Setting,
    State,
    contents,
)
from tools.fake_thingsboard.codec import ACK, decode

_PATIENCE = 24 * 3_600_000  # ms; for what needs no operator
_OPERATOR_COMES_AFTER = 10_000  # ms

PROVISIONED = "provisioned"
EXPIRED = "more than 247 s passed"
MOVED = "another address"
ACKNOWLEDGED = "the reply was acknowledged"
TAKEN = "the name was taken"


class Violation(BaseException):
    """An invariant is broken. `lines`: what the board's console said.

    No Exception: the firmware waits those out.
    """

    def __init__(self, what: str, lines=()):
        super().__init__(what)
        self.lines = list(lines)


class Moment(NamedTuple):
    """What stands when the power fails at this moment."""

    label: str
    image: Image
    network: Network


class Outcome(NamedTuple):
    """`end`: PROVISIONED, or why an operator had to act first."""

    end: str
    moments: list[Moment]
    image: Image
    network: Network
    lines: list[str]
    datagrams: int
    operations: int


def run(
    state: State,
    setting: Setting,
    seed: str,
    fates: Mapping[int, str] | None = None,
    watch: bool = True,
    decays: int | None = None,
    on_flash: bool = True,
) -> Outcome:
    """Power up until the board is provisioned. Raises Violation.

    With `watch`, the outcome's `moments` are all those at which the power may fail. `fates`: what
    becomes of the n-th datagram. `decays`: the flash operation that is spoilt afterwards. Where
    nothing of that happens on the flash, its files may be in memory instead of `on_flash`.
    """
    power_up = _PowerUp(state, setting, seed, fates or {}, watch, decays, on_flash)
    power_up.board.forget()
    return power_up.outcome


class _PowerUp:
    def __init__(self, state: State, setting: Setting, seed: str, fates, watch, decays, on_flash):
        self.setting = setting
        self.moments: list[Moment] = []
        self.end = PROVISIONED
        self._watch = watch
        self._frozen: Network | None = None
        self.chip = Chip(state.image, self._on_flash if watch else None)
        self.chip.decays = decays
        self.wire = state.network.copy()
        self.wire.fates = dict(fates)
        self._started = self.wire.now
        try:
            found = dict(contents(state.image, setting.kind))
            self._was_provisioned = CREDENTIALS in found
            if on_flash:
                files = Files(self.chip, setting.kind)
            else:
                files = Folder(found, "littlefs", lambda operation: None)
        except LittleFSError as error:
            raise Violation(f"the flash does not mount: {error}") from error
        address = ADDRESSES[state.address]
        seed = f"{seed}/{setting}/{len(state.schedule)}"
        self.board = Board(files, self.wire, address, seed, self._asleep)
        self.board.on_send = self._on_send
        self.board.on_receive = self._on_receive
        self.outcome = self._run()

    def _run(self) -> Outcome:
        try:
            credentials, _ = power_up(self.board)
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}", self.board.lines) from error
        self._moment("once provisioned", self.chip.image)
        image = self.chip.image
        self._check(credentials)
        counts = self.wire.count, self.chip.operations
        return Outcome(self.end, self.moments, image, self.wire, self.board.lines, *counts)

    # Moments

    def _moment(self, label: str, image: Image) -> None:
        if not self._watch:
            return
        if self._frozen is None or self._frozen.version != self.wire.version:
            self._frozen = self.wire.copy()
            self._frozen.version = self.wire.version
        self.moments.append(Moment(label, image, self._frozen))

    def _on_flash(self, operation: str, half: Image) -> None:
        self._moment(f"before {operation}", self.chip.image)
        self._moment(f"inside {operation}", half)

    def _on_send(self, peer, datagram: bytes) -> None:
        self._moment(f"before datagram {self.wire.count} is sent", self.chip.image)
        self._check_acknowledgement(peer, datagram)
        self.wire.send(peer, datagram)
        self._moment(f"after datagram {self.wire.count - 1} was sent", self.chip.image)

    def _on_receive(self, datagram: bytes) -> None:
        self._moment("when a datagram was received", self.chip.image)

    # Waits

    def _asleep(self, board: Board, ms: int) -> None:
        self._moment("in a wait", self.chip.image)
        if board.state == "refused":
            self.end = self._reason()
            self.wire.advance(_OPERATOR_COMES_AFTER)
            self._operator_acts()
            self._moment("in a wait, after the operator acted", self.chip.image)
            ms -= _OPERATOR_COMES_AFTER
        elif board.state != "failed":
            raise Violation(f"it waits in the state {board.state}", board.lines)
        if self.wire.now - self._started > _PATIENCE:
            raise Violation("it never ends", board.lines)
        self.wire.advance(ms)

    def _reason(self) -> str:
        """Why nothing but an operator can help. Raises Violation when something could have."""
        setting, lines = self.setting, self.board.lines
        server = self.wire.server
        device = server.thingsboard.devices.get(NAME)
        if device is not None and device.provision_state == ANOTHER_BOARD:
            return TAKEN
        if setting.strategy == "create" and setting.access_token == "device":
            raise Violation("refused, though it proposed its access token", lines)
        exists = device is not None
        if setting.strategy == "create" and not exists:
            raise Violation("refused, though the name is free", lines)
        if setting.strategy == "preprovisioned" and not (exists and device.provision_state):
            raise Violation("refused, though the device is not provisioned", lines)
        remembered = server.duplicates.snapshot(self.wire.now)
        if any(peer[0] != self.board.address for (peer, _), _ in remembered):
            return MOVED
        for _, exchange in remembered:
            reply = exchange.reply and _reply(exchange.reply)
            if reply and reply.get("credentialsValue") == device.token:
                if exchange.reply_acknowledged:
                    return ACKNOWLEDGED
                raise Violation("refused, though the server still had the reply", lines)
        return EXPIRED

    def _operator_acts(self) -> None:
        """Do what the board says, in its last block of lines."""
        text = " ".join(self.board.lines[-3:])
        thingsboard = self.wire.server.thingsboard
        if self.setting.strategy == "create":
            wanted, act = "delete", thingsboard.delete_device
        else:
            wanted = "delete its server attribute provisionState"
            act = thingsboard.delete_provision_state
        if wanted not in text:
            raise Violation(f"the operator is not told to: {wanted}", self.board.lines)
        act(NAME)
        self.wire.version += 1

    # Invariants

    def _files(self) -> dict[str, dict]:
        """Every JSON file. Raises Violation for one that is none, or was set aside."""
        if isinstance(self.board.files, Folder):
            return _parsed(self.board.files.files.items())
        try:
            return _parsed(contents(self.chip.image, self.setting.kind))
        except (LittleFSError, OSError) as error:
            raise Violation(f"the flash cannot be read: {error}") from error

    def _check(self, credentials: dict) -> None:
        lines = self.board.lines
        files = self._files()
        devices = self.wire.server.thingsboard.devices
        if list(devices) != [NAME]:
            raise Violation(f"the server holds {sorted(devices)}", lines)
        if files.get(CREDENTIALS) != credentials:
            raise Violation("the credentials in use are not those on flash", lines)
        if credentials["credentialsValue"] != devices[NAME].token:
            raise Violation("the token on flash is not the token of the server", lines)
        if ATTEMPT in files:
            raise Violation("the attempt is still on flash", lines)
        if self._was_provisioned and self.wire.count:
            raise Violation("it was provisioned and sent a datagram all the same", lines)
        if files[CONFIG] != json.loads(self.setting.config):
            raise Violation("config.json has changed", lines)

    def _check_acknowledgement(self, peer, datagram: bytes) -> None:
        """A SUCCESS is acknowledged only once its credentials are on flash."""
        message = decode(datagram)
        if message.type != ACK:
            return
        waiting = self.wire.server.unacknowledged.get((peer, message.message_id))
        reply = waiting and _reply(waiting.datagram)
        if reply and reply.get("status") == "SUCCESS":
            saved = self._files().get(CREDENTIALS, {})
            if saved.get("credentialsValue") != reply["credentialsValue"]:
                raise Violation("acknowledged before it was saved", self.board.lines)


def _reply(datagram: bytes) -> dict | None:
    payload = decode(datagram).payload
    return json.loads(payload) if payload.startswith(b"{") else None


def _parsed(found: Iterable[tuple[str, bytes]]) -> dict[str, dict]:
    files = {}
    for path, content in found:
        if ".bad" in path:
            raise Violation(f"{path} was set aside: it was corrupt")
        if path.endswith(".json"):
            try:
                files[path] = json.loads(content)
            except ValueError:
                raise Violation(f"{path} is corrupt") from None
    return files
