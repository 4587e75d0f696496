"""What a server's DTLS shows to a computer: its certificates, and what gets through."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

from tools.dtls_client import Session, certificates_in, name_of, names_in, problems_of
from tools.flash.findings import FAILURE, OK, WARNING, Finding
from tools.terminal import one_line

# Bytes of CoAP messages; ThingsBoard drops those of over 1093.
_SIZES = (300, 600, 1093, 1280, 1400)
_ANSWERED_WITHIN = 2000  # ms
_SOON = datetime.timedelta(days=30)


def examine_coaps(host: str, address: tuple, authorities: bytes | None, path: str):
    """Shake hands with a server, and look at what it shows.

    `authorities`: the CA's certificates; b"" when their file is missing, None to check none.
    """
    from firmware.coap.udp import UDP
    from firmware.errors import FirstbootError

    if authorities == b"":
        yield Finding(
            WARNING, "the CA's file that `ca` names is not beside config.json", "Put it there"
        )
    try:
        if authorities:
            certificates_in(authorities)
    except ValueError as error:
        yield Finding(
            FAILURE, f"`ca` names a file that holds no certificate: {error}", "Replace it"
        )
        return
    transport = UDP(address[0], address[1])
    began = time.monotonic()
    try:
        session = Session(transport, host, authorities or None)
    except FirstbootError as error:
        transport.close()
        yield Finding(FAILURE, error.what, error.fix)
        return
    try:
        took = (time.monotonic() - began) * 1000
        yield Finding(OK, f"the DTLS handshake succeeds, {session.cipher}, in {took:.0f} ms")
        yield from _certificates(session, bool(authorities))
        yield from _sizes(session, path)
    finally:
        session.close()


def _certificates(session: Session, is_checked: bool) -> Iterator[Finding]:
    for certificate in session.chain:
        ends = certificate.not_valid_after_utc
        names = (
            f" for {', '.join(names_in(certificate))}" if certificate is session.chain[0] else ""
        )
        soon = ends - datetime.datetime.now(datetime.timezone.utc) < _SOON
        what = f'it shows "{name_of(certificate.subject)}"{names}, issued by '
        what += f'"{name_of(certificate.issuer)}", until {ends:%Y-%m-%d}'
        yield Finding(WARNING if soon else OK, one_line(what), "Renew it" if soon else "")
    for problem in problems_of(session):
        if is_checked or "issued" not in problem:
            yield Finding(FAILURE, one_line(problem), "See README.md, coaps")


def _sizes(session: Session, path: str) -> Iterator[Finding]:
    largest = 0
    for number, size in enumerate(_SIZES):
        if not _answers(session, path, size, number):
            break
        largest = size
    if not largest:
        yield Finding(FAILURE, "nothing answers CoAP inside DTLS", "Is it ThingsBoard's port?")
    elif largest < 600:
        yield Finding(
            WARNING,
            f"requests of {largest} bytes get through, larger ones do not",
            "Look for what drops large UDP datagrams on the way",
        )
    else:
        yield Finding(OK, f"CoAP answers inside DTLS, to requests of up to {largest} bytes")


def _answers(session: Session, path: str, size: int, number: int) -> bool:
    from firmware.coap.message import CON, POST, decode, encode
    from firmware.errors import CoapError

    options = [(11, part.encode()) for part in path.split("/")]
    message_id = int(time.time()) + number & 0xFFFF
    empty = encode(CON, POST, message_id, b"doctor", options, b" ")
    request = encode(CON, POST, message_id, b"doctor", options, b" " * (size - len(empty) + 1))
    for _ in range(2):
        session.send(request)
        deadline = time.monotonic() + _ANSWERED_WITHIN / 1000
        while (left := deadline - time.monotonic()) > 0:
            try:
                reply = session.receive(2048, int(left * 1000))
                if reply and decode(reply).message_id == message_id:
                    return True
            except CoapError:
                return False
    return False
