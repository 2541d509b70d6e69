"""The table of a locator as CSV, and as a JSON object with the tick that it is of."""

from __future__ import annotations

import csv
import io

import msgspec

from dfmon.engine.view_tables import Cell, ViewTable, view_table
from dfmon.model.locator import Locator
from dfmon.model.snapshot import FlowSnapshot, State
from dfmon.model.units import sanitize


class View(msgspec.Struct, frozen=True):
    """The table of a screen: its columns, and a row of cells for each line; null where a number is missing."""

    locator: str
    underlying: str
    seq: int
    ts: str
    state: State
    model: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    unavailable: tuple[str, ...]


def view_of(snapshot: FlowSnapshot, mode: State, locator: Locator) -> View:
    """The table of the locator on the snapshot. Raises UsageError as `view_table` does."""
    table = view_table(snapshot, locator)
    state: State = "stale" if snapshot.state == "stale" else mode
    model = locator.get("model") or snapshot.positions.model
    return View(
        str(locator), snapshot.underlying, snapshot.seq, snapshot.ts, state, model, table.columns, table.rows,
        snapshot.unavailable,
    )  # fmt: skip


def as_csv(table: ViewTable | View) -> str:
    """A header and a line a row; a missing number is empty, a flag 1 or 0."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def _csv_cell(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "1" if cell else "0"
    return "" if cell is None else sanitize(str(cell), 1_000)
