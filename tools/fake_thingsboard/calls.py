"""RPC requests to devices, as ThingsBoard keeps them until they are answered. Pure; times in ms.

How it does so is in its DeviceActorMessageProcessor, with the default submit strategy, BURST.
"""

from __future__ import annotations

from typing import NamedTuple

from tools.fake_thingsboard.messages import to_json

QUEUED, SENT, DELIVERED, SUCCESSFUL = "QUEUED", "SENT", "DELIVERED", "SUCCESSFUL"
TIMEOUT, EXPIRED, FAILED = "TIMEOUT", "EXPIRED", "FAILED"

DELIVERY_TIMEOUT = 10_000  # ms, for the acknowledgement of the notification
RETRIES = 5  # deliveries that time out, after the first, before a request is given up


class Call(NamedTuple):
    """An RPC request. `number`: which of its device's it is, from 0.

    `id`: what the device knows it by; None when the server has restarted since and forgotten it.
    `params` and `reply` are JSON. `expires_at`: None until the server has taken it.
    """

    number: int
    id: int | None
    method: str
    params: str
    is_persistent: bool = False
    is_one_way: bool = False
    timeout: int = 10_000
    expires_at: int | None = None
    state: str = QUEUED
    retries: int = 0
    reply: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it is sent, again if it was, when the device registers for `rpc`."""
        if self.id is None:
            return False
        if self.state == DELIVERED:
            return not self.is_one_way
        if self.state == SENT:
            return self.is_persistent or not self.is_one_way
        return self.state in (QUEUED, TIMEOUT)

    @property
    def is_delivered(self) -> bool:
        """Whether its device has it, or as one-way call was sent it."""
        return self.state in (DELIVERED, SUCCESSFUL) or (self.state == SENT and not self.is_pending)

    @property
    def body(self) -> str:
        """What the device is told."""
        return f'{{"id":{self.id},"method":{to_json(self.method)},"params":{self.params}}}'

    def undelivered(self) -> Call:
        """Its notification was not acknowledged in time."""
        if self.retries >= RETRIES:
            return self._replace(state=FAILED)
        return self._replace(state=TIMEOUT, retries=self.retries + 1)


def after_restart(calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """The requests of a device when the server has restarted.

    Persistent ones that are QUEUED are so still, with ids from 0. The others it does not know.
    """
    ids = iter(range(len(calls)))
    return tuple(
        call._replace(id=next(ids) if call.is_persistent and call.state == QUEUED else None)
        for call in calls
    )
