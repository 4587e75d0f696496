"""What is in a slot of a bundle. Imported only where something is.

Each raises OSError when the flash fails.
"""

from hashlib import sha256

from micropython import const

from firmware.errors import FirstbootError
from firmware.memory import give_back
from firmware.update.files import make_folders, mpy, next_file, opened, size_of
from firmware.update.tree import MANIFEST, discard

_PIECE = const(256)  # bytes that are read at a time


def verify(board, place):
    """Check that a slot is as its SHA-256 say; else discard it, and raise UpdateError."""
    storage = board.storage
    if has_good_manifest(storage, place) and is_whole(board, place):
        return
    discard(storage, place, board.idle)
    from firmware.update.errors import passing

    raise passing(
        "what was downloaded is not what the bundle's SHA-256 say",
        "Upload the bundle again if this stays.",
    )


def has_good_manifest(storage, place):
    """Return whether the manifest is there and whole, as it was when it was taken."""
    if size_of(storage, place + MANIFEST) < 0:
        return False
    from firmware.update.manifest import read

    try:
        with opened(storage, place + MANIFEST) as lines:
            read(lines, mpy())
        return True
    except FirstbootError:
        return False
    finally:
        give_back("update.manifest update.errors")


def replay(board, place, left, update):
    """Call `update` with the first `left` bytes of a bundle, in order.

    Returns False, and leaves out what follows, when some are of files for other boards, which no
    slot keeps.
    """
    left -= _feed(board, place + MANIFEST, left, update)
    for path, size, _, is_taken in _files(board.storage, place):
        if left and size:
            if not is_taken:
                return False
            left -= _feed(board, path, left, update)
    return True


def is_whole(board, place):
    """Return whether all files are as the SHA-256 in the manifest say; make those of no bytes."""
    storage = board.storage
    for path, size, digest, is_taken in _files(storage, place):
        if is_taken:
            found = sha256()
            there = size_of(storage, path)
            if there and not size:
                # No bytes came for it.
                make_folders(storage, path)
                opened(storage, path, "wb").close()
            elif there != size or _feed(board, path, size, found.update) != size:
                return False
            if found.digest().hex() != digest:
                return False
    return True


def _files(storage, place):
    at = 0
    while True:
        at, file = next_file(storage, place, at)
        if not file:
            return
        yield file


def _feed(board, path, most, update):
    """Call `update` with a file's first bytes, `most` at most; return how many there were."""
    left = most
    buffer = memoryview(bytearray(_PIECE))
    with opened(board.storage, path) as file:
        while left:
            size = file.readinto(buffer[: min(left, _PIECE)])
            if not size:
                break
            update(buffer[:size])
            left -= size
            board.idle()
    return most - left
