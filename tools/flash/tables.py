"""Reads a CSV as spreadsheets write it, or says in a line why not."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from tools.flash.errors import WRONG_USAGE, FlashingError

_AS_A_NUMBER = re.compile(r"\d+([.,]\d+)?E\+?\d+", re.IGNORECASE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(path: Path, columns: Iterable[str]) -> tuple[list[str], list[dict[str, str]]]:
    """The names in a CSV's first line and its rows, cells trimmed. Raises FlashingError.

    A name of `columns` may be in capitals, cells may stand between commas, semicolons or tabs, the
    text may be UTF-8 or UTF-16. Without a first line there are no names.
    """
    text = _text(path)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    spelling = {each.lower(): each for each in columns}
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [spelling.get(cell.strip().lower(), cell.strip()) for cell in next(rows, [])]
        found = []
        for cells in rows:
            cells = [cell.strip() for cell in cells]
            if any(cells[len(header) :]):
                raise _mistake(path, f"line {rows.line_num} has more cells than the first line")
            if any(cells):
                cells += [""] * (len(header) - len(cells))
                found.append(dict(zip(header, cells)))
    except csv.Error as error:
        raise _mistake(path, f"line {rows.line_num}: {error}") from None
    return header, found


def board_id(path: Path, text: str) -> str:
    """A board's id as MicroPython writes it: hex, lower case. Raises FlashingError for a number."""
    plain = plain_id(text)
    lost_zeros = plain.isdecimal() and 8 <= len(plain) < 16 and len(plain) != 12
    if (_AS_A_NUMBER.fullmatch(plain) and "+" in plain) or lost_zeros:
        raise FlashingError(
            f"{path}: a spreadsheet made a number, {text}, of a board's id",
            "Give that column the format Text, enter the ids again, and save it as CSV",
            WRONG_USAGE,
        )
    return plain


def plain_id(text: str) -> str:
    """A board's id without colons and hyphens, in lower case."""
    return text.strip().lower().replace(":", "").replace("-", "")


def _text(path: Path) -> str:
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _mistake(path, f"line {line} is not in UTF-8") from None
    if "\0" in text:
        raise _mistake(path, "it is no text")
    return text


def _mistake(path: Path, what: str) -> FlashingError:
    return FlashingError(f"{path}: {what}", "Save it as CSV UTF-8", WRONG_USAGE)
