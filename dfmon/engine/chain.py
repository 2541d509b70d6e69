"""Columns of every option ever listed, one row each in the order of first appearance.

Events of the decoders are applied here, one store a field; `freeze` copies the live rows of one underlying into a
read-only `ChainFrame`. A row is never reused, so its number is a name for the option that `core` can keep across
every roll; a year of Deribit listings is some 60,000 rows, about 10 MB.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np

from dfmon.engine.drift import GreekDrift, Told
from dfmon.engine.trades import TradeBuffer, sound, trade_columns
from dfmon.model.events import (
    Delisted,
    Event,
    FutureTicker,
    HistorySeen,
    IndexPrice,
    Listed,
    ListingComplete,
    OptionGreeks,
    OptionLife,
    OptionMarks,
    OptionTicker,
    OptionTrade,
    PrintsLost,
    RequestChecked,
    SettlementPrice,
    UnreadTicker,
    VolIndex,
)
from dfmon.model.frames import F64, I64, ChainFrame, Life, column
from dfmon.model.instrument import Instrument, Kind, Settlement
from dfmon.model.units import NAN

_FLOATS = (
    "strike", "forward", "forward_index", "sigma", "bid_sigma", "ask_sigma",
    "mark", "bid", "ask", "open_interest", "volume",
)  # fmt: skip
NEVER: Final = 2**63 - 1
_TIMES = ("expiry_ns", "ticker_ns", "mark_ns", "seen_ns", "listed_ns")
# Fields of a ticker by the column they go to: its state, and what the stream of marks says too.
_STATE = {
    "open_interest": attrgetter("open_interest"), "volume": attrgetter("volume"), "bid": attrgetter("bid"),
    "ask": attrgetter("ask"), "bid_sigma": attrgetter("bid_iv"), "ask_sigma": attrgetter("ask_iv"),
    "forward": attrgetter("forward"), "forward_index": attrgetter("index"),
}  # fmt: skip
_MARKS = {"sigma": attrgetter("mark_iv"), "mark": attrgetter("mark")}


class _ByKind(dict[type[Event], Callable[[Any, int], None]]):
    """What is done with an event of a kind; a venue's own subclass goes the way of its base."""

    def __missing__(self, kind: type[Event]) -> Callable[[Any, int], None]:
        found = self[kind] = next(self[base] for base in kind.__mro__ if base in self)
        return found


class _Underlying:
    """What all options of one underlying share."""

    def __init__(self) -> None:
        self.spot, self.spot_ns = NAN, 0
        self.vol_index = NAN
        self.settling = NAN
        self.history_ns = NEVER  # prints before this were not seen, unless we watched
        self.futures: dict[int, tuple[float, int]] = {}  # expiry_ns -> (mark USD, venue time)
        self.trades = TradeBuffer()
        self.requests: Counter[bool] = Counter()  # block requests that matched their prints, and that did not
        self.rejected: Counter[str] = Counter()
        self.live: I64 | None = None  # cached rows; None after the listing changed

    def take_rejected(self) -> tuple[tuple[str, int], ...]:
        """What could not be used since the last tick, by kind."""
        rejected, self.rejected = self.rejected, Counter()
        return tuple(sorted(rejected.items()))


