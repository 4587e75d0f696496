"""firmware.provisioning.rejection: credentials that ThingsBoard takes no more."""

from firmware.errors import FirstbootError, NoResponse
from firmware.provisioning.rejection import credentials_rejected
from firmware.thingsboard.refusals import Refused
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import (
    ADDRESS,
    NAME,
    PowerCut,
    World,
    example,
    failure,
    success,
)

DEVICE = "sensor-a1b2c3d4e5f6"


def provisioned():
    """Return a World whose board was provisioned, its board and its credentials."""
    world = World()
    credentials, _ = world.power_up()
    return world, credentials


def test_a_deleted_device_is_provisioned_again():
    world, old = provisioned()
    del world.server.devices[DEVICE]
    new = credentials_rejected(world.board)
    assert new["credentialsValue"] != old["credentialsValue"]
    assert new["credentialsValue"] == world.server.devices[DEVICE]
    assert new == world.get("/credentials.json")
    assert world.get("/attempt.json") is None
    assert world.texts()[-1] == (
        'provisioned: "%s" has new credentials, saved in /credentials.json' % DEVICE
    )


def test_a_changed_token_is_refused_and_the_old_credentials_stay():
    world, old = provisioned()
    world.server.devices[DEVICE] = "changed-by-an-operator"
    error = raises(Refused, credentials_rejected, world.board)
    assert "no more" in error.what and "add it again" in error.fix
    assert "its old credentials back, or delete it" in error.fix
    assert world.get("/credentials.json") == old


def test_whose_credentials_they_were_is_told():
    """config.json has been given another name, which is another device's."""
    world, old = provisioned()
    world.put("/config.json", example(provisioning__deviceName="another"))
    del world.server.devices[DEVICE]
    world.server.devices["another"] = "an operator's"
    error = raises(Refused, credentials_rejected, world.board)
    assert 'the credentials of "%s" no more' % DEVICE in error.what
    assert 'gives "another" no new ones' in error.what
    assert world.get("/credentials.json") == old


def test_old_credentials_stay_until_new_ones_are_saved():
    """Whatever operation the power fails at, and whether or not the device is asked for again."""
    cuts = 0
    while True:
        world, old = provisioned()
        del world.server.devices[DEVICE]
        world.flash.begin()
        world.flash.cut_at = cuts
        try:
            credentials_rejected(world.board)
            break
        except PowerCut:
            pass
        world.flash.begin()
        kept = world.get("/credentials.json")
        assert kept == old or kept["credentialsValue"] == world.server.devices[DEVICE], cuts
        found, _ = world.power_up()
        if found == old:
            found = credentials_rejected(world.board)
        assert found["credentialsValue"] == world.server.devices[DEVICE], cuts
        assert found == world.get("/credentials.json"), cuts
        assert world.get("/attempt.json") is None, cuts
        cuts += 1
    assert cuts > 5


def test_silence_is_resumed_with_the_same_bytes():
    world, old = provisioned()
    del world.server.devices[DEVICE]
    world.server.mute = True
    raises(NoResponse, credentials_rejected, world.board)
    assert world.get("/credentials.json") == old
    world.server.mute = False
    new = credentials_rejected(world.board)
    assert new["credentialsValue"] == world.server.devices[DEVICE]
    assert len(world.server.requests) == 2  # the second is answered again, not asked again


def test_a_forgotten_secret_is_asked_for():
    world, old = provisioned()
    config = example()
    del config["provisioning"]["provisionDeviceSecret"]
    world.put("/config.json", config)
    error = raises(FirstbootError, credentials_rejected, world.board)
    assert error.state == "config.json"
    assert "provisionDeviceSecret" in error.what
    assert world.get("/credentials.json") == old


def test_an_attempt_to_replace_credentials_outlives_power_ups():
    """Also when the server took the request and nobody heard its reply."""
    world, old = provisioned()
    del world.server.devices[DEVICE]
    world.server.mute = True
    raises(NoResponse, credentials_rejected, world.board)
    world.server.mute = False
    world.clock.sleep_ms(247_000)
    for _ in range(2):
        found, _ = world.power_up()
        assert found == old
    new = credentials_rejected(world.board)
    assert new["credentialsValue"] == world.server.devices[DEVICE] != old["credentialsValue"]
    assert world.get("/attempt.json") is None


