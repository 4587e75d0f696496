"""Provision a device from a computer, with the procedure that boards use, so that nothing is lost.

What a board keeps on its flash is kept in a folder until the credentials are shown.
"""

from __future__ import annotations

import json
import os
import re
import string
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from tools import shims

shims.install()

from firmware.board import credentials as store  # noqa: E402
from firmware.board.storage import ATTEMPT, Storage  # noqa: E402
from firmware.coap.failure import code_name  # noqa: E402
from firmware.coap.udp import UDP, resolve  # noqa: E402
from firmware.coap.uri import origin, parse  # noqa: E402
from firmware.errors import FirstbootError, NetworkError, NoResponse  # noqa: E402
from firmware.provisioning import record_file  # noqa: E402
from firmware.provisioning.attempt import Attempt  # noqa: E402
from firmware.provisioning.tidying import finish  # noqa: E402
from firmware.thingsboard.provisioning import PATH  # noqa: E402
from firmware.thingsboard.refusals import Refused  # noqa: E402
from tools.virtual_board.errors import FlashError  # noqa: E402
from tools.virtual_board.lock import locked  # noqa: E402

PROVISIONED, FAILED, WRONG_USAGE, REFUSED, TIME_RAN_OUT = range(5)

_NAME = "/name"
_UNFIT = re.compile(r"[^\w.@-]", re.ASCII)
_DRAWN = 20  # characters, as ThingsBoard draws for a device without a name


class Provisioning(NamedTuple):
    """What came of it.

    `code`: the response's, such as "2.01", or None when none came, or only the question whether
    an earlier request had succeeded. `payload`: the response's, as text. `explanation`: what went
    wrong and what to do next; empty when the device is provisioned.
    """

    exit_code: int
    code: str | None = None
    payload: str = ""
    explanation: str = ""


def provision(
    server: str,
    key: str,
    secret: str,
    name: str | None,
    access_token: str,
    show: Callable[[Provisioning], None],
    say: Callable[[str], None],
    authorities: bytes | None = None,
    verify: bool = True,
) -> int:
    """Provision a device at `server`, a CoAP URI; the exit code.

    `name`: its deviceName; without one a random one is drawn. `access_token`: as in config.json.
    `show`: given what came of it; only when it has returned is what was kept of it removed. `say`:
    told what is kept, and where. `authorities`: for coaps, the CA's certificates in PEM or DER;
    `verify`: whether they count.
    """
    try:
        *endpoint, secure = parse(server)
    except ValueError as error:
        return _end(show, WRONG_USAGE, f"--server: {error}")
    if secure and authorities is None and verify:
        return _end(show, WRONG_USAGE, "--server: coaps needs --ca, or --no-verify")
    folder = Path(_UNFIT.sub("_", name or "provision")[:100] + ".attempt")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with locked(folder, "is in use by another provision; wait until it has ended"):
            computer = _Computer(folder, say, authorities, verify)
            name = name or computer.name()
            config = {
                "server": server,
                "endpoint": endpoint,
                "origin": origin(server),
                "secure": secure,
                "certificate": None,
                "access_token": access_token,
                "own_token": False,
                "provisioning": {
                    "deviceName": name,
                    "provisionDeviceKey": key,
                    "provisionDeviceSecret": secret,
                    "credentialsType": None,
                    "token": None,
                },
            }
            try:
                exit_code = _provision(computer, config, show)
            finally:
                computer.tidy()
            return exit_code
    except (FlashError, FirstbootError) as error:
        return _end(show, FAILED, str(error))
    except OSError as error:
        return _end(show, FAILED, f"{folder} cannot be used: {error.strerror or error}")


def _provision(computer: _Computer, config: dict, show: Callable[[Provisioning], None]) -> int:
    goes_on = f"The attempt is kept in {computer.folder}: the same command goes on with it."
    try:
        found = store.load(computer.storage)
        had_attempt = record_file.load(computer) is not None
    except FirstbootError as error:
        return _end(show, FAILED, str(error))
    if found:
        place = found["deviceName"], origin(found["server"])
        if place != (config["provisioning"]["deviceName"], config["origin"]):
            return _end(
                show,
                FAILED,
                f"{computer.folder} has credentials that were never shown\n"
                f'Ask for "{place[0]}" at {place[1]}, and they are.',
            )
        show(_of_credentials(found))
        computer.has_shown = True
        return PROVISIONED
    attempt = _Attempt(computer)
    computer.say(goes_on)
    try:
        attempt.prepare(config)
        attempt.run(config)
        credentials = attempt.save()
    except KeyboardInterrupt:
        computer.say(goes_on)
        raise
    except FirstbootError as error:
        attempt.forget(error, had_attempt)
        code, payload = attempt.response
        if isinstance(error, NoResponse):
            exit_code = TIME_RAN_OUT
        else:
            exit_code = REFUSED if isinstance(error, Refused) else FAILED
        explanation = str(error)
        if computer.storage.exists(ATTEMPT):
            explanation += f"\n{goes_on}"
        show(Provisioning(exit_code, code, payload, explanation))
        return exit_code
    finish(computer, credentials)
    code, payload = attempt.response
    if '"SUCCESS"' in payload:
        show(Provisioning(PROVISIONED, code, payload))
    else:
        show(_of_credentials(credentials))
    computer.has_shown = True
    if computer.storage.exists(ATTEMPT):
        computer.say(
            f"{computer.folder} keeps what other servers, or other names there, may have taken."
        )
    return PROVISIONED


