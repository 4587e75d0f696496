"""Whatever a person edits in config.json after a lost reply, the token comes back."""

from firmware.coap.message import GET, POST
from firmware.errors import FirstbootError, NoResponse
from firmware.thingsboard.refusals import Failure, Refused
from host_tests.firmware.device import ATTEMPT, CREDENTIALS, DEVICE, OTHER, Device
from host_tests.firmware.world import ADDRESS, NAME, example, failure, not_found

NEW_KEY = {"provisioning__provisionDeviceKey": "renewed-key-1234"}
OTHER_SERVER = {"server": "coap://other.example.com"}

# One edit after the other, each with a try after it; the last one leads back to ThingsBoard.
EDITS = (
    (NEW_KEY,),
    (NEW_KEY, {}),
    ({"provisioning__provisionDeviceSecret": "mistyped-secret"}, {}),
    ({"server": "coap://%s/" % NAME},),
    ({"server": "coap://%s:5683" % NAME},),
    ({"server": "COAP://ThingsBoard.Example.COM"},),
    ({"server": "coap://" + ADDRESS},),
    ({"server": "coap://%s:5683/" % ADDRESS}, {}),
    (OTHER_SERVER, {}),
    ({"server": "coap://nowhere.example.com"}, {}),
    ({"provisioning__deviceName": "another-name"}, {}),
    ({"provisioning__token": "a-token-of-its-own-1"},),
    ({"provisioning__token": "a-token-of-its-own-1"}, {}),
    ({"access_token": "server"},),
    ({"provisioning__credentialsType": "MQTT_BASIC", "provisioning__username": "u"}, {}),
    ({"provisioning__gateway": True},),
    (OTHER_SERVER, NEW_KEY),
    ({"provisioning__deviceName": "another-name"}, {"server": "coap://" + ADDRESS}),
)


def edited(edits, power_cut, forgets):
    """Lose a reply, then make the edits, each followed by a try; return the device."""
    device = Device()
    device.world.names["other.example.com"] = [OTHER]
    other = device.world.add_server(OTHER)
    other.mute = True
    device.lose_reply()
    for changes in edits:
        if forgets:
            device.forget()
        device.configure(**changes)
        if power_cut:
            device.power_on()
        try:
            device.run()
        except FirstbootError:
            pass
        if device.world.get(CREDENTIALS):
            break
    return device


def test_every_edit_recovers():
    for edits in EDITS:
        for power_cut in (False, True):
            for forgets in (False, True):
                device = edited(edits, power_cut, forgets)
                credentials = device.world.get(CREDENTIALS)
                place = edits, power_cut, forgets
                assert credentials, place
                name = credentials["deviceName"]
                assert credentials["credentialsValue"] == device.server.devices[name], place


def test_a_given_token_then_none_of_it_is_lost_on_not_found():
    """The profile's secret was renewed: NOT_FOUND says nothing of what came before."""
    device = Device(example(provisioning__token="token-of-{id}"))
    device.lose_reply()
    device.forget()
    device.server.script = [not_found()]
    device.fail(Refused)
    device.power_on()
    token = "token-of-" + device.world.board.id
    assert device.run()["credentialsValue"] == token == device.server.devices[DEVICE]


def test_a_server_that_is_the_same_is_asked_in_the_same_exchange():
    """With a token of the server's own, only the first reply has it."""
    for server in ("coap://%s:5683/" % NAME, "coap://" + ADDRESS):
        device = Device(example(access_token="server"))
        device.lose_reply()
        device.configure(access_token="server", server=server)
        device.power_on()
        assert device.run()["credentialsValue"] == "chosen-by-the-server"
        assert len(device.server.requests) == 1


def test_a_token_is_probed_only_where_and_for_whom_it_was_proposed():
    device = Device()
    device.world.names["other.example.com"] = [OTHER]
    other = device.world.add_server(OTHER)
    other.devices[DEVICE] = "of-another-board"
    device.lose_reply()
    device.configure(**OTHER_SERVER)
    device.fail(Failure)
    (probe,) = other.of(GET)
    assert probe.path == "api/v1/%s/attributes" % other.of(POST)[0].body["token"]
    assert device.server.devices[DEVICE] not in probe.path


