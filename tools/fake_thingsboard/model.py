"""ThingsBoard as a device meets it over CoAP: provisioning, telemetry and attributes.

Pure: no socket, no clock. Codes and bodies are those of ThingsBoard 4.4.
"""

import os
from typing import NamedTuple

from tools.fake_thingsboard.messages import (
    BAD_REQUEST,
    CONTENT,
    CREATED,
    GET,
    INTERNAL_SERVER_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    POST,
    PROVISION_DATA_NOT_FOUND,
    PROVISION_FAILURE,
    UNAUTHORIZED,
    Credentials,
    Reply,
    parse_json,
    parse_provision_request,
    provisioned,
    to_json,
)

STRATEGIES = ("create", "preprovisioned")
FEATURES = {GET: ("attributes",), POST: ("attributes", "telemetry")}
MAX_NAME_LENGTH = 255  # UTF-16 code units, as Java counts

_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_JAVA_TRIM = "".join(map(chr, range(0x21)))


class Device(NamedTuple):
    """A device as an operator sees it. Immutable: `ThingsBoard.devices` holds the newest."""

    name: str
    credentials: Credentials
    profile: str
    gateway: bool = False
    provision_state: str | None = None  # the server attribute provisionState
    client_attributes: str = "{}"  # JSON
    shared_attributes: str = "{}"  # JSON
    telemetry: tuple[str, ...] = ()  # each body posted, as JSON

    @property
    def token(self):
        """The access token, or None when the credentials are of another type."""
        return self.credentials.value if self.credentials.type == "ACCESS_TOKEN" else None


