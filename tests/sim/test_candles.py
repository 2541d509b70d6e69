from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dfmon.model.units import DAY, MILLISECOND, MINUTE, SECOND
from dfmon.sim.market.candles import DAY_MS, Candle, Interval, MinuteLog
from dfmon.sim.market.funding_log import HOUR_MS
from dfmon.sim.market.linear_market import LinearMarket, LinearTrade
from dfmon.sim.market.past_path import MINUTE_MS, PastPath
from dfmon.sim.market.simulated_market import SimulatedMarket

pytestmark = pytest.mark.slow

MINUTE_BARS = Interval(MINUTE_MS)
INTERVALS = (MINUTE_BARS, Interval(5 * MINUTE_MS), Interval(60 * MINUTE_MS), Interval(DAY_MS, 4 * DAY_MS))


@pytest.fixture(scope="module")
def traded(noon: int) -> tuple[LinearMarket, list[LinearTrade], int]:
    """A market with every trade of its first seven minutes."""
    market = SimulatedMarket(7, noon, ("BTC",), 0.02, step_ns=SECOND)
    market.advance(noon + 430 * SECOND)
    spot = market.linear_markets("okx")["BTC-USDT"]
    trades = [t for t in market.drain_events().linear_trades if t.market is spot]
    return spot, trades, noon // MILLISECOND


