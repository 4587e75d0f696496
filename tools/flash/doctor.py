"""Why does a board not provision? Looks at config.json, the server and the board, line by line."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import typer

from tools.flash import content
from tools.flash.config_file import ConfigError
from tools.flash.errors import BAD_CONFIGURATION, FAILED, PROVISIONED
from tools.flash.findings import FAILURE, OK, WARNING, Finding, doubtful
from tools.flash.label import completed

# A request that any ThingsBoard answers with 4.01: it asks for a device that is not there.
_PATH = ("api", "v1", "firstboot-doctor", "attributes")
_URI_PATH = 11
# For examine_server: coaps is not spoken.
ONLY_RESOLVE = object()
_WAIT_S = 3.0
_TRIES = 3
_PLACEHOLDERS = ("from the device profile", "...", "…")


def examine(config: Path, port: str | None, as_json: bool) -> int:
    """Print what is found, from the computer and with `port` from the board; the exit code."""
    findings = []

    def begin(text: str) -> None:
        if sys.stderr.isatty() and not as_json:
            typer.echo(f"         {text} …", err=True)

    for finding in _findings(config, port, begin):
        findings.append(finding)
        if not as_json:
            typer.echo(str(finding))
    if as_json:
        typer.echo(json.dumps([each._asdict() for each in findings], ensure_ascii=False))
    if findings[0].level == FAILURE:
        return BAD_CONFIGURATION
    return FAILED if any(each.level == FAILURE for each in findings) else PROVISIONED


def _findings(path: Path, port: str | None, begin: Callable[[str], None]) -> Iterator[Finding]:
    config = path.read_bytes()
    try:
        content.check_config(config, name=path)
        settings = content.check_config(completed(config, None), name=path)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding(FAILURE, f"{path}: {problem}", error.fix)
        settings = None
    else:
        yield from doubtful(settings) or [Finding(OK, f"{path} has no mistake")]
        if settings["asked"]:
            asked = ", ".join(settings["asked"])
            yield Finding(OK, f"whoever hangs the board is asked for {asked}")
        yield from _key_and_secret(settings["provisioning"], settings["asked"])
        if settings["server"]:
            yield from examine_server(settings["server"], *_authorities(path, settings))
    if port:
        from tools.flash.doctor_board import examine_board

        yield from examine_board(port, config, settings, "/".join(_PATH), begin)


def _authorities(path: Path, settings: dict) -> list[bytes | None]:
    if not settings["secure"]:
        return []
    if not settings["verify"]:
        return [None]
    file = path.parent / settings["ca"].strip("/")
    return [file.read_bytes() if file.is_file() else b""]


def _key_and_secret(provisioning: dict, asked: Collection[str] = ()) -> Iterator[Finding]:
    for key in ("provisionDeviceKey", "provisionDeviceSecret"):
        value = provisioning[key]
        if f"provisioning.{key}" in asked:
            continue
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


def examine_server(
    uri: str, authorities: bytes | object | None = ONLY_RESOLVE
) -> Iterator[Finding]:
    """Whether a server resolves, answers CoAP, in what style and how fast.

    `authorities`: for coaps, the CA's certificates; None to check none, and without it no hands
    are shaken.
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
        if authorities is not ONLY_RESOLVE:
            from tools.flash.doctor_coaps import examine_coaps

            yield from examine_coaps(host, address, authorities, "/".join(_PATH))
        return
    style, milliseconds = _ask(family, address)
    where = f"{address[0]} port {address[1]}"
    if style is None:
        yield Finding(
            FAILURE,
            f"{where}/UDP does not answer",
            "Is it ThingsBoard's CoAP port, UDP 5683? A firewall may hold UDP and let TCP through",
        )
    elif style == "closed":
        yield Finding(
            FAILURE,
            f"{where}/UDP is closed: nothing listens there",
            "Is it ThingsBoard's CoAP port, UDP 5683, and does ThingsBoard run?",
        )
    elif style == "reset":
        yield Finding(
            FAILURE, f"{where}/UDP answers with a Reset", "Something else listens on that port"
        )
    else:
        yield Finding(OK, f"{where}/UDP answers CoAP, {style}, in {milliseconds:.0f} ms")


def _ask(family: int, address: tuple) -> tuple[str | None, float]:
    """The style of the server's reply, "closed" or None without one, and the ms it took."""
    from firmware.coap.message import ACK, CON, EMPTY, GET, RST, decode, encode
    from firmware.errors import CoapError

    options = [(_URI_PATH, part.encode()) for part in _PATH]
    message_id = int(time.time()) & 0xFFFF
    request = encode(CON, GET, message_id, b"doctor", options)
    style, is_closed = None, False
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
            except ConnectionRefusedError:
                is_closed = True
            except (OSError, CoapError):
                continue
    return "closed" if is_closed else None, 0.0
