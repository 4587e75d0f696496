"""A board's flash with folders, and bundles: what the tests of firmware.update share."""

import io
import json
import sys
from hashlib import sha256

from firmware.board.storage import Storage
from firmware.update import contents, slots, states, watch
from firmware.update.install import Installation
from host_tests.firmware.world import ENOENT, ENOSPC, Stub, os_error

EEXIST, ENOTEMPTY = 17, 39
BLOCK = 4096
SETTINGS = {"key": None, "trial": 7200, "contact": 3600}
TITLE = "my-app"
MPY = "%d.%d" % (getattr(sys.implementation, "_mpy", 0) & 0xFF, 3)

# What is given back would be another when it is imported anew.
_GIVING_BACK = "admission contents files install installing intake slots states transfer watch"
for _name in _GIVING_BACK.split():
    __import__("firmware.update." + _name)
    sys.modules["firmware.update." + _name].give_back = lambda steps: None
states.give_back_room = watch.give_back_room = lambda room, but: None


class Folders:
    """A file system in memory with folders: `open` and what MicroPython's `os` has.

    `files`: contents, None for a folder. What is written is there when it is flushed or closed.
    `room`: how many bytes more may be written.
    """

    def __init__(self):
        self.files = {"": None}
        self.room = 1 << 20

    def open(self, path, mode):
        if mode == "rb":
            return io.BytesIO(self._content(path))
        if self.files.get(path.rpartition("/")[0], b"") is not None:
            raise os_error(ENOENT)
        content = self.files.get(path, b"") if mode == "ab" else b""
        return _File(self, path, content)

    def stat(self, path):
        content = self._content(path)
        mode, size = (0x4000, 0) if content is None else (0x8000, len(content))
        return (mode, 0, 0, 0, 0, 0, size, 0, 0, 0)

    def listdir(self, path):
        if self._content(path) is not None:
            raise os_error(ENOENT)
        return [
            name[len(path) + 1 :]
            for name in self.files
            if name.startswith(path + "/") and "/" not in name[len(path) + 1 :]
        ]

    def mkdir(self, path):
        if path in self.files:
            raise os_error(EEXIST)
        self.files[path] = None

    def rmdir(self, path):
        if self.listdir(path):
            raise os_error(ENOTEMPTY)
        del self.files[path]

    def remove(self, path):
        self.room += len(self._content(path) or b"")
        del self.files[path]

    def rename(self, old, new):
        self.files[new] = self._content(old)
        del self.files[old]

    def statvfs(self, path):
        return (BLOCK, BLOCK, 256, self.room // BLOCK, self.room // BLOCK, 0, 0, 0, 0, 255)

    def _content(self, path):
        if path not in self.files:
            raise os_error(ENOENT)
        return self.files[path]


class _File:
    def __init__(self, folders, path, content):
        self._folders = folders
        self._path = path
        self._content = content
        folders.files.setdefault(path, b"")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def write(self, data):
        if len(data) > self._folders.room:
            raise os_error(ENOSPC)
        self._folders.room -= len(data)
        self._content += bytes(data)
        return len(data)

    def flush(self):
        self._folders.files[self._path] = self._content

    close = flush


class Site:
    """A board's flash, with what is looked at on it."""

    def __init__(self, **settings):
        self.folders = Folders()
        self.storage = Storage("", self.folders.open, self.folders)
        self.settings = dict(SETTINGS)
        self.settings.update(settings)
        self.idled = 0

    def idle(self):
        self.idled += 1

    @property
    def state(self):
        return slots.State(self.storage)

    def install(self):
        """Return a new Installation, as after a start of the board."""
        return Installation(Stub(storage=self.storage, idle=self.idle), self.settings)

    def update(self, content, version="2", size=1000):
        """Take a whole bundle, in pieces of this size; return the Installation, to switch."""
        installation = self.begin(content, version)
        for at in range(installation.offset, len(content), size):
            installation.write(content[at : at + size])
        installation.finish()
        return installation

    def begin(self, content, version="2"):
        installation = self.install()
        installation.begin(TITLE, version, len(content), "checksum " + version)
        return installation

    def files(self, place):
        """Return the contents in a slot, by the path in it, without what is the slot's own."""
        own = ("/manifest", "/package")
        return {
            path[len(place) :]: content
            for path, content in self.folders.files.items()
            if path.startswith(place + "/") and content is not None and path[2:] not in own
        }

    def put(self, path, content):
        """Put JSON on the flash."""
        self.folders.files[path] = json.dumps(content).encode()


def replay(installation, update):
    """Give `update` what an Installation has of a bundle; return whether it is all."""
    return contents.replay(installation._board, installation.place, installation.offset, update)


def bundle(files, version="2", sign=None, mpy="-", **lines):
    """Return a bundle's bytes. `files`: contents by path, or (mpy, path, content) of each.

    `lines`: others of its manifest. `sign`: what makes the signature's line of all before.
    """
    if isinstance(files, dict):
        files = [(mpy, path, files[path]) for path in sorted(files)]
    head = "firstboot-bundle 1\ntitle %s\nversion %s\n" % (lines.pop("title", TITLE), version)
    for word in ("boards", "micropython", "firmware"):
        if word in lines:
            head += "%s %s\n" % (word, lines.pop(word))
    assert not lines
    for each, path, content in files:
        digest = sha256(content).digest().hex()
        head += "file %s %d %s %s\n" % (each, len(content), digest, path)
    return sealed(head, sign) + b"".join([content for _, _, content in files])


def sealed(head, sign=None):
    """Return the bytes of a manifest, of the text of its lines."""
    head = head.encode() if isinstance(head, str) else head
    head += b"sha256 %s\n" % sha256(head).digest().hex().encode()
    if sign:
        head += b"signature %s\n" % sign(head)
    return head + b"\n"
