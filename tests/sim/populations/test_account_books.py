"""Books of a market of accounts, rebuilt from its trades alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from dfmon.sim.populations import FAMILIES, MarketTape, simulate
from dfmon.sim.populations.family import KINDS
from dfmon.sim.populations.history import DAY_MS, EXPIRED, UNPRINTED, MarketHistory

ACCOUNTS = [name for name, family in FAMILIES.items() if family.accounts is not None]
SEED = 7  # odd: a market of accounts in G too


@lru_cache(maxsize=1)  # tests come by family
def tape_of(name: str) -> MarketTape:
    return simulate(FAMILIES[name], SEED)


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow) for name in ACCOUNTS])
def tape(request: pytest.FixtureRequest) -> MarketTape:
    return tape_of(request.param)


def rebuild(books: list[dict[int, float]], history: MarketHistory, rows: range) -> None:
    """Positions by option and account after the changes of `rows`, from buyers and sellers alone."""
    for row in rows:
        option = int(history.option[row])
        if history.kind[row] == EXPIRED:
            books[option] = {}
            continue
        for account, signed in ((history.buyer[row], 1.0), (history.seller[row], -1.0)):
            book = books[option]
            book[int(account)] = book.get(int(account), 0.0) + signed * float(history.amount[row])


def test_truth_is_the_sum_of_the_accounts(tape: MarketTape) -> None:
    history, start = tape.history, 0
    books: list[dict[int, float]] = [{} for _ in range(history.listing.strike.size)]
    for day in (-5.0, 0.0, 3.0, 25.0):
        end = int(np.searchsorted(history.time_ms, day * DAY_MS, side="right"))
        rebuild(books, history, range(start, end))
        start = end
        at = tape.start_ms + day * DAY_MS
        assert all(abs(sum(book.values())) < 1e-6 for book in books)
        interest = [sum(map(abs, book.values())) / 2.0 for book in books]
        net = [sum(q for account, q in book.items() if account < history.customers) for book in books]
        np.testing.assert_allclose(tape.open_interest_at(at), interest, atol=1e-6)
        np.testing.assert_allclose(tape.customer_net(at), net, atol=1e-6)


def test_each_change_moves_open_interest_by_what_its_parties_open_and_close(tape: MarketTape) -> None:
    history = tape.history
    interest: dict[int, float] = {}
    books: list[dict[int, float]] = [{} for _ in range(history.listing.strike.size)]
    for row in range(20_000):
        option, buyer, seller = int(history.option[row]), int(history.buyer[row]), int(history.seller[row])
        if history.kind[row] == EXPIRED:
            interest[option], books[option] = 0.0, {}
            continue
        book, amount = books[option], float(history.amount[row])
        bought, sold = book.get(buyer, 0.0), book.get(seller, 0.0)
        opened = (amount - min(amount, max(-bought, 0.0)), amount - min(amount, max(sold, 0.0)))
        change = (sum(opened) - (2.0 * amount - sum(opened))) / 2.0
        assert history.open_interest[row] - interest.get(option, 0.0) == pytest.approx(change, abs=1e-6)
        interest[option] = float(history.open_interest[row])
        book[buyer], book[seller] = bought + amount, sold - amount


def test_parties_are_two_accounts_and_the_taker_has_the_side_of_the_print(tape: MarketTape) -> None:
    history = tape.history
    trades = history.kind != EXPIRED
    assert (history.buyer[trades] != history.seller[trades]).all()
    prints = history.kind >= 0
    assert (history.side[prints] != 0).all()
    assert (history.side[~prints] == 0).all()
    assert (history.amount[prints] >= 0.1 - 1e-9).all()
    unprinted = history.kind == UNPRINTED
    is_customer = np.stack([history.buyer, history.seller])[:, unprinted] < history.customers
    assert (is_customer.sum(axis=0) == 1).all(), "passes and bookings are between a customer and a dealer"


@pytest.mark.slow
def test_expired_options_leave_nothing_and_new_ones_follow() -> None:
    tape = tape_of("X")
    history, days = tape.history, 25.0
    gone = history.listing.expiry_days <= days
    assert gone.any()
    assert (history.listing.listed_days[history.listing.expiry_days < 40.0] > 0.0).any()
    end = tape.start_ms + days * DAY_MS
    assert (tape.open_interest_at(end)[gone] == 0.0).all()
    assert (tape.customer_net(end)[gone] == 0.0).all()
    before = tape.start_ms + history.listing.expiry_days[gone].min() * DAY_MS - 1.0
    assert tape.open_interest_at(before)[gone].sum() > 0.0
    expiry_ms = history.listing.expiry_days[history.option] * DAY_MS
    trades = history.kind != EXPIRED
    assert (history.time_ms[trades] < expiry_ms[trades]).all()


@pytest.mark.slow
def test_a_liquidation_reduces_the_position_of_a_customer() -> None:
    history = tape_of("Y").history
    books: list[dict[int, float]] = [{} for _ in range(history.listing.strike.size)]
    checked = 0
    first = KINDS.index("liquidation_taker")
    for row in range(history.kind.size):
        option, amount = int(history.option[row]), float(history.amount[row])
        book, buyer, seller = books[option], int(history.buyer[row]), int(history.seller[row])
        bought, sold = book.get(buyer, 0.0), book.get(seller, 0.0)
        both_dealers = min(buyer, seller) >= history.customers
        if history.kind[row] >= first and not both_dealers and any(
            q for account, q in book.items() if account < history.customers and abs(q) > 1e-6
        ):  # fmt: skip
            reduces = (bought <= -amount + 1e-6 and buyer < history.customers) or (
                sold >= amount - 1e-6 and seller < history.customers
            )
            assert reduces
            checked += 1
        book[buyer], book[seller] = bought + amount, sold - amount
    assert checked > 100
