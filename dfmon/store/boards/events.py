"""Boards as events in the order in which they are applied: a complete listing, the spot, the tickers, the bad rows."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.events import Event, IndexPrice, Listed, ListingComplete, OptionTicker, Rejected
from dfmon.model.instrument import Instrument, Kind
from dfmon.model.units import NAN
from dfmon.store.boards.decode import Decoded
from dfmon.store.boards.interpreter import Findings
from dfmon.store.boards.runs import BoardRows

VENUE: Final = "deribit"
LISTED_REASONS: Final = 1_000
AnyPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class RecordedBoard:
    """Every option of one underlying at one time, as events in the order in which they are applied."""

    ts_ns: int
    underlying: str
    events: tuple[Event, ...]


class EventBuilder:
    """Makes events of decoded boards and counts what becomes of their rows."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._listed: dict[str, tuple[tuple[Any, ...], Listed]] = {}
        self._unexpired: defaultdict[str, dict[str, Listed]] = defaultdict(dict)  # by underlying and name

    def boards(
        self, rows: Decoded, groups: list[BoardRows], ragged: tuple[tuple[int, str], ...], requested: Collection[str]
    ) -> Iterator[RecordedBoard]:
        """Boards of the requested underlyings, one for each time and underlying.

        A bad row of unknown underlying goes with the first; an incomplete board is never returned, since options that
        it lacks would look as if they were no longer listed.
        """
        by_time = _ragged_by_time(rows, groups, ragged)
        known_bases = self._known_bases(groups) | set(requested)
        for ts_ns, found in groupby(groups, key=attrgetter("ts_ns")):
            by_base = {group.underlying: group for group in found}
            for number, underlying in enumerate(sorted(requested)):
                group = by_base.get(underlying)
                usable = group.usable if group is not None else np.empty(0, dtype=np.intp)
                unusable = [(rows.lines[at], rows.errors[at]) for at in group.unusable] if group is not None else []
                if number == 0:
                    nameless = [b for base, b in by_base.items() if base not in known_bases]
                    unusable += [(rows.lines[at], rows.errors[at]) for b in nameless for at in b.unusable]
                    unusable += by_time.get(ts_ns, [])
                if usable.size or unusable:
                    unusable.sort()
                    yield RecordedBoard(
                        ts_ns, underlying, tuple(self._events(rows, ts_ns, underlying, usable, unusable))
                    )

    def note_listed(self, rows: Decoded, groups: list[BoardRows]) -> None:
        """Takes the options of boards that are not returned, so that later ones say which of them they lack."""
        for group in groups:
            for listed in self._listings(rows, group.usable.tolist()):
                self._unexpired[group.underlying][listed.instrument.name] = listed

    def _known_bases(self, groups: list[BoardRows]) -> set[str]:
        return {group.underlying for group in groups if group.usable.size and group.underlying}

    def _events(
        self, rows: Decoded, ts_ns: int, underlying: str, at: NDArray[np.intp], bad: list[tuple[int, str]]
    ) -> Iterator[Event]:
        found, label = self._findings, self._findings.row_label
        last_by_name: dict[str, int] = {}
        rejected: list[Rejected] = []
        updates = found.matched.layout.rows_are == "updates"
        for i in at.tolist():
            name = rows.names[i]
            if (before := last_by_name.get(name)) is not None and not updates:
                detail = f"{label} {rows.lines[i]}: {name} repeats {label} {rows.lines[before]}, the last row counts"
                rejected.append(Rejected("board", "duplicate", detail))
            last_by_name[name] = i
        unique = list(last_by_name.values())
        if unique:
            listed = {event.instrument.name: event for event in self._listings(rows, unique)}
            yield from self._missing(underlying, listed, ts_ns)
            yield from listed.values()
            yield ListingComplete(VENUE, underlying, frozenset(last_by_name))
            spot = _spot(rows, unique)
            if spot is not None:
                yield IndexPrice(VENUE, underlying, spot, ts_ns)
            else:
                rejected.append(Rejected("board", "index", "no row carries an index_price: the board has no spot"))
            yield from _tickers(rows, unique, ts_ns, runs=found.matched.layout.rows_are == "runs")
        yield from (Rejected("board", "row", f"{label} {line}: {reason}") for line, reason in bad)
        yield from rejected
        found.boards += 1
        found.options += len(unique)
        iv, forward, interest = (rows.numbers[name][unique] for name in ("iv", "forward", "open_interest"))
        is_expired = rows.expiry_ns[unique] <= ts_ns
        found.expired += int(np.count_nonzero(is_expired))
        found.unpriced += int(np.count_nonzero(~is_expired & ~((iv > 0.0) & (forward > 0.0) & (interest >= 0.0))))
        found.repeated += sum(r.what == "duplicate" for r in rejected)
        found.left_out += len(bad)
        found.reasons += bad[: max(LISTED_REASONS - len(found.reasons), 0)]

    def _missing(self, underlying: str, listed: dict[str, Listed], ts_ns: int) -> list[Listed]:
        """Options of earlier boards that have not expired and are not among those `listed` now."""
        earlier = self._unexpired[underlying]
        missing = {
            name: event for name, event in earlier.items() if name not in listed and event.instrument.expiry_ns > ts_ns
        }
        for name in missing:
            self._findings.missing.setdefault(name, ts_ns)
        self._unexpired[underlying] = {**missing, **listed}
        return list(missing.values())

    def _listings(self, rows: Decoded, at: list[int]) -> Iterator[Listed]:
        """The listing of each option, one object for all boards: an option is on hundreds of them."""
        expiries, strikes, sizes, listed_ns = (
            column[at].tolist() for column in (rows.expiry_ns, rows.strike, rows.contract_sizes, rows.listed_ns)
        )
        for i, *terms in zip(at, expiries, strikes, sizes, listed_ns):
            name = rows.names[i]
            key = (rows.bases[i], rows.settlements[i], rows.types[i], rows.price_indices[i], terms)
            known = self._listed.get(name)
            if known is None or known[0] != key:
                expiry_ns, strike, size, created_ns = terms
                base, settlement, option_type, index, _ = key
                instrument = Instrument(
                    VENUE, name, Kind.OPTION, base, settlement, expiry_ns, strike, option_type, size, index, created_ns
                )
                known = self._listed[name] = (key, Listed(instrument))
            yield known[1]


