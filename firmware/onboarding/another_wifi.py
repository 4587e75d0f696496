"""Another Wi-Fi for a board that is provisioned: it has moved, or has none in config.json."""

from firmware.onboarding.story import Story


def another_wifi(board, config, missing):
    """Ask a person for a Wi-Fi if the board has none, or somebody presses the button now.

    `config`, `missing`: see firmware.board.config.load. It takes an hour at most; then the board
    goes on as it is. Raises FirstbootError when more than the Wi-Fi is missing.
    """
    if len(missing) > 1 or (missing and missing[0] != "wifi.ssid"):
        from firmware.board.config import load

        # They are mistakes now.
        load(board, True)
    story = Story(board, config, True)
    try:
        if (missing or story.opening.is_wanted) and story.serve(config, missing):
            story.finish(config["provisioning"]["deviceName"])
    finally:
        story.close()
