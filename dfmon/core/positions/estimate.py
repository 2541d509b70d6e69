"""Dealer positions as the filter sees them now: mean, band, chance of being long, members, and where they come from.

Only rows that changed are computed again. Coins, + dealers long: minus the customers' position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.bands import (
    band_edges,
    band_table,
    correlated_draws,
    days_to_expiry,
    factor_draws,
    factor_loadings,
    long_probability,
    marginals,
    member_shares,
    own_draws,
)
from dfmon.core.positions.position_state import PositionState
from dfmon.core.positions.readout import EXACT_SD, ReadOut, read_out
from dfmon.model.frames import F64, I64
from dfmon.model.units import HOUR

SOURCES: Final = ("screen", "block", "rfq", "combo", "liquidation", "openings", "transfers", "start", "read_out")
"""Parts of the mean position, which add up to it."""


@dataclass(frozen=True, slots=True)
class PositionEstimate:
    """Dealer positions of the n options of a state, in its order. Coins, + long.

    `low` and `high` are the 5 and 95 % quantiles, `members` (n, m) has the correlated errors of the options, `sources`
    (n, SOURCES) the parts of `net`, `share` and `sd` (n,) the customers' position over open interest and its error.
    The rest serves the next estimate.
    """

    net: F64
    low: F64
    high: F64
    p_long: F64
    members: F64
    sources: F64
    share: F64
    sd: F64
    names: tuple[str, ...]
    revision: I64
    own: F64
    factors: F64

    @classmethod
    def initial(cls, underlying: str, members: int, seed: int = 0) -> PositionEstimate:
        """Nothing estimated yet, for an even number of members."""
        band_table()
        empty = np.zeros(0)
        factors = factor_draws(underlying, members, seed)
        return cls(
            empty, empty, empty, empty, np.zeros((0, members)), np.zeros((0, len(SOURCES))), empty, empty,
            (), np.zeros(0, np.int64), np.zeros((0, members // 2)), factors,
        )  # fmt: skip


def estimate(state: PositionState, previous: PositionEstimate, seed: int = 0) -> PositionEstimate:
    """Dealer positions under the state.

    Units: coins. Shapes: as `PositionEstimate`. Domain: |position| <= open interest.
    """
    current = previous if previous.names == state.listing.names else _aligned(state, previous, seed)
    rows = np.flatnonzero(state.revision != current.revision)
    if not rows.size:
        return current
    interest, listing, rates = state.interest[rows], state.listing, state.rates
    found = read_out(state, rows)
    net = 0.0 - interest * found.share  # 0, not -0
    marginal = marginals(found.share, found.sd)
    strike = listing.strike[rows]
    moneyness = np.zeros(rows.size) if rates.log_strike is None else np.log(strike) - rates.log_strike
    hour_ns = state.now_ns // HOUR * HOUR  # tenor is frozen with the rates
    days = days_to_expiry(listing.expiry_ns[rows], hour_ns)
    loadings = factor_loadings(found.share, listing.option_type[rows], moneyness, days)
    draws = correlated_draws(current.own[rows], current.factors, loadings)
    low, high = band_edges(found.share, found.sd, marginal)
    reach = _reach(state, rows, found)
    values = {
        "net": net,
        "low": 0.0 - np.where(high > 0.0, reach, interest) * high,
        "high": 0.0 - np.where(low < 0.0, reach, interest) * low,
        "p_long": 1.0 - long_probability(found.share, found.sd, marginal),
        "members": 0.0 - reach[:, None] * member_shares(found.share, found.sd, marginal, draws),
        "sources": _sources(state.sums[rows], net),
        "share": found.share,
        "sd": found.sd,
    }
    if rows.size < current.net.size:
        for name, part in values.items():
            column = getattr(current, name).copy()
            column[rows] = part
            values[name] = column
    return PositionEstimate(
        **values, names=current.names, revision=state.revision, own=current.own, factors=current.factors
    )


def _reach(state: PositionState, rows: I64, found: ReadOut) -> F64:
    """Coins that the band may reach: open interest, or all that was printed where none was ever shown.

    A position that is known exactly stays so. Shapes: (k,), k options -> (k,).
    """
    interest, printed = state.interest[rows], state.sums[rows, columns.VOLUME]
    unbounded = np.where(state.last.ts_ns[rows] > 0, 0.0, np.maximum(printed - interest, 0.0))
    return np.asarray(interest + unbounded * (1.0 - np.exp(-found.filter_sd / EXACT_SD)))


def _sources(sums: F64, net: F64) -> F64:
    """Parts of the dealers' position, (k, SOURCES); the last is what the read-out and the bounds made of the others."""
    parts = 0.0 - sums[:, columns.FROM_SCREEN : columns.FROM_START + 1]
    total = parts[:, 0]
    for index in range(1, parts.shape[1]):
        total = total + parts[:, index]
    return np.concatenate([parts, (net - total)[:, None]], axis=1)


def _aligned(state: PositionState, previous: PositionEstimate, seed: int) -> PositionEstimate:
    """The estimate with a row for every option of the state, new ones still to be computed."""
    names = state.listing.names
    row_by_name = {name: row for row, name in enumerate(previous.names)}
    found = [row_by_name.get(name, -1) for name in names]
    at = np.array(found, np.intp)
    known, rows = np.flatnonzero(at >= 0), at[at >= 0]
    new = np.flatnonzero(at < 0)
    count, members = len(names), previous.members.shape[1]

    def moved(column: F64) -> F64:
        out = np.zeros((count, *column.shape[1:]))
        out[known] = column[rows]
        return out

    own = moved(previous.own)
    if new.size:
        own[new] = own_draws(tuple(names[row] for row in new.tolist()), members, seed)
    revision = np.full(count, -1, np.int64)
    revision[known] = previous.revision[rows]
    return PositionEstimate(
        net=moved(previous.net), low=moved(previous.low), high=moved(previous.high), p_long=moved(previous.p_long),
        members=moved(previous.members), sources=moved(previous.sources), share=moved(previous.share),
        sd=moved(previous.sd), names=names, revision=revision, own=own, factors=previous.factors,
    )  # fmt: skip


def unobserved(state: PositionState) -> NDArray[np.bool_]:
    """Marks of options of which neither the listing nor any open interest was seen, (n,)."""
    return np.asarray((state.last.ts_ns == 0) & (state.listing.listed_ns == 0))


def observed_share(state: PositionState) -> F64:
    """Share of each open interest whose history was observed.

    What closed since the first open interest closed unseen positions as often as others, so that they fade with the
    volume that closed over open interest.

    Shapes: (n,). Domain: 1 where there is no open interest, or where the listing was seen; 0 where neither was shown.
    """
    interest, first = state.interest, state.first_interest
    largest = np.maximum(np.maximum(interest, first), 1e-300)
    closed = 0.5 * np.maximum(state.sums[:, columns.VOLUME] - (interest - first), 0.0)
    unseen = np.minimum(first * np.exp(-closed / largest), interest)
    share = np.where(interest > 0.0, 1.0 - unseen / np.maximum(interest, 1e-300), 1.0)
    share = np.where(state.last.ts_ns > 0, share, 0.0)
    return np.asarray(np.where(state.listing.listed_ns > 0, 1.0, share))
