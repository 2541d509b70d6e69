"""The boards that can be simulated: one coin each, settled in the coin (inverse) or in USDC (linear).

A linear board of BTC or ETH follows the coin's own index when that is simulated too. Tick sizes and lots of linear
boards are documented for BTC_USDC only (venues.md 1.7); the others are of the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dfmon.sim.market.board import INVERSE, Quotation
from dfmon.sim.market.flow import FlowSpec
from dfmon.sim.market.index_path import PathSpec
from dfmon.sim.market.script import BookLine


@dataclass(frozen=True, slots=True)
class CurrencySpec:
    """One board's constants; `ladder_width` stretches strike ladders, `carry` is the annual basis.

    `contract_coins` is the coins of one contract; amounts on the wire are coins all the same. A script scales turnover
    and depth of the hedging markets, and adds the `book` to the customers' prints before the start.
    """

    name: str
    path: PathSpec
    flow: FlowSpec
    ladder_width: float
    carry: float
    history_trades: int
    first_trade_number: int
    quotation: Quotation = INVERSE
    contract_coins: float = 1.0
    volume_scale: float = 1.0
    depth_scale: float = 1.0
    book: tuple[BookLine, ...] = ()


_BTC, _ETH = PathSpec(82_000.0, 0.46), PathSpec(2_750.0, 0.66)
_SOL, _XRP = PathSpec(135.0, 0.85), PathSpec(2.15, 0.9)


def _linear_quotation(
    fine_tick: float, coarse_tick: float, tick_step_price: float, digits: int, index_digits: int = 2
) -> Quotation:
    return Quotation(True, fine_tick, coarse_tick, tick_step_price, digits, index_digits)


SPECS: Final = {
    spec.name: spec
    for spec in (
        CurrencySpec("BTC", _BTC, FlowSpec(0.50, 0.7, 0.1, 25.0, 500.0), 1.0, 0.055, 9_000, 441_200_000),
        CurrencySpec("ETH", _ETH, FlowSpec(0.32, 8.0, 1.0, 250.0, 25.0), 1.35, 0.045, 6_000, 318_400_000),
        CurrencySpec(
            "BTC_USDC", _BTC, FlowSpec(0.06, 0.3, 0.1, 25.0, 1_000.0), 0.6, 0.055, 1_500, 9_300_000,
            _linear_quotation(5.0, 20.0, 1_000.0, 0),
        ),
        CurrencySpec(
            "ETH_USDC", _ETH, FlowSpec(0.04, 4.0, 1.0, 250.0, 50.0), 0.8, 0.045, 1_000, 4_100_000,
            _linear_quotation(0.2, 1.0, 50.0, 1),
        ),
        CurrencySpec(
            "SOL_USDC", _SOL, FlowSpec(0.05, 100.0, 10.0, 2_500.0, 2.0), 1.5, 0.04, 1_500, 2_700_000,
            _linear_quotation(0.01, 0.05, 5.0, 2, 4), contract_coins=10.0,
        ),
        CurrencySpec(
            "XRP_USDC", _XRP, FlowSpec(0.04, 8_000.0, 1_000.0, 100_000.0, 0.025), 1.5, 0.03, 1_000, 1_900_000,
            _linear_quotation(0.0001, 0.0005, 0.05, 4, 4), contract_coins=1_000.0,
        ),
    )
}  # fmt: skip


def widen_strikes(spec: CurrencySpec, spacing: float) -> CurrencySpec:
    """The board with `spacing` times the distance between two strikes."""
    return replace(spec, flow=replace(spec.flow, strike_step=spec.flow.strike_step * spacing))


def check_currencies(currencies: Sequence[str]) -> None:
    """Raises ValueError, with what is allowed, for a coin without a board."""
    unknown = [name for name in currencies if resolve_board(name) not in SPECS]
    if unknown or not currencies:
        allowed = dict.fromkeys(board.removesuffix("_USDC") for board in SPECS)
        raise ValueError(f"currencies: found {', '.join(unknown) or 'none'}, allowed: {', '.join(allowed)}")


def resolve_board(currency: str) -> str:
    """The board of a name: coins without inverse options have a linear board only."""
    return currency if currency in SPECS else f"{currency}_USDC"
