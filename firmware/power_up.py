"""From power-up to credentials: the procedure, top to bottom.

credentials on flash?  ── yes ──────────────────────────────► the application
    │ no
read config.json, join the Wi-Fi   (or ask a person for it, where config.json says so)
    │
save the attempt, then ask ThingsBoard   (after silence: the same bytes again)
    │
    ├─ SUCCESS ──► save the credentials, acknowledge ───────► the application
    ├─ FAILURE ──► probe the token that was proposed: ours ─► the application
    └─ anything else ──► say what to do, wait, start over

Each step imports what it needs, which is then given back: a board has little memory, and one that
is provisioned needs none of it.
"""

import gc

# What stays is loaded first: else it lies between what is given back, and no large piece is free.
import firmware.errors  # noqa: F401
from firmware.board.storage import CREDENTIALS
from firmware.memory import CLIENT, give_back, give_back_room

_PREPARED = (
    "board.credentials provisioning.preparation provisioning.record_file thingsboard.provisioning"
)


def power_up(board):
    """Return (credentials, config) as soon as the board is provisioned.

    `config` is None when the board is provisioned and its config.json cannot be used.
    """
    _say_first_line(board)
    attempt = trouble = onboarding = failures = None
    while True:
        try:
            credentials = _load_credentials(board)
            if credentials:
                if onboarding:
                    # Something went wrong after they were saved.
                    ended, onboarding = onboarding, None
                    _end(ended, credentials["deviceName"])
                config = _find(board, credentials)
                _watch_button(board, config)
                give_back()
                return credentials, config
            if not (attempt or (failures and failures.failed)):
                board.use_led("LED")
            config = _read_config(board, missing := [])
            _prepare(board, config)
            give_back()
            if config["onboarding"]:
                onboarding = onboarding or _new_onboarding(board, config)
                if not onboarding.join(config, missing, trouble):
                    trouble = None
                    continue
                onboarding.tell()
            else:
                _join(board, config, trouble)
            give_back()
            attempt = attempt or _new_attempt(board)
            credentials = _provision(board, attempt, config)
            # What is left to do wants its memory.
            attempt = None
            # Before a person reads that all is done, and takes the power away.
            is_done = _finish(board, credentials, config)
            if onboarding:
                # Once, whatever goes wrong in it or later.
                ended, onboarding = onboarding, None
                _end(ended, config["provisioning"]["deviceName"])
            if is_done:
                _keep(board, credentials, config)
            _watch_button(board, config)
            give_back()
            return credentials, config
        except Exception as error:
            trouble = error
        give_back()
        give_back(CLIENT)
        # Here, where the stack is short: a longer one still shows where what is freed was.
        gc.collect()
        failures = failures or _new_failures()
        trouble, wait = failures.note(board, trouble)
        if onboarding:
            onboarding.tell(trouble)
        (onboarding or board).sleep(wait)


def _say_first_line(board):
    from firmware.board.kept import first_line

    board.indicator.say(first_line(board))


def _load_credentials(board):
    from firmware.board import credentials

    return credentials.load(board.storage)


def _find(board, credentials):
    from firmware.provisioning.found import find

    return find(board, credentials, _ask_for_wifi)


def _ask_for_wifi(board, config, missing):
    """Let a person give another Wi-Fi where it is due; return whether it was."""
    if not missing and config["onboarding_pin"] is None:
        return False
    from firmware.onboarding.another_wifi import another_wifi

    another_wifi(board, config, missing)
    give_back_room("onboarding")
    return True


def _new_failures():
    from firmware.failures import Failures

    return Failures()


def _read_config(board, missing):
    from firmware.board import config

    return config.load(board, False, missing)


def _new_onboarding(board, config):
    from firmware.onboarding.story import Story

    return Story(board, config)


def _join(board, config, trouble):
    from firmware.board import wifi

    wifi.join(config, board, trouble)


def _new_attempt(board):
    from firmware.provisioning.attempt import Attempt

    return Attempt(board)


def _end(onboarding, name):
    """Let a person read that the board is provisioned, and as what; then end onboarding."""
    from firmware.retry import unexpected

    try:
        onboarding.finish(name)
    except Exception as error:
        # Of whatever class: the application would run without Ctrl-C, beside an access point.
        unexpected(error)
    onboarding.close()
    give_back_room("onboarding")


def _watch_button(board, config):
    """From now on, whoever holds the button restarts the board into onboarding."""
    if config and config["onboarding"] and config["onboarding_pin"] is not None:
        from firmware.onboarding.button import Button

        Button(board, config["onboarding_pin"], board.reset)


def _prepare(board, config):
    from firmware.board.kept import prepare

    board.use_led(config["led"])
    if config["secure"]:
        from firmware.board.config_mistakes import dangers

        for danger in dangers(config, False):
            board.indicator.say(danger)
        # What is wrong with the certificates is said before the radio is on.
        board.sessions(config)
    prepare(board, config)


def _provision(board, attempt, config):
    name = config["provisioning"]["deviceName"]
    board.indicator.show("provisioning", 'asking %s for "%s"' % (config["server"], name))
    attempt.prepare(config)
    give_back(_PREPARED)
    gc.collect()
    attempt.run(config)
    # Here, where the stack is short; then the save has the memory.
    give_back(CLIENT)
    gc.collect()
    credentials = attempt.save()
    board.indicator.show(
        "provisioned",
        '"%s" has its %s, saved in %s' % (name, credentials["credentialsType"], CREDENTIALS),
    )
    return credentials


def _finish(board, credentials, config):
    give_back()
    give_back(CLIENT)
    from firmware.provisioning.tidying import finish

    return finish(board, credentials, config)


def _keep(board, credentials, config):
    from firmware.provisioning.tidying import keep

    keep(board, credentials, config)