def test_another_port_is_another_server():
    device = Device()
    elsewhere = device.world.servers[(ADDRESS, 5685)] = device.world.add_server(OTHER)
    elsewhere.devices[DEVICE] = "of-another-board"
    device.lose_reply()
    device.configure(server="coap://%s:5685" % NAME)
    device.fail(Failure)
    assert len(elsewhere.of(GET)) == 1
    assert len(device.proposed) == 2


def test_all_tokens_that_may_be_ours_are_probed():
    """One that config.json gave, and one that the board drew."""
    device = Device()
    device.server.deaf = True
    device.fail(NoResponse)
    device.configure(provisioning__token="token-of-{id}")
    device.fail(NoResponse)
    drawn, given = device.proposed
    device.server.deaf = False
    for token in (drawn, given):
        again = Device(example(provisioning__token="token-of-{id}"))
        again.world.put(ATTEMPT, device.saved)
        again.server.devices[DEVICE] = token
        assert again.run()["credentialsValue"] == token
        assert len(again.server.of(POST)) == 1


def test_a_given_token_is_no_other_name_s():
    """The device of the first name has it; the second name's request is refused for it."""
    given = {"provisioning__token": "token-of-{id}"}
    device = Device(example(**given))
    device.lose_reply()
    device.server.script = [failure(), failure()]
    for _ in range(2):
        device.configure(provisioning__deviceName="another-name", **given)
        device.fail(Failure)
    assert device.world.get(CREDENTIALS) is None and device.server.of(GET) == []
    device.configure(**given)
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]


def test_a_given_token_that_two_names_may_have_proves_neither():
    given = {"provisioning__token": "token-of-{id}"}
    device = Device(example(**given))
    device.lose_reply()
    device.configure(provisioning__deviceName="another-name", **given)
    device.lose_reply()
    device.forget()
    for name in ("another-name", "sensor-{id}"):
        device.server.script = [failure()]
        device.configure(provisioning__deviceName=name, **given)
        assert "or it did so before" in device.fail(Failure).what
    assert device.world.get(CREDENTIALS) is None and len(device.proposed) == 2


def test_a_token_that_came_back_under_another_name_of_the_server_is_settled():
    device = Device()
    device.lose_reply()
    device.forget()
    device.configure(server="coap://" + ADDRESS)
    device.run()
    assert device.world.get(CREDENTIALS) and device.saved is None


def test_what_other_servers_may_hold_outlives_the_provisioning():
    device = Device()
    device.world.names["other.example.com"] = [OTHER]
    device.world.add_server(OTHER)
    device.lose_reply()
    device.configure(**OTHER_SERVER)
    device.world.power_up()
    kept = device.proposed
    assert kept == list(device.server.devices.values())
    device.world.power_up()
    assert device.proposed == kept
    device.configure()
    del device.world.flash.files[CREDENTIALS]
    device.forget()
    credentials, _ = device.world.power_up()
    assert [credentials["credentialsValue"]] == kept
    assert device.saved is None


def test_what_another_name_may_have_outlives_the_provisioning():
    device = Device()
    device.lose_reply()
    kept = device.proposed
    device.configure(provisioning__deviceName="another-name")
    device.world.power_up()
    assert device.world.get(CREDENTIALS)["deviceName"] == "another-name"
    assert device.proposed == kept == [device.server.devices[DEVICE]]


def test_what_another_port_of_the_address_may_hold_outlives_the_provisioning():
    device = Device()
    elsewhere = device.world.servers[(ADDRESS, 5685)] = device.world.add_server(OTHER)
    device.lose_reply()
    kept = device.proposed
    device.configure(server="coap://%s:5685" % NAME)
    device.run()
    assert elsewhere.devices[DEVICE] not in kept
    assert device.proposed == kept == [device.server.devices[DEVICE]]
    assert device.saved["body"] == ""  # of no request that could be resumed


def test_a_token_that_is_written_out_proves_nothing_until_it_has_id_in_it_again():
    own = example(provisioning__token="token-of-{id}")
    device = Device(own)
    device.lose_reply()
    device.forget()
    device.configure(provisioning__token="token-of-" + device.world.board.id)
    device.fail(Failure)
    assert device.server.of(GET) == []
    device.world.put("/config.json", own)
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]


