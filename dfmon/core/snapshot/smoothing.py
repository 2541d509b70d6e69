"""The heat-map through the 3-strike x 2-expiry Gaussian. Published cells are not smoothed: the reader asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import structs

from dfmon.core.exposure.surface_grid import gather, scatter, stencil
from dfmon.core.snapshot.tables import cells
from dfmon.model.frames import F64
from dfmon.model.metrics import metrics_at
from dfmon.model.tables import ExpiryRow, HeatMap
from dfmon.model.units import HOUR, NAN, YEAR

_EXPOSURES: Final = metrics_at("heatmap")


def smoothed(heat: HeatMap, by_expiry: Sequence[ExpiryRow]) -> HeatMap:
    """Exposures spread over their neighbours with their sum preserved, volatilities with holes filled.

    Open interest stays as it is. The sum of all cells is the metric; those of a row or a column are not `by_strike` and
    `by_expiry`. `by_expiry` are the rows of the same snapshot. The map itself where an expiry has no ATM volatility.
    """
    atm = np.array([NAN if row.atm_iv is None else row.atm_iv for row in by_expiry])
    if not heat.strikes or len(by_expiry) != len(heat.expiries) or not (atm > 0.0).all():
        return heat
    forward, hours = (np.array([getattr(row, name) for row in by_expiry]) for name in ("forward", "hours"))
    kernel = stencil(np.array(heat.strikes), forward, hours * (HOUR / YEAR), atm)
    exposures = np.stack([_field(heat, name) for name in _EXPOSURES])
    sigma, listed = _field(heat, "iv"), np.isfinite(_field(heat, "oi"))
    known = [bool(np.isfinite(field).any()) for field in exposures]
    filled, _ = gather(kernel, sigma, np.isfinite(sigma).astype(np.float64))
    spread = {
        name: cells(values, listed & has_values)
        for name, values, has_values in zip(_EXPOSURES, scatter(kernel, exposures, listed), known)
    }
    return structs.replace(heat, iv=cells(filled, np.isfinite(filled)), **spread)


def _field(heat: HeatMap, name: str) -> F64:
    """A layer by expiry and strike, NaN where nothing is known."""
    return np.array([[NAN if v is None else v for v in row] for row in heat.layer(name)]).T
