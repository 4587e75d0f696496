"""firmware.application: app.py is run, or what stands in its way is said."""

import asyncio
import sys

from firmware import application
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import Stub, World

CREDENTIALS = {
    "server": "coap://thingsboard.example.com",
    "deviceName": "sensor-1",
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": "the-token",
}


class Start:
    """One start of the application, with `run` as what app.py has."""

    def __init__(
        self, run=None, restart_after_crash=None, config=True, files=("/app.py",), content=b"# mine"
    ):
        self.world = World()
        for path in files:
            self.world.put(path, content)
        self.tracebacks = []
        self.raised = None
        board = self.world.new_board()
        settings = {"restart_after_crash": restart_after_crash} if config else None
        before = application.sys
        application.sys = Stub(print_exception=self.tracebacks.append)
        if run:
            sys.modules["app"] = Stub(run=run)
        try:
            application.run(board, CREDENTIALS, settings)
        except BaseException as error:
            self.raised = error
        finally:
            application.sys = before
            sys.modules.pop("app", None)
        self.texts = self.world.texts()
        self.resets = board.resets
        self.slept = self.world.clock.slept


def crash(error):
    def run(credentials):
        raise error

    return run


def test_the_application_gets_the_credentials():
    given = []
    start = Start(given.append)
    assert given == [CREDENTIALS]
    assert start.texts == ["application: running app.py"]
    assert start.tracebacks == [] and start.resets == 0 and start.raised is None


def test_the_led_is_off_while_it_runs():
    """Nothing blinks then, so the level has to be right before."""
    assert Start(lambda credentials: None).world.led == 0


def test_no_application():
    start = Start(files=())
    assert start.texts[0] == "application: there is no app.py on the board"
    assert "def run(credentials):" in start.texts[2]
    assert "mpremote cp app.py :app.py" in start.texts[-1]
    assert start.tracebacks == [] and start.resets == 0
    example = "\n".join(text[4:] for text in start.texts[2:-1])
    names = {}
    exec(example, names)
    names["print"] = lambda *texts: None
    names["run"](CREDENTIALS)


def test_a_compiled_application():
    given = []
    start = Start(given.append, files=("/app.mpy",))
    assert given == [CREDENTIALS]
    start = Start(crash(ImportError("no module named 'umqtt'")), files=("/app.mpy",))
    assert "there is no app.py" not in " ".join(start.texts)
    assert len(start.tracebacks) == 1


def test_an_exception_is_shown_with_its_traceback():
    for error in (ValueError("x"), OSError(5), MemoryError(), KeyError("k"), ImportError("umqtt")):
        start = Start(crash(error))
        assert start.texts == [
            "application: running app.py",
            "application: app.py raised %s" % type(error).__name__,
        ]
        assert start.tracebacks == [error]
        assert start.resets == 0 and start.raised is None


def test_an_async_application():
    given = []

    async def run(credentials):
        await asyncio.sleep(0)
        given.append(credentials)

    start = Start(run)
    assert given == [CREDENTIALS]
    assert start.tracebacks == [] and start.raised is None


def test_an_async_application_that_raises():
    async def run(credentials):
        await asyncio.sleep(0)
        raise ValueError("x")

    start = Start(run, restart_after_crash=60)
    assert start.texts[1] == "application: app.py raised ValueError"
    assert len(start.tracebacks) == 1 and start.resets == 1


def test_a_file_that_an_editor_marked():
    for content, what in (
        (b"\xef\xbb\xbfdef run(credentials):\n", "begins with a byte order mark"),
        (b"\xff\xfed\0e\0f\0", "is in UTF-16"),
        (b"\xfe\xff\0d\0e\0f", "is in UTF-16"),
        (b"d\0e\0f\0", "is in UTF-16"),
    ):
        start = Start(crash(SyntaxError("invalid syntax")), content=content)
        assert [text for text in start.texts if text.startswith("app.py %s" % what)], start.texts
        assert start.texts[-1].startswith("  Save it as UTF-8")
    start = Start(crash(SyntaxError("invalid syntax")))
    assert len(start.texts) == 2


def test_an_application_without_run():
    start = Start(files=("/app.py",))
    # There is no app.py that Python could import: that is what an import inside it looks like.
    assert start.texts[-1] == "application: app.py raised %s" % type(start.tracebacks[0]).__name__


def test_a_restart_after_a_crash():
    start = Start(crash(ValueError("x")), restart_after_crash=60)
    assert start.texts[-1] == "restart in 60 s; Ctrl-C for the REPL"
    assert start.resets == 1
    assert start.slept == 60_000


def test_a_restart_after_a_task_that_was_cancelled():
    start = Start(crash(asyncio.CancelledError()), restart_after_crash=60)
    assert start.resets == 1
    assert start.texts[1] == "application: app.py raised CancelledError"


def test_no_restart_unless_config_says_so():
    for options in ({"restart_after_crash": None}, {"config": False}):
        start = Start(crash(ValueError("x")), **options)
        assert start.resets == 0 and start.slept == 0 and start.raised is None


def test_no_restart_after_an_application_that_ends():
    start = Start(lambda credentials: None, restart_after_crash=60)
    assert start.resets == 0 and start.slept == 0


def test_nothing_catches_ctrl_c():
    for error in (KeyboardInterrupt(), SystemExit()):
        start = Start(crash(error), restart_after_crash=60)
        assert start.raised is error
        assert start.tracebacks == [] and start.resets == 0


def test_ctrl_c_before_the_restart():
    world = World()
    world.put("/app.py", b"# an application")
    board = world.new_board()

    def interrupted(ms):
        raise KeyboardInterrupt()

    board.sleep = interrupted
    before = application.sys
    application.sys = Stub(print_exception=lambda error: None)
    sys.modules["app"] = Stub(run=crash(ValueError("x")))
    try:
        raises(KeyboardInterrupt, application.run, board, CREDENTIALS, {"restart_after_crash": 5})
    finally:
        application.sys = before
        del sys.modules["app"]
    assert board.resets == 0


def test_a_file_with_the_name_of_a_module_of_micropython():
    """The firmware takes MicroPython's own; the application its own file."""
    before = {name: sys.modules.get(name) for name in ("json", "machine")}
    # A computer has none.
    sys.modules["machine"] = Stub()
    sys.modules.pop("json", None)
    path = sys.path[:]
    try:
        own = application.native_modules()
        assert "json" in own and sys.modules["json"].loads("[1]") == [1]
        assert "machine" not in own and sys.path == path
    finally:
        for name in before:
            sys.modules.pop(name, None)
            if before[name]:
                sys.modules[name] = before[name]
