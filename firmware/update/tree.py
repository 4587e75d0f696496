"""What a slot has besides the files of its bundle, and how it is emptied."""

from micropython import const

# See firmware.update.install.
PACKAGE = "/package"
MANIFEST = "/manifest"
NEW_MANIFEST = "/manifest.new"
REST = "/manifest.rest"

_DIRECTORY = const(0x4000)
# littlefs keeps a file of so few bytes in its folder.
_INLINE = const(512)


def packaged(package, key):
    """Return what PACKAGE says: ThingsBoard's words for what comes, and what it is checked by."""
    said = {"key": key}
    for word in ("title", "version", "size", "checksum"):
        said[word] = package[word]
    return said


def blocks(storage, path):
    """Return how many blocks of 4096 bytes there will be when what is in a folder is removed.

    All but what has come of a new manifest. Raises OSError.
    """
    found = 0
    for name in _names(storage, path) or ():
        inner = "%s/%s" % (path, name)
        stat = storage.os.stat(storage.root + inner)
        if stat[0] & _DIRECTORY:
            found += 2 + blocks(storage, inner)
        elif "/" + name not in (NEW_MANIFEST, REST):
            found += stat[6] // 4096 + (stat[6] % 4096 > _INLINE)
    return found


def abandon(storage, place):
    """Remove what has come of a manifest. Raises FirstbootError."""
    for name in (NEW_MANIFEST, REST):
        storage.remove(place + name)
    try:
        storage.os.rmdir(storage.root + place)
    except OSError:
        # What may come back is in it.
        pass


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
    names = _names(storage, path)
    if names is None:
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


def _names(storage, path):
    """Return what is in a folder, None when there is none."""
    try:
        return storage.os.listdir(storage.root + path)
    except OSError:
        return None
