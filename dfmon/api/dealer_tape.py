"""Dealer positions from anybody's tape of prints and open interest, by the code of a live tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, Final, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfmon.api.tape_columns import MAX_MS, TapeColumns, read_tape
from dfmon.api.validation import float_array
from dfmon.core.positions import position_state as columns
from dfmon.core.positions.advance import advance
from dfmon.core.positions.estimate import SOURCES, PositionEstimate, estimate, observed_share, unobserved
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.position_state import FAULTS, PositionState, with_options
from dfmon.core.positions.print_kinds import ClassShares, PositionPriors
from dfmon.core.pricing.black import F64
from dfmon.model.units import MILLISECOND

MAX_MEMBERS: Final = 4096


@dataclass(frozen=True, slots=True, eq=False)
class TapePositions:
    """Dealer positions at one time, of the instruments that have not expired, in their order. Coins, + dealers long.

    `net` is the mean, `lo` and `hi` the 5 and 95 % quantiles, `p_long` the chance of being long, `members` (n, m)
    possible books whose errors are correlated as those of markets. `coverage` is the share of open interest whose
    history is on the tape, None where no open interest was seen. An option of which neither the listing nor open
    interest was seen has no bound: `lo` and `hi` are -inf and inf, `p_long` is 0.5, `members` differ by the coins that
    were printed. `provenance` has the parts that add up to `net`
    ("screen", "block", "rfq", "combo", "liquidation": by kind of print; "openings": by what open interest tells;
    "transfers"; "start"; "read_out"), the coins of open interest that changed ("change") and of that without a print
    ("unexplained"). `faults` counts input that contradicts itself or the estimate, `rates` is what the board
    has taught.
    """

    at_ms: int
    names: tuple[str, ...]
    net: F64
    lo: F64
    hi: F64
    p_long: F64
    members: F64
    coverage: float | None
    provenance: Mapping[str, F64]
    faults: Mapping[str, int]
    rates: OpeningRates

    def __repr__(self) -> str:
        seen = "no open interest" if self.coverage is None else f"{self.coverage:.0%} of open interest seen"
        return f"TapePositions({len(self.names)} options, net {self.net.sum():+,.1f} coins, {seen})"


@overload
def dealer_positions(
    trades: Mapping[str, Any], open_interest: Mapping[str, Any], instruments: Mapping[str, Any], at: float,
    *, members: int = ..., seed: int = ..., shares: Mapping[str, ClassShares] | None = ...,
) -> TapePositions: ...  # fmt: skip
@overload
def dealer_positions(
    trades: Mapping[str, Any], open_interest: Mapping[str, Any], instruments: Mapping[str, Any],
    at: Sequence[float] | NDArray[Any],
    *, members: int = ..., seed: int = ..., shares: Mapping[str, ClassShares] | None = ...,
) -> list[TapePositions]: ...  # fmt: skip


def dealer_positions(
    trades: Mapping[str, Any],
    open_interest: Mapping[str, Any],
    instruments: Mapping[str, Any],
    at: ArrayLike,
    *,
    members: int = 128,
    seed: int = 0,
    shares: Mapping[str, ClassShares] | None = None,
) -> TapePositions | list[TapePositions]:
    """Probable dealer positions from a tape of prints and open interest, by the estimator of the monitor.

    `trades`: columns "ts_ms", "instrument", "side" (+1 the taker bought, -1 sold), "amount" (coins), "kind" ("screen",
    "block", "rfq", "combo", "liquidation_taker", "liquidation_maker", "liquidation_both"), "event" (shared by the legs
    of one event) and optionally "seq" (the venue's count, which orders prints of one time), in any order.
    `open_interest`: "ts_ms", "instrument", "value" (coins; a value includes the prints at its time). `instruments`:
    "name", "strike", "expiry_ms", "type" (call or put), "listed_ms" (NaN where the listing was not seen). `at`: a time
    (ms), or several in ascending order, which give a list. `shares`: class shares of some kinds, instead of the
    assumed ones: a customer takes, a dealer takes, both are customers, both are dealers.

    Units: coins, ms. Shapes: columns of one length; as `TapePositions`.
    Errors: ValueError that names the argument; input that contradicts itself is counted instead.
    Source: docs/positions.md.

    >>> hour = 3_600_000
    >>> result = dealer_positions(
    ...     {"ts_ms": [hour], "instrument": ["A"], "side": [1], "amount": [5.0], "kind": ["screen"], "event": [1]},
    ...     {"ts_ms": [hour], "instrument": ["A"], "value": [5.0]},
    ...     {"name": ["A"], "strike": [100.0], "expiry_ms": [99 * hour], "type": ["call"], "listed_ms": [0.5 * hour]},
    ...     at=2 * hour, shares={"screen": (1.0, 0.0, 0.0, 0.0)},
    ... )
    >>> result.names, result.net.tolist()
    (('A',), [-5.0])
    """
    times, single = _times(at)
    if isinstance(members, bool) or not isinstance(members, int) or not 2 <= members <= MAX_MEMBERS or members % 2:
        raise ValueError(f"members: {members!r} is no even number from 2 to {MAX_MEMBERS}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed: {seed!r} is no whole number")
    priors = _priors(shares)
    tape = read_tape(trades, open_interest, instruments)
    results = _run(tape, times, PositionEstimate.initial(tape.underlying, members, seed), priors, seed)
    return results[0] if single else results


def _times(at: ArrayLike) -> tuple[list[int], bool]:
    values = float_array("at", at)
    times = np.atleast_1d(values)
    if times.ndim > 1 or not times.size or not (np.abs(times) < MAX_MS).all() or (np.diff(times) < 0.0).any():
        raise ValueError("at: a time in ms since 1970, or several in ascending order, is expected")
    return [int(time) for time in times.tolist()], values.ndim == 0


def _priors(shares: Mapping[str, ClassShares] | None) -> PositionPriors:
    if shares is None:
        return PositionPriors()
    if not isinstance(shares, Mapping):
        raise ValueError("shares: a mapping of kinds to four class shares is expected")
    try:
        return PositionPriors().with_shares(shares)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"shares: {exc}") from None


def _run(
    tape: TapeColumns, times: list[int], current: PositionEstimate, priors: PositionPriors, seed: int
) -> list[TapePositions]:
    state = with_options(PositionState.empty(), tape.listing)
    results = []
    for time_ms in times:
        now_ns = time_ms * MILLISECOND
        prints, observed = tape.until(state, now_ns)
        state = advance(state, prints, observed, now_ns, priors)
        current = estimate(state, current, seed)
        results.append(_result(state, current, time_ms, tape.faults_until(now_ns)))
    return results


def _result(
    state: PositionState, found: PositionEstimate, time_ms: int, tape_faults: Mapping[str, int]
) -> TapePositions:
    low, high, p_long, members = found.low.copy(), found.high.copy(), found.p_long.copy(), found.members.copy()
    unknown = unobserved(state)
    low[unknown], high[unknown], p_long[unknown] = -np.inf, np.inf, 0.5
    own = state.sums[unknown, columns.VOLUME, None] * found.own[unknown]
    members[unknown] = found.net[unknown, None] + np.concatenate([own, 0.0 - own], axis=1)
    provenance = {name: found.sources[:, index].copy() for index, name in enumerate(SOURCES)}
    provenance |= {
        "change": state.sums[:, columns.CHANGE].copy(), "unexplained": state.sums[:, columns.UNEXPLAINED].copy()
    }  # fmt: skip
    faults = {name: int(count) for name, count in zip(FAULTS, state.faults.tolist())} | dict(tape_faults)
    return TapePositions(
        time_ms, state.listing.names, found.net.copy(), low, high, p_long, members, _coverage(state), provenance,
        faults, state.rates,
    )  # fmt: skip


def _coverage(state: PositionState) -> float | None:
    interest = state.interest
    total = fsum(interest.tolist())  # exact: instruments in another order change no bit
    if not (state.last.ts_ns > 0).any() or total <= 0.0:
        return None
    return fsum((observed_share(state) * interest).tolist()) / total
