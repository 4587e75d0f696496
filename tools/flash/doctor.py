"""Why does a board not provision? Looks at config.json, the server and the board, line by line."""

from __future__ import annotations

import ast
import json
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

import typer

from tools.flash import content, facts, install, ports
from tools.flash.errors import BAD_CONFIGURATION, FAILED, PROVISIONED, FlashingError
from tools.flash.link import Link
from tools.flash.plan import MAIN

OK, WARNING, FAILURE = "ok", "warning", "failure"

# A request that any ThingsBoard answers with 4.01: it asks for a device that is not there.
_PATH = ("api", "v1", "firstboot-doctor", "attributes")
_URI_PATH = 11
_WAIT_S = 3.0
_TRIES = 3
_LOW_MEMORY = 60_000
_LITTLE_FLASH = 65_536
_WEAK_DBM = -75
_PLACEHOLDERS = ("from the device profile", "...", "…", "k", "s")

_SCAN = """
import network
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
print([(each[0], each[3]) for each in wlan.scan()])
"""
_REACH = """
from time import ticks_diff
from firmware.board import config, wifi
from firmware.board.hardware import Board
from firmware.coap.connect import connect
from firmware.errors import FirstbootError
try:
    Board._feed = _watchdog.feed if _watchdog else None
    board = Board()
    settings = config.load(board, True)
    wifi.join(settings, board)
    client = connect(settings["server"], board.sessions(settings), idle=board.idle)
    began = board.ticks()
    client.get("/%s")
    print(repr(("ok", ticks_diff(board.ticks(), began))))
except FirstbootError as error:
    print(repr((error.what, error.fix)))
"""


class Finding(NamedTuple):
    """One line of a doctor: `level`, what was found, and for a trouble its `fix`."""

    level: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.level:8} {self.what}" + (f". {self.fix}" if self.fix else "")


def examine(config: bytes, port: str | None, as_json: bool) -> int:
    """Print what is found, from the computer and with `port` from the board; the exit code."""
    findings = []
    for finding in _findings(config, port):
        findings.append(finding)
        if not as_json:
            typer.echo(str(finding))
    if as_json:
        typer.echo(json.dumps([each._asdict() for each in findings], ensure_ascii=False))
    if findings[0].level == FAILURE:
        return BAD_CONFIGURATION
    return FAILED if any(each.level == FAILURE for each in findings) else PROVISIONED


def _findings(config: bytes, port: str | None) -> Iterator[Finding]:
    try:
        settings = content.check_config(config)
    except FlashingError as error:
        yield Finding(FAILURE, error.what, error.fix)
        settings = None
    else:
        yield Finding(OK, "config.json has no mistake")
        yield from _key_and_secret(settings["provisioning"])
        yield from examine_server(settings["server"])
    if port:
        yield from _examine_board(port, settings)


def _key_and_secret(provisioning: dict) -> Iterator[Finding]:
    for key in ("provisionDeviceKey", "provisionDeviceSecret"):
        value = provisioning[key]
        if value is None:
            yield Finding(WARNING, f"{key} is missing", "Only provisioned boards do without it")
        elif value.lower() in _PLACEHOLDERS or value != value.strip() or " " in value.strip():
            yield Finding(
                FAILURE,
                f"{key} does not look like one",
                "Copy it from the device profile, Device provisioning",
            )
        else:
            yield Finding(OK, f"{key} has {len(value)} characters")


def examine_server(uri: str) -> Iterator[Finding]:
    """Whether a server resolves, answers CoAP, in what style and how fast.

    Of coaps only a board can say more.
    """
    from firmware.coap.uri import parse

    host, port, _, secure = parse(uri)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError:
        yield Finding(FAILURE, f"{host} was not found", "Check the name in `server`, and the DNS")
        return
    yield Finding(OK, f"{host} is {address[0]}")
    if secure:
        return
    style, milliseconds = _ask(family, address)
    where = f"{address[0]} port {address[1]}"
    if style is None:
        yield Finding(
            FAILURE,
            f"{where}/UDP does not answer",
            "Is it ThingsBoard's CoAP port, UDP 5683? A firewall may hold UDP and let TCP through",
        )
    elif style == "reset":
        yield Finding(
            FAILURE, f"{where}/UDP answers with a Reset", "Something else listens on that port"
        )
    else:
        yield Finding(OK, f"{where}/UDP answers CoAP, {style}, in {milliseconds:.0f} ms")


