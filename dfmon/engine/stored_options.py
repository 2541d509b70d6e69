"""Quotes, marks and open interest of the options of one underlying, as a checkpoint has them.

With them a restarted session goes on from the board that it had, with the ages of its data, until new data come.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.engine.option_rows import OptionRows
from dfmon.model.frames import I64
from dfmon.model.state_codec import decode_array, encode_array
from dfmon.model.units import MINUTE

_LISTING_COLUMNS: Final = frozenset({"strike", "expiry_ns", "seen_ns", "listed_ns"})  # the venue lists options anew
_MAX_CLOCK_ERROR_NS: Final = MINUTE  # data of a later time are of another clock, and would shut out newer ones


class StoredOptions(msgspec.Struct, frozen=True):
    """The n options by name, and the columns that tickers and marks have written, (n,) each."""

    names: tuple[str, ...]
    columns: dict[str, NDArray[Any]]


def stored_options(rows: OptionRows, at: I64) -> StoredOptions:
    """A copy of the rows `at`."""
    columns = {name: column[at] for name, column in _written_columns(rows).items()}
    return StoredOptions(tuple(rows.names[row] for row in at.tolist()), columns)


def encode_options(stored: StoredOptions) -> bytes:
    """`stored` as MessagePack."""
    return msgspec.msgpack.encode(stored, enc_hook=encode_array)


def decode_options(data: bytes) -> StoredOptions:
    """The options encoded by `encode_options`. Raises ValueError with one sentence on other bytes."""
    try:
        stored = msgspec.msgpack.decode(data, type=StoredOptions, dec_hook=decode_array)
    except (msgspec.MsgspecError, ValueError, TypeError):
        raise ValueError("the stored quotes are damaged") from None
    if any(column.shape != (len(stored.names),) for column in stored.columns.values()):
        raise ValueError("the stored quotes are damaged")
    return stored


class RestoredOptions:
    """Options of a checkpoint whose listing has not come yet."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[StoredOptions, int]] = {}

    def add(self, stored: StoredOptions, now_ns: int) -> None:
        """Takes the options of one underlying; those with data of a later time than `now_ns` are left out."""
        times = [column for name, column in stored.columns.items() if name.endswith("_ns")]
        newest_ns = np.max(times, axis=0) if times else np.zeros(len(stored.names), np.int64)
        usable = np.flatnonzero(newest_ns <= now_ns + _MAX_CLOCK_ERROR_NS)
        self._found |= {stored.names[at]: (stored, at) for at in usable.tolist()}

    def write(self, rows: OptionRows, row: int) -> None:
        """Writes the data of a new row, once."""
        found = self._found.pop(rows.names[row], None)
        if found is None:
            return
        stored, at = found
        for name, column in _written_columns(rows).items():
            if name in stored.columns:
                column[row] = stored.columns[name][at]


def _written_columns(rows: OptionRows) -> dict[str, NDArray[Any]]:
    return {name: column for name, column in (*rows.float.items(), *rows.time.items()) if name not in _LISTING_COLUMNS}
