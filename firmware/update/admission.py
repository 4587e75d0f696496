"""Whether a bundle is taken, when all of its manifest is there. Imported only then.

Its signature is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2).
"""

import json
import sys

from micropython import const

from firmware.errors import FirstbootError
from firmware.memory import give_back

# The bytes of a block of littlefs.
_BLOCK = const(4096)
# Blocks that stay free for the application's data.
_SPARE = const(8)
_DIRECTORY = const(0x4000)
_EXPONENT = const(65537)
# What says that a SHA-256 follows (RFC 8017 section 9.2, note 1).
_SHA256 = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


def admit(board, place, package, key):
    """Take the manifest that has come into a slot.

    `package`: ThingsBoard's title, version, size and checksum. `key`: `update.key` of config.json.
    What was in the slot is there no more from then on. Raises UpdateError for a bundle that is not
    taken: then nothing is left of it, and all else is as it was; FirstbootError, OSError.
    """
    storage = board.storage
    try:
        _check(storage, place, package, key)
    except FirstbootError:
        _abandon(storage, place)
        raise
    give_up(storage, place)
    from firmware.update.tree import MANIFEST, NEW_MANIFEST, PACKAGE, REST, remove_tree

    # First, since it tells that what is there is whole.
    storage.remove(place + PACKAGE)
    remove_tree(storage, place, board.idle, (NEW_MANIFEST, REST))
    storage.save(place + PACKAGE, json.dumps(packaged(package, key)).encode())
    at = storage.root + place
    storage.os.rename(at + NEW_MANIFEST, at + MANIFEST)


def _check(storage, place, package, key):
    found = _read(storage, place)
    give_back("update.manifest update.errors")
    if key:
        check_signature(key, found["signature"], found["signed"])
        give_back("board.modulus")
    firmware = None
    if found["firmware"] and not found["has_firmware"]:
        firmware = _root_firmware(storage)
        give_back("update.slots")
    check(found, package, sys.platform, sys.implementation.version[:3], firmware)
    check_room(storage, place, found["blocks"] * _BLOCK)


# Each of these is through with what it loads as it returns.
def _read(storage, place):
    from firmware.update.tree import NEW_MANIFEST

    own = _mpy()
    give_back("update.files update.tree")
    from firmware.update.manifest import read

    with storage.open(storage.root + place + NEW_MANIFEST, "rb") as lines:
        return read(lines, own)


def _mpy():
    from firmware.update.files import mpy

    return mpy()


def _root_firmware(storage):
    from firmware.update.slots import State

    return State(storage).root_firmware()


def give_up(storage, place):
    """Let what is in a slot come back no more. Raises FirstbootError when it cannot be saved."""
    from firmware.update.slots import State

    State(storage).give_up(place)
    give_back("update.slots")


def check_room(storage, place, size):
    """Check that a slot has room for so many bytes in place of its own.

    Raises UpdateError, OSError.
    """
    found = storage.os.statvfs(storage.root or "/")
    free = max(0, found[1] * found[4] + (_blocks(storage, place) - _SPARE) * _BLOCK)
    if size > free:
        _refuse(
            "there is no room for the update: it takes %d bytes, and %d are free" % (size, free),
            "Remove files from the board, or make the bundle smaller.",
        )


def packaged(package, key):
    """Return what /a/package says: ThingsBoard's words, and the key that it is checked by."""
    said = {"key": key}
    for word in ("title", "version", "size", "checksum"):
        said[word] = package[word]
    return said


def _blocks(storage, path):
    """Return how many blocks the files of a bundle have, counted as their manifest counts them.

    `path`: their slot, or a folder in it. Raises OSError.
    """
    from firmware.update.tree import MANIFEST, NEW_MANIFEST, PACKAGE, REST

    try:
        names = storage.os.listdir(storage.root + path)
    except OSError:
        return 0
    found = 0
    for name in names:
        inner = "%s/%s" % (path, name)
        stat = storage.os.stat(storage.root + inner)
        if stat[0] & _DIRECTORY:
            found += 2 + _blocks(storage, inner)
        elif "/" + name not in (PACKAGE, MANIFEST, NEW_MANIFEST, REST):
            found += stat[6] // _BLOCK + 1
    return found


