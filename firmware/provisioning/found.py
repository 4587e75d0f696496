"""What a power-up does with credentials that were found: it looks whether config.json says so, too.

Imported only then: a board whose config.json nobody has changed starts without.
"""

from firmware.board.kept import found_line
from firmware.errors import FirstbootError
from firmware.memory import give_back
from firmware.retry import unexpected


def find(board, credentials, ask_for_wifi):
    """Report credentials that were found; return config.json, or None when it cannot be used.

    `ask_for_wifi(board, config, missing)`: lets a person give another Wi-Fi, see firmware.power_up.
    """
    board.indicator.show("provisioned", found_line(credentials))
    config = None
    remarks = []
    try:
        config = _read_config(board, missing := [])
        _prepare(board, config)
        if config["onboarding"]:
            if ask_for_wifi(board, config, missing):
                config = _read_config(board, [])
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
    give_back()
    if is_done:
        _keep(board, credentials, config, remarks)
    return config


def _read_config(board, missing):
    from firmware.board import config

    return config.load(board, True, missing)


def _prepare(board, config):
    from firmware.board.kept import prepare

    board.use_led(config["led"])
    prepare(board, config)


def _finish(board, credentials, config):
    give_back()
    from firmware.provisioning.tidying import finish

    return finish(board, credentials, config)


def _remarks(board, credentials, config):
    from firmware.provisioning.tidying import remarks_on

    return remarks_on(board, credentials, config)


def _keep(board, credentials, config, remarks):
    from firmware.provisioning.tidying import keep

    keep(board, credentials, config, remarks)
