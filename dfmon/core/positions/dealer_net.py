"""Probable dealer positions: minus the customers' net position, per option, with an ensemble for the band.

`flow` is the ensemble estimated from prints; `naive`, `short-all` and `file` are conventions without a band.
Quantities are coins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.positions.counter_rng import MEMBERS
from dfmon.core.positions.inventory import HIGH, LOW, NET, P_LONG, Inventory
from dfmon.model.frames import F64, I64, ChainFrame

POSITION_MODELS: Final = ("flow", "naive", "short-all", "file")


@dataclass(frozen=True, slots=True)
class DealerPositions:
    """Dealer positions of the n options of a frame, coins, + long.

    `members` (n, MEMBERS), `low`, `high` (5 and 95 %) and `p_long` are None for conventions, and so is `seen` (n,),
    the share of each open interest whose history was observed; `coverage` is its mean weighted by open interest.
    """

    model: str
    position: F64
    members: F64 | None = None
    low: F64 | None = None
    high: F64 | None = None
    p_long: F64 | None = None
    seen: F64 | None = None
    coverage: float | None = None

    @property
    def known(self) -> bool:
        """False for `flow` until the history of some open interest has been seen: it would rest on its prior alone."""
        return self.model != "flow" or bool(self.coverage)


@dataclass(frozen=True, slots=True)
class OpenInterestCheck:
    """Change of open interest since the session began, against the prints, for the n options of a frame. Coins.

    `change` is signed, `printed` the volume behind it, `unexplained` the part without a print; `last_ns` is the time
    of the newest print, 0 where none was observed.
    """

    change: F64
    printed: F64
    unexplained: F64
    last_ns: I64


def dealer_positions(
    model: str, inventory: Inventory, frame: ChainFrame, file_positions: Mapping[str, float] | None = None
) -> DealerPositions:
    """Dealer position of every option of the frame under `model`.

    Units: coins, + long. Shapes: (n,) and (n, MEMBERS).
    Domain: an option without open interest gets NaN; `flow` needs an inventory updated with this frame.
    Source: naive and short-all are the conventions of equity-option vendors; flow is the estimator of `inventory`.
    """
    open_interest = frame.open_interest
    if model == "naive":
        return DealerPositions(model, frame.option_type * open_interest)
    if model == "short-all":
        return DealerPositions(model, -open_interest)
    if model == "file":
        named_positions = file_positions or {}
        return DealerPositions(model, np.array([named_positions.get(name, 0.0) for name in frame.names]))
    summary = inventory.summary[inventory.frame_rows].T
    members = [inventory.members[row] for row in inventory.frame_rows.tolist()]
    seen = observed_share(inventory)
    return DealerPositions(
        model="flow",
        position=summary[NET],
        members=np.concatenate(members).reshape(-1, MEMBERS) if members else np.zeros((0, MEMBERS)),
        low=summary[LOW],
        high=summary[HIGH],
        p_long=summary[P_LONG],
        seen=seen,
        coverage=mean_share(seen, open_interest),
    )


def positions_by_model(
    inventory: Inventory, frame: ChainFrame, chosen: str, file_positions: Mapping[str, float] | None = None
) -> dict[str, DealerPositions]:
    """Positions under every model, in the order of `POSITION_MODELS`; `file` where one was given or is chosen."""
    return {
        model: dealer_positions(model, inventory, frame, file_positions)
        for model in POSITION_MODELS
        if model in ("flow", "naive", "short-all", chosen) or file_positions is not None
    }


def observed_share(inventory: Inventory) -> F64:
    """Share of each open interest whose history was observed, less the share of lost prints.

    Shapes: (n,) of the last frame. Domain: 1 where there is no open interest.
    Source: volume since the session began over open interest, at most 1; 1 for a full history.
    """
    records = inventory.records[inventory.frame_rows]
    volume, open_interest = records["volume"], records["open_interest"]
    with np.errstate(invalid="ignore", divide="ignore"):
        volume_share = np.where(open_interest > 0.0, np.minimum(volume / open_interest, 1.0), 1.0)
        share_not_lost = np.where(records["lost_qty"] > 0.0, volume / (volume + records["lost_qty"]), 1.0)
    return np.asarray(np.where(records["full_history"] == 1, 1.0, volume_share) * share_not_lost)


def mean_share(share: F64, open_interest: F64) -> float | None:
    """Mean of `share` weighted by open interest; None where there is none.

    Shapes: (n,), (n,) -> scalar. Domain: open interest NaN or negative counts as none.
    """
    weights = np.where(open_interest > 0.0, open_interest, 0.0)
    total = float(weights.sum())
    return float((share * weights).sum()) / total if 0.0 < total < np.inf else None


def open_interest_check(inventory: Inventory) -> OpenInterestCheck:
    """Open interest against prints for the last frame.

    Units: coins. Shapes: as `OpenInterestCheck`. Domain: zero before the first open interest of an option.
    """
    records = inventory.records[inventory.frame_rows]
    change = np.nan_to_num(records["open_interest"] - records["oi_at_start"])
    return OpenInterestCheck(
        change, records["qty_since_start"].copy(), records["unexplained"].copy(), records["last_ns"].copy()
    )
