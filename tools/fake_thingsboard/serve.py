"""A ThingsBoard to test with, until Ctrl-C, and its operator's console."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable

from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.script import Command, CommandError, parse
from tools.fake_thingsboard.server import FakeThingsBoard


def serve(
    thingsboard: ThingsBoard,
    host: str,
    port: int,
    delay: float,
    first_reply_after: float,
    credentials: tuple[bytes, bytes] | None,
    script: list[Command],
    console: Iterable[str],
    say: Callable[[str], None],
) -> None:
    """Serve on a UDP port; over DTLS with a certificate and its key in PEM, as `credentials`.

    `delay` and `first_reply_after` are those of FakeThingsBoard. `script` is done beside what
    `console` gives, line by line.

    Raises OSError when it cannot listen, ValueError for credentials that will not do.
    """
    # Behind DTLS it listens on a port of its own, on this computer only.
    inside = ("127.0.0.1", 0) if credentials else (host, port)
    server = FakeThingsBoard(
        thingsboard, *inside, delay=delay, first_reply_after=first_reply_after, log=say, tell=say
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(server)
        uri = server.uri
        if credentials:
            from tools.fake_thingsboard.dtls import DTLSRelay

            upstream = server.host, server.port
            relay = DTLSRelay(
                upstream, *credentials, host, port, on_session=server.open_session, log=say
            )
            uri = stack.enter_context(relay).uri
            server.operator.on_restart = relay.forget_sessions
        say(f"ThingsBoard to test with: {uri} (Ctrl-C ends it)")
        server.follow(script, say)
        for line in console:
            if line.strip():
                try:
                    server.follow([parse(line)], say)
                except CommandError as error:
                    say(str(error))
        threading.Event().wait()


def new_credentials(host: str) -> tuple[bytes, tuple[bytes, bytes]]:
    """A new CA's certificate, and a certificate that it issued for a host, with its key. PEM."""
    from tools.fake_thingsboard import certificates

    ca = certificates.new_ca(**certificates.LONG)
    issued = certificates.issue(sorted({host, "localhost", "127.0.0.1"}), ca, **certificates.LONG)
    return ca.pem, (issued.chain_pem, issued.key_pem)
