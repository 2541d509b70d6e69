"""Columns of a tape made into the estimator's input; what does not fit raises a ValueError that names the argument."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.api.validation import float_array, option_types
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import Listing, PositionState
from dfmon.core.positions.print_alignment import at_their_prints
from dfmon.core.positions.print_kinds import KIND_NAMES
from dfmon.core.pricing.black import F64
from dfmon.model.frames import I64
from dfmon.model.units import MILLISECOND

_TRADES: Final = ("ts_ms", "instrument", "side", "amount", "kind", "event")
_INTEREST: Final = ("ts_ms", "instrument", "value")
_INSTRUMENTS: Final = ("name", "strike", "expiry_ms", "type", "listed_ms")
AFTER_EXPIRY: Final = ("prints after the expiry", "open interest after the expiry")
REPEATED: Final = "repeated prints"
MAX_MS: Final = 9e12  # ns of later times do not fit 64 bits


@dataclass(slots=True)
class TapeColumns:
    """A tape in the order of time; rows are those of `listing`. `until` gives each part once."""

    listing: Listing
    prints: PrintColumns
    observed: InterestColumns
    underlying: str
    repeated_ns: I64
    """Times of the prints that were left out because they came before, ascending."""

    def until(self, state: PositionState, now_ns: int) -> tuple[PrintColumns, InterestColumns]:
        """Prints and open interest after the state's time and up to `now_ns`, with the rows of the state."""
        row_by_name = {name: row for row, name in enumerate(state.listing.names)}
        rows = np.array([row_by_name.get(name, -1) for name in self.listing.names], np.int64)
        start_ns = state.now_ns or np.iinfo(np.int64).min
        prints = self.prints.take(_between(self.prints.ts_ns, start_ns, now_ns))
        prints = PrintColumns(
            rows[prints.row], prints.ts_ns, prints.side, prints.size, prints.kind, prints.order
        )  # fmt: skip
        part = _between(self.observed.ts_ns, start_ns, now_ns)
        observed = InterestColumns(rows[self.observed.row[part]], self.observed.ts_ns[part], self.observed.value[part])
        return prints.take(prints.row >= 0), observed.take(observed.row >= 0)

    def faults_until(self, now_ns: int) -> dict[str, int]:
        """Repeated prints up to `now_ns`, and prints and values not older than the expiry of their option, by fault."""
        expiry_ns = self.listing.expiry_ns
        columns = [(part.ts_ns, expiry_ns[part.row]) for part in (self.prints, self.observed)]
        repeated = int(np.searchsorted(self.repeated_ns, now_ns, side="right"))
        return {REPEATED: repeated} | {
            name: int(np.count_nonzero((ts_ns <= now_ns) & (ts_ns >= end_ns)))
            for name, (ts_ns, end_ns) in zip(AFTER_EXPIRY, columns)
        }


def _between(ts_ns: I64, start_ns: int, end_ns: int) -> NDArray[np.intp]:
    first, last = np.searchsorted(ts_ns, [start_ns, end_ns], side="right").tolist()
    return np.arange(first, last)


def read_tape(
    trades: Mapping[str, Any], open_interest: Mapping[str, Any], instruments: Mapping[str, Any]
) -> TapeColumns:
    """The tape of these columns."""
    listing = _listing(instruments)
    row_by_name = {name: row for row, name in enumerate(listing.names)}
    prints, repeated_ns = _prints(trades, row_by_name)
    columns = _columns("open_interest", open_interest, _INTEREST)
    row = _rows("open_interest: instrument", columns["instrument"], row_by_name)
    ts_ns = _times("open_interest: ts_ms", columns["ts_ms"])
    value = float_array("open_interest: value", columns["value"])
    observed = InterestColumns(row, ts_ns, value).take(np.lexsort((value, ts_ns, row)))
    observed = at_their_prints(observed, prints.take(np.lexsort((prints.order, prints.ts_ns, prints.row))))
    order = np.lexsort((observed.value, observed.row, observed.ts_ns))
    return TapeColumns(listing, prints, observed.take(order), _underlying(listing.names), repeated_ns)


