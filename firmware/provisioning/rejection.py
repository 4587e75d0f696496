"""For applications: what to do when ThingsBoard takes the credentials no more."""

from firmware.board import config as configuration
from firmware.board import credentials as store
from firmware.board import wifi
from firmware.errors import FirstbootError
from firmware.provisioning.attempt import Attempt

# The attempt of a board that has credentials, which ThingsBoard takes no more.
ATTEMPT_AGAIN = "/attempt_again.json"


def credentials_rejected(board):
    """Call this after a 4.01 (Unauthorized); return new credentials, saved.

    A device that was deleted in ThingsBoard is provisioned again. One whose credentials were
    changed there cannot be: that raises Refused. The old credentials stay on flash until new ones
    are saved. Raises FirstbootError for anything else; call it again later.
    """
    config = configuration.load(board)
    wifi.join(config, board)
    name = config["provisioning"]["deviceName"]
    board.indicator.show("provisioning", 'asking %s for "%s" again' % (config["server"], name))
    # The board keeps it: credentials that came and could not be saved are in it.
    board.attempt_again = board.attempt_again or Attempt(board, ATTEMPT_AGAIN)
    try:
        credentials = board.attempt_again.run(config)
    except FirstbootError as error:
        if error.status != "FAILURE":
            raise
        from firmware.thingsboard.refusals import Refused

        raise Refused(
            'ThingsBoard has a device "%s", but with other credentials than this board' % name,
            "In ThingsBoard, give the device its old credentials back, or delete the device. If"
            " devices are pre-provisioned, delete its server attribute provisionState instead.",
        )
    board.attempt_again = None
    try:
        board.storage.remove(ATTEMPT_AGAIN)
    except FirstbootError as error:
        board.indicator.say(error.what, error.fix)
    board.indicator.show(
        "provisioned", '"%s" has new credentials, saved in %s' % (name, store.CREDENTIALS)
    )
    return credentials
