"""A board at work with a ThingsBoard, in virtual time: what the tests of firmware.device share."""

import json

from firmware import backlog, device, link, observed, session
from firmware.coap.client import Client
from firmware.coap.message import ACK, CON, EMPTY, RST, decode, encode
from host_tests.firmware.coap_helpers import NON, Transport
from host_tests.firmware.helpers import Clock
from host_tests.firmware.world import (
    BAD_REQUEST,
    BOARD_ID,
    CONTENT,
    CREATED,
    UNAUTHORIZED,
    World,
    ticks_add,
)

NAME = "sensor-" + BOARD_ID
TOKEN = "the-token"
GET, VALID = 1, 0x43
# In ms since 1970, when a test begins.
BEGAN = 1_800_000_000_000

for module in (backlog, device, observed, session):
    module.ticks_diff = Clock().ticks_diff
    if hasattr(module, "ticks_add"):
        module.ticks_add = ticks_add
# Other tests of this process have the modules that it frees.
session.give_back = link.give_back = lambda *steps: None


def credentials(kind="ACCESS_TOKEN", value=TOKEN):
    """Return what an application is run with."""
    return {
        "server": "coap://thingsboard.example.com",
        "deviceName": NAME,
        "credentialsType": kind,
        "credentialsValue": value,
    }


class Work:
    """A Device, its board's World, and the ThingsBoard that it talks with.

    `is_deaf`: nothing reaches ThingsBoard; `is_mute`: nothing that it says arrives. `codes`: by
    the resource, the codes that its next requests are refused with, the last one for ever;
    `answers`: what its requests are answered with, (code, payload, options).
    `poison`: what gets 4.00 wherever it is in a body, None for nothing.
    `requests`: (ms, method, resource, payload) of each request. `observers`: by the resource.
    """

    device_class = device.Device

    def __init__(self, given=None, **options):
        self.world = World()
        self.clock = self.world.clock
        self.server = self.world.server
        self.server.devices[NAME] = TOKEN
        self.is_deaf = self.is_mute = False
        self.codes = {}
        self.answers = {}
        self.poison = None
        self.attributes = {}
        self.requests = []
        self.observers = {}
        self.acknowledged = []
        self.states = []
        self.transports = []
        self._message_id = 100
        self.power_on(given or credentials(), **options)

    def power_on(self, given, **options):
        """Turn the power on: nothing is left but the flash."""
        board = self.world.new_board()
        self.device = self.device_class(given, board=board, connect=self.connect, **options)
        self.device.on_state(lambda state, text: self.states.append(state))

    def connect(self, server, sessions, idle):
        """What firmware.coap.connect does."""
        transport = Transport(self.clock, self.answer)
        self.transports.append(transport)
        return Client(transport, "h", idle, ticks=self.clock.ticks_ms, random=self.world.random)

    def later(self, ms):
        """Let the device wait so long; much of it at one go, since virtual time has a price."""
        end = self.clock.slept + ms
        while self.clock.slept < end:
            self.device.wait(100)
            self.clock.sleep_ms(min(10_000, end - self.clock.slept))
        self.device.wait(1000)

    def restart(self):
        """ThingsBoard forgets who observes."""
        self.observers = {}

    def of(self, resource):
        """Return the payloads of the requests for a resource."""
        return [each[3] for each in self.requests if each[2] == resource]

    def telemetry(self):
        """Return all readings that arrived, as ThingsBoard has them: {key: {ms: value}}."""
        found = {}
        for at, _, resource, payload in self.requests:
            if resource == "telemetry":
                body = json.loads(payload)
                for each in body if isinstance(body, list) else [body]:
                    values = each.get("values", each) if "ts" in each else each
                    for key in values:
                        ts = each.get("ts", BEGAN + at)
                        found.setdefault(key, {})[ts] = values[key]
        return found

    def answer(self, datagram):
        """Take a datagram; return [(ms, datagram)]."""
        message = decode(memoryview(datagram))
        if message.type in (ACK, RST):
            if message.type == ACK:
                self.acknowledged.append(message.message_id)
            return ()
        if self.is_deaf or message.code == EMPTY:
            return ()
        parts = [bytes(value).decode() for number, value in message.options if number == 11]
        self.token = parts[2]
        resource = "/".join(parts[3:])
        if self.token in ("telemetry", "attributes", "rpc", "claim"):
            resource = "/".join(parts[2:])
        payload = bytes(message.payload)
        self.requests.append((self.clock.slept, message.code, resource, payload))
        replies = self._reply(message, resource)
        return () if self.is_mute else replies

    def _reply(self, message, resource):
        code, payload, options = self._answer(message, resource)
        if code is None:
            return [(10, encode(ACK, EMPTY, message.message_id, b"", ()))]
        type, message_id = ACK, message.message_id
        if message.type == NON or code == VALID or (code in (CREATED, CONTENT) and not options):
            type = NON if message.type == NON else CON
            self._message_id = message_id = self._message_id + 1
        return [(10, encode(type, code, message_id, bytes(message.token), options, payload))]

    def _answer(self, message, resource):
        is_known = (
            self.token in self.server.devices.values() or self.token == resource.split("/")[0]
        )
        if not is_known:
            return UNAUTHORIZED, b"", ()
        if resource in self.answers and message.option(6) is None:
            return self.answers[resource]
        codes = self.codes.get(resource)
        if codes:
            return (codes.pop(0) if len(codes) > 1 else codes[0]), b"", ()
        if self.poison and self.poison in bytes(message.payload):
            return BAD_REQUEST, b"", ()
        if message.option(6) is not None:
            self.observers[resource] = [self.transports[-1], bytes(message.token), 0]
            if resource == "rpc":
                return VALID, b"", ((6, b""),)
            return CONTENT, self.shared(), ((6, b""), (12, b"\x32"))
        if message.code == GET:
            return CONTENT, json.dumps({"shared": self.attributes}).encode(), ()
        return CREATED, b"", ()

    def shared(self):
        """Return the shared attributes as JSON."""
        return json.dumps(self.attributes).encode()

    def notify(self, resource, payload, delay=0, skip=0, code=CONTENT, is_lost=False):
        """Send a notification, if somebody observes; `skip`: how many before it are lost."""
        if resource not in self.observers:
            return None
        observer = self.observers[resource]
        transport, token, number = observer
        observer[2] = number = number + 1 + skip
        self._message_id += 1
        options = ((6, bytes((number,))),) if code == CONTENT else ()
        content = json.dumps(payload).encode()
        datagram = encode(CON, code, self._message_id, token, options, content)
        if not is_lost:
            transport.arrive(delay, bytes(datagram))
        return self._message_id

    def set(self, values, **how):
        """Set shared attributes, and tell of it."""
        self.attributes.update(values)
        return self.notify("attributes", values, **how)

    def delete(self, key, **how):
        """Delete a shared attribute, and tell of it."""
        del self.attributes[key]
        return self.notify("attributes", {"deleted": [key]}, **how)

    def call(self, id, method, params=None, **how):
        """Call the device."""
        return self.notify("rpc", {"id": id, "method": method, "params": params}, **how)
