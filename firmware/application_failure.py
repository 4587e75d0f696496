"""Why the application does not run. Imported only when that has happened."""

_SAVE_IT = "Save it as UTF-8, without a byte order mark."
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
    if content.startswith(b"\xef\xbb\xbf"):
        board.indicator.say("app.py begins with a byte order mark", _SAVE_IT)
    elif content[:2] in (b"\xff\xfe", b"\xfe\xff") or content[1:2] == b"\0":
        board.indicator.say("app.py is in UTF-16", _SAVE_IT)


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

    indicator = Indicator()
    indicator.say(
        "the firmware is not whole; restart in %d s; Ctrl-C for the REPL" % _RESTART,
        "Put it on the board again: python3 -m tools flash",
    )
    time.sleep(_RESTART)
    machine.reset()
