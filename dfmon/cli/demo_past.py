"""The day before the start of `dfmon demo`, for its charts: the simulated market's past through the real engine.

Computed in a process of its own, since it takes seconds. Spot has a row a minute; exposures and the edges of the regime
are those of the last half hour, and the scenario is what its rules called for then.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

import msgspec
from msgspec.structs import replace

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.model.units import DAY, MINUTE
from dfmon.sim.market.board_specs import resolve_board
from dfmon.sim.market.past_boards import PastBoards
from dfmon.sim.market.simulated_market import SimulatedMarket

BOARD_INTERVAL_NS: Final = 30 * MINUTE
_NICENESS: Final = 10  # the screen and the exchange go first


def past_rows(market: SimulatedMarket, currency: str, params: FlowParams, span_ns: int = DAY) -> list[MetricRow]:
    """A row a minute of `span_ns` before the market's start, oldest first."""
    past = PastBoards(market.currencies[resolve_board(currency)], currency)
    boards = past.moments(range(market.start_ns - span_ns, market.start_ns, BOARD_INTERVAL_NS))
    snapshots: list[FlowSnapshot] = []
    driver = Driver((currency,), params, {}, snapshots.append)
    rows: list[MetricRow] = []
    for ts_ns, events in boards:
        driver.apply_events(events, ts_ns)
        driver.request_tick(ts_ns)
        row = replace(MetricRow.from_snapshot(snapshots.pop()), bucket=_called_bucket(driver))
        minutes = range(ts_ns, ts_ns + BOARD_INTERVAL_NS, MINUTE)
        rows += [replace(row, ts_ns=minute, spot=spot) for minute, spot in zip(minutes, past.spot(minutes).tolist())]
    return rows


def _called_bucket(driver: Driver) -> int:
    """The bucket that the rules call for; boards are too far apart for one to last."""
    (state,) = driver.flow_states().values()
    buckets = state.books[driver.params.positions].scene.buckets
    scene = buckets.candidate or buckets.scene
    return scene.bucket if scene is not None else 0


def main() -> None:
    """Writes the rows of each currency to stdout; stdin has seed, currencies and parameters."""
    os.nice(_NICENESS)
    seed, currencies, params = msgspec.json.decode(
        sys.stdin.buffer.read(), type=tuple[int, tuple[str, ...], FlowParams]
    )
    market = SimulatedMarket(seed, time.time_ns(), currencies)
    for currency in currencies:
        rows = msgspec.msgpack.encode((currency, past_rows(market, currency, params)))
        sys.stdout.buffer.write(b"%d\n%s" % (len(rows), rows))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