def test_minutes_are_those_of_the_trades(traded: tuple[LinearMarket, list[LinearTrade], int]) -> None:
    market, trades, start_ms = traded
    rows = market.minutes.candles(MINUTE_BARS, start_ms, start_ms + 420_000)
    assert [row.start_ms for row in rows] == [start_ms + n * MINUTE_MS for n in range(8)]
    for row in rows:
        of_minute = [t for t in trades if 0 <= t.ts_ns - row.start_ms * MILLISECOND < MINUTE]
        prices = [t.price for t in of_minute]
        bought = [t for t in of_minute if t.side > 0]
        assert (row.open, row.high, row.low, row.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert (row.trades, row.first_id, row.last_id) == (len(prices), of_minute[0].trade_id, of_minute[-1].trade_id)
        assert row.coins == pytest.approx(sum(t.coins for t in of_minute), rel=1e-12)
        assert row.usd == pytest.approx(sum(t.coins * t.price for t in of_minute), rel=1e-12)
        assert row.buy_coins == pytest.approx(sum(t.coins for t in bought), rel=1e-12)
        assert row.buy_usd == pytest.approx(sum(t.coins * t.price for t in bought), rel=1e-12)


@pytest.mark.parametrize("interval", INTERVALS)
def test_longer_candles_are_sums_of_minutes(
    traded: tuple[LinearMarket, list[LinearTrade], int], interval: Interval
) -> None:
    market, _, start_ms = traded
    end_ms = start_ms + 420_000
    rows = market.minutes.candles(interval, start_ms - 3 * interval.length_ms, end_ms)
    minutes = market.minutes.candles(MINUTE_BARS, rows[0].start_ms, end_ms)
    for row in rows:
        part = [m for m in minutes if 0 <= m.start_ms - row.start_ms < interval.length_ms]
        assert (row.open, row.close) == (part[0].open, part[-1].close)
        assert (row.high, row.low) == (max(m.high for m in part), min(m.low for m in part))
        assert row.trades == sum(m.trades for m in part)
        assert (row.coins, row.usd) == pytest.approx((sum(m.coins for m in part), sum(m.usd for m in part)), rel=1e-9)


def test_the_past_passes_through_the_hours_and_joins_the_first_trade(
    traded: tuple[LinearMarket, list[LinearTrade], int],
) -> None:
    market, trades, start_ms = traded
    past = market.minutes.past
    assert past is not None
    hourly = market.minutes.candles(Interval(60 * MINUTE_MS), start_ms - 48 * 60 * MINUTE_MS, start_ms - 1)
    assert [row.open for row in hourly] == pytest.approx(
        past.index_history[-49:-1].tolist(), abs=0.51 * market.spec.tick
    )
    assert hourly[-1].close == pytest.approx(trades[0].price, rel=5e-3)
    assert sum(row.usd for row in hourly) == pytest.approx(2.0 * market.spec.adv_usd, rel=0.05)


def test_the_past_is_the_same_in_any_window() -> None:
    hours = 1_000.0 * np.exp(0.01 * np.random.default_rng(1).standard_normal(40))
    path = PastPath(hours, 100 * 60 * MINUTE_MS + 17, 1.0, 0.01, 0.5, 1e6, 2.0)
    whole = path.minutes(0, 10**12)
    assert len(whole.close) == 39 * 60, "as far as the history reaches, to the minute of the start"
    assert np.array_equal(whole.open[1:], whole.close[:-1])
    first = whole.first + 777
    part = path.minutes(first * MINUTE_MS, (first + 500) * MINUTE_MS)
    assert part.first == first
    for column, of_whole in zip(part[1:], whole[1:]):
        assert np.array_equal(column, of_whole[777:1_277])
    assert len(path.minutes(10**12, 2 * 10**12).close) == 0
    log_returns = np.log(whole.close / whole.open)
    assert np.std(log_returns) * np.sqrt(365 * 1_440) == pytest.approx(0.5, rel=0.5)


def test_minutes_without_trades_repeat_the_close() -> None:
    log = MinuteLog()
    log.add_trade(60_500, 10.0, 1.0, 1, 5)
    log.add_trade(245_000, 12.0, 2.0, -1, 6)
    rows = log.candles(MINUTE_BARS, 0, 300_000)
    assert [(r.start_ms, r.open, r.close, r.coins) for r in rows] == [
        (60_000, 10.0, 10.0, 1.0), (120_000, 10.0, 10.0, 0.0), (180_000, 10.0, 10.0, 0.0),
        (240_000, 12.0, 12.0, 2.0), (300_000, 12.0, 12.0, 0.0),
    ]  # fmt: skip
    assert log.candles(MINUTE_BARS, 0, 59_000) == []
    assert rows[0] == Candle(60_000, 10.0, 10.0, 10.0, 10.0, 1.0, 10.0, 1.0, 10.0, 1, 5, 5)


def test_no_gap_opens_when_the_oldest_minutes_are_dropped() -> None:
    log = MinuteLog()
    log.past = PastPath(np.full(100, 10.0), 60 * MINUTE_MS, 1.0, 0.01, 0.5, 1e6, 2.0)
    for n in range(60, 60 + 4_320):
        log.add_trade(n * MINUTE_MS, 10.0, 1.0, 1, n)
    assert log.candles(MINUTE_BARS, 0, 10**9)[0].start_ms == 0
    log.add_trade(10**9, 10.0, 1.0, 1, 9)
    assert log.candles(MINUTE_BARS, 0, 10**9)[0].start_ms == 61 * MINUTE_MS


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    sunday = 1_795_305_600_000  # 22 November 2026
    assert Interval(7 * DAY_MS, 4 * DAY_MS).start(sunday + 5) == sunday - 6 * DAY_MS
    month = Interval(0, monthly=True)
    assert month.start(sunday) == sunday - 21 * DAY_MS
    assert month.next_start(sunday - 21 * DAY_MS) == sunday + 9 * DAY_MS
    eastern = Interval(0, -8 * 3_600_000, monthly=True)
    assert eastern.start(sunday) == sunday - 21 * DAY_MS - 8 * 3_600_000
    assert DAY == DAY_MS * MILLISECOND


def test_funding_of_the_past_joins_that_since_the_start(noon: int) -> None:
    market = SimulatedMarket(7, noon - 90 * SECOND, ("SOL",), 0.02, step_ns=SECOND)
    perpetual = market.linear_markets("binance-futures")["SOLUSDT"]
    noon_ms = noon // MILLISECOND
    before = perpetual.funding_hours(noon_ms - 10**9, noon_ms + 10**7)
    assert before[-1].time_ms == noon_ms - HOUR_MS
    market.advance(noon + 5 * SECOND)
    hours = perpetual.funding_hours(noon_ms - 10**9, noon_ms + 10**7)
    assert hours[:-1] == before
    assert [b.time_ms - a.time_ms for a, b in pairwise(hours)] == [HOUR_MS] * (len(hours) - 1)
    assert hours[-1].index_price == pytest.approx(perpetual.index, rel=1e-3)
    rates = [hour.rate for hour in hours]
    assert len(set(rates)) > 100
    assert all(-0.0001 < rate < 0.0003 for rate in rates)
    past = perpetual.minutes.past
    assert past is not None
    assert before[-1].index_price == pytest.approx(
        past.minutes(noon_ms - HOUR_MS, noon_ms).open[0] / past.scale, abs=1e-3
    )
    assert perpetual.funding_hours(0, 10) == []
