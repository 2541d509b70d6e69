"""Positions from the whole real tape of 2019: `python benchmarks/real_tape_positions.py [FILE]`.

Its 104,729 prints go through the venue's protocol into the trade store, come back from it, and through the estimator,
with the life of each option that is on the tape from its first print on, and unseen starts of the others. Open interest
is not on the tape, so that nothing but sides and sizes is used and no truth is known: what is checked is that the whole
tape runs, that bounds hold, and what the estimate says of calls and puts beside the takers' net flow.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from real_tape import TAPE, events_of, rows_of

import dfmon
from dfmon.api.dealer_tape import TapePositions
from dfmon.model.units import MILLISECOND
from dfmon.store.trades import OptionKey, TradeStore

DAYS: Final = ("2019-03-15", "2019-04-15", "2019-05-15", "2019-06-15")
Columns = dict[str, list[Any]]


@contextmanager
def timed(what: str) -> Iterator[None]:
    start = time.process_time()
    yield
    print(f"| {what} | {time.process_time() - start:.1f} s |")


def expiry_ms(name: str) -> int:
    expiry = datetime.strptime(name.split("-")[1], "%d%b%y").replace(hour=8, tzinfo=UTC)
    return int(expiry.timestamp() * 1e3)


def stored_columns(store: TradeStore) -> Columns:
    """The prints of every option as the store gives them back."""
    columns: Columns = defaultdict(list)
    for name in sorted(store.stored()):
        for _, seq, exch_ns, side, _, size, *_ in store.read_rows(name, 10**9):
            for column, value in zip(
                ("ts_ms", "instrument", "side", "amount", "kind", "event", "seq"),
                (exch_ns / MILLISECOND, name, side, size, "screen", len(columns["event"]), seq),
            ):
                columns[column].append(value)
    return columns


def instruments_of(whole: Mapping[str, bool], first_ms: Mapping[str, float]) -> Columns:
    names = sorted(whole)
    return {
        "name": names,
        "strike": [float(name.split("-")[2]) for name in names],
        "expiry_ms": [expiry_ms(name) for name in names],
        "type": ["call" if name.endswith("C") else "put" for name in names],
        "listed_ms": [first_ms[name] - 1.0 if whole[name] else np.nan for name in names],
    }


def row(day: str, found: TapePositions, takers: Mapping[str, float]) -> str:
    """What the estimate says of one day, beside minus the takers' net flow of the same options."""
    calls = np.array([name.endswith("C") for name in found.names], np.bool_)
    flow = -np.array([takers[name] for name in found.names])
    sure = np.mean(np.abs(found.p_long - 0.5) > 0.45)
    cells = [f"{part.sum():+,.0f}" for part in (found.net[calls], flow[calls], found.net[~calls], flow[~calls])]
    return (
        f"| {day} | {len(found.names)} | {' | '.join(cells)} | {np.corrcoef(found.net, flow)[0, 1]:.2f} | {sure:.0%} |"
    )


def main(path: Path) -> None:
    print("| processor time | |\n| --- | ---: |")
    with timed("read the file"):
        sent = rows_of(path)
    with timed("protocol"):
        events = list(events_of(sent))
    whole = dict.fromkeys(sent, False) | {trade.name: True for is_whole, trade in events if is_whole}
    last_ns = max(trade.exch_ns for _, trade in events)
    by_name = defaultdict(list)
    for _, trade in events:
        by_name[trade.name].append(trade)
    with (
        tempfile.TemporaryDirectory() as folder,
        TradeStore(Path(folder) / "trades.sqlite", clock=lambda: 0, flush_interval_s=None) as store,
    ):
        with timed("store, written"):
            for name, trades in by_name.items():
                store.append_trades(OptionKey(name, "BTC", expiry_ms(name) * MILLISECOND), tuple(trades), last_ns)
            store.flush()
        with timed("store, read"):
            columns = stored_columns(store)
    first_ms: dict[str, float] = {}
    for name, ts_ms in zip(columns["instrument"], columns["ts_ms"]):
        first_ms[name] = min(ts_ms, first_ms.get(name, np.inf))
    at = [datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1e3 for day in DAYS]
    nothing: Columns = {"ts_ms": [], "instrument": [], "value": []}
    with timed("estimator, hour by hour to 15 June"):
        found = dfmon.dealer_positions(columns, nothing, instruments_of(whole, first_ms), at)
    count, stored = sum(map(len, sent.values())), len(columns["ts_ms"])
    print(
        f"\n{stored:,} of {count:,} prints of {len(sent)} options, {sum(whole.values())} of them from the first one.\n"
    )
    print("| day | options | net of calls | - takers | net of puts | - takers | correlation | P beyond 0.95 |")
    print("| --- |" + " ---: |" * 7)
    signed = np.array(columns["side"]) * np.array(columns["amount"])
    for day, time_ms, one in zip(DAYS, at, found):
        takers: dict[str, float] = defaultdict(float)
        volume: dict[str, float] = defaultdict(float)
        for name, ts_ms, coins in zip(columns["instrument"], columns["ts_ms"], signed.tolist()):
            if ts_ms <= time_ms:
                takers[name] += coins
                volume[name] += abs(coins)
        assert np.isfinite(one.net).all()
        seen = np.array([whole[name] for name in one.names])  # what was open before bounds no other
        printed = np.array([volume[name] for name in one.names])
        assert (np.abs(one.members).max(axis=1) <= printed + 1e-6)[seen].all()
        print(row(day, one, takers))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TAPE)
