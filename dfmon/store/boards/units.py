"""Units of a board inferred from the board: volatility in per cent or as a fraction, prices in coins or dollars.

What a layout is known to publish is checked: by the size of the numbers of the column, and where there are
forwards and marks by repricing the marks with either unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dfmon.core.pricing.black import black_price
from dfmon.model.instrument import Settlement
from dfmon.model.units import HOUR, YEAR
from dfmon.store.boards.cells import F64, BadCell
from dfmon.store.boards.decode import MAX_IV, Decoded
from dfmon.store.boards.layouts import Layout

IvUnit = Literal["per cent", "fraction"]
PriceUnit = Literal["venue", "USD"]

DIVISORS: Final[dict[IvUnit, float]] = {"per cent": 100.0, "fraction": 1.0}
_MEDIANS: Final = (0.03, 5.0)  # no board has a median volatility outside 3 % to 500 %
_LOWEST_PER_CENT: Final = 1.0  # a smaller volatility in a column of per cents is a fraction
_LOWEST_SHARE: Final = 0.15  # of the median: of 568,354 recorded volatilities the lowest has .24 of that of its board
_MIXED_SHARE: Final = 0.02
_STRAY_ROWS: Final = 1
_SAMPLE_ROWS: Final = 4_000
_FIT, _MISFIT = 0.2, 0.5  # medians of |log(model / mark)| that decide


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a file, and whether the marks confirm them.

    `lowest_per_cent` is the lowest volatility of a column of per cents that is believed.
    """

    iv: IvUnit
    prices: PriceUnit
    is_confirmed: bool = False
    is_unexpected: bool = False
    lowest_per_cent: float = _LOWEST_PER_CENT


def infer_units(layout: Layout, column: F64, sample: Decoded, iv_name: str) -> Units:
    """The units of a file from its whole column of volatilities and a sample of its rows.

    Raises BadCell, with what is wrong and what to do, where they cannot be priced.
    """
    values = column[np.isfinite(column) & (column > 0.0)]
    fitting = _decisive(_scores(sample))
    unit = fitting[0] if fitting is not None else _unit_by_size(layout, values, iv_name)
    if _is_mixed(values, unit):
        raise BadCell(f"has a column {iv_name} that mixes fractions and per cents: one unit is expected")
    is_unexpected = layout.iv not in ("", unit)
    if fitting is not None:
        return Units(unit, fitting[1], is_confirmed=True, is_unexpected=is_unexpected, lowest_per_cent=_lowest(values))
    return Units(unit, _prices_by_size(layout, sample), False, is_unexpected, _lowest(values))


def _unit_by_size(layout: Layout, values: F64, iv_name: str) -> IvUnit:
    """The unit in which the median volatility is plausible."""
    if not values.size:
        return layout.iv or "fraction"
    median = float(np.median(values))
    low, high = _MEDIANS
    candidates: list[IvUnit] = [unit for unit, d in DIVISORS.items() if low <= median / d <= high]
    if len(candidates) != 1:
        fits = "per cent and fraction both fit" if candidates else "neither per cent nor fraction fits"
        raise BadCell(f"has a column {iv_name} of {median:g} in the middle: {fits}, so the unit is unknown")
    return candidates[0]


def _is_mixed(values: F64, unit: IvUnit) -> bool:
    """True where more volatilities than a stray one are in the other unit."""
    other = np.count_nonzero(values < _lowest(values) if unit == "per cent" else values > MAX_IV)
    return bool(other > max(_STRAY_ROWS, _MIXED_SHARE * values.size))


def _lowest(values: F64) -> float:
    """The lowest volatility that a column of per cents holds; a smaller one is a fraction."""
    return max(_LOWEST_PER_CENT, _LOWEST_SHARE * float(np.median(values))) if values.size else _LOWEST_PER_CENT


def _prices_by_size(layout: Layout, rows: Decoded) -> PriceUnit:
    """Dollars where most calls settled in coins have marks above 1, which no call is worth in coins."""
    mark = rows.numbers["mark"]
    calls = (rows.sign > 0) & (mark > 0.0) & np.array([s is Settlement.INVERSE for s in rows.settlements], np.bool_)
    if calls.any() and float(np.median(mark[calls])) > 1.0:
        return "USD"
    return layout.prices


def _scores(rows: Decoded) -> dict[tuple[IvUnit, PriceUnit], float]:
    """For each pair of units how far the volatilities are from giving the marks of the options out of the money."""
    forward, mark, iv = (rows.numbers[name][:_SAMPLE_ROWS] for name in ("forward", "mark", "iv"))
    strike, sign = rows.strike[:_SAMPLE_ROWS], rows.sign[:_SAMPLE_ROWS]
    tau = (rows.expiry_ns - rows.ts_ns)[:_SAMPLE_ROWS] / YEAR
    with np.errstate(invalid="ignore"):
        used = (sign * (forward - strike) <= 0.0) & (mark > 0.0) & (iv > 0.0) & (strike > 0.0)
        used &= (tau > HOUR / YEAR) & (tau < 5.0)
    used[[at for at in rows.errors if at < used.size]] = False
    if np.count_nonzero(used) < 6:
        return {}
    forward, mark, iv, strike, sign, tau = (a[used] for a in (forward, mark, iv, strike, sign, tau))
    is_linear = np.array([s is Settlement.LINEAR for s in rows.settlements[:_SAMPLE_ROWS]])[used]
    scores: dict[tuple[IvUnit, PriceUnit], float] = {}
    for unit, divisor in DIVISORS.items():
        model = black_price(forward, strike, iv / divisor * np.sqrt(tau), sign) / forward
        for prices in ("venue", "USD"):
            quoted = np.where(is_linear | (prices == "USD"), mark / forward, mark)
            priced = quoted > 5e-4
            if np.count_nonzero(priced) >= 6:
                distance = np.abs(np.log((model[priced] + 1e-6) / (quoted[priced] + 1e-6)))
                scores[unit, prices] = float(np.median(distance))
    return scores


def _decisive(scores: dict[tuple[IvUnit, PriceUnit], float]) -> tuple[IvUnit, PriceUnit] | None:
    """The units that fit the marks where those of the other volatility do not."""
    if not scores:
        return None
    best = min(scores, key=scores.__getitem__)
    others = [score for units, score in scores.items() if units[0] != best[0]]
    return best if scores[best] < _FIT and min(others, default=np.inf) > _MISFIT else None


def apply_units(rows: Decoded, units: Units, iv_name: str) -> None:
    """Brings the volatilities of decoded rows to fractions and open interest to coins; outliers cost their row."""
    divisor = DIVISORS[units.iv]
    iv = rows.numbers["iv"]
    with np.errstate(invalid="ignore"):
        bad = (iv > MAX_IV) if units.iv == "fraction" else (iv > 0.0) & (iv < units.lowest_per_cent)
    expected = f"a fraction up to {MAX_IV:g}" if units.iv == "fraction" else "per cent"
    for at in np.flatnonzero(bad).tolist():
        rows.errors.setdefault(at, f"{iv_name} is {iv[at]:g}, {expected} is expected")
    for name in ("iv", "bid_iv", "ask_iv"):
        rows.numbers[name] = rows.numbers[name] / divisor
    for name in ("open_interest", "volume"):
        rows.numbers[name] = rows.numbers[name] * rows.contract_coins
