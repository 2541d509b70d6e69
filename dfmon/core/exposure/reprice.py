"""Delta of options under another state of the market, with the share of their settlement average that is open.

Comes after greek_calc and settlement; hedge_flow and outlook compare states with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.greek_calc import Numeraire, delta_only, greeks
from dfmon.core.pricing.settlement import WINDOW


class Options(NamedTuple):
    """The fixed terms of n options: strike USD, type +1 call and -1 put, whether settled in coin."""

    strike: F64
    option_type: F64
    inverse: Mask
    numeraire: Numeraire = "usd"


class MarketState(NamedTuple):
    """Forward USD, volatility decimal, time to expiry in years of each option, and its average of fixings so far.

    Where the average is not known it is the forward: no drift since the window opened.
    """

    forward: F64
    sigma: F64
    tau: F64
    average: F64


def unit_deltas(options: Options, forward: F64, sigma: F64, tau: F64, average: F64) -> F64:
    """Deltas on the part of the settlement average that is open, that is delta over `open_share`, in several states.

    At expiry and after it they are +-1 in the money by the average and 0 out of it: where the delta has come to.

    Units: as `MarketState`; coins per coin of option. Shapes: (states, n) each, `average` (n,) or (states, n).
    Domain: NaN where the state is not known. Source: as greek_calc.greeks with the settlement on an average.
    """
    states, settled = forward.shape[0], tau <= 0.0
    average = np.where(np.isnan(average), forward, average)
    strike, option_type = np.tile(options.strike, states), np.tile(options.option_type, states)
    inverse = np.tile(options.inverse, states)
    at = np.where(settled, average, forward).ravel()
    columns = at, strike, sigma.ravel(), np.maximum(tau, 0.0).ravel(), option_type
    if np.min(tau, initial=np.inf) >= WINDOW:
        numeraire = options.numeraire
        delta = delta_only(*columns, settlement="average", numeraire=numeraire, inverse=inverse)
        return delta.reshape(forward.shape)
    priced = greeks(
        *columns,
        with_price=False,
        settlement="average",
        average=average.ravel(),
        numeraire=options.numeraire,
        inverse=inverse,
    )
    return np.asarray(priced.delta.reshape(forward.shape) / np.where(settled, 1.0, open_share(tau)))


def open_share(tau: F64) -> F64:
    """Share of the settlement average that is still open: 1 before the window, 0 from expiry on.

    Units: years -> [0, 1]. Shapes: (n,) -> (n,).
    """
    return np.minimum(np.maximum(tau / WINDOW, 0.0), 1.0)


def zero_if_nan(trade: F64) -> F64:
    """The trades, 0 where the state of an option is not known. Units: of the trades. Shapes: (...) -> (...)."""
    return np.where(np.isnan(trade), 0.0, trade)
