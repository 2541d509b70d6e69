"""`dfmon.dealer_positions`: forms of input, ties of time, several times, faults, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import product
from typing import Any

import numpy as np
import pytest

import dfmon
from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.print_kinds import KIND_NAMES, PositionPriors, print_kinds
from dfmon.model.units import MILLISECOND, MINUTE, SECOND
from dfmon.sim.populations import FAMILIES, MarketTape, simulate
from tests.chains import NOW, frame, trade_columns

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
Tape = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> MarketTape:
    return simulate(FAMILIES["X"], 3, days=8.0)


def _positions(world: MarketTape, trades: Mapping[str, Any] | None = None, days: Any = 8, **other: Any) -> Any:
    at = world.start_ms + np.asarray(days) * DAY_MS
    interest = other.pop("open_interest", world.open_interest)
    listed = other.pop("instruments", world.instruments)
    return dfmon.dealer_positions(trades or world.trades, interest, listed, at, **other)


@pytest.fixture(scope="module")
def found(world: MarketTape) -> Any:
    return _positions(world)


def _assert_equal(one: Any, other: Any) -> None:
    assert one.names == other.names
    for name in ("net", "lo", "hi", "p_long", "members"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.slow
def test_positions_have_the_sign_of_the_true_books(world: MarketTape, found: Any) -> None:
    truth = -world.customer_net(found.at_ms)
    by_name = dict(zip(world.instruments["name"].tolist(), truth.tolist()))
    true = np.array([by_name[name] for name in found.names])
    right = np.abs(true[np.sign(true) == np.sign(found.net)]).sum() / np.abs(true).sum()
    assert right > 0.55
    assert found.members.shape == (len(found.names), 128)
    assert 0.0 < found.coverage <= 1.0
    interest = dict(zip(world.instruments["name"].tolist(), world.open_interest_at(found.at_ms).tolist()))
    assert (np.abs(found.members).max(axis=1) <= np.array([interest[name] for name in found.names]) + 1e-6).all()


def test_expired_instruments_are_left_out(world: MarketTape, found: Any) -> None:
    expired = world.instruments["expiry_ms"] <= found.at_ms
    assert expired.any()
    assert found.names == tuple(world.instruments["name"][~expired].tolist())


@pytest.mark.slow
def test_several_times_are_a_list_of_the_same_results(world: MarketTape, found: Any) -> None:
    results = _positions(world, days=[2, 5, 5, 8])
    assert isinstance(results, list)
    _assert_equal(results[-1], found)
    _assert_equal(results[1], results[2])


@pytest.mark.slow
def test_rows_in_any_order_and_lists_give_the_same_bits(world: MarketTape, found: Any) -> None:
    order = np.random.default_rng(0).permutation(world.trades["ts_ms"].size)
    trades = {name: column[order].tolist() for name, column in world.trades.items()}
    interest = {name: column[::-1].tolist() for name, column in world.open_interest.items()}
    _assert_equal(_positions(world, trades, open_interest=interest), found)


@pytest.mark.slow
def test_instruments_in_another_order_change_no_bit(world: MarketTape, found: Any) -> None:
    order = np.random.default_rng(1).permutation(world.instruments["name"].size)
    other = _positions(world, instruments={name: column[order] for name, column in world.instruments.items()})
    at = np.array([other.names.index(name) for name in found.names])
    np.testing.assert_array_equal(other.net[at], found.net)
    np.testing.assert_array_equal(other.members[at], found.members)
    assert other.coverage == found.coverage


@pytest.mark.slow
def test_without_a_count_ties_are_ordered_by_what_the_prints_are(world: MarketTape) -> None:
    trades = {name: column for name, column in world.trades.items() if name != "seq"}
    order = np.random.default_rng(2).permutation(world.trades["ts_ms"].size)
    _assert_equal(
        _positions(world, trades), _positions(world, {name: column[order] for name, column in trades.items()})
    )


@pytest.mark.slow
def test_repeated_prints_with_a_count_are_one(world: MarketTape, found: Any) -> None:
    twice = {name: np.concatenate([column, column[::20]]) for name, column in world.trades.items()}
    again = _positions(world, twice)
    _assert_equal(again, found)
    assert (found.faults["repeated prints"], again.faults["repeated prints"]) == (0, world.trades["seq"][::20].size)


def test_provenance_adds_up(found: Any) -> None:
    parts = [value for name, value in found.provenance.items() if name not in ("change", "unexplained")]
    np.testing.assert_allclose(np.sum(parts, axis=0), found.net, atol=1e-6)
    assert (found.provenance["unexplained"] <= found.provenance["change"] + 1e-6).all()


@pytest.mark.slow
def test_another_seed_draws_other_members_of_the_same_positions(world: MarketTape, found: Any) -> None:
    other = _positions(world, seed=7, members=256)
    np.testing.assert_array_equal(other.net, found.net)
    assert other.members.shape[1] == 256
    assert (other.members[:, :64] != found.members[:, :64]).any()


def test_empty_tapes_have_no_positions() -> None:
    empty: list[Any] = []
    trades = dict.fromkeys(("ts_ms", "instrument", "side", "amount", "kind", "event"), empty)
    interest = dict.fromkeys(("ts_ms", "instrument", "value"), empty)
    options = {"name": ["A-1"], "strike": [1.0], "expiry_ms": [9e11], "type": ["put"], "listed_ms": [np.nan]}
    found = dfmon.dealer_positions(trades, interest, options, 1e11)
    assert found.net.tolist() == [0.0]
    assert found.coverage is None


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("trades", {"trades": {}}),
        ("trades", {"trades": {"kind": ["auction"]}}),
        ("trades", {"trades": {"ts_ms": [float("nan")]}}),
        ("trades", {"trades": {"instrument": ["B"]}}),
        ("trades", {"trades": {"amount": ["x"]}}),
        ("trades", {"trades": {"side": [1.0, -1.0]}}),
        ("open_interest", {"open_interest": {"instrument": ["B"]}}),
        ("instruments", {"instruments": {"type": ["future"]}}),
        ("instruments", {"instruments": {"strike": [-1.0]}}),
        ("at", {"at": [2e11, 1e11]}),
        ("at", {"at": float("nan")}),
        ("at", {"at": 1e300}),
        ("at", {"at": [1e11, -9e15]}),
        ("at", {"at": [1e11, 10**400]}),
        ("trades: side", {"trades": {"side": np.array([10**400], object)}}),
        ("shares", {"shares": {"screen": None}}),
        ("shares", {"shares": {"screen": "abcd"}}),
        ("members", {"members": 7}),
        ("seed", {"seed": 0.5}),
        ("shares", {"shares": {"screen": (0.5, 0.5, 0.5, 0.0)}}),
        ("shares", {"shares": {"auction": (1.0, 0.0, 0.0, 0.0)}}),
        ("shares", {"shares": {"screen": 1.0}}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(argument: str, change: dict[str, Any]) -> None:
    call: dict[str, Any] = {
        "trades": {"ts_ms": [1e11], "instrument": ["A"], "side": [1], "amount": [1], "kind": ["screen"], "event": [1]},
        "open_interest": {"ts_ms": [1e11], "instrument": ["A"], "value": [1.0]},
        "instruments": {"name": ["A"], "strike": [1.0], "expiry_ms": [9e11], "type": ["call"], "listed_ms": [1e10]},
        "at": 2e11,
    }  # fmt: skip
    for name, value in change.items():
        call[name] = {**call[name], **value} if isinstance(value, dict) and value and name != "shares" else value
    with pytest.raises(ValueError, match=f"^{argument}: ") as caught:
        dfmon.dealer_positions(**call)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "wrong", "message"),
    [
        (np.array([1.0, "x", 2.0], object), "'x'", "numbers are expected, not 'x'"),
        ([1.0, "x", 2.0], "'x'", "numbers are expected, not text such as 'x'"),
        (np.array([1.0, 2.0, 10**400], object), "1000", "numbers are expected, not 1000"),
        (["1", "2", "3"], "'1'", "such as '1'"),
    ],
)
def test_the_message_quotes_the_value_that_is_no_number(column: Any, wrong: str, message: str) -> None:
    trades, interest, options = _one_option(prints=3)
    with pytest.raises(ValueError, match=r"^trades: side: ") as caught:
        dfmon.dealer_positions(trades | {"side": column}, interest, options, 2 * HOUR_MS)
    assert message in str(caught.value)
    assert str(caught.value).count(wrong) == 1


def _one_option(prints: int = 0, values: int = 0, listed_ms: float = np.nan) -> tuple[Tape, Tape, Tape]:
    """Prints of a coin in hours 1, 2, ..., open interest of 10 coins in the same ones; expiry in hour 9."""
    trades = {
        "ts_ms": [HOUR_MS * (1 + i) for i in range(prints)], "instrument": ["A"] * prints, "side": [1] * prints,
        "amount": [1.0] * prints, "kind": ["screen"] * prints, "event": list(range(prints)),
    }  # fmt: skip
    times = [HOUR_MS * (1 + i) for i in range(values)]
    interest = {"ts_ms": times, "instrument": ["A"] * values, "value": [10.0] * values}
    options = {"name": ["A"], "strike": [1.0], "expiry_ms": [9 * HOUR_MS], "type": ["call"], "listed_ms": [listed_ms]}
    return trades, interest, options


def test_what_is_dated_at_or_after_the_expiry_is_counted_once_its_time_has_come() -> None:
    tape = _one_option(prints=11, values=10, listed_ms=1.0)
    before, at, after = dfmon.dealer_positions(*tape, [8.5 * HOUR_MS, 9 * HOUR_MS, 20 * HOUR_MS])
    names = ("prints after the expiry", "open interest after the expiry")
    assert [[found.faults[name] for name in names] for found in (before, at, after)] == [[0, 0], [1, 1], [3, 2]]
    assert dfmon.dealer_positions(*tape, 20 * HOUR_MS).faults == after.faults


@pytest.mark.parametrize(
    ("values", "listed_ms", "expected"), [(0, np.nan, None), (2, np.nan, 1.0 - np.exp(-0.1)), (0, 1.0, None)]
)
def test_coverage_without_a_listing_or_open_interest_claims_nothing(
    values: int, listed_ms: float, expected: float | None
) -> None:
    found = dfmon.dealer_positions(*_one_option(prints=2, values=values, listed_ms=listed_ms), 8 * HOUR_MS)
    assert found.coverage == pytest.approx(expected)


@pytest.mark.parametrize("prints", [0, 1, 3])
def test_a_book_of_which_neither_listing_nor_open_interest_was_seen_has_no_bound(prints: int) -> None:
    exact = {"screen": (1.0, 0.0, 0.0, 0.0)}
    found = dfmon.dealer_positions(*_one_option(prints=prints), 8 * HOUR_MS, shares=exact)
    assert (found.lo.tolist(), found.hi.tolist(), found.p_long.tolist()) == ([-np.inf], [np.inf], [0.5])
    assert found.members.std() == pytest.approx(prints, rel=0.1)
    assert found.members.mean() == pytest.approx(found.net[0], abs=1e-9)
    assert found.coverage is None
    shown = dfmon.dealer_positions(*_one_option(prints=prints, values=1), 8 * HOUR_MS, shares=exact)
    assert np.isfinite(shown.lo).all()
    assert shown.coverage is not None


@pytest.mark.parametrize("prints", [1, 3])
def test_bands_without_open_interest_reach_what_was_printed(prints: int) -> None:
    """Of the sums that the assumed shares of independent prints allow, the band holds most, and the likeliest."""
    found = dfmon.dealer_positions(*_one_option(prints=prints, listed_ms=1.0), 8 * HOUR_MS)
    low, high = found.lo[0] - 1e-6, found.hi[0] + 1e-6
    assert low <= -prints
    assert found.members.min() < -0.95 * prints
    chances = {-1: 0.7, 1: 0.15, 0: 0.15}
    held = sum(
        math.prod(chances[move] for move in moves)
        for moves in product(chances, repeat=prints)
        if low <= sum(moves) <= high
    )
    assert held > 0.84


def test_an_exactly_known_position_without_open_interest_stays_exact() -> None:
    exact = {"screen": (1.0, 0.0, 0.0, 0.0)}
    found = dfmon.dealer_positions(*_one_option(prints=3, listed_ms=1.0), 3.5 * HOUR_MS, shares=exact)
    np.testing.assert_allclose([found.net[0], found.lo[0], found.hi[0]], -3.0, atol=0.1)


def test_nothing_known_is_zero_and_not_minus_zero() -> None:
    found = dfmon.dealer_positions(*_one_option(listed_ms=1.0), 0)
    for part in (found.net, found.lo, found.hi, found.members, *found.provenance.values()):
        assert not np.signbit(part).any()


def test_live_frames_and_a_tape_give_the_same_bits() -> None:
    board = frame(days=(9.0, 37.0))
    rng, book = np.random.default_rng(7), PositionBook.empty()
    prints, shown = [], []
    for minute in range(0, 200, 4):
        now_ns = NOW + minute * MINUTE
        rows = np.sort(rng.integers(0, board.size, 6))
        trades = trade_columns(
            rows.tolist(), rng.choice([1, -1], 6).tolist(), rng.uniform(0.1, 9.0, 6).tolist(),
            exch_ns=[now_ns - SECOND] * 6, block=(rng.random(6) < 0.2).tolist(), combo=(rng.random(6) < 0.2).tolist(),
        )  # fmt: skip
        trades = replace(trades, seq=trades.seq + 10 * minute)
        interest = board.open_interest * rng.uniform(0.98, 1.02, board.size)
        board = replace(
            board, ts_ns=now_ns, open_interest=interest, interest=interest, trades=trades,
            interest_ns=np.full(board.size, now_ns),
        )  # fmt: skip
        book = advance_book(book, board, PositionPriors())
        prints.append(trades)
        shown.append(interest)
    names, count = np.array(board.names), len(shown)
    uid_row = {int(uid): row for row, uid in enumerate(board.uid.tolist())}
    kinds = np.array(KIND_NAMES)
    tape = {
        "ts_ms": np.concatenate([part.exch_ns for part in prints]) // MILLISECOND,
        "instrument": names[[uid_row[int(uid)] for part in prints for uid in part.uid.tolist()]],
        "side": np.concatenate([part.side for part in prints]), "amount": np.concatenate([p.size for p in prints]),
        "kind": kinds[np.concatenate([print_kinds(part) for part in prints])],
        "event": np.arange(6 * count), "seq": np.concatenate([part.seq for part in prints]),
    }  # fmt: skip
    times = np.repeat((NOW + np.arange(0, 200, 4) * MINUTE) // MILLISECOND, names.size)
    interest_columns = {"ts_ms": times, "instrument": np.tile(names, count), "value": np.concatenate(shown)}
    listed = {
        "name": names, "strike": board.strike, "expiry_ms": board.expiry_ns // MILLISECOND,
        "type": np.where(board.option_type > 0, "call", "put"), "listed_ms": np.full(names.size, np.nan),
    }  # fmt: skip
    found = dfmon.dealer_positions(tape, interest_columns, listed, board.ts_ns // MILLISECOND)
    at = [book.names.index(name) for name in found.names]
    for name, live in (("net", book.estimate.net), ("lo", book.estimate.low), ("members", book.estimate.members)):
        np.testing.assert_array_equal(getattr(found, name), live[at], err_msg=name)


@pytest.fixture(scope="module")
def at_prints() -> MarketTape:
    """A small market whose open interest is seen at each print."""
    accounts = FAMILIES["A"].accounts
    assert accounts is not None
    return simulate(replace(FAMILIES["A"], accounts=replace(accounts, options=24)), 3, days=3.0)


@pytest.mark.parametrize("early_ms", [1, 9])
def test_open_interest_stamped_just_before_its_print_counts_as_of_that_print(
    at_prints: MarketTape, early_ms: int
) -> None:
    times = at_prints.open_interest["ts_ms"]
    early = {**at_prints.open_interest, "ts_ms": np.where(times > at_prints.start_ms, times - early_ms, times)}
    days = [1.0, 2.9]
    for exact, found in zip(
        _positions(at_prints, days=days), _positions(at_prints, days=days, open_interest=early), strict=True
    ):
        _assert_equal(exact, found)


@pytest.mark.slow
def test_a_time_decades_on_takes_no_longer_than_the_last_expiry(at_prints: MarketTape) -> None:
    later = _positions(at_prints, days=[3.0, 366.0 * 200.0])
    assert later[1].names == ()
    assert later[1].rates == _positions(at_prints, days=366.0 * 200.0).rates


def test_columns_of_other_kinds_say_the_same() -> None:
    pd = pytest.importorskip("pandas")
    trades, interest, options = _one_option(prints=3, values=3, listed_ms=1.0)
    plain = dfmon.dealer_positions(trades, interest, options, 8 * HOUR_MS)
    zone = timezone(timedelta(hours=9))
    times = [datetime.fromtimestamp(ms / 1000, zone) for ms in trades["ts_ms"]]
    names = {"instrument": np.array([b"A"] * 3)}
    dated = dfmon.dealer_positions(
        trades | names | {"ts_ms": times}, interest | names, options | {"name": np.array([b"A"])}, 8 * HOUR_MS
    )
    _assert_equal(dated, plain)
    for hidden in (np.ma.masked_equal([1.0, 5.0, 1.0], 5.0), pd.array([1.0, None, 1.0], "Float64")):
        found = dfmon.dealer_positions(trades | {"amount": hidden}, interest, options, 8 * HOUR_MS)
        assert found.faults["prints without side or size up to 1e12"] == 1
    unseen = np.array([pd.NA], object)
    coverage = dfmon.dealer_positions(trades, interest, options | {"listed_ms": unseen}, 8 * HOUR_MS).coverage
    assert coverage == pytest.approx(1.0 - np.exp(-0.15))
