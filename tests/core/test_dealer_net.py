from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.dealer_net import MEMBERS, DealerPositions, Inventory, dealer_positions, observe, with_draws
from dfmon.core.step import FlowParams
from dfmon.model.frames import ChainFrame, TradeColumns
from tests.chains import frame, permuted, shot, trade_columns

BOARD = frame()
N = BOARD.size
PRINTS = st.lists(st.tuples(st.integers(0, N - 1), st.sampled_from([1, -1]), st.floats(0.1, 500.0)), max_size=60)


def columns(prints: list[tuple[int, int, float]], sign: int = 1) -> TradeColumns:
    return trade_columns([p[0] for p in prints], [sign * p[1] for p in prints], [p[2] for p in prints])


def flow(trades: TradeColumns, board: ChainFrame = BOARD) -> DealerPositions:
    inventory = observe(with_draws(Inventory.empty(), board.uid, board.names), trades)
    return dealer_positions("flow", inventory, board)


@settings(max_examples=40, deadline=None)
@given(PRINTS)
def test_position_and_every_member_are_within_open_interest(prints: list[tuple[int, int, float]]) -> None:
    found = flow(columns(prints))
    assert found.members is not None
    assert found.members.shape == (N, MEMBERS)
    assert (np.abs(found.position) <= BOARD.open_interest).all()
    assert (np.abs(found.members) <= BOARD.open_interest[:, None]).all()


@settings(max_examples=40, deadline=None)
@given(PRINTS)
def test_buys_for_sells_mirror_what_the_flow_says(prints: list[tuple[int, int, float]]) -> None:
    whole = replace(BOARD, whole_life=np.ones(N, np.bool_))  # no prior where all was seen
    there, back = flow(columns(prints), whole), flow(columns(prints, -1), whole)
    np.testing.assert_array_equal(there.position, -back.position)


@settings(max_examples=40, deadline=None)
@given(PRINTS, st.permutations(range(N)))
def test_order_of_options_and_of_prints_changes_nothing(prints: list[tuple[int, int, float]], order: list[int]) -> None:
    rows = np.array(order)
    plain, mixed = flow(columns(prints)), flow(columns(prints[::-1]), permuted(BOARD, rows))
    assert plain.members is not None
    assert mixed.members is not None
    np.testing.assert_allclose(mixed.position, plain.position[rows], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mixed.members, plain.members[rows], rtol=1e-12, atol=1e-12)


def test_dealers_are_the_other_side_of_the_taker() -> None:
    assert flow(trade_columns([0], [1], [5e3])).position[0] == -BOARD.open_interest[0]
    assert flow(trade_columns([0], [-1], [5e3])).position[0] == BOARD.open_interest[0]


@pytest.mark.parametrize("model", ["naive", "short-all", "file"])
def test_sign_of_dealers_is_not_hard_coded_so_flipped_positions_flip_every_exposure(model: str) -> None:
    held = dict(zip(BOARD.names, np.linspace(-5.0, 9.0, N).tolist()))
    there = dealer_positions(model, Inventory.empty(), BOARD, held).position
    one = shot(BOARD, FlowParams("file", dict(zip(BOARD.names, there.tolist())))).metrics
    other = shot(BOARD, FlowParams("file", dict(zip(BOARD.names, (-there).tolist())))).metrics
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta", "psi", "hpp"):
        assert getattr(one, name).value == -getattr(other, name).value != 0.0, name


def test_flipping_all_trades_flips_every_exposure_of_what_was_seen() -> None:
    whole = replace(BOARD, whole_life=np.ones(N, np.bool_))
    prints = [(i, 1 if i % 3 else -1, 1.0 + i % 4) for i in range(N)]
    one = shot(replace(whole, trades=columns(prints))).metrics
    other = shot(replace(whole, trades=columns(prints, -1))).metrics
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta"):
        assert getattr(one, name).value == -getattr(other, name).value != 0.0, name


