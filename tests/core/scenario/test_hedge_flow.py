"""Hedge flow against a second reprice: on recorded boards, and through settlements at a standing market."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.columns import Columns, priceable_columns
from dfmon.core.exposure.desks import HedgeShares
from dfmon.core.exposure.hedge_flow import HedgeFlow
from dfmon.core.exposure.market_window import SAMPLES, MarketWindow
from dfmon.core.exposure.option_window import option_keys
from dfmon.core.exposure.outlook import outlook_cases
from dfmon.core.exposure.unit_exposure import UnitExposure, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import totals
from dfmon.core.positions.dealer_net import DealerPositions
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.pricing.pairing import PricingPoints
from dfmon.core.scenario.book_history import BookHistory, measure_book_flows
from dfmon.core.scenario.market_moves import MarketMoves, measure_market_moves
from dfmon.core.scenario.volatility_beta import VolatilityBeta
from dfmon.model.frames import ChainFrame
from dfmon.model.units import DAY, MINUTE, NAN, SECOND, YEAR
from tests.chains import NOW, frame, permuted, trade_columns
from tests.core.boards import Board, snapshot_board
from tests.core.exposure import reprices
from tests.core.exposure.reprices import Market

QUARTER = 15 * MINUTE
BETA = VolatilityBeta.initial().estimate("BTC")


def everybody(move: float) -> HedgeShares:
    return HedgeShares()


PARTS = ("gamma", "vanna", "charm", "settlement")


class Tick(NamedTuple):
    """What one tick of the flows computed."""

    chain: ChainFrame
    cols: Columns
    unit: UnitExposure
    moves: MarketMoves
    flow: HedgeFlow | None


def board_at(board: Board, ts_ns: int, forward: float = 1.0, points: np.ndarray | float = 0.0) -> ChainFrame:
    """The options of a board that are alive at `ts_ns`, with the forwards times `forward` and other volatilities."""
    expiry_ns = np.round(board.expiry_ms).astype(np.int64) * 1_000_000
    at = np.flatnonzero(expiry_ns > ts_ns)
    columns: dict[str, Any] = {
        "uid": at,
        "names": tuple(map(str, at)),
        "expiry_ns": expiry_ns[at],
        "strike": board.strike[at],
        "option_type": board.option_type[at].astype(np.int8),
        "inverse": np.ones(at.size, np.bool_),
        "forward": board.forward[at] * forward,
        "sigma": board.sigma[at] + np.broadcast_to(points, board.sigma.shape)[at] / 100.0,
        "open_interest": board.open_interest[at],
        "first_seen_ns": np.full(at.size, ts_ns),
        "data_ns": np.full(at.size, ts_ns),
        "full_history": np.zeros(at.size, np.bool_),
    }
    return replace(frame(days=(1.0,), ts_ns=ts_ns), spot=board.spot * forward, **columns)


def walk(chains: Iterable[ChainFrame], model: str = "naive") -> Iterator[Tick]:
    """The flows of a convention, tick by tick."""
    window, history = MarketWindow.empty(), BookHistory.empty()
    for chain in chains:
        sign = chain.option_type if model == "naive" else -1.0
        positions = DealerPositions(model, sign * chain.open_interest)
        window = window.push(chain)
        history = history.push(window, positions)
        cols = priceable_columns(chain, positions)
        unit = unit_exposures(cols.forward, cols.strike, cols.sigma, cols.tau, cols.option_type, average=cols.average)
        moves = measure_market_moves(
            window, chain, cols, unit.vega, PricingPoints.unmerged(cols.size), BETA, 0.5, "usd"
        )
        total = totals(unit, cols.position)
        flows = measure_book_flows(history, moves, cols, total, everybody)
        yield Tick(chain, cols, unit, moves, flows.hedge)


def last(chains: list[ChainFrame]) -> Tick:
    *_, tick = walk(chains)
    return tick


def market_of(board: Board, ts_ns: int, forward: float = 1.0, points: np.ndarray | float = 0.0) -> Market:
    moved = board.forward * forward
    return Market(moved, board.sigma + np.asarray(points) / 100.0, (board.expiry_ms * 1e6 - ts_ns) / YEAR, moved)


APRIL = datetime(2026, 4, 2, 16, 6, 23, tzinfo=UTC)
APRIL_NS = round(APRIL.timestamp()) * SECOND
SETTLEMENT_NS = round(datetime(2026, 4, 3, 8, tzinfo=UTC).timestamp()) * SECOND

MOVES = [
    # forward, points, in sqrt(30 d / T), the truth in million USD
    (1.002, 0.0, False, 2.1),
    (np.exp(0.01), -0.5, False, 24.3),
    (np.exp(-0.01), 1.0, False, -70.9),
    (1.0, 2.0, False, -108.1),
    (1.0, 2.0, True, None),
    (0.97, 5.0, True, None),
]


@pytest.mark.parametrize(("forward", "points", "by_tenor", "truth"), MOVES)
def test_the_flow_of_a_move_is_that_of_a_full_reprice(
    forward: float, points: np.ndarray | float, by_tenor: bool, truth: float | None
) -> None:
    board = snapshot_board("20260402T160623Z", "BTC")
    if by_tenor:
        points = (
            points * np.minimum(np.sqrt(30.0 / 365.0 / board.tau), 3.0) * (1.0 + np.log(board.strike / board.forward))
        )
    now_ns = APRIL_NS + QUARTER
    flow = last([board_at(board, APRIL_NS), board_at(board, now_ns, forward, points)]).flow
    expected = reprices.trades(
        board.naive,
        board.strike,
        board.option_type,
        market_of(board, APRIL_NS),
        market_of(board, now_ns, forward, points),
    )
    assert flow is not None
    assert (flow.span_s, flow.new_trades) == (900.0, 0.0)
    for part in PARTS:
        assert getattr(flow, part) == pytest.approx(expected[part], rel=1e-9, abs=1.0), part
    assert flow.value == pytest.approx(sum(expected.values()), rel=1e-9)
    if truth is not None:
        assert flow.value / 1e6 == pytest.approx(truth, abs=0.06)


def test_a_move_inside_the_settlement_window() -> None:
    board = snapshot_board("20260402T160623Z", "BTC")
    start_ns = SETTLEMENT_NS - 20 * MINUTE
    flow = last([board_at(board, start_ns), board_at(board, start_ns + QUARTER, 1.002)]).flow
    assert flow is not None
    assert flow.value / 1e6 == pytest.approx(73.4, abs=0.1)


def test_the_linear_form_is_wrong_by_the_residual() -> None:
    board = snapshot_board("20260402T160623Z", "BTC")
    tick = last([board_at(board, APRIL_NS), board_at(board, APRIL_NS + QUARTER, 1.01, -0.5)])
    assert tick.flow is not None
    assert tick.moves.points_15m == pytest.approx(-0.5)
    total = totals(tick.unit, tick.cols.position)
    linear = -(total.ngi * 100.0 * np.log(1.01) - 0.5 * total.vss + total.chl / 96.0)
    assert tick.flow.value - tick.flow.residual == pytest.approx(linear, rel=1e-9)


def standing(board: Board, start_ns: int, end_ns: int) -> Iterator[ChainFrame]:
    """A standing market every second around each quarter of an hour, where the flows and fixings begin and end, and
    every five seconds between; before, the minutes that fill the window."""
    for ts in range(start_ns - QUARTER - MINUTE, start_ns, MINUTE):
        yield board_at(board, ts)
    for ts in range(start_ns, end_ns, SECOND):
        from_edge = (ts - SETTLEMENT_NS + QUARTER // 2) % QUARTER - QUARTER // 2
        if abs(from_edge) <= 75 * SECOND or ts % (5 * SECOND) == 0:
            yield board_at(board, ts)


@pytest.mark.slow
def test_a_settlement_at_a_standing_market_moves_nothing_but_time_and_hedges() -> None:
    """From 07:25 to 08:20: no flow but decay and settlement, and these lift the hedge of 07:30."""
    board = snapshot_board("20260402T160623Z", "BTC")
    start_ns, end_ns = SETTLEMENT_NS - 35 * MINUTE, SETTLEMENT_NS + 20 * MINUTE
    expiring = np.round(board.expiry_ms * 1e6) == SETTLEMENT_NS
    chl, hedge_pressure, lifted, charm_load = dict[int, float](), [], {}, None
    for tick in walk(standing(board, start_ns, end_ns)):
        ts = tick.chain.ts_ns
        if ts < start_ns:
            continue
        assert tick.flow is not None
        assert tick.flow.span_s == pytest.approx(900.0)
        assert abs(tick.flow.gamma) < 1e4
        assert abs(tick.flow.vanna) < 1e4
        total = totals(tick.unit, tick.cols.position)
        chl[ts] = total.chl
        hedge_pressure.append(total.ngi + total.vss + total.chl / 24.0)  # a rise of spot, 1 % and 1 point an hour
        if (ts - start_ns) % (10 * SECOND) == 0:
            then, now = market_of(board, ts - QUARTER), market_of(board, ts)
            expected = reprices.trades(board.naive, board.strike, board.option_type, then, now)
            assert tick.flow.charm == pytest.approx(expected["charm"], rel=1e-6, abs=100.0)
            assert tick.flow.settlement == pytest.approx(expected["settlement"], rel=1e-6, abs=100.0)
        if ts in (SETTLEMENT_NS - QUARTER, SETTLEMENT_NS):
            others = reprices.trades(
                board.naive * ~expiring,
                board.strike,
                board.option_type,
                market_of(board, ts - QUARTER),
                market_of(board, ts),
            )
            lifted[ts] = tick.flow.settlement + tick.flow.charm - others["charm"]
        if ts == SETTLEMENT_NS - 2 * QUARTER:
            charm_load = float(tick.unit.column("unwind_at_window") @ tick.cols.position)
    assert sum(lifted.values()) == pytest.approx(147.7e6, rel=1e-3)
    assert sum(lifted.values()) == pytest.approx(charm_load, rel=1e-6)
    change = [abs(value - chl[ts - MINUTE]) for ts, value in chl.items() if ts - MINUTE in chl]
    assert max(change) == pytest.approx(0.12e6, rel=0.05)
    seconds = np.diff(list(chl)) / SECOND
    assert (np.abs(np.diff(list(chl.values()))) < 0.01e6 * seconds).all()
    assert (np.abs(np.diff(hedge_pressure)) < 0.025e6 * seconds).all()


@st.composite
def boards(draw: st.DrawFn) -> Board:
    """A board whose nearest expiry is the settlement: strikes around spot, a smile, any open interest."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    days = np.array([0.0, 1.0, draw(st.integers(2, 30)), 90.0])
    offsets = np.concatenate([rng.choice(np.arange(-60, 60), 8, replace=False), [-200, -100, 100, 200]])
    offsets = offsets * 100.0 + 37.0  # none at the average
    strike = 1e5 + np.tile(np.repeat(offsets, 2), days.size)
    day = np.repeat(days, 2 * offsets.size)
    size = strike.size
    forward = 1e5 * (1.0 + 0.05 * day / 365.0)
    return Board(
        spot=1e5,
        forward=forward,
        strike=strike,
        sigma=rng.uniform(0.25, 0.9) + 0.3 * np.abs(np.log(strike / forward)),
        tau=np.zeros(size),
        option_type=np.tile([1.0, -1.0], size // 2),
        open_interest=np.minimum(rng.lognormal(2.5, 1.0, size), 60.0),
        expiry_ms=SETTLEMENT_NS / 1e6 + 86_400_000.0 * day,
        rows=[],
    )


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(boards())
def test_any_standing_board_settles_without_a_jump(board: Board) -> None:
    minutes = range(SETTLEMENT_NS - 51 * MINUTE, SETTLEMENT_NS + 20 * MINUTE, MINUTE)
    edges = (SETTLEMENT_NS - 30 * MINUTE, SETTLEMENT_NS, SETTLEMENT_NS - 15 * MINUTE)
    times = sorted({*minutes, *(edge + shift for edge in edges for shift in (-SECOND, -1_000_000, 1_000_000))})
    ticks = [tick for tick in walk([board_at(board, ts) for ts in times]) if tick.flow is not None]
    chl = np.array([tick.unit.chl @ tick.cols.position for tick in ticks])
    at = np.array([tick.chain.ts_ns for tick in ticks])
    assert (np.abs(np.diff(chl)) <= 0.5e6 * np.diff(at) / MINUTE + 1e4).all()
    for tick in ticks:
        assert tick.flow is not None
        assert max(abs(tick.flow.gamma), abs(tick.flow.vanna)) < 1e4
        ts = tick.chain.ts_ns
        if tick.flow.span_s > 899.0:
            expected = reprices.trades(
                board.naive, board.strike, board.option_type, market_of(board, ts - QUARTER), market_of(board, ts)
            )
            for part in PARTS:
                assert getattr(tick.flow, part) == pytest.approx(expected[part], rel=1e-6, abs=1e3), part


# ---- books -----------------------------------------------------------------------------------------------------------


def small(ts_ns: int, days: tuple[float, ...] = (9.0,), **columns: Any) -> ChainFrame:
    return frame(days=days, strikes=(95_000.0, 100_000.0, 105_000.0), ts_ns=ts_ns, **columns)


def with_prints(chain: ChainFrame, coins: np.ndarray) -> ChainFrame:
    """The frame with one print of so many coins of each option that has any."""
    rows = np.flatnonzero(coins)
    prints = trade_columns(chain.uid[rows].tolist(), [1] * rows.size, np.abs(coins[rows]).tolist())
    return replace(chain, trades=prints)


def flow_of(
    chains: list[ChainFrame], books: list[DealerPositions], before: PositionBook | None = None
) -> tuple[HedgeFlow, MarketMoves]:
    window, history = MarketWindow.empty(), BookHistory.empty()
    for chain, positions in zip(chains, books):
        previous, window = window, window.push(chain)
        history = history.push(window, positions)
        cols = priceable_columns(chain, positions)
        unit = unit_exposures(cols.forward, cols.strike, cols.sigma, cols.tau, cols.option_type)
        moves = measure_market_moves(
            window, chain, cols, unit.vega, PricingPoints.unmerged(cols.size), BETA, 0.5, "usd"
        )
        if moves.hedge is not None and before is not None:
            history = history.with_settled(moves.hedge.expired_key, previous, before)
        total = totals(unit, cols.position)
        flows = measure_book_flows(history, moves, cols, total, everybody)
    assert flows.hedge is not None
    return flows.hedge, moves


def test_what_was_acquired_on_the_way_is_hedged_apart() -> None:
    """Both together are the whole change of the hedge: -(D1 delta1 - D0 delta0) at today's forward."""
    then, now = small(NOW), small(NOW + QUARTER, forward=np.full(6, 101_000.0))
    position = np.array([10.0, -4.0, 0.0, 7.0, -1.0, 2.0])
    more = np.array([15.0, -4.0, -3.0, 7.0, -1.0, 3.0])
    printed = with_prints(now, more - position)
    flow, _ = flow_of([then, printed], [DealerPositions("file", position), DealerPositions("file", more)])
    same, _ = flow_of([then, now], [DealerPositions("file", position)] * 2)
    assert (flow.value, same.new_trades) == (same.value, 0.0)
    deltas = [
        reprices.delta_on_open_part(
            chain.strike,
            chain.option_type.astype(float),
            Market(chain.forward, chain.sigma, (chain.expiry_ns - chain.ts_ns) / YEAR, chain.forward),
        )
        for chain in (then, now)
    ]
    hedge_change = -float(now.forward @ (more * deltas[1] - position * deltas[0]))
    assert flow.value + flow.new_trades == pytest.approx(hedge_change, rel=1e-9)


def test_a_convention_held_the_open_interest_of_then() -> None:
    """Its positions are no estimate: they change with open interest, whatever was printed."""
    then, now = small(NOW), small(NOW + QUARTER, forward=np.full(6, 101_000.0))
    position = np.array([10.0, -4.0, 0.0, 7.0, -1.0, 2.0])
    before, after = DealerPositions("naive", position), DealerPositions("naive", 2.0 * position)
    flow, moves = flow_of([then, now], [before, after])
    same, _ = flow_of([then, now], [before, before])
    assert moves.hedge is not None
    assert flow.value == pytest.approx(same.value)
    assert flow.new_trades == pytest.approx(float(moves.hedge.new_trade @ position))


def test_a_better_estimate_is_one_of_then_as_well_and_no_trade() -> None:
    """Beyond the coins that were printed, a change of the position is one of what is known."""
    then, now = small(NOW), small(NOW + QUARTER, forward=np.full(6, 101_000.0))
    guess, better = np.array([10.0, -4.0, 0.0, 7.0, -1.0, 2.0]), np.array([40.0, 9.0, -8.0, 7.0, -1.0, 2.0])
    before, after = (DealerPositions("flow", q, members=np.stack([q, q], axis=1)) for q in (guess, better))
    flow, _ = flow_of([then, now], [before, after])
    settled, moves = flow_of([then, now], [after, after])
    assert (flow.value, flow.new_trades) == (settled.value, 0.0)
    coins = np.array([0.0, 2.0, 3.0, 0.0, 0.0, 0.0])
    flow, moves = flow_of([then, with_prints(now, coins)], [before, after])
    assert moves.hedge is not None
    assert flow.new_trades == pytest.approx(float(moves.hedge.new_trade @ [0.0, 2.0, -3.0, 0.0, 0.0, 0.0]))


def test_an_option_listed_on_the_way_is_a_new_trade_and_one_without_a_mark_then_is_held_throughout() -> None:
    then, now = small(NOW), small(NOW + QUARTER)
    listed = replace(now, strike=np.where(np.arange(6) == 5, 106_000.0, now.strike), full_history=np.arange(6) == 5)
    position = np.arange(1.0, 7.0)
    listed = with_prints(listed, np.where(np.arange(6) == 5, position, 0.0))
    flow, _ = flow_of([then, listed], [DealerPositions("file", position)] * 2)
    side, at = (
        listed.option_type.astype(float),
        Market(now.forward, now.sigma, (now.expiry_ns - now.ts_ns) / YEAR, now.forward),
    )
    delta = reprices.delta_on_open_part(listed.strike, side, at)
    assert flow.new_trades == pytest.approx(-now.forward[5] * 6.0 * delta[5], rel=1e-9)
    unmarked = replace(then, sigma=np.where(np.arange(6) == 5, NAN, then.sigma))
    flow, _ = flow_of([unmarked, now], [DealerPositions("file", position)] * 2)
    assert flow.new_trades == 0.0


def test_a_board_without_marks_is_no_beginning_of_a_flow() -> None:
    """After a start the listing is there before the marks: nothing is known of the trades, and they are not 0."""
    unmarked = replace(small(NOW), sigma=np.array([0.5, 0.5, NAN, NAN, NAN, NAN]))
    half = replace(small(NOW + MINUTE), sigma=np.array([0.5, 0.5, 0.5, NAN, NAN, NAN]))
    late = small(NOW + QUARTER, forward=np.full(6, 101_000.0))
    book = DealerPositions("file", np.arange(1.0, 7.0))
    _, moves = flow_of([unmarked, half, late], [book] * 3)
    assert moves.hedge is not None
    assert (moves.hedge.span_s, moves.hedge.known) == (840.0, 0.5)
    with pytest.raises(AssertionError):
        flow_of([unmarked, late], [book] * 2)  # no flow


def test_the_band_is_that_of_the_members_around_the_value() -> None:
    then, now = small(NOW), small(NOW + QUARTER, forward=np.full(6, 101_000.0))
    rng = np.random.default_rng(2)
    members = rng.normal(5.0, 10.0, (6, 128))
    mean = members.mean(axis=1)
    before, after = DealerPositions("flow", 0.5 * mean), DealerPositions("flow", mean, members)
    now = with_prints(now, mean)
    flow, moves = flow_of([then, now], [before, after])
    assert moves.hedge is not None
    unit = moves.hedge.parts.sum(axis=0)
    assert flow.value == pytest.approx(0.5 * unit @ mean)
    low, high = np.quantile(unit @ members, [0.05, 0.95]) - 0.5 * unit @ mean
    assert flow.lo == pytest.approx(low)
    assert flow.hi == pytest.approx(high)


def test_members_of_an_expired_option_stay_for_the_look_back() -> None:
    """The option is gone from frame and estimator at once; its hedge was lifted minutes ago, by each member's own."""
    expiry_ns = NOW + 5 * MINUTE
    times = (NOW, NOW + MINUTE, NOW + 10 * MINUTE, NOW + 40 * MINUTE)
    chains = [small(ts, days=(5.0 * MINUTE / DAY, 9.0)) for ts in times]
    chains[2:] = [permuted(chain, np.arange(6, 12)) for chain in chains[2:]]
    members = np.random.default_rng(3).normal(0.0, 10.0, (12, 128))
    books = [DealerPositions("flow", rows.mean(axis=1), rows) for rows in (members, members, members[6:], members[6:])]
    empty = PositionBook.empty()
    before = replace(empty, frame_rows=np.arange(12), estimate=replace(empty.estimate, members=members))
    flow, moves = flow_of(chains[:3], books[:3], before)
    assert moves.hedge is not None
    keys = option_keys(chains[0].expiry_ns, chains[0].strike, chains[0].option_type, chains[0].inverse)
    expired = sorted(range(6), key=lambda row: keys[row])
    order = [*range(6, 12), *expired]
    assert moves.hedge.key.tolist() == keys[order].tolist()
    assert (chains[0].expiry_ns[:6] == expiry_ns).all()
    unit = moves.hedge.parts.sum(axis=0)
    sums = unit @ members[order]
    assert np.abs(unit[6:]).max() > 1_000.0
    low, high = np.quantile(sums, [0.05, 0.95])
    assert flow.lo == pytest.approx(low)
    assert flow.hi == pytest.approx(high)


# ---- moves -----------------------------------------------------------------------------------------------------------


def test_volatility_at_fixed_strikes_does_not_move_with_spot_along_the_smile() -> None:
    chains = [small(NOW + i * MINUTE, forward=np.full(6, 1e5 * (1.0 + 0.001 * i))) for i in range(62)]
    tick = last(chains)
    assert tick.moves.points_15m == tick.moves.points_1h == 0.0
    assert tick.moves.hour is not None
    assert tick.moves.hour.span_s == 3600.0
    assert tick.moves.hour.log_return == pytest.approx(np.log(1.061 / 1.001))


def test_the_change_is_weighted_by_vega_and_open_interest() -> None:
    then, now = small(NOW), small(NOW + QUARTER)
    tick = last([then, replace(now, sigma=now.sigma + np.array([1.0, 1.0, 2.0, 2.0, 4.0, 4.0]) / 100.0)])
    weight = tick.unit.vega * tick.cols.open_interest
    assert tick.moves.points_15m == pytest.approx(np.average([1.0, 1.0, 2.0, 2.0, 4.0, 4.0], weights=weight))


@pytest.mark.slow
def test_no_move_in_the_first_minute_and_no_hour_before_an_hour() -> None:
    ticks = list(walk([small(NOW + i * 30 * SECOND) for i in range(125)]))
    assert [tick.flow is None for tick in ticks[:4]] == [True, True, False, False]
    assert ticks[2].flow is not None
    assert ticks[2].flow.span_s == 60.0
    with_hour = [i for i, tick in enumerate(ticks) if tick.moves.points_1h is not None]
    assert with_hour == list(range(118, 125))


@pytest.mark.slow
def test_a_gap_is_a_gap() -> None:
    """After half an hour without a sample the quarter begins at its end, and there is no hour."""
    minutes = [*range(70), *range(100, 104)]
    tick = last([small(NOW + i * MINUTE) for i in minutes])
    assert tick.flow is not None
    assert tick.flow.span_s == 180.0
    assert tick.moves.points_1h == 0.0  # an hour ago there was a sample
    tick = last([small(NOW + i * MINUTE) for i in [*range(30), *range(80, 100)]])
    assert tick.moves.points_1h is None


def test_the_window_is_bounded() -> None:
    chains = [small(NOW + i * MINUTE, days=(100.0 + i,)) for i in range(100)]
    window = MarketWindow.empty()
    for chain in chains:
        window = window.push(chain)
    assert window.samples.times.size == SAMPLES
    assert window.samples.key.size == window.strike.size == 6 * SAMPLES
    newest = window.samples.find(window.frame_key)
    assert window.strike[newest].tolist() == chains[-1].strike.tolist()
    assert window.expiry_ns[newest].tolist() == chains[-1].expiry_ns.tolist()
    assert window.option_type[newest].tolist() == chains[-1].option_type.tolist()
    assert sorted({round((ns - NOW) / DAY) for ns in window.expiry_ns.tolist()}) == list(range(200 - SAMPLES, 200))


def test_an_option_has_its_key_in_every_session() -> None:
    """Numbers of options begin anew in each session; the rest of the window goes by their terms."""
    board = small(NOW)
    keys = option_keys(board.expiry_ns, board.strike, board.option_type, board.inverse)
    assert len(set(keys.tolist())) == 6
    linear = option_keys(board.expiry_ns, board.strike, board.option_type, ~board.inverse)
    assert not set(keys.tolist()) & set(linear.tolist())
    order = np.array([3, 1, 5, 0, 2, 4])
    moved = replace(permuted(small(NOW + QUARTER, forward=np.full(6, 101_000.0)), order), uid=np.arange(6))
    position = DealerPositions("file", np.arange(6.0))
    again = DealerPositions("file", np.arange(6.0)[order])
    flow, _ = flow_of([board, moved], [position, again])
    same, _ = flow_of([board, small(NOW + QUARTER, forward=np.full(6, 101_000.0))], [position] * 2)
    assert flow.new_trades == 0.0
    assert flow.value == pytest.approx(same.value, rel=1e-12)


def test_a_book_has_an_outlook_and_an_empty_one_has_not() -> None:
    for chain, cases in ((small(NOW), outlook_cases(0.5)), (small(NOW, open_interest=np.full(6, NAN)), ())):
        positions = DealerPositions("naive", chain.option_type * chain.open_interest)
        cols = priceable_columns(chain, positions)
        unit = unit_exposures(cols.forward, cols.strike, cols.sigma, cols.tau, cols.option_type, average=cols.average)
        window, points = MarketWindow.empty().push(chain), PricingPoints.unmerged(cols.size)
        moves = measure_market_moves(window, chain, cols, unit.vega, points, BETA, 0.5, "usd")
        flows = measure_book_flows(BookHistory.empty(), moves, cols, totals(unit, cols.position), everybody)
        assert flows.hedge is None
        assert [row.name for row in flows.outlook] == [case.name for case in cases]
