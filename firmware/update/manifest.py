"""A bundle's manifest: what it is, for which boards, and which files follow it. Pure.

firstboot-bundle 1
title my-app
version 1.2.0
boards esp32 rp2          of sys.platform; left out: any
micropython 1.23          at least; left out: any
firmware 1.0.0            at least this firstboot in the root, for a bundle without firmware/
file 6.3 1234 … app.mpy   the mpy version that it is for (6: any 6.x; -: any), its size in bytes,
file - 55 … web/page.html its SHA-256 in hex, and its path, in ascending order
sha256 …                  in hex, of all lines before this one
signature …               when it is signed: see firmware.update.admission; of all lines before
                          an empty line ends the manifest; the files' contents follow, with nothing
                          between
"""

from binascii import a2b_base64
from hashlib import sha256

from micropython import const

_LARGEST = const(16_384)
_LONGEST_LINE = const(200)
_LONGEST_PATH = const(100)
_LARGEST_FILE = const(16_777_216)
_BLOCK = const(4096)
_ORDER = (
    "firstboot-bundle",
    "title",
    "version",
    "boards",
    "micropython",
    "firmware",
    "file",
    "sha256",
    "signature",
)
_VERSION = const(2)
_FILE = const(6)
# What a slot never has in place of the root's, or uses itself.
_RESERVED = (
    "main.py main.mpy boot.py boot.mpy config.json credentials.json"
    " manifest manifest.new manifest.rest package package.new"
)


def read(lines, mpy):
    """Return what a manifest says, a dictionary, after a check of all; None for what it leaves out.

    `title`, `version`, `boards`, `micropython`, `firmware`: its lines. `size`: its own bytes;
    `contents`: those of all files after it. `blocks`: how many blocks of 4096 bytes the files of
    this board take at most. `has_firmware`, `has_application`: whether they have a firmware/ or
    firmware.pack, and an app. `signature`: its number and how many bytes it has; `signed`: the
    SHA-256 of what it signs.

    `lines`: bytes each, with their line ends. `mpy`: such as "6.3", which .mpy files the board
    takes. Raises UpdateError for what is no whole manifest.
    """
    found = {"size": 0, "contents": 0, "blocks": 0, "has_firmware": False, "has_application": False}
    for word in _ORDER:
        found[word] = None
    before_sha256 = sha256()
    before_signature = sha256()
    last = -1
    # The path before, the last one that the board takes, and that one's folder.
    path = taken = folder = ""
    for line in lines:
        found["size"] += len(line)
        if line[-1:] != b"\n" or found["size"] > _LARGEST:
            break
        if line == b"\n":
            if not found["sha256"]:
                break
            found["signed"] = before_signature.digest()
            del found["sha256"]
            return found
        word, value = _split(line)
        at = _ORDER.index(word) if word in _ORDER else -1
        if (at <= last and not at == last == _FILE) or (last < _VERSION and at != last + 1):
            raise malformed("a line of its manifest does not belong there: %s" % word[:20])
        last = at
        if word == "file":
            before = path
            path, size, is_taken = _file(value, mpy)
            if path < before or (is_taken and path == taken):
                raise malformed("its files are in no order, or one is there twice")
            found["contents"] += size
            if is_taken:
                taken = path
                folder = _add(found, path, size, folder)
        elif word == "signature":
            found[word] = _signature(value)
        elif word == "firstboot-bundle" and value != "1":
            raise malformed("its format is %s" % value)
        elif word == "sha256" and value != before_sha256.digest().hex():
            raise malformed("its manifest is damaged")
        else:
            found[word] = value
        if not found["sha256"]:
            before_sha256.update(line)
        if not found["signature"]:
            before_signature.update(line)
    raise malformed("its manifest is not whole")


def _add(found, path, size, before):
    """Add a file that the board takes; return its folder. `before`: that of the one before."""
    found["blocks"] += size // _BLOCK + 1
    folder = path.rpartition("/")[0]
    if folder != before:
        # littlefs has two blocks for a folder.
        found["blocks"] += 2 * len(folder.split("/"))
    if path in ("app.py", "app.mpy"):
        found["has_application"] = True
    if path.startswith("firmware/") or path == "firmware.pack":
        found["has_firmware"] = True
    return folder


def _split(line):
    if len(line) > _LONGEST_LINE + 1 and not line.startswith(b"signature "):
        raise malformed("a line of its manifest is longer than %d bytes" % _LONGEST_LINE)
    try:
        word, _, value = line[:-1].decode().partition(" ")
    except UnicodeError:
        word = value = ""
    if not value or value != value.strip() or min(line[:-1]) < 32:
        raise malformed("a line of its manifest says nothing")
    return word, value


def _file(value, mpy):
    """Return the path, the size, and whether the board takes it, of a file's line."""
    parts = value.split(" ", 3)
    if len(parts) == 4 and parts[1].isdigit() and len(parts[1]) <= 8 and len(parts[2]) == 64:
        version, size, _, path = parts
        size = int(size)
        _check_path(path)
        if size <= _LARGEST_FILE:
            return path, size, version in ("-", mpy, mpy.partition(".")[0])
    raise malformed("a file's line in its manifest does not fit")


def _check_path(path):
    """Check that a path stays in its place. Raises UpdateError."""
    parts = path.split("/")
    if (
        len(path.encode()) > _LONGEST_PATH
        or "\\" in path
        or "" in parts
        or "." in parts
        or ".." in parts
        or parts[0] in _RESERVED.split(" ")
    ):
        raise _error(
            "the bundle has a file that does not belong into a slot: %s" % path[:_LONGEST_PATH],
            "Make it with `bundle`, without that file.",
        )


def _signature(value):
    try:
        value = a2b_base64(value)
    except ValueError:
        raise malformed("its signature is no base64")
    return int.from_bytes(value, "big"), len(value)


def malformed(why):
    """Return the UpdateError of a package that is no bundle."""
    return _error(
        "the package is no bundle that this firmware reads: " + why,
        "Upload what `bundle` makes, and nothing else.",
    )


def _error(what, fix):
    # Loaded only then.
    from firmware.update.errors import UpdateError

    return UpdateError(what, fix)
