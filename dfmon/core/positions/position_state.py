"""State of the position estimator: one row an option, by name, and what is learned over the board.

Arrays are replaced, never changed in place. Coins, + customers long; times in ns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.netting_filter import NODES, known_moments
from dfmon.core.positions.observed_columns import LastInterest, PrintColumns
from dfmon.core.positions.opening_rates import SUMS, OpeningRates, with_board
from dfmon.model.frames import F64, I64
from dfmon.model.units import NAN

FAULTS: Final = (
    "open interest below the estimate", "open interest jumps", "open interest not within 0 and 1e12",
    "open interest out of order", "prints without open interest", "prints older than the listing",
    "prints above open interest", "prints out of order", "prints without side or size up to 1e12",
)  # fmt: skip
BELOW_POSITION, JUMPS, BAD_INTEREST, LATE_INTEREST, NO_INTEREST = range(5)
BEFORE_LISTING, ABOVE_INTEREST, LATE_PRINTS, BAD_PRINTS = range(5, len(FAULTS))

COUNT_U, SIDE_U, SIDE_OF_U, RECENT_COUNT, RECENT_SIDE_U, RECENT_SIDE, FLOW, FLOW_U, FLOW_MIXED, SIDES, COUNT = range(11)
BLOCK_FLOW, COMBO_FLOW, VOLUME, UNEXPLAINED, CHANGE, DRIFT = range(11, 17)
REGRESSED, REGRESSED_Y, REGRESSED_YY, REGRESSED_U, REGRESSED_UY = range(17, 22)
FROM_SCREEN, FROM_BLOCK, FROM_RFQ, FROM_COMBO, FROM_LIQUIDATION, FROM_OPENINGS, FROM_TRANSFERS, FROM_START = range(
    22, 30
)
ACCUMULATORS: Final = 30
"""Columns of `PositionState.sums`.

Prints with u: number, sum of side x u, sum of side; the same decayed over eight days; side x size in all, times u,
times 1 - |u|; side and number of all prints; side x size of blocks and RFQs, and of combos; coins printed, unexplained,
and of all changes of open interest; variance of the unseen drift; the option's part of the regression of openings;
then the sources of the mean position.
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """Options by name: strike in USD, expiry, +1 call or -1 put, and time of listing (0: it was not seen)."""

    names: tuple[str, ...]
    strike: F64
    expiry_ns: I64
    option_type: F64
    listed_ns: I64

    def take(self, rows: Sequence[int]) -> Listing:
        """The options at these rows."""
        at = np.asarray(rows, np.intp)
        columns = (self.strike[at], self.expiry_ns[at], self.option_type[at], self.listed_ns[at])
        return Listing(tuple(self.names[row] for row in rows), *columns)

    def joined(self, other: Listing) -> Listing:
        """These options and others."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__[1:])
        return Listing(self.names + other.names, *(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class PositionState:
    """Rows of n options, and the board.

    `moments` (6, NODES, n) are those of `netting_filter`, `interest` (n,) the open interest that bounds positions,
    `last` what each row has last shown, `first_interest` (n,) open interest whose history was not seen, `last_ns` (n,)
    the time of the newest print, `sums` (n, ACCUMULATORS), `revision` (n,) a count that rises with every change of a
    row. `pending` are prints that wait for open interest. `board_sums` belong to past hours, `hour_sums` to the
    current one, which `now_ns` lies in; `rates` are frozen within it.
    """

    listing: Listing
    moments: F64
    interest: F64
    last: LastInterest
    first_interest: F64
    last_ns: I64
    sums: F64
    revision: I64
    pending: PrintColumns
    board_sums: F64
    hour_sums: F64
    rates: OpeningRates
    now_ns: int
    faults: I64

    @classmethod
    def empty(cls) -> PositionState:
        """The state before the first frame."""
        integers, floats = np.zeros(0, np.int64), np.zeros(0)
        return cls(
            listing=Listing((), floats, integers, floats, integers),
            moments=np.zeros((6, NODES, 0)),
            interest=floats,
            last=LastInterest.never_shown(floats),
            first_interest=floats,
            last_ns=integers,
            sums=np.zeros((0, ACCUMULATORS)),
            revision=integers,
            pending=PrintColumns.empty(),
            board_sums=np.zeros(SUMS),
            hour_sums=np.zeros(SUMS),
            rates=OpeningRates(),
            now_ns=0,
            faults=np.zeros(len(FAULTS), np.int64),
        )

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.listing.names)


def with_options(state: PositionState, listing: Listing) -> PositionState:
    """The state with rows for more options.

    An option whose listing was seen starts without a position; another waits for its first open interest.
    """
    count = len(listing.names)
    seen = listing.listed_ns > 0
    value = np.where(seen, 0.0, NAN)
    integers, floats = np.zeros(count, np.int64), np.zeros(count)
    return replace(
        state,
        listing=state.listing.joined(listing),
        moments=np.concatenate([state.moments, known_moments(count)], axis=2),
        interest=np.concatenate([state.interest, floats]),
        last=_joined(state.last, LastInterest.never_shown(value)),
        first_interest=np.concatenate([state.first_interest, floats]),
        last_ns=np.concatenate([state.last_ns, integers]),
        sums=np.concatenate([state.sums, np.zeros((count, ACCUMULATORS))]),
        revision=np.concatenate([state.revision, integers]),
    )


def without_expired(state: PositionState, now_ns: int) -> PositionState:
    """The state without options that have expired, which leave nothing but what the board has learned."""
    alive = state.listing.expiry_ns > now_ns
    return state if alive.all() else with_rows(state, alive)


def with_rows(state: PositionState, mask: NDArray[np.bool_]) -> PositionState:
    """The state with the marked options alone."""
    rows = np.flatnonzero(mask)
    pending = state.pending.take(mask[state.pending.row])
    return replace(
        state,
        listing=state.listing.take(rows.tolist()),
        moments=state.moments[:, :, rows],
        interest=state.interest[rows],
        last=LastInterest(*(getattr(state.last, field.name)[rows] for field in fields(LastInterest))),
        first_interest=state.first_interest[rows],
        last_ns=state.last_ns[rows],
        sums=state.sums[rows],
        revision=state.revision[rows],
        pending=replace(pending, row=renumbered(pending.row, mask)),
    )


def renumbered(rows: I64, mask: NDArray[np.bool_]) -> I64:
    """Rows among all options as rows among the marked ones, to which they belong."""
    return np.asarray((np.cumsum(mask) - 1)[rows])


def board_measures(rates: OpeningRates, listing: Listing, sums: F64, interest: F64, now_ns: int) -> OpeningRates:
    """The rates with what the sums of the options that have not expired say of the board.

    Units: coins, ns. Shapes: n options, (n, ACCUMULATORS), (n,).
    """
    alive = listing.expiry_ns > now_ns
    sums, strike = sums[alive], listing.strike[alive]
    return with_board(
        rates, sums[:, VOLUME], interest[alive], np.log(strike), prints=sums[:, COUNT], sides=sums[:, SIDES]
    )  # fmt: skip


def _joined(first: LastInterest, second: LastInterest) -> LastInterest:
    names = [field.name for field in fields(LastInterest)]
    return LastInterest(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))
