from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from dfmon.model.units import DAY, MILLISECOND, MINUTE, SECOND
from dfmon.sim.deribit.trades import option_trade
from dfmon.sim.faults import Faults
from dfmon.sim.market.board_specs import SPECS
from dfmon.sim.market.flow import CustomerFlow
from dfmon.sim.market.ladder import Ladder, LadderSpec
from dfmon.sim.market.ledger import AMONG_DEALERS, CUSTOMER_TAKES, DEALER_TAKES, DESKS, Ledger
from dfmon.sim.market.simulated_market import SimulatedMarket

pytestmark = pytest.mark.slow


def market_state(market: SimulatedMarket) -> list[Any]:
    """Everything a client could ever see, and the truth behind it."""
    rows: list[Any] = []
    for c in market.currencies.values():
        rows += [c.path.price, c.path.vol, c.trade_log.trades[-400:], c.board.mark.tobytes(), c.board.iv.tobytes()]
        rows += [c.board.bid.tobytes(), c.board.ask_size.tobytes(), c.ledger.dealer_position.tobytes()]
        for m in (*c.hedges, *c.futures.values()):
            rows += [m.book.bids, m.book.asks, m.book.version, m.last, m.premium, m.trade_id, m.volume]
    return rows


def test_state_does_not_depend_on_how_time_was_advanced(noon: int) -> None:
    end = noon + 40 * SECOND
    direct, stepped = SimulatedMarket(7, noon), SimulatedMarket(7, noon)
    direct.advance(end)
    rng, now = np.random.default_rng(3), noon
    while now < end:
        now = min(now + int(rng.integers(1, 700)) * MILLISECOND, end)
        stepped.advance(now)
    assert market_state(direct) == market_state(stepped)
    assert direct.drain_events().option_trades == stepped.drain_events().option_trades


def test_another_seed_is_another_market(noon: int) -> None:
    first, second = SimulatedMarket(7, noon, ("BTC",)), SimulatedMarket(8, noon, ("BTC",))
    for market in (first, second):
        market.advance(noon + SECOND)
    assert first.currencies["BTC"].path.price != second.currencies["BTC"].path.price


def test_a_coin_does_not_depend_on_which_others_are_simulated(noon: int) -> None:
    alone, both = SimulatedMarket(7, noon, ("ETH",)), SimulatedMarket(7, noon)
    for market in (alone, both):
        market.advance(noon + 5 * SECOND)
    assert alone.currencies["ETH"].path.price == both.currencies["ETH"].path.price


