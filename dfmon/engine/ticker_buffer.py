"""Tickers and marks on their way into the columns: the newest by the venue's time wins.

Tickers are buffered until `flush_tickers` writes them, once a tick; marks arrive for a whole chain and are written at
once. The venue's greeks go to `greek_drift`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np

from dfmon.engine.greek_drift import GreekDrift, GreekSource
from dfmon.engine.option_rows import OptionRows
from dfmon.model.events import OptionGreeks, OptionMarks, OptionTicker, RawTicker
from dfmon.model.frames import I64, float_column, int_column
from dfmon.model.units import SECOND

# Fields of a ticker by column: its own state, and the fields that the stream of marks has too.
_STATE_FIELDS = {
    "open_interest": attrgetter("open_interest"), "volume": attrgetter("volume"), "bid": attrgetter("bid"),
    "ask": attrgetter("ask"), "bid_sigma": attrgetter("bid_iv"), "ask_sigma": attrgetter("ask_iv"),
    "forward": attrgetter("forward"), "forward_index": attrgetter("index"),
}  # fmt: skip
_MARK_FIELDS = {"sigma": attrgetter("mark_iv"), "mark": attrgetter("mark")}


PRINT_DELAY_NS: Final = 2 * SECOND  # by which a print may come after open interest that includes it
_Book = tuple[str, bool]  # underlying, coin-settled: the options of one channel of marks


class _MarkRows(NamedTuple):
    names: list[str]
    at: I64
    unlisted: int
    books: frozenset[_Book]


class TickerBuffer:
    """Pending tickers and marks of the options in `rows`; those of unlisted options are counted by kind."""

    def __init__(self, rows: OptionRows, drift: GreekDrift, unlisted_counts: Counter[str]) -> None:
        self._rows, self._drift, self._unlisted_counts = rows, drift, unlisted_counts
        self._pending: dict[str, OptionTicker] = {}  # since the last tick
        self._pending_raw: dict[str, RawTicker] = {}
        self._received_ns: dict[str, int] = {}  # our time of receipt of the pending ones
        self._marks_ns: dict[_Book, tuple[int, int]] = {}  # the venue's time of the newest marks, and ours
        self._mark_rows: dict[str, _MarkRows] = {}  # by the first name: a chain arrives in the same order each time

    def on_row_added(self) -> None:
        """Drops cached rows: a name without a row may have one now."""
        self._mark_rows.clear()

    def on_ticker(self, event: OptionTicker, recv_ns: int) -> None:
        """Keeps the newest ticker of an option; columns are written once a tick, by `flush_tickers`."""
        previous = self._pending.get(event.name)
        if previous is None or event.exch_ns >= previous.exch_ns:
            self._pending[event.name] = event
            if previous is None or event.exch_ns > previous.exch_ns:  # the same time again is no new data
                self._received_ns[event.name] = recv_ns

    def on_raw_ticker(self, event: RawTicker, recv_ns: int) -> None:
        """Keeps the newest ticker in the venue's units; only that one is converted."""
        previous = self._pending_raw.get(event.name)
        if previous is None or event.exch_ms >= previous.exch_ms:
            self._pending_raw[event.name] = event
            if previous is None or event.exch_ms > previous.exch_ms:
                self._received_ns[event.name] = recv_ns

    def flush_tickers(self) -> None:
        """Writes the newest ticker of each option since the last tick, in one pass.

        They are full states. A ticker older than the row (a slow poll or a late frame) is ignored. Its mark has a time
        of its own, since the stream of marks may be ahead of the ticker.
        """
        pending, self._pending = self._pending, {}
        for name, event in self._pending_raw.items():
            if name not in pending or event.exch_ns >= pending[name].exch_ns:
                pending[name] = event.to_option_ticker()
        self._pending_raw.clear()
        columns, row_of = self._rows, self._rows.row_by_name
        tickers = [ticker for name, ticker in pending.items() if name in row_of]
        if len(tickers) < len(pending):
            self._unlisted_counts["ticker"] += len(pending) - len(tickers)
        if tickers:
            at = int_column([row_of[ticker.name] for ticker in tickers])
            exch_ns = int_column([ticker.exch_ns for ticker in tickers])
            recv_ns = int_column([self._received_ns[ticker.name] for ticker in tickers])
            self._compare(tickers, at)
            for kind, fields in (("ticker", _STATE_FIELDS), ("mark", _MARK_FIELDS)):
                times = columns.time[f"{kind}_ns"]
                written_ns = times[at]
                newer, fresh = exch_ns >= written_ns, exch_ns > written_ns
                rows, is_all = at[newer], bool(newer.all())
                columns.time[f"{kind}_recv_ns"][at[fresh]] = recv_ns[fresh]
                times[rows] = exch_ns[newer]
                for name, value in fields.items():
                    values = float_column(list(map(value, tickers)))
                    columns.float[name][rows] = values if is_all else values[newer]
        self._received_ns.clear()

    def _compare(self, tickers: Sequence[GreekSource], at: I64) -> None:
        """Compares the venue's greeks with ours."""
        rows = self._rows
        self._drift.compare(tickers, at, rows.float["strike"][at], rows.time["expiry_ns"][at], rows.option_type[at])

    def on_greeks(self, event: OptionGreeks, _: int) -> None:
        row = self._rows.row_by_name.get(event.name)
        if row is not None:
            self._compare([event], np.array([row]))

    def on_marks(self, event: OptionMarks, recv_ns: int) -> None:
        """Marks of a book: the first message names all options, later ones those whose mark has changed."""
        if not event.names:
            return
        mark_rows = self._find_mark_rows(event.names)
        for book in mark_rows.books:
            if event.exch_ns > self._marks_ns.get(book, (0, 0))[0]:
                self._marks_ns[book] = event.exch_ns, recv_ns
            else:
                recv_ns = self._marks_ns[book][1]
        at, sigma, mark = mark_rows.at, event.mark_iv, event.mark
        newer = self._rows.time["mark_ns"][at] <= event.exch_ns
        if mark_rows.unlisted or not newer.all():
            newer &= at >= 0
            self._unlisted_counts["mark"] += mark_rows.unlisted
            at, sigma, mark = at[newer], sigma[newer], mark[newer]
        self._rows.float["sigma"][at] = sigma
        self._rows.float["mark"][at] = mark
        self._rows.time["mark_ns"][at] = event.exch_ns
        self._rows.time["mark_recv_ns"][at] = recv_ns

    def _find_mark_rows(self, names: list[str]) -> _MarkRows:
        """The rows of a chain, cached; -1 where an option has none."""
        cached = self._mark_rows.get(names[0])
        if cached is None or (cached.names is not names and cached.names != names):
            row_of = self._rows.row_by_name
            at = np.array([row_of.get(name, -1) for name in names], np.int64)
            listed = at[at >= 0].tolist()
            books = frozenset((self._rows.underlying_by_row[row], bool(self._rows.inverse[row])) for row in listed)
            cached = self._mark_rows[names[0]] = _MarkRows(names, at, int((at < 0).sum()), books)
        return cached

    def marks_received(self, underlying: str, rows: I64) -> I64:
        """Our time of receipt of the marks of `rows`: a message about a book confirms those that it does not name."""
        newest = [self._marks_ns.get((underlying, inverse), (0, 0))[1] for inverse in (False, True)]
        return np.maximum(self._rows.time["mark_recv_ns"][rows], np.where(self._rows.inverse[rows], *reversed(newest)))

    def settle_interest(self, rows: I64, venue_ns: int) -> None:
        """Takes open interest over for pairing with prints, once the prints before it have had time to arrive.

        The first one is taken at once. While one waits, newer ones are passed over.
        """
        value, time = self._rows.float, self._rows.time
        waiting_ns, newest_ns = time["next_interest_ns"][rows], time["ticker_ns"][rows]
        elapsed = (waiting_ns > 0) & (waiting_ns <= venue_ns - PRINT_DELAY_NS)
        ready = rows[elapsed]
        value["interest"][ready], time["interest_ns"][ready] = value["next_interest"][ready], waiting_ns[elapsed]
        idle = elapsed | (waiting_ns == 0)
        time["next_interest_ns"][rows[idle]] = 0
        newer = idle & (newest_ns > time["interest_ns"][rows]) & ~np.isnan(value["open_interest"][rows])
        first = newer & (time["interest_ns"][rows] == 0)
        for taken, name in ((first, "interest"), (newer & ~first, "next_interest")):
            at = rows[taken]
            value[name][at], time[f"{name}_ns"][at] = value["open_interest"][at], newest_ns[taken]

    def limit_times(self, now_ns: int) -> None:
        """No data were received after `now_ns`: where our clock was set back, their age counts from now."""
        for name in ("ticker_recv_ns", "mark_recv_ns"):
            np.minimum(self._rows.time[name], now_ns, out=self._rows.time[name])
        for book, (exch_ns, recv_ns) in self._marks_ns.items():
            self._marks_ns[book] = exch_ns, min(recv_ns, now_ns)
