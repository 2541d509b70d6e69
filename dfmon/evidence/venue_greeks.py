"""Venues' own greeks beside those of dfmon, on the same volatilities and forwards."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.greek_calc import greeks
from dfmon.evidence.foreign_table import ForeignTable, read_table
from dfmon.evidence.published import moment_ns
from dfmon.model.units import DAY, HOUR, MILLISECOND, YEAR

_COLUMNS: Final = ("snapshot_utc", "underlying", "instrument", "expiry", "strike", "type", "mark_price", "mark_iv")
_GREEKS: Final = ("delta", "gamma", "underlying_price")
_TICKER_COLUMNS: Final = (
    "option_type", "strike", "underlying_price", "mark_iv", "expiration_timestamp", "timestamp", "greeks_delta",
    "greeks_gamma",
)  # fmt: skip
_KNOWN: Final = ("exchange", "bid", "ask", "vega", "theta", "open_interest", "volume_24h")
_MIN_PRICE: Final = 1e-4
"""Coins. Below it a mark says too little of the forward."""


class GreekErrors(NamedTuple):
    """Differences of one venue's greeks from dfmon's. `gamma` is relative."""

    venue: str
    rows: int
    invalid: int
    left_out: int
    delta_median: float
    delta_p99: float
    gamma_median: float
    gamma_p99: float
    convention: str


def compare_okx(path: Path) -> GreekErrors:
    """OKX's premium-adjusted delta, and gamma = F Gamma - delta, with the forward of put-call parity of its marks."""
    table = read_table(path, (*_COLUMNS, *_GREEKS), _KNOWN)
    option_type = np.where(np.array(table.texts("type")) == "call", 1.0, -1.0)
    strike, mark = table.numbers("strike"), table.numbers("mark_price")
    sigma = table.numbers("mark_iv")
    forward = _parity_forwards(table, option_type, strike, mark)
    tau = years(table)
    delta, gamma = table.numbers("delta"), table.numbers("gamma")
    known = np.isfinite(forward) & np.isfinite(delta) & np.isfinite(gamma) & (tau > 0.0) & (sigma > 0.0)
    ours = greeks(forward[known], strike[known], sigma[known], tau[known], option_type[known], numeraire="coin")
    their_gamma = gamma[known]
    own_gamma = forward[known] * np.asarray(ours.gamma) - np.asarray(ours.delta)
    convention = "premium-adjusted delta; gamma = F x premium-adjusted gamma - delta; forward by put-call parity"
    return _errors("OKX", known, ours.invalid, delta[known] - ours.delta, their_gamma, own_gamma, convention)


def compare_deribit(path: Path) -> GreekErrors:
    """Deribit's delta on the forward and its gamma, which it prints with five decimals: a board of tickers."""
    table = read_table(path, _TICKER_COLUMNS)
    option_type = np.where(np.array(table.texts("option_type")) == "call", 1.0, -1.0)
    strike, forward, sigma = (table.numbers(name) for name in ("strike", "underlying_price", "mark_iv"))
    tau = (table.numbers("expiration_timestamp") - table.numbers("timestamp")) / (YEAR / MILLISECOND)
    delta, gamma = table.numbers("greeks_delta"), table.numbers("greeks_gamma")
    known = np.isfinite(forward) & np.isfinite(delta) & (gamma > 0.0) & (tau > 0.0) & (sigma > 0.0)
    ours = greeks(forward[known], strike[known], 0.01 * sigma[known], tau[known], option_type[known])
    convention = "delta on the forward; gamma per USD with five decimals, so rows that print 0 are left out"
    errors = delta[known] - ours.delta
    return _errors("Deribit", known, ours.invalid, errors, gamma[known], np.asarray(ours.gamma), convention)


def _errors(
    venue: str, known: Mask, invalid: int, delta: F64, their_gamma: F64, own_gamma: F64, convention: str
) -> GreekErrors:
    relative = np.abs(their_gamma - own_gamma) / np.maximum(np.abs(own_gamma), 1e-12)
    size = np.abs(delta)
    quantiles = [float(np.nanquantile(x, q)) for x in (size, relative) for q in (0.5, 0.99)]
    return GreekErrors(
        venue, int(known.sum()), invalid, int(known.size - known.sum()), quantiles[0], quantiles[1], quantiles[2],
        quantiles[3], convention,
    )  # fmt: skip


def years(table: ForeignTable) -> F64:
    """Years to 08:00 UTC of the expiry date."""
    now = {text: moment_ns(text, table.path) for text in set(table.texts("snapshot_utc"))}
    end = {text: moment_ns(text[:10], table.path) // DAY * DAY + 8 * HOUR for text in set(table.texts("expiry"))}
    pairs = zip(table.texts("snapshot_utc"), table.texts("expiry"))
    return np.array([(end[expiry] - now[at]) / YEAR for at, expiry in pairs])


def _parity_forwards(table: ForeignTable, option_type: F64, strike: F64, mark: F64) -> F64:
    """C - P = 1 - K/F in coins: the median over the strikes of each expiry, board and coin."""
    columns = ("snapshot_utc", "underlying", "expiry")
    keys = ["|".join(row) for row in zip(*(table.texts(name) for name in columns))]
    _, group = np.unique(np.array(keys), return_inverse=True)
    order = np.lexsort((-option_type, strike, group))
    first, second = order[:-1], order[1:]
    is_pair = (group[first] == group[second]) & (strike[first] == strike[second])
    is_pair &= (option_type[first] > 0.0) & (option_type[second] < 0.0)
    calls, puts = first[is_pair], second[is_pair]
    level = strike[calls] / (1.0 - (mark[calls] - mark[puts]))
    usable = (mark[calls] > _MIN_PRICE) & (mark[puts] > _MIN_PRICE) & np.isfinite(level)
    forwards = np.full(int(group.max()) + 1, np.nan)
    for number in np.unique(group[calls[usable]]):
        forwards[number] = np.median(level[usable & (group[calls] == number)])
    return forwards[group]
