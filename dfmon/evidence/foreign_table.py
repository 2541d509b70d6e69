"""A table of a foreign file by column names: text with separators, packed or not, or parquet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.store.boards.cells import BadCell
from dfmon.store.boards.csv_table import read_csv
from dfmon.store.boards.parquet_table import MAGIC, read_all
from dfmon.store.boards.table import Column
from dfmon.store.file_content import open_regular, open_unpacked, shown_path, text_lines

_SHOWN_COLUMNS: Final = 8


class ForeignTable(NamedTuple):
    """Rows of a file; `unread` are its columns that nothing here knows, `ragged` its lines that are no rows."""

    path: str
    columns: Mapping[str, Column]
    unread: tuple[str, ...]
    ragged: tuple[tuple[int, str], ...] = ()

    def texts(self, name: str) -> list[str]:
        """A column as text."""
        return [str(cell).strip() for cell in self.columns[name]]

    def numbers(self, name: str) -> F64:
        """A column as numbers, NaN where it is empty. Raises UsageError for a cell that is no number."""
        return np.array([self._number(name, row, cell) for row, cell in enumerate(self.columns[name], 1)])

    def _number(self, name: str, row: int, cell: Any) -> float:
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            return float("nan")
        try:
            return float(cell)
        except (TypeError, ValueError):
            found = sanitize(str(cell), 30)
            raise UsageError(f"{self.path} row {row}: {name} is {found!r}, a number is expected") from None

    def notes(self) -> list[str]:
        """Sentences on columns that are not read, and on lines that are no rows."""
        notes = [f"{self.path}: columns that are not read: {', '.join(self.unread)}"] if self.unread else []
        if self.ragged:
            number, reason = self.ragged[0]
            notes.append(
                f"{self.path}: {len(self.ragged):,} lines that are no rows, the first is line {number}: {reason}"
            )
        return notes


def read_table(
    path: Path, required: Sequence[str], known: Sequence[str] = (), keep: Callable[[str], bool] | None = None
) -> ForeignTable:
    """The rows of a file. Raises UsageError where a required column is missing; `known` may be missing or not.

    `keep` chooses the lines of a text after the first.
    """
    shown = shown_path(path)
    with open_regular(path, "a table") as file:
        is_parquet = file.read(len(MAGIC)) == MAGIC
    header: list[str] = []

    def note_header(names: list[str]) -> set[str]:
        header.extend(names)
        return set(names)

    ragged: tuple[tuple[int, str], ...] = ()
    if is_parquet:
        columns: Mapping[str, Column] = read_all(path)
        header.extend(columns)
    else:
        try:
            with open_unpacked(path, "a table") as stream:
                lines = text_lines(stream, shown)
                chosen = lines if keep is None else (line for line in lines if line[0] == 1 or keep(line[1]))
                read = read_csv(chosen, note_header)
            columns, ragged = read.columns, read.ragged
        except BadCell as exc:
            raise UsageError(f"{shown} {exc}") from None
    if missing := [name for name in required if name not in columns]:
        found = ", ".join(sanitize(name, 30) for name in header[:_SHOWN_COLUMNS])
        raise UsageError(f"{shown} has no column {', '.join(missing)}; its columns are {found}")
    unread = tuple(sanitize(name, 30) for name in header if name not in {*required, *known})
    return ForeignTable(shown, columns, unread, ragged)
