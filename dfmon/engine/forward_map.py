"""The forward map of a snapshot that was made in this process."""

from __future__ import annotations

import numpy as np
from msgspec import UNSET

from dfmon.core.exposure.forward_map import ForwardMap, forward_map
from dfmon.core.exposure.reprice import MarketState, Options
from dfmon.core.snapshot.build import BookResult
from dfmon.model.frames import F64
from dfmon.model.snapshot import FlowSnapshot


def forward_map_of(snapshot: FlowSnapshot, moves: F64, hours: F64) -> ForwardMap | None:
    """The map of the snapshot's position model; None without a book, or for a snapshot of another process.

    Units: `moves` fractions of spot, `hours` from now. Shapes: (m,), (h,).
    """
    result = None if snapshot.views is UNSET else snapshot.views.result
    if not isinstance(result, BookResult) or not result.tick.has_book:
        return None
    tick = result.tick
    cols = tick.cols
    options = Options(cols.strike, cols.option_type, tick.chain.inverse[cols.rows], tick.numeraire)
    average = np.full(cols.size, np.nan) if cols.average is None else cols.average
    state = MarketState(cols.forward, cols.sigma, cols.tau, average)
    return forward_map(options, state, tick.moves.beta, (cols.position, cols.members), moves, hours)
