"""The roll-ups: sums of the unit exposures over a book, over its board of expiries and strikes, over many books.

Comes after unit_exposure and dealer_net, before hpp_score, rules and the screen. Sums over one book and over members
are matrix products on one BLAS thread, sums by group run in the order of the columns: the same input gives the same
bits on one machine.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.unit_exposure import UnitExposure
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64
from dfmon.model.metrics import EXPOSURE_NAMES, metric_fields, metrics_at
from dfmon.model.snapshot import ModelRow


@metric_fields(None, lambda spec: (float, 0.0))
class Totals(msgspec.Struct, frozen=True):
    """Sums over a book, in the units of `model.metrics`."""

    ngi: float
    vss: float
    chl: float
    volg: float
    vega: float
    theta: float
    unwind: float
    chl_1h: float
    unwind_at_window: float
    unwind_left: float

    @classmethod
    def from_array(cls, sums: F64) -> Totals:
        """Totals from sums in the order of EXPOSURE_NAMES."""
        return cls(**dict(zip(EXPOSURE_NAMES, sums.tolist())))

    def to_array(self) -> F64:
        """The sums in the order of EXPOSURE_NAMES."""
        return np.array([getattr(self, name) for name in EXPOSURE_NAMES])


class RollUp(NamedTuple):
    """Sums of one book, in the order of EXPOSURE_NAMES."""

    totals: Totals
    cells: F64
    """(exposures, expiries, strikes)."""
    by_expiry: F64
    """(exposures, expiries)."""
    by_strike: F64
    """(exposures, strikes)."""


def totals(unit: UnitExposure, exposure: F64) -> Totals:
    """Sums over one book.

    Units: exposure = dealer position x multiplier, in units of underlying.
    Shapes: (n,).
    Domain: finite.
    """
    return Totals.from_array(unit.matrix.dot(exposure))


def group_totals(unit: UnitExposure, exposure: F64, codes: NDArray[np.intp], groups: int) -> F64:
    """Sums by group: strike, expiry, or cell of the two. `np.unique(column, return_inverse=True)` gives codes.

    Units: as totals.
    Shapes: (n,), (n,) -> (exposures, groups).
    Domain: codes in [0, groups).
    """
    sums = np.empty((len(EXPOSURE_NAMES), groups))
    for total, weight in zip(sums, unit.matrix * exposure):
        total[:] = np.bincount(codes, weight, groups)
    return sums


def roll_up(unit: UnitExposure, exposure: F64, cell: NDArray[np.intp], expiries: int, strikes: int) -> RollUp:
    """Sums over one book and over its board; `cell` is the place of each option on it, written row by row.

    Units: as totals.
    Shapes: (n,), (n,).
    Domain: cell in [0, expiries x strikes).
    """
    kernels = compiled.active_kernels()
    if kernels is not None:
        cells, by_expiry, by_strike = kernels.roll_up(unit.matrix, exposure, cell, expiries, strikes)
    else:
        cells = group_totals(unit, exposure, cell, expiries * strikes).reshape(len(EXPOSURE_NAMES), expiries, strikes)
        by_expiry, by_strike = cells @ np.ones(strikes), np.ones(expiries) @ cells
    return RollUp(Totals.from_array(by_expiry.sum(axis=1)), cells, by_expiry, by_strike)


def member_totals(unit: UnitExposure, members: F64) -> F64:
    """Sums for every member of an ensemble of books, in one matrix product.

    Units: as totals.
    Shapes: (n, M) -> (exposures, M).
    Domain: finite.
    """
    return np.asarray(unit.matrix @ members)


def model_row(model: str, total: Totals, flip: float | None, flip_net: int) -> ModelRow:
    """The row of a position model with these totals, in the table of models."""
    values = {name: getattr(total, name) for name in metrics_at("gauge")}
    return ModelRow(model, flip=flip, flip_net=flip_net, **values)
