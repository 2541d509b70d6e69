"""Layers of the heat-map beside its own: coins traded in 24 h, and the change of NGI by the prints of the tape."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from msgspec import UNSET

from dfmon.core.columns import group_sums
from dfmon.core.snapshot.build import BookResult
from dfmon.model.snapshot import Detail, FlowSnapshot

Cells = tuple[tuple[float | None, ...], ...]


def volume_cells(snapshot: FlowSnapshot) -> Cells | None:
    """Coins of 24 h, as the heat-map by strike and expiry; None of a cell without an option that has a volume.

    None for a snapshot of another process.
    """
    result = None if snapshot.views is UNSET else snapshot.views.result
    if not isinstance(result, BookResult) or not result.tick.cols.size:
        return None
    cols, volume = result.tick.cols, result.tick.chain.volume[result.tick.cols.rows]
    shape = cols.expiries.size, cols.strikes.size
    known = np.isfinite(volume)
    sums = group_sums(cols.cell, np.where(known, volume, 0.0), shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(cols.cell, known, shape[0] * shape[1]).reshape(shape)
    table = np.where(counts > 0.0, sums, np.nan).T.tolist()
    return tuple(tuple(None if math.isnan(v) else v for v in row) for row in table)


def flow_cells(detail: Detail) -> Cells:
    """Change of the dealers' NGI by the prints of the tape, if their takers were customers, as the heat-map. USD."""
    sums: dict[tuple[float, str], float] = defaultdict(float)
    for row in detail.tape:
        if row.gamma is not None:
            sums[row.strike, row.expiry] += row.gamma
    heat = detail.heatmap
    return tuple(tuple(sums.get((strike, expiry)) for expiry in heat.expiries) for strike in heat.strikes)
