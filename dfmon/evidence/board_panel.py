"""Recorded boards as a panel: what the naive convention says on each, and the spot that followed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dfmon.api.board_source import BoardColumns, board_columns
from dfmon.core.pricing.black import F64
from dfmon.evidence.naive_book import naive_book, years_left
from dfmon.evidence.regression import I64
from dfmon.model.units import DAY, HOUR, iso
from dfmon.store.boards import BoardFile, RecordedBoard, report

MIN_HOURS: Final = 4.0
MAX_HOURS: Final = 9.0


@dataclass(frozen=True, slots=True)
class BoardPanel:
    """n boards of one underlying in order of time; naive positions: calls' open interest long, puts' short.

    `ngi` and `gross` (all open interest with one sign) are USD per 1 %, `flip` is NaN where there is none,
    `implied_vol` that at the money of the first expiry a day or more away.
    """

    underlying: str
    ts_ns: I64
    spot: F64
    ngi: F64
    gross: F64
    flip: F64
    implied_vol: F64

    @property
    def hours(self) -> F64:
        """Hours to the next board, NaN where it is too near or too far to be called the next six hours."""
        hours = np.append(np.diff(self.ts_ns) / HOUR, np.nan)
        return np.where((hours >= MIN_HOURS) & (hours <= MAX_HOURS), hours, np.nan)

    @property
    def log_return(self) -> F64:
        """Log return up to the next board; NaN for the last one."""
        return np.append(np.diff(np.log(self.spot)), np.nan)

    @property
    def day(self) -> I64:
        """Number of the day, from 08:00 UTC."""
        return np.asarray((self.ts_ns - 8 * HOUR) // DAY)


def read_panels(path: Path, progress: Callable[[int], None]) -> tuple[list[BoardPanel], list[str], str]:
    """The panels of a file, what was skipped, and the SHA-256 of the numbers read. `progress` takes boards done."""
    file = BoardFile(path)
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in file.currencies}
    times: dict[str, list[int]] = {name: [] for name in file.currencies}
    skipped, digest = [], hashlib.sha256()
    for number, (board, columns) in enumerate(_boards(file), 1):
        progress(number)
        if columns.spot is None:
            skipped.append(f"{board.underlying} {iso(board.ts_ns)}: a board without an index price")
            continue
        row = _row(columns, columns.spot)
        rows[board.underlying].append(row)
        times[board.underlying].append(board.ts_ns)
        digest.update(np.array(row).tobytes() + board.ts_ns.to_bytes(8, "little"))
    if file.findings.left_out:
        skipped.append(f"{report.summary(file.findings)}")
    panels = [
        BoardPanel(name, np.array(times[name], np.int64), *np.array(rows[name]).T)
        for name in rows
        if len(rows[name]) > 1
    ]
    return panels, skipped, digest.hexdigest()


def _boards(file: BoardFile) -> Iterator[tuple[RecordedBoard, BoardColumns]]:
    for board in file.boards():
        yield board, board_columns(board)


def _row(columns: BoardColumns, spot: float) -> tuple[float, ...]:
    book = naive_book(columns, spot)
    return spot, book.ngi, book.gross, book.flip, _implied_vol(columns, years_left(columns))


def _implied_vol(columns: BoardColumns, tau: F64) -> float:
    """Volatility at the money of the first expiry a day or more away."""
    known = np.flatnonzero((tau >= 1.0 / 365.0) & (columns.sigma > 0.0) & (columns.forward > 0.0))
    if not known.size:
        return float("nan")
    nearest = known[tau[known] == tau[known].min()]
    distance = np.abs(np.log(columns.strike[nearest] / columns.forward[nearest]))
    return float(columns.sigma[nearest][int(np.argmin(distance))])
