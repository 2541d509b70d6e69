"""All options of all underlyings: what is listed, and to which row or underlying an event belongs.

Events of the decoders are applied here: `tickers` writes prices into `option_rows`, prints and what options share go to
their `underlying`. `freeze` copies the live rows of one underlying into a read-only `ChainFrame`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from dfmon.engine.drift import GreekDrift
from dfmon.engine.option_rows import OptionRows
from dfmon.engine.tickers import Tickers
from dfmon.engine.trades import sound, trade_columns
from dfmon.engine.underlying import NEVER, SharedEvent, Underlying
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
from dfmon.model.frames import I64, ChainFrame, Life
from dfmon.model.instrument import Kind


class _ByKind(dict[type[Event], Callable[[Any, int], None]]):
    """What is done with an event of a kind; a venue's own subclass goes the way of its base."""

    def __missing__(self, kind: type[Event]) -> Callable[[Any, int], None]:
        found = self[kind] = next(self[base] for base in kind.__mro__ if base in self)
        return found


class ChainState:
    """Rows, tickers and underlyings together. One writer, the driver."""

    def __init__(self, underlyings: tuple[str, ...], capacity: int = 4096) -> None:
        self._shared = {name: Underlying() for name in underlyings}
        self._rows = OptionRows(capacity)
        self._started_ns = 0
        self.unknown: Counter[str] = Counter()  # events about instruments nobody has listed, by kind
        self.drift = GreekDrift()
        self._tickers = Tickers(self._rows, self.drift, self.unknown)
        self._apply = _ByKind()
        self._apply |= {
            OptionMarks: self._tickers.on_marks,
            OptionTicker: self._tickers.on_ticker,
            UnreadTicker: self._tickers.on_unread,
            OptionGreeks: self._tickers.on_greeks,
            OptionTrade: self._on_trade,
            OptionLife: self._on_life,
            PrintsLost: self._on_lost,
            RequestChecked: self._on_shared,
            FutureTicker: self._on_shared,
            HistorySeen: self._on_shared,
            IndexPrice: self._on_shared,
            VolIndex: self._on_shared,
            SettlementPrice: self._on_shared,
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
        row = self._rows.at.get(instrument.name)
        if row is None:
            row = self._rows.append(instrument, recv_ns)
            self._tickers.row_added()
        if not self._rows.listed[row]:
            self._rows.listed[row] = True
            self._shared[instrument.underlying].live = None

    def _on_listing(self, event: ListingComplete, _: int) -> None:
        shared = self._shared.get(event.underlying)
        if shared is None:
            return
        for name, row in self._rows.at.items():
            if self._rows.listed[row] and self._rows.owner[row] == event.underlying and name not in event.names:
                self._unlist(np.array([row]))
        shared.live = None

    def _on_delisted(self, event: Delisted, _: int) -> None:
        row = self._rows.at.get(event.name)
        if row is not None and self._rows.listed[row]:
            self._unlist(np.array([row]))
            self._shared[self._rows.owner[row]].live = None

    def _unlist(self, rows: I64) -> None:
        self._rows.listed[rows] = False
        self.drift.forget(rows)

    # ---- prints ----------------------------------------------------------------------------------------------

    def _on_trade(self, event: OptionTrade, _: int) -> None:
        row = self._rows.at.get(event.name)
        if row is None:
            self.unknown["trade"] += 1
        elif not sound(event):
            self.reject(self._rows.owner[row], "trade")
        else:
            self._shared[self._rows.owner[row]].trades.add(row, event)

    def _on_life(self, event: OptionLife, _: int) -> None:
        row = self._rows.at.get(event.name)
        if row is None:
            self.unknown["life"] += 1
            return
        shared = self._shared[self._rows.owner[row]]
        good = [trade for trade in event.trades if sound(trade)]
        if len(good) < len(event.trades):
            shared.rejected["trade"] += len(event.trades) - len(good)
        shared.trades.live(Life(row, trade_columns([row] * len(good), good)))

    def _on_lost(self, event: PrintsLost, _: int) -> None:
        row = self._rows.at.get(event.name)
        if row is None:
            self.unknown["trade"] += event.count
        else:
            self._shared[self._rows.owner[row]].trades.lose(row, event.count)

    # ---- what options share ------------------------------------------------------------------------------------

    def _on_shared(self, event: SharedEvent, _: int) -> None:
        shared = self._shared.get(event.underlying)
        if shared is not None:
            shared.take(event)

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
        interest, count = self._rows.float["open_interest"], len(self._rows.names)
        rows = np.flatnonzero(self._rows.listed[:count] & np.isfinite(interest[:count]))
        spot = np.array([self._shared[self._rows.owner[row]].spot for row in rows.tolist()])
        usd = interest[rows] * np.nan_to_num(spot)
        return [self._rows.names[row] for row in rows[np.argsort(-usd, kind="stable")].tolist()]

    # ---- reading ---------------------------------------------------------------------------------------------

    def gather(self) -> None:
        """Write what tickers said since the last tick."""
        self._tickers.gather()

    def freeze(self, underlying: str, ts_ns: int, clock_ns: int = 0) -> ChainFrame:
        """Read-only copy of the live rows of `underlying` and the trades since the last freeze.

        Expiry is decided by the time, not by the venue's word for it, which may come late or never; and by the venue's
        time, from which ours is off by `clock_ns`.
        """
        self.gather()
        shared = self._shared[underlying]
        rows, names = self._live_rows(underlying, ts_ns - clock_ns), self._rows.names
        value = {name: column[rows] for name, column in self._rows.float.items()}
        time = {name: column[rows] for name, column in self._rows.time.items()}
        forward = shared.forwards(value, time)
        data_ns = np.maximum(time["ticker_ns"], time["mark_ns"])
        frame_columns = (*value.values(), *time.values(), data_ns, forward, rows)
        option_type, inverse = self._rows.option_type[rows], self._rows.inverse[rows]
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
            names=tuple([names[row] for row in rows.tolist()]),
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
            listed = np.flatnonzero(self._rows.listed[: len(self._rows.names)])
            shared.live = np.array([row for row in listed.tolist() if self._rows.owner[row] == underlying], np.int64)
        expired = self._rows.time["expiry_ns"][shared.live] <= ts_ns
        if expired.any():
            late = self._rows.time["seen_ns"][shared.live] >= self._rows.time["expiry_ns"][shared.live]
            if late.any():  # it came expired; one that expires while we watch is in order
                shared.rejected["expired"] += int(late.sum())
            self._unlist(shared.live[expired])
            shared.live = shared.live[~expired]
        return shared.live.copy()
