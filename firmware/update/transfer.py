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

_CONTENT = const(0x45)
_UNAUTHORIZED = const(0x81)
_NOT_FOUND = const(0x84)
# 4.00, 4.02, 4.08 and 4.13.
_NO_BLOCKS = (0x80, 0x82, 0x88, 0x8D)
_BLOCK = const(1024)
_SMALLEST_BLOCK = const(16)
# ms for which ThingsBoard may serve another package than it says it has assigned.
_LONGEST_DOUBT = const(600_000)


def begin(job, timeout, check):
    """The steps to the next block of a Job's package; they return its Blocks, and None.

    Or None, and the response that refuses it. `timeout`: in ms, of each message. `check(job,
    blocks, response)`: is given the first response when another one than the next block's is.
    """
    client = job.session.client
    path = _path(job)
    etag = None
    if job.offset:
        first = Blocks(client, path, 0, None, (), _SMALLEST_BLOCK)
        response = yield from first.next(timeout)
        if response.code != _CONTENT:
            return None, response
        check(job, first, response)
        etag = first.etag
    give_back("update.transfer thingsboard.ota")
    blocks = Blocks(client, path, job.offset, etag)
    if job.offset:
        blocks.size = job.package["size"]
    return blocks, None


def chunk(job, timeout):
    """The steps of one block by ThingsBoard's own parameters; they return the response."""
    path = _path(job) + "?size=%d&chunk=%d" % (_BLOCK, job.offset // _BLOCK)
    response = yield from job.session.client.steps(GET, path, timeout=timeout)
    if response.code != _CONTENT:
        refused(job, response)
        return response
    # Smaller blocks can have ended within it.
    there = job.offset % _BLOCK
    if len(response.payload) != min(_BLOCK, job.package["size"] - job.offset + there):
        from firmware.coap.misfit import misfit

        raise misfit("a chunk of %d bytes" % len(response.payload))
    response.payload = memoryview(response.payload)[there:]
    return response


def refused(job, response):
    """Take a response that is no block, as what is to be done then says.

    Lets a Job ask by chunks, or raises FirstbootError, UpdateError for what stays.
    """
    code = response.code
    credentials = job.session.credentials
    if code == _UNAUTHORIZED and credentials["credentialsType"] == "X509_CERTIFICATE":
        _refuse(
            "ThingsBoard gives packages to access tokens alone, and this board has a"
            " certificate (its issue 13097)",
            "Give the board an ACCESS_TOKEN, or update it by cable.",
        )
    if code == _NOT_FOUND:
        doubt(job, "ThingsBoard has no package for this device, though it has assigned one")
    if code in _NO_BLOCKS:
        if job.by_chunks:
            from firmware.coap.failure import code_name

            _refuse(
                "ThingsBoard answered %s when it was asked for the package" % code_name(code),
                "See ThingsBoard's log.",
            )
        job.by_chunks = True


def doubt(job, what):
    """Ask what is assigned; what stays doubtful is an error. Raises FirstbootError."""
    session = job.session
    now = session.board.ticks()
    if job.doubtful_since is None:
        job.doubtful_since = now
    if ticks_diff(now, job.doubtful_since) > _LONGEST_DOUBT:
        _refuse(what, "Assign it again.")
    session.observed.doubt()
    raise FirstbootError(what, "Nothing to do at first: the board asks again.")


def _refuse(what, fix):
    # Loaded only then.
    from firmware.update.errors import UpdateError

    raise UpdateError(what, fix)


def _path(job):
    return package_path(job.session.credentials, job.package["kind"])
