"""For applications: what to do when ThingsBoard takes the credentials no more."""

from firmware.board import config as configuration
from firmware.board import credentials as store
from firmware.board import wifi
from firmware.coap.steps import drive
from firmware.errors import FirstbootError
from firmware.provisioning.attempt import Attempt
from firmware.provisioning.record import ATTEMPT, encoded
from firmware.provisioning.record_file import fingerprint, load
from firmware.provisioning.tidying import finish

# Where a board that has credentials may keep its attempt, too.
_ATTEMPT_AGAIN = "/attempt_again.json"


def credentials_rejected(board):
    """Call this after a 4.01 (Unauthorized); return new credentials, saved.

    A device that was deleted in ThingsBoard is provisioned again. One whose credentials were
    changed there cannot be: that raises Refused. The old credentials stay on flash until new ones
    are saved. Raises FirstbootError for anything else; call it again later.
    """

    def receive(timeout):
        if board.attempt_again:
            return board.attempt_again.receive(timeout)
        board.sleep(timeout)

    return drive(rejection_steps(board), receive)


def rejection_steps(board):
    """The steps of `credentials_rejected`: `board.attempt_again.receive` is what receives."""
    config = configuration.load(board, provisioned=True)
    for key in ("provisionDeviceKey", "provisionDeviceSecret"):
        if config["provisioning"][key] is None:
            from firmware.board.config_mistakes import config_error

            raise config_error(
                "`provisioning.%s` is missing; to ask for new credentials takes it" % key,
                "Put it back into config.json; the device profile shows it.",
            )
    yield from wifi.join_steps(config, board)
    name = config["provisioning"]["deviceName"]
    board.indicator.show("provisioning", 'asking %s for "%s" again' % (config["server"], name))
    if not board.attempt_again:
        replaces = fingerprint(board)
        _move_attempt(board, replaces)
        # The board keeps it: credentials that came and could not be saved are in it.
        board.attempt_again = Attempt(board, replaces)
    board.attempt_again.prepare(config)
    try:
        yield from board.attempt_again.steps(config)
    except FirstbootError as error:
        if error.status != "FAILURE":
            raise
        from firmware.thingsboard.answers import changed_or_deleted

        old = store.load(board.storage)
        raise changed_or_deleted(old["deviceName"] if old else name, name)
    credentials = board.attempt_again.save()
    board.attempt_again = None
    finish(board, credentials)
    board.indicator.show(
        "provisioned", '"%s" has new credentials, saved in %s' % (name, store.CREDENTIALS)
    )
    return credentials


def _move_attempt(board, replaces):
    """Let an attempt in its other place go on in /attempt.json, unless it has succeeded."""
    storage = board.storage
    fields = load(board, _ATTEMPT_AGAIN)
    credentials = store.load(storage)
    if fields and not storage.exists(ATTEMPT):
        rejected = credentials and credentials["credentialsValue"]
        tokens = [each for each in fields["tokens"] if each["token"] != rejected]
        fields.update(replaces=replaces, tokens=tokens)
        storage.save(ATTEMPT, encoded(fields))
    storage.remove(_ATTEMPT_AGAIN)
