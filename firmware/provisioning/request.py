"""How a record is begun, or gone on with, and the request's body. Imported only for that.

Nothing of it is needed while the request is under way.
"""

from binascii import b2a_base64
from hashlib import sha256

from micropython import const

from firmware.board import credentials as store
from firmware.thingsboard import provisioning

_TOKEN_BYTES = const(15)
_MOST_TOKENS = const(8)
_X509 = "X509_CERTIFICATE"


def begin(record, config, addresses):
    """Go on with a Record whose `fields` are there; see its `begin`."""
    board = record.board
    request = dict(config["provisioning"])
    if config["certificate"]:
        from firmware.board.security import add_certificate

        add_certificate(request, board, config)
    record.server = config["origin"]
    record.addresses = addresses
    record.name = request["deviceName"]
    record.kind = request["credentialsType"] or "ACCESS_TOKEN"
    record.fixed = record.proposed = None
    record.is_new = False
    fields = record.fields
    fields.update(id=board.id, replaces=record.replaces)
    is_here = bool(fields["body"]) and record.is_here(fields)
    if not is_here:
        fields["address"] = ""
    fields["server"] = record.server
    if record.kind == "ACCESS_TOKEN":
        request["token"] = _propose(record, request["token"], config)
    elif config["certificate"] and record.kind == _X509:
        digest = sha256(request["hash"].encode()).digest().hex()
        if not record.saved and board.storage.exists(store.ATTEMPT):
            from firmware.provisioning.recovery import check_certificate

            check_certificate(board, digest)
        _keep(record, digest, _X509)
    body = provisioning.request_body(request)
    digest = sha256(body).digest().hex()
    if not is_here or fields["body"] != digest:
        fields["body"] = digest
        record.renew()
    else:
        record.is_new = False
    return body


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
        if record.is_asked_for(each) and (each["token"] == token or not (given or each["given"])):
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


def checked(found):
    """Return the fields in a record; raise ValueError, TypeError or KeyError for what is none."""
    if "tokens" not in found:
        # The form that has one token, and no board's id.
        from firmware.coap.uri import origin

        found.update(server=origin(found["server"]), id=None, replaces=None, tokens=[])
        if found["token"]:
            proposed = {"given": False}
            for field in ("server", "address", "deviceName", "token"):
                proposed[field] = found[field]
            found["tokens"].append(proposed)
    # What may be empty is a text all the same.
    texts = [found["server"], found["address"] + found["body"] + "."]
    for each in found["tokens"]:
        texts += each["server"], each["deviceName"], each["token"], each["address"] + "."
        each["given"]
    if found["id"] is not None:
        texts.append(found["id"])
    found["replaces"]
    coap_token = bytes.fromhex(found["coap_token"])
    # What is negative stays negative.
    if (found["message_id"] | found["port"]) >> 16 or len(coap_token) != 8:
        raise ValueError
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ValueError
    return found
