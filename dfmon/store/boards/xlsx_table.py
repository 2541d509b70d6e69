"""The first sheet of an xlsx workbook as a table, read with the standard library; formulas count as their values."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from dfmon.store.boards.cells import BadCell
from dfmon.store.boards.table import Column, Table

_MAX_PART_BYTES: Final = 20_000_000
_MAX_COLUMNS: Final = 400
_DAMAGE: Final = (BadZipFile, ElementTree.ParseError, zlib.error, KeyError, EOFError, NotImplementedError)
_CELL: Final = re.compile(r"([A-Z]{1,3})\d+")
_FIRST_SHEET: Final = "xl/worksheets/sheet1.xml"


def is_xlsx(path: Path) -> bool:
    """True for a zip that holds a workbook."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return False
        with ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (OSError, ValueError, *_DAMAGE):
        return False


def read_xlsx(path: Path) -> Table:
    """The rows of the first sheet under its first line. Raises BadCell, with what is wrong with the workbook."""
    try:
        with ZipFile(path) as archive:
            shared = [] if "xl/sharedStrings.xml" not in archive.namelist() else list(_shared_texts(archive))
            sheet = next(
                (n for n in sorted(archive.namelist()) if n.startswith("xl/worksheets/") and n.endswith(".xml")), ""
            )
            name = _FIRST_SHEET if _FIRST_SHEET in archive.namelist() else sheet
            if not name:
                raise BadCell("is an xlsx workbook without a sheet")
            with _part(archive, name) as part:
                return _table(list(_rows(part, shared)))
    except (*_DAMAGE, OSError, ValueError) as exc:
        if isinstance(exc, BadCell):
            raise
        raise BadCell(f"is a damaged xlsx workbook ({type(exc).__name__})") from None
    except RuntimeError:  # of zipfile alone
        raise BadCell("is a workbook with a password: save it without one") from None


def _part(archive: ZipFile, name: str) -> IO[bytes]:
    if archive.getinfo(name).file_size > _MAX_PART_BYTES:
        raise BadCell(f"is a workbook with a part of more than {_MAX_PART_BYTES / 1e6:.0f} MB: save it as CSV")
    return _Bounded(archive.open(name))  # type: ignore[return-value]  # has the methods that are called


class _Bounded:
    """A part of an archive whose reads end at the limit, whatever its listing says, and that holds no entities."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left = file, _MAX_PART_BYTES

    def __enter__(self) -> _Bounded:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(chunk)
        if b"<!DOCTYPE" in chunk or b"<!ENTITY" in chunk:
            raise BadCell("is a workbook with XML entities, which are not read")
        return chunk


def _elements(part: IO[bytes], tag: str) -> Iterator[ElementTree.Element]:
    for _, element in ElementTree.iterparse(part):
        if element.tag.rpartition("}")[2] == tag:
            yield element
            element.clear()


def _shared_texts(archive: ZipFile) -> Iterator[str]:
    with _part(archive, "xl/sharedStrings.xml") as part:
        for item in _elements(part, "si"):
            yield "".join(text.text or "" for text in item.iter() if text.tag.rpartition("}")[2] == "t")


def _rows(part: IO[bytes], shared: list[str]) -> Iterator[tuple[int, dict[int, Any]]]:
    """The cells of each line by the number of their column."""
    for number, row in enumerate(_elements(part, "row"), 1):
        cells: dict[int, Any] = {}
        for position, cell in enumerate(c for c in row if c.tag.rpartition("}")[2] == "c"):
            match = _CELL.fullmatch(cell.get("r", ""))
            column = _column_number(match[1]) if match else position
            if column < _MAX_COLUMNS:
                cells[column] = _value(cell, shared)
        yield int(row.get("r") or number), cells


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _value(cell: ElementTree.Element, shared: list[str]) -> Any:
    kind = cell.get("t", "n")
    texts = {part.tag.rpartition("}")[2]: part.text or "" for part in cell.iter()}
    if kind == "inlineStr":
        return texts.get("t", "")
    text = texts.get("v", "")
    if kind == "s":
        return shared[int(text)] if text.isdigit() and int(text) < len(shared) else ""
    if kind in ("str", "d", "b", "e"):
        return None if kind == "e" else text
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _table(rows: list[tuple[int, dict[int, Any]]]) -> Table:
    filled = [(line, cells) for line, cells in rows if any(value not in (None, "") for value in cells.values())]
    if not filled:
        raise BadCell("is an empty workbook")
    (_, header), *body = filled
    names = {at: str(value).strip() for at, value in header.items() if value not in (None, "")}
    columns: dict[str, Column] = {name: [cells.get(at) for _, cells in body] for at, name in reversed(names.items())}
    return Table(columns, [line for line, _ in body], "line", container="xlsx")
