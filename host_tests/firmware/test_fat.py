"""A real FAT file system, which cannot replace a file at once: no power cut loses both.

The power goes before each sector that a save writes. That a sector is written whole is what FAT
takes for granted and no flash chip warrants, so `flash` and `doctor` warn of it.
"""

import json
import sys

from firmware.board import config as configuration
from firmware.board import credentials as store
from firmware.board.storage import Storage
from firmware.errors import FirstbootError
from firmware.provisioning import record, record_file
from firmware.provisioning.tidying import forget_secret
from host_tests.firmware.helpers import raises, skip
from host_tests.firmware.test_credentials import ATTEMPT, WHOLE
from host_tests.firmware.world import Stub, example

_SECTOR = 512
_SECTORS = 128


class PowerCut(Exception):
    """The power is gone."""


class Chip:
    """A flash chip, until its power goes: before write number `cut_at`, counted from 0.

    Then it is deaf, also to what MicroPython closes later; that is done with the heap locked, so
    nothing is allocated for it.
    """

    def __init__(self, content, cut_at=None):
        self.content = content
        self.cut_at = cut_at
        self.writes = 0
        self.is_off = False

    def readblocks(self, number, buffer):
        if not self.is_off:
            start = number * _SECTOR
            buffer[:] = self.content[start : start + len(buffer)]

    def writeblocks(self, number, buffer):
        if self.is_off:
            return
        if self.writes == self.cut_at:
            self.is_off = True
            raise PowerCut
        self.writes += 1
        start = number * _SECTOR
        self.content[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return _SECTORS
        return _SECTOR if operation == 5 else 0


class Files:
    """What Storage calls `open` and `os`: one FAT file system, mounted anew after each cut."""

    def __init__(self, chip):
        import vfs

        files = vfs.VfsFat(chip)
        self.open = files.open
        self.stat = files.stat
        self.rename = files.rename
        self.remove = files.remove


def storage_on(chip):
    files = Files(chip)
    return Storage("", files.open, files)


def blank():
    """Return the content of a chip with an empty file system."""
    if sys.implementation.name != "micropython":
        skip("it has no VfsFat")
    import vfs

    content = bytearray(_SECTOR * _SECTORS)
    vfs.VfsFat.mkfs(Chip(content))
    return content


def cuts(path, old, new):
    """Save `old`, then `new`, and cut before each write of that; yield what storage is left."""
    cut_at = 0
    chip = None
    while chip is None or chip.is_off:
        content = blank()
        if old is not None:
            storage_on(Chip(content)).save(path, old)
        chip = Chip(content, cut_at)
        try:
            storage_on(chip).save(path, new)
        except PowerCut:
            pass
        yield storage_on(Chip(content))
        cut_at += 1


def test_no_cut_loses_the_credentials():
    old = json.dumps(WHOLE).encode()
    other = dict(WHOLE)
    other["credentialsValue"] = "another-token"
    found = []
    only_new = 0
    for storage in cuts(store.CREDENTIALS, old, json.dumps(other).encode()):
        only_new += not storage.exists(store.CREDENTIALS)
        credentials = store.load(storage)
        found.append(credentials["credentialsValue"])
        # What was found is found again.
        assert store.load(storage) == credentials
        storage.save(store.CREDENTIALS, json.dumps(WHOLE).encode())
        assert store.load(storage) == WHOLE
    assert found[0] == "the-token" and found[-1] == "another-token" and len(found) > 6
    # Else a cut before the rename would prove nothing.
    assert only_new
    for number in range(1, len(found)):
        assert (found[number - 1], found[number]) != ("another-token", "the-token")


def test_no_cut_loses_the_attempt():
    renewed = dict(ATTEMPT)
    renewed["message_id"] = 1
    for storage in cuts(record.ATTEMPT, record.encoded(ATTEMPT), record.encoded(renewed)):
        board = Stub(storage=storage, id=ATTEMPT["id"])
        assert record_file.load(board) in (ATTEMPT, renewed)


def test_no_cut_loses_the_configuration():
    """Of forget_secret, which saves it anew."""
    given = example(forget_secret=True)
    forgetful = json.loads(json.dumps(given))
    del forgetful["provisioning"]["provisionDeviceSecret"]
    for storage in cuts("/config.json", json.dumps(given).encode(), json.dumps(forgetful).encode()):
        board = Stub(storage=storage, id="a1b2c3d4e5f6", chip="")
        assert configuration.load(board, provisioned=True)["forget_secret"]
        forget_secret(board)
        secret = configuration.load(board, provisioned=True)["provisioning"][
            "provisionDeviceSecret"
        ]
        assert secret is None


def test_the_first_save_is_there_or_not():
    for storage in cuts(store.CREDENTIALS, None, json.dumps(WHOLE).encode()):
        assert store.load(storage) in (None, WHOLE)
    raises(FirstbootError, storage.save, "/*", b"")
