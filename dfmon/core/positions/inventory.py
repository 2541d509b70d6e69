"""State of the ensemble estimator: one row an option, by name, with the accumulated flow of its prints.

`update` changes it and `posterior` samples positions from it. Customers' net position q of an option is its start
plus what each print added under the class that each stream drew for it. Prints only add up, sizes are rounded to a
grid of 2^-26 coins, and draws belong to the event: neither the order of prints, nor tick boundaries, nor the order or
numbering of options changes a bit of it. The bound |q| <= open interest is applied only when positions are sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.attribution import DIRECTION_NODES, PRINT_KINDS
from dfmon.core.positions.counter_rng import (
    COMMON_VARIANCE_SHARE,
    DRIFT,
    MEMBERS,
    START,
    STREAMS,
    direction_quantiles,
    option_normals,
    stream_uniforms,
)
from dfmon.model.frames import F64, I64, ChainFrame

SIZE_UNITS_PER_COIN: Final = 2.0**26  # sums of sizes stay exact up to 10^8 coins, in any order
DEFAULT_PRINT_SHARE: Final = 0.05  # of open interest: assumed size of a print before the first one
NO_FLOW: Final = np.zeros((DIRECTION_NODES, STREAMS))

RECORD: Final = np.dtype(
    [
        ("expiry_ns", "<i8"),
        ("seq", "<i8"),  # sequence number of the newest print
        ("last_ns", "<i8"),  # its time; 0: none
        ("since_ns", "<i8"),  # start of unobserved drift; 0: not started
        ("last_change_ns", "<i8"),  # newest print or change of open interest
        ("full_history", "<i8"),  # 1: every print since its listing is known
        ("open_interest", "<f8"),  # last reported open interest, coins; NaN: never
        ("unobserved_oi", "<f8"),  # open interest at the start without observed history
        ("volume", "<f8"),  # coins printed
        ("sum_sq_size", "<f8"),  # sum of squared sizes
        ("lost_qty", "<f8"),  # coins of lost prints, estimated by the mean size
        ("oi_at_start", "<f8"),  # open interest when the session began
        ("qty_since_start", "<f8"),  # coins printed since then
        (
            "prints_minus_oi",
            "<f8",
        ),  # printed coins less changes of open interest, not yet reconciled
        ("unexplained", "<f8"),  # coins of changes of open interest without a print
        ("variance", "<f8"),  # the variance of the position due to them
        ("counts", "<f8", (2 * PRINT_KINDS,)),  # number of prints of each kind, sells and buys
    ]
)
NET, LOW, HIGH, P_LONG = range(4)  # columns of `Inventory.summary`


@dataclass(frozen=True, slots=True)
class Inventory:
    """One row an option, by name. `flows` is what prints added to customers' positions, (NODES, STREAMS) an option.

    The other fields are derived from these and the last frame: `frame_rows` is the row of each of its options,
    `member_draws` the fixed draws (quantile, start, drift, stream) of each row, `age_hours` its age when last
    sampled, `members` and `summary` the dealer position of each row in coins: one number per member, and mean, 5 %,
    95 % and share of longs.
    """

    names: tuple[str, ...]
    records: NDArray[np.void]
    flows: tuple[F64, ...]
    uid: I64
    frame_rows: I64
    row_by_uid: dict[int, int]
    member_draws: F64
    members: tuple[F64, ...]
    summary: F64
    age_hours: I64

    @classmethod
    def empty(cls) -> Inventory:
        return cls.from_records((), np.zeros(0, RECORD), ())

    @classmethod
    def from_records(cls, names: tuple[str, ...], records: NDArray[np.void], flows: tuple[F64, ...]) -> Inventory:
        """The inventory behind a stored state; the next frame supplies the rest."""
        no_rows, size = np.zeros(0, np.int64), len(names)
        empty_members = np.full(MEMBERS, np.nan)
        summary, age_hours = np.full((size, 4), np.nan), np.full(size, -1, np.int64)
        return cls(
            names,
            records,
            flows,
            no_rows,
            no_rows,
            {},
            _draw_members(names),
            (empty_members,) * size,
            summary,
            age_hours,
        )


def align_to_frame(inventory: Inventory, frame: ChainFrame) -> Inventory:
    """The inventory with a row for every option of the frame, without the rows of expired options.

    Domain: an option that is not listed but has not expired keeps its row.
    """
    if np.array_equal(frame.uid, inventory.uid):
        return inventory
    row_by_name = {name: row for row, name in enumerate(inventory.names)}
    listed_names = set(frame.names)
    expired = inventory.records["expiry_ns"] <= frame.ts_ns
    retained_rows = [row for row, name in enumerate(inventory.names) if name in listed_names or not expired[row]]
    new_options = [i for i, name in enumerate(frame.names) if name not in row_by_name]
    records = np.concatenate([inventory.records[retained_rows], np.zeros(len(new_options), RECORD)])
    records["open_interest"][len(retained_rows) :] = np.nan
    records["expiry_ns"][len(retained_rows) :] = frame.expiry_ns[new_options]
    # One array per option from the start, so that memory does not grow as options trade.
    flows = tuple(NO_FLOW.copy() for _ in new_options)
    names = (*(inventory.names[row] for row in retained_rows), *(frame.names[i] for i in new_options))
    new_inventory = Inventory.from_records(
        tuple(frame.names[i] for i in new_options), records[len(retained_rows) :], flows
    )
    new_row_by_name = {name: row for row, name in enumerate(names)}
    frame_rows = np.array([new_row_by_name[name] for name in frame.names], np.int64)
    return Inventory(
        names=names,
        records=records,
        flows=(*(inventory.flows[row] for row in retained_rows), *new_inventory.flows),
        uid=frame.uid,
        frame_rows=frame_rows,
        row_by_uid=dict(zip(frame.uid.tolist(), frame_rows.tolist())),
        member_draws=np.concatenate([inventory.member_draws[:, retained_rows], new_inventory.member_draws], axis=1),
        members=(*(inventory.members[row] for row in retained_rows), *new_inventory.members),
        summary=np.concatenate([inventory.summary[retained_rows], new_inventory.summary]),
        age_hours=np.concatenate([inventory.age_hours[retained_rows], new_inventory.age_hours]),
    )


def _draw_members(names: Sequence[str]) -> F64:
    if not names:
        return np.zeros((4, 0, MEMBERS))
    return np.stack(
        [
            direction_quantiles(names),
            option_normals(names, START, COMMON_VARIANCE_SHARE),
            option_normals(names, DRIFT),
            stream_uniforms(names),
        ]
    )


def round_to_size_grid(coins: F64) -> F64:
    """Sizes rounded to the size grid, so that their sums are exact.

    Units: coins. Domain: below 10^8. Source: sums of multiples of one power of two.
    """
    return np.asarray(np.rint(coins * SIZE_UNITS_PER_COIN) / SIZE_UNITS_PER_COIN)


def default_print_size(records: NDArray[np.void]) -> F64:
    """Assumed print size of an option without prints.

    Units: coins. Shapes: (k,) records -> (k,). Domain: zero without open interest.
    """
    return np.asarray(DEFAULT_PRINT_SHARE * np.nan_to_num(records["open_interest"]))
