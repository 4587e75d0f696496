"""How a Session gets its connection, and new credentials after a 4.01. Imported only then.

Steps, as all of a Session's. What MicroPython does in one piece: look up the server's address.
"""

import gc

from firmware.memory import give_back
from firmware.thingsboard.device_api import Unauthorized


def connect(session):
    """The steps that join the Wi-Fi and connect. Raises FirstbootError."""
    board = session.board
    session.disconnect()
    from firmware.board import config, wifi

    settings = config.load(board, provisioned=True)
    patience = max(1, session.left() // 1000) if session.awake else wifi.PATIENCE
    yield from wifi.join_steps(settings, board, session.trouble, patience)
    session.address = board.address
    sessions = board.sessions(settings, session.credentials["credentialsType"])
    if session.backlog.wants_clock():
        from firmware.board.clock import clock_steps

        yield from clock_steps(board, settings["ntp"])
        session.backlog.check_clock()
    connect = session.open
    if connect is None:
        from firmware.coap.connect import connect
    if sessions and session.awake:
        sessions = _until_sleep(session, sessions)
    client = connect(session.credentials["server"], sessions, idle=board.idle)
    if sessions and board.in_steps:
        yield from client.transport.handshake()
    session.client = client
    session.listened_at = session.sent_at = board.ticks()
    give_back()
    gc.collect()
    session.is_expecting = False
    if settings["update"] and not session.observe().update:
        from firmware.update.watch import Watch

        session.observed.update = Watch(session, settings["update"])


def _until_sleep(session, sessions):
    """Return what opens DTLS sessions, and waits no longer than the board is to be awake."""

    def open_session(transport, host):
        return sessions(transport, host, session.left())

    return open_session


def renew(session):
    """The steps that get new credentials. Raises FirstbootError when ThingsBoard gives none."""
    session.disconnect()
    if session.is_new:
        session.is_new = False
        raise Unauthorized(
            "ThingsBoard answered 4.01 to credentials that it has just given",
            "See ThingsBoard's log.",
        )
    gc.collect()
    from firmware.provisioning.rejection import rejection_steps

    session.credentials = yield from rejection_steps(session.board)
    session.resource = None
    session.is_new = True
    if session.observed and session.observed.calls:
        session.observed.calls.forget()
    give_back()
