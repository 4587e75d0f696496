"""The client with asyncio: many requests and observations on one socket, one at a time on the wire.

client = await connect("coap://thingsboard.example.com")
response = await client.get("/api/v1/TOKEN/attributes")
"""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

from . import client
from .connect import connect as connect_client

_POLL = const(10)  # ms


async def connect(uri, secure=None, **options):
    """Return a Client for a server, see firmware.coap.connect.

    `secure`: what makes a DTLS session of (transport, host) for coaps, for which no other task
    waits when it is firmware.coap.dtls_steps's. They do wait while the server's name is looked up:
    MicroPython has no other way.
    """
    made = connect_client(uri, secure, Client, **options)
    advance = getattr(made.transport, "advance", None)
    is_open = not advance
    try:
        while not is_open:
            is_open = advance()
            if made.idle:
                made.idle()
            await made.pause(_POLL)
        return made
    finally:
        if not is_open:
            made.close()


class Client(client.Client):
    """firmware.coap.client's, whose `request`, `get`, `post`, `observe` and `wait` are awaited.

    Requests that are made at the same time wait for each other: NSTART is 1 (RFC 7252 section
    4.7). While one task waits for a response, observations get what comes for them.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._lock = asyncio.Lock()

    async def drive(self, steps):
        """Run steps to their end; return what they return."""
        async with self._lock:
            try:
                timeout = next(steps)
                while True:
                    timeout = steps.send(await self._arrival(timeout))
            except StopIteration as end:
                return end.value
            finally:
                steps.close()

    async def wait(self, ms):
        """Give observations what comes within so long."""
        end = ticks_add(self.ticks(), ms)
        while True:
            while self.later:
                await self.drive(self.later[0].finish(self))
            # A request that another task makes takes it itself.
            datagram = None if self._lock.locked() else self.receive(0)
            if datagram is not None:
                self.take(datagram)
                continue
            left = ticks_diff(end, self.ticks())
            if left <= 0:
                return
            await self.pause(left)

    async def _arrival(self, timeout):
        """Wait up to `timeout` ms; return a datagram, or None."""
        end = ticks_add(self.ticks(), timeout)
        while True:
            datagram = self.receive(0)
            left = ticks_diff(end, self.ticks())
            if datagram is not None or left <= 0:
                return datagram
            await self.pause(left)

    async def pause(self, left):
        """Let other tasks run for up to so many ms."""
        await asyncio.sleep_ms(min(left, _POLL))
