"""What the firmware has saved on a board: its credentials, and the attempt to get them.

The firmware's own code tells, on a copy of the files, a pending attempt from a settled one.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

from tools import shims

shims.install()

from firmware.board import credentials as store  # noqa: E402
from firmware.board.storage import ATTEMPT  # noqa: E402
from firmware.errors import FirstbootError  # noqa: E402
from firmware.provisioning import record_file  # noqa: E402
from firmware.provisioning.record import encoded  # noqa: E402
from firmware.provisioning.tidying import tidy  # noqa: E402
from tools.terminal import one_line  # noqa: E402

# Where a board that has credentials may keep its attempt, too.
_ATTEMPT_AGAIN = "/attempt_again.json"
# In an order in which they may be removed: a board without credentials goes on with an attempt.
PATHS = tuple(
    path + suffix
    for path in (_ATTEMPT_AGAIN, ATTEMPT, store.CREDENTIALS)
    for suffix in (".new", "")
)


class Saved:
    """The files of PATHS on a board, and what they say.

    `name`: the deviceName in the credentials, None when there are none. `tidied`: the files as
    the firmware leaves them, without an attempt whose fate the credentials tell. `pending`: in
    words, each device and server whose token may be nowhere else.
    """

    def __init__(self, files: dict[str, bytes], board_id: str):
        copy = _Copy(files)
        board = SimpleNamespace(storage=copy, id=board_id)
        self.tidied = copy.files
        self.name: str | None = None
        self.pending: list[str] = []
        credentials = None
        with contextlib.suppress(FirstbootError):  # the firmware sets such a file aside
            if credentials := store.load(copy):
                self.name = one_line(credentials["deviceName"])
        try:
            _move_attempt(board, credentials)
            if record_file.load(board) and credentials:
                tidy(board, credentials)
            fields = record_file.load(board)
        except FirstbootError as error:
            self.pending.append(f"it cannot be read, {one_line(error.what)}")
            return
        if fields:
            places = [f'"{each["deviceName"]}" at {each["server"]}' for each in fields["tokens"]]
            if fields["body"] and not places:
                places.append(f"a device at {fields['server']}")
            self.pending += map(one_line, places)

    def without(self, credentials: bool, attempt: bool) -> dict[str, bytes]:
        """The files that are left when these are forgotten."""
        gone = [store.CREDENTIALS] * credentials + [ATTEMPT, _ATTEMPT_AGAIN] * attempt
        return {
            path: content
            for path, content in self.tidied.items()
            if path.removesuffix(".new") not in gone
        }


class _Copy:
    """A copy of files in place of firmware.board.storage.Storage."""

    def __init__(self, files: dict[str, bytes]):
        self.files = dict(files)
        self.read = self.files.get
        self.exists = self.files.__contains__
        self.save = self.files.__setitem__

    def remove(self, path: str) -> None:
        for each in (path + ".new", path):
            self.files.pop(each, None)

    def finish(self, path: str) -> None:
        self.files[path] = self.files.pop(path + ".new")

    def rename(self, path: str, new: str) -> None:
        """Looking at a file that is set aside changes nothing."""


def _move_attempt(board: SimpleNamespace, credentials: dict | None) -> None:
    """As firmware.provisioning.rejection does, let an attempt in its other place go on."""
    fields = record_file.load(board, _ATTEMPT_AGAIN)
    if fields and not board.storage.exists(ATTEMPT):
        rejected = credentials and credentials["credentialsValue"]
        tokens = [each for each in fields["tokens"] if each["token"] != rejected]
        fields.update(replaces=record_file.fingerprint(board), tokens=tokens)
        board.storage.save(ATTEMPT, encoded(fields))
    board.storage.remove(_ATTEMPT_AGAIN)
