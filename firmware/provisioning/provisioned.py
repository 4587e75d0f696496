"""What a board with credentials has left to do: tidy up, and say where config.json differs."""

from firmware.board.credentials import ATTEMPT
from firmware.errors import FirstbootError


def finish(board, credentials, config):
    """Remove what is needed no more, and say what is other in config.json.

    What cannot be removed is said, and can wait for the next power-up.
    """
    try:
        board.storage.remove(ATTEMPT)
        if config["forget_secret"]:
            from firmware.board.config import forget_secret

            forget_secret(board)
    except FirstbootError as error:
        board.indicator.say(*str(error).split("\n"))
    for field, wanted in (
        ("server", config["server"]),
        ("deviceName", config["provisioning"]["deviceName"]),
    ):
        if credentials[field] != wanted:
            board.indicator.say(
                '%s is "%s" in config.json, but the board is provisioned with "%s"'
                % (field, wanted, credentials[field]),
                "To provision it anew: mpremote rm :credentials.json, then reset.",
            )
