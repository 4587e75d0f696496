"""firmware.provisioning.attempt: no power cut and no lost reply costs a device its credentials."""

import json

from firmware.board import config as configuration
from firmware.coap.message import GET, POST
from firmware.errors import CoapError, FirstbootError, NetworkError, NoResponse
from firmware.thingsboard.refusals import Failure, ProvisioningError, Refused
from host_tests.firmware.device import ATTEMPT, CREDENTIALS, DEVICE, OTHER, Device
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import (
    ADDRESS,
    BAD_REQUEST,
    CONTENT,
    INTERNAL_SERVER_ERROR,
    NAME,
    NOT_FOUND,
    UNAUTHORIZED,
    PowerCut,
    Reply,
    example,
    failure,
    not_found,
    success,
)


def sent_from(device):
    """Return what was sent as a set of (address, local port, datagram)."""
    return set(device.world.sent)


def identity(request):
    return request.message_id, request.token, request.source


# Saved before it is sent


def test_the_attempt_is_saved_before_the_first_datagram():
    device = Device()
    seen = []
    device.world.on_send = lambda: seen.append(device.saved)
    device.run()
    request = device.server.requests[0]
    saved = seen[0]
    assert saved["server"] == "coap://%s:5683" % NAME
    assert saved["address"] == ADDRESS
    assert saved["id"] == device.world.board.id
    assert saved["tokens"] == [
        {
            "server": "coap://%s:5683" % NAME,
            "address": ADDRESS,
            "deviceName": DEVICE,
            "token": request.body["token"],
            "given": False,
        }
    ]
    assert saved["port"] == request.source
    assert saved["message_id"] == request.message_id
    assert saved["coap_token"] == "".join("%02x" % byte for byte in request.token)
    assert len(saved["body"]) == 64
    assert "profile-secret-1234" not in json.dumps(saved)


def test_a_port_clear_of_ephemeral_ranges():
    for drawn, port in ((b"\x00\x00", 16384), (b"\xff\xff", 32767), (b"\x40\x01", 16385)):
        device = Device()
        device.world.scripted_random[2] = [drawn]
        device.run()
        assert device.server.requests[0].source == port


def test_the_proposed_token():
    for drawn in (b"\xff" * 15, b"\xfb" * 15, bytes(15)):
        device = Device()
        device.world.scripted_random[15] = [drawn]
        token = device.run()["credentialsValue"]
        assert len(token) == 20
        assert token.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
    assert Device().run()["credentialsValue"] != token


def test_nothing_is_sent_when_the_attempt_cannot_be_saved():
    device = Device()
    for operation in ("open", "write", "close", "rename"):
        device.world.flash.broken = (operation,)
        if operation == "open":  # config.json has to be read
            config = configuration.check(device.world.flash.files["/config.json"], "id")
            raises(FirstbootError, device.attempt.prepare, config)
        else:
            device.fail(FirstbootError)
        assert device.world.sent == []
        assert device.world.open_ports == []
    device.world.flash.broken = ()
    device.run()


# Silence


def test_a_new_request_keeps_clear_of_the_blocks_of_the_last_one():
    """And a probe of both: none of its Message IDs is one of a request."""
    for drawn, message_id in ((b"\x90\x11", 0x1011), (b"\x10\x10", 0x5010), (b"\x10\x01", 0x5001)):
        device = Device()
        # The port's, the request's, the client's, the next request's, the probe's.
        numbers = [b"\0\0", b"\x90\x01", b"\0\0", drawn, b"\x12\x34"]
        device.world.scripted_random[2] = numbers
        device.server.devices[DEVICE] = "of-another-board"
        device.fail(Failure)
        (request,) = device.server.of(POST)
        (probe,) = device.server.of(GET)
        assert request.message_id == 0x1001
        assert device.saved["message_id"] == message_id
        assert probe.message_id == 0x9234
        # As few writes as can be.
        assert device.world.flash.count("write", ATTEMPT + ".new") == 2


