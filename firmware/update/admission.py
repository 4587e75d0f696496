"""Whether a bundle may be installed: looked at before anything of it is, see check."""

from firmware.update.errors import UpdateError, passing
from firmware.update.manifest import malformed, numbers


def check(found, package, key, platform, micropython, firmware):
    """Check that a bundle is what ThingsBoard assigned, for this board, and signed.

    `found`: its Manifest. `package`: ThingsBoard's title, version and size. `key`: `update.key` of
    config.json, or None. `platform`: sys.platform. `micropython`: its version, a tuple. `firmware`:
    the version of the root's firmware. Raises UpdateError.
    """
    if found.firstboot_bundle != "1":
        raise malformed("its format is %s" % found.firstboot_bundle)
    if key:
        from firmware.update.signature import check as check_signature

        check_signature(key, found.signature, found.signed)
    names = (found.title, found.version)
    if names != (package["title"], package["version"]):
        raise UpdateError(
            "ThingsBoard calls it %s %s, but the bundle is %s %s"
            % ((package["title"], package["version"]) + names),
            "Upload it in ThingsBoard with the title and version of the bundle.",
        )
    size = found.size + found.contents
    if size != package["size"]:
        raise passing(
            "ThingsBoard says %d bytes, but the bundle has %d" % (package["size"], size),
            "Upload it again if this stays.",
        )
    what = "the bundle %s %s " % names
    if found.boards and platform not in found.boards.split(" "):
        raise UpdateError(
            what + "is for %s, and this board is an %s" % (found.boards, platform),
            "Assign a bundle for %s to this device or its profile." % platform,
        )
    if found.micropython and micropython < numbers(found.micropython):
        raise UpdateError(
            what + "needs MicroPython %s" % found.micropython,
            "Make one for the board's: %d.%d." % micropython[:2],
        )
    if found.firmware and not found.has_firmware and numbers(firmware) < numbers(found.firmware):
        raise UpdateError(
            what + "needs firstboot %s, and the board has %s" % (found.firmware, firmware),
            "Make it with --firmware.",
        )
    if not found.has_application:
        raise UpdateError(
            what + "has no app.py, nor an app.mpy that this board's MicroPython takes",
            "Make it of the folder that app.py is in, with .mpy files for this MicroPython.",
        )


def check_room(size, free):
    """Check that there is room for so many bytes. Raises UpdateError."""
    if size > free:
        raise UpdateError(
            "there is no room for the update: it takes %d bytes, and %d are free" % (size, free),
            "Remove files from the board, or make the bundle smaller.",
        )
