"""firmware.board.security: the files that config.json names, in DER and in PEM."""

from binascii import b2a_base64

import firmware.board.security as security
from firmware.board import certificate, security_steps
from firmware.board.clock import BUILT
from firmware.board.storage import Storage
from firmware.errors import DateError, FirstbootError
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import Flash, Stub

DER = bytes(range(256)) * 3
OTHER = b"\x30\x82" + DER


class Loaded:
    """Takes the place of make_context."""

    def __init__(self, error=None):
        self.arguments = None
        self.error = error

    def __call__(self, *arguments):
        self.arguments = arguments
        if self.error:
            raise self.error


def pem(der, label="CERTIFICATE"):
    body = b2a_base64(der).decode()
    return ("-----BEGIN %s-----\n%s-----END %s-----\n" % (label, body, label)).encode()


def load(files, error=None, kind=None, **config):
    flash = Flash()
    for name in files:
        flash.files["/" + name] = files[name]
    board = Stub(storage=Storage("", flash.open, flash))
    keys = {"verify": True, "ca": "ca", "certificate": None, "key": None, "ntp": None}
    keys["provisioning"] = {"credentialsType": kind}
    keys.update(config)
    loaded = Loaded(error)
    security.make_context = loaded
    security.sessions(board, keys)
    return loaded.arguments


def test_der():
    assert load({"ca": DER}) == ([DER], None, None)


def test_pem():
    text = b"subject: a CA\n" + pem(DER) + b"\nsubject: another\n" + pem(OTHER)
    for content in (text, text.replace(b"\n", b"\r\n")):
        assert load({"ca": content}) == ([DER, OTHER], None, None)


def test_names_with_and_without_a_slash():
    assert load({"certs/ca.der": DER}, ca="/certs/ca.der") == ([DER], None, None)
    assert load({"certs/ca.der": DER}, ca="certs/ca.der") == ([DER], None, None)


def test_nothing_is_read_when_nothing_is_verified():
    assert load({}, verify=False) == (None, None, None)


def test_a_certificate_and_its_key():
    own = {"certificate": "c", "key": "k"}
    for content, key in (
        (DER, OTHER),
        (pem(DER), pem(OTHER, "EC PRIVATE KEY")),
        (pem(DER) + pem(OTHER), pem(DER, "EC PARAMETERS") + pem(OTHER, "PRIVATE KEY")),
    ):
        files = {"ca": DER, "c": content, "k": key}
        assert load(files, **own) == ([DER], DER, OTHER)


def test_what_is_wrong_with_a_file():
    own = {"certificate": "c", "key": "k"}
    for files, error, name, words in (
        ({}, None, "ca", "names a file that is not on the board"),
        ({"ca": b"-----BEGIN CERTIFICATE-----\n!!!\n"}, None, "ca", "holds no certificate"),
        ({"ca": pem(DER, "PRIVATE KEY")}, None, "ca", "holds no certificate"),
        ({"ca": DER, "c": DER}, None, "key", "names a file that is not on the board"),
        ({"ca": DER, "c": DER, "k": pem(DER)}, None, "key", "holds no unencrypted"),
        ({"ca": DER, "c": DER, "k": DER}, ValueError("invalid key"), "key", "holds no unencr"),
    ):
        config = {} if name == "ca" else own
        raised = raises(FirstbootError, load, files, error, **config)
        assert raised.state == "config.json"
        (problem,) = raised.what.split("\n")
        assert problem.startswith("`%s` names a file that " % name) and words in problem, problem


