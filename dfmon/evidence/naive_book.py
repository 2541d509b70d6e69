"""A board under the naive convention: dealers are long the open interest of calls and short that of puts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dfmon.api.board_source import BoardColumns
from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.normal import cdf
from dfmon.core.pricing.settlement import Settlement, settlement_terms
from dfmon.model.units import YEAR


class NaiveBook(NamedTuple):
    """Net gamma and gross gamma (all open interest with one sign) in USD per 1 %, the flip (NaN where there is none),
    and open interest in coins.
    """

    ngi: float
    gross: float
    flip: float
    interest: float


def years_left(columns: BoardColumns) -> F64:
    """Time to expiry of each option, years."""
    return np.asarray((columns.expiry_ns - columns.ts_ns) / YEAR)


def naive_book(columns: BoardColumns, spot: float, settlement: Settlement = "average") -> NaiveBook:
    """The convention's quantities on a board. Open interest that is not known counts as none."""
    tau, interest = years_left(columns), np.nan_to_num(columns.open_interest)
    chain = columns.forward, columns.strike, columns.sigma, tau, columns.option_type
    naive = columns.option_type * interest
    unit = unit_exposures(*chain, settlement=settlement)
    strike, effective_tau, book = columns.strike, tau, naive
    if settlement == "average":
        terms = settlement_terms(columns.forward, columns.strike, tau)
        strike, effective_tau, book = terms.strike, terms.tau, naive * terms.share
    flip = find_flip(spot, columns.forward, strike, columns.sigma, effective_tau, book, expiry=tau).level
    level = np.nan if flip is None else flip
    return NaiveBook(float(unit.ngi @ naive), float(unit.ngi @ interest), level, float(interest.sum()))


def naive_profile(columns: BoardColumns, spot: float, prices: F64, settlement: Settlement = "average") -> F64:
    """Net gamma in USD per 1 % where spot is at each of `prices`; forwards move with spot, volatilities stay."""
    tau = years_left(columns)
    naive = columns.option_type * np.nan_to_num(columns.open_interest)
    return np.array(
        [
            unit_exposures(
                columns.forward * (price / spot), columns.strike, columns.sigma, tau, columns.option_type,
                settlement=settlement,
            ).ngi @ naive
            for price in prices.tolist()
        ]
    )  # fmt: skip


def smile_at(columns: BoardColumns, expiry_ns: int, deltas: F64) -> F64:
    """Volatility of an expiry at these deltas of calls, between its options out of the money; NaN beyond them."""
    rows = columns.expiry_ns == expiry_ns
    rows &= columns.option_type * (columns.strike - columns.forward) >= 0.0
    rows &= np.isfinite(columns.sigma) & (columns.sigma > 0.0) & np.isfinite(columns.forward)
    if np.count_nonzero(rows) < 2:
        return np.full(deltas.shape, np.nan)
    strike, first = np.unique(columns.strike[rows], return_index=True)
    sigma, forward = columns.sigma[rows][first], columns.forward[rows][first]
    total_sd = sigma * np.sqrt((expiry_ns - columns.ts_ns) / YEAR)
    delta = np.asarray(cdf(np.log(forward / strike) / total_sd + 0.5 * total_sd))
    order = np.argsort(delta)
    return np.asarray(np.interp(deltas, delta[order], sigma[order], left=np.nan, right=np.nan))
