"""The day before the start of the simulated market: it meets the market where that begins."""

from __future__ import annotations

import math

import pytest

from dfmon.cli.demo_past import past_rows
from dfmon.core.step import FlowParams
from dfmon.model.events import BookSnapshot, IndexPrice, OptionTicker, OptionTrade
from dfmon.model.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from dfmon.sim.market.past_boards import PastBoards
from dfmon.sim.market.simulated_market import SimulatedMarket

START_NS = 1_796_000_000 * SECOND


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(7, START_NS, ("BTC",), history=0.05, strike_spacing=10.0)


def test_the_last_board_is_that_of_the_start(market: SimulatedMarket) -> None:
    currency = market.currencies["BTC"]
    moments = list(PastBoards(currency, "BTC").moments(range(START_NS - DAY, START_NS + 1, HOUR)))
    events = [event for _, batch in moments for event in batch]
    open_interest = {e.name: e.open_interest for e in events if isinstance(e, OptionTicker)}
    assert open_interest == pytest.approx(dict(zip(currency.board.names, currency.ledger.open_interest.tolist())))
    assert len([e for e in events if isinstance(e, OptionTrade)]) == len(currency.trade_log.trades)
    (last_spot,) = [e.price for e in moments[-1][1] if isinstance(e, IndexPrice)]
    assert last_spot == pytest.approx(currency.path.price, rel=1e-3)


def test_books_lie_around_spot_and_are_as_deep_as_at_the_start(market: SimulatedMarket) -> None:
    currency = market.currencies["BTC"]
    (_, events), *_ = PastBoards(currency, "BTC").moments([START_NS - DAY])
    (spot,) = [e.price for e in events if isinstance(e, IndexPrice)]
    books = [e for e in events if isinstance(e, BookSnapshot)]
    assert len(books) == len(currency.hedges)
    for book, hedge in zip(books, currency.hedges):
        best_bid, best_ask = max(p for p, _ in book.bids), min(p for p, _ in book.asks)
        assert (best_bid + best_ask) / 2.0 == pytest.approx(spot, rel=2e-3)
        ratio = spot / currency.path.price
        assert ratio != pytest.approx(1.0, rel=1e-4)
        assert best_bid == pytest.approx(max(hedge.book.bids) * hedge.spec.tick * ratio)
        assert sum(size for _, size in book.bids) == pytest.approx(sum(hedge.book.bids.values()))


def test_volatility_moves_against_spot_and_less_at_long_tenors(market: SimulatedMarket) -> None:
    currency = market.currencies["BTC"]
    smile, now = PastBoards(currency, "BTC")._smile(0.9 * currency.path.price), currency.path.smile
    variance = 0.9**-3.0  # log volatility changes by -1.5 of that of log spot
    assert (smile.v0 / now.v0, smile.v_inf / now.v_inf) == pytest.approx((variance, variance**0.25))


def test_no_print_is_ahead_of_its_moment(market: SimulatedMarket) -> None:
    boards = PastBoards(market.currencies["BTC"], "BTC")
    for ts_ns, events in boards.moments(range(START_NS - DAY, START_NS + 1, 6 * HOUR)):
        assert all(
            event.exch_ns // MILLISECOND <= ts_ns // MILLISECOND for event in events if hasattr(event, "exch_ns")
        )


@pytest.mark.slow
def test_a_row_a_minute_with_exposures_and_no_gap(market: SimulatedMarket) -> None:
    rows = past_rows(market, "BTC", FlowParams(), 3 * HOUR)
    assert [row.ts_ns for row in rows] == list(range(START_NS - 3 * HOUR, START_NS, MINUTE))
    assert all(math.isfinite(value) for row in rows for value in (row.spot, row.ngi, row.vss, row.chl, row.coverage))
    assert len({row.ngi for row in rows}) == 6  # two boards an hour