def _columns(argument: str, table: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The named columns of a mapping or a data frame, all of one length."""
    columns = {}
    for name in names:
        try:
            column = _masked_array(table[name])
        except (KeyError, TypeError, IndexError, ValueError):
            raise ValueError(f"{argument}: it has no column {name!r}; expected: {', '.join(names)}") from None
        if column.ndim != 1:
            raise ValueError(f"{argument}: {name} is of shape {column.shape}, a column is expected")
        columns[name] = column
    lengths = {column.size for column in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"{argument}: columns of one length are expected, not of {sorted(lengths)}")
    return columns


def _masked_array(column: Any) -> NDArray[Any]:
    """A column as an array; what is masked or pandas' NA is NaN."""
    if isinstance(column, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(column.astype(object), np.nan) if np.ma.is_masked(column) else column.data)
    array = np.asarray(column)
    if array.dtype.kind == "O" and array.ndim == 1:
        missing = [type(item).__name__ == "NAType" for item in array.tolist()]
        array = np.where(missing, np.nan, array) if any(missing) else array
    return array


def _times(argument: str, column: NDArray[Any]) -> I64:
    if column.dtype.kind == "O" and all(isinstance(item, datetime) for item in column.tolist()):
        column = np.array([_in_utc(item) for item in column.tolist()], "datetime64[ns]")
    if column.dtype.kind == "M":
        return np.asarray(column.astype("datetime64[ns]").astype(np.int64))
    ms = column if column.dtype.kind in "iu" else float_array(argument, column)
    if ms.size and not (np.isfinite(ms).all() and np.abs(ms).max() < MAX_MS):
        raise ValueError(f"{argument}: times in ms are expected")
    if ms.dtype.kind in "iu":
        return ms.astype(np.int64) * MILLISECOND
    floor_ms = np.floor(ms)  # ns of today's times have more digits than a float
    return np.asarray(floor_ms.astype(np.int64) * MILLISECOND + np.rint((ms - floor_ms) * MILLISECOND).astype(np.int64))


def _in_utc(time: datetime) -> datetime:
    """A time without its zone, which is UTC where there is none."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo is not None else time


def _rows(argument: str, names: NDArray[Any], row_by_name: Mapping[str, int]) -> I64:
    unique, codes = np.unique(names.astype(str), return_inverse=True)
    unknown = [name for name in unique.tolist() if name not in row_by_name]
    if unknown:
        raise ValueError(f"{argument}: {unknown[0]!r} is not among the instruments ({len(unknown)} unknown names)")
    rows = np.array([row_by_name[name] for name in unique.tolist()], np.int64)
    return rows[codes] if unique.size else np.zeros(0, np.int64)


def _listing(instruments: Mapping[str, Any]) -> Listing:
    columns = _columns("instruments", instruments, _INSTRUMENTS)
    names = tuple(columns["name"].astype(str).tolist())
    if len(set(names)) < len(names):
        raise ValueError("instruments: name: every name is expected once")
    strike = float_array("instruments: strike", columns["strike"])
    if not ((strike > 0.0) & np.isfinite(strike)).all():
        raise ValueError("instruments: strike: numbers above 0 are expected")
    expiry_ns = _times("instruments: expiry_ms", columns["expiry_ms"])
    types = option_types("instruments: type", columns["type"])
    if not (np.abs(types) == 1.0).all():
        raise ValueError("instruments: type: call or put is expected")
    return Listing(names, strike, expiry_ns, types, _listed(columns["listed_ms"]))


def _listed(column: NDArray[Any]) -> I64:
    """Times of listing, 0 where it was not seen."""
    if column.dtype.kind == "M":
        unseen = np.isnat(column)
    else:
        column = float_array("instruments: listed_ms", column)
        unseen = np.isnan(column)
    listed = np.zeros(column.size, np.int64)
    listed[~unseen] = np.maximum(_times("instruments: listed_ms", column[~unseen]), 1)
    return listed


def _prints(trades: Mapping[str, Any], row_by_name: Mapping[str, int]) -> tuple[PrintColumns, I64]:
    """The prints in the order of time, and the times of those that are repeated."""
    columns = _columns("trades", trades, _TRADES)
    row = _rows("trades: instrument", columns["instrument"], row_by_name)
    ts_ns = _times("trades: ts_ms", columns["ts_ms"])
    side, size = float_array("trades: side", columns["side"]), float_array("trades: amount", columns["amount"])
    kind_names, codes = np.unique(columns["kind"].astype(str), return_inverse=True)
    unknown = [name for name in kind_names.tolist() if name not in KIND_NAMES]
    if unknown:
        raise ValueError(f"trades: kind: {unknown[0]!r} is not known; one of {', '.join(KIND_NAMES)} is expected")
    kinds = np.array([KIND_NAMES.index(name) for name in kind_names.tolist()], np.int64)
    kind = kinds[codes] if kind_names.size else np.zeros(0, np.int64)
    ties: tuple[NDArray[Any], ...] = (kind, size, side, _event_order(columns["event"]))
    keep = np.arange(row.size)
    if _has_column(trades, "seq"):
        seq = float_array("trades: seq", _columns("trades", trades, ("ts_ms", "seq"))["seq"])
        ties = (*ties, seq)
        order = np.lexsort((*ties, ts_ns, row))
        repeated = np.zeros(row.size, np.bool_)
        same = [column[order][1:] == column[order][:-1] for column in (row, ts_ns, seq, side, size)]
        repeated[order[1:]] = np.logical_and.reduce(same)
        keep = np.flatnonzero(~repeated)
    rank = np.empty(row.size, np.int64)
    rank[np.lexsort((*ties, ts_ns))] = np.arange(row.size)
    order = keep[np.argsort(rank[keep])]
    repeated_ns = np.sort(np.delete(ts_ns, keep))
    return PrintColumns(row[order], ts_ns[order], side[order], size[order], kind[order], rank[order]), repeated_ns


def _has_column(table: Mapping[str, Any], name: str) -> bool:
    try:
        return name in table
    except TypeError:
        return False


def _event_order(events: NDArray[Any]) -> F64:
    """A number for each event in the order of its identifiers."""
    if events.dtype.kind in "iufb":
        return events.astype(np.float64)
    _, codes = np.unique(events.astype(str), return_inverse=True)
    return codes.astype(np.float64)


def _underlying(names: tuple[str, ...]) -> str:
    """The underlying as the names begin with it."""
    return re.split(r"[-_]", min(names))[0] if names else ""
