"""Switches of a family of simulated markets.

A `Range` is (low, high): a world draws its value uniformly from it; equal ends are a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Range = tuple[float, float]
Shares = tuple[float, float, float, float]  # a customer takes, a dealer takes, both customers, both dealers

KINDS: Final = (
    "screen", "block", "rfq", "combo", "liquidation_taker", "liquidation_maker", "liquidation_both",
)  # fmt: skip

ASSUMED_SHARES: Final[Mapping[str, Shares]] = {
    "screen": (0.74, 0.12, 0.08, 0.06),
    "block": (0.52, 0.30, 0.13, 0.05),
    "rfq": (0.52, 0.30, 0.13, 0.05),
    "combo": (0.74, 0.12, 0.08, 0.06),
    "liquidation_taker": (0.80, 0.03, 0.16, 0.01),
    "liquidation_maker": (0.02, 0.75, 0.22, 0.01),
    "liquidation_both": (0.01, 0.01, 0.97, 0.01),
}
OTHER_SHARES: Final[Mapping[str, Shares]] = {
    **ASSUMED_SHARES,
    "screen": (0.66, 0.17, 0.10, 0.07),
    "block": (0.45, 0.33, 0.17, 0.05),
    "rfq": (0.62, 0.22, 0.12, 0.04),
    "combo": (0.60, 0.20, 0.14, 0.06),
}


@dataclass(frozen=True, slots=True)
class AccountSwitches:
    """A market of accounts that the venue nets: one signed position of each account in each option.

    Accounts
        customers, dealers: their number. large_dealers: how large the first of the dealers are traded with, each as
        much as `large_dealer_weight` others. taste_sd: spread of the customers' own tendency to buy (logit).
        closers: share of customers' trades that go to an account whose position they reduce. dealer_reduction,
        dealer_scale: dealers are chosen in proportion to 1 - reduction * tanh(signed position / scale in coins).
        inventory_skew: logit by which dealers' quotes move customers against the dealers' position over open interest.
    Parties
        shares: class shares by kind; concentration: of the Dirichlet that draws them for each world. swapped: part of
        what customers take beyond what dealers take that goes over to the dealers: at 0.5 both take as often.
        early_closing: share of customers' prints that reduce the customers' net position.
        forced_close: a liquidated customer reduces the own position.
    Direction of customers (logit to buy)
        level, by_type, by_moneyness, by_tenor: loadings of common standard normal factors on 1, call +1 / put -1,
        ln(K/S)/(.6 sqrt T) within +-1.5, and ln(T / 60 days). own_sd: each option's own. put_bias: for puts, and
        against calls. turn_days: mean days between turns of one group (calls, puts, expiries under 50 days) to -0.8
        of its direction and 0.4 of a new one; 0: none. half_life_days: of each option's direction; 0: for ever.
    Prints
        kind_shares: of the prints, in the order of KINDS. block_factor: size of blocks and RFQs over the screen's.
        spread_share: combos whose second leg goes the other way. ratio_share: combos of one to two.
        tail: exponent of the Pareto sizes; (Lomax + size_offset) * size_scale coins, within min_size and max_size.
        prints_per_day: of an option. zipf: exponent of activity over options. burst_sd, burst_memory: log intensity,
        AR(1) by the hour. session_swing: amplitude of the hours of the day in log intensity.
    Without a print
        unprinted: their share of the events; transfer_share of them pass 0.3 to 1 of a position between a customer
        and a dealer, the others book a trade of otc_scale * Pareto(otc_tail) coins.
    Funds (large customers with programmes)
        funds: their number. fund_days: duration of a programme. fund_orders: orders of a day. fund_size: mean order,
        coins. Each builds its position, and rolls it to the next expiry.
    Options
        options: their number. expiry_days: beyond the end of the watch. in_view: share listed while watching.
        run_in_days: simulated before the watch. weekly_expiries: one expires every seven days of the watch, and the
        next is listed.
    """

    customers: Range = (50, 50)
    dealers: Range = (6, 6)
    large_dealers: int = 0
    large_dealer_weight: float = 1.0
    taste_sd: float = 1.0
    closers: Range = (0.35, 0.35)
    dealer_reduction: float = 0.5
    dealer_scale: float = 10.0
    inventory_skew: float = 0.0
    shares: Mapping[str, Shares] = field(default_factory=lambda: OTHER_SHARES)
    concentration: float = 14.0
    swapped: float = 0.0
    early_closing: Range = (0.18, 0.18)
    forced_close: bool = False
    level: float = 0.35
    by_type: float = 0.45
    by_moneyness: float = 0.28
    by_tenor: float = 0.30
    own_sd: float = 0.70
    put_bias: float = 0.15
    turn_days: float = 0.0
    half_life_days: float = 10.0
    kind_shares: tuple[float, ...] = (0.80, 0.025, 0.02, 0.15, 0.005, 0.0, 0.0)
    block_factor: float = 14.0
    spread_share: float = 0.70
    ratio_share: float = 0.15
    tail: Range = (1.6, 1.6)
    size_offset: float = 0.2
    size_scale: float = 0.35
    min_size: float = 0.1
    max_size: float = 1_400.0
    prints_per_day: float = 10.0
    zipf: float = 0.8
    clips: float = 0.24
    burst_sd: float = 1.0
    burst_memory: float = 0.65
    session_swing: float = 0.0
    unprinted: Range = (0.012, 0.012)
    transfer_share: float = 0.5
    otc_tail: float = 1.8
    otc_scale: float = 3.0
    funds: int = 0
    fund_days: Range = (4.0, 12.0)
    fund_orders: float = 6.0
    fund_size: float = 6.0
    options: int = 180
    expiry_days: tuple[float, ...] = (27.0, 41.0, 62.0, 90.0, 125.0, 180.0)
    in_view: float = 0.4
    run_in_days: float = 21.0
    weekly_expiries: bool = False


@dataclass(frozen=True, slots=True)
class ClassSwitches:
    """A market of four positions an option (customers and dealers, long and short) in which closings are random.

    closing: chance that a party reduces what it may before it opens. unprinted: changes without a print, of an option
    and day. undirected: share of the worlds whose customers buy and sell alike. takers: customer takes, dealer takes
    of screen and combo prints; None: the assumed shares.
    """

    closing: Range = (0.3, 0.3)
    unprinted: Range = (0.04, 0.04)
    undirected: float = 0.0
    takers: tuple[Range, Range] | None = None
    options: int = 200
    prints_per_day: float = 12.0
    run_in_days: float = 10.0


@dataclass(frozen=True, slots=True)
class Family:
    """A family of markets. With both kinds of switches odd seeds are markets of accounts, even ones of classes.

    interest_every_s: period of the open interest that is seen, seconds; 0: with each change. lost: share of the
    prints that are missing. reserved: held out, nothing is chosen on it. drawn: switches of the accounts that are one
    number in a world, and which each world draws from a range.
    """

    accounts: AccountSwitches | None = None
    classes: ClassSwitches | None = None
    interest_every_s: float = 0.0
    lost: float = 0.0
    reserved: bool = False
    drawn: Mapping[str, Range] = field(default_factory=dict)