def _abandon(storage, place):
    """Remove what has come of a manifest. Raises FirstbootError."""
    from firmware.update.tree import NEW_MANIFEST, REST

    for name in (NEW_MANIFEST, REST):
        storage.remove(place + name)
    try:
        storage.os.rmdir(storage.root + place)
    except OSError:
        # The version before is in it.
        pass


def check(found, package, platform, micropython, firmware):
    """Check that a bundle is what ThingsBoard assigned, and for this board.

    `found`: see firmware.update.manifest.read. `package`: ThingsBoard's title, version and size.
    `platform`: sys.platform. `micropython`: its version, a tuple. `firmware`: the version of the
    root's firmware. Raises UpdateError.
    """
    names = (found["title"], found["version"])
    if names != (package["title"], package["version"]):
        _refuse(
            "ThingsBoard calls it %s %s, but the bundle is %s %s"
            % ((package["title"], package["version"]) + names),
            "Upload it in ThingsBoard with the title and version of the bundle.",
        )
    size = found["size"] + found["contents"]
    if size != package["size"]:
        from firmware.update.errors import passing

        raise passing(
            "ThingsBoard says %d bytes, but the bundle has %d" % (package["size"], size),
            "Upload it again if this stays.",
        )
    what = "the bundle %s %s " % names
    if found["boards"] and platform not in found["boards"].split(" "):
        _refuse(
            what + "is for %s, and this board is an %s" % (found["boards"], platform),
            "Assign a bundle for %s to this device or its profile." % platform,
        )
    if found["micropython"] and micropython < _numbers(found["micropython"]):
        _refuse(
            what + "needs MicroPython %s" % found["micropython"],
            "Make one for the board's: %d.%d." % micropython[:2],
        )
    if (
        found["firmware"]
        and not found["has_firmware"]
        and _numbers(firmware) < _numbers(found["firmware"])
    ):
        _refuse(
            what + "needs firstboot %s, and the board has %s" % (found["firmware"], firmware),
            "Make it with --firmware.",
        )
    if not found["has_application"]:
        _refuse(
            what + "has no app.py, nor an app.mpy that this board's MicroPython takes",
            "Make it of the folder that app.py is in, with .mpy files for this MicroPython.",
        )


def check_signature(key, signature, digest):
    """Check the signature of a bundle; raise UpdateError when it is missing or wrong.

    `key`: `update.key` of config.json. The others: see `signed` of firmware.update.manifest.read.
    """
    if not signature:
        _refuse(
            "the bundle is not signed, and config.json has an `update.key`",
            "Sign it: bundle --sign key.pem.",
        )
    if not is_signed(key, signature, digest):
        _refuse(
            "the bundle's signature is not of the key that config.json has as `update.key`",
            "Sign it with that key: bundle --sign key.pem.",
        )


def is_signed(key, signature, digest):
    """Return whether the signature of a SHA-256 was made with a key; see check_signature.

    The public exponent is 65537.
    """
    from firmware.board.modulus import modulus

    number, length = signature
    key = modulus(key)
    size = len(key)
    # The power takes 1.5 KB for a moment: there are but numbers then.
    key = int.from_bytes(key, "big")
    if length != size or number >= key:
        return False
    found = pow(number, _EXPONENT, key).to_bytes(size, "big")
    padding = b"\xff" * (size - 3 - len(_SHA256) - len(digest))
    return found == b"\0\1" + padding + b"\0" + _SHA256 + digest


def _refuse(what, fix):
    # Loaded only then.
    from firmware.update.errors import UpdateError

    raise UpdateError(what, fix)


def _numbers(version):
    """Return a version's numbers, a tuple. Raises UpdateError."""
    try:
        return tuple([int(part) for part in version.split(".")])
    except ValueError:
        from firmware.update.manifest import malformed

        raise malformed("its manifest names no version: %s" % version)
