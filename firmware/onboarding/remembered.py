"""What onboarding remembers of a config.json through power-ups: /onboarding.json, with no secret.

It is about one config.json, by content: another one has never joined, and nobody gave it.
"""

import json
from hashlib import sha256

from firmware.board.config import PATH as CONFIG
from firmware.board.storage import CREDENTIALS
from firmware.errors import FirstbootError

PATH = "/onboarding.json"


def recall(board):
    """Return whether the board has joined with its config.json, and the keys that a person gave it.

    The keys are those of firmware.onboarding.candidate.SERVER.
    """
    storage = board.storage
    try:
        found = json.loads(storage.read(PATH) or b"{}")
        if found["of"] == _digest(storage.read(CONFIG)):
            return True, [str(key) for key in found["given"]]
    except (ValueError, TypeError, KeyError):
        # Nothing is remembered.
        pass
    return storage.exists(CREDENTIALS), []


def remember(board, given, content=None):
    """Note that the board has joined with a config.json. Raises FirstbootError.

    `given`: see `recall`. `content`: its bytes, None for those of the file.
    """
    storage = board.storage
    content = content or storage.read(CONFIG)
    storage.save(PATH, json.dumps({"of": _digest(content), "given": given}).encode())


def note_joined(board, given):
    """Remember config.json as it is; without room for that a later power-up asks once more."""
    try:
        remember(board, given)
    except FirstbootError as error:
        board.indicator.say(*str(error).split("\n"))


def _digest(content):
    return sha256(content or b"").digest().hex()
