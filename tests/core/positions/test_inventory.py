"""The state of the estimator: chance by name, lives, restarts, splits."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.positions import posterior
from dfmon.core.positions.attribution import (
    COMBO,
    DIRECTION_NODES,
    INFORMATIVE_KINDS,
    Priors,
    attribution_tables,
    print_kinds,
)
from dfmon.core.positions.counter_rng import (
    COMMON_VARIANCE_SHARE,
    MEMBERS,
    START,
    STREAMS,
    direction_quantiles,
    option_normals,
    uniforms,
)
from dfmon.core.positions.dealer_net import dealer_positions
from dfmon.core.positions.inventory import Inventory
from dfmon.core.positions.inventory_codec import decode_inventory, encode_inventory
from dfmon.core.positions.update import sum_print_flow, update_inventory
from dfmon.model.frames import ChainFrame, TradeColumns, TradeHistory
from dfmon.model.units import MINUTE, SECOND
from tests.chains import NOW, frame, permuted, trade_columns

BOARD = frame()
N = BOARD.size
PRIORS = Priors()
FLAGS = ("block", "rfq", "combo")


def prints(rng: np.random.Generator, k: int, row: int | None = None) -> TradeColumns:
    flags = {name: rng.random(k) < 0.2 for name in FLAGS}
    return trade_columns(
        rng.integers(0, N, k).tolist() if row is None else [row] * k,
        rng.choice([-1, 1], k).tolist(),
        rng.lognormal(0.0, 1.0, k).tolist(),
        key=rng.integers(1, 2**63, k),
        liquidation=rng.choice(["", "", "", "T", "M", "MT"], k).tolist(),
        exch_ns=NOW + np.arange(k) * SECOND,
        **flags,
    )


def member_positions(inventory: Inventory, board: ChainFrame) -> np.ndarray:
    members = dealer_positions("flow", inventory, board).members
    assert members is not None
    return members


def owned_bytes(arrays: Sequence[np.ndarray]) -> int:
    """Bytes that arrays keep alive."""
    owners: list[Any] = [array if array.base is None else array.base for array in arrays]
    sizes = {id(owner): memoryview(owner).nbytes for owner in owners}
    return sum(sizes.values())


def test_a_session_keeps_as_much_alive_after_its_prints_as_before_the_first() -> None:
    """Rows are read many at once and replaced one by one: what is left of a reading must not keep all of it."""
    rng, inventory = np.random.default_rng(3), update_inventory(Inventory.empty(), BOARD, PRIORS)
    for second in range(100):
        assert owned_bytes(inventory.members) == N * MEMBERS * 8
        assert owned_bytes(inventory.flows) == N * DIRECTION_NODES * STREAMS * 8
        traded = prints(rng, 10)
        inventory = update_inventory(inventory, replace(BOARD, ts_ns=NOW + second * SECOND, trades=traded), PRIORS)
        if second == 50:
            inventory = update_inventory(decode_inventory(encode_inventory(inventory)), BOARD, PRIORS)


@pytest.mark.parametrize("rows", [1, 3, N - 1, 10 * N])
def test_how_many_rows_are_read_at_once_changes_no_bit(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    traded = replace(BOARD, trades=prints(np.random.default_rng(5), 40))
    usual = update_inventory(Inventory.empty(), traded, PRIORS)
    monkeypatch.setattr(posterior, "BATCH_ROWS", rows)
    other = update_inventory(Inventory.empty(), traded, PRIORS)
    np.testing.assert_array_equal(member_positions(other, traded), member_positions(usual, traded))
    np.testing.assert_array_equal(other.summary, usual.summary)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 40), max_size=4))
def test_splitting_prints_over_ticks_changes_no_bit(seed: int, cuts: list[int]) -> None:
    traded = prints(np.random.default_rng(seed), 40)
    start = update_inventory(Inventory.empty(), BOARD, PRIORS)
    late = replace(BOARD, ts_ns=NOW + MINUTE)
    once = update_inventory(start, replace(late, trades=traded), PRIORS)
    edges = [0, *sorted(cuts), 40]
    parts = start
    for a, b in pairwise(edges):
        parts = update_inventory(parts, replace(late, trades=traded.rows(np.arange(a, b))), PRIORS)
    assert encode_inventory(parts) == encode_inventory(once)
    np.testing.assert_array_equal(member_positions(parts, late), member_positions(once, late))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.permutations(range(N)))
def test_a_restart_equals_no_restart_however_options_are_numbered(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    before = update_inventory(Inventory.empty(), replace(BOARD, trades=prints(rng, 30)), PRIORS)
    later = replace(
        BOARD, ts_ns=NOW + 3 * 3600 * SECOND, open_interest=BOARD.open_interest * 1.1, trades=prints(rng, 9)
    )
    rows = np.array(order)
    mixed = permuted(later, rows)
    mixed = replace(mixed, uid=mixed.uid + 1000, trades=replace(later.trades, uid=later.trades.uid + 1000))
    through = update_inventory(before, later, PRIORS)
    again = update_inventory(decode_inventory(encode_inventory(before)), mixed, PRIORS)
    np.testing.assert_array_equal(member_positions(again, mixed), member_positions(through, later)[rows])
    assert encode_inventory(again) == encode_inventory(through)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: data[:-1], "checksum"),
        (lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:], "checksum"),
        (lambda data: b"", "checksum"),
        (lambda data: b"not a state at all", "checksum"),
    ],
)
def test_damaged_state_is_refused_in_one_sentence(harm: Callable[[bytes], bytes], said: str) -> None:
    whole = encode_inventory(update_inventory(Inventory.empty(), BOARD, PRIORS))
    with pytest.raises(ValueError, match=said) as caught:
        decode_inventory(harm(whole))
    assert "\n" not in str(caught.value)


def test_a_state_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfmon.core.positions.inventory_codec.VERSION", 99)
    other = encode_inventory(Inventory.empty())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version 99"):
        decode_inventory(other)


def test_a_life_replaces_what_was_known_and_begins_at_zero() -> None:
    rng = np.random.default_rng(5)
    traded = prints(rng, 50, row=3)
    noise = update_inventory(Inventory.empty(), replace(BOARD, trades=prints(rng, 60)), PRIORS)
    live = replace(BOARD, ts_ns=NOW + MINUTE, trade_histories=(TradeHistory(3, traded),))
    after = update_inventory(noise, live, PRIORS)
    born = np.arange(N) == 3
    watched = update_inventory(Inventory.empty(), replace(BOARD, full_history=born), PRIORS)
    watched = update_inventory(watched, replace(BOARD, ts_ns=NOW + MINUTE, full_history=born, trades=traded), PRIORS)
    np.testing.assert_array_equal(after.flows[3], watched.flows[3])
    assert after.records["unobserved_oi"][3] == 0.0
    assert after.records["seq"][3] == 50
    seen = dealer_positions("flow", after, live).seen
    assert seen is not None
    assert seen[3] == 1.0


def test_prints_after_a_life_add_to_it() -> None:
    rng = np.random.default_rng(6)
    traded = prints(rng, 80, row=3)
    first, rest = traded.rows(np.arange(50)), traded.rows(np.arange(50, 80))
    start = update_inventory(Inventory.empty(), BOARD, PRIORS)
    late = replace(BOARD, ts_ns=NOW + 2 * MINUTE)
    once = update_inventory(start, replace(late, trade_histories=(TradeHistory(3, traded),)), PRIORS)
    parts = update_inventory(
        update_inventory(start, replace(late, trade_histories=(TradeHistory(3, first),)), PRIORS),
        replace(late, trades=rest),
        PRIORS,
    )
    np.testing.assert_array_equal(once.flows[3], parts.flows[3])
    np.testing.assert_array_equal(member_positions(once, late), member_positions(parts, late))


def test_an_empty_life_says_that_nobody_ever_traded_the_option() -> None:
    live = replace(BOARD, trade_histories=(TradeHistory(3, trade_columns()),))
    found = update_inventory(update_inventory(Inventory.empty(), BOARD, PRIORS), live, PRIORS)
    assert not member_positions(found, live)[3].any()


def test_a_tick_without_news_keeps_the_very_inventory() -> None:
    inventory = update_inventory(Inventory.empty(), BOARD, PRIORS)
    assert update_inventory(inventory, replace(BOARD, ts_ns=NOW + SECOND), PRIORS) is inventory


def test_a_listing_that_flickers_keeps_what_was_known() -> None:
    traded = replace(BOARD, trades=trade_columns([0], [1], [5.0]))
    seen = update_inventory(Inventory.empty(), traded, PRIORS)
    gap = permuted(BOARD, np.arange(1, N))
    back = update_inventory(update_inventory(seen, gap, PRIORS), BOARD, PRIORS)
    np.testing.assert_array_equal(member_positions(back, BOARD), member_positions(seen, BOARD))


def test_prints_older_than_the_watch_shrink_what_was_not_seen() -> None:
    start = update_inventory(Inventory.empty(), BOARD, PRIORS)
    old = trade_columns([0], [1], [4.0], exch_ns=[NOW - MINUTE])
    after = update_inventory(start, replace(BOARD, ts_ns=NOW + SECOND, trades=old), PRIORS)
    assert after.records["unobserved_oi"][0] == start.records["unobserved_oi"][0] - 4.0
    assert (after.records["qty_since_start"][0], after.records["prints_minus_oi"][0]) == (0.0, 0.0)


# ---- chance ----------------------------------------------------------------------------------------------------------


def test_legs_of_one_combo_have_one_class_in_every_member() -> None:
    key = np.full(2, 77, np.uint64)
    legs = [
        sum_print_flow(attribution_tables(PRIORS), key[:1], np.array([COMBO]), np.array([buy]), np.array([1.0]))
        for buy in (0, 1)
    ]
    np.testing.assert_array_equal(legs[0], -legs[1])
    assert np.unique(legs[0]).tolist() == [-1.0, 0.0, 1.0]


def test_classes_are_drawn_with_the_shares_that_are_held() -> None:
    tables = attribution_tables(Priors(contrarian_prior_weight=0.0))
    keys = np.arange(1, 4001, dtype=np.uint64)
    ones, combo = np.ones(4000), np.full(4000, COMBO)
    net = sum_print_flow(tables, keys, combo, np.ones(4000, np.int64), ones) / 4000
    assert net.mean() == pytest.approx(0.74 - 0.12, abs=0.01)
    assert net.std() > 0.03  # every stream holds its own


def test_persistent_buyers_make_a_taker_buy_worth_more_than_a_sell() -> None:
    tables = attribution_tables(Priors(dirichlet_concentration=1e6, contrarian_prior_weight=0.0))
    node = 5  # customers buy with probability 11/14
    key, one = np.arange(1, 20_001, dtype=np.uint64), np.ones(20_000)
    bought = (
        sum_print_flow(tables, key, np.zeros(20_000, np.int64), np.ones(20_000, np.int64), one)[node].mean() / 20_000
    )
    sold = (
        sum_print_flow(tables, key, np.zeros(20_000, np.int64), np.zeros(20_000, np.int64), one)[node].mean() / 20_000
    )
    pb, p0, p1, rest = 11 / 14, 0.74, 0.12, 0.14

    def worth(pb: float) -> float:
        return (p0 * pb - p1 * (1 - pb)) / (p0 * pb + p1 * (1 - pb) + rest / 2)

    assert bought == pytest.approx(worth(pb), abs=0.01)
    assert sold == pytest.approx(-worth(1 - pb), abs=0.01)
    assert bought > 2 * abs(sold)


def test_draws_are_uniform_and_depend_on_the_event_alone() -> None:
    drawn = uniforms(np.arange(5000, dtype=np.uint64))
    assert drawn.shape == (5000, STREAMS)
    assert drawn.mean() == pytest.approx(0.5, abs=0.003)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(STREAMS)).max() < 0.08
    np.testing.assert_array_equal(uniforms(np.array([4321], np.uint64))[0], drawn[4321])


def test_draws_of_an_option_are_mirrored_and_have_the_variance_they_claim() -> None:
    names = [f"OPTION-{i}" for i in range(400)]
    start = option_normals(names, START, COMMON_VARIANCE_SHARE)
    assert start.std() == pytest.approx(1.0, abs=0.02)
    assert start.mean(axis=0).var() == pytest.approx(COMMON_VARIANCE_SHARE, abs=0.005)
    np.testing.assert_array_equal(start[:, :STREAMS], -start[:, STREAMS:])
    np.testing.assert_allclose(direction_quantiles(names)[:, :STREAMS] + direction_quantiles(names)[:, STREAMS:], 1.0)
    np.testing.assert_array_equal(option_normals(names[7:8], START, COMMON_VARIANCE_SHARE)[0], start[7])
    assert direction_quantiles(names).shape == (400, MEMBERS)


def test_kind_of_a_print_follows_its_flags() -> None:
    said = trade_columns(
        [0] * 8,
        [1] * 8,
        [1.0] * 8,
        block=[0, 1, 1, 0, 1, 0, 0, 1],
        rfq=[0, 0, 1, 0, 0, 0, 0, 0],
        combo=[0, 0, 0, 1, 1, 0, 0, 0],
        liquidation=["", "", "", "", "", "T", "M", "MT"],
    )
    assert print_kinds(said).tolist() == [0, 1, 2, 3, 1, 4, 5, 6]
    assert COMBO not in INFORMATIVE_KINDS
