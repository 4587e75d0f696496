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

from firmware.board.storage import CREDENTIALS
from firmware.errors import FirstbootError
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
                return credentials, _find(board, credentials)
            if not (attempt or (failures and failures.failed)):
                board.use_led("LED")
            config = _read_config(board, False, missing := [])
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
                asked = config["server"], config["provisioning"]["deviceName"]
                remarks = []
                if config["secure"] or asked != (credentials["server"], credentials["deviceName"]):
                    remarks = _remarks(board, credentials, config)
                _keep(board, config, remarks)
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


def _new_failures():
    from firmware.failures import Failures

    return Failures()


def _read_config(board, provisioned, missing):
    from firmware.board import config

    return config.load(board, provisioned, missing)


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


def _find(board, credentials):
    """Report credentials that were found; return config.json, or None when it cannot be used."""
    from firmware.board.kept import found_line
    from firmware.retry import unexpected

    board.indicator.show("provisioned", found_line(credentials))
    config = None
    remarks = []
    try:
        config = _read_config(board, True, missing := [])
        _prepare(board, config, provisioned=True)
        if config["onboarding"]:
            config = _ask_for_wifi(board, config, missing)
            missing = config["networks"][0]["name"] == b""
        is_done = _finish(board, credentials, config) and not missing
        remarks = _remarks(board, credentials, config)
    except FirstbootError as error:
        is_done = True
        remarks.append(["config.json is not used"] + str(error).split("\n"))
    except Exception as error:
        # Of whatever class: the application runs all the same.
        is_done = False
        remarks.append(["config.json is not used"] + str(unexpected(error)).split("\n"))
    for remark in remarks:
        board.indicator.say(*remark)
    if is_done:
        _keep(board, config, remarks)
    _watch_button(board, config)
    give_back()
    return config


def _ask_for_wifi(board, config, missing):
    """Let a person give another Wi-Fi; return config.json as it is then."""
    if missing or config["onboarding_pin"] is not None:
        from firmware.onboarding.another_wifi import another_wifi

        another_wifi(board, config, missing)
        give_back_room("onboarding")
        config = _read_config(board, True, [])
    return config


def _watch_button(board, config):
    """From now on, whoever holds the button restarts the board into onboarding."""
    if config and config["onboarding"] and config["onboarding_pin"] is not None:
        from firmware.onboarding.button import Button

        Button(board, config["onboarding_pin"], board.reset)


def _prepare(board, config, provisioned=False):
    board.use_led(config["led"])
    if config["secure"] and not provisioned:
        from firmware.board.config_mistakes import dangers

        for danger in dangers(config, provisioned):
            board.indicator.say(danger)
        # What is wrong with the certificates is said before the radio is on.
        board.sessions(config)
    if config["watchdog"]:
        board.start_watchdog(config["watchdog"])
    if config["codec"] != "firmware":
        from firmware.board.kept import use_codec

        use_codec(config["codec"])


def _provision(board, attempt, config):
    name = config["provisioning"]["deviceName"]
    board.indicator.show("provisioning", 'asking %s for "%s"' % (config["server"], name))
    attempt.prepare(config)
    give_back(_PREPARED)
    gc.collect()
    credentials = attempt.run(config)
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


def _remarks(board, credentials, config):
    from firmware.provisioning.remarks import remarks_on

    return remarks_on(board, credentials, config)


def _keep(board, config, remarks):
    """Keep what the next start needs; without it that start looks at everything again."""
    give_back()
    from firmware.board.kept import keep

    try:
        keep(board, config, remarks)
    except FirstbootError as error:
        board.indicator.say(*str(error).split("\n"))
