"""Why the application does not run. Imported only when that has happened."""

_MARKS = (
    (b"\xef\xbb\xbf", "begins with a byte order mark", "UTF-8 without one"),
    (b"\xff\xfe", "is in UTF-16", "UTF-8"),
    (b"\xfe\xff", "is in UTF-16", "UTF-8"),
)
_RESTART = 60  # s


def explain(board, is_there):
    """Say what is wrong with app.py, as far as the file tells. `is_there`: whether there is one."""
    if not is_there:
        board.indicator.show(
            "application",
            "there is no app.py on the board",
            "Write one:",
            "  def run(credentials):",
            '      print(credentials["deviceName"])',
            "and put it on the board: mpremote cp app.py :app.py",
        )
        return
    content = board.storage.read("/app.py") or b""
    for mark, what, instead in _MARKS:
        if content.startswith(mark):
            board.indicator.say("app.py %s" % what, "Save it as %s." % instead)
            return
    if content[1:2] == b"\0":
        board.indicator.say("app.py is in UTF-16", "Save it as UTF-8.")


def restart_after_crash(board, seconds):
    """Wait, then reset the board."""
    board.indicator.say("restart in %d s; Ctrl-C for the REPL" % seconds)
    board.sleep(seconds * 1000)
    board.reset()


def restart():
    """Wait, then reset the board when the firmware itself is not whole."""
    import time

    import machine

    from firmware.board.indicator import Indicator

    Indicator().say(
        "the firmware is not whole; restart in %d s; Ctrl-C for the REPL" % _RESTART,
        "Put it on the board again: python3 -m tools flash",
    )
    time.sleep(_RESTART)
    machine.reset()
