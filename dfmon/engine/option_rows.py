"""Every option ever listed as a row of columns, in the order of first appearance.

A row is never reused, so its number is a name for the option that `core` can keep across every roll; a year of Deribit
listings is some 60,000 rows, about 10 MB. `chain` adds rows and reads them, `tickers` writes what is said of them.
"""

from __future__ import annotations

import numpy as np

from dfmon.model.instrument import Instrument, Settlement
from dfmon.model.units import NAN

_FLOAT_COLUMNS = (
    "strike", "forward", "forward_index", "sigma", "bid_sigma", "ask_sigma",
    "mark", "bid", "ask", "open_interest", "volume",
)  # fmt: skip
_TIME_COLUMNS = ("expiry_ns", "ticker_ns", "mark_ns", "seen_ns", "listed_ns")


class OptionRows:
    """The columns, and where each option stands in them; those behind the last name are spare."""

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
        """A row for an option that has none yet, not listed so far."""
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

    def _grow(self) -> None:
        for columns in (self.float, self.time):
            for name, values in columns.items():
                columns[name] = np.concatenate([values, np.full_like(values, NAN if columns is self.float else 0)])
        for name in ("option_type", "inverse", "listed"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
