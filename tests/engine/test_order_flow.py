"""Order flow by hand, and the best prices of a book against a scan of all its levels."""

import copy
import math
import pickle

import numpy as np
import pytest

from dfmon.engine.market import MarketState
from dfmon.engine.order_flow import Asks, Bids, OrderFlow, quote_imbalance_usd
from dfmon.model.events import BookLost, BookSnapshot, BookUpdate, Liquidation, Market, MarketTrade
from dfmon.model.frames import VenueFlow
from dfmon.model.units import MILLISECOND, NAN
from tests.chains import NOW

PERP = ("binance", Market.PERP, "BTC")
Levels = tuple[tuple[float, float], ...]


def book(bids: Levels, asks: Levels, kind: type = BookUpdate) -> BookSnapshot | BookUpdate:
    event: BookSnapshot | BookUpdate = kind(*PERP, NOW, bids, asks)
    return event


def flow_after(*events: object) -> VenueFlow:
    state = MarketState(("BTC",))
    for event in events:
        state.apply(event, NOW)
    (row,) = state.freeze("BTC", NOW).markets
    return row.flow


def trade(side: int, size: float = 1.0, price: float = 100.0, at_ms: int = 0) -> MarketTrade:
    return MarketTrade(*PERP, NOW + at_ms * MILLISECOND, price, size, side)


FIRST = book(((100.0, 5.0), (99.0, 7.0)), ((101.0, 4.0), (102.0, 6.0)), BookSnapshot)


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        # written out from the definition of e_n, queue by queue
        (book(((100.0, 8.0),), ()), 100.0 * 3.0),  # three coins joined the bid
        (book(((100.0, 1.0),), ()), -100.0 * 4.0),  # four left the bid
        (book((), ((101.0, 6.0),)), -101.0 * 2.0),  # two joined the ask
        (book((), ((101.0, 0.5),)), 101.0 * 3.5),  # 3.5 left the ask
        (book(((100.5, 2.0),), ()), 100.5 * 2.0),  # a better bid: its whole queue
        (book(((100.0, 0.0),), ()), -100.0 * 5.0),  # the bid fell to 99: its whole queue left
        (book((), ((100.5, 3.0),)), -100.5 * 3.0),  # a better ask
        (book((), ((101.0, 0.0),)), 101.0 * 4.0),  # the ask rose to 102
        (book(((100.5, 2.0),), ((101.0, 0.0),)), 100.5 * 2.0 + 101.0 * 4.0),
        (book(((90.0, 9.0),), ((110.0, 9.0),)), 0.0),  # far levels do not count
        (book((), ()), 0.0),
    ],
)
def test_each_kind_of_change_of_the_best_quotes(update: BookUpdate, expected: float) -> None:
    assert flow_after(FIRST, update).imbalance_usd == pytest.approx(expected, abs=1e-9)


def test_a_sequence_adds_up_and_the_first_book_is_no_flow() -> None:
    updates = book(((100.0, 8.0),), ()), book(((100.5, 1.0),), ((101.0, 1.0),)), book(((100.5, 0.0),), ((101.0, 0.0),))
    assert flow_after(FIRST).imbalance_usd == 0.0
    by_hand = 100.0 * 3.0 + (100.5 * 1.0 + 101.0 * 3.0) + (-100.5 * 1.0 + 101.0 * 1.0)
    assert flow_after(FIRST, *updates).imbalance_usd == pytest.approx(by_hand)


@pytest.mark.parametrize(
    "interruption", [BookLost(*PERP), book(((103.0, 1.0),), ()), book(((100.0, 0.0), (99.0, 0.0)), ())]
)
def test_no_flow_is_counted_across_a_lost_crossed_or_one_sided_book(interruption: object) -> None:
    later = book(((90.0, 50.0),), ((91.0, 1.0),), BookSnapshot)
    flow = flow_after(FIRST, interruption, later)
    assert (flow.imbalance_usd, flow.bid, flow.ask_size) == (0.0, 90.0, 1.0)
    assert math.isnan(flow_after(FIRST, interruption).bid)


@pytest.mark.parametrize("is_ask", [False, True])
@pytest.mark.parametrize(("seed", "prices"), [(seed, prices) for seed in range(10) for prices in (2, 30, 400)])
def test_best_price_equals_a_scan_of_all_levels(seed: int, prices: int, is_ask: bool) -> None:
    """On a small grid levels go and come back, also all of them."""
    rng, side = np.random.default_rng(seed), Asks() if is_ask else Bids()
    for step in range(40):
        levels = rng.integers(1, prices + 1, 20).astype(float).tolist()
        sizes = rng.choice((0.0, 0.0, 1.0, 2.5), 20).tolist()
        (side.replace if step == 0 else side.update)(list(zip(levels, sizes)))
        scan = (min if is_ask else max)(side.levels, default=NAN)
        assert side.best() == scan or not side.levels


@pytest.mark.slow
@pytest.mark.parametrize("side", [Bids(), Asks()])
def test_best_price_on_a_long_walk_of_a_deep_book(side: Bids | Asks) -> None:
    """The windows of near prices run empty and overflow many times."""
    rng = np.random.default_rng(3)
    middle, extreme, top_sizes = 10_000, min if isinstance(side, Asks) else max, []
    for step in range(3_000):
        middle += int(rng.integers(-60, 61))
        offsets = rng.geometric(0.02, 30)
        prices = middle + (offsets if isinstance(side, Asks) else -offsets)
        removed = [(p, 0.0) for p in list(side.levels) if (p < middle if isinstance(side, Asks) else p > middle)]
        side.update([*removed, *((float(p), float(rng.integers(0, 3))) for p in prices)])
        if side.levels:
            assert side.best() == extreme(side.levels), step
        top_sizes.append(len(side._top))
    assert max(top_sizes) < 400


