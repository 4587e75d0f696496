"""Remove what is in a slot."""

from micropython import const

# What a slot has besides the files of its bundle, see firmware.update.install.
PACKAGE = "/package"
MANIFEST = "/manifest"
NEW_MANIFEST = "/manifest.new"
REST = "/manifest.rest"

_DIRECTORY = const(0x4000)


def discard(storage, place, idle=None):
    """Remove a slot, and first what tells that it is whole. `idle`: see remove_tree."""
    for name in (PACKAGE, MANIFEST):
        storage.remove(place + name)
    remove_tree(storage, place, idle)


def remove_tree(storage, path, idle=None, but=()):
    """Remove a folder with all that is in it, if it is there. Raises OSError.

    `idle`: called for each file, see firmware.board.hardware.Board. `but`: what stays, such as
    "/manifest.new", and the folder with it.
    """
    os = storage.os
    full = storage.root + path
    try:
        names = os.listdir(full)
    except OSError:
        return
    for name in names:
        if "/" + name in but:
            continue
        inner = "%s/%s" % (full, name)
        if os.stat(inner)[0] & _DIRECTORY:
            remove_tree(storage, "%s/%s" % (path, name), idle)
        else:
            os.remove(inner)
        if idle:
            idle()
    if not but:
        os.rmdir(full)
