"""What an operator does in ThingsBoard, and sees there. Pure."""

from __future__ import annotations

import contextlib
import json

from tools.fake_thingsboard.calls import EXPIRED, FAILED, SUCCESSFUL, Call
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.log import printable
from tools.fake_thingsboard.messages import to_json
from tools.fake_thingsboard.ota import Package
from tools.fake_thingsboard.tenant import Device

KEPT = 7 * 24 * 3600 * 1000  # ms that a persistent call is kept, unless said otherwise

_OUTCOMES = {
    EXPIRED: "not answered in time",
    FAILED: "could not be delivered",
}


class Operator:
    """An operator of the ThingsBoard behind an endpoint.

    All that names a device raises KeyError when there is none of that name. `lock`: held meanwhile,
    for an endpoint that runs in another thread. `on_restart` is called when the server restarts.
    """

    def __init__(self, endpoint: Endpoint, lock=None):
        self.endpoint = endpoint
        self.on_restart = lambda: None
        self._lock = lock or contextlib.nullcontext()
        self._thingsboard = endpoint.thingsboard
        self._seen: dict[str, Device] = dict(self._thingsboard.devices)
        self._observed: set = set()

    def set_shared(self, name: str, values: dict) -> None:
        """Set shared attributes."""
        with self._lock:
            self._thingsboard.set_attributes(name, "shared", values)

    def delete_shared(self, name: str, keys: list[str]) -> None:
        """Delete shared attributes."""
        with self._lock:
            self._thingsboard.delete_attributes(name, "shared", keys)

    def call_rpc(
        self,
        name: str,
        method: str,
        params=None,
        *,
        persistent: bool = False,
        one_way: bool = False,
        timeout: int | None = None,
    ) -> Call:
        """Send an RPC request, which expires after `timeout` ms: by default 10 s, or KEPT.

        What became of it is `call(name, number)` later.
        """
        if timeout is None:
            timeout = KEPT if persistent else 10_000
        with self._lock:
            return self._thingsboard.call(
                name,
                method,
                params,
                is_persistent=persistent,
                is_one_way=one_way,
                timeout=timeout,
            )

    def call(self, name: str, number: int) -> Call:
        """An RPC request as it stands."""
        with self._lock:
            return self._thingsboard.devices[name].calls[number]

    def reply(self, method: str, value) -> None:
        """Let the rule chain reply so when a device calls a method."""
        with self._lock:
            self._thingsboard.replies[method] = value

    def delete_device(self, name: str) -> None:
        """Delete a device."""
        with self._lock:
            self._thingsboard.delete_device(name)

    def change_token(self, name: str, token: str | None = None) -> None:
        """Give a device another access token: this one, or a random one."""
        with self._lock:
            self._thingsboard.change_token(name, token or self._thingsboard.random_text())

    def assign(self, name: str | None, package: Package) -> None:
        """Assign a package to a device, or to the profile: to all devices, those to come, too."""
        with self._lock:
            if name is None:
                self._thingsboard.assign_to_all(package)
            else:
                self._thingsboard.assign_package(name, package)

    def unassign(self, name: str, kind: str) -> None:
        """Take the package of a kind, "fw" or "sw", away from a device."""
        with self._lock:
            self._thingsboard.unassign_package(name, kind)

    def restart(self) -> None:
        """Restart the server: it forgets all but what is in its database."""
        with self._lock:
            self.endpoint.restart()
            self.on_restart()

    def stop(self, now: int, ms: int) -> None:
        """Restart the server, which takes so long."""
        with self._lock:
            self.endpoint.stop(now, ms)
            self.on_restart()

    @property
    def down_until(self) -> int:
        """When the server is there again that was stopped, in ms."""
        return self.endpoint.down_until

    @property
    def names(self) -> list[str]:
        """The devices that there are."""
        with self._lock:
            return list(self._thingsboard.devices)

    def observes(self, name: str, feature: str) -> bool:
        """Whether a device observes its "attributes" or its "rpc"."""
        with self._lock:
            return (name, feature) in self.endpoint.notifications.observations

    def describe(self, name: str) -> str:
        """A device, for people; no token, no key."""
        with self._lock:
            device = self._thingsboard.devices[name]
            features = [each for each in ("attributes", "rpc") if self.observes(name, each)]
        lines = [
            f"{name}: {device.credentials.type}, observes {' and '.join(features) or 'nothing'}"
        ]
        for scope in ("shared", "client"):
            attributes = device.attributes(scope)
            if attributes:
                lines.append(f"  {scope} attributes {to_json(attributes)}")
        lines += [f"  {each.kind} {each.title} {each.version}" for each in device.packages]
        if device.telemetry:
            lines.append(
                f"  telemetry {device.telemetry[-1]} is the last of {len(device.telemetry)}"
            )
        return "\n".join(printable(line) for line in lines)

    def news(self) -> list[str]:
        """What has happened since the last time, a line each, for people; no token, no key."""
        with self._lock:
            devices = dict(self._thingsboard.devices)
            observed = set(self.endpoint.notifications.observations)
        lines = [f"{name}: deleted" for name in self._seen if name not in devices]
        for name, device in devices.items():
            before = self._seen.get(name)
            if device is not before:
                lines += _changes(before, device)
        for name, feature in sorted(observed ^ self._observed):
            is_new = (name, feature) in observed
            lines.append(f"{name}: {'observes' if is_new else 'no longer observes'} its {feature}")
        self._seen, self._observed = devices, observed
        return [printable(line) for line in lines]


def _changes(before: Device | None, device: Device) -> list[str]:
    """What is new about a device."""
    name = device.name
    if before is None:
        before = Device(name, device.credentials, device.profile)
    lines = []
    if device.provision_state and not before.provision_state:
        lines.append(f"{name}: provisioned")
    if device.credentials != before.credentials:
        lines.append(f"{name}: has other credentials")
    lines += [f"{name}: telemetry {body}" for body in device.telemetry[len(before.telemetry) :]]
    posted, known = device.attributes("client"), before.attributes("client")
    changed = {key: posted[key] for key in posted if posted[key] != known.get(key)}
    if changed:
        lines.append(f"{name}: attributes {to_json(changed)}")
    lines += [f"{name}: may be claimed"] * (len(device.claims) - len(before.claims))
    for call in device.calls:
        is_new = call.number >= len(before.calls)
        if is_new or call.state != before.calls[call.number].state:
            outcome = _outcome(call)
            if outcome:
                shown = "" if call.params == "null" else call.params
                lines.append(f"{name}: {call.method}({shown}) {outcome}")
    return lines


def _outcome(call: Call) -> str:
    if call.state == SUCCESSFUL:
        return f"replied {to_json(json.loads(call.reply))}"
    if call.is_delivered:
        return call.state.lower()
    return _OUTCOMES.get(call.state, "")