def _ask(family: int, address: tuple) -> tuple[str | None, float]:
    """The style of the server's reply, None for silence, and the ms it took."""
    from firmware.coap.message import ACK, CON, EMPTY, GET, RST, decode, encode
    from firmware.errors import CoapError

    options = [(_URI_PATH, part.encode()) for part in _PATH]
    message_id = int(time.time()) & 0xFFFF
    request = encode(CON, GET, message_id, b"doctor", options)
    style = None
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        began = time.monotonic()
        for attempt in range(_TRIES):
            try:
                sock.send(request)
                deadline = time.monotonic() + _WAIT_S / _TRIES * (attempt + 1)
                while (left := deadline - time.monotonic()) > 0:
                    sock.settimeout(left)
                    reply = decode(sock.recv(2048))
                    took = (time.monotonic() - began) * 1000
                    if reply.message_id == message_id and reply.type == RST:
                        return "reset", took
                    if reply.type == ACK and reply.code == EMPTY:
                        style = "separate"
                    elif bytes(reply.token) == b"doctor":
                        if reply.type == CON:
                            sock.send(encode(ACK, EMPTY, reply.message_id, b"", []))
                        return style or ("piggybacked" if reply.type == ACK else "separate"), took
            except (OSError, CoapError):
                continue
    return None, 0.0


def _examine_board(port: str, settings: dict | None) -> Iterator[Finding]:
    try:
        (chosen,) = ports.choose([port], False)
        with Link(chosen) as link:
            board = facts.ask(link)
            facts.check(board)
            yield Finding(OK, f"{chosen}: {board}")
            yield _measured(
                board.memory, _LOW_MEMORY, "KB of memory free", "Use the newest MicroPython"
            )
            yield _measured(
                board.free,
                _LITTLE_FLASH,
                f"KB of flash free, of {board.flash // 1024} KB",
                "Remove files that you need no more",
            )
            if settings:
                yield from _wifi(link, settings["wifi"]["ssid"])
            if MAIN not in install.survey(link).hashes:
                yield Finding(
                    WARNING, "the firmware is not on the board", f"flash --port {chosen} puts it on"
                )
                return
            said, more = ast.literal_eval(
                link.run(_REACH % "/".join(_PATH), 150, 180).splitlines()[-1]
            )
            if said == "ok":
                yield Finding(OK, f"the board reaches the server, in {more} ms")
            else:
                yield Finding(FAILURE, f"from the board: {said}", more)
            link.start()
    except FlashingError as error:
        yield Finding(FAILURE, error.what, error.fix)


def _measured(size: int, least: int, what: str, fix: str) -> Finding:
    shown = f"{size // 1024} {what}"
    return Finding(OK, shown) if size >= least else Finding(WARNING, shown, fix)


def _wifi(link: Link, ssid: str) -> Iterator[Finding]:
    in_range = [dbm for name, dbm in link.value(_SCAN, 30) if name == ssid.encode()]
    if not in_range:
        yield Finding(
            FAILURE,
            f'the board does not hear "{ssid}"',
            "Check `wifi.ssid` letter by letter; the boards hear 2.4 GHz only",
        )
    elif max(in_range) < _WEAK_DBM:
        yield Finding(WARNING, f'"{ssid}" is weak: {max(in_range)} dBm', "Move the board nearer")
    else:
        yield Finding(OK, f'the board hears "{ssid}" at {max(in_range)} dBm')
