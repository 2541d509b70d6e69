"""What the switches of a family do, measured on its worlds."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from dfmon.sim.populations import FAMILIES, MarketTape, simulate
from dfmon.sim.populations.family import KINDS, AccountSwitches
from dfmon.sim.populations.history import DAY_MS, EXPIRED, MarketHistory
from dfmon.sim.populations.orders import draw_logits, list_options

F64 = NDArray[np.float64]
SEEDS = range(101, 105)
MADE_OF_ACCOUNTS = [name for name, family in FAMILIES.items() if family.accounts and not family.classes]


@lru_cache(maxsize=8)  # tens of megabytes each
def tape_of(name: str, seed: int) -> MarketTape:
    return simulate(FAMILIES[name], seed)


def party_class(history: MarketHistory) -> NDArray[np.int64]:
    """0 a customer takes, 1 a dealer takes, 2 customers, 3 dealers; of every change."""
    taker = np.where(history.side > 0, history.buyer, history.seller) < history.customers
    maker = np.where(history.side > 0, history.seller, history.buyer) < history.customers
    return np.select([taker & ~maker, ~taker & maker, taker & maker], [0, 1, 2], 3)


def openings(history: MarketHistory) -> F64:
    """Rows of class, side times customers' net over open interest, change of open interest over size, both opened,
    both closed; of the prints in options with eight times their size open."""
    books: list[dict[int, float]] = [{} for _ in range(history.listing.strike.size)]
    interest, net = np.zeros(len(books)), np.zeros(len(books))
    classes, rows = party_class(history), []
    for row in range(history.kind.size):
        option, amount, kind = int(history.option[row]), float(history.amount[row]), int(history.kind[row])
        if kind == EXPIRED:
            books[option], interest[option], net[option] = {}, 0.0, 0.0
            continue
        book, buyer, seller = books[option], int(history.buyer[row]), int(history.seller[row])
        bought, sold = book.get(buyer, 0.0), book.get(seller, 0.0)
        if kind >= 0 and interest[option] > 8.0 * amount:
            exposure = history.side[row] * net[option] / interest[option]
            change = np.clip((history.open_interest[row] - interest[option]) / amount, -1.0, 1.0)
            opens = bought > -1e-9, sold < 1e-9
            rows.append((classes[row], exposure, change, all(opens), not any(opens)))
        book[buyer], book[seller] = bought + amount, sold - amount
        interest[option], net[option] = history.open_interest[row], history.customer_net[row]
    return np.array(rows, np.float64)


def slope(rows: F64, number: int) -> float:
    """Regression of the change of open interest over size on side times customers' net over open interest."""
    chosen = rows[rows[:, 0] == number]
    return float(np.polyfit(chosen[:, 1], chosen[:, 2], 1)[0])


@pytest.mark.slow
def test_class_shares_are_the_assumed_ones_in_b_and_drawn_for_each_world_in_a() -> None:
    def shares(name: str, seed: int) -> F64:
        history = tape_of(name, seed).history
        screen = history.kind == KINDS.index("screen")
        counts: F64 = np.bincount(party_class(history)[screen], minlength=4) / screen.sum()
        return counts

    worlds = np.array([shares("B", seed) for seed in SEEDS])
    np.testing.assert_allclose(worlds.mean(axis=0), (0.74, 0.12, 0.08, 0.06), atol=0.03)
    assert np.ptp(worlds[:, 0]) < 0.12
    assert np.ptp([shares("A", seed)[0] for seed in SEEDS]) > 0.12


@pytest.mark.slow
def test_in_b_the_dealers_leg_opens_or_closes_by_the_sign_of_the_customers_net() -> None:
    rows = np.concatenate([openings(tape_of("B", seed).history) for seed in SEEDS])
    assert slope(rows, 0) == pytest.approx(0.57, abs=0.08)
    assert slope(rows, 1) == pytest.approx(-0.57, abs=0.08)
    assert abs(slope(rows, 2)) < 0.06
    assert abs(slope(rows, 3)) < 0.06
    first = rows[rows[:, 0] == 0]
    with_net, against_net, flat = (first[np.abs(first[:, 1] - at) < 0.1] for at in (0.85, -0.85, 0.0))
    assert with_net[:, 3].mean() == pytest.approx(0.49, abs=0.05)
    assert with_net[:, 4].mean() == pytest.approx(0.05, abs=0.04)
    assert against_net[:, 3].mean() == pytest.approx(0.05, abs=0.04)
    assert against_net[:, 4].mean() > 0.44
    assert flat[:, 3].mean() == pytest.approx(0.20, abs=0.05)


@pytest.mark.slow
def test_sixty_dealer_accounts_say_less() -> None:
    few, many_dealers = (openings(tape_of(name, 101).history) for name in ("A", "N"))
    assert slope(many_dealers, 0) < slope(few, 0) - 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "zero"), [("A", 0.42), ("B", 0.49), ("C", 0.47), ("D", 0.635), ("N", 0.335), ("H", 0.365)]
)
def test_customers_net_over_open_interest_on_the_last_day(name: str, zero: float) -> None:
    """The error of "zero", which an estimate must beat."""
    squares = []
    for seed in SEEDS:
        tape = tape_of(name, seed)
        at = tape.start_ms + 25.0 * DAY_MS
        interest = tape.open_interest_at(at)
        squares.append(np.mean((tape.customer_net(at)[interest > 0.0] / interest[interest > 0.0]) ** 2))
    assert np.sqrt(np.mean(squares)) == pytest.approx(zero, abs=0.06)


