"""A market of accounts that the venue nets: who trades each order, and what it does to open interest.

Amounts are whole lots, so that open interest is exactly half the sum of the absolute positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.sim.populations.family import KINDS, AccountSwitches
from dfmon.sim.populations.history import DAY_MS, EXPIRED, F64, I64, UNPRINTED, Listing, MarketHistory
from dfmon.sim.populations.orders import FIRST_LIQUIDATION, Orders, draw, draw_orders, list_options

LOT: Final = 0.1  # coins
FORCED: Final = KINDS[FIRST_LIQUIDATION:]
CUSTOMER_TAKES, DEALER_TAKES, AMONG_CUSTOMERS, AMONG_DEALERS = range(4)


class Accounts:
    """Signed positions (lots) by option and account, and the choice of the accounts that trade."""

    def __init__(self, switches: AccountSwitches, options: int, rng: np.random.Generator) -> None:
        self.customers = round(draw(rng, switches.customers)) + switches.funds
        self.dealers = round(draw(rng, switches.dealers))
        self.positions = [[0] * (self.customers + self.dealers) for _ in range(options)]
        self.interest = [0] * options  # lots
        self.customer_net = [0] * options  # lots
        self._switches = switches
        self._closers = draw(rng, switches.closers)
        taste = switches.taste_sd * rng.standard_normal(self.customers)
        self._buys = (1.0 / (1.0 + np.exp(-taste))).tolist()
        weights = np.where(np.arange(self.dealers) < switches.large_dealers, switches.large_dealer_weight, 1.0)
        self._dealer_at = np.repeat(np.arange(self.dealers), weights.astype(np.int64)).tolist()
        self._uniform = _uniforms(rng)

    def trade(self, option: int, buyer: int, seller: int, lots: int) -> None:
        """Moves `lots` from the seller to the buyer."""
        positions = self.positions[option]
        bought, sold = positions[buyer], positions[seller]
        positions[buyer], positions[seller] = bought + lots, sold - lots
        self.interest[option] += (abs(bought + lots) - abs(bought) + abs(sold - lots) - abs(sold)) // 2
        self.customer_net[option] += lots * ((buyer < self.customers) - (seller < self.customers))

    def expire(self, option: int) -> None:
        """Closes every position in an option."""
        self.positions[option] = [0] * len(self.positions[option])
        self.interest[option] = self.customer_net[option] = 0

    def pick_customer(self, option: int, direction: int, other: int = -1) -> int:
        """A customer who trades in this direction: one whose position it reduces, or one whose taste it is."""
        uniform = self._uniform
        if next(uniform) < self._closers:
            positions = self.positions[option]
            candidates = [
                account for account in range(self.customers) if positions[account] * direction < 0 and account != other
            ]
            if candidates:
                return candidates[int(next(uniform) * len(candidates))]
        while True:
            account = int(next(uniform) * self.customers)
            chance = self._buys[account] if direction > 0 else 1.0 - self._buys[account]
            if account != other and next(uniform) < chance:
                return account

    def pick_dealer(self, option: int, direction: int, other: int = -1) -> int:
        """A dealer who trades in this direction, by size, less willing the more the position grows."""
        positions, uniform, switches = self.positions[option], self._uniform, self._switches
        scale, reduction = direction * LOT / switches.dealer_scale, switches.dealer_reduction
        bound = 1.0 + reduction
        while True:
            dealer = self.customers + self._dealer_at[int(next(uniform) * len(self._dealer_at))]
            weight = 1.0 - reduction * math.tanh(positions[dealer] * scale)
            if dealer != other and next(uniform) * bound < weight:
                return dealer


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(65_536).tolist()


@dataclass(slots=True)
class _Party:
    """Buyer and seller of an event's first leg, and the side of its taker."""

    buyer: int
    seller: int
    side: int
    limit: int = 0  # lots at the outside; 0: no limit