class ChainState:
    """All options of all underlyings. One writer, the driver."""

    def __init__(self, underlyings: tuple[str, ...], capacity: int = 4096) -> None:
        self._shared = {name: _Underlying() for name in underlyings}
        self._row: dict[str, int] = {}
        self._names: list[str] = []
        self._owner: list[str] = []
        self._float = {name: np.full(capacity, NAN) for name in _FLOATS}
        self._time = {name: np.zeros(capacity, np.int64) for name in _TIMES}
        self._option_type = np.zeros(capacity, np.int8)
        self._inverse = np.zeros(capacity, np.bool_)
        self._listed = np.zeros(capacity, np.bool_)
        self._started_ns = 0
        self._said: dict[str, OptionTicker] = {}  # since the last tick
        self._unread: dict[str, UnreadTicker] = {}
        self._marked: list[str] = []  # names of the newest marks, and their rows
        self._marked_at = np.zeros(0, np.int64)
        self._marked_unknown = 0
        self.unknown: Counter[str] = Counter()  # events about instruments nobody has listed, by kind
        self.drift = GreekDrift()
        self._apply = _ByKind()
        self._apply |= {
            OptionMarks: self._on_marks,
            OptionTicker: self._on_ticker,
            UnreadTicker: self._on_unread,
            OptionGreeks: self._on_greeks,
            OptionTrade: self._on_trade,
            OptionLife: self._on_life,
            PrintsLost: self._on_lost,
            RequestChecked: self._on_request,
            FutureTicker: self._on_future,
            HistorySeen: self._on_history,
            IndexPrice: self._on_index,
            VolIndex: self._on_vol_index,
            SettlementPrice: self._on_settlement,
            Listed: self._on_listed,
            ListingComplete: self._on_listing,
            Delisted: self._on_delisted,
        }

    def handles(self, kind: type[Event]) -> bool:
        """Whether events of a kind belong here: those of a venue's own subclass if its base does."""
        return any(base in self._apply for base in kind.__mro__)

    def apply(self, event: Event, recv_ns: int) -> None:
        """Store one event. Events about other underlyings or unlisted instruments are counted, never raised."""
        if not self._started_ns:
            self._started_ns = recv_ns
        self._apply[type(event)](event, recv_ns)

    def reject(self, underlying: str, what: str) -> None:
        """Count something a decoder could not use, so that the snapshot can say so."""
        for name in (underlying,) if underlying else self._shared:
            if name in self._shared:
                self._shared[name].rejected[what] += 1

    # ---- listing ---------------------------------------------------------------------------------------------

    def _on_listed(self, event: Listed, recv_ns: int) -> None:
        instrument = event.instrument
        if instrument.kind is not Kind.OPTION or instrument.underlying not in self._shared:
            return
        if not 0.0 < instrument.strike < math.inf or not instrument.option_type:
            self.reject(instrument.underlying, "instrument")
            return
        row = self._row.get(instrument.name)
        if row is None:
            row = self._append(instrument, recv_ns)
        if not self._listed[row]:
            self._listed[row] = True
            self._shared[instrument.underlying].live = None

    def _append(self, instrument: Instrument, recv_ns: int) -> int:
        row = len(self._names)
        if row == self._option_type.size:
            self._grow()
        self._row[instrument.name] = row
        self._marked = []
        self._names.append(instrument.name)
        self._owner.append(instrument.underlying)
        self._float["strike"][row] = instrument.strike
        self._time["expiry_ns"][row] = instrument.expiry_ns
        self._time["listed_ns"][row] = instrument.listed_ns
        self._time["seen_ns"][row] = recv_ns
        self._option_type[row] = instrument.option_type or 0
        self._inverse[row] = instrument.settlement is Settlement.INVERSE
        return row

    def _grow(self) -> None:
        for columns in (self._float, self._time):
            for name, old in columns.items():
                columns[name] = np.concatenate([old, np.full_like(old, NAN if columns is self._float else 0)])
        for name in ("_option_type", "_inverse", "_listed"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))

    def _on_listing(self, event: ListingComplete, _: int) -> None:
        shared = self._shared.get(event.underlying)
        if shared is None:
            return
        for name, row in self._row.items():
            if self._listed[row] and self._owner[row] == event.underlying and name not in event.names:
                self._unlist(np.array([row]))
        shared.live = None

    def _on_delisted(self, event: Delisted, _: int) -> None:
        row = self._row.get(event.name)
        if row is not None and self._listed[row]:
            self._unlist(np.array([row]))
            self._shared[self._owner[row]].live = None

    def _unlist(self, rows: I64) -> None:
        self._listed[rows] = False
        self.drift.forget(rows)

    # ---- prices ----------------------------------------------------------------------------------------------

    def _on_ticker(self, event: OptionTicker, _: int) -> None:
        """Keep the newest word on an option: the columns are written once a tick, by `gather`."""
        held = self._said.get(event.name)
        if held is None or event.exch_ns >= held.exch_ns:
            self._said[event.name] = event

    def _on_unread(self, event: UnreadTicker, _: int) -> None:
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
        listed = [ticker for ticker in tickers if ticker.name in self._row]
        if len(listed) < len(tickers):
            self.unknown["ticker"] += len(tickers) - len(listed)
            tickers = listed
        if not tickers:
            return
        at = np.array([self._row[ticker.name] for ticker in tickers], np.int64)
        exch_ns = np.array([ticker.exch_ns for ticker in tickers], np.int64)
        self.drift.compare(tickers, at, self._float["strike"][at], self._time["expiry_ns"][at], self._option_type[at])
        for time, columns in (("ticker_ns", _STATE), ("mark_ns", _MARKS)):
            newer = exch_ns >= self._time[time][at]
            rows = at[newer]
            self._time[time][rows] = exch_ns[newer]
            for name, value in columns.items():
                self._float[name][rows] = column(list(map(value, tickers)))[newer]

    def _compare(self, told: Sequence[Told], at: I64) -> None:
        """The venue's greeks with ours."""
        self.drift.compare(told, at, self._float["strike"][at], self._time["expiry_ns"][at], self._option_type[at])

    def _on_greeks(self, event: OptionGreeks, _: int) -> None:
        row = self._row.get(event.name)
        if row is not None:
            self._compare([event], np.array([row]))

    def _on_marks(self, event: OptionMarks, _: int) -> None:
        if event.names is not self._marked:
            if event.names != self._marked:  # a whole chain comes in one order each time: find its rows once
                self._marked_at = np.array([self._row.get(name, -1) for name in event.names], np.int64)
                self._marked_unknown = int((self._marked_at < 0).sum())
            self._marked = event.names
        at, sigma, mark = self._marked_at, event.mark_iv, event.mark
        use = self._time["mark_ns"][at] <= event.exch_ns
        if self._marked_unknown or not use.all():
            use &= at >= 0
            self.unknown["mark"] += self._marked_unknown
            at, sigma, mark = at[use], sigma[use], mark[use]
        self._float["sigma"][at] = sigma
        self._float["mark"][at] = mark
        self._time["mark_ns"][at] = event.exch_ns

    def _on_trade(self, event: OptionTrade, _: int) -> None:
        row = self._row.get(event.name)
        if row is None:
            self.unknown["trade"] += 1
        elif not sound(event):
            self.reject(self._owner[row], "trade")
        else:
            self._shared[self._owner[row]].trades.add(row, event)

    def _on_life(self, event: OptionLife, _: int) -> None:
        row = self._row.get(event.name)
        if row is None:
            self.unknown["life"] += 1
            return
        shared = self._shared[self._owner[row]]
        good = [trade for trade in event.trades if sound(trade)]
        if len(good) < len(event.trades):
            shared.rejected["trade"] += len(event.trades) - len(good)
        shared.trades.live(Life(row, trade_columns([row] * len(good), good)))

    def _on_lost(self, event: PrintsLost, _: int) -> None:
        row = self._row.get(event.name)
        if row is None:
            self.unknown["trade"] += event.count
        else:
            self._shared[self._owner[row]].trades.lose(row, event.count)

    def _on_request(self, event: RequestChecked, _: int) -> None:
        if event.underlying in self._shared:
            self._shared[event.underlying].requests[event.matched] += 1

    def _on_history(self, event: HistorySeen, _: int) -> None:
        shared = self._shared.get(event.underlying)
        if shared is not None:
            shared.history_ns = min(shared.history_ns, event.since_ns)

    def _on_future(self, event: FutureTicker, _: int) -> None:
        shared = self._shared.get(event.underlying)
        if shared is None or not event.expiry_ns or not 0.0 < event.mark < math.inf:
            return
        if event.exch_ns >= shared.futures.get(event.expiry_ns, (NAN, 0))[1]:
            shared.futures[event.expiry_ns] = (event.mark, event.exch_ns)

    def _on_index(self, event: IndexPrice, _: int) -> None:
        shared = self._shared.get(event.underlying)
        if shared is not None and 0.0 < event.price < math.inf and event.exch_ns >= shared.spot_ns:
            shared.spot, shared.spot_ns = event.price, event.exch_ns

    def _on_vol_index(self, event: VolIndex, _: int) -> None:
        if event.underlying in self._shared:
            self._shared[event.underlying].vol_index = event.value

    def _on_settlement(self, event: SettlementPrice, _: int) -> None:
        if event.underlying in self._shared:
            # the venue publishes an estimate all day; it is the running average only inside the last half hour
            self._shared[event.underlying].settling = event.price if event.remaining_s <= 1800.0 else NAN

    # ---- what becomes of a tick ------------------------------------------------------------------------------

    def confirm(self, underlying: str) -> None:
        """The last frame of `underlying` has been computed: its prints are counted."""
        self._shared[underlying].trades.confirm()

    def put_back(self, underlying: str) -> None:
        """The last frame could not be computed: its prints come again with the next one."""
        self._shared[underlying].trades.put_back()

    def gap(self, recv_ns: int) -> None:
        """Records are missing here: what was listed before is not known from its first print on any more."""
        self._started_ns = max(self._started_ns, recv_ns)
        for shared in self._shared.values():
            shared.history_ns = NEVER

    def by_interest(self) -> list[str]:
        """Live options whose open interest is known, the largest first in USD: the order in which they matter."""
        rows = np.flatnonzero(
            self._listed[: len(self._names)] & np.isfinite(self._float["open_interest"][: len(self._names)])
        )
        spot = np.array([self._shared[self._owner[row]].spot for row in rows.tolist()])
        usd = self._float["open_interest"][rows] * np.nan_to_num(spot)
        return [self._names[row] for row in rows[np.argsort(-usd, kind="stable")].tolist()]

    # ---- reading ---------------------------------------------------------------------------------------------

    def freeze(self, underlying: str, ts_ns: int, clock_ns: int = 0) -> ChainFrame:
        """Read-only copy of the live rows of `underlying` and the trades since the last freeze.

        Expiry is decided by the time, not by the venue's word for it, which may come late or never; and by the venue's
        time, from which ours is off by `clock_ns`.
        """
        self.gather()
        shared = self._shared[underlying]
        rows = self._live_rows(underlying, ts_ns - clock_ns)
        value = {name: column[rows] for name, column in self._float.items()}
        time = {name: column[rows] for name, column in self._time.items()}
        forward = self._forwards(shared, value, time)
        data_ns = np.maximum(time["ticker_ns"], time["mark_ns"])
        frame_columns = (*value.values(), *time.values(), data_ns, forward, rows)
        option_type, inverse = self._option_type[rows], self._inverse[rows]
        whole_life = time["listed_ns"] >= min(self._started_ns, shared.history_ns)
        trades, lives, missing = shared.trades.drain()
        lost = np.array([missing.get(row, 0) for row in rows.tolist()] if missing else np.zeros(rows.size), np.float64)
        for said in (*frame_columns, option_type, inverse, whole_life, lost):
            said.flags.writeable = False
        return ChainFrame(
            ts_ns=ts_ns,
            underlying=underlying,
            spot=shared.spot,
            spot_ns=shared.spot_ns,
            vol_index=shared.vol_index,
            settling=shared.settling,
            uid=rows,
            names=tuple(self._names[row] for row in rows.tolist()),
            expiry_ns=time["expiry_ns"],
            strike=value["strike"],
            option_type=option_type,
            inverse=inverse,
            forward=forward,
            sigma=value["sigma"],
            bid_sigma=value["bid_sigma"],
            ask_sigma=value["ask_sigma"],
            mark=value["mark"],
            bid=value["bid"],
            ask=value["ask"],
            open_interest=value["open_interest"],
            volume=value["volume"],
            data_ns=data_ns,
            seen_ns=time["seen_ns"],
            whole_life=whole_life,
            lost=lost,
            trades=trades,
            lives=lives,
            requests=(shared.requests[True], shared.requests[False]),
            rejected=shared.take_rejected(),
            clock_ns=clock_ns,
        )

    def _live_rows(self, underlying: str, ts_ns: int) -> I64:
        shared = self._shared[underlying]
        if shared.live is None:
            listed = np.flatnonzero(self._listed[: len(self._names)])
            shared.live = np.array([row for row in listed.tolist() if self._owner[row] == underlying], np.int64)
        expired = self._time["expiry_ns"][shared.live] <= ts_ns
        if expired.any():
            late = self._time["seen_ns"][shared.live] >= self._time["expiry_ns"][shared.live]
            if late.any():  # it came expired; one that expires while we watch is in order
                shared.rejected["expired"] += int(late.sum())
            self._unlist(shared.live[expired])
            shared.live = shared.live[~expired]
        return shared.live.copy()

    def _forwards(self, shared: _Underlying, value: dict[str, F64], time: dict[str, I64]) -> F64:
        """Forward of each row: the dated future if its mark is newer, else the last one said, carried by the index.

        Carrying is proportional and needs the index of the moment at which the forward was said; a recorded board
        does not give that, so its forwards stay as they were written.
        """
        forward = value["forward"].copy()
        if shared.spot > 0.0:
            known = value["forward_index"] > 0.0
            forward[known] *= shared.spot / value["forward_index"][known]
        for expiry_ns, (mark, mark_ns) in shared.futures.items():
            newer = (time["expiry_ns"] == expiry_ns) & ((time["ticker_ns"] <= mark_ns) | ~np.isfinite(forward))
            forward[newer] = mark
        return forward
