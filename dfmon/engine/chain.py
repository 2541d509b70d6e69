"""The option chain: which options are listed, and to which row or underlying an event belongs.

`ticker_buffer` writes prices into `option_rows`; prints and shared data go to the `underlying` of the option.
`freeze` copies the live rows of one underlying into a read-only `ChainFrame`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from dfmon.engine.greek_drift import GreekDrift
from dfmon.engine.option_rows import OptionRows
from dfmon.engine.stored_options import RestoredOptions, StoredOptions, stored_options
from dfmon.engine.ticker_buffer import TickerBuffer
from dfmon.engine.trade_buffer import is_valid_trade, trade_columns
from dfmon.engine.underlying import NO_HISTORY_NS, UnderlyingEvent, UnderlyingState
from dfmon.model.events import (
    BlockRfqChecked,
    Delisted,
    Event,
    FutureTicker,
    IndexPrice,
    Listed,
    ListingComplete,
    OptionGreeks,
    OptionMarks,
    OptionTicker,
    OptionTrade,
    OptionTradeHistory,
    PrintsLost,
    RawTicker,
    SettlementPrice,
    TradeHistoryComplete,
    VolIndex,
)
from dfmon.model.frames import F64, I64, ChainFrame, TradeHistory
from dfmon.model.instrument import Kind

_FRAME_COLUMNS: Final = (  # of the same name in the rows and in a frame
    "strike", "sigma", "bid_sigma", "ask_sigma", "mark", "bid", "ask", "open_interest", "volume",
    "interest",
)  # fmt: skip


class _HandlerTable(dict[type[Event], Callable[[Any, int], None]]):
    """Handlers by kind of event; a venue's own subclass uses the handler of its base."""

    def __missing__(self, kind: type[Event]) -> Callable[[Any, int], None]:
        handler = self[kind] = next(self[base] for base in kind.__mro__ if base in self)
        return handler


