"""ThingsBoard as a device meets it over CoAP: provisioning, telemetry and attributes.

Pure: no socket, no clock. Codes and bodies are those of ThingsBoard CE 4.3.1.3.
"""

import re

from tools.fake_thingsboard.attributes import found_attributes, is_telemetry
from tools.fake_thingsboard.messages import (
    BAD_REQUEST,
    BARE,
    CONTENT,
    CREATED,
    EMPTY,
    GET,
    INTERNAL_SERVER_ERROR,
    JSON,
    LINK_FORMAT,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OCTET_STREAM,
    POST,
    UNAUTHORIZED,
    VALID,
    Credentials,
    Reply,
    certificate_credentials,
    json_payload,
    parse_json,
    to_json,
)
from tools.fake_thingsboard.ota import read_package
from tools.fake_thingsboard.protobuf import (
    attributes_message,
    is_protobuf,
    update_message,
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
from tools.fake_thingsboard.tenant import PAYLOADS, PROTOBUF, STRATEGIES, TRANSPORTS, Device, Tenant

__all__ = ["PAYLOADS", "STRATEGIES", "TRANSPORTS", "Device", "ThingsBoard"]

FEATURES = {GET: ("attributes", "rpc"), POST: ("attributes", "telemetry", "rpc", "claim")}
WELL_KNOWN_CORE = (
    b"</api>,</api/v1>;obs,</efento>;obs,</efento/c>,</efento/i>,</efento/m>,</efento/t>,"
    b"</fw>;obs,</sw>;obs"
)

_CALL_ID = re.compile(r"[+-]?[0-9]{1,9}")


class ThingsBoard(Tenant):
    """A tenant, and how its devices are answered."""

    def name_of_certificate(self, certificate):
        """The name of the device with this certificate, in PEM, as its credentials; or None.

        ThingsBoard looks at the handshake: what it did not know then it does not know for as long
        as the session lasts.
        """
        return self.names.get(certificate_credentials(certificate).id)

    def handle(
        self, code, path, payload=b"", query=(), content_format=None, name=None, observe=None, now=0
    ):
        """Answer a request, which comes at `now` ms, with a Reply.

        `code` is its method's number; `path` and `query` are its Uri-Path and Uri-Query options,
        sequences of strings, `content_format` and `observe` those of their names. `name`: whose
        certificate the session brought, see `name_of_certificate`. Then it is that device that
        asks, whatever token it names.
        """
        self.now = now
        request = code, tuple(path), payload, query, content_format, name, observe
        if not self.failures:
            return self._handle(*request)
        failure, *rest = self.failures
        self.failures = tuple(rest)
        if self.failures_execute:
            self._handle(*request)
        return failure

    def _handle(self, code, path, payload, query, content_format, name, observe):
        if path == (".well-known", "core"):
            if code == GET:
                return Reply(CONTENT, WELL_KNOWN_CORE, LINK_FORMAT)
            return Reply(METHOD_NOT_ALLOWED)
        if path[:1] in (("fw",), ("sw",)):
            if code != GET:
                return Reply(METHOD_NOT_ALLOWED)
            token = path[1] if len(path) == 2 else None
            name = self.names.get(("ACCESS_TOKEN", token))
            return read_package(self.devices.get(name), path[0], query)
        if path[:2] != ("api", "v1"):
            return Reply(NOT_FOUND)
        if code not in FEATURES:
            return Reply(METHOD_NOT_ALLOWED)
        if code == POST and path[2:] == ("provision",):
            return self._provision(payload)
        token, feature, call_id = _parts(path)
        if feature not in FEATURES[code] or (code == GET and feature == "rpc" and observe is None):
            return Reply(BAD_REQUEST)
        if name is None:
            if token == "":
                return Reply(INTERNAL_SERVER_ERROR, after=10_000)
            name = self.names.get(("ACCESS_TOKEN", token))
        device = self.devices.get(name)
        if device is None:
            return Reply(UNAUTHORIZED)
        if self.transport == "MQTT":
            return Reply(INTERNAL_SERVER_ERROR)
        self.on_uplink(name)
        if code == GET:
            return self._get(device, feature, query, content_format, observe)
        if self.payload_type == PROTOBUF:
            return self._post_protobuf(device, feature, call_id, payload)
        try:
            body = parse_json(payload) if payload or feature != "claim" else {}
        except ValueError:
            body = None
        if feature == "rpc":
            return self._rpc(device, call_id, body)
        return self._post(device, feature, body)

    def update_payload(self, update):
        """What an observer of attributes is told, and in which Content-Format; `update` in JSON."""
        if self.payload_type == PROTOBUF:
            return update_message(parse_json(update)), OCTET_STREAM
        return update.encode("utf-8", "replace"), JSON

    def _get(self, device, feature, query, content_format, observe):
        if observe:
            return Reply(EMPTY)  # it ends an observation
        if feature == "rpc":
            return Reply(VALID, way=BARE, observes=(device.name, "rpc"))
        client, shared = device.attributes("client"), device.attributes("shared")
        in_protobuf = self.payload_type == PROTOBUF
        if content_format is None:
            content_format = OCTET_STREAM if in_protobuf else JSON
        if observe is not None:
            payload = update_message(shared) if in_protobuf else json_payload(shared)
            observes = (device.name, "attributes")
            return Reply(CONTENT, payload, content_format, observes=observes)
        found = found_attributes(client, shared, query)
        if not found:
            return Reply(NOT_FOUND, b"", content_format, way=BARE)
        payload = attributes_message(found) if in_protobuf else json_payload(found)
        return Reply(CONTENT, payload, content_format, way=BARE)

    def _post(self, device, feature, body):
        if feature == "telemetry" and is_telemetry(body):
            if body == []:
                return Reply(EMPTY)
            return self._add_telemetry(device, to_json(body))
        if feature == "attributes" and isinstance(body, dict):
            self.set_attributes(device.name, "client", body)
        elif feature == "claim":
            if not isinstance(body, dict) or not isinstance(body.get("durationMs", 0), int):
                return Reply(INTERNAL_SERVER_ERROR)
            self.save(device._replace(claims=(*device.claims, to_json(body))))
        else:
            return Reply(BAD_REQUEST)
        return Reply(CREATED, way=BARE)

    def _post_protobuf(self, device, feature, call_id, payload):
        """What is posted is kept, and replied to a call, as JSON: its octets in hex."""
        if not is_protobuf(payload):
            return Reply(BAD_REQUEST)
        body = to_json(bytes(payload).hex())
        if feature == "telemetry":
            return self._add_telemetry(device, body)
        if feature == "rpc" and call_id is None:
            return Reply(EMPTY)
        if feature == "rpc":
            self._add_call_reply(device, call_id, body)
        elif feature == "claim":
            self.save(device._replace(claims=(*device.claims, body)))
        return Reply(CREATED, way=BARE)

    def _add_telemetry(self, device, body):
        if not self.may_send_telemetry(device.name):
            return Reply(INTERNAL_SERVER_ERROR)
        self.save(device._replace(telemetry=(*device.telemetry, body)))
        return Reply(CREATED, way=BARE)

    def _rpc(self, device, call_id, body):
        """A device's reply to a call, or a call of its own."""
        if not isinstance(body, dict) or (call_id is None and "method" not in body):
            return Reply(INTERNAL_SERVER_ERROR)
        if call_id is not None:
            self._add_call_reply(device, call_id, to_json(body))
            return Reply(CREATED, way=BARE)
        answer = self.answer_call(body) if self.answer_call else self._reply_to(body["method"])
        if answer is None:
            return Reply(EMPTY)
        return Reply(CONTENT, json_payload(answer), JSON, way=BARE)

    def _reply_to(self, method):
        return self.replies.get(method) if isinstance(method, str) else None

    def _add_call_reply(self, device, call_id, body):
        replies = (*device.call_replies, (call_id, body))
        self.save(device._replace(call_replies=replies))
        self.end_call(device.name, int(call_id), body)

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
        if device.name in self.devices:
            self.save(device)
        else:
            self._add(device)
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


def _parts(path):
    """The token, or None, the feature, and the id of a call, or None."""
    is_reply_with_certificate = len(path) == 4 and path[3].isdigit()
    position = 2 if is_reply_with_certificate else min(3, len(path) - 1)
    token = path[2] if position == 3 else None
    call_id = path[position + 1] if len(path) > position + 1 else None
    if call_id is not None and not _CALL_ID.fullmatch(call_id):
        call_id = None
    return token, path[position].lower(), call_id
