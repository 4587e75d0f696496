"""What an application with asyncio imports: firmware.device's Device, whose methods are awaited.

device = Device(credentials)
device.on_rpc("setRelay", set_relay)        # a function, or an async one
while True:
    await device.send_telemetry({"temperature": 21.5})
    await device.wait(60_000)
"""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

from firmware import device
from firmware.memory import drop_half_loaded
from firmware.retry import bug

_POLL = const(20)  # ms


class Device(device.Device):
    """See firmware.device.Device. What sends, asks or waits is awaited; several tasks may.

    One task at least has to be in `wait`, for calls and changes to be answered. What holds the
    other tasks is what MicroPython does in one piece: looking up the server's address, looking for
    networks, saving a file, and a step of a DTLS handshake, up to some 2 s each.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._lock = asyncio.Lock()
        self.session.board.in_steps = True

    async def wait(self, ms):
        """Wait so long; meanwhile send what waits, and answer calls and changes."""
        session = self.session
        end = ticks_add(session.board.ticks(), min(int(ms), device.LONGEST))
        while True:
            try:
                if session.is_due():
                    await self._drive(session.work())
                job = session.next_job()
                if job:
                    session.observed.finish(job, await self._call(job[0], job[1]))
                    continue
            except MemoryError as error:
                self._short_of_memory(error)
            left = ticks_diff(end, session.board.ticks())
            if left <= 0:
                return
            session.keep()
            if not session.is_due():
                await asyncio.sleep_ms(min(left, _POLL))
                # A request that another task makes hears all that comes.
                if session.client and not self._lock.locked():
                    session.hear(0)

    async def sleep(self, ms):
        """Send what waits, take what waits in ThingsBoard, then sleep deep for so long."""
        from firmware import sleep

        for left in sleep.windows(self.session):
            await self.wait(left)
        sleep.deep(self.session, int(ms))

    async def _work(self, confirm=True):
        try:
            return await self._drive(self.session.work(confirm))
        except MemoryError as error:
            self._short_of_memory(error)
            return False

    def _short_of_memory(self, error):
        if self._lock.locked():
            # Another task's request needs the connection.
            drop_half_loaded()
        else:
            super()._short_of_memory(error)

    async def _drive(self, steps):
        async with self._lock:
            try:
                timeout = next(steps)
                while True:
                    try:
                        datagram = await self._arrival(timeout)
                    except Exception as error:
                        timeout = steps.throw(error)
                    else:
                        timeout = steps.send(datagram)
            except StopIteration as end:
                return end.value
            finally:
                steps.close()

    async def _arrival(self, timeout):
        """Wait up to so long, in ms; return a datagram, or None."""
        board = self.session.board
        end = ticks_add(board.ticks(), timeout)
        while True:
            board.idle()
            datagram = self.session.receive(0)
            left = ticks_diff(end, board.ticks())
            if datagram is not None or left <= 0:
                return datagram
            await asyncio.sleep_ms(min(left, _POLL))

    async def _call(self, handler, arguments):
        """Call a handler; return what it returns, or what its exception is to ThingsBoard."""
        try:
            result = handler(*arguments)
            return await result if hasattr(result, "send") else result
        except Exception as error:
            return bug(error)
