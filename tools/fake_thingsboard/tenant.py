"""A tenant of ThingsBoard: devices, the profile that provisions, what an operator does. Pure."""

import os
from typing import NamedTuple

from tools.fake_thingsboard.attributes import cast_all
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
    calls: int = 0  # RPC requests that were sent to it
    waiting_calls: tuple[str, ...] = ()  # persistent ones, as JSON, until it observes them
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

    `feature`: "attributes" or "rpc", and `payload` in JSON; None: the device's credentials are no
    more. `is_persistent`: an RPC request waits for the device to observe.
    """

    name: str
    feature: str | None = None
    payload: str = ""
    is_persistent: bool = False


class Tenant:
    """A tenant and the device profile that provisions.

    `strategy` is "create" (allow to create new devices) or "preprovisioned" (check for
    pre-provisioned devices). `transport`: of the profile; with "MQTT" all that its devices ask is
    answered with 5.00. `max_devices` is the tenant's quota. `randbytes(n)` makes names and
    tokens: with `random.Random(1).randbytes` they are the same each time.

    `on_change` is called with each Change. `answer_call(request)`: what the rule chain replies to
    an RPC request of a device, both as JSON values; None, as by default: nothing, ever.
    """

    profile = "default"

    def __init__(
        self,
        key,
        secret,
        strategy="create",
        *,
        transport="DEFAULT",
        max_devices=None,
        randbytes=os.urandom,
    ):
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy is {strategy!r}: it must be one of {', '.join(STRATEGIES)}")
        if transport not in TRANSPORTS:
            raise ValueError(
                f"transport is {transport!r}: it must be one of {', '.join(TRANSPORTS)}"
            )
        self.key = key
        self.secret = secret
        self.strategy = strategy
        self.transport = transport
        self.max_devices = max_devices
        self.provisioning_enabled = True
        self.devices = {}  # by name
        self.names = {}  # of devices, by the ids of their credentials
        self.failures = ()
        self.failures_execute = False
        self.on_change = lambda change: None
        self.answer_call = None
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
        return self.save(Device(name, credentials, profile, shared_attributes=shared))

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

    def call(self, name, method, params=None, *, is_persistent=False):
        """Send a device an RPC request; returns its id.

        It reaches a device that observes its `rpc`; a persistent one waits until the device does.
        """
        device = self.devices[name]
        body = to_json({"id": device.calls, "method": method, "params": params})
        self.save(device._replace(calls=device.calls + 1))
        self.on_change(Change(name, "rpc", body, is_persistent))
        return device.calls

    def assign_package(self, name, package):
        """Assign an ota.Package to a device, in place of another of its kind."""
        device = self.devices[name]
        others = [each for each in device.packages if each.kind != package.kind]
        self.save(device._replace(packages=(*others, package)))
        self.delete_attributes(name, "shared", keys_of_others(package.kind))
        self._set_attributes(name, "shared", package.attributes)

    def unassign_package(self, name, kind):
        """Take the package of a kind away from a device."""
        device = self.devices[name]
        others = [each for each in device.packages if each.kind != kind]
        self.save(device._replace(packages=tuple(others)))
        self.delete_attributes(name, "shared", keys_of_all(kind))

    def keep_call(self, name, body):
        """Keep a persistent RPC request until its device observes `rpc`."""
        device = self.devices[name]
        self.save(device._replace(waiting_calls=(*device.waiting_calls, body)))

    def take_calls(self, name):
        """The persistent RPC requests that waited for a device."""
        device = self.devices[name]
        self.save(device._replace(waiting_calls=()))
        return device.waiting_calls

    def fail_next(self, count=1, *, executed=False, after=0):
        """Answer the next `count` requests with 5.00: undone, or `executed` all the same.

        `after`: how many ms that takes; 10,000 to 20,000 for a backend that does not answer.
        """
        self.failures = (Reply(INTERNAL_SERVER_ERROR, after=after),) * count
        self.failures_execute = executed

    def snapshot(self):
        """All that requests and operators change, hashable. Equal states compare equal."""
        profile = self.key, self.secret, self.strategy, self.transport, self.provisioning_enabled
        devices = tuple(sorted(self.devices.values()))
        return profile, devices, self.max_devices, self.failures, self.failures_execute

    def restore(self, snapshot):
        """Go back to a `snapshot()`, of this or another tenant."""
        profile, devices, self.max_devices, self.failures, self.failures_execute = snapshot
        self.key, self.secret, self.strategy, self.transport, self.provisioning_enabled = profile
        self.devices = {device.name: device for device in devices}
        self.names = {device.credentials.id: device.name for device in devices}

    def save(self, device):
        """Keep a device in place of the one that has its name and credentials; returns it."""
        self.devices[device.name] = device
        self.names[device.credentials.id] = device.name
        return device

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