class ChainState:
    """Rows, tickers and underlyings together. One writer, the driver."""

    def __init__(self, underlyings: tuple[str, ...], capacity: int = 4096, venue: str = "") -> None:
        """`venue` is the title of the options venue."""
        self._venue = venue
        self._states = {name: UnderlyingState() for name in underlyings}
        self._rows = OptionRows(capacity)
        self._restored = RestoredOptions()
        self._started_ns = 0
        self.unlisted_counts: Counter[str] = Counter()  # events about unlisted instruments, by kind
        self.drift = GreekDrift()
        self._tickers = TickerBuffer(self._rows, self.drift, self.unlisted_counts)
        self._apply = _HandlerTable()
        self._apply |= {
            OptionMarks: self._tickers.on_marks,
            OptionTicker: self._tickers.on_ticker,
            RawTicker: self._tickers.on_raw_ticker,
            OptionGreeks: self._tickers.on_greeks,
            OptionTrade: self._on_trade,
            OptionTradeHistory: self._on_trade_history,
            PrintsLost: self._on_prints_lost,
            BlockRfqChecked: self._on_underlying_event,
            FutureTicker: self._on_underlying_event,
            TradeHistoryComplete: self._on_underlying_event,
            IndexPrice: self._on_underlying_event,
            VolIndex: self._on_underlying_event,
            SettlementPrice: self._on_underlying_event,
            Listed: self._on_listed,
            ListingComplete: self._on_listing_complete,
            Delisted: self._on_delisted,
        }

    def handler(self, kind: type[Event]) -> Callable[[Any, int], None] | None:
        """The function that applies events of a kind, or of a base of it; None if they are not handled here."""
        if not any(base in self._apply for base in kind.__mro__):
            return None
        return self._apply[kind] if self._started_ns else self.apply

    def apply(self, event: Event, recv_ns: int) -> None:
        """Applies one event. Events about other underlyings or unlisted instruments are counted, never raised."""
        if not self._started_ns:
            self._started_ns = recv_ns
        self._apply[type(event)](event, recv_ns)

    def count_rejected(self, underlying: str, kind: str) -> None:
        """Counts data that a decoder rejected, for the snapshot."""
        for name in (underlying,) if underlying else self._states:
            if name in self._states:
                self._states[name].rejected[kind] += 1

    # ---- listing ---------------------------------------------------------------------------------------------

    def _on_listed(self, event: Listed, recv_ns: int) -> None:
        instrument = event.instrument
        if instrument.kind is not Kind.OPTION or instrument.underlying not in self._states:
            return
        if not 0.0 < instrument.strike < math.inf or not instrument.option_type:
            self.count_rejected(instrument.underlying, "instrument")
            return
        row = self._rows.row_by_name.get(instrument.name)
        if row is None:
            row = self._rows.append(instrument, recv_ns)
            self._restored.write(self._rows, row)
            self._tickers.on_row_added()
        if not self._rows.listed[row]:
            self._rows.listed[row] = True
            state = self._states[instrument.underlying]
            state.live_rows = None
            state.unlisted.pop(instrument.name, None)

    def _on_listing_complete(self, event: ListingComplete, _: int) -> None:
        state = self._states.get(event.underlying)
        if state is None:
            return
        for name, row in self._rows.row_by_name.items():
            if (
                self._rows.listed[row]
                and self._rows.underlying_by_row[row] == event.underlying
                and name not in event.names
            ):
                self._unlist(np.array([row]))
                state.unlisted[name] = int(self._rows.time["expiry_ns"][row])
        state.live_rows = None

    def _on_delisted(self, event: Delisted, _: int) -> None:
        row = self._rows.row_by_name.get(event.name)
        if row is not None and self._rows.listed[row]:
            self._unlist(np.array([row]))
            self._states[self._rows.underlying_by_row[row]].live_rows = None

    def _unlist(self, rows: I64) -> None:
        self._rows.listed[rows] = False
        self.drift.discard_rows(rows)

    # ---- prints ----------------------------------------------------------------------------------------------

    def _on_trade(self, event: OptionTrade, _: int) -> None:
        row = self._rows.row_by_name.get(event.name)
        if row is None:
            self.unlisted_counts["trade"] += 1
        elif not is_valid_trade(event):
            self.count_rejected(self._rows.underlying_by_row[row], "trade")
        else:
            self._states[self._rows.underlying_by_row[row]].trades.add(row, event)

    def _on_trade_history(self, event: OptionTradeHistory, _: int) -> None:
        row = self._rows.row_by_name.get(event.name)
        if row is None:
            self.unlisted_counts["life"] += 1
            return
        state = self._states[self._rows.underlying_by_row[row]]
        valid_trades = [trade for trade in event.trades if is_valid_trade(trade)]
        if len(valid_trades) < len(event.trades):
            state.rejected["trade"] += len(event.trades) - len(valid_trades)
        state.trades.add_history(TradeHistory(row, trade_columns([row] * len(valid_trades), valid_trades)))

    def _on_prints_lost(self, event: PrintsLost, _: int) -> None:
        row = self._rows.row_by_name.get(event.name)
        if row is None:
            self.unlisted_counts["trade"] += event.count
        else:
            self._states[self._rows.underlying_by_row[row]].trades.add_lost(row, event.count)

    # ---- shared by all options ---------------------------------------------------------------------------------

    def _on_underlying_event(self, event: UnderlyingEvent, recv_ns: int) -> None:
        state = self._states.get(event.underlying)
        if state is not None:
            state.apply_event(event, recv_ns)

    # ---- outcome of a tick ----------------------------------------------------------------------------------

    def commit_drained(self, underlying: str) -> None:
        """Discards the prints of the last frame of `underlying`, which has been computed."""
        self._states[underlying].trades.commit_drained()

    def restore_drained(self, underlying: str) -> None:
        """Returns the prints of the last frame, which failed, to the next one."""
        self._states[underlying].trades.restore_drained()

    def mark_gap(self, recv_ns: int) -> None:
        """Marks missing records: options listed before no longer have a full history."""
        self._started_ns = max(self._started_ns, recv_ns)
        for state in self._states.values():
            state.history_since_ns = NO_HISTORY_NS

    def by_open_interest(self) -> list[str]:
        """Live options with known open interest, the largest first in USD."""
        open_interest, count = self._rows.float["open_interest"], len(self._rows.names)
        rows = np.flatnonzero(self._rows.listed[:count] & np.isfinite(open_interest[:count]))
        spot = np.array([self._states[self._rows.underlying_by_row[row]].spot for row in rows.tolist()])
        usd = open_interest[rows] * np.nan_to_num(spot)
        return [self._rows.names[row] for row in rows[np.argsort(-usd, kind="stable")].tolist()]

    # ---- checkpoint ------------------------------------------------------------------------------------------

    def stored_options(self, underlying: str) -> StoredOptions:
        """Data of the live rows of `underlying`, as of the last tick."""
        rows = self._states[underlying].live_rows
        return stored_options(self._rows, np.zeros(0, np.int64) if rows is None else rows)

    def restore_options(self, stored: StoredOptions, now_ns: int) -> None:
        """Takes the data of a checkpoint for options that are listed later."""
        self._restored.add(stored, now_ns)

    # ---- reading ---------------------------------------------------------------------------------------------

    def flush_tickers(self) -> None:
        """Writes the tickers since the last tick into the columns."""
        self._tickers.flush_tickers()

    def freeze(self, underlying: str, ts_ns: int, clock_ns: int = 0) -> ChainFrame:
        """Read-only copy of the live rows of `underlying` and the trades since the last freeze.

        An option expires by the venue's clock, from which ours differs by `clock_ns`; its notice may come late.
        """
        self._tickers.flush_tickers()
        self._tickers.limit_times(ts_ns)
        state = self._states[underlying]
        state.limit_times(ts_ns)
        rows, names = self._live_rows(underlying, ts_ns - clock_ns), self._rows.names
        self._tickers.settle_interest(rows, ts_ns - clock_ns)
        value, time = self._rows.columns_of(rows)
        forward, data_ns = state.forwards(value, time), np.maximum(time["ticker_ns"], time["mark_ns"])
        frame_columns = (*value.values(), *time.values(), data_ns, forward, rows)
        option_type, inverse = self._rows.option_type[rows], self._rows.inverse[rows]
        full_history = time["listed_ns"] >= min(self._started_ns, state.history_since_ns)
        trades, trade_histories, lost_by_row = state.trades.drain()
        lost_prints = _values_of_rows(rows, lost_by_row)
        for frozen_array in (*frame_columns, option_type, inverse, full_history, lost_prints):
            frozen_array.flags.writeable = False
        return ChainFrame(
            ts_ns=ts_ns,
            underlying=underlying,
            spot=state.spot,
            spot_ns=state.spot_ns,
            vol_index=state.vol_index,
            delivery_average=state.delivery_average,
            uid=rows,
            names=tuple([names[row] for row in rows.tolist()]),
            **{name: value[name] for name in _FRAME_COLUMNS},
            expiry_ns=time["expiry_ns"],
            listed_ns=time["listed_ns"],
            interest_ns=time["interest_ns"],
            option_type=option_type,
            inverse=inverse,
            forward=forward,
            data_ns=data_ns,
            first_seen_ns=time["seen_ns"],
            full_history=full_history,
            lost_prints=lost_prints,
            trades=trades,
            trade_histories=trade_histories,
            block_rfq_checks=(state.block_rfq_checks[True], state.block_rfq_checks[False]),
            rejected=state.take_rejected(),
            clock_ns=clock_ns,
            received=state.receive_times(time, self._tickers.marks_received(underlying, rows), value["open_interest"]),
            absent_rows=state.absent_rows(time, value["open_interest"], ts_ns),
            unlisted_names=state.unlisted_names(ts_ns - clock_ns),
            venue=self._venue,
        )

    def _live_rows(self, underlying: str, ts_ns: int) -> I64:
        state = self._states[underlying]
        if state.live_rows is None:
            listed = np.flatnonzero(self._rows.listed[: len(self._rows.names)])
            state.live_rows = np.array(
                [row for row in listed.tolist() if self._rows.underlying_by_row[row] == underlying], np.int64
            )
        expired = self._rows.time["expiry_ns"][state.live_rows] <= ts_ns
        if expired.any():
            expired_on_arrival = (
                self._rows.time["seen_ns"][state.live_rows] >= self._rows.time["expiry_ns"][state.live_rows]
            )
            if expired_on_arrival.any():  # listed after its expiry; an option that expires later is normal
                state.rejected["expired"] += int(expired_on_arrival.sum())
            self._unlist(state.live_rows[expired])
            state.live_rows = state.live_rows[~expired]
        return state.live_rows.copy()


def _values_of_rows(rows: I64, value_by_row: Mapping[int, int]) -> F64:
    """The value of each row, 0 where it has none."""
    if not value_by_row:
        return np.zeros(rows.size)
    return np.array([value_by_row.get(row, 0) for row in rows.tolist()], np.float64)
