"""Where the blocks of a package begin to come, and what is done when they do not come.

Imported only for that. What goes on, also in another session, begins with the first 16 bytes:
ThingsBoard serves a later block only to whom it has served the first one.
"""

from micropython import const

from firmware.coap.blocks import Blocks
from firmware.coap.message import GET
from firmware.errors import Silence
from firmware.memory import give_back
from firmware.thingsboard.ota import package_path

_CONTENT = const(0x45)
_UNAUTHORIZED = const(0x81)
_NOT_FOUND = const(0x84)
_TOO_MANY_REQUESTS = const(0x9D)
# 4.00, 4.02, 4.08 and 4.13.
_NO_BLOCKS = (0x80, 0x82, 0x88, 0x8D)
_BLOCK = const(1024)
_SMALLEST_BLOCK = const(16)


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
    client = job.session.client
    path = _path(job)
    is_served = False
    if job.offset and job.failures:
        # Whether it serves the package at all.
        first = yield from client.steps(GET, path + "?size=16&chunk=0", timeout=timeout)
        is_served = first.code == _CONTENT
    path += "?size=%d&chunk=%d" % (_BLOCK, job.offset // _BLOCK)
    try:
        response = yield from client.steps(GET, path, timeout=timeout)
    except Silence as error:
        missed(job, error, is_served)
    if response.code != _CONTENT:
        refused(job, response)
    # Smaller blocks can have ended within it.
    there = job.offset % _BLOCK
    size = min(_BLOCK, job.package["size"] - job.offset + there)
    if len(response.payload) != size:
        doubt(
            "ThingsBoard serves a chunk of %d bytes in place of %d" % (len(response.payload), size)
        )
    response.payload = memoryview(response.payload)[there:]
    return response


def refused(job, response):
    """Take a response that is no block: let a Job ask by chunks, or raise UpdateError."""
    code = response.code
    credentials = job.session.credentials
    if code == _UNAUTHORIZED and credentials["credentialsType"] == "X509_CERTIFICATE":
        from firmware.update.errors import UpdateError

        raise UpdateError(
            "ThingsBoard gives packages to access tokens alone, and this board has a"
            " certificate (its issue 13097)",
            "Give the board an ACCESS_TOKEN, or update it by cable.",
        )
    if code >> 5 == 5 or code == _TOO_MANY_REQUESTS:
        from firmware.thingsboard.answers import trouble
        from firmware.update.errors import outage

        raise outage(trouble(response))
    if code in _NO_BLOCKS and not job.by_chunks:
        job.by_chunks = True
        return
    if code == _NOT_FOUND:
        doubt("ThingsBoard has no package for this device, though it has assigned one")
    from firmware.coap.failure import code_name

    # 4.01, too: where it is the credentials', other requests are answered so as well.
    doubt("ThingsBoard answered %s when it was asked for the package" % code_name(code))


def missed(job, error, is_served):
    """Take the CoapError of a block: let a Job ask by chunks, or raise what is to be done then.

    `is_served`: whether the first bytes of the package have just come.
    """
    session = job.session
    if session.waits():
        # The board is about to sleep.
        raise error
    if not isinstance(error, Silence):
        if job.by_chunks:
            doubt(error.what)
        job.by_chunks = True
        return
    if not getattr(error, "acknowledged", False):
        # What has to be sent next finds out whether there is another way.
        session.disconnect()
    if is_served:
        doubt("ThingsBoard serves the package's first bytes, and none from %d on" % job.offset)
    from firmware.update.errors import outage

    raise outage(error)


def is_another(size, assigned):
    """Raise the UpdateError of a package of one size that was assigned with another."""
    doubt("ThingsBoard serves a package of %d bytes, and has assigned one of %d" % (size, assigned))


def doubt(what):
    """Raise the UpdateError of a package that is not what was assigned."""
    # Loaded only then.
    from firmware.update.errors import doubtful

    raise doubtful(what)


def _path(job):
    return package_path(job.session.credentials, job.package["kind"])
