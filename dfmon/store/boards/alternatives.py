"""Columns of one file that have the same field: one of them counts, and its empty cells are filled from the others."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dfmon.store.boards.cells import is_missing, signed_numbers
from dfmon.store.boards.layouts import Matched
from dfmon.store.boards.table import Column, Table

_FILLED: Final = ("iv", "forward", "spot")  # of one unit in every column; open interest may be in coins or contracts
_COMPARED: Final = ("iv", "open_interest")
_SAME: Final = 1e-9  # relative difference of equal numbers


def columns_of_fields(table: Table, matched: Matched) -> tuple[dict[str, Column], tuple[str, ...]]:
    """The column of each field, filled where another has what it lacks; and what was chosen, for the note."""
    columns = {name: table.columns[column] for name, column in matched.columns.items()}
    notes = []
    for name, others in matched.others.items():
        chosen = matched.columns[name]
        for other in others:
            if other not in table.columns:
                continue
            if (
                name in _COMPARED
                and not chosen.lower().endswith("ccy")
                and _differ(columns[name], table.columns[other])
            ):
                notes.append(f"{chosen} and not {other}")
            if name in _FILLED and (filled := _filled(columns[name], table.columns[other])) is not None:
                columns[name] = filled
                notes.append(f"{other} where {chosen} is empty")
    return columns, tuple(notes)


def _differ(column: Column, other: Column) -> bool:
    a, b = signed_numbers(column), signed_numbers(other)
    with np.errstate(invalid="ignore"):
        return bool((np.abs(a - b) > _SAME * np.maximum(np.abs(a), np.abs(b))).any())


def _filled(column: Column, other: Column) -> list[Any] | None:
    """The cells with those of `other` in place of empty ones; None where it has nothing to add."""
    cells, fillers = _listed(column), _listed(other)
    if not any(is_missing(cell) and not is_missing(found) for cell, found in zip(cells, fillers)):
        return None
    return [found if is_missing(cell) else cell for cell, found in zip(cells, fillers)]


def _listed(column: Column) -> list[Any]:
    listed: list[Any] = column.tolist() if isinstance(column, np.ndarray) else column
    return listed
