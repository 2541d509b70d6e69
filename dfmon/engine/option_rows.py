"""Columns of every option ever listed, one row each, in the order of first appearance.

A row is never reused, so its number identifies the option in `core` across every roll; a year of Deribit listings is
some 60,000 rows, about 10 MB. `chain` adds rows and reads them, `ticker_buffer` writes prices.
"""

from __future__ import annotations

import numpy as np

from dfmon.model.frames import F64, I64
from dfmon.model.instrument import Instrument, Settlement
from dfmon.model.units import NAN

_FLOAT_COLUMNS = (
    "strike", "forward", "forward_index", "sigma", "bid_sigma", "ask_sigma",
    "mark", "bid", "ask", "open_interest", "volume",
    "interest", "next_interest",  # observed open interest that prints are paired with, and the one that waits
)  # fmt: skip
_TIME_COLUMNS = (
    "expiry_ns", "ticker_ns", "mark_ns", "seen_ns", "listed_ns",
    "ticker_recv_ns", "mark_recv_ns",  # our time of receipt of the newest data
    "interest_ns", "next_interest_ns",
)  # fmt: skip


class OptionRows:
    """The columns and the row of each option; rows beyond the last name are spare capacity."""

    def __init__(self, capacity: int) -> None:
        self.row_by_name: dict[str, int] = {}  # name -> row
        self.names: list[str] = []
        self.underlying_by_row: list[str] = []  # underlying
        self.float = {name: np.full(capacity, NAN) for name in _FLOAT_COLUMNS}
        self.time = {name: np.zeros(capacity, np.int64) for name in _TIME_COLUMNS}
        self.option_type = np.zeros(capacity, np.int8)
        self.inverse = np.zeros(capacity, np.bool_)
        self.listed = np.zeros(capacity, np.bool_)

    def append(self, instrument: Instrument, recv_ns: int) -> int:
        """Adds a row for a new option, not yet listed, and returns it."""
        row = len(self.names)
        if row == self.option_type.size:
            self._grow()
        self.row_by_name[instrument.name] = row
        self.names.append(instrument.name)
        self.underlying_by_row.append(instrument.underlying)
        self.float["strike"][row] = instrument.strike
        self.time["expiry_ns"][row] = instrument.expiry_ns
        self.time["listed_ns"][row] = instrument.listed_ns
        self.time["seen_ns"][row] = recv_ns
        self.option_type[row] = instrument.option_type or 0
        self.inverse[row] = instrument.settlement is Settlement.INVERSE
        return row

    def columns_of(self, rows: I64) -> tuple[dict[str, F64], dict[str, I64]]:
        """Copies of the columns of numbers and of times at these rows."""
        value = {name: column[rows] for name, column in self.float.items()}
        return value, {name: column[rows] for name, column in self.time.items()}

    def _grow(self) -> None:
        for columns in (self.float, self.time):
            for name, values in columns.items():
                columns[name] = np.concatenate([values, np.full_like(values, NAN if columns is self.float else 0)])
        for name in ("option_type", "inverse", "listed"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
