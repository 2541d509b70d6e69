"""Forwards and spot of a board that does not publish them, from what it does: marks, deltas, its nearest expiry."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.instrument import Settlement
from dfmon.model.units import YEAR
from dfmon.store.boards.cells import F64, I64, BadCell
from dfmon.store.boards.decode import Decoded

_NORMAL: Final = NormalDist()
_PAIRS: Final = 5  # the pairs nearest to the money give the forward of an expiry
_DELTAS: Final = (0.05, 0.95)
_DAY_YEARS: Final = 1.0 / 365.0
_STRIKE_SPAN: Final = 2.0  # a forward is between half the lowest strike of its expiry and twice the highest


@dataclass(slots=True)
class Derived:
    """Counts of rows with the forward of their expiry, and of boards by the origin of their forwards and spot."""

    from_expiry: int = 0
    by_parity: int = 0
    by_delta: int = 0
    spot_column: int = 0
    spot_from_forward: int = 0


def fill_forwards(
    rows: Decoded, at: NDArray[np.intp], run_ns: int, derived: Derived, *, has_spot: bool,
    in_dollars: bool = False,
) -> None:  # fmt: skip
    """Fills the missing forwards of one board, the rows `at`, whose marks are `in_dollars` or in the venue's unit.

    Without a spot of its own, one "forward" for every expiry is the spot, and the forwards are those of the marks.
    Raises BadCell for marks whose forwards are far from every strike.
    """
    forward = rows.numbers["forward"][at]
    known = forward[np.isfinite(forward)]
    expiries = rows.expiry_ns[at]
    is_spot = not has_spot and known.size > 1 and np.unique(known).size == 1 and _spread(expiries) > _DAY_YEARS
    if known.size and not is_spot:
        derived.from_expiry += _fill_from_expiry(rows, at)
        return
    by_parity = {int(e): parity_forward(rows, at[expiries == e], in_dollars) for e in np.unique(expiries)}
    _check_parity(rows, at, by_parity)
    if any(np.isfinite(value) for value in by_parity.values()):
        derived.by_parity += 1
        if is_spot:
            derived.spot_column += 1
            rows.numbers["spot"][at] = known[0]
        fallback = known[0] if is_spot else np.nan
        rows.numbers["forward"][at] = [
            by_parity[int(e)] if np.isfinite(by_parity[int(e)]) else fallback for e in expiries
        ]
    elif not known.size and np.isfinite(rows.delta[at]).any():
        derived.by_delta += 1
        by_delta = {int(e): delta_forward(rows, at[expiries == e], run_ns) for e in np.unique(expiries)}
        rows.numbers["forward"][at] = [by_delta[int(e)] for e in expiries]


def _fill_from_expiry(rows: Decoded, at: NDArray[np.intp]) -> int:
    """Gives rows without a forward that of the others of their expiry. Returns their number."""
    forward = rows.numbers["forward"][at]
    is_missing, count = ~np.isfinite(forward), 0
    for expiry in np.unique(rows.expiry_ns[at][is_missing]):
        of_expiry = rows.expiry_ns[at] == expiry
        if not is_missing[of_expiry].all():
            rows.numbers["forward"][at[of_expiry & is_missing]] = np.median(forward[of_expiry & ~is_missing])
            count += int(np.count_nonzero(of_expiry & is_missing))
    return count


def _spread(expiries: I64) -> float:
    return float(expiries.max() - expiries.min()) / YEAR if expiries.size else 0.0


def _check_parity(rows: Decoded, at: NDArray[np.intp], by_parity: dict[int, float]) -> None:
    """Raises BadCell where most of the forwards are outside the strikes of their expiries, many times over."""
    found = {expiry: forward for expiry, forward in by_parity.items() if np.isfinite(forward)}
    far = [(f, k) for e, f in found.items() if _is_far(f, k := rows.strike[at][rows.expiry_ns[at] == e])]
    if 2 * len(far) > len(found):
        forward, strikes = far[0]
        raise BadCell(
            f"has marks whose put-call parity gives a forward of {forward:,.6g} for strikes from {strikes.min():,g} to "
            f"{strikes.max():,g}: a column of forwards, or marks in coins or dollars, are expected"
        )


def _is_far(forward: float, strikes: F64) -> bool:
    return bool(forward * _STRIKE_SPAN < strikes.min() or forward > strikes.max() * _STRIKE_SPAN)


def parity_forward(rows: Decoded, at: NDArray[np.intp], in_dollars: bool = False) -> float:
    """The forward of one expiry by put-call parity of its marks, NaN without a pair.

    Coin-settled: C - P = 1 - K / F; linear, or quoted in dollars, C - P = F - K.
    """
    calls = {float(rows.strike[i]): i for i in at.tolist() if rows.types[i] > 0}
    pairs = [(calls[k], i) for i in at.tolist() if rows.types[i] < 0 and (k := float(rows.strike[i])) in calls]
    if not pairs:
        return float("nan")
    call, put = np.array(pairs).T
    mark = rows.numbers["mark"]
    difference, strike = mark[call] - mark[put], rows.strike[call]
    if in_dollars or rows.settlements[int(call[0])] is Settlement.LINEAR:
        forward, distance = strike + difference, np.abs(difference)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            forward, distance = np.where(difference < 0.9, strike / (1.0 - difference), np.nan), np.abs(difference)
    usable = np.isfinite(forward) & (forward > 0.0)
    return _nearest_median(forward[usable], distance[usable])


def delta_forward(rows: Decoded, at: NDArray[np.intp], run_ns: int) -> float:
    """The forward of one expiry from its published deltas, N(d1) and N(d1) - 1, NaN without a usable one."""
    sigma, strike = rows.numbers["iv"][at], rows.strike[at]
    cumulative = np.where(rows.sign[at] > 0, rows.delta[at], rows.delta[at] + 1.0)
    tau = (rows.expiry_ns[at] - run_ns) / YEAR
    low, high = _DELTAS
    with np.errstate(invalid="ignore"):
        usable = (cumulative > low) & (cumulative < high) & (sigma > 0.0) & (tau > 0.0)
    if not usable.any():
        return float("nan")
    d1 = np.array([_NORMAL.inv_cdf(p) for p in cumulative[usable].tolist()])
    total_sd = sigma[usable] * np.sqrt(tau[usable])
    return _nearest_median(strike[usable] * np.exp(d1 * total_sd - total_sd**2 / 2.0), np.abs(cumulative[usable] - 0.5))


def _nearest_median(values: F64, distance: F64) -> float:
    if not values.size:
        return float("nan")
    nearest = np.argsort(distance, kind="stable")[:_PAIRS]
    return float(np.median(values[nearest]))


def nearest_forward(rows: Decoded, at: NDArray[np.intp], run_ns: int) -> float:
    """The forward of the nearest expiry that is still open, NaN without one."""
    forward = rows.numbers["forward"][at]
    usable = np.isfinite(forward) & (rows.expiry_ns[at] > run_ns)
    if not usable.any():
        return float("nan")
    expiries = rows.expiry_ns[at][usable]
    return float(np.median(forward[usable][expiries == expiries.min()]))
