"""firmware.provisioning.rejection: credentials that ThingsBoard takes no more."""

from firmware.errors import FirstbootError, NoResponse
from firmware.provisioning.rejection import credentials_rejected
from firmware.thingsboard.refusals import Refused
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import PowerCut, World, example

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
    assert world.get("/attempt_again.json") is None
    assert world.texts()[-1] == (
        'provisioned: "%s" has new credentials, saved in /credentials.json' % DEVICE
    )


def test_a_changed_token_is_refused_and_the_old_credentials_stay():
    world, old = provisioned()
    world.server.devices[DEVICE] = "changed-by-an-operator"
    error = raises(Refused, credentials_rejected, world.board)
    assert "other credentials" in error.what and "delete the device" in error.fix
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
        assert found == kept
        if kept == old:
            new = credentials_rejected(world.board)
            assert new["credentialsValue"] == world.server.devices[DEVICE], cuts
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
