import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.positions.counter_rng import MEMBERS
from dfmon.core.positions.dealer_net import (
    DealerPositions,
    dealer_positions,
    mean_share,
    open_interest_check,
    sign_decided,
)
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.step import FlowParams
from dfmon.model.frames import ChainFrame, TradeColumns
from dfmon.model.units import NAN, SECOND
from tests.chains import NOW, frame, permuted, shot, trade_columns

BOARD = frame()
N = BOARD.size
WHOLE = replace(BOARD, full_history=np.ones(N, np.bool_))
FAIR = PositionPriors(start_mean=0.0)  # buyers and sellers alike
SURE = PositionPriors(screen=(1.0, 0.0, 0.0, 0.0), drift=0.0)
PRINTS = st.lists(st.tuples(st.integers(0, N - 1), st.sampled_from([1, -1]), st.floats(0.1, 500.0)), max_size=60)


def columns(prints: list[tuple[int, int, float]], sign: int = 1) -> TradeColumns:
    return trade_columns([p[0] for p in prints], [sign * p[1] for p in prints], [p[2] for p in prints])


def flow(trades: TradeColumns, board: ChainFrame = BOARD, priors: PositionPriors | None = None) -> DealerPositions:
    board = replace(board, trades=trades)
    return dealer_positions("flow", advance_book(PositionBook.empty(), board, priors or PositionPriors()), board)


def members_of(found: DealerPositions) -> np.ndarray:
    assert found.members is not None
    return found.members


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(PRINTS)
def test_position_and_every_member_are_within_open_interest(prints: list[tuple[int, int, float]]) -> None:
    found = flow(columns(prints))
    assert members_of(found).shape == (N, MEMBERS)
    assert (np.abs(found.position) <= BOARD.open_interest * (1 + 1e-12)).all()
    assert (np.abs(members_of(found)) <= BOARD.open_interest[:, None]).all()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(PRINTS, st.sampled_from([BOARD, WHOLE]))
