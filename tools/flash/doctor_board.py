"""What a board on the desk tells a doctor: asked over its link, with the given config.json."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator

from tools import roles
from tools.flash import content, facts, install, ports, romfs, slots
from tools.flash.errors import FlashingError
from tools.flash.findings import FAILURE, OK, WARNING, Finding, doubtful
from tools.flash.link import Link
from tools.flash.plan import CONFIG, MAIN, is_module, sha256
from tools.terminal import one_line

_LOW_MEMORY = 60_000
_LITTLE_FLASH = 65_536
_WEAK_DBM = -75
_NAMES_SHOWN = 8
_ENDS_WITHIN = 180.0  # seconds, all of it

# An association outlives a soft reset, and would hide a wrong password. So do an ESP32's attempts
# at one, beside which a scan raises.
_SCAN = """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
try:
    wlan.disconnect()
except OSError:
    pass
time.sleep_ms(200)
try:
    found = wlan.scan()
except OSError:
    wlan.active(False)
    wlan.active(True)
    found = wlan.scan()
print([(bytes(each[0]), each[3]) for each in found])
"""
_VERSION = """
try:
    import firmware.failures
    import firmware.power_up
    from firmware.board.kept import VERSION
    print(repr((VERSION, firmware.power_up.__file__)))
except (ImportError, SyntaxError, ValueError):
    print((None, ""))
"""
_REACH = """
from time import ticks_diff
from firmware.errors import FirstbootError
try:
    from firmware.board import config, wifi
    from firmware.board.hardware import Board
    from firmware.coap.connect import connect
    Board._feed = _watchdog.feed if _watchdog else None
    board = Board()
    settings = config.check(%r, board.id, True, board.chip)
    wifi.join(settings, board)
    client = connect(settings["server"], board.sessions(settings), idle=board.idle)
    began = board.ticks()
    client.get("/%s")
    print(repr(("ok", ticks_diff(board.ticks(), began))))
except FirstbootError as error:
    print(repr((error.what, error.fix)))
except (ImportError, SyntaxError, ValueError) as error:
    print(repr(("the firmware on the board is broken: %%s" %% error, "flash repairs it")))
"""


def examine_board(
    port: str,
    config: bytes,
    settings: dict | None,
    path: str,
    begin: Callable[[str], None] = lambda text: None,
) -> Iterator[Finding]:
    """Look at the board at a port, with the config.json that was given, not the board's own.

    `settings`: what the given one says, None when it has mistakes. `path`: what to ask the server.
    `begin`: hears of what takes long, before it does.
    """
    begin("reaching the board's prompt, within 20 s")
    try:
        (chosen,) = ports.choose([port], False)
        with Link(chosen, ends_within=_ENDS_WITHIN) as link:
            board = facts.ask(link)
            facts.check(board)
            yield Finding(OK, f"{chosen}: {board}")
            yield from (Finding(WARNING, *warning) for warning in facts.warnings(board))
            if settings:
                told = doubtful(settings)
                yield from (
                    each for each in doubtful(settings, board.chip_name) if each not in told
                )
            yield _measured(
                board.memory, _LOW_MEMORY, "KB of memory free", "Use the newest MicroPython"
            )
            yield _measured(
                board.free,
                _LITTLE_FLASH,
                f"KB of flash free, of {board.flash // 1024} KB",
                "Remove files that you need no more",
            )
            yield from _provisioned(link, board, config, settings)
            ssids = [wifi["ssid"] for wifi in settings["networks"]] if settings else [None]
            if None not in ssids:
                begin("the board listens for networks")
                yield from _wifi(link, ssids)
                if settings["server"] and link.value(_VERSION)[0]:
                    begin("the board joins and asks the server, within 3 minutes")
                    yield from _reaches(link, config, path)
            link.start()
    except FlashingError as error:
        yield Finding(FAILURE, error.what, error.fix)


def _provisioned(link, board, config: bytes, settings: dict | None) -> Iterator[Finding]:
    """Its firmware, its credentials, and where its config.json differs from the given one."""
    asked_for = roles.asked_for(config)
    wanted = content.firmware(asked_for=asked_for | {roles.UPDATE})
    found = install.survey(link, wanted)
    places = slots.find(link, found)
    if places:
        yield from _places(places)
    elif roles.UPDATE not in asked_for:
        for path in roles.alone(wanted, roles.UPDATE):
            del wanted[path]
    yield from _firmware(link, found, wanted)
    credentials = install.credentials(link, found)
    if credentials.get("deviceName"):
        yield Finding(
            OK,
            f'the board is provisioned as "{one_line(str(credentials["deviceName"]))}" on '
            f"{content.server_of(credentials)}",
        )
    else:
        yield Finding(OK, "the board is not provisioned")
    if settings and CONFIG in found.hashes:
        yield from _differences(link.read(CONFIG), config, board.id)


def _firmware(link: Link, found: install.Survey, wanted: dict[str, bytes]) -> Iterator[Finding]:
    """Whether the root's firmware is there and whole, where it is, and whether it is as here."""
    modules = {path: file for path, file in wanted.items() if is_module(path)}
    on_files = any(map(is_module, found.hashes))
    segment = romfs.find(link)
    version, file = link.value(_VERSION)
    is_broken_there = not file and not on_files and bool(segment and segment.is_ours)
    in_rom = file.startswith("/rom/") or is_broken_there
    if segment and not in_rom:
        size = segment.size // 1024
        yield Finding(OK, f"the board has a ROMFS of {size} KB, and the firmware is not in it")
    if file.startswith("firmware/") and not on_files:
        yield Finding(OK, f"firstboot {version} is frozen into the board's MicroPython")
    elif MAIN not in found.hashes or not (on_files or in_rom):
        yield Finding(
            WARNING, "the firmware is not on the board", f"flash --port {link.port} puts it on"
        )
    elif not version:
        yield Finding(FAILURE, "the firmware on the board is broken", "flash repairs it")
    elif in_rom and segment and not romfs.Image(segment, modules).wrong():
        yield Finding(OK, f"firstboot {version} is in the board's ROMFS, as it is here")
    elif in_rom:
        yield Finding(
            WARNING,
            f"firstboot {version} is in the board's ROMFS, and is another than here",
            "flash brings it up to date",
        )
    elif differing := sum(found.hashes.get(path) != sha256(each) for path, each in modules.items()):
        yield Finding(
            WARNING,
            f"firstboot {version} is on the board, and {differing} of its files are other than "
            "here",
            "flash brings them up to date; sources in place of .mpy files count as other",
        )
    else:
        yield Finding(OK, f"firstboot {version} is on the board, as it is here")