class _Attempt(Attempt):
    """Remembers the response to the request, its code and its payload, as text."""

    response: tuple[str | None, str] = (None, "")
    has_asked = False
    transmissions = 0

    def connect(self, config, kind=None):
        yield from super().connect(config, kind)
        steps = self.client.steps

        def remember(code, path, *arguments, **options):
            self.has_asked = True
            response = yield from steps(code, path, *arguments, **options)
            if path == PATH:
                payload = bytes(response.payload).decode(errors="replace")
                self.response = code_name(response.code), payload
                self.transmissions = self.client.exchange.transmissions
            return response

        self.client.steps = remember

    def forget(self, error: FirstbootError, had_attempt: bool) -> None:
        """Forget the attempt when what went wrong says that no server can have taken its token.

        `had_attempt`: whether an earlier command had sent something.
        """
        is_first = not had_attempt and self.transmissions < 2
        if is_first and (not self.has_asked or isinstance(error, (NetworkError, Refused))):
            self.board.storage.remove(ATTEMPT)
        elif error.status == "FAILURE":
            # None of the tokens for that name is known there.
            name = {"deviceName": self.record.name}
            record_file.settle(self.board, self.record.fields, name, self.record.server)


class _Computer:
    """This computer in place of a board, see firmware.board.hardware.

    Who has the folder goes on with what is in it, so all computers are one.
    """

    id = "computer"
    random = staticmethod(os.urandom)
    ticks = staticmethod(time.ticks_ms)
    resolve = staticmethod(resolve)
    open_transport = UDP
    idle = staticmethod(lambda: None)
    in_steps = False
    # Whether the credentials in the folder are needed no more.
    has_shown = False

    def __init__(
        self, folder: Path, say: Callable[[str], None], authorities: bytes | None, verify: bool
    ):
        self.folder = folder
        self.say = say
        self._authorities = authorities
        self._verify = verify
        self.storage = Storage(str(folder), os=_DISK)
        self.indicator = SimpleNamespace(say=lambda *lines: say("\n".join(lines)))

    def sessions(self, config, kind=None):
        """What opens a DTLS session for coaps; None for plain CoAP."""
        return self._open_session if config["secure"] else None

    def _open_session(self, transport, host: str):
        from tools.dtls_client import Session

        session = Session(transport, host, self._authorities)
        if self._verify:
            session.check()
        return session

    def name(self) -> str:
        """The random deviceName, the same until it is provisioned."""
        kept = self.storage.read(_NAME)
        if not kept:
            import secrets  # slow, for all the cryptography it can do

            letters = string.ascii_letters + string.digits
            kept = "".join(secrets.choice(letters) for _ in range(_DRAWN)).encode()
            self.storage.save(_NAME, kept)
        return kept.decode()

    def tidy(self) -> None:
        """Remove what has been shown, and the folder when nothing is pending in it."""
        exists, remove = self.storage.exists, self.storage.remove
        try:
            if self.has_shown:
                remove(store.CREDENTIALS)
            if not (exists(ATTEMPT) or exists(store.CREDENTIALS)):
                for path in (ATTEMPT, store.CREDENTIALS, _NAME):
                    remove(path + ".new")
                remove(_NAME)
                self.folder.rmdir()
        except (FirstbootError, OSError) as error:
            self.say(f"{self.folder} stays: {error}")


def _rename(old: str, new: str) -> None:
    """Rename a file that is whole on the disk, whatever becomes of the computer."""
    with open(old, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(old, new)
    if os.name == "posix":
        folder = os.open(os.path.dirname(new), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


_DISK = SimpleNamespace(rename=_rename, remove=os.remove, stat=os.stat)


def _of_credentials(found: dict) -> Provisioning:
    """What ThingsBoard would have answered."""
    fields = {name: found[name] for name in ("credentialsValue", "credentialsType")}
    return Provisioning(PROVISIONED, payload=json.dumps({**fields, "status": "SUCCESS"}))


def _end(show: Callable[[Provisioning], None], exit_code: int, explanation: str) -> int:
    show(Provisioning(exit_code, explanation=explanation))
    return exit_code
