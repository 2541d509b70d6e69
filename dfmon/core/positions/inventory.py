"""What is known of each option's prints: the state of the ensemble estimator, one row an option, by name.

Comes after `attribution`; `observing` moves it and `belief` reads it. Customers' net position q of an option is where
it started plus what each print added under the class each stream drew for it. Prints only add up, sizes are kept on a
grid of 2^-26 coins, and draws belong to the event: so neither the order of prints, nor tick boundaries, nor the order
or the numbering of options changes a bit of it. Nothing is bounded on the way; |q| <= open interest is applied when it
is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.attribution import KINDS, NODES
from dfmon.core.positions.counter_rng import (
    COMMON,
    DRIFT,
    MEMBERS,
    START,
    STREAMS,
    chances_of,
    normals,
    quantiles_of,
)
from dfmon.model.frames import F64, I64, ChainFrame

GRAIN: Final = 2.0**26  # parts of a coin: sums of sizes stay exact up to 10^8 coins, in any order
UNPRINTED: Final = 0.05  # of open interest: the typical print of an option that has none yet
NO_FLOW: Final = np.zeros((NODES, STREAMS))

RECORD: Final = np.dtype(
    [
        ("expiry_ns", "<i8"),
        ("seq", "<i8"),  # number of the newest print
        ("last_ns", "<i8"),  # its time, 0: none
        ("since_ns", "<i8"),  # what moves unseen counts from here; 0: not started
        ("stirred_ns", "<i8"),  # newest print or move of open interest
        ("whole", "<i8"),  # 1: every print since its listing was seen
        ("interest", "<f8"),  # open interest as last said, coins; NaN: never
        ("unseen", "<f8"),  # open interest at the start whose history was not seen
        ("volume", "<f8"),  # coins printed
        ("squares", "<f8"),  # sum of squared sizes
        ("missed", "<f8"),  # coins of lost prints, by the size of the typical one
        ("opened", "<f8"),  # open interest when we began to watch
        ("watched", "<f8"),  # coins printed since
        ("balance", "<f8"),  # prints that open interest may not show yet; negative: moves without a print so far
        ("unexplained", "<f8"),  # coins that open interest moved without a print
        ("variance", "<f8"),  # what that adds to the variance of the position
        ("tally", "<f8", (2 * KINDS,)),  # number of prints of each kind, sells and buys
    ]
)
NET, LOW, HIGH, P_LONG = range(4)  # columns of `Inventory.read`


@dataclass(frozen=True, slots=True)
class Inventory:
    """One row an option, by name. `flows` is what prints added to customers' positions, (NODES, STREAMS) an option.

    The rest follows from these and from the frame last seen: `place` is the row of each of its options, `drawn` the
    fixed draws (quantile, start, drift, chance) of each row, `hours` its age when it was last read, `members` and
    `read` the dealer position of each row in coins: a number a member, and their mean, 5 %, 95 % and share of longs.
    """

    names: tuple[str, ...]
    book: NDArray[np.void]
    flows: tuple[F64, ...]
    uid: I64
    place: I64
    row_of: dict[int, int]
    drawn: F64
    members: tuple[F64, ...]
    read: F64
    hours: I64

    @classmethod
    def empty(cls) -> Inventory:
        return cls.of((), np.zeros(0, RECORD), ())

    @classmethod
    def of(cls, names: tuple[str, ...], book: NDArray[np.void], flows: tuple[F64, ...]) -> Inventory:
        """The inventory behind a stored state; the next frame brings the rest."""
        none, size = np.zeros(0, np.int64), len(names)
        unread = np.full(MEMBERS, np.nan)
        read, hours = np.full((size, 4), np.nan), np.full(size, -1, np.int64)
        return cls(names, book, flows, none, none, {}, _draws(names), (unread,) * size, read, hours)


def aligned(inventory: Inventory, frame: ChainFrame) -> Inventory:
    """The inventory with a row for every option of the frame; who has expired is forgotten.

    Units: none. Shapes: any frame. Domain: an option that is not listed but has not expired keeps its row.
    Source: none; book-keeping.
    """
    if np.array_equal(frame.uid, inventory.uid):
        return inventory
    row_of = {name: row for row, name in enumerate(inventory.names)}
    here = set(frame.names)
    ended = inventory.book["expiry_ns"] <= frame.ts_ns
    kept = [row for row, name in enumerate(inventory.names) if name in here or not ended[row]]
    fresh = [i for i, name in enumerate(frame.names) if name not in row_of]
    book = np.concatenate([inventory.book[kept], np.zeros(len(fresh), RECORD)])
    book["interest"][len(kept) :] = np.nan
    book["expiry_ns"][len(kept) :] = frame.expiry_ns[fresh]
    # An array of its own before the first print, so that a session does not grow with each option that trades.
    flows = tuple(NO_FLOW.copy() for _ in fresh)
    names = (*(inventory.names[row] for row in kept), *(frame.names[i] for i in fresh))
    blank = Inventory.of(tuple(frame.names[i] for i in fresh), book[len(kept) :], flows)
    at = {name: row for row, name in enumerate(names)}
    place = np.array([at[name] for name in frame.names], np.int64)
    return Inventory(
        names=names,
        book=book,
        flows=(*(inventory.flows[row] for row in kept), *blank.flows),
        uid=frame.uid,
        place=place,
        row_of=dict(zip(frame.uid.tolist(), place.tolist())),
        drawn=np.concatenate([inventory.drawn[:, kept], blank.drawn], axis=1),
        members=(*(inventory.members[row] for row in kept), *blank.members),
        read=np.concatenate([inventory.read[kept], blank.read]),
        hours=np.concatenate([inventory.hours[kept], blank.hours]),
    )


def _draws(names: Sequence[str]) -> F64:
    if not names:
        return np.zeros((4, 0, MEMBERS))
    return np.stack([quantiles_of(names), normals(names, START, COMMON), normals(names, DRIFT), chances_of(names)])


def on_grain(coins: F64) -> F64:
    """Amounts rounded to the grain, so that their sums are exact.

    Units: coins. Shapes: any. Domain: below 10^8. Source: sums of multiples of one power of two.
    """
    return np.asarray(np.rint(coins * GRAIN) / GRAIN)


def unprinted(book: NDArray[np.void]) -> F64:
    """The typical print of an option that has none yet.

    Units: coins. Shapes: (k,) records -> (k,). Domain: zero without open interest. Source: none; a guess.
    """
    return np.asarray(UNPRINTED * np.nan_to_num(book["interest"]))
