"""Rows grouped into boards: one underlying at one time."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.model.units import DAY, HOUR, SECOND, iso
from dfmon.store.boards.cells import I64
from dfmon.store.boards.decode import Decoded
from dfmon.store.boards.layouts import Layout

_REPEATING_SHARE: Final = 0.5  # of the names: from here on a file holds several polls
_POLL_GAP_NS: Final = SECOND
_COMPLETE_SHARE: Final = 0.5  # of the options: below it the "polls" are updates of single options


class BoardRows(NamedTuple):
    """The rows of one board: its time, its underlying ("" where no row says it), usable and unusable rows."""

    ts_ns: int
    underlying: str
    usable: NDArray[np.intp]
    unusable: tuple[int, ...]


def boards_of(rows: Decoded, layout: Layout, at_ns: int | None = None) -> list[BoardRows]:
    """The boards of decoded rows in order of time and underlying; `at_ns` is the time of rows without one."""
    usable = np.ones(rows.size, dtype=np.bool_)
    usable[list(rows.errors)] = False
    if layout.rows_are == "runs":
        times = _times_of_runs(rows.ts_ns, at_ns or 0)
    else:
        polls = rows.runs if rows.runs is not None else _polls(rows, usable, layout)
        _reject_distant_rows(rows, usable, polls)
        times = _times_of_polls(rows, usable, polls, at_ns or 0)
    return _grouped(rows, usable, times)


def _times_of_runs(ts_ns: I64, at_ns: int) -> I64:
    """Times of the boards; a row with an unreadable time belongs to the board of the row above it."""
    if not (ts_ns == 0).any():
        return ts_ns
    source = np.maximum.accumulate(np.where(ts_ns > 0, np.arange(ts_ns.size), 0))
    first = int(np.argmax(ts_ns > 0)) if ts_ns.size else 0
    times = ts_ns[np.where(ts_ns[source] > 0, source, first)]
    return np.where(times > 0, times, at_ns)


def _polls(rows: Decoded, usable: NDArray[np.bool_], layout: Layout) -> I64:
    """The number of the poll of each row. A new one begins where an option comes again, if most of them do.

    Rows that come as updates of single options are one poll, of which the last row of each option counts.
    """
    polls = np.zeros(rows.size, dtype=np.int64)
    if layout.rows_are == "updates" or not usable.any():
        return polls
    listed = np.flatnonzero(usable)
    if len({rows.names[at] for at in listed.tolist()}) > (1.0 - _REPEATING_SHARE / 2.0) * listed.size:
        return polls
    order = listed[np.argsort(rows.ts_ns[listed], kind="stable")]
    seen: set[str] = set()
    poll, started_ns = 0, 0
    for at in order.tolist():
        name, ts_ns = rows.names[at], int(rows.ts_ns[at])
        if name in seen and ts_ns - started_ns >= _POLL_GAP_NS:
            poll, seen, started_ns = poll + 1, set(), ts_ns
        started_ns = started_ns or ts_ns
        seen.add(name)
        polls[at] = poll
    members = {(int(polls[at]), rows.names[at]) for at in listed.tolist()}
    sizes = np.bincount([poll for poll, _ in members])
    is_stream = np.median(sizes) < _COMPLETE_SHARE * len({name for _, name in members})
    return np.zeros(rows.size, dtype=np.int64) if is_stream else polls


def _reject_distant_rows(rows: Decoded, usable: NDArray[np.bool_], polls: I64) -> None:
    """Tickers an hour ahead of the others of their poll, which would date the board, or a week behind are refused."""
    for poll in np.unique(polls[usable]):
        members = np.flatnonzero(usable & (polls == poll) & (rows.ts_ns > 0))
        if not members.size:
            continue
        times = np.sort(rows.ts_ns[members])
        middle = int(times[(times.size - 1) // 2])
        distance = rows.ts_ns[members] - middle
        for at in members[(distance > HOUR) | (distance < -7 * DAY)].tolist():
            rows.errors[at] = f"timestamp is {iso(int(rows.ts_ns[at]))}, the other rows are of about {iso(middle)}"
            usable[at] = False


def _times_of_polls(rows: Decoded, usable: NDArray[np.bool_], polls: I64, at_ns: int) -> I64:
    """The newest time of each poll and underlying."""
    newest: dict[tuple[int, str], int] = {}
    for at in np.flatnonzero(usable).tolist():
        key = int(polls[at]), rows.bases[at]
        newest[key] = max(newest.get(key, rows.run_times.get(key[0], 0)), int(rows.ts_ns[at]))
    fallback = min(filter(None, newest.values()), default=at_ns)
    times = (newest.get((p, b), fallback) or at_ns for p, b in zip(polls.tolist(), rows.bases))
    return np.fromiter(times, dtype=np.int64, count=rows.size)


def _grouped(rows: Decoded, usable: NDArray[np.bool_], times: I64) -> list[BoardRows]:
    good: dict[tuple[int, str], list[int]] = {}
    bad: dict[tuple[int, str], list[int]] = {}
    for at, (ts_ns, base, is_usable) in enumerate(zip(times.tolist(), rows.bases, usable.tolist())):
        (good if is_usable else bad).setdefault((ts_ns, base), []).append(at)
    return [
        BoardRows(*key, np.array(good.get(key, ()), dtype=np.intp), tuple(bad.get(key, ())))
        for key in sorted(good.keys() | bad.keys())
    ]
