"""Attributes and telemetry as ThingsBoard reads, keeps and shows them. Pure."""

import re

_NUMBER = re.compile(r"-?\d*\.?\d+")
_LONG = 1 << 63


def cast(value):
    """A value as it is kept: a string that says a number is that number."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return value
    if "." in value:
        return float(value)
    number = int(value)
    return number if -_LONG <= number < _LONG else value


def cast_all(values):
    """The values of an object as they are kept; null is not."""
    return {key: cast(value) for key, value in values.items() if value is not None}


def is_telemetry(body):
    """Whether a body is telemetry: an object, or an array of objects."""
    if isinstance(body, list):
        return all(isinstance(item, dict) for item in body)
    return isinstance(body, dict)


def found_attributes(client, shared, query):
    """What GET attributes is replied: all of them, or those that clientKeys and sharedKeys name.

    `client`, `shared`: all that the device has. Gives those that are there by their scopes.
    """
    asked = {}
    for argument in query:
        # As Java splits: "a=" is one part, "a=b=c" are three, and both name no keys.
        parts = argument.rstrip("=").split("=")
        if len(parts) == 2:
            asked[parts[0]] = parts[1].split(",")
    everything = not ("clientKeys" in asked or "sharedKeys" in asked)
    found = {}
    for scope, attributes in (("client", client), ("shared", shared)):
        keys = attributes if everything else asked.get(scope + "Keys", ())
        chosen = {key: attributes[key] for key in keys if key in attributes}
        if chosen:
            found[scope] = chosen
    return found
