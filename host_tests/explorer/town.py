"""What people change: boards and their flash, ThingsBoard and the names that lead there.

Besides, the truth that no board knows: who provisioned which device.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from functools import lru_cache
from typing import Any, NamedTuple

from firmware.coap.uri import origin, parse
from host_tests.explorer.network import SERVER_ADDRESS, Network
from host_tests.explorer.scene import (
    ATTEMPT,
    CONFIG,
    CREDENTIALS,
    KEY,
    SECRET,
    Names,
    Step,
    named_content,
    named_exchange,
    named_pending,
)
from host_tests.explorer.server import Server

HOST = "thingsboard.example.com"
ALIAS = "alias.example.com"
OTHER_HOST, OTHER_ADDRESS = "other.example.com", "192.0.2.2"
SILENT_HOST, SILENT_ADDRESS = "silent.example.com", "192.0.2.3"
NEW_ADDRESS = "192.0.2.4"
BOARDS = ("0123456789ab", "ba9876543210")
FIXED_TOKEN = "one-token-for-all"
CHANGED_TOKEN = "changed-by-an-operator"
CERTIFICATE = bytes(range(0x30, 0x80)) * 8
LONG_CERTIFICATE = bytes(range(0x30, 0x80)) * 12

TRANSPORTS = ("coap", "coaps")
ASKS = {
    "drawn": "a token that the board draws",
    "given": "a token with {id}",
    "fixed": "a token that is the same for all",
    "server": "ThingsBoard's own token",
    "mqtt": "MQTT_BASIC",
    "x509": "its certificate",
    "long-x509": "its certificate, in blocks both ways",
    "shown": "a token, beside a certificate",
}


class People(NamedTuple):
    """What does not change while people do things. `asks`: for what, of ASKS."""

    transport: str = "coap"
    asks: str = "drawn"
    name: str = "sensor-1"
    strategy: str = "create"
    reply: str = "piggybacked"
    file_system: str = "littlefs"

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def config(self) -> dict[str, Any]:
        request = {
            "deviceName": self.name,
            "provisionDeviceKey": KEY,
            "provisionDeviceSecret": SECRET,
        }
        config = {
            "wifi": {"ssid": "home", "password": "correct horse"},
            "server": f"{self.transport}://{HOST}",
            "provisioning": request,
        }
        if self.transport == "coaps":
            config["ca"] = "ca.der"
        if self.asks in ("x509", "long-x509", "shown"):
            config.update(certificate="own.der", key="own.key")
        if self.asks == "shown":
            request["credentialsType"] = "ACCESS_TOKEN"
        if self.asks == "given":
            request["token"] = "token-of-{id}"
        if self.asks == "fixed":
            request["token"] = FIXED_TOKEN
        if self.asks == "mqtt":
            request.update(credentialsType="MQTT_BASIC", username="user-{id}")
        if self.asks == "server":
            config["access_token"] = "server"
        return config

    @property
    def is_recoverable(self) -> bool:
        """Whether a lost reply needs no operator, however long ago it was lost."""
        return self.strategy == "create" and self.asks not in ("fixed", "server", "mqtt")


class Town:
    """`flashes`: of each board its files. `turn`: which of them is on. `places`: of each board
    which of its two addresses it has. `names`: the DNS. `original`: the config.json that people
    come back to. `forgotten`: tokens that somebody made a board forget, and was told what to do.
    `is_edited`: whether the request or its server was another in between. `is_told_so`: whether the
    application hears a 4.01 that is not true. `deleted_at`: when somebody deleted a device.
    """

    def __init__(self, setting: People, seed: str):
        self.setting = setting
        self.seed = seed
        server = Server(KEY, SECRET, setting.strategy, setting.reply, seed)
        other = Server(KEY, SECRET, setting.strategy, setting.reply, seed + "/other")
        self.network = Network(server)
        self.network.servers[OTHER_ADDRESS] = other
        self.names = {HOST: [SERVER_ADDRESS], ALIAS: [SERVER_ADDRESS], OTHER_HOST: [OTHER_ADDRESS]}
        self.names[SILENT_HOST] = [SILENT_ADDRESS]
        self.original = setting.config
        self.flashes: list[dict[str, bytes]] = [{"/ca.der": b"a CA", "/own.key": b"a key"}]
        is_long = setting.asks == "long-x509"
        self.flashes[0]["/own.der"] = LONG_CERTIFICATE if is_long else CERTIFICATE
        self.turn = 0
        self.places = [0, 0]
        self.forgotten: frozenset = frozenset()
        self.is_edited = False
        self.is_told_so = False
        self.deleted_at = 0
        self.old_token: str | None = None
        self.power_ups = 0
        self.schedule: tuple[Step, ...] = ()
        self.configure(self.original)
        if setting.asks == "shown":
            pem = b2a_base64(CERTIFICATE).decode().strip()
            for each in (server, other):
                each.thingsboard.add_device("another device", certificate=pem)
        if setting.strategy == "preprovisioned":
            for each in (server, other):
                for board in BOARDS:
                    self.add_device(each, setting.name.replace("{id}", board))

    def copy(self) -> Town:
        copy = object.__new__(Town)
        copy.__dict__ = self.__dict__ | {
            "network": self.network.copy(),
            "names": self.names.copy(),
            "flashes": [files.copy() for files in self.flashes],
            "places": self.places.copy(),
        }
        return copy

    def stepped(self, step: Step) -> Town:
        self.schedule = (*self.schedule, step)
        return self

    # The board that is on

    @property
    def id(self) -> str:
        return BOARDS[self.turn]

    @property
    def address(self) -> str:
        return f"10.0.{self.turn}.{self.places[self.turn] + 2}"

    @property
    def files(self) -> dict[str, bytes]:
        return self.flashes[self.turn]

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.files.get(CONFIG) or json.dumps(self.original))

    @property
    def device_name(self) -> str:
        return self.config["provisioning"]["deviceName"].replace("{id}", self.id)

    def configure(self, config: dict[str, Any]) -> None:
        """Write config.json, as a person does."""
        self.files[CONFIG] = json.dumps(config).encode()

    # ThingsBoard

    def server_of(self, uri: str) -> Server | None:
        """The server that a URI leads to, None when it leads nowhere."""
        host = parse(uri)[0].lower()
        for address in self.names.get(host, [host]):
            if address in self.network.servers:
                return self.network.servers[address]
        return None

    def add_device(self, server: Server, name: str) -> None:
        if name not in server.thingsboard.devices:
            server.thingsboard.add_device(name)

    def is_made_by(self, server: Server, name: str, board: int) -> bool:
        made = server.thingsboard.provisioned.get(name)
        return made is not None and made.address.startswith(f"10.0.{board}.")

    def takes(self, credentials: dict) -> bool:
        """Whether the server takes credentials; yes, when it is not there to be asked."""
        server = self.server_of(credentials["server"])
        return server is None or _find(server, credentials) is not None

    # Invariants

    def check(self) -> str | None:
        """Return what is broken, None when nothing is."""
        held = []
        for board, files in enumerate(self.flashes):
            for path in files:
                if ".bad" in path:
                    return f"{path} was set aside: it was corrupt"
            if credentials := read_json(files, CREDENTIALS):
                held.append((credentials["server"], str(credentials["credentialsValue"])))
                if broken := self._check_credentials(board, credentials):
                    return broken
            if broken := self._check_tokens(board, files):
                return broken
        if len(held) > len(set(held)):
            return "two boards have the same credentials"
        return None

    def _check_credentials(self, board: int, credentials: dict) -> str | None:
        server = self.server_of(credentials["server"])
        device = server and _find(server, credentials)
        if device is None:
            return None
        if device.name != credentials["deviceName"]:
            return "the credentials on flash are another device's"
        if not self.is_made_by(server, device.name, board):
            return "the credentials on flash are another board's"
        return None

    def _check_tokens(self, board: int, files: dict[str, bytes]) -> str | None:
        """Each token that a server took from this board for a name is on its flash."""
        kept = set()
        for path in (CREDENTIALS, ATTEMPT):
            for name in (path, path + ".new"):
                found = read_json(files, name) or {}
                kept.add(str(found.get("credentialsValue")))
                kept.update(each["token"] for each in found.get("tokens", ()))
        for server in self.servers():
            for name, device in server.thingsboard.devices.items():
                if (
                    self.is_made_by(server, name, board)
                    and is_proposed(server, name)
                    and device.token not in kept
                    and device.token not in self.forgotten
                ):
                    return f'the token that the server took for "{name}" is not on flash'
        return None

    def servers(self) -> list[Server]:
        return list({id(each): each for each in self.network.servers.values()}.values())

    # States that are the same

    def key(self) -> tuple:
        """Equal keys, equal futures; see host_tests.explorer.scene.key_of."""
        names = Names()
        flashes = tuple(
            tuple((path, named_content(names, files[path])) for path in sorted(files))
            for files in self.flashes
        )
        is_secure = self.setting.transport == "coaps"
        servers = []
        numbers = {}
        for server in self.servers():
            numbers[id(server)] = len(numbers)
            thingsboard = server.thingsboard
            devices = tuple(
                (
                    device.name,
                    names("token", device.credentials.value),
                    device.provision_state,
                    made and made.address[:7],
                    made and named_content(names, made.body),
                )
                for device in thingsboard.devices.values()
                for made in [thingsboard.provisioned.get(device.name)]
            )
            # No reply is repeated in another session.
            remembered = () if is_secure else server.duplicates.snapshot(self.network.now)
            exchanges = tuple(named_exchange(names, each) for each in remembered)
            servers.append((thingsboard.key, devices, exchanges))
        coming = tuple(
            named_pending(names, each)
            for each in self.network.pending()
            if not is_secure or each[1] == "to the server"
        )
        there = tuple((a, numbers[id(server)]) for a, server in self.network.servers.items())
        dns = tuple((host, tuple(addresses)) for host, addresses in self.names.items())
        forgotten = tuple(sorted(str(names("token", token)) for token in self.forgotten))
        world = there, dns, json.dumps(self.original), forgotten, self.is_edited, self.is_told_so
        # How often NAT changed ports says nothing more: no exchange remembers others than these.
        return flashes, tuple(servers), coming, self.turn, tuple(self.places), world


def is_proposed(server: Server, name: str) -> bool:
    """Whether a device still has the token that a board proposed and that it alone has."""
    made = server.thingsboard.provisioned.get(name)
    proposed = made and json.loads(made.body).get("token")
    device = server.thingsboard.devices[name]
    return bool(proposed) and not proposed.startswith(FIXED_TOKEN) and device.token == proposed


def is_same_server(uri: str, other: str) -> bool:
    return origin(uri) == origin(other)


def _find(server: Server, credentials: dict):
    value = credentials["credentialsValue"]
    for device in server.thingsboard.devices.values():
        known = device.credentials.value
        if device.credentials.type == "MQTT_BASIC":
            known = dict(zip(("clientId", "userName", "password"), known, strict=True))
        if device.credentials.type == credentials["credentialsType"] and known == value:
            return device
    return None


def read_json(files: dict[str, bytes], path: str) -> Any:
    """What is in a file, None for none or half of one. Not to be changed."""
    return _parsed(files.get(path, b"null"))


@lru_cache(maxsize=4096)
def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
