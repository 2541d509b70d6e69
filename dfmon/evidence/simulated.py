"""Simulated markets whose truth is known as series of minutes."""

from __future__ import annotations

from dfmon.evidence.minute_series import MinuteSeries
from dfmon.sim.feedback import MinutePath


def minute_series(path: MinutePath) -> MinuteSeries:
    """The columns that a monitor of this market could have known."""
    return MinuteSeries(
        path.ts_ns, path.log_return, path.psi, path.gross, path.psi_stale, path.forced, path.imbalance, path.implied_vol
    )
