"""The record of an attempt on flash: read, compared, and forgotten when its fate is known."""

from hashlib import sha256

from firmware.board.storage import CREDENTIALS
from firmware.provisioning.record import ATTEMPT, encoded


def load(board, path=ATTEMPT):
    """Return the fields of this board's record, None when there is none.

    A flash that was copied from another board holds that board's. Raises FirstbootError.
    """
    from firmware.board import credentials

    fields = credentials.load(board.storage, path, _checked)
    return fields if fields and fields["id"] in (None, board.id) else None


def settle(board, fields, credentials, server):
    """Forget the tokens whose fate the credentials tell, and the record when none is left.

    `server`: the origin of the one that gave them. Raises FirstbootError.
    """
    addresses = [fields["address"]] if fields["server"] == server else ()
    left = []
    for each in fields["tokens"]:
        if each["deviceName"] != credentials["deviceName"] or not _is_at(each, server, addresses):
            left.append(each)
    if left:
        fields.update(tokens=left, body="")
        board.storage.save(ATTEMPT, encoded(fields))
    else:
        board.storage.remove(ATTEMPT)


def fingerprint(board):
    """Return what tells the credentials on flash from any other, None when there are none."""
    content = board.storage.read(CREDENTIALS)
    return content and sha256(content).digest().hex()


def is_asked_for(record, proposed):
    """Return whether a token was proposed for this name, where it is asked for."""
    return proposed["deviceName"] == record.name and is_here(record, proposed)


def is_here(record, place):
    """Return whether a server is the one that is asked, by its name or by its address."""
    return _is_at(place, record.server, record.addresses)


def _is_at(place, server, addresses):
    at = place["server"]
    return at == server or (place["address"] in addresses and _service(at) == _service(server))


def _service(server):
    """Return the scheme and the port of an origin."""
    return server.split(":")[0], server.split(":")[-1]


def _checked(found):
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
