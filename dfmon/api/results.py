"""Results of the Python API: columns, with a short text representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from dfmon.core.exposure.unit_exposure import UnitExposure
from dfmon.core.exposure.vanna_charm_volga import Totals
from dfmon.core.flip.gamma_flip import GammaFlip, Root
from dfmon.core.flip.regime import Regime, RegimeEdge
from dfmon.core.pricing.black import F64
from dfmon.model.metrics import EXPOSURE_NAMES, METRICS, metric_fields


@metric_fields(None, lambda spec: (F64, None))
class Groups(msgspec.Struct, frozen=True, eq=False):
    """Sums by strike (USD) or by time to expiry (years), ascending; units as `Totals`, one row a key."""

    key: F64
    ngi: F64
    vss: F64
    chl: F64
    volg: F64
    vega: F64
    theta: F64
    unwind: F64


@dataclass(frozen=True, slots=True, repr=False)
class Exposures:
    """Exposures of one book: its totals, the same by strike and by expiry, and the rows that could not be priced."""

    totals: Totals
    by_strike: Groups
    by_expiry: Groups
    position: F64
    """Dealer position in each option, coins."""
    unit: UnitExposure
    """The same for +1 coin of each option: `unit.ngi * position` is NGI by option."""
    invalid: int
    low: Totals | None = None
    high: Totals | None = None
    """5 % and 95 % of each total over the members; None without members."""

    def __repr__(self) -> str:
        invalid_note = f", {self.invalid} of them not priced" if self.invalid else ""
        lines = [f"Exposures of {self.position.size} options{invalid_note}"]
        width = max(map(len, EXPOSURE_NAMES))
        for name in EXPOSURE_NAMES:
            band = ""
            if self.low is not None and self.high is not None:
                band = f"  {getattr(self.low, name):>+18,.0f} .. {getattr(self.high, name):>+18,.0f}"
            lines.append(f"  {name:<{width}} {getattr(self.totals, name):>+18,.0f}{band}  {METRICS[name].unit}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, repr=False)
class BoardFlip:
    """The zero of net gamma nearest to spot; `level` is None where there is none in the searched range."""

    level: float | None
    direction: Literal["up", "down"] | None
    """Net gamma becomes positive ("up") or negative ("down") as spot rises through the level."""
    slope: float | None
    """USD per 1 %, per 1 % of spot."""
    sign: int
    """Sign of net gamma at spot; throughout the range where there is no zero."""
    below: RegimeEdge | None
    above: RegimeEdge | None
    """The zeros nearest to spot on either side, with bands where there are members."""
    agree: float | None
    """Share of members with this sign at spot; None without members."""
    roots: tuple[Root, ...]
    searched: tuple[float, float]
    spots: F64
    ngi: F64
    """Net gamma on `spots`, USD per 1 %."""
    low: float | None
    high: float | None
    """5 % and 95 % of this zero over the members that have it; None without members or where under half have it."""
    p_none: float | None
    """Share of members that do not have this zero, or none at all where `level` is None; None without members."""
    weakest: tuple[float, float]
    """The spot within a fifth of now where net gamma is smallest in size, and its value there."""

    @classmethod
    def from_flip(cls, flip: GammaFlip, regime: Regime, spot: float) -> BoardFlip:
        """Name the nearest root's direction and slope beside the rest."""
        root = next((root for root in flip.roots if root.level == flip.level), None)
        direction: Literal["up", "down"] | None = None if root is None else "up" if root.rising else "down"
        slope, edge = None if root is None else root.slope, regime.nearest
        low, high = (None, None) if edge is None else (edge.low, edge.high)
        return cls(
            flip.level, direction, slope, flip.sign, regime.below, regime.above, regime.agree, flip.roots,
            flip.searched, flip.spots, flip.ngi, low, high, regime.p_none, flip.weakest_point(spot),
        )  # fmt: skip

    def __repr__(self) -> str:
        low, high = self.searched
        regime = {1: "long gamma", -1: "short gamma", 0: "without gamma worth the name"}[self.sign]
        if self.level is None:
            weakest_spot, value = self.weakest
            nearest = f"; nearest to it at {weakest_spot:,.2f}: {value:+,.0f} USD per 1 %" if self.sign else ""
            text = f"no flip within {low:,.2f} .. {high:,.2f}: dealers {regime} throughout{nearest}"
        else:
            text = f"flip at {self.level:,.2f} ({self.direction}), slope {self.slope:+,.0f} USD per 1 % per 1 %"
            count_note = f"one of {len(self.roots)}" if len(self.roots) > 1 else "the only one"
            text += f"; {count_note} within {low:,.2f} .. {high:,.2f}; dealers {regime} at spot"
        if self.p_none is not None:
            band = "" if self.low is None else f"band {self.low:,.2f} .. {self.high:,.2f}, "
            text += f"; {band}{self.p_none:.0%} of the members without one"
        return f"BoardFlip({text})"
