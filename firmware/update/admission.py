"""Whether a bundle may be installed, and has room: looked at before anything of it is."""

from micropython import const

from firmware.update.errors import UpdateError, passing

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


def check(found, package, platform, micropython, firmware):
    """Check that a bundle is what ThingsBoard assigned, and for this board.

    `found`: see firmware.update.manifest.read. `package`: ThingsBoard's title, version and size.
    `platform`: sys.platform. `micropython`: its version, a tuple. `firmware`: the version of the
    root's firmware. Raises UpdateError.
    """
    names = (found["title"], found["version"])
    if names != (package["title"], package["version"]):
        raise UpdateError(
            "ThingsBoard calls it %s %s, but the bundle is %s %s"
            % ((package["title"], package["version"]) + names),
            "Upload it in ThingsBoard with the title and version of the bundle.",
        )
    size = found["size"] + found["contents"]
    if size != package["size"]:
        raise passing(
            "ThingsBoard says %d bytes, but the bundle has %d" % (package["size"], size),
            "Upload it again if this stays.",
        )
    what = "the bundle %s %s " % names
    if found["boards"] and platform not in found["boards"].split(" "):
        raise UpdateError(
            what + "is for %s, and this board is an %s" % (found["boards"], platform),
            "Assign a bundle for %s to this device or its profile." % platform,
        )
    if found["micropython"] and micropython < _numbers(found["micropython"]):
        raise UpdateError(
            what + "needs MicroPython %s" % found["micropython"],
            "Make one for the board's: %d.%d." % micropython[:2],
        )
    if (
        found["firmware"]
        and not found["has_firmware"]
        and _numbers(firmware) < _numbers(found["firmware"])
    ):
        raise UpdateError(
            what + "needs firstboot %s, and the board has %s" % (found["firmware"], firmware),
            "Make it with --firmware.",
        )
    if not found["has_application"]:
        raise UpdateError(
            what + "has no app.py, nor an app.mpy that this board's MicroPython takes",
            "Make it of the folder that app.py is in, with .mpy files for this MicroPython.",
        )


def _numbers(version):
    """Return a version's numbers, a tuple. Raises UpdateError."""
    try:
        return tuple([int(part) for part in version.split(".")])
    except ValueError:
        from firmware.update.manifest import malformed

        raise malformed("its manifest names no version: %s" % version)
