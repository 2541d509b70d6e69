"""Boards of two venues side by side at about the same time. The two are compared, never added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from dfmon.api.board_source import BoardColumns, board_columns
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.settlement import Settlement
from dfmon.evidence.naive_book import NaiveBook, naive_book, naive_profile, smile_at
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, HOUR, expiry_label, iso
from dfmon.store.boards import BoardFile
from dfmon.store.file_content import shown_path

DELTAS: Final = (("10P", 0.9), ("25P", 0.75), ("ATM", 0.5), ("25C", 0.25), ("10C", 0.1))
"""Names and deltas of the call of the same strike."""
SAME_TIME_NS: Final = HOUR
_PROFILE_RANGE: Final = 0.2  # of log spot, both ways
_PROFILE_POINTS: Final = 81


class VenueBook(msgspec.Struct, frozen=True):
    """A board of one venue; `ngi` and `gross` are USD per 1 % of the naive convention, `interest` is coins."""

    ts: str
    spot: float
    options: int
    ngi: float
    gross: float
    flip: float | None
    interest: float


class ExpiryPair(msgspec.Struct, frozen=True):
    """An expiry of the same day on both; `iv` are points, of the second venue less the first, by DELTAS."""

    expiry: str
    forward: float
    other_forward: float
    interest: float
    other_interest: float
    iv: tuple[float | None, ...]


class VenuePair(msgspec.Struct, frozen=True):
    """Two boards of one underlying. `share` is that of the second venue in the open interest of both, `correlation`
    that of the naive profiles over spot within 20 %.
    """

    underlying: str
    first: VenueBook
    second: VenueBook
    share: float
    correlation: float | None
    expiries: tuple[ExpiryPair, ...]

    @property
    def gross_ratio(self) -> float:
        """Gross gamma of the second venue over that of the first."""
        return self.second.gross / self.first.gross


def pair_boards(
    first: BoardColumns, second: BoardColumns, underlying: str, settlement: Settlement = "average"
) -> VenuePair:
    """Two boards that have a spot; `settlement` is that of the second venue."""
    assert first.spot is not None
    assert second.spot is not None
    books = naive_book(first, first.spot), naive_book(second, second.spot, settlement)
    prices = first.spot * np.exp(np.linspace(-_PROFILE_RANGE, _PROFILE_RANGE, _PROFILE_POINTS))
    profiles = (
        naive_profile(first, first.spot, prices),
        naive_profile(second, second.spot, prices, settlement),
    )
    total = books[0].interest + books[1].interest
    return VenuePair(
        underlying,
        _venue_book(first, first.spot, books[0]),
        _venue_book(second, second.spot, books[1]),
        books[1].interest / total if total else 0.0,
        _correlation(*profiles),
        tuple(_expiry_pairs(first, second)),
    )


def _venue_book(columns: BoardColumns, spot: float, book: NaiveBook) -> VenueBook:
    flip = None if np.isnan(book.flip) else book.flip
    return VenueBook(iso(columns.ts_ns), spot, columns.strike.size, book.ngi, book.gross, flip, book.interest)


def _correlation(first: F64, second: F64) -> float | None:
    """Pearson's, None where a profile does not vary."""
    if not (first.std() > 0.0 and second.std() > 0.0):
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _expiry_pairs(first: BoardColumns, second: BoardColumns) -> Iterator[ExpiryPair]:
    """The expiries that both list for the same day, UTC; the hour may differ."""
    others = {int(ns) // DAY: int(ns) for ns in np.unique(second.expiry_ns)}
    deltas = np.array([delta for _, delta in DELTAS])
    for expiry_ns in np.unique(first.expiry_ns).tolist():
        other_ns = others.get(expiry_ns // DAY)
        if other_ns is None:
            continue
        points = 100.0 * (smile_at(second, other_ns, deltas) - smile_at(first, expiry_ns, deltas))
        yield ExpiryPair(
            expiry_label(expiry_ns),
            _forward(first, expiry_ns),
            _forward(second, other_ns),
            float(np.nansum(first.open_interest[first.expiry_ns == expiry_ns])),
            float(np.nansum(second.open_interest[second.expiry_ns == other_ns])),
            tuple(None if np.isnan(value) else float(value) for value in points),
        )


def _forward(columns: BoardColumns, expiry_ns: int) -> float:
    return float(np.median(columns.forward[columns.expiry_ns == expiry_ns]))


def boards_of(path: Path) -> dict[str, list[BoardColumns]]:
    """The boards of a file that have a spot, by underlying, in order of time."""
    found: dict[str, list[BoardColumns]] = {}
    for board in BoardFile(path).boards():
        columns = board_columns(board)
        if columns.spot is not None:
            found.setdefault(board.underlying, []).append(columns)
    return found


def pair_files(first: Path, second: Path) -> tuple[list[VenuePair], list[str]]:
    """Pairs of boards that are at most an hour apart, and sentences on what has no partner. Raises UsageError where
    nothing pairs.
    """
    ours, theirs = boards_of(first), boards_of(second)
    pairs, skipped = [], []
    for name, boards in ours.items():
        matched = [(board, nearest(theirs.get(name, []), board.ts_ns)) for board in boards]
        simultaneous = [(a, b) for a, b in matched if b is not None and abs(a.ts_ns - b.ts_ns) <= SAME_TIME_NS]
        if len(simultaneous) < len(boards):
            skipped.append(
                f"{name}: {len(boards) - len(simultaneous)} boards have none of the other file within an hour"
            )
        pairs += [pair_boards(a, b, name) for a, b in simultaneous]
    skipped += [f"{name}: the first file has no board of it" for name in theirs.keys() - ours.keys()]
    if not pairs:
        raise UsageError(
            f"{shown_path(first)} and {shown_path(second)} have no boards of one underlying within an hour"
        )
    return pairs, sorted(skipped)


def nearest(boards: Sequence[BoardColumns], ts_ns: int) -> BoardColumns | None:
    """The board nearest in time, None of none."""
    return min(boards, key=lambda board: abs(board.ts_ns - ts_ns), default=None)
