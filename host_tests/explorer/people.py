"""What people do to a board and around it: each edit of config.json with its way back, and more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from host_tests.explorer.network import SERVER_ADDRESS
from host_tests.explorer.scene import ATTEMPT, CREDENTIALS, KEY
from host_tests.explorer.town import (
    ALIAS,
    CHANGED_TOKEN,
    FIXED_TOKEN,
    HOST,
    NEW_ADDRESS,
    OTHER_HOST,
    SILENT_HOST,
    People,
    Town,
)
from tools.flash.saved import PATHS, Saved


class Act(NamedTuple):
    """What somebody does: `do` changes a town. `needs_power_off`: not while the board is on."""

    text: str
    do: Callable[[Town], Any]
    needs_power_off: bool = False

    def while_on(self, town: Town) -> bool:
        """Do it while the board waits; False when it has to be off."""
        if self.needs_power_off:
            return False
        self.do(town)
        return True


class Story(NamedTuple):
    """`acts`, each with a power-up after it; `kind`: its row in the table."""

    name: str
    kind: str
    acts: tuple[Act, ...]
    fits: Callable[[People], bool] = lambda setting: True


NOTHING = Act("the board is powered up", lambda town: None)


def _edit(changes: dict[str, Any], is_other: bool) -> Callable[[Town], None]:
    def do(town: Town) -> None:
        config = json.loads(json.dumps(town.original))
        for path, value in changes.items():
            section, _, key = path.rpartition(".")
            values = config[section] if section else config
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value(town) if callable(value) else value
        town.configure(config)
        town.is_edited |= is_other

    return do


def _back(town: Town) -> None:
    town.configure(town.original)


BACK = Act("config.json is what it was", _back)


def _there_and_back(name: str, kind: str, is_other: bool = True, fits=None, **changes) -> Story:
    changes = {path.replace("__", "."): value for path, value in changes.items()}
    acts = Act(f"config.json: {name}", _edit(changes, is_other)), BACK
    return Story(name, kind, acts, fits or (lambda setting: True))


def _uri(rest: str) -> Callable[[Town], str]:
    return lambda town: f"{town.setting.transport}://{rest}"


def _port(town: Town) -> str:
    port = 5684 if town.setting.transport == "coaps" else 5683
    return f"{town.setting.transport}://{HOST}:{port}"


def _renew_key(town: Town) -> None:
    request = {**town.original["provisioning"], "provisionDeviceKey": "renewed-key"}
    town.original = {**town.original, "provisioning": request}
    for server in town.servers():
        server.thingsboard.key = "renewed-key"
    town.configure(town.original)
    town.is_edited = True


def _reset(town: Town, credentials: bool, attempt: bool, everything: bool = False) -> None:
    """What the verb does, which says that ThingsBoard still has the device, and what to do."""
    saved = Saved({path: town.files[path] for path in PATHS if path in town.files}, town.id)
    left = {} if everything else saved.without(credentials, attempt)
    for path in PATHS:
        town.files.pop(path, None)
    town.files.update(left)
    for server in town.servers():
        for name, device in server.thingsboard.devices.items():
            is_left = device.token and any(device.token.encode() in each for each in left.values())
            if not is_left and town.is_made_by(server, name, town.turn):
                town.forgotten |= {device.token}
    if everything:
        town.configure(town.original)
    town.is_edited = True


def _copy_flash(town: Town) -> None:
    """Copy what is pending: credentials are nobody else's, and no copy shows a certificate of
    which nothing says whose it is."""
    is_pending = ATTEMPT in town.files or town.setting.asks not in ("x509", "long-x509")
    if is_pending and CREDENTIALS not in town.files and CREDENTIALS + ".new" not in town.files:
        town.flashes.append(town.flashes[0].copy())
        town.places.append(0)


def _copy_flash_and_turn(town: Town) -> None:
    _copy_flash(town)
    _turn(town)


def _turn(town: Town) -> None:
    if len(town.flashes) > 1:
        town.turn = 1 - town.turn


def _move_server(town: Town) -> None:
    town.network.servers[NEW_ADDRESS] = town.network.servers.pop(SERVER_ADDRESS)
    for host in (HOST, ALIAS):
        town.names[host] = [NEW_ADDRESS]
    town.network.servers[NEW_ADDRESS].restart()


def _add_address(town: Town) -> None:
    """A node of the same ThingsBoard: what the other one remembers of datagrams it does not."""
    node = town.network.server.copy()
    node.restart()
    node.thingsboard = town.network.server.thingsboard
    town.network.servers[NEW_ADDRESS] = node
    for host in (HOST, ALIAS):
        town.names[host] = [NEW_ADDRESS, SERVER_ADDRESS]


def _restart(town: Town) -> None:
    for server in town.servers():
        server.restart()


def _lose_data(town: Town) -> None:
    for server in town.servers():
        server.restart()
        for name in list(server.thingsboard.devices):
            server.thingsboard.delete_device(name)
            if town.setting.strategy == "preprovisioned":
                town.add_device(server, name)


def _delete_device(town: Town) -> None:
    town.deleted_at = town.network.now
    thingsboard = town.network.server.thingsboard
    if town.device_name in thingsboard.devices:
        thingsboard.delete_device(town.device_name)


def _change_token(town: Town) -> None:
    thingsboard = town.network.server.thingsboard
    if town.device_name in thingsboard.devices:
        town.old_token = thingsboard.devices[town.device_name].token
        thingsboard.change_token(town.device_name, CHANGED_TOKEN)


def _change_token_back(town: Town) -> None:
    thingsboard = town.network.server.thingsboard
    if town.device_name in thingsboard.devices and town.old_token:
        device = thingsboard.devices[town.device_name]
        if device.token == CHANGED_TOKEN:
            thingsboard.change_token(town.device_name, town.old_token)


def _forget_secret(town: Town) -> None:
    town.original = {**town.original, "forget_secret": True}
    town.configure(town.original)


def _is_told_so(town: Town) -> None:
    town.is_told_so = True


def _reset_story(options: str, **reset: bool) -> Story:
    name = f"reset {options}"
    return Story(name, RESET, (Act(name, lambda town: _reset(town, **reset), True),))


def _has_token(setting: People) -> bool:
    return setting.asks in ("drawn", "server", "fixed", "given", "shown")


def _draws(setting: People) -> bool:
    return setting.asks == "drawn"


REQUEST, SPELLING, SERVER = "request edited", "server respelled", "another server, and back"
RESET, COPIED, MOVED = "reset", "flash copied", "server moved or restarted"
OPERATED, APPLICATION = "device deleted, token changed", "forget_secret, credentials_rejected"
NOBODY = "nothing"
KINDS_OF_STORIES = (
    NOBODY,
    REQUEST,
    SPELLING,
    SERVER,
    RESET,
    COPIED,
    MOVED,
    OPERATED,
    APPLICATION,
)

STORIES = (
    Story("nothing", NOBODY, ()),
    Story("key renewed", REQUEST, (Act("the key is renewed", _renew_key),)),
    _there_and_back("key mistyped", REQUEST, provisioning__provisionDeviceKey=KEY + "y"),
    _there_and_back("secret mistyped", REQUEST, provisioning__provisionDeviceSecret="mistyped"),
    _there_and_back("another deviceName", REQUEST, provisioning__deviceName="another-{id}"),
    _there_and_back(
        "a token added", REQUEST, fits=_has_token, provisioning__token=FIXED_TOKEN + "-2"
    ),
    _there_and_back(
        "a token with {id} added", REQUEST, fits=_has_token, provisioning__token="t-{id}"
    ),
    _there_and_back("access_token: server", REQUEST, fits=_draws, access_token="server"),
    _there_and_back(
        "MQTT_BASIC",
        REQUEST,
        fits=_has_token,
        provisioning__credentialsType="MQTT_BASIC",
        provisioning__username="another-{id}",
    ),
    _there_and_back("gateway", REQUEST, provisioning__gateway=True),
    _there_and_back(
        "no certificate",
        REQUEST,
        fits=lambda setting: setting.asks == "x509",
        certificate=None,
        key=None,
    ),
    _there_and_back(
        "a certificate",
        REQUEST,
        fits=lambda setting: setting.asks == "drawn" and setting.transport == "coaps",
        certificate="own.der",
        key="own.key",
    ),
    _there_and_back("a slash", SPELLING, False, server=_uri(HOST + "/")),
    _there_and_back("its port", SPELLING, False, server=_port),
    _there_and_back("capitals", SPELLING, False, server=_uri(HOST.upper())),
    _there_and_back("its address", SPELLING, False, server=_uri(SERVER_ADDRESS)),
    _there_and_back("another name", SPELLING, False, server=_uri(ALIAS)),
    _there_and_back("another ThingsBoard", SERVER, server=_uri(OTHER_HOST)),
    _there_and_back("a name that is none", SERVER, server=_uri("none.example.com")),
    _there_and_back("a server that is none", SERVER, server=_uri(SILENT_HOST)),
    _reset_story("--credentials", credentials=True, attempt=False),
    _reset_story("--attempt", credentials=False, attempt=True),
    _reset_story("--credentials --attempt", credentials=True, attempt=True),
    _reset_story("--all --attempt", credentials=True, attempt=True, everything=True),
    Story(
        "the copy first",
        COPIED,
        (
            Act("the flash is copied to another board, which is on", _copy_flash_and_turn, True),
            Act("the first board is on", _turn, True),
            Act("the other board is on", _turn, True),
        ),
    ),
    Story(
        "the copy last",
        COPIED,
        (
            Act("the flash is copied to another board", _copy_flash, True),
            Act("the other board is on", _turn, True),
            Act("the first board is on", _turn, True),
        ),
    ),
    Story("another address", MOVED, (Act("the server moves to another address", _move_server),)),
    Story("another node", MOVED, (Act("the server has another node, first", _add_address),)),
    Story("a restart", MOVED, (Act("the server restarts", _restart),)),
    Story("a new database", MOVED, (Act("the server restarts without its data", _lose_data),)),
    Story("deleted", OPERATED, (Act("the device is deleted", _delete_device),)),
    Story(
        "token changed",
        OPERATED,
        (Act("the token is changed in ThingsBoard", _change_token),),
        _has_token,
    ),
    Story(
        "token changed and back",
        OPERATED,
        (
            Act("the token is changed in ThingsBoard", _change_token),
            Act("the token is changed back", _change_token_back),
        ),
        _has_token,
    ),
    Story("forget_secret", APPLICATION, (Act("config.json: forget_secret", _forget_secret),)),
    Story(
        "forget_secret, deleted",
        APPLICATION,
        (
            Act("config.json: forget_secret", _forget_secret),
            Act("the device is deleted", _delete_device),
        ),
    ),
    Story(
        "deleted twice",
        APPLICATION,
        (
            Act("the device is deleted", _delete_device),
            Act("the device is deleted again", _delete_device),
        ),
    ),
    Story("told so", APPLICATION, (Act("the application hears a 4.01 in error", _is_told_so),)),
)
