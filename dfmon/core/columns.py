"""The priceable rows of a frame as columns: time to expiry, settlement terms, groups by strike and expiry.

Rows that cannot be priced are left out and counted by reason, so nothing after this sees a NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.dealer_net import DealerPositions
from dfmon.core.pricing.black import Mask
from dfmon.core.pricing.settlement import DAY, Terms, settlement_terms
from dfmon.model.frames import F64, I64, ChainFrame
from dfmon.model.units import YEAR

SIGMA_BOUNDS: Final = (0.001, 20.0)  # volatility outside is not a quote
MAX_QUANTITY: Final = 1e12  # nor is a price or a quantity of this size


@dataclass(frozen=True, slots=True)
class Columns:
    """n priceable options, and a book on them. Units: USD, decimal volatility, years, coins.

    `rows` index the frame; `strikes` and `expiries` ascend, and the codes map each option to its own. `terms` are the
    strike, time and share of the settlement treatment. `priceable_share` is the share of the board's open interest in
    these options.
    """

    rows: I64
    forward: F64
    strike: F64
    sigma: F64
    tau: F64
    option_type: F64
    open_interest: F64
    position: F64
    members: F64 | None
    terms: Terms
    average: F64 | None
    strikes: F64
    strike_code: NDArray[np.intp]
    expiries: I64
    expiry_code: NDArray[np.intp]
    priceable_share: float
    exclusions: tuple[str, ...]

    @property
    def size(self) -> int:
        return int(self.rows.size)

    def with_book(self, positions: DealerPositions) -> Columns:
        """The same options under other positions of the same frame."""
        return replace(self, position=positions.position[self.rows], members=_member_rows(positions, self.rows))

    @property
    def cell(self) -> NDArray[np.intp]:
        """The cell of each option in a matrix of expiries by strikes, in row-major order."""
        return np.asarray(self.expiry_code * self.strikes.size + self.strike_code)


def _member_rows(positions: DealerPositions, rows: I64) -> F64 | None:
    all_rows = rows.size == positions.position.size
    return positions.members if positions.members is None or all_rows else positions.members[rows]


def priceable_columns(frame: ChainFrame, positions: DealerPositions, *others: DealerPositions) -> Columns:
    """The priceable rows of `frame` under `positions`. A row needs a position in `others` too.

    Units: as `Columns`. Shapes: (n,) of the frame -> (k,), k <= n.
    Domain: any frame; a row without forward, volatility, time or position is left out and counted by reason.
    """
    tau = (frame.expiry_ns - frame.venue_ns) / YEAR
    priceable, exclusions = _priceable_rows(frame, tau, (positions, *others))
    rows = np.flatnonzero(priceable)
    forward, strike, live_tau = frame.forward[rows], frame.strike[rows], tau[rows]
    strikes, strike_code = _groups(strike.tobytes(), "f8")
    expiries, expiry_code = _groups(frame.expiry_ns[rows].tobytes(), "i8")
    average = (
        np.where(live_tau <= 2 * DAY, frame.delivery_average, np.nan) if np.isfinite(frame.delivery_average) else None
    )
    open_interest = frame.open_interest[rows]
    total_open_interest = _estimated_total(frame.open_interest)
    return Columns(
        rows=rows,
        forward=forward,
        strike=strike,
        sigma=frame.sigma[rows],
        tau=live_tau,
        option_type=frame.option_type[rows].astype(np.float64),
        open_interest=open_interest,
        position=positions.position[rows],
        members=_member_rows(positions, rows),
        terms=settlement_terms(forward, strike, live_tau, average),
        average=average,
        strikes=strikes,
        strike_code=strike_code,
        expiries=expiries,
        expiry_code=expiry_code,
        priceable_share=float(open_interest.sum() / total_open_interest)
        if total_open_interest > 0.0
        else (1.0 if rows.size else 0.0),
        exclusions=exclusions,
    )


@lru_cache(maxsize=32)
def _groups(values: bytes, dtype: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct values of a column, ascending, and the place of each row among them: the same from tick to tick."""
    groups, codes = np.unique(np.frombuffer(values, dtype), return_inverse=True)
    groups.flags.writeable = codes.flags.writeable = False
    return groups, codes


def _estimated_total(open_interest: F64) -> float:
    """Open interest of a board on which options without it have that of the others on average.

    Units: coins. Shapes: (n,).
    """
    known = open_interest >= 0.0
    count = np.count_nonzero(known)
    return float(open_interest[known].sum()) * open_interest.size / count if count else 0.0


def _priceable_rows(frame: ChainFrame, tau: F64, books: Sequence[DealerPositions]) -> tuple[Mask, tuple[str, ...]]:
    """A mask of the rows that can be priced, and the counts of the others by reason."""
    reasons = {
        "no forward": ~((frame.forward > 1.0 / MAX_QUANTITY) & (frame.forward < MAX_QUANTITY)),
        "no mark volatility": ~((frame.sigma >= SIGMA_BOUNDS[0]) & (frame.sigma <= SIGMA_BOUNDS[1])),
        "no open interest": ~((frame.open_interest >= 0.0) & (frame.open_interest < MAX_QUANTITY)),
        "no position": ~np.logical_and.reduce([np.abs(book.position) < MAX_QUANTITY for book in books]),
        "bad strike": ~((frame.strike > 1.0 / MAX_QUANTITY) & (frame.strike < MAX_QUANTITY)),
    }
    priceable = tau > 0.0
    exclusions = []
    for reason, excluded in reasons.items():
        count = int(np.count_nonzero(excluded & priceable))
        if count:
            exclusions.append(f"{count} option{'s' if count > 1 else ''}: {reason}")
        priceable &= ~excluded
    return priceable, tuple(exclusions)


def atm_sigma(cols: Columns) -> F64:
    """ATM volatility of each expiry: at strike = forward, linear in log-moneyness between listed strikes.

    Calls and puts of a strike count alike. Units: decimal. Shapes: (k,) -> one value an expiry.
    Domain: flat beyond the listed strikes.
    """
    moneyness = np.log(cols.strike / cols.forward)
    order = np.lexsort((moneyness, cols.expiry_code))
    moneyness, sigma = moneyness[order], cols.sigma[order]
    ends = np.searchsorted(cols.expiry_code[order], np.arange(cols.expiries.size + 1)).tolist()
    return np.array([np.interp(0.0, moneyness[start:end], sigma[start:end]) for start, end in pairwise(ends)])


def group_sums(codes: NDArray[np.intp], values: F64, groups: int) -> F64:
    """Sum of `values` in each group, added in the order of the rows.

    Shapes: (n,), (n,) -> (groups,). Domain: codes in [0, groups).
    """
    return np.asarray(np.bincount(codes, values, groups), np.float64)


def first_of_group(codes: NDArray[np.intp], values: F64, groups: int) -> F64:
    """The value of the first row of each group, for values that a group shares, such as forward or time.

    Shapes: (n,), (n,) -> (groups,). Domain: every group has a row.
    """
    first = np.full(groups, -1)
    first[codes[::-1]] = np.arange(codes.size)[::-1]
    shared: F64 = values[first]
    return shared
