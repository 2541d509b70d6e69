"""Positions stored by the estimator of version 1, as means and deviations with which the present one starts.

It kept what prints added to customers' positions under 7 directions of customers and 64 draws of the classes behind
them, and the counts that weigh the directions.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.observed_columns import InterestColumns
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.positions.position_state import Listing, PositionState, with_options
from dfmon.core.positions.replay import Replays, with_start
from dfmon.model.frames import F64
from dfmon.model.units import DAY

_DIRECTIONS: Final = (7, 64)
_CHECKSUM: Final = 16
_INTEGERS: Final = ("expiry_ns", "seq", "last_ns", "since_ns", "stirred_ns", "whole")
_FLOATS: Final = (
    "interest", "unseen", "volume", "squares", "missed", "opened", "watched", "balance", "unexplained", "variance",
)  # fmt: skip
_RECORD: Final = np.dtype(
    [(name, "<i8") for name in _INTEGERS] + [(name, "<f8") for name in _FLOATS] + [("tally", "<f8", (14,))]
)
_SHARES: Final = ((0.74, 0.12), (0.52, 0.30), (0.52, 0.30))  # of customers and dealers who took: screen, block, RFQ
_START_MEAN, _START_SD, _DRIFT = -0.10, 0.56, 0.015


class _StoredInventory(msgspec.Struct, frozen=True):
    version: int
    fields: list[str]
    shape: tuple[int, int]
    names: tuple[str, ...]
    book: bytes
    flows: bytes


def decode_earlier(data: bytes, underlying: str, saved_ns: int) -> PositionBook:
    """A book that starts at the stored positions, without any whole life. Raises ValueError with one sentence."""
    body = data[_CHECKSUM:]
    if blake2b(body, digest_size=_CHECKSUM).digest() != data[:_CHECKSUM]:
        raise ValueError(f"stored positions: the checksum of {len(data)} bytes is wrong, the state is damaged")
    try:
        stored = msgspec.msgpack.decode(body, type=_StoredInventory)
        records = np.frombuffer(stored.book, _RECORD)
        flows = np.frombuffer(stored.flows, np.float64).reshape(-1, *_DIRECTIONS)
    except (msgspec.MsgspecError, ValueError):
        raise ValueError("stored positions: no state of dfmon") from None
    if stored.version != 1 or not len(stored.names) == len(records) == len(flows):
        raise ValueError(f"stored positions: version {stored.version} is not read by this dfmon")
    mean, sd = _customers(records, flows, saved_ns)
    return _started(underlying, stored.names, records, mean, sd)


def _customers(records: NDArray[np.void], flows: F64, saved_ns: int) -> tuple[F64, F64]:
    """Mean and standard deviation of customers' positions, in coins; (n,) each.

    Directions are weighed by the likelihood of the sides of screen prints, blocks and RFQs under the central shares.
    """
    buys = (np.arange(_DIRECTIONS[0]) + 0.5) / _DIRECTIONS[0]
    weight = np.zeros((len(records), _DIRECTIONS[0]))
    for kind, (taken, made) in enumerate(_SHARES):
        other = 0.5 * (1.0 - taken - made)
        for column, chance in ((2 * kind, 1.0 - buys), (2 * kind + 1, buys)):
            likelihood = taken * chance + made * (1.0 - chance) + other
            weight += records["tally"][:, column, None] * np.log(likelihood)
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    interest = np.nan_to_num(records["interest"])
    unseen = records["unseen"][:, None]
    start = unseen * np.clip(_START_MEAN + (2.0 * buys - 1.0), -1.0, 1.0)
    by_direction = np.clip(flows.mean(axis=2) + start, -interest[:, None], interest[:, None])
    mean = (weight * by_direction).sum(axis=1)
    spread = flows.var(axis=2) + (_START_SD * unseen) ** 2 + (by_direction - mean[:, None]) ** 2
    days = np.where(records["since_ns"] > 0, np.maximum(saved_ns - records["since_ns"], 0) / DAY, 0.0)
    other_variance = records["variance"] + (_DRIFT * interest) ** 2 * days
    return mean, np.sqrt((weight * spread).sum(axis=1) + other_variance)


def _started(underlying: str, names: tuple[str, ...], records: NDArray[np.void], mean: F64, sd: F64) -> PositionBook:
    """The book with these starts; an option that never showed open interest waits for its first one."""
    rows = np.flatnonzero(records["interest"] >= 0.0)
    terms = [_terms(name) for name in names]
    listing = Listing(
        names,
        np.array([strike for strike, _ in terms]),
        records["expiry_ns"].astype(np.int64),
        np.array([side for _, side in terms]),
        np.zeros(len(names), np.int64),
    )
    seen_ns = np.maximum(records["stirred_ns"], 1).astype(np.int64)[rows]
    observed = InterestColumns(rows, seen_ns, records["interest"][rows].astype(np.float64))
    state = with_start(with_options(PositionState.empty(), listing), observed, mean[rows], sd[rows])
    seq = records["seq"].astype(np.int64)
    lost, nothing = np.zeros(len(names)), Replays.empty()
    return PositionBook.restored(underlying, state, seq, lost, nothing, (), np.zeros(0, np.int64))


def _terms(name: str) -> tuple[float, float]:
    """Strike and type (+1 call, -1 put) in the name of an option."""
    *_, strike, kind = name.split("-")
    try:
        return float(strike.replace("d", ".")), -1.0 if kind == "P" else 1.0
    except ValueError:
        return 1.0, 1.0
