"""What a server offers: links in RFC 6690's format, and /.well-known/core. Pure.

for target, attributes in client.drive(discover(client)).links:
    print(target, attributes.get("rt"))
"""

from micropython import const

from .message import GET

_CONTENT = const(0x45)


def discover(client, query="", **how):
    """The steps of a discovery with a Client; they return the response with its `links`.

    They are as `parse` returns them, none when it is not 2.05. `query`: what is asked for, such as
    "rt=temperature*"; a server may give all of its links all the same. `how`: as for Client.steps,
    and so is what it raises.
    """
    path = "/.well-known/core" + ("?" + query if query else "")
    response = yield from client.steps(GET, path, **how)
    response.links = parse(response.payload) if response.code == _CONTENT else []
    return response


def parse(payload):
    """Return the links in a payload, (target, attributes), in their order.

    A target is a path, percent-encoded as a Client takes it, or a whole URI. Attributes are a
    dictionary, by their names in lower case; one with no value has "", and of one that is there
    twice the first counts. What is no link is left out.
    """
    try:
        text = str(payload, "utf-8")
    except UnicodeError:
        text = "".join([chr(byte) for byte in payload if byte < 128])
    links = []
    for parts in _split(text):
        target = parts[0].strip()
        if not (target.startswith("<") and target.endswith(">")):
            continue
        attributes = {}
        for part in parts[1:]:
            name, _, value = part.partition("=")
            name = name.strip().lower()
            if name and name not in attributes:
                attributes[name] = _unquoted(value.strip())
        links.append((target[1:-1], attributes))
    return links


def _split(text):
    """Return each link's parts: what a "," and within it a ";" separates, but not in <> or ""."""
    links = []
    parts = []
    start = 0
    closing = None
    # One more character ends the last.
    for position, character in enumerate(text + ","):
        if closing and position < len(text):
            if character == closing and (closing == ">" or not _is_escaped(text, position)):
                closing = None
        elif character == "<":
            closing = ">"
        elif character == '"':
            closing = character
        elif character in ",;":
            parts.append(text[start:position])
            start = position + 1
            if character == ",":
                links.append(parts)
                parts = []
    return links


def _is_escaped(text, position):
    backslashes = 0
    while text[position - 1 - backslashes] == "\\":
        backslashes += 1
    return backslashes & 1


def _unquoted(value):
    """Return what a value says: in quotes, a backslash is before what means itself."""
    if not value.startswith('"'):
        return value
    said = ""
    escaped = False
    for character in value[1:]:
        if character == "\\" and not escaped:
            escaped = True
        elif character == '"' and not escaped:
            break
        else:
            said += character
            escaped = False
    return said
