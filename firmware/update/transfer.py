"""Where the blocks of a package begin to come, and what is done when they do not come.

Imported only for that. What goes on, also in another session, begins with the first 16 bytes:
ThingsBoard serves a later block only to whom it has served the first one.
"""

from time import ticks_diff

from micropython import const

from firmware.coap.blocks import Blocks
from firmware.coap.message import GET
from firmware.errors import FirstbootError
from firmware.memory import give_back
from firmware.thingsboard.ota import package_path
from firmware.update.errors import UpdateError

_CONTENT = const(0x45)
_UNAUTHORIZED = const(0x81)
_NOT_FOUND = const(0x84)
# 4.00, 4.02, 4.08 and 4.13.
_NO_BLOCKS = (0x80, 0x82, 0x88, 0x8D)
_BLOCK = const(1024)
_SMALLEST_BLOCK = const(16)
# ms for which ThingsBoard may serve another package than it says it has assigned.
_LONGEST_DOUBT = const(600_000)


def begin(download, timeout):
    """The steps to the next block of a Download; they return its Blocks, and None.

    Or None, and the response that refuses it. `timeout`: in ms, of each message.
    """
    client = download.session.client
    path = package_path(download.session.credentials, download.kind)
    check, etag = download.check_size, None
    if download.offset:
        first = Blocks(client, path, _drop, 0, None, check, (), _SMALLEST_BLOCK)
        response = yield from first.next(timeout)
        if response.code != _CONTENT:
            return None, response
        check, etag = None, first.etag
    give_back("update.transfer thingsboard.ota")
    return Blocks(client, path, download.write, download.offset, etag, check), None


def chunk(download, timeout):
    """The steps of one block by ThingsBoard's own parameters; they return the response."""
    client = download.session.client
    path = package_path(download.session.credentials, download.kind)
    path += "?size=%d&chunk=%d" % (_BLOCK, download.offset // _BLOCK)
    response = yield from client.steps(GET, path, timeout=timeout)
    if response.code != _CONTENT:
        return refused(download, response)
    # Smaller blocks can have ended within it.
    there = download.offset % _BLOCK
    if len(response.payload) != min(_BLOCK, download.size - download.offset + there):
        from firmware.coap.misfit import misfit

        raise misfit("a chunk of %d bytes" % len(response.payload))
    download.write(memoryview(response.payload)[there:])
    return response


def refused(download, response):
    """Return the response to a Download that is no block, None when it is to ask by chunks."""
    code = response.code
    credentials = download.session.credentials
    if code == _UNAUTHORIZED and credentials["credentialsType"] == "X509_CERTIFICATE":
        raise UpdateError(
            "ThingsBoard gives packages to access tokens alone, and this board has a"
            " certificate (its issue 13097)",
            "Give the board an ACCESS_TOKEN, or update it by cable.",
        )
    if code == _NOT_FOUND:
        doubt(download, "ThingsBoard has no package for this device, though it has assigned one")
    if code in _NO_BLOCKS:
        if download.by_chunks:
            from firmware.coap.failure import code_name

            raise UpdateError(
                "ThingsBoard answered %s when it was asked for the package" % code_name(code),
                "See ThingsBoard's log.",
            )
        download.by_chunks = True
        return None
    return response


def doubt(download, what):
    """Ask what is assigned; what stays doubtful is an error. Raises FirstbootError."""
    session = download.session
    now = session.board.ticks()
    if download.doubtful_since is None:
        download.doubtful_since = now
    if ticks_diff(now, download.doubtful_since) > _LONGEST_DOUBT:
        raise UpdateError(what, "Assign it again.")
    session.observed.doubt()
    raise FirstbootError(what, "Nothing to do at first: the board asks again.")


def _drop(data):
    pass
