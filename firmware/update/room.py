"""Whether there is room for a bundle. Imported only to look."""

from micropython import const

from firmware.update.errors import UpdateError

# The bytes of a block of littlefs.
BLOCK = const(4096)
# Blocks that stay free for the application's data.
_SPARE = const(8)


def check_room(storage, size):
    """Check that there is room for so many bytes. Raises UpdateError, OSError."""
    found = storage.os.statvfs(storage.root or "/")
    free = max(0, found[1] * found[4] - _SPARE * BLOCK)
    if size > free:
        raise UpdateError(
            "there is no room for the update: it takes %d bytes, and %d are free" % (size, free),
            "Remove files from the board, or make the bundle smaller.",
        )