def test_conventions_are_what_they_say_and_have_no_band() -> None:
    empty = Inventory.empty()
    naive = dealer_positions("naive", empty, BOARD)
    assert naive.position.tolist() == (BOARD.option_type * BOARD.open_interest).tolist()
    assert dealer_positions("short-all", empty, BOARD).position.tolist() == (-BOARD.open_interest).tolist()
    assert dealer_positions("file", empty, BOARD, {BOARD.names[2]: -3.0}).position.tolist() == [0, 0, -3] + [0] * (
        N - 3
    )
    assert dealer_positions("file", empty, BOARD).position.tolist() == [0.0] * N
    assert (naive.members, naive.seen, naive.coverage) == (None, None, None)


def test_coverage_grows_with_what_was_seen_and_is_whole_for_watched_listings() -> None:
    half = trade_columns(range(N), [1] * N, (BOARD.open_interest / 2).tolist())
    assert flow(trade_columns()).coverage == 0.0
    assert flow(half).coverage == pytest.approx(0.5)
    assert flow(trade_columns(), replace(BOARD, whole_life=np.ones(N, np.bool_))).coverage == pytest.approx(1.0)


def test_coverage_without_open_interest_is_unknown() -> None:
    assert flow(trade_columns(), replace(BOARD, open_interest=np.zeros(N))).coverage is None


def test_nothing_seen_has_a_wide_band_and_all_seen_a_narrow_one() -> None:
    unseen = flow(trade_columns())
    seen = flow(trade_columns(), replace(BOARD, whole_life=np.ones(N, np.bool_)))
    assert unseen.members is not None
    assert seen.members is not None
    assert unseen.members.std() > 1.5 * seen.members.std()


def test_option_without_open_interest_has_no_position() -> None:
    found = flow(trade_columns([0], [1], [1.0]), replace(BOARD, open_interest=np.full(N, np.nan)))
    assert np.isnan(found.position).all()


@pytest.mark.parametrize(
    ("said", "net"),
    [
        ({}, 8.0), ({"block": [True]}, 4.0), ({"block": [True], "rfq": [True]}, 8.0),
        ({"block": [True], "combo": [True]}, 8.0), ({"liquidation": ["M"]}, -8.0), ({"liquidation": ["MT"]}, 0.0),
        ({"liquidation": ["T"]}, 8.0),
    ],
)  # fmt: skip
def test_weight_of_a_print_depends_on_who_is_likely_behind_it(said: dict[str, list[object]], net: float) -> None:
    seen = observe(Inventory.empty(), trade_columns([0], [1], [8.0], **said))
    assert (seen.net.tolist(), seen.seen.tolist()) == ([net], [8.0])


def test_expired_option_leaves_no_trace_in_the_positions_of_others() -> None:
    inventory = observe(
        with_draws(Inventory.empty(), BOARD.uid, BOARD.names), trade_columns([0, 5], [1, 1], [3.0, 4.0])
    )
    rows = np.arange(1, N)
    rest = permuted(BOARD, rows)
    after = dealer_positions("flow", with_draws(inventory, rest.uid, rest.names), rest)
    never = dealer_positions(
        "flow", observe(with_draws(Inventory.empty(), rest.uid, rest.names), trade_columns([5], [1], [4.0])), rest
    )
    np.testing.assert_array_equal(after.position, never.position)
    assert after.members is not None
    np.testing.assert_array_equal(after.members, never.members)
    assert after.coverage == never.coverage


def test_draws_belong_to_the_name_whenever_it_is_listed() -> None:
    whole = with_draws(Inventory.empty(), BOARD.uid, BOARD.names)
    gap = permuted(BOARD, np.array([0, 2]))  # option 1 is not listed while 2 is
    relisted = with_draws(with_draws(Inventory.empty(), gap.uid, gap.names), BOARD.uid, BOARD.names)
    np.testing.assert_array_equal(relisted.draws, whole.draws)
    assert np.unique(whole.draws[:, 0]).size == N


def test_draws_have_the_variance_and_the_common_share_they_claim() -> None:
    names = tuple(f"OPTION-{i}" for i in range(400))
    draws = with_draws(Inventory.empty(), np.arange(400), names).draws
    assert draws.std() == pytest.approx(1.0, abs=0.05)
    assert draws.mean(axis=0).var() == pytest.approx(0.2, abs=0.06)


def test_memory_of_draws_is_that_of_the_listed_options_however_many_there_were() -> None:
    late = np.array([60_000, 60_001])
    assert with_draws(Inventory.empty(), late, ("A", "B")).draws.shape == (2, MEMBERS)
