"""Remove a folder."""

from micropython import const

_DIRECTORY = const(0x4000)


def remove_tree(storage, path, idle=None):
    """Remove a folder with all that is in it, if it is there. Raises OSError.

    `idle`: called for each file, see firmware.board.hardware.Board.
    """
    os = storage.os
    full = storage.root + path
    try:
        names = os.listdir(full)
    except OSError:
        return
    for name in names:
        inner = "%s/%s" % (full, name)
        if os.stat(inner)[0] & _DIRECTORY:
            remove_tree(storage, "%s/%s" % (path, name), idle)
        else:
            os.remove(inner)
        if idle:
            idle()
    os.rmdir(full)
