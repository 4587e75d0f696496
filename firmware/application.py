"""Hand over to the user's application, /app.py."""

import sys


def run(board, credentials, config):
    """Run app.py's run(credentials); show what it raises and restart if config.json says so."""
    exists = board.storage.exists
    try:
        if not (exists("/app.py") or exists("/app.mpy")):
            board.indicator.show(
                "application",
                "there is no app.py on the board",
                "Write one:",
                "  def run(credentials):",
                '      print(credentials["deviceName"])',
                "and put it on the board: mpremote cp app.py :app.py",
            )
            return
        board.indicator.show("application", "running app.py")
        import app

        app.run(credentials)
        return
    except Exception as error:
        board.indicator.show("application", "app.py raised %s" % type(error).__name__)
        sys.print_exception(error)
    seconds = config and config["restart_after_crash"]
    if seconds:
        board.indicator.say("restart in %d s; Ctrl-C for the REPL" % seconds)
        board.sleep(seconds * 1000)
        board.reset()
