"""Tape of a simulated market as it is watched, and the truth behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfmon.sim.populations.family import KINDS
from dfmon.sim.populations.history import DAY_MS, EXPIRED, F64, I64, SPOT, START_MS, MarketHistory

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class MarketTape:
    """A watched market: prints, open interest as it was seen, instruments, and the true books.

    `trades`: ts_ms, instrument, side (+1 taker bought), amount (coins), kind, event (shared by legs), seq (number of
    the print among those of its instrument, lost ones counted). `open_interest`: ts_ms, instrument, value (coins, the
    prints at its time included). `instruments`: name, strike, expiry_ms, type, listed_ms (NaN: listed before the
    watch). Prints before the watch are not on the tape; their positions are in the truth.
    """

    trades: Columns
    open_interest: Columns
    instruments: Columns
    start_ms: int
    history: MarketHistory
    spot: float = SPOT

    def customer_net(self, at_ms: float) -> F64:
        """Customers' true net position of each instrument, coins; dealers' is minus it. 0 once expired."""
        return self.history.state_at(at_ms - self.start_ms, self.history.customer_net)

    def open_interest_at(self, at_ms: float) -> F64:
        """True open interest of each instrument, coins. 0 once expired."""
        return self.history.state_at(at_ms - self.start_ms, self.history.open_interest)


def observe(history: MarketHistory, every_s: float, lost: float, rng: np.random.Generator) -> MarketTape:
    """The tape of a history: open interest every `every_s` seconds (0: at each change), `lost` of the prints missing.

    A periodic value is there for an option that had a print or a change since the value before, and once for every
    option at the start of the watch.
    """
    listing = history.listing
    names = np.array(listing.names)
    is_print = history.kind >= 0
    seen = np.flatnonzero(is_print & (history.time_ms > 0) & (rng.random(history.kind.size) >= lost))
    trades: dict[str, NDArray[Any]] = {
        "ts_ms": START_MS + history.time_ms[seen],
        "instrument": names[history.option[seen]],
        "side": history.side[seen],
        "amount": history.amount[seen],
        "kind": np.array(KINDS)[history.kind[seen]],
        "event": history.event[seen],
        "seq": number_prints(history.option, is_print)[seen],
    }
    time_ms, option, value = _seen_interest(history, every_s)
    interest: dict[str, NDArray[Any]] = {"ts_ms": START_MS + time_ms, "instrument": names[option], "value": value}
    instruments: dict[str, NDArray[Any]] = {
        "name": names,
        "strike": listing.strike,
        "expiry_ms": START_MS + np.round(listing.expiry_days * DAY_MS).astype(np.int64),
        "type": np.where(listing.option_type > 0, "call", "put"),
        "listed_ms": np.where(
            listing.listed_days >= 0.0, START_MS + np.round(listing.listed_days * DAY_MS), np.nan
        ),
    }  # fmt: skip
    return MarketTape(trades, interest, instruments, START_MS, history)


def _seen_interest(history: MarketHistory, every_s: float) -> tuple[I64, I64, F64]:
    """Time, option and value of open interest as it is seen, in time order."""
    rows = np.flatnonzero((history.time_ms > 0) & (history.kind != EXPIRED))
    period = every_s * 1e3
    time = history.time_ms[rows]
    seen_ms = np.ceil(time / period).astype(np.int64) * round(period) if period else time
    option = history.option[rows]
    order = np.lexsort((rows, option, seen_ms))
    is_last = np.ones(order.size, np.bool_)
    same = (np.diff(seen_ms[order]) == 0) & (np.diff(option[order]) == 0)
    is_last[:-1] = ~same
    chosen = order[is_last]
    old = np.flatnonzero(history.listing.listed_days < 0.0)
    start = history.state_at(0, history.open_interest)[old]
    expiry_ms = history.listing.expiry_days[option[chosen]] * DAY_MS
    chosen = chosen[seen_ms[chosen] < expiry_ms]
    return (
        np.concatenate([np.zeros(old.size, np.int64), seen_ms[chosen]]),
        np.concatenate([old, option[chosen]]),
        np.concatenate([start, history.open_interest[rows[chosen]]]),
    )


def number_prints(option: I64, is_print: NDArray[np.bool_]) -> I64:
    """The number of each print among those of its option, from 1; 0 for what is no print."""
    number = np.zeros(option.size, np.int64)
    rows = np.flatnonzero(is_print)
    order = rows[np.argsort(option[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(option[order], prepend=-1))
    lengths = np.diff(np.append(starts, order.size))
    number[order] = np.arange(order.size) - np.repeat(starts, lengths) + 1
    return number
