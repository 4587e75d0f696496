"""What whole power-ups share: a board with the real firmware on its flash, and what must hold."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_tests.compiled import compiled
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.messages import Credentials
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.virtual_board.board import Outcome, VirtualBoard
from tools.virtual_board.errors import NotOnFlash
from tools.virtual_board.flash import PROJECT, put_on_flash, read_file
from tools.virtual_board.scenario import Scenario

KEY, SECRET, PASSWORD = "key-of-the-profile", "secret-of-the-profile", "correct horse"
BOARDS = [
    pytest.param(("esp32", "micropython"), marks=needs_micropython, id="esp32"),
    pytest.param(("rp2", "micropython"), marks=needs_micropython, id="rp2"),
]
LANES = [*BOARDS, pytest.param(("esp32", "cpython"), id="cpython")]

# A boot.py whose clock runs `speed` times as fast: the firmware's long waits are short ones.
_FAST_CLOCK = """
import sys
import time


class FastClock:
    def __init__(self, speed):
        self._speed = speed
        self._began = time.ticks_ms()

    def ticks_ms(self):
        # From the true time on: asyncio's queue looks at that.
        now = time.ticks_ms()
        return time.ticks_add(now, time.ticks_diff(now, self._began) * (self._speed - 1))

    def sleep_ms(self, ms):
        time.sleep_ms(max(1, ms // self._speed))

    def __getattr__(self, name):
        return getattr(time, name)


sys.modules["time"] = FastClock(%d)
"""
_SECRET_FIELDS = ("password", "provisionDeviceKey", "provisionDeviceSecret", "token", "hash")


def config_for(server: str, **changes: Any) -> dict:
    """A config.json for a server; `changes` are keys of it, or of its `provisioning`."""
    provisioning = {
        "deviceName": "sensor-{id}",
        "provisionDeviceKey": KEY,
        "provisionDeviceSecret": SECRET,
        **changes.pop("provisioning", {}),
    }
    wifi = {"ssid": "home", "password": PASSWORD, **changes.pop("wifi", {})}
    return {"wifi": wifi, "server": server, "provisioning": provisioning, **changes}


class PowerUps:
    """The power-ups of one board. None of them may print a secret: each is looked through."""

    def __init__(self, flash: Path, kind: str, runtime: str, server: FakeThingsBoard):
        self.flash = flash
        self.kind = kind
        self.runtime = runtime
        self.server = server
        self.board: VirtualBoard | None = None
        self._given = b""
        self._network: dict | None = None

    @property
    def thingsboard(self) -> ThingsBoard:
        return self.server.thingsboard

    def put(
        self,
        config: dict | bytes | None = None,
        app: str | None = None,
        boot: str = "",
        speed: int = 1,
        files: dict[str, bytes] | None = None,
        **changes: Any,
    ) -> None:
        """Flash a new board. `boot` runs before main.py; with `speed` its clock runs faster."""
        content = config
        if not isinstance(config, bytes):
            config = config or config_for(self.server.uri, **changes)
            content = json.dumps(config, ensure_ascii=False).encode()
        self._given = content
        if isinstance(config, dict) and isinstance(config["wifi"]["ssid"], str):
            self._network = {**config["wifi"], "delay_ms": 0}
        app_py = None if app is None else textwrap.dedent(app).encode()
        files = dict(files or {})
        if begin := (_FAST_CLOCK % speed if speed > 1 else "") + textwrap.dedent(boot):
            files["boot.py"] = (PROJECT / "boot.py").read_bytes() + begin.encode()
        source = PROJECT if self.runtime == "cpython" else compiled()
        put_on_flash(self.flash, self.kind, self.runtime, content, app_py, source, files)

    def power_up(
        self,
        timeout: float = 15,
        stay: bool = False,
        on_line: Callable[[str], None] = lambda line: None,
        cut_at: str = "",
        **scenario: Any,
    ) -> Outcome:
        """Power up, and cut the power at a line with `cut_at` in it.

        The network of config.json is in range and is joined at once, unless the scenario has
        networks of its own.
        """
        if self._network and "networks" not in scenario:
            network = {name: self._network[name] for name in ("ssid", "password", "delay_ms")}
            scenario["networks"] = [network]

        def follow(line: str) -> None:
            on_line(line)
            if cut_at and cut_at in line:
                self.board.cut_power()

        self.board = VirtualBoard(
            self.flash, self.kind, self.runtime, Scenario(**scenario), on_line=follow
        )
        secrets = self._secrets()
        outcome = self.board.power_up(timeout, stay)
        console = "\n".join(outcome.lines)
        for secret in secrets | self._secrets():
            assert secret not in console, f"a secret is on the console:\n{console}"
        if cut_at:
            assert cut_at in console, console
        return outcome

    def provision(self, **scenario: Any) -> Outcome:
        """Power up a board that is to be provisioned, and see that it is."""
        outcome = self.power_up(**scenario)
        assert outcome.exit_code == 0, outcome.lines
        self.assert_saved()
        return outcome

    def assert_saved(self) -> None:
        """The flash holds what the server's model holds, and nothing of the attempt."""
        saved = json.loads(self.read("/credentials.json"))
        assert set(saved) == {"server", "deviceName", "credentialsType", "credentialsValue"}
        value = saved["credentialsValue"]
        if saved["credentialsType"] == "MQTT_BASIC":
            value = (value["clientId"], value["userName"], value["password"])
        device = self.thingsboard.devices[saved["deviceName"]]
        assert Credentials(saved["credentialsType"], value) == device.credentials
        assert device.provision_state == "provisioned"
        for path in ("/attempt.json", "/attempt.json.new", "/credentials.json.new"):
            assert self.read(path) is None, f"{path} is still there"

    def read(self, path: str) -> bytes | None:
        """A file on the flash, or None."""
        try:
            return read_file(self.flash, path)
        except NotOnFlash:
            return None

    def _secrets(self) -> set[str]:
        """Every secret, password, key and token that the board or the server knows now."""
        found = {self.thingsboard.key, self.thingsboard.secret}
        for device in self.thingsboard.devices.values():
            value = device.credentials.value
            found.update([value] if isinstance(value, str) else value)
        for path in ("/config.json", "/credentials.json", "/attempt.json"):
            found |= _secrets_in(self.read(path))
        found |= _secrets_in(self._given)
        return {secret for secret in found if len(secret) >= 8}


def _secrets_in(content: bytes | None) -> set[str]:
    try:
        return set(_strings(json.loads(content or b"null"), False))
    except ValueError:
        return set()


def _strings(value: Any, is_secret: bool):
    if isinstance(value, dict):
        for name, item in value.items():
            secret = is_secret or name in _SECRET_FIELDS or name == "credentialsValue"
            yield from _strings(item, secret)
    elif isinstance(value, str) and is_secret:
        yield value
