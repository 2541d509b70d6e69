"""Tables of one file as boards: units found once, rows decoded, forwards and spot filled in where they are missing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dfmon.model.instrument import Settlement
from dfmon.model.units import DAY
from dfmon.store.boards.cells import F64, BadCell, TimeNotes
from dfmon.store.boards.consistency import without_contradictions
from dfmon.store.boards.decode import Decoded, Decoder
from dfmon.store.boards.forwards import Derived, fill_forwards, nearest_forward
from dfmon.store.boards.layouts import Matched
from dfmon.store.boards.runs import BoardRows, boards_of
from dfmon.store.boards.table import Table, key_of
from dfmon.store.boards.units import Units, apply_units, infer_units


@dataclass(slots=True)
class Findings:
    """Layout, units, inferences and counts of one file.

    `missing` are options that a later board lacks before their expiry, with the time of the first such board.
    """

    matched: Matched
    container: str
    header: tuple[str, ...] = ()
    units: Units | None = None
    derived: Derived = field(default_factory=Derived)
    notes: tuple[str, ...] = ()
    time_notes: dict[str, TimeNotes] = field(default_factory=dict)
    row_label: str = "line"
    options: int = 0
    unpriced: int = 0
    expired: int = 0
    repeated: int = 0
    boards: int = 0
    left_out: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    reasons: list[tuple[int, str]] = field(default_factory=list)
    in_contracts: dict[str, float] = field(default_factory=dict)
    is_at_midnight: bool = False
    empty: tuple[str, ...] = ()

    def reset_counts(self) -> None:
        """Forgets what became of the rows, before they are read again."""
        self.options = self.unpriced = self.expired = self.repeated = self.boards = self.left_out = 0
        self.reasons, self.missing = [], {}

    @property
    def iv_name(self) -> str:
        """The column of the volatilities."""
        return self.matched.columns.get("iv", "iv")


class Interpreter:
    """Decodes the tables of one file, in order, with the units that its first table shows.

    `at_ns` and `base` are the time and the currency of rows that have none.
    """

    def __init__(self, matched: Matched, container: str, at_ns: int | None = None, base: str = "") -> None:
        self.findings = Findings(matched, container)
        self._decoder = Decoder(matched, base)
        self._at_ns = at_ns

    def interpret(self, table: Table, iv_column: F64 | None = None) -> tuple[Decoded, list[BoardRows]]:
        """The rows of a table and which of them make a board.

        `iv_column` has the volatilities of the whole file where the table is a part of it. Raises BadCell, with what is
        wrong, if the file cannot be used as a whole.
        """
        found = self.findings
        rows = self._decoder.decode(table)
        if found.units is None:
            column = rows.numbers["iv"] if iv_column is None else iv_column
            found.units = infer_units(found.matched.layout, column, rows, found.iv_name)
            self._note_gaps(rows)
            found.time_notes, found.row_label = rows.time_notes, table.row_label
            found.notes = (*rows.choices, *table.notes)
            if not rows.ts_ns.any() and self._at_ns is None and rows.size > len(rows.errors):
                raise BadCell(
                    "has no time in any row: save the whole response, or give it with --at or `at` of "
                    "dfmon.Board.from_file"
                )
        apply_units(rows, found.units, found.iv_name)
        self._note_contracts(rows)
        boards = boards_of(rows, found.matched.layout, self._at_ns)
        for board in boards:
            if board.usable.size:
                self._complete(rows, board)
        return rows, [without_contradictions(rows, board, found.matched) for board in boards]

    def _complete(self, rows: Decoded, board: BoardRows) -> None:
        """Forwards and spot of one board; prices in the venue's unit."""
        found, at = self.findings, board.usable
        assert found.units is not None
        has_spot = "spot" in found.matched.columns
        is_dollars, known = found.units.prices == "USD", (rows.numbers[name][at] for name in ("spot", "forward"))
        if is_dollars and not any(np.isfinite(prices).any() for prices in known):
            fill_forwards(rows, at, board.ts_ns, found.derived, has_spot=has_spot, in_dollars=True)
            _prices_in_coins(rows, at)
        else:
            if is_dollars:
                _prices_in_coins(rows, at)
            fill_forwards(rows, at, board.ts_ns, found.derived, has_spot=has_spot)
        if "spot" not in found.matched.columns and not np.isfinite(rows.numbers["spot"][at]).any():
            spot = nearest_forward(rows, at, board.ts_ns)
            if np.isfinite(spot):
                rows.numbers["spot"][at] = spot
                found.derived.spot_from_forward += 1

    def _note_gaps(self, rows: Decoded) -> None:
        """Notes times that are days alone, and columns of volatility or open interest without a number."""
        found, columns = self.findings, self.findings.matched.columns
        timed = rows.ts_ns[rows.ts_ns > 0]
        is_day = "time" in rows.time_notes and (
            rows.time_notes["time"].days or key_of(columns["time"]).endswith("date")
        )
        found.is_at_midnight = bool(timed.size and is_day and not (timed % DAY).any())
        fields = [name for name in ("iv", "open_interest") if name in columns]
        found.empty = tuple(columns[name] for name in fields if not np.isfinite(rows.numbers[name]).any())

    def _note_contracts(self, rows: Decoded) -> None:
        sized = np.flatnonzero(rows.contract_coins != 1.0)
        for at in sized[:1].tolist() + sized[-1:].tolist():
            self.findings.in_contracts[rows.bases[at]] = float(rows.contract_coins[at])


def _prices_in_coins(rows: Decoded, at: NDArray[np.intp]) -> None:
    """Divides dollar prices of coin-settled options by the index, or by the forward where there is none."""
    inverse = at[np.array([rows.settlements[i] is Settlement.INVERSE for i in at.tolist()], dtype=np.bool_)]
    spot, forward = rows.numbers["spot"][inverse], rows.numbers["forward"][inverse]
    divisor = np.where(np.isfinite(spot), spot, forward)
    for name in ("mark", "bid", "ask"):
        rows.numbers[name][inverse] = rows.numbers[name][inverse] / divisor
