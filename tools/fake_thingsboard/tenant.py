"""A tenant of ThingsBoard: devices, the profile that provisions, what an operator does. Pure."""

from __future__ import annotations

import os
from typing import NamedTuple

from tools.fake_thingsboard.attributes import cast_all
from tools.fake_thingsboard.calls import SUCCESSFUL, Call, after_restart
from tools.fake_thingsboard.messages import (
    INTERNAL_SERVER_ERROR,
    Credentials,
    Reply,
    certificate_credentials,
    parse_json,
    to_json,
)
from tools.fake_thingsboard.ota import Package, keys_of_all, keys_of_others

STRATEGIES = ("create", "preprovisioned")
TRANSPORTS = ("DEFAULT", "COAP", "MQTT")
PROTOBUF = "PROTOBUF"
PAYLOADS = ("JSON", PROTOBUF)
SCOPES = ("client", "shared", "server")

_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Device(NamedTuple):
    """A device as an operator sees it. Immutable: `ThingsBoard.devices` holds the newest."""

    name: str
    credentials: Credentials
    profile: str
    gateway: bool = False
    client_attributes: str = "{}"  # JSON, as the other two
    shared_attributes: str = "{}"
    server_attributes: str = "{}"
    telemetry: tuple[str, ...] = ()  # each body posted, as JSON
    claims: tuple[str, ...] = ()  # each body posted, as JSON or empty
    calls: tuple[Call, ...] = ()  # each RPC request to it
    next_call_id: int = 0
    call_replies: tuple[tuple[str, str], ...] = ()  # each (id, body as JSON) that it posted
    packages: tuple[Package, ...] = ()  # one of a kind

    @property
    def token(self):
        """The access token, or None when the credentials are of another type."""
        return self.credentials.value if self.credentials.type == "ACCESS_TOKEN" else None

    @property
    def provision_state(self):
        """The server attribute provisionState, or None."""
        return self.attributes("server").get("provisionState")

    def attributes(self, scope):
        """The attributes of a scope by their keys."""
        return parse_json(getattr(self, scope + "_attributes"))

    def package(self, kind):
        """The package of a kind that is assigned, or None."""
        return next((package for package in self.packages if package.kind == kind), None)


class Change(NamedTuple):
    """What an operator did that a device may observe.

    `feature`: "attributes", and `payload` in JSON; or "rpc", and `call`, the number of a new one;
    None: the device's credentials are no more.
    """

    name: str
    feature: str | None = None
    payload: str = ""
    call: int | None = None


