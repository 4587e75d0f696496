"""The bytes of a bundle's manifest as they come. Imported only for that."""

from micropython import const

from firmware.memory import give_back
from firmware.update.tree import NEW_MANIFEST, REST

# Bytes of a manifest, and of its longest line: the signature's.
_LARGEST = const(16_384)
_LONGEST_LINE = const(710)
# Bytes that are read at a time: as many as come with the last of a manifest over the air.
_PIECE = const(1024)


class Intake:
    """Where the first bytes of a bundle go: its manifest, and what comes with the last of it.

    `size`: of the bundle. `is_full`: whether all of the manifest is there, or of the bundle. Then
    firmware.update.admission is next, in whose time there is no block in memory.
    """

    is_full = False
    out = None
    _column = _size = 0

    def __init__(self, storage, place, size):
        self.storage = storage
        self.place = place
        self._most = min(_LARGEST, size - 1)

    def write(self, data):
        """Take the next bytes of the bundle. Raises OSError."""
        data = memoryview(data)
        storage = self.storage
        place = storage.root + self.place
        if not self.out:
            self.out = storage.open(place + NEW_MANIFEST, "wb")
        size = self._find_end(data)
        self.out.write(data[:size])
        if self.is_full:
            self.close()
            with storage.open(place + REST, "wb") as rest:
                rest.write(data[size:])

    def close(self):
        """Close the file."""
        if self.out:
            self.out.close()
            self.out = None

    def _find_end(self, data):
        """Return how many of these bytes are the manifest's."""
        column = self._column
        for at in range(len(data)):
            if data[at] != 10:
                column += 1
                if column > _LONGEST_LINE:
                    break
            elif column:
                column = 0
            else:
                self.is_full = True
                return at + 1
        self._column = column
        self._size += len(data)
        # One that is none is refused as what it is, by who reads it.
        self.is_full = column > _LONGEST_LINE or self._size > self._most
        return len(data)


def go_on(job):
    """Let what is behind the manifest of a Job's package come; no steps. Raises UpdateError."""
    from firmware.update.download import Writer

    job.writer = Writer(job.session.board.storage, job.arrived)
    job.arrived = None
    job.is_admitted = False
    pass_on(job.writer)
    give_back("update.intake update.tree")
    return ()


def pass_on(writer):
    """Give a Writer what came with the last of the manifest. Raises UpdateError, too."""
    path = writer.place + REST
    at = 0
    while True:
        piece = _piece(writer.storage, path, at)
        writer.write(piece)
        at += len(piece)
        if len(piece) < _PIECE:
            break
    writer.storage.remove(path)


def _piece(storage, path, at):
    # Closed again each time: what an open file takes is wanted for the one that is written.
    with storage.open(storage.root + path, "rb") as rest:
        rest.seek(at)
        return rest.read(_PIECE)
