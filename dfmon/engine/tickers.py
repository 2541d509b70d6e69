"""Tickers and marks on their way into the columns: the newest word on each option wins, by the venue's time.

Tickers are kept until `gather` writes them, once a tick; marks come for a whole chain at once and are written at once.
The greeks the venue says go to `drift`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from dfmon.engine.drift import GreekDrift, Told
from dfmon.engine.option_rows import OptionRows
from dfmon.model.events import OptionGreeks, OptionMarks, OptionTicker, UnreadTicker
from dfmon.model.frames import I64, column

# Fields of a ticker by the column they go to: its state, and what the stream of marks says too.
_STATE = {
    "open_interest": attrgetter("open_interest"), "volume": attrgetter("volume"), "bid": attrgetter("bid"),
    "ask": attrgetter("ask"), "bid_sigma": attrgetter("bid_iv"), "ask_sigma": attrgetter("ask_iv"),
    "forward": attrgetter("forward"), "forward_index": attrgetter("index"),
}  # fmt: skip
_MARKS = {"sigma": attrgetter("mark_iv"), "mark": attrgetter("mark")}


class _Marked(NamedTuple):
    names: list[str]
    at: I64
    unknown: int


class Tickers:
    """What is said of the options in `rows`; of others it is counted in `unknown`, by kind."""

    def __init__(self, rows: OptionRows, drift: GreekDrift, unknown: Counter[str]) -> None:
        self._rows, self._drift, self._unknown = rows, drift, unknown
        self._said: dict[str, OptionTicker] = {}  # since the last tick
        self._unread: dict[str, UnreadTicker] = {}
        self._marked: dict[str, _Marked] = {}  # by the first name: a whole chain comes in one order each time

    def row_added(self) -> None:
        """A name that had no row may have one now."""
        self._marked.clear()

    def on_ticker(self, event: OptionTicker, _: int) -> None:
        """Keep the newest word on an option: the columns are written once a tick, by `gather`."""
        held = self._said.get(event.name)
        if held is None or event.exch_ns >= held.exch_ns:
            self._said[event.name] = event

    def on_unread(self, event: UnreadTicker, _: int) -> None:
        """The same before its units are converted, which only the newest of a tick is worth."""
        held = self._unread.get(event.name)
        if held is None or event.exch_ms >= held.exch_ms:
            self._unread[event.name] = event

    def gather(self) -> None:
        """Write what was said since the last tick."""
        said, self._said = self._said, {}
        unread, self._unread = self._unread, {}
        self._write(list(said.values()))
        self._write([event.read() for event in unread.values()])

    def _write(self, tickers: list[OptionTicker]) -> None:
        """A ticker is a whole state: one older than what is known, a slow poll or a late frame, says nothing.

        Its mark has a time of its own, since the stream of marks may be ahead of the ticker.
        """
        columns, row_of = self._rows, self._rows.at
        listed = [ticker for ticker in tickers if ticker.name in row_of]
        if len(listed) < len(tickers):
            self._unknown["ticker"] += len(tickers) - len(listed)
            tickers = listed
        if not tickers:
            return
        at = np.array([row_of[ticker.name] for ticker in tickers], np.int64)
        exch_ns = np.array([ticker.exch_ns for ticker in tickers], np.int64)
        self._compare(tickers, at)
        for time, fields in (("ticker_ns", _STATE), ("mark_ns", _MARKS)):
            newer = exch_ns >= columns.time[time][at]
            rows = at[newer]
            columns.time[time][rows] = exch_ns[newer]
            for name, value in fields.items():
                columns.float[name][rows] = column(list(map(value, tickers)))[newer]

    def _compare(self, told: Sequence[Told], at: I64) -> None:
        """The venue's greeks with ours."""
        rows = self._rows
        self._drift.compare(told, at, rows.float["strike"][at], rows.time["expiry_ns"][at], rows.option_type[at])

    def on_greeks(self, event: OptionGreeks, _: int) -> None:
        row = self._rows.at.get(event.name)
        if row is not None:
            self._compare([event], np.array([row]))

    def on_marks(self, event: OptionMarks, _: int) -> None:
        if not event.names:
            return
        marked = self._rows_of(event.names)
        at, sigma, mark = marked.at, event.mark_iv, event.mark
        use = self._rows.time["mark_ns"][at] <= event.exch_ns
        if marked.unknown or not use.all():
            use &= at >= 0
            self._unknown["mark"] += marked.unknown
            at, sigma, mark = at[use], sigma[use], mark[use]
        self._rows.float["sigma"][at] = sigma
        self._rows.float["mark"][at] = mark
        self._rows.time["mark_ns"][at] = event.exch_ns

    def _rows_of(self, names: list[str]) -> _Marked:
        """The rows of a chain, found once; -1 where there is none."""
        held = self._marked.get(names[0])
        if held is None or (held.names is not names and held.names != names):
            row_of = self._rows.at
            at = np.array([row_of.get(name, -1) for name in names], np.int64)
            held = self._marked[names[0]] = _Marked(names, at, int((at < 0).sum()))
        return held
