"""What each member of the ensemble holds of each option, given its prints: direction, class shares, position, band.

Comes after `inventory`, before `dealer_net`. Here the whole past of an option is read anew under what its prints make
likely by now: no attribution of a print is ever final.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.attribution import NODES, TELLING, Attribution, Priors
from dfmon.core.positions.counter_rng import STREAMS
from dfmon.core.positions.inventory import HIGH, LOW, NET, P_LONG, Inventory, unprinted
from dfmon.model.frames import F64, I64

BAND: Final = (0.05, 0.95)
AT_ONCE: Final = 64  # rows read at once: what that takes stays small, and fits the cache


def read(inventory: Inventory, rows: I64, hours: I64, tables: Attribution, priors: Priors) -> Inventory:
    """Dealer positions of `rows`: each member's flow under what it believes, where it started, drift, bound.

    Units: coins, + dealers long; `hours` of age. Shapes: (k,) rows. Domain: rows with open interest.
    Source: position = start + flow + drift, clipped to open interest.
    """
    summary, held, aged = inventory.read.copy(), list(inventory.members), inventory.hours.copy()
    for start in range(0, rows.size, AT_ONCE):
        part = rows[start : start + AT_ONCE]
        members = _members(inventory, part, hours[part], tables, priors)
        summary[part, NET] = members.mean(axis=1)
        summary[part, LOW], summary[part, HIGH] = np.quantile(members, BAND, axis=1)
        summary[part, P_LONG] = 0.5 + 0.5 * np.sign(members).mean(axis=1)
        for row, member in zip(part.tolist(), members):
            held[row] = member.copy()  # a view of it would keep every row that was read with it
        aged[part] = hours[part]
    return replace(inventory, members=tuple(held), read=summary, hours=aged)


def _members(inventory: Inventory, rows: I64, hours: I64, tables: Attribution, priors: Priors) -> F64:
    """Dealer position of each of `rows` under each member, (k, MEMBERS) coins."""
    book = inventory.book[rows]
    quantile, start, drift, chance = inventory.drawn[:, rows]
    stream, node = _believed(book["tally"], quantile, chance, tables)
    flows = np.stack([inventory.flows[row] for row in rows.tolist()])
    customers = flows[np.arange(rows.size)[:, None], node, stream]
    began = priors.start_mean + priors.lean * tables.leaning[node] + priors.start_sd * start
    customers += book["unseen"][:, None] * np.clip(began, -1.0, 1.0)
    interest = book["interest"]
    customers += _spread(book, hours, priors)[:, None] * drift
    return np.asarray(np.clip(-customers, -interest[:, None], interest[:, None]))


def _believed(tally: F64, quantile: F64, chance: F64, tables: Attribution) -> tuple[I64, I64]:
    """The stream of class shares and the node of customers' direction that each member holds of each option.

    A stream keeps its members with its probability, given the prints, over that of the likeliest one; the others go
    to streams drawn by those probabilities, which makes the whole a sample of them. The direction is each member's
    quantile of what its stream leaves likely. Sums run in a fixed order, so that the bits do not depend on how many
    rows are read at once.
    Source: Rao-Blackwellised importance resampling; Liu, Chen & Wong (1998), rejection control.
    """
    logs = np.zeros((tally.shape[0], NODES, STREAMS)) + tables.weight[:, None]
    for kind in TELLING:
        for code in (2 * kind, 2 * kind + 1):
            logs += tally[:, code, None, None] * tables.evidence[code]
    logs -= logs.max(axis=(1, 2), keepdims=True)
    np.exp(logs, out=logs)
    below = np.cumsum(logs, axis=1)
    likely = below[:, -1].copy()
    likely /= likely.max(axis=1, keepdims=True)
    stream = np.broadcast_to(np.arange(STREAMS), likely.shape).copy()
    option, left = np.nonzero(chance[:, :STREAMS] >= likely)
    if option.size:
        upto = np.cumsum(likely, axis=1)
        wanted = chance[option, STREAMS + left] * upto[option, -1]
        stream[option, left] = (wanted[:, None] > upto[option]).sum(axis=1)
    both = np.concatenate([stream, stream], axis=1)
    shares = np.take_along_axis(below, both[:, None, :], axis=2)
    return both, np.asarray((quantile[:, None, :] * shares[:, -1:] > shares[:, :-1]).sum(axis=1))


def _spread(book: NDArray[np.void], hours: I64, priors: Priors) -> F64:
    """Standard deviation of what moved without a print: transfers by the day, open interest unexplained, losses."""
    days = np.maximum(hours, 0) / 24.0
    with np.errstate(invalid="ignore", divide="ignore"):
        typical = np.where(book["volume"] > 0.0, book["squares"] / book["volume"], unprinted(book))
    return np.asarray(
        np.sqrt((priors.drift * book["interest"]) ** 2 * days + book["variance"] + book["missed"] * typical)
    )
