"""Numbers of a text as it groups thousands and marks decimals, decided by the whole file and written plainly.

1,234 and 1.234 are either a thousand or a fraction. A cell that can only be one way (36,05 or 1.234,5) decides for its
column, such columns for the others; where nothing in a text with semicolons or tabs does, the text is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Literal

from dfmon.store.boards.cells import BadCell, quoted
from dfmon.store.boards.decode import NUMBERS
from dfmon.store.boards.layouts import Matched
from dfmon.store.boards.table import Column, Table

Mark = Literal[",", ".", ""]

_FIELDS: Final = frozenset({*NUMBERS, "strike", "delta", "contract_size"})
_CONTAINERS: Final = {"JSON": ",", "JSON lines": ",", "parquet": ",", "xlsx": ";"}
_BLANKS: Final = "\u0020\u00a0\u2009\u202f'’"
_SPACES: Final = str.maketrans("", "", _BLANKS)
_SAMPLE_CELLS: Final = 500  # most columns without a comma show by then that they have decimal points
_SPACED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:[ \u00a0\u2009\u202f'’]\d{3})+(?:[.,]\d*)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?", re.ASCII)
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_WRITTEN: Final[dict[Mark, re.Pattern[str]]] = {
    ",": re.compile(r"[+-]?(?:\d*,\d+(?:[eE][+-]?\d+)?|[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?)", re.ASCII),
    ".": re.compile(r"[+-]?(?:\d*\.\d*(?:[eE][+-]?\d+)?|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?)", re.ASCII),
}


def unify_numbers(columns: dict[str, Column], separator: str) -> tuple[str, ...]:
    """Writes the numbers of text columns with decimal points and without thousands; what it did, for the note.

    Raises BadCell, with the column and a cell, where a number is a thousand or a fraction and nothing says which.
    """
    notes = [_without_signs(columns), _without_spaces(columns)]
    with_comma = {name for name, cells in columns.items() if any("," in c and c[:1] != "{" for c in cells)}
    if with_comma or separator != ",":
        marks, found_numbers = _marks_of(columns, with_comma)
        for name, found in found_numbers.items():
            mark = marks[name] or _mark_of_file(name, found, set(marks.values()) - {""}, separator)
            if mark == "," or name in with_comma:
                columns[name], found_notes = _rewritten(columns[name], mark)
                notes += found_notes
    return tuple(dict.fromkeys(note for note in notes if note))


def _marks_of(columns: dict[str, Column], with_comma: set[str]) -> tuple[dict[str, Mark], dict[str, set[str]]]:
    """The decimal mark of each column of numbers, and the distinct numbers of those that may have to be rewritten."""
    marks: dict[str, Mark] = {}
    found: dict[str, set[str]] = {}
    for name, cells in columns.items():
        if name not in with_comma and _decimal_mark(_numbers_of(cells[:_SAMPLE_CELLS])) == ".":
            marks[name] = "."
        elif numbers := _numbers_of(cells):
            marks[name], found[name] = _decimal_mark(numbers), numbers
    return marks, found


def with_unified_numbers(table: Table, matched: Matched) -> Table:
    """A table of another container with the numbers of its text cells written plainly. Raises BadCell.

    A text in a workbook was typed or pasted, so that it follows the rule of semicolons.
    """
    fields = [name for name in matched.columns if name in _FIELDS]
    names = {column for name in fields for column in (matched.columns[name], *matched.others.get(name, ()))}
    texts = {name: table.columns[name] for name in names if name in table.columns}
    texts = {name: cells for name, cells in texts.items() if any(isinstance(cell, str) for cell in cells)}
    if table.container not in _CONTAINERS or not texts:
        return table
    written: dict[str, Column] = {
        name: [cell if isinstance(cell, str) else "" for cell in cells] for name, cells in texts.items()
    }
    notes = unify_numbers(written, _CONTAINERS[table.container])
    for name, cells in texts.items():
        written[name] = [new if isinstance(old, str) else old for old, new in zip(cells, written[name])]
    return replace(table, columns={**table.columns, **written}, notes=(*table.notes, *notes))


def _without_signs(columns: dict[str, Column]) -> str:
    signed = [n for n, cells in columns.items() if any(cells) and all(c.strip()[-1:] == "%" for c in cells if c)]
    for name in signed:
        columns[name] = [cell.strip().removesuffix("%") for cell in columns[name]]
    return "per cent signs" if signed else ""


def _without_spaces(columns: dict[str, Column]) -> str:
    """Takes blanks and apostrophes out of 100 000 and 100'000."""
    note = ""
    for name, cells in columns.items():
        joined = "".join(cells)
        has_blanks = any(blank in joined for blank in _BLANKS)
        if has_blanks and any(_SPACED.fullmatch(cell.strip()) for cell in set(cells)):
            note = "blanks or apostrophes between thousands"
            columns[name] = [c.translate(_SPACES) if _SPACED.fullmatch(c.strip()) else c for c in cells]
    return note


def _numbers_of(cells: Iterable[str]) -> set[str]:
    """The distinct numbers of a column that have a comma or a point; nothing if most of these cells are no numbers."""
    marked = {cell.strip() for cell in set(cells) if "," in cell or "." in cell}
    found = {cell for cell in marked if _NUMBER.fullmatch(cell)}
    return found if 2 * len(found) > len(marked) else set()


def _decimal_mark(found: set[str]) -> Mark:
    """The mark that most of the numbers with only one reading have, "" if there is none."""
    decisive = [cell for cell in found if not _EITHER.fullmatch(cell)]
    commas = sum(_WRITTEN[","].fullmatch(cell) is not None for cell in decisive)
    points = sum(_WRITTEN["."].fullmatch(cell) is not None for cell in decisive)
    return "" if commas == points else "," if commas > points else "."


def _mark_of_file(name: str, found: set[str], others: set[Mark], separator: str) -> Mark:
    """The decimal mark of a column whose numbers all have two readings, by the other columns."""
    if len(others) == 1:
        return next(iter(others))
    if separator == "," and "," not in others:
        return "."
    cell = next(iter(sorted(found)))
    raise BadCell(
        f"has {cell} as {quoted(name)[1:-1]}, a thousand or a fraction, and no number that tells decimals from "
        "thousands: write it without separators of thousands"
    )


def _rewritten(cells: Iterable[str], mark: Mark) -> tuple[list[str], list[str]]:
    """The cells of a column with a decimal point; those that are written otherwise stay as they are."""
    written, other = _WRITTEN[mark], "." if mark == "," else ","
    known = {cell: cell.replace(other, "").replace(",", ".") for cell in set(cells) if written.fullmatch(cell.strip())}
    notes = ["decimal commas"] if mark == "," and any("," in cell for cell in known) else []
    if any(other in cell for cell in known):
        notes.append(f"{'points' if mark == ',' else 'commas'} between thousands")
    return [known.get(cell, cell) for cell in cells], notes
