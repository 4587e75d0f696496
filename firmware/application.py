"""Hand over to the user's application, /app.py."""

import sys

_EXAMPLE = (
    "Write one with a function run(credentials):",
    "  def run(credentials):",
    '      print("this is", credentials["deviceName"])',
    "and put it on the board: mpremote cp app.py :app.py",
)


def run(board, credentials, config):
    """Run app.py's run(credentials); show what it raises and restart if config.json says so."""
    try:
        if not (board.storage.exists("/app.py") or board.storage.exists("/app.mpy")):
            board.indicator.show("application", "there is no app.py on the board", *_EXAMPLE)
            return
        board.indicator.show("application", "running app.py")
        import app

        app.run(credentials)
        return
    except Exception as error:
        crash = error
    board.indicator.show("application", "app.py raised %s" % type(crash).__name__)
    sys.print_exception(crash)
    seconds = config and config["restart_after_crash"]
    if seconds:
        board.indicator.say("restart in %d s; Ctrl-C for the REPL" % seconds)
        board.sleep(seconds * 1000)
        board.reset()
