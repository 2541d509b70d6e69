"""What dealers probably hold: minus the customers' net position, per option, with an ensemble for the band.

Comes after the frozen chain and before every roll-up. `flow` cumulates what takers did since we started to watch,
bounded by open interest, and rests on a weak prior for the history that was not seen; `naive`, `short-all` and
`file` are conventions without a band. Quantities are coins.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.model.frames import F64, I64, ChainFrame, TradeColumns

MODELS: Final = ("flow", "naive", "short-all", "file")
MEMBERS: Final = 128

PRIOR_MEAN: Final = 0.10  # dealers hold a little of everything: customers sell options on balance
PRIOR_TILT: Final = 0.25  # ... more calls than puts: yield sellers write calls, hedgers buy puts
PRIOR_SD: Final = 0.60  # of open interest, where no history was seen
FLOW_SD: Final = 0.25  # of open interest, where all of it was: takers are not always customers
COMMON: Final = 0.20  # share of the variance that all options have in common

BILATERAL_BLOCK: Final = 0.5  # weight of a negotiated block, whose public taker side is self-declared
MAKER_LIQUIDATED: Final = -1.0  # the passive side was the customer, so the taker is more likely the dealer


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the prints of a session told, by option row (`uid`): customers' net buying and the volume behind it."""

    net: F64
    seen: F64
    drawn: I64  # the options of the newest frame, row by row
    draws: F64  # (n, MEMBERS) standard normal, theirs for life

    @classmethod
    def empty(cls) -> Inventory:
        return cls(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros((0, MEMBERS)))


@dataclass(frozen=True, slots=True)
class DealerPositions:
    """Dealer positions of the n options of a frame, coins, + long.

    `members` (n, MEMBERS) is None for conventions, and `seen` (n,) the share of each open interest whose history
    was seen; `coverage` is its mean weighted by open interest, None where the model does not use history.
    """

    model: str
    position: F64
    members: F64 | None
    seen: F64 | None
    coverage: float | None


def observe(inventory: Inventory, trades: TradeColumns) -> Inventory:
    """The inventory after the prints of one tick. Order within the tick does not matter.

    Units: coins. Shapes: any number of prints. Domain: sizes > 0, sides +1 or -1; the chain has checked.
    Source: taker-flow cumulation; weights as named above.
    """
    if not trades.uid.size:
        return inventory
    rows = max(int(trades.uid.max()) + 1, inventory.net.size)
    net, seen = np.zeros(rows), np.zeros(rows)
    net[: inventory.net.size], seen[: inventory.seen.size] = inventory.net, inventory.seen
    weight = np.where(trades.block & ~trades.rfq & ~trades.combo, BILATERAL_BLOCK, 1.0)
    liquidated = np.array([{"M": MAKER_LIQUIDATED, "MT": 0.0}.get(flag, 1.0) for flag in trades.liquidation])
    np.add.at(net, trades.uid, weight * liquidated * trades.side * trades.size)
    np.add.at(seen, trades.uid, trades.size)
    return replace(inventory, net=net, seen=seen)


def with_draws(inventory: Inventory, uid: I64, names: tuple[str, ...]) -> Inventory:
    """The inventory with a fixed row of draws for each option, keyed by its name, so that order changes nothing.

    Units: standard deviations. Shapes: (n,) -> draws (n, MEMBERS). Domain: any listing; who left is forgotten.
    Source: one factor shared by all options beside an own one, so that a sum does not average its band away.
    """
    if np.array_equal(uid, inventory.drawn):
        return inventory
    place = {row: at for at, row in enumerate(inventory.drawn.tolist())}
    draws = np.empty((uid.size, MEMBERS))
    common = np.random.Generator(np.random.Philox(key=0)).standard_normal(MEMBERS)
    for at, (row, name) in enumerate(zip(uid.tolist(), names)):
        if row in place:
            draws[at] = inventory.draws[place[row]]
        else:
            own = np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode()))).standard_normal(MEMBERS)
            draws[at] = np.sqrt(COMMON) * common + np.sqrt(1.0 - COMMON) * own
    return replace(inventory, drawn=uid, draws=draws)


def dealer_positions(
    model: str, inventory: Inventory, frame: ChainFrame, file_positions: Mapping[str, float] | None = None
) -> DealerPositions:
    """Dealer position of every option of the frame under `model`.

    Units: coins, + long. Shapes: (n,) and (n, MEMBERS).
    Domain: an option without open interest gets position NaN, and is counted by the caller; `flow` needs the draws of
    this frame.
    Source: naive and short-all are the conventions of the equity vendors; flow as the module says.
    """
    interest = frame.open_interest
    call = frame.option_type.astype(np.float64)
    if model == "naive":
        return DealerPositions(model, call * interest, None, None, None)
    if model == "short-all":
        return DealerPositions(model, -interest, None, None, None)
    if model == "file":
        held = file_positions or {}
        return DealerPositions(model, np.array([held.get(n, 0.0) for n in frame.names]), None, None, None)
    return _from_flow(inventory, frame, interest, call)


def _from_flow(inventory: Inventory, frame: ChainFrame, interest: F64, call: F64) -> DealerPositions:
    net, volume = _rows(inventory.net, frame.uid), _rows(inventory.seen, frame.uid)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.where(interest > 0.0, np.minimum(volume / interest, 1.0), 1.0)
        seen = np.where(frame.whole_life, 1.0, seen)
        from_flow = -np.clip(net, -interest, interest)
        prior = (PRIOR_MEAN + PRIOR_TILT * call) * interest
        position = seen * from_flow + (1.0 - seen) * prior
        spread = (PRIOR_SD * (1.0 - seen) + FLOW_SD * seen) * interest
        members = spread[:, None] * inventory.draws
        members += position[:, None]
        np.clip(members, -interest[:, None], interest[:, None], out=members)
        whole = float(np.nansum(interest))
        coverage = float(np.nansum(seen * interest)) / whole if whole > 0.0 else None
    return DealerPositions("flow", position, members, seen, coverage)


def _rows(column: F64, uid: I64) -> F64:
    """`column[uid]`, zero where the option was never traded."""
    out = np.zeros(uid.size)
    known = uid < column.size
    out[known] = column[uid[known]]
    return out
