"""Log lines where the sign of the positions of an underlying becomes decided or undecided."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from dfmon.model.snapshot import FlowSnapshot

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SignLog:
    """A listener of snapshots; `decided` is the last state of each underlying that was measured."""

    decided: dict[str, bool] = field(default_factory=dict)

    def on_snapshot(self, snapshot: FlowSnapshot) -> None:
        """Logs a change, and the first measurement where it is undecided."""
        p, name = snapshot.positions, snapshot.underlying
        if p.decided is None or self.decided.get(name, True) == p.decided:
            return
        self.decided[name] = p.decided
        slope = f"B {p.opening_slope or 0.0:.3f} +- {p.opening_slope_error or 0.0:.3f}"
        if p.decided:
            log.info("%s: sign of the dealer positions decided, %s", name, slope)
        else:
            log.warning(
                "%s: sign undecided, %s: open interest tells too little of who opens and who closes", name, slope
            )