def test_after_silence_the_same_again():
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    assert len(device.world.sent) == 5
    writes = device.world.flash.count("write", ATTEMPT + ".new")
    for power_cut in (False, True, True):
        if power_cut:
            device.power_on()
        device.fail(NoResponse)
        assert len(sent_from(device)) == 1
    assert writes == device.world.flash.count("write", ATTEMPT + ".new") == 1
    device.server.deaf = False
    device.run()
    assert len(sent_from(device)) == 1


def test_a_lost_reply_comes_again():
    for strategy in ("create", "preprovisioned"):
        for power_cut in (False, True):
            device = Device()
            device.server.strategy = strategy
            device.server.devices = {} if strategy == "create" else {DEVICE: "stored-by-operator"}
            device.lose_reply()
            if power_cut:
                device.power_on()
            credentials = device.run()
            assert credentials["credentialsValue"] == device.server.devices[DEVICE]
            assert len(device.server.requests) == 1


def test_a_forgotten_request_is_recovered_by_the_probe():
    device = Device()
    device.lose_reply()
    device.forget()
    device.power_on()
    credentials = device.run()
    posts, probes = device.server.of(POST), device.server.of(GET)
    assert len(posts) == 2 and len(probes) == 1
    assert posts[0].datagram == posts[1].datagram
    assert credentials["credentialsValue"] == device.server.devices[DEVICE]
    assert credentials["credentialsType"] == "ACCESS_TOKEN"
    assert device.world.get(CREDENTIALS) == credentials


def test_a_reply_kept_back_after_its_acknowledgement_is_probed_for():
    """An acknowledged separate response never comes again: 93 s after the empty ACK, the probe."""
    device = Device()
    device.server.script = [
        lambda request: Reply(0x41, device.server.answer(request).payload, separate=200_000)
    ]
    credentials = device.run()
    posts, probes = device.server.of(POST), device.server.of(GET)
    assert credentials["credentialsValue"] == device.server.devices[DEVICE]
    assert len(posts) == len(probes) == 1
    assert 93_000 <= probes[0].time - posts[0].time <= 93_200
    assert probes[0].message_id != posts[0].message_id
    assert probes[0].path == "api/v1/%s/attributes" % posts[0].body["token"]


def test_an_empty_ack_and_a_token_that_is_not_known_is_silence():
    device = Device()
    device.server.script = [Reply(BAD_REQUEST, separate=200_000)]
    error = device.fail(NoResponse)
    before = device.saved
    assert error.acknowledged
    assert len(device.server.of(GET)) == 1
    device.server.script = [Reply(BAD_REQUEST, separate=200_000)]
    device.fail(NoResponse)
    assert device.saved == before
    assert device.server.of(POST)[-1].datagram == device.server.of(POST)[0].datagram


def test_no_probe_after_plain_silence():
    device = Device()
    device.lose_reply()
    assert device.server.of(GET) == []


def test_each_block_of_a_large_body_is_resumed():
    """With its own Message ID and token, the last block getting the lost reply again."""
    device = Device(example(provisioning__clientId="c" * 2500))

    def lost(request):
        device.server.mute = True
        return device.server.answer(request)

    device.server.script = [lost]
    device.fail(NoResponse)
    device.server.mute = False
    device.power_on()
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]
    blocks = device.server.of(POST)
    assert len(blocks) == 3
    assert len({datagram for _, _, datagram in device.world.sent}) == 3
    first = blocks[0].message_id
    assert [block.message_id for block in blocks] == [first + n & 0xFFFF for n in range(3)]


# Acknowledged after it is saved


def test_acknowledged_after_the_credentials_are_saved():
    device = Device()
    on_flash = []
    device.server.script = [lambda request: success("the-token-of-the-reply", separate=2_000)]
    device.world.on_send = lambda: on_flash.append(
        (device.world.get(CREDENTIALS), device.saved is not None)
    )
    credentials = device.run()
    assert len(device.server.acknowledged) == 1
    assert on_flash == [(None, True), (credentials, True)]
    verified = device.world.flash.operations.index(("rename", CREDENTIALS))
    assert ("read", CREDENTIALS) in device.world.flash.operations[verified:]