def _places(places: slots.Slots) -> Iterator[Finding]:
    """Which place runs, on trial or not, and what has failed."""
    running, *failed = places.lines()
    yield Finding(OK, running)
    for line in failed:
        yield Finding(
            WARNING, line, "Mend it; over the air the board takes it under another version alone"
        )
    if places.running:
        yield Finding(
            OK,
            "what is said of its firmware from here on is said of the root, whose firmware starts "
            f"{places.running}",
        )


def _differences(on_board: bytes, given: bytes, board_id: str) -> Iterator[Finding]:
    try:
        theirs = content.check_config(on_board, board_id)
    except FlashingError as error:
        what = one_line(error.what)
        yield Finding(WARNING, f"the board's own {what}", "flash puts the given one on it")
        return
    ours = content.check_config(given, board_id)
    different = []
    for section, keys in content.KEYS.items():
        if section == "wifi." and len(ours["networks"] + theirs["networks"]) != 2:
            different += ["wifi"] if ours["networks"] != theirs["networks"] else []
            continue
        one, other = ((each[section[:-1]] if section else each) or {} for each in (ours, theirs))
        different += [
            section + key
            for key in keys
            if f"{key}." not in content.KEYS and one.get(key) != other.get(key)
        ]
    if different:
        yield Finding(
            WARNING,
            f"the board's config.json differs from the given one in {', '.join(different)}",
            "What follows is with the given one; flash puts it on the board",
        )
    else:
        yield Finding(OK, "the board's config.json says what the given one says")


def networks_heard(link: Link) -> dict[str, int]:
    """The dBm of each network that a board hears, the strongest first; "" stands for hidden ones.

    Raises FlashingError.
    """
    heard: dict[str, int] = {}
    for name, dbm in link.value(_SCAN, 30):
        shown = one_line(name.strip(b"\0").decode(errors="replace"))
        heard[shown] = max(dbm, heard.get(shown, dbm))
    return dict(sorted(heard.items(), key=lambda each: -each[1]))


def _wifi(link: Link, ssids: list[str]) -> Iterator[Finding]:
    heard = networks_heard(link)
    ssid = next((each for each in ssids if each in heard), ssids[0])
    hidden = heard.pop("", None)
    names = list(heard)
    listed = ", ".join(f'"{name}" at {heard[name]} dBm' for name in names[:_NAMES_SHOWN])
    hears = f"it hears {listed or 'none'}"
    if len(names) > _NAMES_SHOWN:
        hears += f" and {len(names) - _NAMES_SHOWN} more"
    if ssid in heard:
        level = WARNING if heard[ssid] < _WEAK_DBM else OK
        weak = ", which is weak" if level == WARNING else ""
        fix = "Move the board nearer" if weak else ""
        yield Finding(level, f'the board hears "{ssid}" at {heard[ssid]} dBm{weak}', fix)
    elif hidden is not None:
        yield Finding(
            WARNING,
            f'the board does not hear "{ssid}", but a network that hides its name; {hears}',
            "If that is it, all is well: a hidden network is joined by its name",
        )
    else:
        yield Finding(
            FAILURE,
            f'the board does not hear "{ssid}"; {hears}',
            "Check `wifi.ssid` letter by letter; the boards hear 2.4 GHz only",
        )


def _reaches(link: Link, config: bytes, path: str) -> Iterator[Finding]:
    printed = link.run(_REACH % (config, path), 150, math.inf)
    try:
        said, more = ast.literal_eval(printed.splitlines()[-1])
    except (ValueError, SyntaxError, IndexError, TypeError):
        yield Finding(FAILURE, "the board answered with something else", "Flash it, then try again")
        return
    if said == "ok":
        yield Finding(OK, f"the board reaches the server, in {more} ms")
    else:
        yield Finding(FAILURE, f"from the board: {said}", more)


def _measured(size: int, least: int, what: str, fix: str) -> Finding:
    shown = f"{size // 1024} {what}"
    return Finding(OK, shown) if size >= least else Finding(WARNING, shown, fix)
