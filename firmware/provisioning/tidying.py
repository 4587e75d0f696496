"""What is left to do once there are credentials: what is needed no more goes."""

import json

from firmware.board.storage import ATTEMPT
from firmware.errors import FirstbootError


def finish(board, credentials, config=None):
    """Remove what is needed no more; return whether nothing is left to do.

    What cannot be removed is said, and can wait for the next power-up. `config`: without it
    config.json stays as it is.
    """
    try:
        tidy(board, credentials)
        if config and config["forget_secret"]:
            forget_secret(board)
        return True
    except FirstbootError as error:
        board.indicator.say(*str(error).split("\n"))
        return False


def keep(board, credentials, config, remarks=None):
    """Keep what the next start needs; without it that start looks at everything again.

    `remarks`: what each power-up says; None of a board that has just been provisioned, which has
    some only over coaps, or where ThingsBoard gave others than it was asked for.
    """
    if remarks is None:
        remarks = []
        asked = config["server"], config["provisioning"]["deviceName"]
        if config["secure"] or asked != (credentials["server"], credentials["deviceName"]):
            from firmware.provisioning.remarks import remarks_on

            remarks = remarks_on(board, credentials, config)
    from firmware.board import kept

    try:
        kept.keep(board, config, remarks)
    except FirstbootError as error:
        board.indicator.say(*str(error).split("\n"))


def forget_secret(board):
    """Take provisionDeviceSecret out of config.json. Raises FirstbootError."""
    from firmware.board.config import PATH, parse

    storage = board.storage
    given = parse(storage.read(PATH))
    if given["provisioning"].pop("provisionDeviceSecret", None):
        storage.save(PATH, json.dumps(given).encode())
    else:
        # What a copy to the board, broken off since, may have left.
        storage.remove(PATH + ".new")


def tidy(board, credentials):
    """Remove what the attempt left that gave the board its credentials. Raises FirstbootError."""
    if not board.storage.exists(ATTEMPT):
        return
    from firmware.coap.uri import origin
    from firmware.provisioning import record_file

    fields = record_file.load(board)
    if not fields:
        board.storage.remove(ATTEMPT)
    # One that is to replace these credentials goes on.
    elif fields["replaces"] != record_file.fingerprint(board):
        record_file.settle(board, fields, credentials, origin(credentials["server"]))