def test_an_acknowledgement_that_cannot_be_sent_costs_nothing():
    device = Device()
    device.server.script = [success("the-token-of-the-reply", separate=1_000)]

    def leave_once_saved():
        if device.world.get(CREDENTIALS):
            raise OSError(113)

    device.world.on_send = leave_once_saved
    assert device.run()["credentialsValue"] == "the-token-of-the-reply"
    assert device.server.acknowledged == [] and not device.world.open_ports


def test_not_acknowledged_when_the_credentials_cannot_be_saved():
    for broken, corrupt in ((("write",), 0), ((), 1)):
        device = Device()
        flash = device.world.flash
        device.server.script = [success("the-token-of-the-reply", separate=1_000)]

        def break_flash(flash=flash, broken=broken, corrupt=corrupt):
            flash.broken, flash.corrupt = broken, corrupt

        device.world.on_send = break_flash
        device.fail(FirstbootError)
        assert device.server.acknowledged == []
        assert device.world.get(CREDENTIALS) is None
        device.world.on_send = lambda: None
        flash.broken, flash.corrupt = (), 0
        device.power_on()
        assert device.run()["credentialsValue"] == "the-token-of-the-reply"
        assert len(device.server.requests) == 1
        assert len(device.server.acknowledged) == 1


def test_what_the_reply_says_is_saved():
    replies = (
        ("ACCESS_TOKEN", "not-the-one-proposed"),
        ("MQTT_BASIC", {"clientId": "c", "userName": "u", "password": "reply-password"}),
        ("X509_CERTIFICATE", "MIIB-certificate"),
    )
    for credentials_type, value in replies:
        device = Device()
        device.server.script = [success(value, credentials_type)]
        expected = {
            "server": "coap://" + NAME,
            "deviceName": DEVICE,
            "credentialsType": credentials_type,
            "credentialsValue": value,
        }
        assert device.run() == expected
        assert device.world.get(CREDENTIALS) == expected


def test_power_cut_at_every_operation_of_a_first_power_up():
    """Whenever the power goes, the next power-up ends with the credentials of the device."""
    whole = Device()
    whole.run()
    operations = len(whole.world.flash.operations)
    assert operations > 15
    for separate in (None, 700):
        for cut_at in range(operations):
            device = Device()
            device.server.script = [
                lambda request, device=device, separate=separate: Reply(
                    0x41, device.server.answer(request).payload, separate=separate
                )
            ]
            device.world.flash.cut_at = cut_at
            raises(PowerCut, device.run)
            device.world.flash.begin()
            if device.world.get(CREDENTIALS) is None:
                device.power_on()
                device.run()
            assert (
                device.world.get(CREDENTIALS)["credentialsValue"] == device.server.devices[DEVICE]
            )
            assert len(device.server.of(POST)) == 1


def test_power_cut_around_a_probe():
    """FAILURE after a lost reply, cut at each operation: the proposed token still gets it back."""
    for cut_at in range(40):
        device = Device()
        device.lose_reply()
        device.forget()
        device.power_on()
        device.world.flash.begin()
        device.world.flash.cut_at = cut_at
        try:
            device.run()
        except PowerCut:
            device.world.flash.begin()
            if device.world.get(CREDENTIALS) is None:
                device.power_on()
                device.run()
            assert (
                device.world.get(CREDENTIALS)["credentialsValue"] == device.server.devices[DEVICE]
            )
        else:
            assert cut_at > 15
            return
    raise AssertionError("the power was always cut")


# Only silence is resumed


def reset(device):
    """Make the server answer the next request with a Reset."""
    deliver = device.server.on_datagram

    def once(datagram, source):
        device.server.on_datagram = deliver
        return [(10, bytes((0x70, 0, datagram[2], datagram[3])))]

    device.server.on_datagram = once


