"""Demand pressure on a signed tape: are options that customers bought dearer than a smooth smile?

Customers are taken to be the takers of prints (Garleanu, Pedersen and Poteshman, 2009, on positions that are known).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64
from dfmon.evidence.foreign_table import read_table
from dfmon.evidence.regression import I64, Estimate, block_sums, estimate
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, HOUR, MILLISECOND, MONTHS, YEAR, sanitize

_NAME: Final = re.compile(r"[A-Z]+-(\d{1,2})([A-Z]{3})(\d{2})-(\d+)-([CP])")
_COLUMNS: Final = ("amount", "direction", "indexPrice", "instrument", "iv", "timeStamp", "tradeSeq")
_KNOWN: Final = ("date_utc", "price", "quantity", "tickDirection", "tradeId")
_MIN_OPTIONS: Final = 6
_SMILE_DEGREE: Final = 2


class SignedTape(NamedTuple):
    """Prints in order of time. Times in ns, IVs in points (NaN where none), sizes in coins, sides of the taker."""

    ts_ns: I64
    option: I64
    side: F64
    amount: F64
    iv: F64
    spot: F64
    strike: F64
    option_type: F64
    expiry_ns: I64
    is_complete: NDArray[np.bool_]
    """By option, as the three before: its first print is on the tape."""


def read_signed_tape(path: Path) -> SignedTape:
    """The prints of a file. Raises UsageError for a name that is no option."""
    table = read_table(path, _COLUMNS, _KNOWN)
    names, option = np.unique(np.array(table.texts("instrument")), return_inverse=True)
    terms = np.array([_terms(name, table.path) for name in names.tolist()])
    ts_ns = (table.numbers("timeStamp") * MILLISECOND).astype(np.int64)
    order = np.argsort(ts_ns, kind="stable")
    side = np.where(np.array(table.texts("direction")) == "buy", 1.0, -1.0)
    first = np.full(names.size, np.inf)
    np.minimum.at(first, option, table.numbers("tradeSeq"))
    iv, amount, spot = (table.numbers(name)[order] for name in ("iv", "amount", "indexPrice"))
    return SignedTape(
        ts_ns[order], option[order], side[order], amount, np.where(iv > 0.0, iv, np.nan), spot,
        terms[:, 1], terms[:, 2], terms[:, 0].astype(np.int64), first == 1.0,
    )  # fmt: skip


def _terms(name: str, shown: str) -> tuple[float, float, float]:
    match = _NAME.fullmatch(name)
    if match is None or match[2] not in MONTHS:
        raise UsageError(f"{shown}: {sanitize(name, 30)!r} is no option such as BTC-28JUN19-10000-C")
    day = np.datetime64(f"20{match[3]}-{MONTHS.index(match[2]) + 1:02d}-{int(match[1]):02d}", "D").astype(np.int64)
    return float(int(day) * DAY + 8 * HOUR), float(match[4]), 1.0 if match[5] == "C" else -1.0


def net_by_type(tape: SignedTape) -> dict[str, float]:
    """Coins that customers bought, net, over whole lives: calls and puts."""
    complete = tape.is_complete[tape.option]
    signed = tape.side * tape.amount
    types = tape.option_type[tape.option]
    return {name: float(signed[complete & (types == sign)].sum()) for name, sign in (("calls", 1.0), ("puts", -1.0))}


class DemandPressure(NamedTuple):
    """Points of volatility over the smile, for a share of 1 of the expiry's net customer vega."""

    controlled: Estimate | None
    """By the positions of the day before, with the side of the option's last print held."""
    uncontrolled: Estimate | None
    shuffled: Estimate | None
    """A placebo: positions exchanged at random within each expiry and day."""


def demand_pressure(tape: SignedTape) -> DemandPressure:
    """Regression of the residual of a smooth smile on the share of customers' net vega; errors by day and week."""
    rows = list(_panel(tape))
    if not rows:
        raise UsageError("no day has an expiry with six options that traded")
    residual, share, shuffled, last_side, day = (np.concatenate(column) for column in zip(*rows))
    one = np.ones(residual.size)

    def fit(position: F64, *controls: F64) -> Estimate | None:
        columns = np.stack([one, position, *controls], axis=1)
        return estimate(block_sums(residual, columns, day.astype(np.int64)), 1)

    return DemandPressure(fit(share, last_side), fit(share), fit(shuffled, last_side))


def _panel(tape: SignedTape) -> Iterator[tuple[F64, F64, F64, F64, F64]]:
    """Residual, share of net vega, shuffled share, side of the last print, and day: a block an expiry and day."""
    rng = np.random.default_rng(1)
    position = np.zeros(tape.strike.size)
    day = tape.ts_ns // DAY
    bounds = [*np.flatnonzero(np.diff(day, prepend=day[0] - 1)).tolist(), day.size]
    for first, last in pairwise(bounds):
        prints = np.arange(first, last)[np.isfinite(tape.iv[first:last])]
        newest = dict(zip(tape.option[prints].tolist(), prints.tolist()))
        at = np.array(list(newest), np.int64)
        at = at[tape.is_complete[at]] if at.size else at
        for expiry_ns in np.unique(tape.expiry_ns[at]).tolist():
            options = at[tape.expiry_ns[at] == expiry_ns]
            rows = np.array([newest[n] for n in options.tolist()], np.int64)
            block = _block(tape, options, rows, position, rng)
            if block is not None:
                yield (*block, np.full(options.size, float(day[first])))
        np.add.at(position, tape.option[first:last], (tape.side * tape.amount)[first:last])


def _block(
    tape: SignedTape, options: I64, rows: I64, position: F64, rng: np.random.Generator
) -> tuple[F64, F64, F64, F64] | None:
    years = (tape.expiry_ns[options] - tape.ts_ns[rows]) / YEAR
    if options.size < _MIN_OPTIONS or years.min() <= 1.0 / 365.0:
        return None
    total_sd = tape.iv[rows] / 100.0 * np.sqrt(years)
    distance = np.log(tape.strike[options] / tape.spot[rows]) / np.median(total_sd)
    if np.unique(distance).size <= _SMILE_DEGREE + 1 or np.abs(distance).max() > 6.0:
        return None
    smile = np.polynomial.polynomial.polyfit(distance, tape.iv[rows], _SMILE_DEGREE)
    residual = tape.iv[rows] - np.polynomial.polynomial.polyval(distance, smile)
    d1 = -distance + 0.5 * total_sd
    vega = np.exp(-0.5 * d1 * d1) * np.sqrt(years) / math.sqrt(2.0 * math.pi)
    net = position[options] * vega
    scale = np.abs(net).sum()
    if scale == 0.0:
        return None
    share = net / scale
    return residual, share, rng.permutation(share), tape.side[rows]