@pytest.mark.parametrize(
    "name",
    [
        name if name == "V" else pytest.param(name, marks=pytest.mark.slow)
        for name in MADE_OF_ACCOUNTS
        if not FAMILIES[name].drawn
    ],
)
def test_shares_of_kinds_and_rate_are_those_of_the_switches(name: str) -> None:
    switches = FAMILIES[name].accounts
    assert switches is not None
    tape = tape_of(name, 101)
    kinds = tape.trades["kind"]
    for kind, share in zip(KINDS, switches.kind_shares, strict=True):
        if not switches.funds:  # whose orders come on top
            assert np.mean(kinds == kind) == pytest.approx(share, abs=0.025), kind
    blocks = tape.trades["amount"][(kinds == "block") | (kinds == "rfq")].sum() / tape.trades["amount"].sum()
    assert 0.2 < blocks < 0.65
    listing = tape.history.listing
    life = np.minimum(listing.expiry_days, 25.0) - np.maximum(listing.listed_days, 0.0)
    assert 8.0 < kinds.size / np.maximum(life, 0.0).sum() < 13.0


@pytest.mark.slow
def test_an_order_in_clips_has_one_side_and_one_pair_of_parties() -> None:
    history = tape_of("X", 101).history
    prints = np.flatnonzero(history.kind == 0)
    prints = prints[np.argsort(history.option[prints], kind="stable")]
    first, second = prints[:-1], prints[1:]
    close = (history.option[first] == history.option[second]) & (history.time_ms[second] - history.time_ms[first] < 2e3)
    assert close.sum() > 500
    assert np.mean(history.buyer[first][close] == history.buyer[second][close]) > 0.9
    assert np.mean(history.side[first][close] == history.side[second][close]) > 0.9


def test_turns_reverse_a_group_and_half_lives_let_directions_fade() -> None:
    switches = FAMILIES["A"].accounts
    assert switches is not None
    rng = np.random.default_rng(5)
    listing = list_options(switches, 25.0, rng)
    times, logits = draw_logits(switches, listing, 25.0, rng)
    assert (np.diff(times) > 0.0).all()
    assert times.size >= 2
    for before, after in pairwise(logits):
        turned = before != after
        assert 0.1 < turned.mean() < 0.7
        assert np.corrcoef(before[turned], after[turned])[0, 1] < -0.3
    fading = replace(switches, turn_days=0.0, half_life_days=5.0)
    days, rows = draw_logits(fading, listing, 25.0, rng)
    at = dict(zip(np.round(days).astype(int).tolist(), rows, strict=True))
    correlations = [np.corrcoef(at[day], at[day + 5])[0, 1] for day in range(-15, 15)]
    assert np.mean(correlations) == pytest.approx(0.5, abs=0.2)


@pytest.mark.slow
def test_funds_build_positions_and_roll_them_to_the_next_expiry() -> None:
    history = tape_of("Y", 101).history
    switches = FAMILIES["Y"].accounts
    assert isinstance(switches, AccountSwitches)
    is_fund = (history.buyer < switches.funds) | (history.seller < switches.funds)
    combos = np.flatnonzero((history.kind == KINDS.index("combo")) & is_fund)
    first, second = combos[:-1], combos[1:]
    legs = history.event[first] == history.event[second]
    expiry = history.listing.expiry_days
    is_roll = expiry[history.option[first[legs]]] < expiry[history.option[second[legs]]]
    assert is_roll.sum() > 200
    opposite = history.side[first[legs]] != history.side[second[legs]]
    assert opposite[is_roll].all()


@pytest.mark.slow
def test_the_market_of_a_mixed_family_goes_by_the_seed() -> None:
    assert tape_of("G", 101).history.customers > 0
    assert tape_of("G", 102).history.customers == 0


def test_held_out_families_are_marked() -> None:
    assert [name for name, family in FAMILIES.items() if family.reserved] == ["X", "Y"]


def test_a_wide_family_draws_one_value_of_each_switch_for_a_world() -> None:
    family = FAMILIES["W"]
    assert family.accounts is not None
    small = replace(
        family, accounts=replace(family.accounts, options=12), drawn={**family.drawn, "in_view": (0.5, 0.5)}
    )
    first, again, other = (simulate(small, seed, days=3.0) for seed in (1, 1, 2))
    assert first.trades["ts_ms"].tolist() == again.trades["ts_ms"].tolist() != other.trades["ts_ms"].tolist()
    at_parity = replace(small, drawn={**small.drawn, "swapped": (0.5, 0.5), "concentration": (1e6, 1e6)})
    history = simulate(at_parity, 3, days=20.0).history
    screen = history.kind == 0
    taker = np.where(history.side > 0, history.buyer, history.seller)[screen]
    customer_buys, customer_sells = (party[screen] < history.customers for party in (history.buyer, history.seller))
    between = customer_buys != customer_sells
    assert abs(float(np.mean(taker[between] < history.customers)) - 0.5) < 0.05
