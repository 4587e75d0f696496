"""firmware.provisioning.attempt over coaps: what a session changes in where and how it asks."""

from firmware.board import config as configuration
from firmware.errors import CoapError, NetworkError, NoResponse
from firmware.provisioning.attempt import Attempt
from firmware.thingsboard.refusals import Failure
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import ADDRESS, NAME, World, example

OTHER = "192.0.2.2"


class Device:
    """A board whose `server` is coaps. `session`: what a handshake does, with its transport."""

    def __init__(self, **changes):
        self.world = World(example(server="coaps://" + NAME, ca="ca.der", **changes))
        self.server = self.world.servers[(ADDRESS, 5684)] = self.world.server
        self.opened = []
        self.session = lambda transport: transport
        self.power_on()

    def power_on(self):
        board = self.world.new_board()
        board.sessions = lambda config: self.open_session
        self.attempt = Attempt(board)

    def open_session(self, transport, host):
        # The attempt is saved before anything is sent.
        assert self.world.get("/attempt.json")["message_id"] is not None
        self.opened.append(host)
        return self.session(transport)

    def run(self):
        return self.attempt.run(configuration.load(self.world.board))


def raising(error):
    def session(transport):
        raise error

    return session


def test_one_session_a_try_and_all_of_it_inside():
    device = Device()
    assert device.run()["deviceName"] in device.server.devices
    assert device.opened == [NAME]
    assert device.world.open_ports == []


def test_no_session_no_request():
    for error in (CoapError("not trusted"), NoResponse("silence")):
        device = Device()
        device.session = raising(error)
        assert raises(CoapError, device.run) is error
        assert device.world.sent == [] and device.world.open_ports == []
        device.session = lambda transport: transport
        device.run()


def test_another_address_when_this_board_could_not_send():
    device = Device()
    device.world.names[NAME] = [OTHER, ADDRESS]
    errors = [NetworkError("unreachable", "")]

    def session(transport):
        if errors:
            raise errors.pop()
        return transport

    device.session = session
    device.run()
    assert len(device.opened) == 2
    assert {address for address, _, _ in device.world.sent} == {ADDRESS}


def test_a_certificate_that_is_refused_is_not_tried_at_another_address():
    device = Device()
    device.world.names[NAME] = [OTHER, ADDRESS]
    device.session = raising(CoapError("not trusted"))
    assert raises(CoapError, device.run).what == "not trusted"
    assert len(device.opened) == 1


def test_the_name_is_looked_up_again_at_every_try():
    """No server repeats a reply in another session, so none has to be asked again."""
    device = Device(access_token="server")
    device.world.names[NAME] = [OTHER]
    raises(NoResponse, device.run)
    device.world.names[NAME] = [ADDRESS]
    device.power_on()
    assert device.run()


def test_a_lost_reply_is_recovered_by_the_probe():
    device = Device()
    device.server.mute = True
    raises(NoResponse, device.run)
    device.server.mute = False
    device.world.clock.sleep_ms(247_000)
    device.power_on()
    (token,) = device.server.devices.values()
    assert device.run()["credentialsValue"] == token
    assert device.opened == [NAME, NAME]


def test_a_lost_reply_with_the_server_s_token_is_told_as_ambiguous():
    device = Device(access_token="server")
    device.server.mute = True
    raises(NoResponse, device.run)
    device.server.mute = False
    device.world.clock.sleep_ms(247_000)
    assert "this board never got the reply" in raises(Failure, device.run).what