FINAL = (
    (Reply(INTERNAL_SERVER_ERROR), ProvisioningError),
    (Reply(0xA3), ProvisioningError),
    (Reply(BAD_REQUEST), Refused),
    (not_found(), Refused),
    (failure(), Failure),
    (Reply(INTERNAL_SERVER_ERROR, separate=1_000), ProvisioningError),
    (failure(separate=1_000), Failure),
    (Reply(CONTENT, b"what?"), ProvisioningError),
    (Reply(0x41, b'{"status":"SUCCESS"}'), ProvisioningError),
)


def test_after_a_final_response_a_new_message_id():
    for reply, error in FINAL:
        for power_cut in (False, True):
            device = Device()
            device.server.script = [reply]
            device.fail(error)
            first = device.server.of(POST)[0]
            saved = device.saved
            assert saved["message_id"] != first.message_id
            assert saved["coap_token"] != "".join("%02x" % byte for byte in first.token)
            assert device.proposed == [first.body["token"]]
            assert len(device.server.acknowledged) == (reply.separate is not None)
            if power_cut:
                device.power_on()
            device.run()
            second = device.server.of(POST)[1]
            assert second.message_id == saved["message_id"]
            assert second.payload == first.payload
            assert second.source == first.source


def test_after_a_reset_a_new_message_id():
    device = Device()
    reset(device)
    assert "Reset" in device.fail(CoapError).what
    refused = device.world.sent[0][2]
    device.run()
    assert device.world.sent[1][2][2:4] != refused[2:4]


def test_a_message_id_never_follows_itself():
    """Also when the same bytes are drawn again."""
    device = Device()
    device.world.board.random = lambda size: b"\x21" * size
    device.server.script = [Reply(INTERNAL_SERVER_ERROR)]
    device.fail(ProvisioningError)
    device.run()
    first, second = device.server.of(POST)
    assert first.message_id != second.message_id


def test_a_final_response_is_acknowledged_after_the_new_message_id_is_saved():
    device = Device()
    seen = []
    device.server.script = [not_found()]
    device.server.script[0].separate = 500
    device.world.on_send = lambda: seen.append(device.saved["message_id"])
    device.fail(Refused)
    assert len(seen) == 2 and seen[0] != seen[1]


def test_a_fixed_secret_is_a_new_request_with_the_same_token():
    device = Device()
    device.configure(provisioning__provisionDeviceSecret="wrong-secret-1234")
    device.lose_reply()
    device.configure()
    device.run()
    first, second = device.server.of(POST)
    assert first.message_id != second.message_id
    assert first.token != second.token
    assert first.source == second.source
    assert first.body["token"] == second.body["token"]
    assert second.body["provisionDeviceSecret"] == "profile-secret-1234"


def test_the_new_message_id_of_a_changed_body_is_saved_before_it_is_sent():
    device = Device()
    device.lose_reply()
    device.configure(provisioning__gateway=True)
    device.server.deaf = True
    device.fail(NoResponse)
    sent = device.world.sent[-1][2]
    assert device.saved["message_id"] == sent[2] << 8 | sent[3]


def test_another_server_key_or_name_is_another_request():
    changes = (
        {"server": "coap://other.example.com"},
        {"provisioning__provisionDeviceKey": "another-profile-key"},
        {"provisioning__deviceName": "another-name"},
    )
    for change in changes:
        for power_cut in (False, True):
            device = Device()
            device.world.names["other.example.com"] = [OTHER]
            other = device.world.add_server(OTHER)
            device.server.deaf = True
            device.fail(NoResponse)
            device.server.deaf = False
            old = device.saved
            device.configure(**change)
            if power_cut:
                device.power_on()
            seen = []
            device.world.on_send = lambda seen=seen, device=device: seen.append(device.saved)
            device.run()
            new = seen[0]
            for field in ("message_id", "coap_token", "body"):
                assert new[field] != old[field], field
            # The token is the server's and the name's.
            assert new["tokens"][:1] == old["tokens"]
            assert len(new["tokens"]) == (1 if "provisioning__provisionDeviceKey" in change else 2)
            server = other if "server" in change else device.server
            assert server.requests[-1].source == new["port"]


# FAILURE and the probe


