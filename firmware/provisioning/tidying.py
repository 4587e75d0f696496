"""What is left to do once there are credentials: what is needed no more goes, the rest is kept.

What each power-up says, what differs or is doubtful in config.json, is found out for that.
"""

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


def remarks_on(board, credentials, config):
    """Return what each power-up says of config.json, a list of lines each."""
    from firmware.board.config_doubts import all_doubts

    remarks = []
    doubtful = all_doubts(board.storage.read("/config.json"), config, board.chip)
    if doubtful:
        remarks.append(["config.json should be corrected"] + doubtful)
    server = credentials["server"]
    if config["secure"]:
        from firmware.board.config_mistakes import dangers

        for danger in dangers(config, True):
            remarks.append([danger])
        if not server.lower().startswith("coaps:"):
            remarks.append(["the board is provisioned over coap: all it sends is in the clear"])
    return remarks + _differences(credentials, config)


def _differences(credentials, config):
    server = credentials["server"]
    name = credentials["deviceName"]
    wanted = config["provisioning"]["deviceName"]
    differences = []
    if server != config["server"] and _origin(server) != config["origin"]:
        differences.append(("server", server, config["server"]))
    if name != wanted:
        differences.append(("deviceName", name, wanted))
    remarks = []
    for field, known, other in differences:
        remarks.append(
            [
                '%s is "%s" in config.json, but the board is provisioned with "%s"'
                % (field, other, known)
            ]
        )
    if differences:
        anew = [
            'To provision it anew: if ThingsBoard at %s has a device "%s", delete it there'
            " first," % (config["server"], wanted),
            "or its server attribute provisionState if devices are pre-provisioned there.",
        ]
        if len(differences) == 1 and name != wanted and _is_given(credentials, config):
            anew.append('Delete "%s" too if it has what this board asks with: no two can.' % name)
        anew.append("Then: python3 -m tools reset --credentials")
        remarks.append(anew)
    return remarks


def _is_given(credentials, config):
    """Return whether the credentials can be what config.json gives, and gives again."""
    request = config["provisioning"]
    kind = credentials["credentialsType"]
    if kind == "ACCESS_TOKEN":
        return credentials["credentialsValue"] == request["token"]
    return kind == request["credentialsType"] or (config["certificate"] and kind[:4] == "X509")


def _origin(server):
    from firmware.coap.uri import origin

    return origin(server)
