"""The client of firmware/coap and what a real ThingsBoard sent to one: host_tests/wire."""

import json

from firmware.coap.exchange import Exchange
from firmware.coap.message import ACK, CON, EMPTY, GET, POST, decode
from firmware.thingsboard import provisioning
from firmware.thingsboard.device_api import is_known
from firmware.thingsboard.refusals import Failure, ProvisioningError, Refused
from host_tests.firmware.coap_helpers import NON, make_client, reply, separate, start
from host_tests.firmware.helpers import raises
from host_tests.firmware.recordings import load

PROVISIONING = ("provisioning", "preprovisioned", "mqtt_profile", "limits", "slow_and_odd")
RECORDINGS = PROVISIONING + ("device_api", "restart")
BLOCK1, BLOCK2 = 27, 23


def replayed(name):
    """Give an Exchange each request of a recording, and what came for it.

    Return [(section's title, request, Exchange)], with the request decoded.
    """
    exchanges = []
    for section in load(name):
        sent = None
        for _, way, datagram in section.lines:
            if way == "!":
                continue
            message = decode(memoryview(datagram)) if datagram else None
            if way == ">" and message.code:
                # An empty token, and the request again, are not for this client.
                if datagram != sent and message.token:
                    exchange = Exchange()
                    start(exchange, datagram)
                    exchanges.append((section.title, message, exchange))
                sent = datagram
            elif way == ">" and message.type == ACK:
                acknowledgements = [bytes(each) for each in exchange.acknowledge()]
                assert acknowledgements == [datagram], section.title
            elif way == "<" and sent and decode(memoryview(sent)).token and not exchange.response:
                assert exchange.on_datagram(memoryview(datagram)) is None, section.title
                assert exchange.ignored == 0, section.title
    return exchanges


def path_of(request):
    return "/".join(bytes(value).decode() for number, value in request.options if number == 11)


def test_every_reply_is_taken_and_what_is_confirmable_acknowledged():
    """The acknowledgements are those of the client that was recorded."""
    without = []
    types = {ACK: 0, CON: 0, NON: 0}
    for name in RECORDINGS:
        for title, _, exchange in replayed(name):
            if exchange.response is None:
                without.append(title)
                assert exchange.got_ack
                assert exchange.on_timer() is None
                assert exchange.failed
            else:
                types[exchange.response.type] += 1
    assert sorted(without) == [
        "GET attributes empty token segment",
        "POST telemetry []",
        "deviceName with NUL",
    ]
    assert types[ACK] > 80
    assert types[CON] > 25
    assert types[NON] == 3


def test_what_the_replies_to_provisioning_mean():
    seen = {}
    for name in PROVISIONING:
        for title, request, exchange in replayed(name):
            response = exchange.response
            if path_of(request) != provisioning.PATH[1:] or response is None:
                continue
            if request.code != POST:
                continue
            payload = response.payload = bytes(response.payload)
            status = ""
            if payload[:1] == b"{":
                status = json.loads(payload)["status"]
            seen[status] = seen.get(status, 0) + 1
            if status == "SUCCESS":
                fields = json.loads(payload)
                expected = (fields["credentialsType"], fields["credentialsValue"])
                assert provisioning.read_response(response) == expected, title
            elif response.code == 0xA0:
                error = raises(ProvisioningError, provisioning.read_response, response)
                assert not isinstance(error, Refused)
            else:
                kind = Failure if status == "FAILURE" else Refused
                error = raises(kind, provisioning.read_response, response)
                assert type(error) is kind
                assert (status or "4.00") in error.what, (title, error.what)
    assert seen["SUCCESS"] > 25
    assert seen["FAILURE"] > 10
    assert seen["NOT_FOUND"] == 6
    assert seen[""] > 12


def test_what_the_replies_to_a_probe_mean():
    answers = []
    for name in RECORDINGS:
        for title, request, exchange in replayed(name):
            if request.code != GET or path_of(request)[-11:] != "/attributes":
                continue
            response = exchange.response
            if response is None:
                continue
            answers.append(response.code)
            if response.code == 0xA0:
                raises(ProvisioningError, is_known, response)
            else:
                assert is_known(response) == (response.code != 0x81), title
    assert set(answers) == {0x45, 0x81, 0x84, 0xA0}


def answering(section):
    """Return a server that gives a section's replies to whatever is asked, one after the other."""
    replies = [decode(memoryview(datagram)) for datagram in section.of("<")]

    def server(datagram):
        if datagram[1] == EMPTY:
            return ()
        message = replies.pop(0)
        options = [(number, bytes(value)) for number, value in message.options]
        payload = bytes(message.payload)
        if message.type == ACK:
            return [(1, reply(datagram, message.code, options, payload))]
        answer = separate(datagram, message.code, message.message_id, payload, CON, options)
        return [(1, answer)]

    return server


def section_of(title):
    (section,) = [section for section in load("blocks") if section.title == title]
    return section


def test_a_large_response_is_fetched_in_its_blocks():
    section = section_of("GET attributes, 3000-byte value: Block2")
    client, transport = make_client(answering(section))
    response = client.get("/api/v1/TK51350/attributes?sharedKeys=big")
    assert bytes(response.payload) == b'{"shared":{"big":"%s"}}' % (b"B" * 3000)
    recorded = [decode(memoryview(datagram)) for datagram in section.of(">")]
    sent = [decode(memoryview(datagram)) for _, datagram in transport.sent]
    assert len(sent) == 4
    for ours, theirs in zip(sent, recorded):
        assert ours.code == theirs.code
        assert [tuple(o) for o in ours.options] == [tuple(o) for o in theirs.options]
    assert sent[1].message_id == 0x95C6


def test_a_large_request_is_sent_in_the_same_blocks():
    for title in ("Block1, with Size1", "POST telemetry Block1 2 x 1024"):
        section = section_of(title)
        client, transport = make_client(answering(section))
        response = client.post("/api/v1/T/telemetry", b'{"x": "%s"}' % (b"y" * 1500))
        assert response.code == 0x41
        recorded = [decode(memoryview(datagram)) for datagram in section.of(">")]
        sent = [decode(memoryview(datagram)) for _, datagram in transport.sent]
        assert len(sent) == len(recorded) == 3
        for ours, theirs in zip(sent, recorded):
            assert ours.code == theirs.code
            assert ours.option(BLOCK1) == theirs.option(BLOCK1)
            assert bytes(ours.payload) == bytes(theirs.payload)
        assert sent[2].message_id == recorded[2].message_id