def test_failure_and_what_the_probe_says():
    answers = (
        (Reply(CONTENT, b'{"shared":{"a":1}}'), None),
        (Reply(NOT_FOUND), None),
        (Reply(CONTENT, b"{}", separate=800), None),
        (Reply(UNAUTHORIZED), Failure),
        (Reply(INTERNAL_SERVER_ERROR), ProvisioningError),
        (Reply(BAD_REQUEST), ProvisioningError),
    )
    for answer, error in answers:
        device = Device()
        device.server.script = [failure(), answer]
        if error:
            raised = device.fail(error)
            assert isinstance(raised, Failure) == (error is Failure)
            assert device.world.get(CREDENTIALS) is None
            assert device.saved is not None
        else:
            credentials = device.run()
            proposed = device.server.of(POST)[0].body["token"]
            assert credentials["credentialsValue"] == proposed
            assert device.world.get(CREDENTIALS) == credentials
        assert [request.code for request in device.server.requests] == [POST, GET]
        assert device.server.requests[0].message_id != device.server.requests[1].message_id


def test_failure_and_a_silent_probe():
    device = Device()

    def fall_silent(request):
        device.server.mute = True
        return Reply(UNAUTHORIZED)

    device.server.script = [failure(), fall_silent]
    device.fail(NoResponse)
    assert device.world.get(CREDENTIALS) is None
    device.server.mute = False
    device.server.script = [failure(), Reply(NOT_FOUND)]
    first, second = device.run()["credentialsValue"], device.server.of(POST)
    assert second[0].body["token"] == second[1].body["token"] == first
    assert second[0].message_id != second[1].message_id


def test_failure_after_an_internal_server_error_that_had_succeeded():
    device = Device()

    def executed(request):
        device.server.answer(request)
        return Reply(INTERNAL_SERVER_ERROR)

    device.server.script = [executed]
    device.fail(ProvisioningError)
    device.power_on()
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]
    assert [request.code for request in device.server.requests] == [POST, POST, GET]


def test_a_reply_that_no_one_can_use_had_succeeded():
    device = Device()

    def garbled(request):
        device.server.answer(request)
        return Reply(0x41, b'{"status":')

    device.server.script = [garbled]
    device.fail(ProvisioningError)
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]


def test_the_probe_has_a_message_id_of_its_own():
    """Neither the request's, which the server would answer with the old reply, nor the next's."""
    for drawn in (b"\x11\x11", b"\x91\x11", b"\xff\xff", b"\x00\x00"):
        device = Device()
        device.world.board.random = lambda size, drawn=drawn: (drawn * 8)[:size]
        device.server.script = [failure()]
        device.fail(Failure)
        post, probe = device.server.requests
        assert len({post.message_id, probe.message_id, device.saved["message_id"]}) == 3, drawn


def test_a_given_token_is_probed_when_it_is_this_board_s_alone():
    for known in (True, False):
        device = Device(example(provisioning__token="token-of-{id}"))
        if known:
            device.lose_reply()
            device.forget()
            assert device.run()["credentialsValue"] == "token-of-" + device.world.board.id
        else:
            device.server.devices[DEVICE] = "the-token-of-another"
            device.fail(Failure)
            assert device.world.get(CREDENTIALS) is None


def test_a_given_token_that_others_may_have_proves_nothing():
    device = Device(example(provisioning__token="given-token-12345678"))
    device.lose_reply()
    assert device.proposed == []
    device.forget()
    assert "or it did so before" in device.fail(Failure).what
    assert device.server.of(GET) == []


# What the request says


def test_exactly_the_documented_fields():
    device = Device(example(access_token="server"))
    credentials = device.run()
    assert device.server.requests[0].body == {
        "deviceName": DEVICE,
        "provisionDeviceKey": "profile-key-1234",
        "provisionDeviceSecret": "profile-secret-1234",
    }
    assert credentials["credentialsValue"] == "chosen-by-the-server"


