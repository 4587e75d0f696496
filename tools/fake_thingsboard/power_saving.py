"""Devices of a profile with power saving (PSM): what waits while they sleep. Pure; times in ms."""

from __future__ import annotations

from tools.fake_thingsboard.messages import parse_json, to_json


class PowerSaving:
    """`activity_timer`: how long a device is awake after its last word; None: always."""

    def __init__(self, activity_timer: int | None):
        self.activity_timer = activity_timer
        self._heard: dict[str, int] = {}  # when each device was heard last, by its name
        self._missed: dict[str, str] = {}  # the update, as JSON, that each device slept through

    def copy(self) -> PowerSaving:
        """An independent copy."""
        copy = PowerSaving(self.activity_timer)
        copy._heard = self._heard.copy()
        copy._missed = self._missed.copy()
        return copy

    def sleeps(self, name: str, now: int) -> bool:
        """Whether a device is to be left alone."""
        if self.activity_timer is None:
            return False
        return now - self._heard.get(name, now) > self.activity_timer

    def heard(self, name: str, now: int) -> tuple[bool, str | None]:
        """A device has asked or acknowledged something.

        Gives whether it wakes up with that, and the update that it slept through.
        """
        if self.activity_timer is None:
            return False, None
        wakes = self.sleeps(name, now)
        self._heard[name] = now
        return wakes, self._missed.pop(name, None) if wakes else None

    def missed(self, name: str, update: str) -> None:
        """An update of attributes, as JSON, is for when a device wakes up.

        As in ThingsBoard (TbCoapClientState.addQueuedNotification) the keys that were deleted
        before another update are forgotten.
        """
        update = parse_json(update)
        before = parse_json(self._missed.get(name, "{}"))
        before.pop("deleted", None)
        deleted = update.pop("deleted", [])
        merged = {key: before[key] for key in before if key not in deleted} | update
        if deleted:
            merged["deleted"] = deleted
        self._missed[name] = to_json(merged)