def test_a_token_that_was_rejected_is_not_proposed_again():
    """Somebody may know it: that can be why the device was deleted."""
    world, _ = provisioned()
    for _ in range(3):
        old = world.get("/credentials.json")["credentialsValue"]
        del world.server.devices[DEVICE]
        assert credentials_rejected(world.board)["credentialsValue"] != old
        world.power_up()


def put_attempt_again(world, token):
    """Put the record of an attempt in its other place, in the form that has one token."""
    fields = {
        "server": "coap://" + NAME,
        "address": ADDRESS,
        "provisionDeviceKey": "profile-key-1234",
        "deviceName": DEVICE,
        "body": "00" * 32,
        "token": token,
        "message_id": 0x1234,
        "coap_token": "0011223344556677",
        "port": 20000,
    }
    world.put("/attempt_again.json", fields)


def test_an_attempt_in_its_other_place_goes_on():
    for cut_at in (None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12):
        world, old = provisioned()
        world.server.devices[DEVICE] = "proposed-before"
        put_attempt_again(world, "proposed-before")
        world.flash.begin()
        world.flash.cut_at = cut_at
        try:
            new = credentials_rejected(world.board)
        except PowerCut:
            world.flash.begin()
            new, _ = world.power_up()
            if new == old:
                new = credentials_rejected(world.board)
        assert new["credentialsValue"] == "proposed-before", cut_at
        assert world.get("/attempt_again.json") is None


def test_an_attempt_in_its_other_place_that_had_succeeded_is_over():
    world, old = provisioned()
    del world.server.devices[DEVICE]
    put_attempt_again(world, old["credentialsValue"])
    new = credentials_rejected(world.board)
    assert new["credentialsValue"] != old["credentialsValue"]
    assert world.get("/attempt_again.json") is None


def test_failure_after_a_new_request_is_told_with_both_readings():
    world, old = provisioned()
    world.server.script = [failure()]
    error = raises(Refused, credentials_rejected, world.board)
    for words in ("its old credentials back", "provisionState", "add it again"):
        assert words in error.fix
    assert error.state == "refused"


def test_what_is_doubtful_in_the_config_is_no_reason_to_stay_without_credentials():
    world, old = provisioned()
    config = example(wifi__password="z" * 64)
    world.put("/config.json", config)
    del world.server.devices[DEVICE]
    assert credentials_rejected(world.board)["credentialsValue"] == world.server.devices[DEVICE]


def test_the_wifi_is_joined_first():
    world, _ = provisioned()
    del world.server.devices[DEVICE]
    world.board.network.disconnect()
    credentials_rejected(world.board)
    assert world.board.network.isconnected()


def test_a_device_that_is_deleted_again_is_provisioned_again():
    world, old = provisioned()
    found = [old]
    for _ in range(2):
        del world.server.devices[DEVICE]
        found.append(credentials_rejected(world.board))
        assert found[-1] == world.get("/credentials.json")
        assert found[-1]["credentialsValue"] == world.server.devices[DEVICE]
        line = 'provisioning: asking coap://%s for "%s" again' % (NAME, DEVICE)
        assert line in world.texts()
    assert len({each["credentialsValue"] for each in found}) == 3


def test_new_credentials_that_a_cut_left_in_their_temporary_file_are_found():
    """By the next start, though all that it compares is the same."""
    world = World(example(access_token="server"))
    world.power_up()
    world.server.devices[DEVICE] = "chosen-again"
    world.server.script = [success("chosen-again")]
    operate = world.flash.operate

    def cut(name, path):
        if (name, path) == ("rename", "/credentials.json"):
            raise PowerCut()
        return operate(name, path)

    world.flash.operate = cut
    raises(PowerCut, credentials_rejected, world.board)
    world.flash.operate = operate
    world.clock.sleep_ms(247_000)
    new, _ = world.power_up()
    assert new["credentialsValue"] == "chosen-again"
    assert new == world.get("/credentials.json")
    assert world.get("/attempt.json") is None
