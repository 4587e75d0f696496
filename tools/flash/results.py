"""The files that a run with many boards leaves: which board got which name."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools import private
from tools.flash import tables
from tools.flash.board import NOT_BEGUN, Result
from tools.flash.errors import WRONG_USAGE, FlashingError
from tools.terminal import one_line

_COLUMNS = ("id", "name", "port", "result", "seconds", "reason", "network", "password", "content")


class ResultsFile:
    """A CSV with a line a board, whole at any time; an earlier run's lines stay.

    Raises FlashingError for a file that is something else, or cannot be written.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()
        self._rows: dict[str, dict] = {}
        if path.exists():
            header, rows = tables.read(path, _COLUMNS)
            if header and not {"id", "name", "port", "result"} <= set(header) <= set(_COLUMNS):
                raise FlashingError(
                    f"{path} is no results file", "Name another --results", WRONG_USAGE
                )
            for row in rows:
                row["id"] = tables.board_id(path, row["id"])
                self._rows[row["id"] or row["port"]] = row

    @property
    def provisioned(self) -> dict[str, str]:
        """What was put on each board that was provisioned, by its id, as Job.content says it."""
        return {
            row["id"]: row.get("content", "")
            for row in self._rows.values()
            if row["result"] == "provisioned" and row["id"]
        }

    def begin(self, ports: list[str]) -> None:
        """Write a line for each port of which none tells: so that there is room and the right."""
        for port in ports:
            self._rows.setdefault(port, {"port": port, "result": NOT_BEGUN})
        self._write()

    def add(self, result: Result) -> None:
        """Write how it went with a board; a skipped board keeps its line."""
        with self._lock:
            if result.result != "skipped" or result.id not in self._rows:
                self._rows[result.id or result.port] = {
                    "reason": one_line(result.detail),
                    **{name: getattr(result, name) for name in _COLUMNS if name != "reason"},
                }
            if result.id:
                self._rows.pop(result.port, None)
            self._write()

    @property
    def _columns(self) -> list[str]:
        """Those of labels only where a board has one."""
        has_labels = any(row.get("network") for row in self._rows.values())
        return [name for name in _COLUMNS if has_labels or name not in ("network", "password")]

    def _write(self) -> None:
        try:
            private.replace(self._path, _csv(self._columns, self._rows.values()))
        except OSError as error:
            raise FlashingError(
                f"{self._path} cannot be written: {error.strerror}",
                "Make room, or name another --results",
            ) from None


def write_bulk_import(path: Path, names: dict[str, str], profile: str) -> None:
    """Write what ThingsBoard's *Import device* reads. `names`: deviceName by board id."""
    rows = [
        {"name": name, "type": profile, "label": board_id}
        for board_id, name in sorted(names.items(), key=lambda each: each[1])
    ]
    private.replace(path, _csv(("name", "type", "label"), rows))


def _csv(columns: Sequence[str], rows: Iterable[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