def test_the_request_for_x509_credentials():
    flash = Flash()
    flash.files["/c"] = DER
    board = Stub(storage=Storage("", flash.open, flash))
    config = {"certificate": "c"}
    for given, expected in (
        ((None, None), ("X509_CERTIFICATE", "-----BEGIN CERTIFICATE-----\n")),
        (("X509_CERTIFICATE", None), ("X509_CERTIFICATE", "-----BEGIN CERTIFICATE-----\n")),
        (("X509_CERTIFICATE", "given"), ("X509_CERTIFICATE", "given")),
        (("ACCESS_TOKEN", None), ("ACCESS_TOKEN", None)),
    ):
        request = {"credentialsType": given[0], "hash": given[1]}
        security.add_certificate(request, board, config)
        assert request["credentialsType"] == expected[0]
        assert (request["hash"] or "")[:28] == (expected[1] or ""), given
    request = {"credentialsType": None, "hash": None}
    security.add_certificate(request, board, config)
    lines = request["hash"].split("\n")
    assert max(len(line) for line in lines) == 64 and lines[-2:] == [
        "-----END CERTIFICATE-----",
        "",
    ]


# Certificates that end, and a clock that they disagree with


def test_what_ends_within_30_days_is_said_once_a_power_up():
    day = 86_400
    for left, said in ((31 * day, False), (29 * day, True), (-day, True)):
        board, _ = session({"ca": left})
        assert bool(board.lines) == said, left
        if said:
            assert ("`ca` ends on" if left > 0 else "`ca` ended on") in board.lines[0]
            assert len(board.lines) == 2


def test_the_next_ca_beside_the_old_one_is_what_counts():
    day = 86_400
    board, _ = session({"ca": day, "next": 400 * day})
    assert board.lines == []


def test_a_certificate_that_disagrees_with_the_clock_has_it_set_again():
    error = DateError("the server's certificate has expired")
    board, raised = session({"ca": 10**8}, error)
    assert raised is error
    assert board.clock_is_set is None


def test_a_session_in_steps():
    session, board = session_in_steps([False, False, True])
    assert list(session.handshake()) == [10, 10, 10]
    assert board.said == [1] and not board.closed
    # Asked for before the handshake.
    assert board.clock_is_set is True


def test_a_session_in_steps_that_fails():
    session, board = session_in_steps([False, DateError("the server's certificate has expired")])
    raises(DateError, list, session.handshake())
    assert board.said == [1] and board.closed
    assert board.clock_is_set is None


def session_in_steps(progress):
    """Return (SessionInSteps, Board), in which a step after the other gives what is given."""
    board = Stub(clock_is_set=False, clock_asked_at=None, now=BUILT, ticks=lambda: 0)
    board.indicator = Stub(say=lambda *lines: None)
    board.set_clock = lambda seconds, is_guess: None
    board.closed, board.said = [], []
    transport = Stub(close=lambda: board.closed.append(1))
    tls = Stub(close=lambda: None)
    context = Stub(wrap_socket=lambda records, **options: tls)
    config = {"verify": True, "ntp": None}
    session = security_steps.SessionInSteps(
        transport, context, "a.example", board, config, lambda: board.said.append(1)
    )

    def advance():
        step = progress.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    session.advance = advance
    return session, board


def session(ends, error=None):
    """Open a session with CAs that end in so many seconds; return (board, what was raised)."""
    flash = Flash()
    flash.files["/ca"] = b"".join([pem(name.encode()) for name in ends])
    board = Stub(storage=Storage("", flash.open, flash), now=BUILT, lines=[], ends_said=[])
    board.clock_is_set = True
    board.clock_asked_at = None
    board.in_steps = False
    board.idle = board.ticks = None
    board.indicator = Stub(say=lambda *lines: board.lines.extend(lines))
    keys = {"verify": True, "ca": "ca", "certificate": None, "key": None, "ntp": None}
    keys["provisioning"] = {"credentialsType": None}

    def handshake(*arguments):
        if error:
            raise error

    before = security.make_context, security.DTLS, certificate.end
    security.make_context, security.DTLS = Loaded(), handshake
    certificate.end = lambda der: BUILT + ends[bytes(der).decode()]
    raised = None
    try:
        opened = security.sessions(board, keys)
        opened(None, "a.example")
        if not error:
            opened(None, "a.example")
    except DateError as disagreement:
        raised = disagreement
    finally:
        security.make_context, security.DTLS, certificate.end = before
    return board, raised
