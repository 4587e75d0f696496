"""firmware.provisioning.attempt over coaps: what a session changes in where and how it asks."""

from binascii import b2a_base64

from firmware.board import config as configuration
from firmware.coap.message import GET, POST
from firmware.errors import CoapError, FirstbootError, NetworkError, NoResponse
from firmware.provisioning.attempt import Attempt
from firmware.thingsboard.refusals import Failure
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import (
    ADDRESS,
    CONTENT,
    NAME,
    UNAUTHORIZED,
    Reply,
    World,
    example,
    failure,
    success,
)

OTHER = "192.0.2.2"
CERTIFICATE = b"a certificate in DER"
VALUE = b2a_base64(CERTIFICATE).decode().strip()


class Device:
    """A board whose `server` is coaps. `session`: what a handshake does, with its transport."""

    def __init__(self, **changes):
        self.world = World(example(server="coaps://" + NAME, ca="ca.der", **changes))
        self.world.put("/own.der", CERTIFICATE)
        self.server = self.world.servers[(ADDRESS, 5684)] = self.world.server
        self.opened = []
        self.session = lambda transport: transport
        self.power_on()

    def power_on(self):
        board = self.world.new_board()
        board.sessions = self.sessions
        self.attempt = Attempt(board)

    def sessions(self, config, kind):
        self.server.certificate = None
        kind = kind or config["provisioning"]["credentialsType"] or "X509_CERTIFICATE"
        if config["certificate"] and kind == "X509_CERTIFICATE":
            self.server.certificate = CERTIFICATE
        return self.open_session

    def open_session(self, transport, host):
        # The attempt is saved before anything is sent.
        assert self.world.get("/attempt.json")["message_id"] is not None
        self.opened.append(host)
        return self.session(transport)

    def run(self):
        config = configuration.load(self.world.board)
        self.attempt.prepare(config)
        self.attempt.run(config)
        return self.attempt.save()


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


X509 = {"certificate": "own.der", "key": "own.key"}


class Answer:
    """What ThingsBoard answers, where sessions have certificates that it may know.

    `known`: the device that it knows by the certificate, or None.
    """

    def __init__(self, device, known=None):
        self.device = device
        self.known = known
        self.session = 0

    def __call__(self, request):
        server = self.device.server
        server.script.append(self)
        if request.code == POST:
            self.session = len(self.device.opened)
            if self.known:
                return failure()
            self.known = request.body["deviceName"]
            return success(VALUE, "X509_CERTIFICATE")
        # Any token in the path is taken in the session of a certificate that is known.
        is_known = server.certificate and self.known and len(self.device.opened) > self.session
        return Reply(CONTENT if is_known else UNAUTHORIZED)


def test_a_lost_reply_with_a_certificate_is_recovered_in_a_session_of_its_own():
    device = Device(**X509)
    device.server.script = [Answer(device)]
    device.server.mute = True
    raises(NoResponse, device.run)
    device.server.mute = False
    device.world.clock.sleep_ms(247_000)
    credentials = device.run()
    assert credentials["credentialsType"] == "X509_CERTIFICATE"
    assert credentials["credentialsValue"] == VALUE
    assert len(device.opened) == 3
    assert device.server.requests[-1].path == "api/v1/attributes"


def test_a_record_that_names_no_certificate_is_of_one_that_was_asked_with():
    device = Device(**X509)
    device.server.script = [Answer(device)]
    device.server.mute = True
    raises(NoResponse, device.run)
    device.server.mute = False
    saved = device.world.get("/attempt.json")
    saved["tokens"] = []
    device.world.put("/attempt.json", saved)
    device.world.clock.sleep_ms(247_000)
    device.power_on()
    assert device.run()["credentialsValue"] == VALUE


def test_a_certificate_that_is_not_known_is_refused():
    device = Device(**X509)
    device.server.script = [failure(), Reply(UNAUTHORIZED)]
    assert "or it did so before" not in raises(Failure, device.run).what
    assert device.world.get("/credentials.json") is None


def test_a_certificate_is_nobody_s_proof_when_it_was_asked_with_for_two_names():
    """The first name's device has it: the second name is no device."""
    device = Device(**X509)
    device.server.script = [Answer(device)]
    device.server.mute = True
    raises(NoResponse, device.run)
    device.world.put(
        "/config.json",
        example(
            server="coaps://" + NAME, ca="ca.der", provisioning__deviceName="another-name", **X509
        ),
    )
    raises(NoResponse, device.run)
    device.server.mute = False
    device.world.clock.sleep_ms(247_000)
    assert "or it did so before" in raises(Failure, device.run).what
    assert device.world.get("/credentials.json") is None


def test_a_certificate_that_was_refused_at_once_is_not_asked_for():
    """A flash that was copied before its first power-up: the certificate is another device's."""
    device = Device(**X509)
    for _ in range(2):
        device.server.script = [Answer(device, known="another device")]
        raises(Failure, device.run)
        device.server.script = []
    assert device.server.of(GET) == []


def test_a_certificate_on_a_copied_flash_is_not_asked_with():
    first = Device(**X509)
    first.server.mute = True
    raises(NoResponse, first.run)
    second = Device(**X509)
    second.world.put("/attempt.json", first.world.get("/attempt.json"))
    second.world.board.id = "another-board"
    for _ in range(2):
        error = raises(FirstbootError, second.run)
        assert error.state == "config.json" and "copied from another board" in error.what
    assert second.world.sent == []
    second.world.put("/own.der", b"another certificate")
    assert second.run()["credentialsType"] == "ACCESS_TOKEN"  # what this server gives


def test_another_certificate_than_the_session_s_cannot_be_probed():
    device = Device(provisioning__hash="another", **X509)
    device.server.deaf = True
    raises(NoResponse, device.run)
    device.server.deaf = False
    device.server.script = [failure()]
    assert "or it did so before" in raises(Failure, device.run).what
    assert device.server.of(GET) == []


def test_a_token_is_never_probed_with_a_certificate_that_thingsboard_may_know():
    """It was proposed before config.json had the certificate, which is another device's."""
    device = Device()
    device.server.deaf = True
    raises(NoResponse, device.run)
    device.server.deaf = False
    device.world.put(
        "/config.json",
        example(
            server="coaps://" + NAME,
            ca="ca.der",
            provisioning__credentialsType="ACCESS_TOKEN",
            **X509,
        ),
    )
    device.server.script = [Answer(device, known="another device")]
    raises(Failure, device.run)
    assert device.world.get("/credentials.json") is None


def test_a_token_that_was_proposed_before_there_was_a_certificate():
    device = Device()
    device.server.mute = True
    raises(NoResponse, device.run)
    device.server.mute = False
    (token,) = device.server.devices.values()
    device.world.put("/config.json", example(server="coaps://" + NAME, ca="ca.der", **X509))
    asked = []

    def answer(request):
        device.server.script.append(answer)
        asked.append((request.path, device.server.certificate is not None))
        if request.code == POST:
            return failure()
        return Reply(CONTENT if token in request.path else UNAUTHORIZED)

    device.server.script = [answer]
    credentials = device.run()
    assert credentials["credentialsType"] == "ACCESS_TOKEN"
    assert credentials["credentialsValue"] == token
    # The certificate was sent once, and refused: it is no device's of this board.
    assert asked == [
        ("api/v1/provision", True),
        ("api/v1/%s/attributes" % token, False),
    ]
    assert device.world.open_ports == []
