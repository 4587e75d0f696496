"""What is said of a body whose blocks are wrong, RFC 7959. Pure; imported only then."""

from ..errors import CoapError


class Changed(CoapError):
    """The blocks are of two states of the resource: what was got is to be thrown away."""


def changed():
    """Return the Changed of a block with another ETag."""
    return Changed(
        "the resource changed between two blocks",
        "Nothing to do: the next try gets the new one.",
    )


def misfit(what, code=None):
    """Return the CoapError of a server that does not keep to RFC 7959, with a code in the text."""
    if code is not None:
        from .failure import code_name

        what %= code_name(code)
    return CoapError(what, "Check that this is the server you mean, and what stands before it.")


def too_large(limit):
    """Return the CoapError of a body over the limit."""
    return CoapError(
        "a body over the limit of %d bytes" % limit,
        "Check that this is the server you mean, send less, or raise the client's limit.",
    )
