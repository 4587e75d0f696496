"""firmware.aio's Device: other tasks go on meanwhile, in virtual time."""

import asyncio
import sys

from firmware import aio, retry
from host_tests.firmware.at_work import NAME, TOKEN, Work
from host_tests.firmware.helpers import Clock
from host_tests.firmware.virtual_asyncio import Asyncio, start_anew
from host_tests.firmware.world import Stub, ticks_add

aio.ticks_diff = Clock().ticks_diff
aio.ticks_add = ticks_add
_BEAT = 50


class Home(Work):
    """A Device of firmware.aio. `longest`: how many ms another task had to wait at most."""

    device_class = aio.Device
    longest = 0

    def run(self, scenario):
        """Run a scenario, a coroutine function, beside another task."""

        async def both():
            beating = asyncio.create_task(self._beat())
            try:
                await scenario()
            finally:
                beating.cancel()

        real = aio.asyncio
        aio.asyncio = Asyncio(self.clock)
        try:
            asyncio.run(both())
        finally:
            aio.asyncio = real
            start_anew()

    async def _beat(self):
        while True:
            before = self.clock.slept
            await aio.asyncio.sleep_ms(_BEAT)
            self.longest = max(self.longest, self.clock.slept - before)


def test_tasks_go_on_while_it_joins():
    work = Home()
    work.world.network.since = None
    work.world.network.joins = [[(5_000, work.world.network.STAT_GOT_IP)]]

    async def scenario():
        assert await work.device.send_telemetry({"n": 1})

    work.run(scenario)
    assert work.clock.slept > 5_000 and work.longest <= 2 * _BEAT


def test_a_bug_in_a_handler_is_shown_and_answered():
    shown = []
    retry.sys = Stub(print_exception=shown.append, modules=sys.modules)
    work = Home()

    async def late(params):
        await aio.asyncio.sleep_ms(10)
        return {"n": 1 // params}

    def early(params):
        return {"n": 1 // params}

    async def scenario():
        for number, handler in enumerate((late, early)):
            work.device.on_rpc("m", handler)
            await work.device.wait(1000)
            work.call(number, "m", 0)
            await work.device.wait(1000)

    work.run(scenario)
    assert [type(error) for error in shown] == [ZeroDivisionError] * 2
    for number in (0, 1):
        (reply,) = work.of("rpc/%d" % number)
        assert b'{"error":"ZeroDivisionError' in reply


def test_tasks_go_on_while_no_network_is_there():
    work = Home()
    network = work.world.network
    network.since = None
    network.joins = [[(300, network.STAT_NO_AP_FOUND)]]

    async def scenario():
        assert not await work.device.send_telemetry({"n": 1})

    work.run(scenario)
    assert work.clock.slept >= 30_000 and work.longest <= 2 * _BEAT


def test_tasks_go_on_while_thingsboard_is_silent():
    work = Home()
    work.is_deaf = True

    async def scenario():
        assert not await work.device.send_telemetry({"n": 1})

    work.run(scenario)
    assert work.clock.slept > 60_000 and work.longest <= 2 * _BEAT


def test_an_unconfirmed_reading_is_sent_once_also_when_its_task_is_cancelled():
    work = Home()

    async def scenario():
        await work.device.send_telemetry({"n": 0})
        work.is_deaf = True
        sending = asyncio.create_task(work.device.send_telemetry({"n": 1}, confirm=False))
        await aio.asyncio.sleep_ms(500)
        sending.cancel()
        await aio.asyncio.sleep_ms(100)
        work.is_deaf = False
        assert work.device.waiting == 0
        await work.device.wait(5_000)

    work.run(scenario)
    assert len(work.transports[0].sent) == 3


def test_tasks_go_on_while_it_is_provisioned_anew():
    work = Home()
    work.server.devices.clear()
    work.world.server.on_datagram = delayed(work.world.server.on_datagram, 2_500)

    async def scenario():
        assert await work.device.send_telemetry({"n": 1})

    work.run(scenario)
    assert work.server.devices[NAME] != TOKEN
    assert work.clock.slept > 2_500 and work.longest <= 2 * _BEAT


def test_tasks_go_on_during_a_handshake():
    work = Home()
    work.device.session.board.sessions = lambda config, kind: work
    connect = work.connect

    def connect_securely(*arguments, **options):
        client = connect(*arguments, **options)
        client.transport.handshake = lambda: iter([10] * 300)
        return client

    work.device.session.open = connect_securely

    async def scenario():
        assert await work.device.send_telemetry({"n": 1})

    work.run(scenario)
    assert work.clock.slept > 3_000 and work.longest <= 2 * _BEAT


def test_tasks_go_on_while_nobody_says_what_time_it_is():
    work = Home()
    board = work.device.session.board
    work.is_deaf = True
    board.clock_is_guessed = True

    async def scenario():
        await work.device.send_telemetry({"n": 1})
        work.is_deaf = False
        await work.device.wait(30_000)

    work.run(scenario)
    assert work.device.waiting == 0 and board.clock_is_set and work.longest <= 2 * _BEAT


def test_a_reading_that_there_is_no_memory_for_ends_no_request_of_another_task():
    work = Home()
    device = work.device
    sent = []

    def fails(values, ts, confirm):
        raise MemoryError

    async def other():
        sent.append(await device.send_telemetry({"n": 2}))

    async def scenario():
        assert await device.send_telemetry({"n": 1})
        work.is_deaf = True
        running = asyncio.create_task(other())
        await aio.asyncio.sleep_ms(100)
        work.is_deaf = False
        put, device.session.backlog.put = device.session.backlog.put, fails
        await device.send_telemetry({"n": 3})
        device.session.backlog.put = put
        await running

    work.run(scenario)
    assert sent == [True] and work.states == ["connected"]


def delayed(on_datagram, ms):
    """Return what answers so many ms later."""

    def answer(*datagram):
        return [(delay + ms, reply) for delay, reply in on_datagram(*datagram)]

    return answer