def test_which_requests_propose_a_token():
    for changes, expected in (
        ({}, "drawn"),
        ({"provisioning__credentialsType": "ACCESS_TOKEN"}, "drawn"),
        ({"access_token": "server"}, None),
        ({"provisioning__token": "given-token-12345678"}, "given-token-12345678"),
        (
            {"provisioning__token": "given-token-12345678", "access_token": "server"},
            "given-token-12345678",
        ),
        ({"provisioning__credentialsType": "MQTT_BASIC", "provisioning__username": "u"}, None),
        ({"provisioning__credentialsType": "X509_CERTIFICATE", "provisioning__hash": "MIIB"}, None),
    ):
        device = Device(example(**changes))
        device.server.script = [success("the-token-of-the-reply")]
        device.run()
        token = device.server.requests[0].body.get("token")
        assert token == expected or (expected == "drawn" and len(token) >= 20), changes


AMBIGUOUS = (
    {"access_token": "server"},
    {"provisioning__credentialsType": "MQTT_BASIC", "provisioning__username": "u"},
    {"provisioning__credentialsType": "X509_CERTIFICATE", "provisioning__hash": "MIIB"},
)


def test_failure_without_a_token_is_ambiguous():
    for changes in AMBIGUOUS:
        device = Device(example(**changes))
        device.server.script = [failure()]
        error = device.fail(Failure)
        assert "or it did so before" in error.what
        assert "delete it there" in error.fix and "device limit" in error.fix
        assert error.retry_after == 3_600_000
        assert device.server.of(GET) == []


def test_failure_with_a_token_that_is_not_known_is_certain():
    device = Device()
    device.server.devices[DEVICE] = "the-token-of-another"
    assert "or it did so before" not in device.fail(Failure).what


def test_failure_is_ambiguous_whatever_was_proposed_before():
    for changes in AMBIGUOUS:
        device = Device()
        device.server.script = [Reply(INTERNAL_SERVER_ERROR), failure()]
        device.fail(ProvisioningError)
        device.configure(**changes)
        error = device.fail(Failure)
        assert "or it did so before" in error.what, changes


def test_a_token_proposed_before_is_probed_whatever_is_asked_now():
    device = Device()
    device.lose_reply()
    device.configure(access_token="server")
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]
    assert device.world.get(CREDENTIALS)["credentialsType"] == "ACCESS_TOKEN"


# DNS, addresses and ports


def test_an_address_is_not_looked_up():
    device = Device(example(server="coap://" + ADDRESS))
    device.run()
    assert device.world.resolved == []
    assert 3 not in [number for number, _ in device.server.requests[0].options]


def test_a_name_is_looked_up_and_told():
    device = Device()
    device.run()
    assert device.world.resolved == [NAME]
    assert (3, NAME.encode()) in device.server.requests[0].options


def test_the_saved_address_is_kept_while_the_server_may_remember():
    device = Device()
    device.lose_reply()
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [OTHER, ADDRESS]
    device.power_on()
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]
    assert other.requests == []


def test_a_server_that_moved():
    """It is left once 247 s have passed since it was last asked, whoever chooses the token."""
    for mode in ("device", "server"):
        for waited, has_moved in ((246_000, False), (247_000, True)):
            device = Device(example(access_token=mode))
            device.server.deaf = True
            device.fail(NoResponse)
            device.power_on()
            other = device.world.add_server(OTHER)
            device.world.names[NAME] = [OTHER]
            # Long enough for the next try to move.
            assert device.fail(NoResponse).retry_after == 247_000
            device.world.clock.sleep_ms(waited)
            if has_moved:
                device.run()
                assert device.world.get(CREDENTIALS)["credentialsValue"] == other.devices[DEVICE]
            else:
                device.fail(NoResponse)
            assert len(other.requests) == has_moved


def test_the_quiet_counts_from_the_last_datagram_and_from_power_up():
    device = Device(example(access_token="server"))
    device.server.deaf = True
    device.fail(NoResponse)
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [OTHER]
    device.world.clock.sleep_ms(246_000)
    device.fail(NoResponse)
    device.world.clock.sleep_ms(246_000)
    device.power_on()
    device.world.clock.sleep_ms(246_000)
    device.fail(NoResponse)
    assert other.requests == []