def test_no_more_tokens_than_there_is_room_for():
    device = Device()
    device.server.deaf = True
    for number in range(8):
        device.configure(provisioning__deviceName="name-%d" % number)
        device.fail(NoResponse)
    kept = device.proposed
    sent = len(device.world.sent)
    device.configure(provisioning__deviceName="name-8")
    error = device.fail(FirstbootError)
    assert error.state == "config.json" and "attempt.json is full" in error.what
    assert '"name-0" at coap://%s:5683' % NAME in error.fix
    assert error.fix.index("in ThingsBoard") < error.fix.index("reset --attempt")
    assert device.proposed == kept and len(device.world.sent) == sent
    # A name that is known has its place.
    device.configure(provisioning__deviceName="name-3")
    device.server.deaf = False
    device.run()


def test_a_flash_that_was_copied_while_its_attempt_is_pending():
    """Both boards ask for one name; each proposes a token of its own, from a request of its own."""
    first = Device()
    first.configure(provisioning__deviceName="one-name")
    first.lose_reply()
    second = Device()
    second.configure(provisioning__deviceName="one-name")
    second.world.put(ATTEMPT, first.saved)
    second.world.servers[(ADDRESS, 5683)] = first.server
    second.world.board.id = "another-board"
    second.world.random(1)  # or it draws what the first one drew
    second.fail(Failure)
    assert second.world.get(CREDENTIALS) is None
    requests = first.server.of(POST)
    assert requests[0].body["token"] != requests[1].body["token"]
    assert requests[0].message_id != requests[1].message_id
    assert first.run()["credentialsValue"] == first.server.devices["one-name"]


LEGACY = {
    "server": "coap://" + NAME,
    "address": ADDRESS,
    "provisionDeviceKey": "profile-key-1234",
    "deviceName": DEVICE,
}


def legacy(saved, token):
    """Return a record in the form that has one token and no board's id."""
    record = dict(LEGACY)
    record["token"] = token
    for field in ("body", "port", "message_id", "coap_token"):
        record[field] = saved[field]
    return record


def test_a_record_in_the_form_with_one_token_is_resumed():
    device = Device()
    device.lose_reply()
    device.world.put(ATTEMPT, legacy(device.saved, device.proposed[0]))
    device.power_on()
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]
    assert len(device.server.requests) == 1


def test_a_record_in_the_form_with_one_token_is_probed():
    for edit in ({}, NEW_KEY, {"server": "coap://" + ADDRESS}):
        device = Device()
        device.lose_reply()
        device.world.put(ATTEMPT, legacy(device.saved, device.proposed[0]))
        device.forget()
        device.configure(**edit)
        device.power_on()
        assert device.run()["credentialsValue"] == device.server.devices[DEVICE]


def test_a_record_in_the_form_with_one_token_without_a_token():
    device = Device(example(access_token="server"))
    device.lose_reply()
    device.world.put(ATTEMPT, legacy(device.saved, None))
    device.power_on()
    assert device.run()["credentialsValue"] == "chosen-by-the-server"


def test_a_given_token_that_another_server_may_have_for_another_name_proves_its_own():
    given = {"provisioning__token": "token-of-{id}"}
    device = Device(example(**given))
    device.world.names["other.example.com"] = [OTHER]
    device.world.add_server(OTHER).mute = True
    device.lose_reply()
    device.configure(provisioning__deviceName="another-name", **given, **OTHER_SERVER)
    device.fail(NoResponse)
    device.forget()
    device.configure(**given)
    assert device.run()["credentialsValue"] == device.server.devices[DEVICE]


def test_a_given_token_whose_first_request_was_sent_again_is_probed():
    """ThingsBoard took it, and restarted before its reply was through."""
    device = Device(example(provisioning__token="token-of-{id}"))
    server = device.server

    def restart():
        if server.of(POST):
            server.mute = False
            server._remembered.clear()

    server.mute = True
    device.world.on_send = restart
    assert device.run()["credentialsValue"] == server.devices[DEVICE]
    assert len(server.of(POST)) == 2
