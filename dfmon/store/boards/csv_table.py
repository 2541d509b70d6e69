"""Text with separators as a table: comma, semicolon, tab or bar, quoted or not, decimal points or commas."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from dfmon.store.boards.cells import BadCell
from dfmon.store.boards.number_format import unify_numbers
from dfmon.store.boards.table import Column, Table, key_of

_SEPARATORS: Final = {",": "CSV", ";": "CSV with semicolons", "\t": "TSV", "|": "CSV with bars"}
_MAX_CELLS: Final = 2_500_000  # of all rows, which are in memory at once
_ROW_CELLS: Final = 8  # what a row costs besides its cells
_MAX_RAGGED: Final = 100_000

NumberedLines = Iterable[tuple[int, str]]


def read_csv(lines: NumberedLines, used_columns: Callable[[list[str]], set[str]]) -> Table:
    """The rows of a text as columns, those of the header that `used_columns` selects.

    Raises BadCell if it has no header. Each line is split by itself, so that a stray quote cannot swallow the lines
    after it.
    """
    numbered = _written_lines(lines)
    _, first = next(numbered, (0, ""))
    declared = re.fullmatch(r"(?i)\ufeff?sep=(.)", first.strip())
    if declared:
        _, first = next(numbered, (0, ""))
    if not declared and all(len(_cells(first, s)) == 1 for s in _SEPARATORS):
        _, first = next(numbered, (0, first))  # a title above the header
    if not first:
        raise BadCell("is empty")
    separator = declared[1] if declared else max(_SEPARATORS, key=lambda s: len(_cells(first, s)))
    header = [name.strip() for name in _cells(first, separator)]
    used = used_columns(header)
    keep = [at for at, name in enumerate(header) if name in used and header.index(name) == at]
    rows, numbers, ragged = _rows(numbered, separator, len(header), keep)
    columns: dict[str, Column] = {header[at]: list(cells) for at, cells in zip(keep, zip(*rows))}
    notes = (*_repeated(header, used), *unify_numbers(columns, separator))
    container = _SEPARATORS.get(separator, f"CSV with {separator!r}")
    if not rows:
        columns = {header[at]: [] for at in keep}
    return Table(columns, numbers, ragged=tuple(ragged), notes=notes, container=container)


def _repeated(header: list[str], used: set[str]) -> Iterator[str]:
    """A note for each column that is used and comes again."""
    counts = Counter(map(key_of, header))
    return (
        f"first of {counts[key_of(name)]} columns {name}"
        for name in header
        if name in used and counts[key_of(name)] > 1
    )


def _cells(text: str, separator: str) -> list[str]:
    if '"' not in text:
        return text.split(separator)
    try:
        return next(csv.reader((text,), delimiter=separator), [])
    except csv.Error as exc:
        raise BadCell(f"the line is not CSV ({exc})") from None


def _written_lines(lines: NumberedLines) -> Iterator[tuple[int, str]]:
    """The lines that are neither blank nor comments. Raises BadCell for a file of little else."""
    skipped = 0
    for number, text in lines:
        if text.strip() and not text.startswith("#"):
            yield number, text
        elif (skipped := skipped + 1) > _MAX_RAGGED:
            raise BadCell(f"has more than {_MAX_RAGGED:,} blank lines: it is no board")


def _rows(
    numbered: Iterator[tuple[int, str]], separator: str, width: int, keep: list[int]
) -> tuple[list[list[str]], list[int], list[tuple[int, str]]]:
    rows: list[list[str]] = []
    numbers: list[int] = []
    ragged: list[tuple[int, str]] = []
    texts: dict[str, str] = {}  # one object for equal cells: names, times and zeros repeat
    for number, text in numbered:
        if len(rows) * (len(keep) + _ROW_CELLS) > _MAX_CELLS or len(ragged) > _MAX_RAGGED:
            raise BadCell(
                f"has more than {len(rows):,} rows and {len(ragged):,} other lines, the limit of a text; as parquet it "
                "is read a run at a time"
            )
        try:
            cells = _cells(text, separator)
        except BadCell as exc:
            ragged.append((number, str(exc)))
            continue
        if len(cells) != width:
            ragged.append((number, f"{len(cells)} cells, {width} are expected"))
            continue
        rows.append([texts.setdefault(cells[at], cells[at]) for at in keep])
        numbers.append(number)
    return rows, numbers, ragged