def test_an_address_that_stays_silent_gives_way_to_the_next():
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    other = device.world.add_server(OTHER)
    third = device.world.add_server("192.0.2.3")
    device.world.names[NAME] = [ADDRESS, OTHER, "192.0.2.3"]
    assert device.fail(NoResponse).retry_after == 0
    device.forget()
    device.run()
    assert len(other.requests) == 1 and third.requests == []


def test_an_address_that_answers_again_is_asked_again():
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [ADDRESS, OTHER]
    device.server.deaf = False
    device.server.script = [Reply(INTERNAL_SERVER_ERROR)]
    device.fail(ProvisioningError)
    device.run()
    assert other.requests == []


def test_an_address_that_was_silent_before_a_power_cut_is_asked_first():
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    device.power_on()
    device.forget()
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [ADDRESS, OTHER]
    device.server.deaf = False
    device.run()
    assert other.requests == []


def test_credentials_that_could_not_be_saved_are_saved_by_the_next_try():
    """Nothing is sent for it: what the server says it may say only once."""
    device = Device(example(access_token="server"))

    def break_flash():
        device.world.flash.broken = ("rename",)

    device.world.on_send = break_flash
    assert CREDENTIALS in device.fail(FirstbootError).what
    assert CREDENTIALS in device.fail(FirstbootError).what
    assert device.world.get(CREDENTIALS) is None
    sent = len(device.world.sent)
    device.world.flash.broken = ()
    found = device.run()
    assert found["credentialsValue"] == device.server.devices[DEVICE]
    assert device.world.get(CREDENTIALS) == found
    assert device.saved is None and len(device.world.sent) == sent


def test_an_attempt_that_cannot_be_removed_is_told():
    device = Device()
    device.world.flash.broken = ("remove",)
    assert device.run() == device.world.get(CREDENTIALS)
    assert [line for line in device.world.texts() if ATTEMPT + " cannot be removed" in line]


def test_the_saved_address_comes_first_while_the_name_still_has_it():
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    device.fail(NoResponse)
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [OTHER, ADDRESS]
    device.fail(NoResponse)
    assert other.requests == []
    assert device.saved["address"] == ADDRESS


def test_a_new_request_goes_where_the_name_leads_and_stays_there():
    device = Device(example(access_token="server"))
    device.server.script = [Reply(INTERNAL_SERVER_ERROR)]
    device.fail(ProvisioningError)
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [OTHER]
    other.mute = True
    device.fail(NoResponse)
    other.mute = False
    device.world.names[NAME] = [ADDRESS]
    assert device.run()["credentialsValue"] == other.devices[DEVICE]
    assert len(device.server.requests) == len(other.requests) == 1


def test_no_dns_and_no_saved_address():
    device = Device()
    device.world.names = {}
    error = device.fail(NetworkError)
    assert NAME in error.what and "DNS" in error.fix
    assert "it has no address" not in error.what
    assert device.world.sent == []


def test_no_dns_and_a_saved_address():
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    device.world.names = {}
    for power_cut in (False, True):
        if power_cut:
            device.power_on()
        device.fail(NoResponse)
        device.fail(NoResponse)
    device.server.deaf = False
    device.run()
    assert len(sent_from(device)) == 1


def test_a_name_without_addresses():
    device = Device()
    device.world.names[NAME] = []
    assert "%s was not found: it has no address" % NAME in device.fail(NetworkError).what


def test_a_port_in_use():
    device = Device()
    device.world.scripted_random[2] = [b"\x00\x07", b"\x12\x34", b"\x00\x08", b"\x00\x09"]
    device.world.used_ports = (16384 + 7, 16384 + 8)
    seen = []
    device.world.on_send = lambda: seen.append(device.saved["port"])
    device.run()
    assert device.server.requests[0].source == 16384 + 9
    assert seen == [16384 + 9]


class Every:
    """Ports that are all in use, or addresses without a route; how often is counted."""

    tries = 0

    def __contains__(self, each):
        self.tries += 1
        return True