class ThingsBoard:
    """A tenant and the device profile that provisions.

    `strategy` is "create" (allow to create new devices) or "preprovisioned" (check for
    pre-provisioned devices). `max_devices` is the tenant's quota. `randbytes(n)` makes names and
    tokens: with `random.Random(1).randbytes` they are the same each time.
    """

    profile = "default"

    def __init__(self, key, secret, strategy="create", *, max_devices=None, randbytes=os.urandom):
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy is {strategy!r}: it must be one of {', '.join(STRATEGIES)}")
        self.key = key
        self.secret = secret
        self.strategy = strategy
        self.max_devices = max_devices
        self.provisioning_enabled = True
        self.devices = {}  # by name
        self._names = {}  # by credentials id
        self._failures = 0
        self._failures_execute = False
        self._randbytes = randbytes

    # What an operator does

    def add_device(self, name, token=None, *, profile=profile, shared_attributes=None):
        """Add a device, not provisioned yet, with `token` or a random one. Returns it.

        Raises ValueError when the name or the token is taken.
        """
        if name in self.devices:
            raise ValueError(f"there is a device {name!r} already: take another name")
        credentials = self._unique_token(token or self._random_text())
        shared = to_json(shared_attributes or {})
        return self._save(Device(name, credentials, profile, shared_attributes=shared))

    def delete_device(self, name):
        """Delete a device: its name and credentials are free again."""
        del self._names[self.devices.pop(name).credentials.id]

    def delete_provision_state(self, name):
        """Delete a device's server attribute provisionState: it can be provisioned again."""
        self._save(self.devices[name]._replace(provision_state=None))

    def change_token(self, name, token):
        """Give a device another access token. Raises ValueError when it is taken."""
        device = self.devices[name]
        credentials = self._unique_token(token)
        del self._names[device.credentials.id]
        self._save(device._replace(credentials=credentials))

    def fail_next(self, count=1, *, executed=False):
        """Answer the next `count` requests with 5.00: undone, or `executed` all the same."""
        self._failures = count
        self._failures_execute = executed

    def snapshot(self):
        """All that requests and operators change, hashable. Equal states compare equal."""
        devices = tuple(sorted(self.devices.values()))
        return devices, self.provisioning_enabled, self._failures, self._failures_execute

    def restore(self, snapshot):
        """Go back to a `snapshot()`, of this or another ThingsBoard."""
        devices, self.provisioning_enabled, self._failures, self._failures_execute = snapshot
        self.devices = {device.name: device for device in devices}
        self._names = {device.credentials.id: device.name for device in devices}

    # What a device does

    def handle(self, code, path, payload=b"", query=()):
        """Answer a request. `code` is its method's number; `path` and `query` are its Uri-Path
        and Uri-Query options, sequences of strings."""
        path = tuple(path)
        if not self._failures:
            return self._handle(code, path, payload, query)
        self._failures -= 1
        if self._failures_execute:
            self._handle(code, path, payload, query)
        return Reply(INTERNAL_SERVER_ERROR)

    def _handle(self, code, path, payload, query):
        if path[:2] != ("api", "v1"):
            return Reply(NOT_FOUND)
        if code not in FEATURES:
            return Reply(METHOD_NOT_ALLOWED)
        if code == POST and path[2:] == ("provision",):
            return self._provision(payload)
        feature = path[min(3, len(path) - 1)]
        if feature not in FEATURES[code]:
            return Reply(BAD_REQUEST)
        device = self._authenticate(path)
        if device is None:
            return Reply(UNAUTHORIZED)
        if code == GET:
            return _read_attributes(device, query)
        return self._post(device, feature, payload)

    def _authenticate(self, path):
        token = path[2] if len(path) > 3 else None
        return self.devices.get(self._names.get(("ACCESS_TOKEN", token)))

    def _post(self, device, feature, payload):
        try:
            body = parse_json(payload)
        except ValueError:
            return Reply(BAD_REQUEST)
        if feature == "telemetry" and isinstance(body, (dict, list)):
            self._save(device._replace(telemetry=(*device.telemetry, to_json(body))))
        elif feature == "attributes" and isinstance(body, dict):
            attributes = {**parse_json(device.client_attributes), **body}
            self._save(device._replace(client_attributes=to_json(attributes)))
        else:
            return Reply(BAD_REQUEST)
        return Reply(CREATED)

    def _provision(self, payload):
        try:
            request = parse_provision_request(payload)
        except ValueError:
            return Reply(BAD_REQUEST)
        name = request.name.strip(_JAVA_TRIM)
        if request.name and not name:
            return PROVISION_FAILURE
        if not self._accepts(request):
            return PROVISION_DATA_NOT_FOUND
        if self.strategy == "create":
            device = self._create(name or self._random_text(), request)
        else:
            device = self._find_preprovisioned(name)
        if device is None:
            return PROVISION_FAILURE
        self._save(device._replace(provision_state="provisioned"))
        return provisioned(device.credentials)

    def _accepts(self, request):
        known = self.provisioning_enabled and request.key and request.key == self.key
        return known and request.secret and request.secret == self.secret

    def _create(self, name, request):
        credentials = request.credentials or Credentials("ACCESS_TOKEN", self._random_text())
        allowed = (
            name not in self.devices
            and len(name.encode("utf-16-le", "surrogatepass")) <= 2 * MAX_NAME_LENGTH
            and "\0" not in name
            and credentials.is_valid
            and credentials.id not in self._names
            and (self.max_devices is None or len(self.devices) < self.max_devices)
        )
        return Device(name, credentials, self.profile, request.gateway) if allowed else None

    def _find_preprovisioned(self, name):
        device = self.devices.get(name)
        if device is None or device.profile != self.profile or device.provision_state:
            return None
        return device

    def _save(self, device):
        self.devices[device.name] = device
        self._names[device.credentials.id] = device.name
        return device

    def _unique_token(self, token):
        credentials = Credentials("ACCESS_TOKEN", token)
        if credentials.id in self._names:
            raise ValueError("another device has this token already: take another")
        return credentials

    def _random_text(self):
        return "".join(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in self._randbytes(20))


def _read_attributes(device, query):
    """All attributes, or those that clientKeys and sharedKeys name."""
    asked = dict(option.partition("=")[::2] for option in query)
    everything = not ("clientKeys" in asked or "sharedKeys" in asked)
    found = {}
    for scope, text in (("client", device.client_attributes), ("shared", device.shared_attributes)):
        keys = asked.get(scope + "Keys", "").split(",")
        attributes = parse_json(text)
        chosen = {key: attributes[key] for key in attributes if everything or key in keys}
        if chosen:
            found[scope] = chosen
    if not found:
        return Reply(NOT_FOUND)
    return Reply(CONTENT, to_json(found).encode("utf-8", "replace"))
