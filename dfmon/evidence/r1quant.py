"""Figures of r1quant: gamma by expiry in millions, flips and walls, with the chain in a file of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np

from dfmon.evidence.conventions import Column, VendorChain
from dfmon.evidence.foreign_table import ForeignTable, read_table
from dfmon.evidence.published import (
    Published,
    expired_conflict,
    expiry_ns,
    moment_ns,
    name_conflicts,
    option_types,
    time_conflict,
)
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, YEAR, expiry_label

_SUMS: Final = {
    "total_resistance_musd": "positive",
    "total_support_musd": "negative",
    "net_balance_musd": "net",
}
_LEVELS: Final = {"gamma_flip": "flip", "call_wall": "call wall", "put_wall": "put wall"}
_CHAIN: Final = ("date", "expiry_name", "expiry_date", "strike", "type", "open_interest", "gamma", "mark_iv")
_MIN_VEGA: Final = 5.0  # USD a point; below it five decimals say too little of the time
_MIN_OPTIONS: Final = 4


def read_r1quant(path: Path, chain_path: Path | None) -> Published:
    """The figures and their chain. Raises UsageError for another file, and for a time or a number that is none."""
    if chain_path is None:
        raise UsageError("r1quant publishes its chain in a file of its own: --chain FILE is needed")
    table = read_table(path, ("ts_utc", "spot", "expiry", *_SUMS), tuple(_LEVELS))
    groups, spots = table.texts("expiry"), np.unique(table.numbers("spot"))
    times = sorted({moment_ns(text, table.path) for text in table.texts("ts_utc")})
    if spots.size != 1 or len(times) != 1:
        raise UsageError(
            f"{table.path}: {spots.size} spots and {len(times)} times, the figures of one moment are expected"
        )
    if repeated := sorted(name for name, count in Counter(groups).items() if count > 1):
        raise UsageError(f"{table.path}: expiry {repeated[0]} has more than one row")
    chain_table = read_table(
        chain_path, _CHAIN, ("instrument_name", "volume", "rho", "theta", "vega", "delta", "bid_iv", "ask_iv")
    )
    options, expiries, conflicts = _chain(chain_table, float(spots[0]), times[0])
    published = np.isin(options.group, groups)
    absent = sorted(set(groups) - set(options.group.tolist()))
    conflicts += [f"{chain_table.path} has no option of the expiry {name}" for name in absent]

    empty: list[str] = []

    def values(column: str) -> dict[str, float]:
        cells = dict(zip(groups, table.numbers(column).tolist(), strict=True))
        empty.extend(f"{column} of {name}, which is empty" for name, value in cells.items() if np.isnan(value))
        return {name: value for name, value in cells.items() if not np.isnan(value)}

    sums = {name: Column.of(kind, values(name)) for name, kind in _SUMS.items()}
    levels = {name: (kind, values(name)) for name, kind in _LEVELS.items() if name in table.columns}
    conflicts += expired_conflict("ts_utc", times[0], (ns for ns, used in zip(expiries, published) if used))
    notes = [*_not_published(options, published), *empty, *table.notes(), *chain_table.notes()]
    return Published("r1quant", times[0], options.where(published), [], sums, levels, {}, [], conflicts, notes)


def _chain(table: ForeignTable, spot: float, ts_ns: int) -> tuple[VendorChain, list[int], list[str]]:
    """The options, their expiries, and what contradicts the time of the figures."""
    dates = sorted({moment_ns(text, table.path) for text in table.texts("date")})
    if len(dates) != 1:
        raise UsageError(f"{table.path}: {len(dates)} dates, the chain of one moment is expected")
    groups, strike = table.texts("expiry_name"), table.numbers("strike")
    expiries = [expiry_ns(text, table.path) for text in table.texts("expiry_date")]
    sign = option_types(table.texts("type"), table.path)
    conflicts = time_conflict("ts_utc", ts_ns, f"the date of {table.path}", dates[0])
    if renamed := sorted({f"{g} is {expiry_label(ns)}" for g, ns in zip(groups, expiries) if g != expiry_label(ns)}):
        conflicts.append(f"{table.path}: expiry_name and expiry_date differ: {renamed[0]}")
    if "instrument_name" in table.columns:
        conflicts += name_conflicts(table.texts("instrument_name"), strike, sign, expiries, table.path)
    conflicts += _greeks_of_another_time(table, expiries, dates[0])
    options = VendorChain(
        np.array(groups), strike, sign, table.numbers("gamma"), table.numbers("open_interest"),
        table.numbers("mark_iv") / 100.0, (np.array(expiries) - dates[0]) / YEAR, np.full(strike.size, np.nan), spot,
    )  # fmt: skip
    return options, expiries, conflicts


def _greeks_of_another_time(table: ForeignTable, expiries: list[int], ts_ns: int) -> list[str]:
    """Theta over vega of an option is -sigma / 2T: it says at what time the greeks were made."""
    if not {"theta", "vega"} <= table.columns.keys():
        return []
    theta, vega, sigma = table.numbers("theta"), table.numbers("vega"), table.numbers("mark_iv")
    end = np.array(expiries)
    usable = (vega >= _MIN_VEGA) & (theta < 0.0) & (sigma > 0.0)
    years = sigma[usable] * vega[usable] / (730.0 * -theta[usable])
    made, end = end[usable] - years * YEAR, end[usable]
    later = years * YEAR > 3 * DAY  # theta is capped near the expiry
    for nearest in np.unique(end[later]):
        of_expiry = made[later & (end == nearest)]
        if of_expiry.size >= _MIN_OPTIONS:
            return time_conflict(f"the date of {table.path}", ts_ns, "its greeks are of", int(np.median(of_expiry)))
    return []


def _not_published(options: VendorChain, published: np.typing.NDArray[np.bool_]) -> list[str]:
    counts = Counter(options.group[~published].tolist())
    if not counts:
        return []
    listed = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
    missing = f"{counts.total()} of the chain's {published.size} options, of {len(counts)} expiries"
    return [f"{missing} without a published figure: {listed}"]