def test_no_port_to_be_had():
    device = Device()
    device.world.used_ports = Every()
    error = device.fail(NetworkError)
    assert "socket" in error.what
    assert device.world.used_ports.tries == 8
    assert device.world.sent == []
    assert device.world.get(ATTEMPT) is None


def test_sending_fails_here_so_the_next_address_is_tried():
    device = Device()
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [ADDRESS, OTHER]
    device.world.unreachable = (ADDRESS,)
    device.run()
    assert len(other.requests) == 1
    assert device.world.sent[0][0] == OTHER
    assert device.world.open_ports == []


def test_a_saved_address_that_cannot_be_sent_to_gives_way():
    """Once nobody can have its reply any more."""
    device = Device()
    device.lose_reply()
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [ADDRESS, OTHER]
    device.world.unreachable = (ADDRESS,)
    device.power_on()
    device.fail(NetworkError)
    assert other.requests == []
    device.forget()
    device.run()
    assert len(other.requests) == 1
    assert other.requests[0].datagram == device.server.requests[0].datagram


def test_no_address_can_be_sent_to():
    device = Device()
    device.world.names[NAME] = [ADDRESS, OTHER]
    device.world.unreachable = (ADDRESS, OTHER)
    assert "could not send" in device.fail(NetworkError).what
    assert device.world.open_ports == []


def test_another_port_is_tried_only_when_one_is_in_use():
    device = Device()
    device.world.unroutable = Every()
    assert "socket" in device.fail(NetworkError).what
    assert device.world.unroutable.tries == 1


def test_no_socket_to_an_address_takes_the_next():
    device = Device()
    device.world.names[NAME] = ["2001:db8::1", ADDRESS]
    device.world.unroutable = ("2001:db8::1",)
    device.run()
    assert len(device.server.requests) == 1


def test_an_unreachable_address_keeps_the_port():
    device = Device()
    device.lose_reply()
    port = device.saved["port"]
    device.world.unroutable = (ADDRESS,)
    error = device.fail(NetworkError)
    assert "UDP port" not in error.what
    device.world.unroutable = ()
    device.run()
    assert device.server.requests[-1].source == port
    assert len(device.server.requests) == 1


def test_the_next_address_is_sent_to_from_the_same_port():
    """It may be the same server, which knows the request by its port and Message ID."""
    device = Device()
    device.lose_reply()
    device.forget()
    other = device.world.add_server(OTHER)
    device.world.names[NAME] = [ADDRESS, OTHER]
    device.world.unroutable = (ADDRESS,)
    device.run()
    assert other.requests[0].source == device.server.requests[0].source
    assert other.requests[0].datagram == device.server.requests[0].datagram


def test_every_wait_idles():
    """The watchdog is fed and the LED moves: at least every 50 ms."""
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    assert device.world.board.idled >= device.world.clock.slept // 50 > 1_000


def test_every_socket_is_given_back():
    for script in ([], [Reply(INTERNAL_SERVER_ERROR)], [failure()]):
        device = Device()
        device.server.script = script
        try:
            device.run()
        except ProvisioningError:
            pass
        assert device.world.open_ports == []


def test_a_given_token_of_another_board_is_not_taken():
    """Two boards with one config.json, one of whose FAILUREs may be lost."""
    for tries in (1, 3):
        for lost in (False, True):
            device = Device(example(provisioning__token="given-token-12345678"))
            device.server.devices["another"] = "given-token-12345678"
            device.server.script = [failure()] * (tries + lost)
            if lost:
                device.lose_reply()
                device.forget()
            for _ in range(tries):
                device.fail(Failure)
            assert device.world.get(CREDENTIALS) is None
            assert len(device.server.of(GET)) == 0


def test_a_reply_that_was_not_read_whole_is_not_acknowledged():
    """Its first block says that more come, and the next one does not continue it."""
    device = Device()
    block2 = 23
    device.server.script = [
        Reply(0x41, b"x" * 1024, [(block2, b"\x0e")], separate=0),
        Reply(0x41, b"y" * 1024, [(block2, b"\x3e")], separate=0),
    ]
    device.fail(CoapError)
    assert device.server.acknowledged == []
