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
signature …               when it is signed: see firmware.update.signature; of all lines before
                          an empty line ends the manifest; the files' contents follow, with nothing
                          between
"""

from binascii import a2b_base64
from hashlib import sha256

from micropython import const

from firmware.update.errors import UpdateError

# Bytes of a manifest, and of the one line that is longer than _LONGEST_LINE.
LARGEST = const(16_384)
LONGEST_LINE = const(710)

_LONGEST_LINE = const(200)
_LONGEST_PATH = const(100)
_LARGEST_FILE = const(16_777_216)
_BLOCK = const(4096)
_ORDER = "firstboot-bundle title version boards micropython firmware file sha256 signature"
_VERSION = const(2)
_FILE = const(6)
# What a slot never has in place of the root's, or uses itself.
_RESERVED = (
    "main.py main.mpy boot.py boot.mpy config.json credentials.json"
    " manifest manifest.new package package.new"
)


class Manifest:
    """What the manifest of a bundle says.

    `size`: its own bytes; `contents`: those of all files after it. `blocks`: how many blocks of
    4096 bytes the files of this board take at most. `has_firmware`, `has_application`: whether
    they have a firmware/ or firmware.pack, and an app. `signature`: None without one; `signed`:
    the SHA-256 of what it signs.
    """

    firstboot_bundle = title = version = boards = micropython = firmware = None
    sha256 = signature = signed = None
    size = contents = blocks = 0
    has_firmware = has_application = False
    # The path of the file before, of the last one for this board, and that one's folder.
    _path = _taken = _folder = ""

    def add(self, path, size, digest, is_taken):
        """Add a file, see _file. Raises UpdateError when it does not follow the one before."""
        if path < self._path or (is_taken and path == self._taken):
            raise malformed("its files are in no order, or one is there twice")
        self._path = path
        self.contents += size
        if is_taken:
            self._taken = path
            self.blocks += size // _BLOCK + 1
            folder = path.rpartition("/")[0]
            if folder != self._folder:
                # littlefs has two blocks for a folder.
                self.blocks += 2 * len(folder.split("/"))
                self._folder = folder
            if path in ("app.py", "app.mpy"):
                self.has_application = True
            if path.startswith("firmware/") or path == "firmware.pack":
                self.has_firmware = True


def read(lines, mpy):
    """Return the Manifest in these lines, bytes each, with their line ends, after a check of all.

    `mpy`: such as "6.3", see `mpy_version`. Raises UpdateError for what is no whole manifest.
    """
    manifest = Manifest()
    before_sha256 = sha256()
    before_signature = sha256()
    order = _ORDER.split()
    last = -1
    for line in lines:
        manifest.size += len(line)
        if line[-1:] != b"\n" or manifest.size > LARGEST:
            break
        if line == b"\n":
            if not manifest.sha256:
                break
            manifest.signed = before_signature.digest()
            return manifest
        word, value = _split(line)
        at = order.index(word) if word in order else -1
        if (at <= last and not at == last == _FILE) or (last < _VERSION and at != last + 1):
            raise malformed("a line of its manifest does not belong there: %s" % word[:20])
        last = at
        if word == "file":
            manifest.add(*_file(value, mpy))
        elif word == "sha256":
            if value != before_sha256.digest().hex():
                raise malformed("its manifest is damaged")
            manifest.sha256 = value
        elif word == "signature":
            manifest.signature = _base64(value)
        else:
            setattr(manifest, word.replace("-", "_"), value)
        if not manifest.sha256:
            before_sha256.update(line)
        if not manifest.signature:
            before_signature.update(line)
    raise malformed("its manifest is not whole")


class End:
    """Finds the end of a manifest in the bytes that come."""

    _column = _size = 0

    def find(self, data):
        """Return how many of these bytes are the manifest's, None when all are and it goes on.

        Raises UpdateError when it goes on for longer than a manifest does.
        """
        column = self._column
        for at in range(len(data)):
            if data[at] != 10:
                column += 1
                if column > LONGEST_LINE:
                    break
            elif column:
                column = 0
            else:
                return at + 1
        self._column = column
        self._size += len(data)
        if column > LONGEST_LINE or self._size > LARGEST:
            raise malformed("it does not begin with a manifest")


def files(lines, mpy):
    """Yield (name, size, SHA-256 in hex, whether the board takes it) of each file, in order.

    A name is its path in the slot, such as "/app.mpy". `lines`: those of a manifest that was read
    before.
    """
    for line in lines:
        if line == b"\n":
            return
        if line.startswith(b"file "):
            name, size, digest, is_taken = _file(_split(line)[1], mpy)
            yield "/" + name, size, digest, is_taken


def mpy_version(implementation):
    """Return which .mpy files a MicroPython takes, such as "6.3". `implementation`: sys's."""
    version = getattr(implementation, "_mpy", 0)
    return "%d.%d" % (version & 0xFF, version >> 8 & 3) if version else "-"


def _split(line):
    if len(line) > _LONGEST_LINE + 1 and not line.startswith(b"signature "):
        raise malformed("a line of its manifest is longer than %d bytes" % _LONGEST_LINE)
    try:
        word, _, value = line[:-1].decode().partition(" ")
    except UnicodeError:
        word = value = ""
    if not value or value != value.strip() or min(value) < " ":
        raise malformed("a line of its manifest says nothing")
    return word, value


def _file(value, mpy):
    """Return the path, the size, the SHA-256 and whether the board takes it, of a file's line."""
    parts = value.split(" ", 3)
    if len(parts) == 4 and parts[1].isdigit() and len(parts[1]) <= 8 and len(parts[2]) == 64:
        version, size, digest, path = parts
        size = int(size)
        _check_path(path)
        if size <= _LARGEST_FILE:
            return path, size, digest, version in ("-", mpy, mpy.partition(".")[0])
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
        raise UpdateError(
            "the bundle has a file that does not belong into a slot: %s" % path[:_LONGEST_PATH],
            "Make it with `bundle`, without that file.",
        )


def numbers(version):
    """Return a version's numbers, a tuple. Raises UpdateError."""
    try:
        return tuple([int(part) for part in version.split(".")])
    except ValueError:
        raise malformed("its manifest names no version: %s" % version)


def _base64(value):
    try:
        return a2b_base64(value)
    except ValueError:
        raise malformed("its signature is no base64")


def malformed(why):
    """Return the UpdateError of a package that is no bundle."""
    return UpdateError(
        "the package is no bundle that this firmware reads: " + why,
        "Upload what `bundle` makes, and nothing else.",
    )
