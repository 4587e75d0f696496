"""What an application imports: this board's device in ThingsBoard, blocking.

device = Device(credentials)
device.on_rpc("setRelay", relay.set)
while True:
    device.send_telemetry({"temperature": 21.5})
    device.wait(60_000)

firmware.aio has the same for asyncio.
"""

from time import ticks_add, ticks_diff

from micropython import const

from firmware.coap.steps import drive
from firmware.errors import FirstbootError
from firmware.memory import drop_half_loaded
from firmware.retry import bug
from firmware.session import Session

# ms after which an observation is registered again.
REFRESH = const(300_000)

LONGEST = const((1 << 29) - 1)  # ms that ticks can count: 6 days
_IDLE = const(50)  # ms


class Device:
    """A device that reports, obeys and is configured; it joins, connects and heals by itself.

    No method raises what time cures. `credentials`: what run() was given. `queue`: the most bytes
    of telemetry that wait while ThingsBoard cannot be reached; `keeps`: what stays when there are
    more, "newest" or "oldest"; `persist`: whether they are kept on flash, too. `refresh`: after how
    many ms an observation is registered again, since ThingsBoard and the routers before it can
    forget it without a word. `awake`: after how many ms nothing is asked or waited for any more,
    for a board that then sleeps; None for never. `board`, `connect`: for tests, a
    firmware.board.hardware.Board and firmware.coap.connect's function.
    """

    def __init__(
        self,
        credentials,
        queue=4096,
        keeps="newest",
        persist=False,
        refresh=REFRESH,
        awake=None,
        board=None,
        connect=None,
    ):
        if board is None:
            from firmware.board.hardware import Board

            board = Board()
        what = board, credentials, queue, keeps, persist, refresh, connect
        if awake or board.recall() or board.exists("/asleep.json"):
            from firmware import sleep

            self.session = sleep.Session(awake, *what)
        else:
            self.session = Session(*what)
        self.session.is_expecting = board.trial or _asks_for_updates(board)

    @property
    def dropped(self):
        """How many readings there was no room or no memory for."""
        return self.session.backlog.queue.dropped

    @property
    def waiting(self):
        """How many readings wait to be sent."""
        return len(self.session.backlog.queue)

    def on_state(self, handler):
        """Call `handler(state, text)` when the link changes: "connected", "failed", "refused"."""
        self.session.on_state = handler

    def on_attributes(self, handler):
        """Call `handler(values)` with all shared attributes, then with each change of them.

        None as a value: the attribute was deleted.
        """
        self.session.observe().observe_attributes(handler)

    def on_rpc(self, method, handler=None):
        """Call `handler(params)` when ThingsBoard calls `method`; its return value is the reply.

        A reply is an object: anything but a dictionary goes as {"result": …}. Without a method,
        `on_rpc(handler)`: call `handler(method, params)` for each other method.
        """
        if handler is None:
            method, handler = None, method
        self.session.observe().observe_calls(method, handler)

    def send_telemetry(self, values, ts=None, confirm=True):
        """Send telemetry; return whether nothing waits to be sent.

        `values`: a dictionary, or a list of {"ts": …, "values": …} for several at once. `ts`: when
        it was, in ms since 1970; by default now, if the clock is known. What cannot be sent now
        waits, and is confirmed. `confirm`: without it, one datagram goes out once, and may get
        lost. Raises ValueError for what JSON cannot say, and for a reading that the queue is too
        small for.
        """
        try:
            self.session.backlog.put(values, ts, confirm)
        except MemoryError as error:
            self._short_of_memory(error)
        return self._work(confirm)

    def send_attributes(self, values):
        """Send client attributes, a dictionary; return whether nothing waits to be sent.

        Of each attribute the last value waits while ThingsBoard cannot be reached.
        """
        try:
            self.session.backlog.put_attributes(values)
        except MemoryError as error:
            self._short_of_memory(error)
        return self._work()

    def request_attributes(self, client_keys=(), shared_keys=()):
        """Return {"client": {…}, "shared": {…}}: the attributes of these keys that exist.

        Without any keys: all attributes.
        Raises FirstbootError when ThingsBoard does not answer.
        """
        from firmware.requests import request_attributes

        return self._drive(request_attributes(self.session, client_keys, shared_keys))

    def call_rpc(self, method, params=None, timeout=10_000):
        """Call a method of ThingsBoard's rule chain; return its reply.

        Raises FirstbootError when none came within `timeout` ms.
        """
        from firmware.requests import call_rpc

        return self._drive(call_rpc(self.session, method, params, timeout))

    def claim(self, secret_key=None, duration=None):
        """Let a customer claim the device, with a secret if need be, for `duration` ms.

        Raises FirstbootError when ThingsBoard does not answer.
        """
        from firmware.requests import claim

        return self._drive(claim(self.session, secret_key, duration))

    def wait(self, ms):
        """Wait so long; meanwhile send what waits, and answer calls and changes."""
        session = self.session
        end = ticks_add(session.board.ticks(), min(int(ms), LONGEST))
        while True:
            try:
                if session.is_due():
                    self._drive(session.work())
                job = session.next_job()
                if job:
                    session.observed.finish(job, self._call(job[0], job[1]))
                    continue
            except MemoryError as error:
                self._short_of_memory(error)
            left = ticks_diff(end, session.board.ticks())
            if left <= 0:
                return
            session.keep()
            if not session.is_due():
                session.hear(min(left, _IDLE))

    def sleep(self, ms):
        """Send what waits, take what waits in ThingsBoard, then sleep deep for so long.

        What could not be sent is kept, with or without `persist`: telemetry, client attributes and
        replies to calls, in the memory that an ESP32 has for it, else on flash. The board starts
        anew when it wakes.
        """
        from firmware import sleep

        for left in sleep.windows(self.session):
            self.wait(left)
        sleep.deep(self.session, int(ms))

    def confirm_update(self):
        """Say that this version works: an update on trial is not rolled back any more."""
        trial = self.session.board.trial
        if trial:
            trial.confirm()

    def close(self):
        """Give the connection and its memory back; keep what waits on flash, with `persist`."""
        self.session.close()

    def _work(self, confirm=True):
        """Send what waits; return whether nothing waits any more."""
        try:
            return self._drive(self.session.work(confirm))
        except MemoryError as error:
            self._short_of_memory(error)
            return False

    def _short_of_memory(self, error):
        """Give back the connection's memory, and say so, unless the last try failed anyway."""
        drop_half_loaded()
        if not self.session.waits():
            self.session.failed(error)

    def _drive(self, steps):
        """Run steps to their end; return what they return."""
        return drive(steps, self.session.receive)

    def _call(self, handler, arguments):
        """Call a handler; return what it returns, or what its exception is to ThingsBoard."""
        try:
            return handler(*arguments)
        except Exception as error:
            return bug(error)


def _asks_for_updates(board):
    try:
        return b'"update"' in (board.storage.read("/config.json") or b"")
    except FirstbootError:
        return False
