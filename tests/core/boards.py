"""Recorded boards as columns, read from ../shared (or $DFMON_REAL_DATA) and never copied into the project."""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[3] / "shared"
DATA = Path(os.environ.get("DFMON_REAL_DATA", SHARED / "data"))
ORACLES = SHARED / "oracles"
YEAR_MS = 365 * 86_400_000.0

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Board:
    spot: float
    forward: F64
    strike: F64
    sigma: F64
    tau: F64
    option_type: F64
    open_interest: F64
    expiry_ms: F64
    rows: list[dict[str, str]]

    @property
    def columns(self) -> tuple[F64, F64, F64, F64, F64]:
        return self.forward, self.strike, self.sigma, self.tau, self.option_type

    @property
    def naive(self) -> F64:
        """Dealers long the calls' open interest and short the puts'."""
        return self.option_type * self.open_interest


def oracle_rows(name: str) -> list[dict[str, str]]:
    path = ORACLES / name
    if not path.exists():
        pytest.skip(f"oracle file {name} not found at ../shared/oracles")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ticker_board(day: str) -> Board:
    """A board of ticker messages, each row with its own time; valued at the newest one."""
    rows = _rows(f"deribit_BTC_{day}_options_raw.csv.gz")
    stamps = _column(rows, "timestamp")
    newest = int(np.argmax(stamps))
    return _board(
        rows,
        spot=float(rows[newest]["index_price"]),
        now_ms=float(stamps[newest]),
        forward="underlying_price",
        sigma=_column(rows, "mark_iv") / 100.0,
        expiry_ms=_column(rows, "expiration_timestamp"),
    )


def snapshot_board(stamp: str, currency: str) -> Board:
    """A board of one book summary, valued at the time of the run."""
    rows = [row for row in _rows(f"deribit_options_snapshot_{stamp}.csv.gz") if row["currency"] == currency]
    return _board(
        rows,
        spot=float(np.median(_column(rows, "index_price"))),
        now_ms=datetime.fromisoformat(rows[0]["timestamp"]).timestamp() * 1000.0,
        forward="underlying",
        sigma=_column(rows, "implied_volatility"),
        expiry_ms=np.array([datetime.fromisoformat(row["expiry_datetime"]).timestamp() * 1000.0 for row in rows]),
    )


def _rows(name: str) -> list[dict[str, str]]:
    path = DATA / "chains" / name
    if not path.exists():
        pytest.skip(f"recorded board {name} not found under ../shared/data or $DFMON_REAL_DATA")
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def _column(rows: list[dict[str, str]], name: str) -> F64:
    return np.array([float(row[name]) if row[name] else np.nan for row in rows])


def _board(
    rows: list[dict[str, str]], *, spot: float, now_ms: float, forward: str, sigma: F64, expiry_ms: F64
) -> Board:
    return Board(
        spot=spot,
        forward=_column(rows, forward),
        strike=_column(rows, "strike"),
        sigma=sigma,
        tau=(expiry_ms - now_ms) / YEAR_MS,
        option_type=np.array([1.0 if row["option_type"] == "call" else -1.0 for row in rows]),
        open_interest=_column(rows, "open_interest"),
        expiry_ms=expiry_ms,
        rows=rows,
    )
