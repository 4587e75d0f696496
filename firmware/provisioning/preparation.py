"""What is asked, and where: the step of an attempt before anything is sent."""

from binascii import b2a_base64
from hashlib import sha256
from time import ticks_diff

from micropython import const

from firmware.provisioning import record_file
from firmware.provisioning.record import ATTEMPT, BLOCKS, encoded
from firmware.thingsboard.provisioning import request_body

# RFC 7252 section 4.8.2: how long a server remembers a Message ID, in ms.
_EXCHANGE_LIFETIME = const(247_000)
_TOKEN_BYTES = const(15)
_MOST_TOKENS = const(8)
_X509 = "X509_CERTIFICATE"


def prepare(attempt, config):
    """Load the record or draw a new one; return (body, addresses, found, failure).

    `body`: the request's. `addresses`: those to ask, in this order; all but the first when sending
    fails there. `found`: those that the server's name has, and `failure` the NetworkError to raise
    when there is no address. Raises FirstbootError.
    """
    found, failure = _resolve(attempt.board, config)
    body = begin(attempt.record, config, found)
    return body, addresses(attempt, config, found), found, failure


def begin(record, config, found):
    """Load a Record or draw a new one; return the request body.

    `found`: the addresses of the server. Raises FirstbootError.
    """
    board = record.board
    request = dict(config["provisioning"])
    if config["certificate"]:
        from firmware.board.security import add_certificate

        add_certificate(request, board, config)
    record.server = config["origin"]
    record.addresses = found
    record.name = request["deviceName"]
    record.kind = request["credentialsType"] or "ACCESS_TOKEN"
    record.fixed = record.proposed = None
    record.is_new = False
    fields = record_file.load(board)
    record.saved = fields and sha256(encoded(fields)).digest()
    if not fields:
        fields = {"body": "", "port": record.draw_port(), "message_id": -BLOCKS, "tokens": []}
    record.fields = fields
    fields.update(id=board.id, replaces=record.replaces)
    is_same = bool(fields["body"]) and record_file.is_here(record, fields)
    if not is_same:
        fields["address"] = ""
    fields["server"] = record.server
    if record.kind == "ACCESS_TOKEN":
        request["token"] = _propose(record, request["token"], config)
    elif config["certificate"] and record.kind == _X509:
        digest = sha256(request["hash"].encode()).digest().hex()
        if not record.saved and board.storage.exists(ATTEMPT):
            from firmware.provisioning.recovery import check_certificate

            check_certificate(board, digest)
        _keep(record, digest, _X509)
    body = request_body(request)
    digest = sha256(body).digest().hex()
    if not is_same or fields["body"] != digest:
        fields["body"] = digest
        record.renew()
    else:
        record.is_new = False
    return body


def addresses(attempt, config, found):
    """Return the addresses to ask, see `prepare`.

    A server that may have the request already is the only one that can repeat its reply: it is
    left 247 s after it was last asked. No reply is repeated in another DTLS session.
    """
    record = attempt.record
    saved = record.fields["address"]
    quiet_since = record.quiet_since
    may_answer = (
        quiet_since is not None
        and not config["secure"]
        and ticks_diff(attempt.board.ticks(), quiet_since) < _EXCHANGE_LIFETIME
    )
    if saved and (may_answer or not found):
        return [saved]
    if saved not in found:
        return found
    first = found.index(saved) + attempt.was_silent
    return found[first:] + found[:first]


def _resolve(board, config):
    """Return the server's addresses, and the NetworkError to raise when there is none."""
    host, port, name = config["endpoint"]
    if not name:
        return [host], None
    reason = "it has no address"
    try:
        found = board.resolve(host, port)
    except OSError as error:
        found = []
        reason = error
    if found:
        return found, None
    from firmware.coap.failure import out_of_reach

    return found, out_of_reach("%s was not found" % host, reason)


def _propose(record, given, config):
    """Return the token to propose, None for none. One that is this board's alone is kept."""
    if given and not config["own_token"]:
        record.fixed = given
        return given
    if not given and config["access_token"] == "server":
        return None
    return _keep(record, given, bool(given))


def _keep(record, token, given):
    """Return the token that is kept, or `token`, kept from now on; None for one to draw."""
    kept = record.fields["tokens"]
    for each in kept:
        is_fit = each["token"] == token or not (given or each["given"])
        if is_fit and record_file.is_asked_for(record, each):
            record.proposed = each
            return each["token"]
    if len(kept) >= _MOST_TOKENS:
        from firmware.provisioning.recovery import too_many

        raise too_many(kept)
    if not token:
        # 20 characters that need no escaping in a path.
        token = b2a_base64(record.board.random(_TOKEN_BYTES)).decode().strip()
        token = token.replace("+", "-").replace("/", "_")
    record.is_new = True
    record.proposed = {
        "server": record.server,
        "address": "",
        "deviceName": record.name,
        "token": token,
        "given": given,
    }
    kept.append(record.proposed)
    return token
