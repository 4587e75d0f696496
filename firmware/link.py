"""How a Session gets its connection, and new credentials after a 4.01. Imported only then.

Steps, as all of a Session's. What MicroPython does in one piece: look up the server's address.
"""

import gc

from firmware.memory import CLIENT, give_back
from firmware.thingsboard.device_api import Unauthorized


def connect(session):
    """The steps that join the Wi-Fi and connect. Raises FirstbootError."""
    board = session.board
    session.disconnect()
    # Until the board has joined, others want its memory.
    give_back(CLIENT)
    gc.collect()
    settings = _settings(board)
    # The largest modules are never in memory together.
    give_back()
    gc.collect()
    yield from _join_steps(session, settings)
    give_back()
    gc.collect()
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
        sessions = session.until_sleep(sessions)
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
    elif session.board.trial and not session.observe().update:
        # So that ThingsBoard answers, whatever the application does.
        session.observed.follow_attributes(None)


def _settings(board):
    from firmware.board import config

    return config.load(board, provisioned=True)


def _join_steps(session, settings):
    from firmware.board import wifi

    patience = session.patience() if session.awake else wifi.PATIENCE
    return wifi.join_steps(settings, session.board, session.trouble, patience)


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
