"""ThingsBoard as a device meets it over CoAP: provisioning, telemetry and attributes.

Pure: no socket, no clock. Codes and bodies are those of ThingsBoard CE 4.3.1.3.
"""

from tools.fake_thingsboard.attributes import is_telemetry, read_attributes
from tools.fake_thingsboard.messages import (
    BAD_REQUEST,
    CONTENT,
    CREATED,
    GET,
    INTERNAL_SERVER_ERROR,
    LINK_FORMAT,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    POST,
    UNAUTHORIZED,
    Credentials,
    Reply,
    certificate_credentials,
    parse_json,
    to_json,
)
from tools.fake_thingsboard.provisioning import (
    PROVISION_DATA_NOT_FOUND,
    PROVISION_EXCEPTION,
    PROVISION_FAILURE,
    is_valid_name,
    parse_provision_request,
    provisioned,
    unreadable,
)
from tools.fake_thingsboard.tenant import STRATEGIES, TRANSPORTS, Device, Tenant

__all__ = ["STRATEGIES", "TRANSPORTS", "Device", "ThingsBoard"]

FEATURES = {GET: ("attributes",), POST: ("attributes", "telemetry")}
WELL_KNOWN_CORE = (
    b"</api>,</api/v1>;obs,</efento>;obs,</efento/c>,</efento/i>,</efento/m>,</efento/t>,"
    b"</fw>;obs,</sw>;obs"
)


class ThingsBoard(Tenant):
    """A tenant, and how its devices are answered."""

    def name_of_certificate(self, certificate):
        """The name of the device with this certificate, in PEM, as its credentials; or None.

        ThingsBoard looks at the handshake: what it did not know then it does not know for as long
        as the session lasts.
        """
        return self.names.get(certificate_credentials(certificate).id)

    def handle(self, code, path, payload=b"", query=(), content_format=None, name=None):
        """Answer a request with a Reply; None: it is acknowledged and never answered.

        `code` is its method's number; `path` and `query` are its Uri-Path and Uri-Query options,
        sequences of strings. `name`: whose certificate the session brought, see
        `name_of_certificate`. Then it is that device that asks, whatever token it names.
        """
        request = code, tuple(path), payload, query, content_format, name
        if not self.failures:
            return self._handle(*request)
        failure, *rest = self.failures
        self.failures = tuple(rest)
        if self.failures_execute:
            self._handle(*request)
        return failure

    def _handle(self, code, path, payload, query, content_format, name):
        if path == (".well-known", "core"):
            if code == GET:
                return Reply(CONTENT, WELL_KNOWN_CORE, LINK_FORMAT)
            return Reply(METHOD_NOT_ALLOWED)
        if path[:2] != ("api", "v1"):
            return Reply(NOT_FOUND)
        if code not in FEATURES:
            return Reply(METHOD_NOT_ALLOWED)
        if code == POST and path[2:] == ("provision",):
            return self._provision(payload)
        feature = path[min(3, len(path) - 1)].lower()
        if feature not in FEATURES[code]:
            return Reply(BAD_REQUEST)
        if name is None:
            token = path[2] if len(path) > 3 else None
            if token == "":
                return Reply(INTERNAL_SERVER_ERROR, after=10_000)
            name = self.names.get(("ACCESS_TOKEN", token))
        device = self.devices.get(name)
        if device is None:
            return Reply(UNAUTHORIZED)
        if self.transport == "MQTT":
            return Reply(INTERNAL_SERVER_ERROR)
        if code == GET:
            client, shared = device.attributes("client"), device.attributes("shared")
            return read_attributes(client, shared, query, content_format)
        return self._post(device, feature, payload)

    def _post(self, device, feature, payload):
        try:
            body = parse_json(payload)
        except ValueError:
            return Reply(BAD_REQUEST)
        if feature == "telemetry" and is_telemetry(body):
            if body == []:
                return None
            self.save(device._replace(telemetry=(*device.telemetry, to_json(body))))
        elif feature == "attributes" and isinstance(body, dict):
            self.set_attributes(device.name, "client", body)
        else:
            return Reply(BAD_REQUEST)
        return Reply(CREATED, bare=True)

    def _provision(self, payload):
        try:
            request = parse_provision_request(payload)
        except ValueError:
            return unreadable(payload)
        if request.is_blank:
            return PROVISION_FAILURE
        if not self._accepts(request):
            return PROVISION_DATA_NOT_FOUND
        if "\0" in request.name:
            return PROVISION_EXCEPTION
        if self.strategy == "create":
            device = self._create(request)
        else:
            device = self._find_preprovisioned(request.name)
        if device is None:
            return PROVISION_FAILURE
        self.save(device)
        self.set_attributes(device.name, "server", {"provisionState": "provisioned"})
        return provisioned(device.credentials)

    def _accepts(self, request):
        known = self.provisioning_enabled and request.key and request.key == self.key
        return known and request.secret and request.secret == self.secret

    def _create(self, request):
        name = request.name or self.random_text()
        credentials = request.credentials or Credentials("ACCESS_TOKEN", self.random_text())
        allowed = (
            name not in self.devices
            and is_valid_name(name)
            and credentials.is_valid
            and credentials.id not in self.names
            and (self.max_devices is None or len(self.devices) < self.max_devices)
        )
        return Device(name, credentials, self.profile, request.gateway) if allowed else None

    def _find_preprovisioned(self, name):
        device = self.devices.get(name)
        if device is None or device.profile != self.profile or device.provision_state:
            return None
        return device