def _tickers(rows: Decoded, at: list[int], ts_ns: int, *, runs: bool) -> Iterator[OptionTicker]:
    """The tickers; without an index of their own, since a board has one spot."""
    n = {name: values[at].tolist() for name, values in rows.numbers.items()}
    times = [ts_ns] * len(at) if runs else [t or ts_ns for t in rows.ts_ns[at].tolist()]
    columns = zip(
        times, n["iv"], n["bid_iv"], n["ask_iv"], n["mark"], n["bid"], n["ask"], n["open_interest"], n["forward"],
        n["volume"],
    )  # fmt: skip
    for i, (exch_ns, iv, bid_iv, ask_iv, mark, bid, ask, interest, forward, volume) in zip(at, columns):
        yield OptionTicker(
            VENUE, rows.names[i], exch_ns, iv, bid_iv, ask_iv, mark, bid, ask, interest, forward, NAN, volume
        )


def _spot(rows: Decoded, at: list[int]) -> float | None:
    """The index price of the newest row; the median where several rows are as new."""
    index = rows.numbers["spot"][at]
    priced = np.isfinite(index)
    if not priced.any():
        return None
    times = rows.ts_ns[at]
    newest: list[float] = index[priced & (times == times[priced].max())].tolist()
    return median(newest)


def _ragged_by_time(
    rows: Decoded, groups: list[BoardRows], ragged: tuple[tuple[int, str], ...]
) -> dict[int, list[tuple[int, str]]]:
    """Lines that are no rows, by the time of the board of the row above."""
    if not ragged or not groups:
        return {}
    times = {at: group.ts_ns for group in groups for at in (*group.usable.tolist(), *group.unusable)}
    by_time: dict[int, list[tuple[int, str]]] = {}
    for line, reason in ragged:
        above = max(int(np.searchsorted(rows.lines, line)) - 1, 0)
        by_time.setdefault(times.get(above, groups[0].ts_ns), []).append((line, reason))
    return by_time
