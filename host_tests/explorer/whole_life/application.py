"""The application of a board that is lived through, and what it looks at."""

from __future__ import annotations

import asyncio
import inspect
from random import Random

from firmware import aio, device
from firmware.errors import FirstbootError
from host_tests.explorer.at_work.awaited import Loop
from host_tests.explorer.board import replaced
from host_tests.explorer.run import Violation
from host_tests.explorer.whole_life.plan import HOUR, RAISES_LATE

STEP = 60_000  # ms that it waits when it has nothing to do, and the Device at once


class Raised(Exception):
    """What a broken application raises."""


class Application:
    """What runs in one power-up of a Life. One text for both kinds of Device: what it awaits is
    there at once when that is the blocking one."""

    def __init__(self, life, credentials: dict, does: str):
        self.life = life
        self.does = does
        self.began = life.wire.now
        self.plan = plan = life.plan
        self.random = Random(f"application {plan.seed}/{life.power_ups}")
        self.has_asked = False  # for what is asked for in the end
        self.client: int | None = None  # the client attribute that was sent last
        self.device = (aio if plan.is_awaited else device).Device(
            credentials,
            queue=plan.queue,
            keeps=plan.keeps,
            persist=plan.persist,
            refresh=plan.refresh,
            awake=plan.awake if plan.sleeps else None,
            board=life.board,
            connect=life.connect,
        )
        life.watch_drops(self.device.session.backlog.queue)
        self.device.on_attributes(self._on_attributes)
        self.device.on_rpc(self._on_call)

    def run(self) -> None:
        """Run until the life is over, or what ends the power-up is raised."""
        if not self.plan.is_awaited:
            _done(self._live())
            return
        wire = self.life.wire
        loop = Loop(lambda: wire.now, wire.advance, self.life.listen)
        with replaced((asyncio, "sleep_ms", loop.sleep_ms)):
            loop.run(self._live_awaited())

    async def _live_awaited(self) -> None:
        self.is_over = False
        await asyncio.gather(self._live(), self._attend())

    async def _attend(self) -> None:
        while not self.is_over:
            await self.device.wait(STEP)

    async def _live(self) -> None:
        life = self.life
        while self.plan.sleeps or not life.ending.is_over(self):
            if self.does == RAISES_LATE and life.wire.now - self.began > HOUR:
                raise Raised
            if not life.ending.is_begun:
                await self._work()
            elif life.ending.is_examined and not self.has_asked:
                self.has_asked = True
                await self._measure(1)
                await self._set_attribute()
                await self._ask_attributes(is_calm=True)
                await self._call(is_calm=True)
            if self.plan.sleeps:
                await self._do(self.device.sleep(self.plan.sleeps))
            await self._pause(STEP if life.ending.is_begun else self.plan.every)
        self.is_over = True

    async def _work(self) -> None:
        """What an application does now and then, and readings each time."""
        await self._measure(self.random.randint(1, self.plan.burst))
        drawn = self.random.random()
        if drawn < 0.1:
            await self._set_attribute()
        elif drawn < 0.2:
            await self._ask_attributes()
        elif drawn < 0.3:
            await self._call()

    async def _measure(self, count: int) -> None:
        for _ in range(count):
            number, is_confirmed = self.life.take_reading()
            await self._do(self.device.send_telemetry({"r": number}, confirm=is_confirmed))

    async def _set_attribute(self) -> None:
        self.client = self.life.wire.now
        await self._do(self.device.send_attributes({"c": self.client}))

    async def _ask_attributes(self, is_calm: bool = False) -> None:
        """`is_calm`: there has to be an answer."""
        began = self.life.wire.now
        try:
            found = await self._do(self.device.request_attributes((), ["n", "a"]))
        except FirstbootError as error:
            if is_calm:
                raise Violation(f"attributes were asked for in vain: {error}") from error
            return
        self.life.check_asked(found["shared"], began)

    async def _call(self, is_calm: bool = False) -> None:
        number = self.life.wire.now
        try:
            reply = await self._do(self.device.call_rpc("ask", number))
        except FirstbootError as error:
            if is_calm:
                raise Violation(f"ThingsBoard was called in vain: {error}") from error
            return
        if reply != {"to": number}:
            raise Violation(f"a call was given another's reply: {reply}")

    async def _pause(self, ms: int) -> None:
        if self.plan.is_awaited:
            await asyncio.sleep(ms / 1000)
        else:
            self.device.wait(ms)

    async def _do(self, given):
        return await given if inspect.isawaitable(given) else given

    def _on_attributes(self, change: dict):
        self.life.take_change(change)
        return self._handle(None)

    def _on_call(self, method: str, params):
        self.life.take_call(params)
        return self._handle(reply_to(params))

    def _handle(self, result):
        """Take as long as a handler takes; raise what is no reply."""
        if self.plan.is_awaited:
            return self._handle_awaited(result)
        self.life.wire.advance(self.plan.handler)
        if isinstance(result, Exception):
            raise result
        return result

    async def _handle_awaited(self, result):
        await asyncio.sleep(self.plan.handler / 1000)
        if isinstance(result, Exception):
            raise result
        return result


def reply_to(params: int):
    """What the application replies to a call with these params: one of all that it may."""
    results = {"did": params}, params, ValueError(params)
    return results[params % len(results)]


def as_told(result) -> dict:
    """What ThingsBoard is told of such a result."""
    if isinstance(result, Exception):
        return {"error": f"{type(result).__name__}: {result}"}
    return result if isinstance(result, dict) else {"result": result}


def _done(coroutine) -> None:
    """Run what never has to wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")
