"""What dealers probably hold: minus the customers' net position, per option, with an ensemble for the band.

Comes after `inventory` and before every roll-up. `flow` reads the ensemble that the prints have formed; `naive`,
`short-all` and `file` are conventions without a band. Quantities are coins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.positions.counter_rng import MEMBERS
from dfmon.core.positions.inventory import HIGH, LOW, NET, P_LONG, Inventory
from dfmon.model.frames import F64, I64, ChainFrame

MODELS: Final = ("flow", "naive", "short-all", "file")


@dataclass(frozen=True, slots=True)
class DealerPositions:
    """Dealer positions of the n options of a frame, coins, + long.

    `members` (n, MEMBERS), `low`, `high` (5 and 95 %) and `p_long` are None for conventions, and so is `seen` (n,),
    the share of each open interest whose history was seen; `coverage` is its mean weighted by open interest.
    """

    model: str
    position: F64
    members: F64 | None = None
    low: F64 | None = None
    high: F64 | None = None
    p_long: F64 | None = None
    seen: F64 | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What open interest did since we watch, against the prints, for the n options of a frame. Coins.

    `change` is signed, `printed` the volume behind it, `unexplained` what moved without a print; `last_ns` is the
    time of the newest print, 0 where none was seen.
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
    Domain: an option without open interest gets position NaN, and is counted by the caller; `flow` needs an inventory
    that has observed this frame.
    Source: naive and short-all are the conventions of the equity vendors; flow as `inventory` says.
    """
    interest = frame.open_interest
    if model == "naive":
        return DealerPositions(model, frame.option_type * interest)
    if model == "short-all":
        return DealerPositions(model, -interest)
    if model == "file":
        held = file_positions or {}
        return DealerPositions(model, np.array([held.get(name, 0.0) for name in frame.names]))
    read = inventory.read[inventory.place].T
    members = [inventory.members[row] for row in inventory.place.tolist()]
    seen = seen_share(inventory)
    return DealerPositions(
        model="flow",
        position=read[NET],
        members=np.concatenate(members).reshape(-1, MEMBERS) if members else np.zeros((0, MEMBERS)),
        low=read[LOW],
        high=read[HIGH],
        p_long=read[P_LONG],
        seen=seen,
        coverage=mean_share(seen, interest),
    )


def other_positions(
    chosen: str, inventory: Inventory, frame: ChainFrame, file_positions: Mapping[str, float] | None = None
) -> dict[str, F64]:
    """Position (n,) of every option under each model but `chosen`; `file` is one of them where a file was given.

    Units: coins, + long. Shapes: (n,) each. Domain: as `dealer_positions`. Source: as `dealer_positions`.
    """
    found: dict[str, F64] = {}
    for model in MODELS:
        if model == chosen or (model == "file" and file_positions is None):
            continue
        if model == "flow":  # its mean alone, without the ensemble
            found[model] = np.asarray(inventory.read[inventory.place, NET])
        else:
            found[model] = dealer_positions(model, inventory, frame, file_positions).position
    return found


def seen_share(inventory: Inventory) -> F64:
    """Share of each open interest whose history was seen: of a whole life, what was not lost of it.

    Units: none. Shapes: (n,) of the frame last observed. Domain: 1 where there is no open interest.
    Source: volume since we watch over open interest, at most 1.
    """
    book = inventory.book[inventory.place]
    volume, interest = book["volume"], book["interest"]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(interest > 0.0, np.minimum(volume / interest, 1.0), 1.0)
        kept = np.where(book["missed"] > 0.0, volume / (volume + book["missed"]), 1.0)
    return np.asarray(np.where(book["whole"] == 1, 1.0, part) * kept)


def mean_share(share: F64, interest: F64) -> float | None:
    """Mean of `share` weighted by open interest; None where there is none.

    Units: none. Shapes: (n,), (n,) -> scalar. Domain: open interest NaN or negative counts as none. Source: none.
    """
    held = np.where(interest > 0.0, interest, 0.0)
    whole = float(held.sum())
    return float((share * held).sum()) / whole if 0.0 < whole < np.inf else None


def reconciled(inventory: Inventory) -> Reconciled:
    """Open interest against prints for the frame last observed.

    Units: coins. Shapes: as `Reconciled`. Domain: zero where an option has not started. Source: `inventory`.
    """
    book = inventory.book[inventory.place]
    change = np.nan_to_num(book["interest"] - book["opened"])
    return Reconciled(change, book["watched"].copy(), book["unexplained"].copy(), book["last_ns"].copy())
