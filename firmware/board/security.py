"""What config.json says of coaps: the CA, this board's certificate and key, and the time."""

from binascii import a2b_base64, b2a_base64

from firmware.board.clock import doubt, set_clock, shown
from firmware.coap.dtls import DTLS, make_context
from firmware.errors import DateError

_BEGIN = b"-----BEGIN "
_END = b"-----END "
_X509 = "X509_CERTIFICATE"
_SOON = 30 * 86_400  # s
_KINDS = {
    "ca": "certificate in DER or PEM",
    "certificate": "certificate in DER or PEM",
    "key": "unencrypted EC or RSA key in DER or PEM",
}


def sessions(board, config, kind=None):
    """Return a function that opens a DTLS session: connect's `secure`, see Board.sessions.

    It takes a transport and the server's host, and returns the transport inside the session; with
    `board.in_steps` one of firmware.board.security_steps, whose handshake is still to be made.
    `config`: what firmware.board.config.load returns. `kind`: the credentialsType that it is for,
    see Board.sessions: only for X509_CERTIFICATE the board shows its certificate, since in the
    session of a certificate that it knows ThingsBoard looks at no token. Sends nothing. Raises
    FirstbootError for a file that is missing or unusable, CoapError when this MicroPython has no
    DTLS.
    """
    authorities = _ders(board, config, "ca", b"CERTIFICATE") if config["verify"] else None
    certificate = key = None
    files = [("ca", authorities)]
    kind = kind or config["provisioning"]["credentialsType"] or _X509
    if config["certificate"] and kind == _X509:
        certificate = _ders(board, config, "certificate", b"CERTIFICATE")[0]
        key = _ders(board, config, "key", b"PRIVATE KEY")[0]
        files.append(("certificate", [certificate]))
    try:
        context = make_context(authorities, certificate, key)
    except ValueError as error:
        wrong = "key" if "key" in str(error) else "certificate" if certificate else "ca"
        raise _unusable(wrong)

    ends = {"`%s`" % name: _last_end(ders) for name, ders in files if ders}

    def on_certificate(der, depth):
        if depth == 0:
            ends["the server's certificate"] = _last_end([der])
        return 0

    if hasattr(context, "verify_callback"):
        context.verify_callback = on_certificate

    def open_session(transport, host, patience=None):
        if board.in_steps:
            from firmware.board.security_steps import SessionInSteps

            return SessionInSteps(
                transport, context, host, board, config, lambda: _say_ends(board, ends), patience
            )
        if config["verify"]:
            set_clock(board, config["ntp"])
        try:
            return DTLS(transport, context, host, board.idle, board.ticks, patience)
        except DateError:
            doubt(board)
            raise
        finally:
            _say_ends(board, ends)

    return open_session


def add_certificate(request, board, config):
    """Ask for X509_CERTIFICATE credentials, unless config.json asks for others.

    Raises FirstbootError.
    """
    if request["credentialsType"] in (None, _X509):
        request["credentialsType"] = _X509
        der = _ders(board, config, "certificate", b"CERTIFICATE")[0]
        request["hash"] = request["hash"] or _pem(der)


def certificate_value(board, config):
    """Return the board's certificate as ThingsBoard gives it back: base64 in one line."""
    return b2a_base64(_ders(board, config, "certificate", b"CERTIFICATE")[0]).decode().strip()


def _last_end(ders):
    """Return when the last of some certificates ends: the next CA's counts, not the old one's."""
    from firmware.board.certificate import end

    return max([end(der) for der in ders])


def _say_ends(board, ends):
    """Say what ends within 30 days, once a power-up."""
    for what in sorted(ends):
        left = ends[what] - board.now
        if left <= _SOON and what not in board.ends_said:
            board.ends_said.append(what)
            verb = "ends" if left > 0 else "ended"
            board.indicator.say(
                "%s %s on %s UTC" % (what, verb, shown(ends[what])),
                "Renew it; `ca` may hold the next CA beside the old one.",
            )


def _ders(board, config, name, label):
    """Return what a file holds, each in DER. The boards' mbedTLS does not read PEM."""
    path = "/" + config[name].lstrip("/")
    content = board.storage.read(path)
    if content is None:
        raise _wrong(
            "`%s` names a file that is not on the board" % name,
            "Put it there under that name: mpremote cp FILE :",
        )
    if _BEGIN not in content:
        return [content]
    try:
        ders = [
            a2b_base64(block[block.index(b"-----\n") + 6 : block.index(_END)])
            for block in content.replace(b"\r", b"").split(_BEGIN)[1:]
            if block.split(b"-----")[0].endswith(label)
        ]
    except ValueError:
        ders = []
    if not ders:
        raise _unusable(name)
    return ders


def _pem(der):
    text = b2a_base64(der).decode().strip()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----"] + lines + ["-----END CERTIFICATE-----", ""])


def _unusable(name):
    return _wrong(
        "`%s` names a file that holds no %s" % (name, _KINDS[name]),
        "See the README, `coaps`, for how to make one.",
    )


def _wrong(what, fix):
    from firmware.board.config_mistakes import config_error

    return config_error(what, fix)
