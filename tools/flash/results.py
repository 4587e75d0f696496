"""The files that a run with many boards leaves: which board got which name."""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from tools.flash.board import Result
from tools.flash.errors import WRONG_USAGE, FlashingError

_COLUMNS = ("id", "name", "port", "result", "seconds")


class ResultsFile:
    """A CSV with a line a board, whole at any time; an earlier run's lines stay.

    Raises FlashingError for a file that is something else.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()
        self._rows: dict[str, dict] = {}
        if path.exists():
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                if tuple(reader.fieldnames or ()) != _COLUMNS:
                    raise FlashingError(
                        f"{path} is no results file", "Name another --results", WRONG_USAGE
                    )
                self._rows = {row["id"] or row["port"]: row for row in reader}

    @property
    def provisioned(self) -> frozenset[str]:
        """The ids of the boards that were provisioned."""
        return frozenset(
            row["id"] for row in self._rows.values() if row["result"] == "provisioned" and row["id"]
        )

    def add(self, result: Result) -> None:
        """Write how it went with a board; a skipped board keeps its line."""
        if result.result == "skipped":
            return
        with self._lock:
            if result.id:
                self._rows.pop(result.port, None)
            self._rows[result.id or result.port] = {
                column: getattr(result, column) for column in _COLUMNS
            }
            _replace(self._path, _csv(_COLUMNS, self._rows.values()))


def write_bulk_import(path: Path, names: dict[str, str], profile: str) -> None:
    """Write what ThingsBoard's *Import device* reads. `names`: deviceName by board id."""
    rows = [
        {"name": name, "type": profile, "label": board_id}
        for board_id, name in sorted(names.items(), key=lambda each: each[1])
    ]
    _replace(path, _csv(("name", "type", "label"), rows))


def _csv(columns: tuple[str, ...], rows: Iterable[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8", newline="")
    os.replace(temporary, path)
