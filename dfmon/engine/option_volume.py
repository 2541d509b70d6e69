"""Coins traded in 24 h by strike and expiry, of a snapshot that was made in this process."""

from __future__ import annotations

import math

import numpy as np
from msgspec import UNSET

from dfmon.core.columns import group_sums
from dfmon.core.snapshot.build import BookResult
from dfmon.model.snapshot import FlowSnapshot

Cells = tuple[tuple[float | None, ...], ...]


def volume_cells(snapshot: FlowSnapshot) -> Cells | None:
    """Rows of strikes, columns of expiries, as in the heat-map; None of a cell without an option that has a volume."""
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