def test_order_flow_imbalance_of_a_random_book_equals_a_brute_force_over_the_whole_levels() -> None:
    rng = np.random.default_rng(11)
    state, bids, asks = MarketState(("BTC",)), dict(FIRST.bids), dict(FIRST.asks)
    state.apply(FIRST, NOW)
    before: tuple[float, float, float, float] | None = (100.0, 5.0, 101.0, 4.0)
    total = 0.0
    for _ in range(2_000):
        new_bids = tuple((100.0 - float(rng.integers(0, 8)), float(rng.integers(0, 4))) for _ in range(3))
        new_asks = tuple((101.0 + float(rng.integers(0, 8)), float(rng.integers(0, 4))) for _ in range(3))
        state.apply(book(new_bids, new_asks), NOW)
        for side, levels in ((bids, new_bids), (asks, new_asks)):
            side.update(levels)
            for price in [price for price, size in side.items() if not size]:
                del side[price]
        now = (max(bids), bids[max(bids)], min(asks), asks[min(asks)]) if bids and asks else None
        if before and now:
            (pb0, qb0, pa0, qa0), (pb, qb, pa, qa) = before, now
            total += (pb >= pb0) * pb * qb - (pb <= pb0) * pb0 * qb0 - (pa <= pa0) * pa * qa + (pa >= pa0) * pa0 * qa0
        before = now
    assert state.freeze("BTC", NOW).markets[0].flow.imbalance_usd == pytest.approx(total, abs=1e-6)
    assert total


def test_mirrored_book_has_the_opposite_imbalance_in_coins() -> None:
    """With a price of one dollar on both sides USD are coins, and the sides may be exchanged."""
    before, now = (1.0, 5.0, 1.0, 4.0), (1.0, 2.0, 1.0, 9.0)
    assert quote_imbalance_usd(before, now) == (2.0 - 5.0) - (9.0 - 4.0)
    assert quote_imbalance_usd((1.0, 4.0, 1.0, 5.0), (1.0, 9.0, 1.0, 2.0)) == -quote_imbalance_usd(before, now)


def test_taker_flow_and_signs_by_hand() -> None:
    flow = flow_after(trade(1, 2.0, at_ms=1), trade(1, 1.0, at_ms=2), trade(-1, 3.0, at_ms=3), trade(1, 1.0, at_ms=4))
    assert (flow.buy_usd, flow.sell_usd) == (400.0, 300.0)
    # signs + + - +: products +1 -1 -1
    assert (flow.prints, flow.signs, flow.sign_pairs, flow.sign_products) == (4, 2, 3, -1)


def test_fills_of_one_taker_order_are_one_print_of_the_sign_series() -> None:
    sweep = [trade(1, 1.0, 100.0 + level, at_ms=5) for level in range(4)]
    flow = flow_after(trade(-1, at_ms=1), *sweep, trade(-1, at_ms=5), trade(-1, at_ms=6))
    assert (flow.prints, flow.sign_pairs, flow.sign_products) == (4, 3, -1 - 1 + 1)
    assert flow.buy_usd == 100.0 + 101.0 + 102.0 + 103.0


@pytest.mark.parametrize(("price", "size"), [(NAN, 1.0), (100.0, NAN), (100.0, 0.0), (-1.0, 1.0), (100.0, math.inf)])
def test_print_without_an_amount_changes_nothing(price: float, size: float) -> None:
    assert flow_after(trade(1, size, price)) == VenueFlow()


def test_forced_orders_are_summed_by_side() -> None:
    orders = [Liquidation(*PERP, NOW, side, 100.0, usd) for side, usd in ((1, 5.0), (-1, 7.0), (1, NAN), (-1, -1.0))]
    flow = flow_after(*orders)
    assert (flow.short_liquidated_usd, flow.long_liquidated_usd) == (5.0, 7.0)


def test_times_are_those_of_receipt_and_the_sums_start_with_the_first_event() -> None:
    state = MarketState(("BTC",))
    state.apply(trade(1), 17)
    state.apply(FIRST, 19)
    state.apply(trade(1, at_ms=1), 23)
    flow = state.freeze("BTC", NOW).markets[0].flow
    assert (flow.since_ns, flow.last_print_ns) == (17, 23)


def test_state_survives_the_checkpoint_of_a_replay() -> None:
    flow, bids, asks = OrderFlow(), Bids(), Asks()
    bids.replace(((99.0, 1.0), (98.0, 2.0)))
    asks.replace(((101.0, 1.0),))
    flow.on_quotes(bids, asks, 1)
    restored_flow, restored_bids, restored_asks = pickle.loads(pickle.dumps((flow, bids, asks)))
    for f, b, a in ((flow, bids, asks), (restored_flow, restored_bids, restored_asks)):
        b.update(((99.0, 0.0), (97.0, 1.0)))
        f.on_quotes(b, a, 2)
    assert restored_flow.freeze() == flow.freeze() == copy.deepcopy(flow).freeze()
    assert flow.freeze().imbalance_usd == -99.0