def test_buys_for_sells_mirror_the_whole_ensemble(prints: list[tuple[int, int, float]], board: ChainFrame) -> None:
    there, back = flow(columns(prints), board, FAIR), flow(columns(prints, -1), board, FAIR)
    mirrored = np.roll(members_of(back), MEMBERS // 2, axis=1)  # a member and its mirror change places
    np.testing.assert_allclose(members_of(there), -mirrored, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(there.position, -back.position, rtol=1e-9, atol=1e-9)
    assert there.low is not None
    assert back.high is not None
    np.testing.assert_allclose(there.low, -back.high, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(PRINTS, st.permutations(range(N)))
def test_order_of_options_and_of_prints_changes_no_bit(prints: list[tuple[int, int, float]], order: list[int]) -> None:
    rows, numbered = np.array(order), columns(prints)
    mixed = flow(numbered.rows(np.arange(len(prints))[::-1]), permuted(BOARD, rows))
    plain = flow(numbered)
    np.testing.assert_array_equal(mixed.position, plain.position[rows])
    np.testing.assert_array_equal(members_of(mixed), members_of(plain)[rows])


def test_dealers_are_the_other_side_of_the_taker() -> None:
    for side in (1, -1):
        many = trade_columns([0] * 20, [side] * 20, [BOARD.open_interest[0] / 20.0] * 20)
        assert flow(many, WHOLE).position[0] * side < -0.4 * BOARD.open_interest[0]


@settings(max_examples=40, deadline=None)
@given(PRINTS)
def test_options_watched_from_their_listing_are_exact_where_every_taker_is_a_customer(
    prints: list[tuple[int, int, float]],
) -> None:
    net, volume = np.zeros(N), np.zeros(N)
    for row, side, size in prints:
        net[row] -= side * size
        volume[row] += size
    explained = replace(WHOLE, open_interest=volume, interest=volume)
    found = members_of(flow(columns(prints), explained, SURE))
    np.testing.assert_allclose(found, np.repeat(net[:, None], MEMBERS, axis=1), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("model", ["naive", "short-all", "file"])
def test_sign_of_dealers_is_not_hard_coded_so_flipped_positions_flip_every_exposure(model: str) -> None:
    held = dict(zip(BOARD.names, np.linspace(-5.0, 9.0, N).tolist()))
    there = dealer_positions(model, PositionBook.empty(), BOARD, held).position
    one = shot(BOARD, FlowParams("file", dict(zip(BOARD.names, there.tolist())))).metrics
    other = shot(BOARD, FlowParams("file", dict(zip(BOARD.names, (-there).tolist())))).metrics
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta", "psi", "hpp"):
        assert getattr(one, name).value == -getattr(other, name).value != 0.0, name


def test_flipping_all_trades_flips_every_exposure_and_its_band() -> None:
    prints = [(i, 1 if i % 3 else -1, 1.0 + i % 4) for i in range(N)]
    fair = FlowParams(priors=FAIR)
    one = shot(replace(WHOLE, trades=columns(prints)), fair).metrics
    other = shot(replace(WHOLE, trades=columns(prints, -1)), fair).metrics
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta"):
        assert getattr(one, name).value == pytest.approx(-getattr(other, name).value, rel=1e-9) != 0.0, name
        assert getattr(one, name).lo == pytest.approx(-getattr(other, name).hi, rel=1e-9), name


def test_conventions_are_what_they_say_and_have_no_band() -> None:
    empty = PositionBook.empty()
    naive = dealer_positions("naive", empty, BOARD)
    assert naive.position.tolist() == (BOARD.option_type * BOARD.open_interest).tolist()
    assert dealer_positions("short-all", empty, BOARD).position.tolist() == (-BOARD.open_interest).tolist()
    given = dealer_positions("file", empty, BOARD, {BOARD.names[2]: -3.0}).position
    assert given.tolist() == [0, 0, -3] + [0] * (N - 3)
    assert np.isnan(dealer_positions("file", empty, BOARD).position).all()  # a file without a listed option
    assert (naive.members, naive.low, naive.p_long, naive.seen, naive.coverage) == (None,) * 5


def test_an_option_whose_open_interest_never_came_has_no_position_in_any_order() -> None:
    unseen = np.arange(N) == 2
    board = replace(
        BOARD, interest=np.where(unseen, NAN, BOARD.interest), interest_ns=np.where(unseen, 0, BOARD.interest_ns)
    )
    book = advance_book(PositionBook.empty(), board, PositionPriors())
    for order in (np.arange(N), np.arange(N)[::-1]):
        later = permuted(board, order)
        position = dealer_positions("flow", advance_book(book, later, PositionPriors()), later).position
        assert np.isnan(position).tolist() == unseen[order].tolist()


def test_coverage_grows_with_what_was_seen_and_is_whole_for_watched_listings() -> None:
    assert flow(trade_columns()).coverage == 0.0
    for volume in (0.5, 1.0, 4.0):  # half of what closes at constant open interest are positions of before
        prints = trade_columns(range(N), [1] * N, (volume * BOARD.open_interest).tolist())
        assert flow(prints).coverage == pytest.approx(1.0 - math.exp(-volume / 2.0))
    assert flow(trade_columns(), WHOLE).coverage == pytest.approx(1.0)


def test_lost_prints_take_from_the_coverage_and_add_to_the_band() -> None:
    prints = trade_columns(range(N), [1] * N, [2.0] * N)
    lossy = replace(WHOLE, lost_prints=np.full(N, 3.0))
    clean, holed = flow(prints, WHOLE), flow(prints, lossy)
    assert holed.coverage == pytest.approx(0.25)
    assert members_of(holed).std() > members_of(clean).std()


def test_coverage_without_open_interest_is_unknown() -> None:
    assert flow(trade_columns(), replace(BOARD, open_interest=np.zeros(N), interest=np.zeros(N))).coverage is None


def test_nothing_seen_has_a_wide_band_and_a_watched_listing_that_one_of_what_no_print_explains() -> None:
    unseen, seen = flow(trade_columns()), flow(trade_columns(), WHOLE)
    assert members_of(unseen).std(axis=1).min() > 0.3 * BOARD.open_interest.min()
    assert (members_of(seen).std(axis=1) < members_of(unseen).std(axis=1)).all()
    not_shown = replace(WHOLE, interest_ns=np.zeros(N, np.int64))
    assert not members_of(flow(trade_columns(), not_shown)).any()


def test_option_without_open_interest_has_no_position() -> None:
    found = flow(
        trade_columns([0], [1], [1.0]), replace(BOARD, open_interest=np.full(N, NAN), interest=np.full(N, NAN))
    )
    assert np.isnan(found.position).all()


@pytest.mark.parametrize("wrong", [-1.0, np.inf, 1e13])
def test_open_interest_that_cannot_be_is_taken_for_none(wrong: float) -> None:
    broken = BOARD.open_interest.copy()
    broken[3] = wrong
    found = flow(trade_columns([3], [1], [1.0]), replace(BOARD, open_interest=broken, interest=broken))
    assert np.isnan(found.position[3])
    assert np.isfinite(np.delete(found.position, 3)).all()


def test_prints_of_options_that_are_not_listed_are_passed_over() -> None:
    found = flow(trade_columns([0, 999], [1, 1], [1.0, 5.0]))
    np.testing.assert_array_equal(members_of(found), members_of(flow(trade_columns([0], [1], [1.0]))))


def test_expired_option_leaves_nothing_but_what_the_board_has_learned() -> None:
    book = advance_book(
        PositionBook.empty(), replace(BOARD, trades=trade_columns([0, 5], [1, 1], [3.0, 4.0])), PositionPriors()
    )
    late = int(BOARD.expiry_ns.min())
    rows = np.flatnonzero(BOARD.expiry_ns > late)
    rest = replace(permuted(BOARD, rows), ts_ns=late)
    after = advance_book(book, rest, PositionPriors())
    assert not set(after.names) & {BOARD.names[0], BOARD.names[5]}
    before = replace(permuted(BOARD, rows), trades=trade_columns([5], [1], [4.0]))
    never = advance_book(advance_book(PositionBook.empty(), before, PositionPriors()), rest, PositionPriors())
    np.testing.assert_array_equal(after.state.moments, never.state.moments)
    np.testing.assert_array_equal(after.state.sums, never.state.sums)
    one, other = dealer_positions("flow", after, rest), dealer_positions("flow", never, rest)
    assert one.coverage == other.coverage


def at(
    seconds: float, interest: np.ndarray, trades: TradeColumns | None = None, board: ChainFrame = BOARD
) -> ChainFrame:
    """The board some seconds on, with open interest that the venue has just shown."""
    ts_ns = NOW + round(seconds * SECOND)
    return replace(
        board, ts_ns=ts_ns, open_interest=interest, interest=interest, interest_ns=np.full(N, ts_ns),
        trades=trade_columns() if trades is None else trades,
    )  # fmt: skip


def test_open_interest_against_prints_says_what_no_print_explains() -> None:
    book = advance_book(PositionBook.empty(), BOARD, PositionPriors())
    moved = BOARD.open_interest.copy()
    moved[0] += 2.0  # shows its print
    moved[2] -= 4.0  # moves without one
    traded = trade_columns([0, 1], [1, -1], [2.0, 3.0], exch_ns=[NOW + SECOND] * 2)
    book = advance_book(book, at(2.0, moved, traded), PositionPriors())
    found = open_interest_check(advance_book(book, at(3.0, moved), PositionPriors()))  # which confirms it
    assert found.unexplained.tolist() == [0.0, 0.0, 4.0] + [0.0] * (N - 3)
    assert found.change[:4].tolist() == [2.0, 0.0, -4.0, 0.0]
    assert found.printed[:4].tolist() == [2.0, 3.0, 0.0, 0.0]
    assert found.last_ns[:3].tolist() == [NOW + SECOND, NOW + SECOND, 0]


def test_prints_that_wait_for_open_interest_are_counted_and_move_nothing_yet() -> None:
    book = advance_book(PositionBook.empty(), BOARD, PositionPriors())
    traded = replace(BOARD, ts_ns=NOW + 2 * SECOND, trades=trade_columns([0], [1], [2.0], exch_ns=[NOW + SECOND]))
    waiting = advance_book(book, traded, PositionPriors())
    check = open_interest_check(waiting)
    assert (check.printed[0], check.last_ns[0]) == (2.0, NOW + SECOND)
    before, after = dealer_positions("flow", book, BOARD), dealer_positions("flow", waiting, traded)
    np.testing.assert_array_equal(members_of(before), members_of(after))
    assert not after.known
    shown = at(5.0, BOARD.open_interest)
    assert dealer_positions("flow", advance_book(waiting, shown, PositionPriors()), shown).known


def test_what_open_interest_moved_unexplained_widens_the_band_and_leaves_the_share() -> None:
    whole = advance_book(PositionBook.empty(), replace(WHOLE, trades=trade_columns([0], [1], [1.0])), PositionPriors())
    rose = BOARD.open_interest.copy()
    rose[0] += 6.0
    before = dealer_positions("flow", whole, WHOLE)
    quiet = at(2.0, rose, board=WHOLE)
    whole = advance_book(whole, at(1.0, rose, board=WHOLE), PositionPriors())
    after = dealer_positions("flow", advance_book(whole, quiet, PositionPriors()), quiet)
    assert members_of(after)[0].std() > members_of(before)[0].std()
    shares = [found.position[0] / board.open_interest[0] for found, board in ((before, WHOLE), (after, quiet))]
    assert shares[1] == pytest.approx(shares[0], abs=0.05)


def test_a_mean_share_without_open_interest_is_unknown() -> None:
    share = np.array([0.5, 1.0])
    assert mean_share(share, np.array([0.0, 0.0])) is None
    assert mean_share(share, np.array([NAN, -1.0])) is None
    assert mean_share(share, np.array([1.0, np.inf])) is None
    assert mean_share(share, np.array([3.0, 1.0])) == 0.625


@pytest.mark.parametrize(
    ("slope", "error", "decided"), [(0.5, None, None), (0.32, 0.0625, False), (0.33, 0.0625, True), (0.2, 0.0, False)]
)
def test_the_sign_is_decided_where_the_slope_is_two_errors_above_what_tells_nothing(
    slope: float, error: float | None, decided: bool | None
) -> None:
    assert sign_decided(OpeningRates(slope=slope, slope_error=error)) is decided