def test_unknown_currency_is_refused(noon: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        SimulatedMarket(7, noon, ("DOGE",))


def test_books_balance_whatever_is_traded() -> None:
    rng = np.random.default_rng(11)
    ledger, reference = Ledger(3), np.zeros(3)
    for _ in range(5_000):
        row, side = int(rng.integers(3)), int(rng.choice([-1, 1]))
        amount = float(rng.integers(1, 50))
        ledger.apply_trade(row, side, amount, bool(rng.random() < 0.5), bool(rng.random() < 0.5))
        reference[row] -= side * amount
        books = (ledger.customer_long, ledger.customer_short, ledger.dealer_long, ledger.dealer_short)
        assert all(book.min() >= 0.0 for book in books)
        assert np.array_equal(ledger.open_interest, ledger.customer_short + ledger.dealer_short)
    assert np.array_equal(ledger.dealer_position, reference), "dealers hold minus what customers bought"


@pytest.mark.parametrize(("party_class", "moved"), [(0, -1.0), (1, 1.0), (2, 0.0), (3, 0.0)])
def test_dealers_move_by_who_stands_behind_the_print(party_class: int, moved: float) -> None:
    ledger, rng = Ledger(1), np.random.default_rng(12)
    for _ in range(2_000):
        before, side = float(ledger.dealer_position[0]), int(rng.choice([-1, 1]))
        amount, closes = float(rng.integers(1, 50)), rng.random(2) < 0.5
        ledger.apply_trade(0, side, amount, bool(closes[0]), bool(closes[1]), party_class)
        assert float(ledger.dealer_position[0]) - before == moved * side * amount
        books = (ledger.customer_long, ledger.customer_short, ledger.dealer_long, ledger.dealer_short)
        assert all(book.min() >= 0.0 for book in books)
        assert np.array_equal(ledger.open_interest, ledger.customer_short + ledger.dealer_short)


def test_desks_add_up_to_the_dealers_and_trade_with_each_other() -> None:
    ledger, rng = Ledger(2), np.random.default_rng(13)
    for _ in range(4_000):
        row, side, party_class = int(rng.integers(2)), int(rng.choice([-1, 1])), int(rng.integers(4))
        taker, maker = rng.permutation(len(DESKS))[:2].tolist()
        amount, closes = float(rng.integers(1, 50)), rng.random(2) < 0.5
        before, dealer_total = ledger.desk_long - ledger.desk_short, ledger.dealer_position
        ledger.apply_trade(row, side, amount, bool(closes[0]), bool(closes[1]), party_class, (taker, maker))
        moved = ledger.desk_long - ledger.desk_short - before
        expected = np.zeros_like(moved)
        expected[taker, row] += side * amount * (party_class in (DEALER_TAKES, AMONG_DEALERS))
        expected[maker, row] -= side * amount * (party_class in (CUSTOMER_TAKES, AMONG_DEALERS))
        assert np.array_equal(moved, expected)
        assert np.array_equal(ledger.dealer_position - dealer_total, expected.sum(axis=0))
        assert ledger.desk_long.min() >= 0.0
        assert ledger.desk_short.min() >= 0.0
        assert np.array_equal(ledger.open_interest, ledger.customer_short + ledger.dealer_short)


def test_the_desks_of_a_board_hold_their_shares_and_stay_over_a_roll(noon: int) -> None:
    market = SimulatedMarket(5, noon, ("BTC",), 0.3)
    positions = market.true_desk_positions("BTC")
    assert len(positions) == len(DESKS)
    dealer_total = {name: sum(desk[name] for desk in positions) for name in positions[0]}
    assert dealer_total == pytest.approx(market.true_dealer_positions("BTC"), abs=1e-6)
    ledger = market.currencies["BTC"].ledger
    gross = (ledger.desk_long + ledger.desk_short).sum(axis=1)
    assert gross / gross.sum() == pytest.approx(np.array(DESKS), abs=0.12)
    market.apply_one_shots(Faults(roll=True))
    after = market.true_desk_positions("BTC")
    for before, desk in zip(positions, after):
        assert all(desk[name] == before[name] for name in before.keys() & desk.keys())


def test_open_interest_is_the_outcome_of_the_tape(aged_market: SimulatedMarket) -> None:
    for c in aged_market.currencies.values():
        assert np.allclose(c.ledger.open_interest, c.ledger.customer_short + c.ledger.dealer_short)
        mirror = dict.fromkeys(c.board.names, 0.0)
        seen = dict.fromkeys(c.board.names, 0)
        for trade in c.trade_log.trades:
            mirror[trade.name] -= trade.side * trade.amount
            seen[trade.name] += 1
            assert trade.seq == seen[trade.name]
        taken, true = np.array(list(mirror.values())), c.ledger.dealer_position
        assert not np.allclose(taken, true), "takers are not always customers"
        assert np.corrcoef(taken, true)[0, 1] > 0.7, "but mostly they are"
        assert (np.abs(true) <= c.ledger.open_interest + 1e-6).all()
        numbers = [t.number for t in c.trade_log.trades]
        assert numbers == sorted(set(numbers))
        assert all(a.ts_ms <= b.ts_ms for a, b in zip(c.trade_log.trades, c.trade_log.trades[1:]))


def test_customers_write_calls_above_and_buy_puts_below(aged_market: SimulatedMarket) -> None:
    board, dealer = aged_market.currencies["BTC"].board, aged_market.currencies["BTC"].ledger.dealer_position
    calls_above = (board.sign > 0) & (board.strike > 1.07 * board.underlying)
    puts_below = (board.sign < 0) & (board.strike < 0.93 * board.underlying)
    assert dealer[calls_above].sum() > 0.0
    assert dealer[puts_below].sum() < 0.0


def test_orders_have_blocks_and_combos(noon: int) -> None:
    board = SimulatedMarket(7, noon, ("BTC",)).currencies["BTC"].board
    flow = CustomerFlow(SPECS["BTC"].flow, np.random.default_rng(1))
    orders = [flow.draw_order(board, 82_000.0) for _ in range(12_000)]
    volume = [sum(leg.amount for leg in order.legs) for order in orders]
    share = np.array([[o.block, bool(o.structure) and not o.block] for o in orders]).T @ np.array(volume) / sum(volume)
    assert 0.22 < share[0] < 0.38
    assert 0.13 < share[1] < 0.27
    assert all(leg.amount >= 25.0 for order in orders if order.block for leg in order.legs)
    assert all(board.contracts[leg.row].currency == "BTC" for order in orders for leg in order.legs)


def test_arrivals_cluster_around_a_moving_tape() -> None:
    both = [CustomerFlow(SPECS[name].flow, np.random.default_rng(2)) for name in ("BTC", "ETH")]
    counts = np.array([sum(flow.draw_arrivals(0.1) for flow in both) for _ in range(72_000)])
    assert 1.0 < counts.sum() / 7_200.0 < 2.0
    tens = counts.reshape(-1, 100).sum(axis=1)
    assert tens.var() > 1.5 * tens.mean(), "a Poisson tape would have variance equal to its mean"


def test_board_is_of_realistic_size_and_depth(aged_market: SimulatedMarket) -> None:
    for name, low, high in (("BTC", 130e6, 300e6), ("ETH", 60e6, 200e6)):
        currency = aged_market.currencies[name]
        assert 500 <= len(currency.board.names) <= 750
        depth = 0.0
        for m in currency.hedges:
            reach = [p * m.spec.tick / m.book.mid for p in (min(m.book.bids), max(m.book.asks))]
            assert reach[0] < 0.99
            assert reach[1] > 1.01
            depth += sum(s * p * m.spec.tick for p, s in m.book.bids.items() if p * m.spec.tick > 0.99 * m.book.mid)
        assert low < depth < high
    quotes = aged_market.currencies["BTC"].board
    assert 0 < np.isnan(quotes.bid).sum() < 150
    assert np.all(quotes.bid_iv[np.isnan(quotes.bid)] == 0.0)
    assert np.all(quotes.ask_iv[np.isnan(quotes.ask)] == 500.0)
    assert np.all((quotes.bid <= quotes.mark + 1e-9) | np.isnan(quotes.bid))


def test_spot_moves_every_second_at_a_believable_pace(noon: int) -> None:
    market = SimulatedMarket(7, noon, ("BTC",))
    prices = []
    for n in range(240):
        market.advance(noon + n * SECOND)
        prices.append(market.currencies["BTC"].index)
    assert sum(a != b for a, b in itertools.pairwise(prices)) > 235
    assert 0.2 < np.std(np.diff(np.log(prices))) * np.sqrt(365 * 86_400) < 1.2


def test_the_roll_delivers_and_lists(noon: int) -> None:
    market = SimulatedMarket(7, noon + 44 * 3_600 * SECOND - 2 * MINUTE, ("BTC",))  # Tuesday 07:58
    btc = market.currencies["BTC"]
    first, positions = btc.board.slices[0].expiry, market.true_dealer_positions("BTC")
    assert btc.in_averaging_window
    market.advance(market.start_ns + 119 * SECOND)
    estimate = btc.estimated_delivery
    market.advance(market.start_ns + 125 * SECOND)
    events = market.drain_events()
    assert {c.expiry for c in events.delivered} == {first}
    assert first.label not in {s.expiry.label for s in btc.board.slices}
    assert {c.expiry.expiry_ns - first.expiry_ns for c in events.listed} == {4 * DAY}
    assert btc.deliveries[0][1] == pytest.approx(estimate, rel=1e-4)
    new_names = {c.name for c in events.listed}
    after = market.true_dealer_positions("BTC")
    traded = {t.name for t in events.option_trades}
    assert all(after[n] == positions[n] for n in after if n not in new_names and n not in traded)
    assert all(after[n] == 0.0 for n in new_names - traded)


def test_ladder_changes_rebuild_the_book() -> None:
    rng = np.random.default_rng(5)
    ladder = Ladder(LadderSpec(0.1, 49, 240, 670.0, 3), 82_000.0, rng)
    bids, asks, version, mid = dict(ladder.bids), dict(ladder.asks), ladder.version, 82_000.0
    for n in range(1_500):
        mid += float(rng.normal()) * (3.0 if n % 400 else 3_000.0)
        ladder.move_to(mid)
        if n % 3:
            continue
        change = ladder.changes_since(version)
        version = change.version
        for side, diff in ((bids, change.bids), (asks, change.asks)):
            side.update(diff)
            for price in [p for p, size in diff.items() if size == 0.0]:
                del side[price]
        assert (bids, asks) == (ladder.bids, ladder.asks)
        assert max(bids) == ladder.bid < ladder.ask == min(asks)
    assert ladder.top_bids(20) == sorted(ladder.bids.items(), reverse=True)[:20]
    assert ladder.top_asks(20) == sorted(ladder.asks.items())[:20]


def test_books_move_without_a_print_and_stay_balanced() -> None:
    rng = np.random.default_rng(4)
    ledger = Ledger(3)
    for row in range(3):
        for side in (1, -1):
            ledger.apply_trade(row, side, 50.0, False, False)
    before, lower, changed = ledger.open_interest, 0, 0
    for _ in range(60):
        position, interest = ledger.dealer_position, ledger.open_interest
        ledger.move_without_print(rng)
        np.testing.assert_allclose(ledger.open_interest, ledger.customer_short + ledger.dealer_short, atol=1e-9)
        assert (ledger.open_interest <= interest + 1e-9).all()
        lower += bool((ledger.open_interest < interest - 1e-9).any())
        changed += not np.allclose(ledger.dealer_position, position)
    assert lower > 15
    assert changed > 15
    assert (ledger.open_interest < before).all()


def test_liquidations_are_told_over_rest_an_hour_late(noon: int) -> None:
    market = SimulatedMarket(7, noon, ("BTC",)).currencies["BTC"]
    forced = [t for t in market.trade_log.trades if t.liquidation]
    assert {t.liquidation for t in forced} == {"T", "M", "MT"}
    assert 0.002 < len(forced) / len(market.trade_log.trades) < 0.01
    late = forced[0].ts_ms + 3_600_000
    assert option_trade(forced[0], "BTC", late)["liquidation"] == forced[0].liquidation
    assert "liquidation" not in option_trade(forced[0], "BTC", late - 1)
    assert "liquidation" not in option_trade(forced[0], "BTC")