class Tenant:
    """A tenant and the device profile that provisions.

    `strategy` is "create" (allow to create new devices) or "preprovisioned" (check for
    pre-provisioned devices). `transport`: of the profile; with "MQTT" all that its devices ask is
    answered with 5.00. `payload_type`: of the profile, too; with "PROTOBUF" telemetry in JSON is
    4.00. `psm_activity_timer`: of a profile with power saving (PSM), in ms: how long after a
    device's last word it is told things. `max_devices` is the tenant's quota, `rate_limit` (n, ms):
    n telemetry messages of a device in so many ms, more get 5.00. `randbytes(n)` makes names
    and tokens: with `random.Random(1).randbytes` they are the same each time.

    `on_change` is called with each Change, `on_uplink` with the name of a device that asks,
    `on_answer` with the name of one that has answered a call, and the call's number.
    `answer_call(request)`: what the rule chain replies to an RPC request of a device, both as JSON
    values; None: nothing, ever, as by default but for the methods in `replies`.
    """

    profile = "default"

    def __init__(
        self,
        key,
        secret,
        strategy="create",
        *,
        transport="DEFAULT",
        payload_type="JSON",
        psm_activity_timer=None,
        max_devices=None,
        rate_limit=None,
        randbytes=os.urandom,
    ):
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy is {strategy!r}: it must be one of {', '.join(STRATEGIES)}")
        if transport not in TRANSPORTS:
            raise ValueError(
                f"transport is {transport!r}: it must be one of {', '.join(TRANSPORTS)}"
            )
        if payload_type not in PAYLOADS:
            raise ValueError(
                f"payload_type is {payload_type!r}: it must be one of {', '.join(PAYLOADS)}"
            )
        self.key = key
        self.secret = secret
        self.strategy = strategy
        self.transport = transport
        self.payload_type = payload_type
        self.psm_activity_timer = psm_activity_timer
        self.max_devices = max_devices
        self.rate_limit = rate_limit
        self.now = 0
        self.provisioning_enabled = True
        self.devices = {}  # by name
        self.names = {}  # of devices, by the ids of their credentials
        self.failures = ()
        self.failures_execute = False
        self.allowances = {}  # by name: how much telemetry a device may send, and when that was so
        self.on_change = lambda change: None
        self.on_uplink = lambda name: None
        self.on_answer = lambda name, number: None
        self.answer_call = None
        self.replies = {}
        self.packages = ()  # that the profile assigns to its devices
        self._randbytes = randbytes

    def add_device(
        self, name, token=None, *, certificate=None, profile=profile, shared_attributes=None
    ):
        """Add a device, not provisioned yet: with a certificate in PEM, `token`, or a random one.

        Returns it. Raises ValueError when the name, the token or the certificate is taken.
        """
        if name in self.devices:
            raise ValueError(f"there is a device {name!r} already: take another name")
        if certificate:
            credentials = certificate_credentials(certificate)
        else:
            credentials = Credentials("ACCESS_TOKEN", token or self.random_text())
        self._require_unique(credentials)
        shared = to_json(shared_attributes or {})
        return self._add(Device(name, credentials, profile, shared_attributes=shared))

    def delete_device(self, name):
        """Delete a device: its name and credentials are free again."""
        del self.names[self.devices.pop(name).credentials.id]
        self.on_change(Change(name))

    def set_attributes(self, name, scope, values):
        """Set attributes of a device; `scope` is "client", "shared" or "server"."""
        self._set_attributes(name, scope, cast_all(values))

    def delete_attributes(self, name, scope, keys):
        """Delete attributes of a device, whether it has them or not."""
        device = self.devices[name]
        attributes = device.attributes(scope)
        left = {key: attributes[key] for key in attributes if key not in keys}
        self.save(device._replace(**{scope + "_attributes": to_json(left)}))
        if scope == "shared":
            self.on_change(Change(name, "attributes", to_json({"deleted": list(keys)})))

    def delete_provision_state(self, name):
        """Delete a device's server attribute provisionState: it can be provisioned again."""
        self.delete_attributes(name, "server", ("provisionState",))

    def change_token(self, name, token):
        """Give a device another access token. Raises ValueError when it is taken."""
        device = self.devices[name]
        credentials = Credentials("ACCESS_TOKEN", token)
        self._require_unique(credentials)
        del self.names[device.credentials.id]
        self.save(device._replace(credentials=credentials))
        self.on_change(Change(name))

    def call(
        self, name, method, params=None, *, is_persistent=False, is_one_way=False, timeout=10_000
    ):
        """Send a device an RPC request, which expires after `timeout` ms; returns its Call.

        It reaches a device that observes its `rpc`, then or before it expires.
        """
        device = self.devices[name]
        number, id = len(device.calls), device.next_call_id
        call = Call(number, id, method, to_json(params), is_persistent, is_one_way, timeout)
        self.save(device._replace(calls=(*device.calls, call), next_call_id=id + 1))
        self.on_change(Change(name, "rpc", call=number))
        return call

    def save_call(self, name, call):
        """Keep a call in place of the one that has its number."""
        device = self.devices[name]
        calls = (*device.calls[: call.number], call, *device.calls[call.number + 1 :])
        self.save(device._replace(calls=calls))

    def end_call(self, name, id, reply):
        """A device has answered the pending call with this id, if there is one; `reply`: JSON."""
        for call in self.devices[name].calls:
            if call.id == id and call.is_pending:
                self.save_call(name, call._replace(state=SUCCESSFUL, reply=reply))
                self.on_answer(name, call.number)

    def may_send_telemetry(self, name):
        """Whether the rate limit allows a device one more message, which then counts."""
        if self.rate_limit is None:
            return True
        capacity, period = self.rate_limit
        left, at = self.allowances.get(name, (capacity, self.now))
        left = min(capacity, left + (self.now - at) * capacity / period)
        self.allowances[name] = (left - 1 if left >= 1 else left), self.now
        return left >= 1

    def restart(self):
        """Forget what is not in the database: of the calls those that were sent already."""
        self.allowances.clear()
        for device in list(self.devices.values()):
            if device.calls:
                calls = after_restart(device.calls)
                queued = [call for call in calls if call.id is not None]
                self.save(device._replace(calls=calls, next_call_id=len(queued)))
                for call in queued:
                    self.on_change(Change(device.name, "rpc", call=call.number))

    def assign_package(self, name, package):
        """Assign an ota.Package to a device, in place of another of its kind."""
        device = self.devices[name]
        others = [each for each in device.packages if each.kind != package.kind]
        self.save(device._replace(packages=(*others, package)))
        self.delete_attributes(name, "shared", keys_of_others(package.kind))
        self._set_attributes(name, "shared", package.attributes)

    def assign_to_all(self, package):
        """Assign an ota.Package to all devices, and to those that will come."""
        self.packages = (*(each for each in self.packages if each.kind != package.kind), package)
        for name in list(self.devices):
            self.assign_package(name, package)

    def unassign_package(self, name, kind):
        """Take the package of a kind away from a device."""
        device = self.devices[name]
        others = [each for each in device.packages if each.kind != kind]
        self.save(device._replace(packages=tuple(others)))
        self.delete_attributes(name, "shared", keys_of_all(kind))

    def fail_next(self, count=1, *, executed=False, after=0):
        """Answer the next `count` requests with 5.00: undone, or `executed` all the same.

        `after`: how many ms that takes; 10,000 to 20,000 for a backend that does not answer.
        """
        self.failures = (Reply(INTERNAL_SERVER_ERROR, after=after),) * count
        self.failures_execute = executed

    def copy(self):
        """An independent copy, whose changes nobody is told; it draws from the same `randbytes`."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.devices = self.devices.copy()
        twin.names = self.names.copy()
        twin.replies = self.replies.copy()
        twin.allowances = self.allowances.copy()
        twin.on_change = lambda change: None
        twin.on_uplink = lambda name: None
        twin.on_answer = lambda name, number: None
        return twin

    def snapshot(self):
        """The devices, their profile and what is to fail, hashable. Equal states compare equal."""
        profile = (
            self.key,
            self.secret,
            self.strategy,
            self.transport,
            self.provisioning_enabled,
            self.packages,
        )
        devices = tuple(sorted(self.devices.values()))
        return profile, devices, self.max_devices, self.failures, self.failures_execute

    def restore(self, snapshot):
        """Go back to a `snapshot()`, of this or another tenant."""
        profile, devices, self.max_devices, self.failures, self.failures_execute = snapshot
        self.key, self.secret, self.strategy, self.transport, *rest = profile
        self.provisioning_enabled, self.packages = rest
        self.devices = {device.name: device for device in devices}
        self.names = {device.credentials.id: device.name for device in devices}

    def save(self, device):
        """Keep a device in place of the one that has its name and credentials; returns it."""
        self.devices[device.name] = device
        self.names[device.credentials.id] = device.name
        return device

    def _add(self, device):
        """Add a device, with what its profile assigns; returns it."""
        self.save(device)
        for package in self.packages:
            self.assign_package(device.name, package)
        return self.devices[device.name]

    def random_text(self):
        """20 random letters and digits."""
        return "".join(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in self._randbytes(20))

    def _set_attributes(self, name, scope, values):
        device = self.devices[name]
        attributes = {**device.attributes(scope), **values}
        self.save(device._replace(**{scope + "_attributes": to_json(attributes)}))
        if scope == "shared":
            self.on_change(Change(name, "attributes", to_json(values)))

    def _require_unique(self, credentials):
        if credentials.id in self.names:
            raise ValueError("another device has these credentials already: take others")