class AccountMarket:
    """Trades a stream of orders."""

    def __init__(self, switches: AccountSwitches, days: float, rng: np.random.Generator) -> None:
        self.listing = list_options(switches, days, rng)
        self._switches, self._days, self._rng = switches, days, rng
        self.accounts = Accounts(switches, self.listing.strike.size, rng)
        self._early = draw(rng, switches.early_closing)
        shares = [rng.dirichlet(switches.concentration * np.array(switches.shares[kind])) for kind in KINDS]
        shares = [_swapped(row, 0.0 if kind in FORCED else switches.swapped) for kind, row in zip(KINDS, shares)]
        self._cumulated = [np.cumsum(row)[:3].tolist() for row in shares]
        self._uniform = _uniforms(rng)

    def run(self) -> MarketHistory:
        """The history of the whole market, its run-in included."""
        orders = _with_expiries(
            draw_orders(self._switches, self.listing, self._days, self._rng), self.listing, self._days
        )
        accounts, parties = self.accounts, dict[int, _Party]()
        rows = []
        columns = (
            orders.option, orders.order, orders.kind, orders.leg_side, np.round(orders.amount / LOT).astype(np.int64),
            orders.tilt, orders.account, orders.direction,
        )  # fmt: skip
        for option, order, kind, leg_side, lots, tilt, account, direction in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            if kind == EXPIRED:
                accounts.expire(option)
                rows.append((-1, -1, 0, 0, 0, 0))
                continue
            if kind == UNPRINTED:
                buyer, seller, size, side = *self._pass_on(option), 0
            else:
                party = parties.get(order)
                if party is None:
                    party = parties[order] = self._match(option, kind, tilt, account, direction)
                side, size = party.side * leg_side, min(lots, party.limit) if party.limit else lots
                buyer, seller = (party.buyer, party.seller) if leg_side > 0 else (party.seller, party.buyer)
            accounts.trade(option, buyer, seller, size)
            rows.append((buyer, seller, side, size, accounts.interest[option], accounts.customer_net[option]))
        buyers, sellers, sides, moves, interest, net = np.array(rows, np.int64).T
        return MarketHistory(
            self.listing, orders.time_ms, orders.option, sides, moves * LOT, orders.kind, orders.event,
            interest * LOT, net * LOT, buyers, sellers, accounts.customers,
        )  # fmt: skip

    def _match(self, option: int, kind: int, tilt: float, account: int, direction: int) -> _Party:
        """The parties of an event and the taker's side, by its class."""
        accounts, uniform = self.accounts, self._uniform
        drawn, cumulated = next(uniform), self._cumulated[kind]
        party_class = (drawn > cumulated[0]) + (drawn > cumulated[1]) + (drawn > cumulated[2])
        if party_class == AMONG_DEALERS and account < 0:
            side = 1 if next(uniform) < 0.5 else -1
            taker = accounts.pick_dealer(option, side)
            maker = accounts.pick_dealer(option, -side, taker)
            return _party(taker, maker, side)
        limit = 0
        if account >= 0:
            customer = account
        elif self._switches.forced_close and kind >= FIRST_LIQUIDATION and accounts.interest[option]:
            customer, direction, limit = self._liquidated(option, tilt)
        else:
            direction = self._direction(option, tilt)
            customer = accounts.pick_customer(option, direction)
        if party_class == AMONG_CUSTOMERS:
            other = accounts.pick_customer(option, -direction, customer)
            if next(uniform) < 0.5:
                return _party(customer, other, direction, limit)
            return _party(other, customer, -direction, limit)
        dealer = accounts.pick_dealer(option, -direction)
        if party_class == DEALER_TAKES:
            return _party(dealer, customer, -direction, limit)
        return _party(customer, dealer, direction, limit)

    def _direction(self, option: int, tilt: float) -> int:
        """Side of a customer: by its tilt, or early the one that reduces the customers' net position."""
        net = self.accounts.customer_net[option]
        if next(self._uniform) < self._early and net:
            return -1 if net > 0 else 1
        skew = self._switches.inventory_skew
        threshold = skew * net / self.accounts.interest[option] if skew and net else 0.0
        return 1 if tilt > threshold else -1

    def _liquidated(self, option: int, tilt: float) -> tuple[int, int, int]:
        """A customer with a position, the side that reduces it, and its size in lots."""
        positions = self.accounts.positions[option]
        open_accounts = [account for account in range(self.accounts.customers) if positions[account]]
        if not open_accounts:
            direction = 1 if tilt > 0.0 else -1
            return self.accounts.pick_customer(option, direction), direction, 0
        customer = open_accounts[int(next(self._uniform) * len(open_accounts))]
        return customer, (-1 if positions[customer] > 0 else 1), abs(positions[customer])

    def _pass_on(self, option: int) -> tuple[int, int, int]:
        """Buyer, seller and lots of a change without a print: a position that is handed on, or an OTC trade."""
        accounts, uniform, switches = self.accounts, self._uniform, self._switches
        customer = int(next(uniform) * accounts.customers)
        dealer = accounts.customers + int(next(uniform) * accounts.dealers)
        if next(uniform) < switches.transfer_share:
            holder, receiver = (customer, dealer) if next(uniform) < 0.5 else (dealer, customer)
            position = accounts.positions[option][holder]
            lots = round(abs(position) * (0.3 + 0.7 * next(uniform)))
            return (receiver, holder, lots) if position > 0 else (holder, receiver, lots)
        size = switches.otc_scale * ((1.0 - next(uniform)) ** (-1.0 / switches.otc_tail) - 1.0)
        lots = max(round(min(size, switches.max_size) / LOT), 1)
        return (customer, dealer, lots) if next(uniform) < 0.5 else (dealer, customer, lots)


def _swapped(shares: F64, part: float) -> F64:
    """Class shares with a part of the customers' lead as takers gone over to the dealers."""
    shift = part * (shares[CUSTOMER_TAKES] - shares[DEALER_TAKES])
    return np.asarray(shares + shift * np.array([-1.0, 1.0, 0.0, 0.0]))


def _party(taker: int, maker: int, side: int, limit: int = 0) -> _Party:
    return _Party(taker, maker, side, limit) if side > 0 else _Party(maker, taker, side, limit)


def _with_expiries(orders: Orders, listing: Listing, days: float) -> Orders:
    """The orders, with one more for each option that expires within the watch."""
    expired = np.flatnonzero(listing.expiry_days <= days)
    if not expired.size:
        return orders
    expiry_ms = np.round(listing.expiry_days[expired] * DAY_MS).astype(np.int64)
    at = np.searchsorted(orders.time_ms, expiry_ms)
    is_alive = np.ones(orders.time_ms.size, np.bool_)
    life = np.full(listing.strike.size, np.iinfo(np.int64).max)
    life[expired] = expiry_ms
    is_alive = orders.time_ms < life[orders.option]
    removed: I64 = np.concatenate([[0], np.cumsum(~is_alive)])
    zeros = np.zeros(expired.size, np.int64)
    nothing = zeros.astype(float)
    added = (expiry_ms, expired, zeros, zeros, zeros + EXPIRED, zeros, nothing, nothing, zeros, zeros)
    fields = [getattr(orders, name)[is_alive] for name in Orders.__slots__]
    at = at - removed[at]
    return Orders(*(np.insert(column, at, extra) for column, extra in zip(fields, added, strict=True)))
