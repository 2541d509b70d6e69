"""Arguments of the Python API made into columns; what does not fit raises a ValueError that names the argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from dfmon.core.pricing.black import F64

Positions: TypeAlias = str | Mapping[str, float] | ArrayLike

_FLOAT64: Final = np.dtype(np.float64)
TYPES: Final = {"call": 1.0, "c": 1.0, "put": -1.0, "p": -1.0}


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """The value, if it is one of those allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: {value!r} is not known; one of {', '.join(allowed)} is expected")
    return value


def float_array(name: str, value: ArrayLike) -> F64:
    """Any array-like of real numbers as float64."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: rows of unequal length, one rectangular array is expected") from None
    if array.dtype.kind not in "fiubO":
        kind = "text" if array.dtype.kind in "US" else array.dtype.name
        raise ValueError(f"{name}: numbers are expected, not {kind} such as {_first_odd_item(array)}")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: numbers are expected, not {_first_odd_item(array)}") from None


def option_types(name: str, value: ArrayLike) -> F64:
    """+1 for calls, -1 for puts, from signs or from "call", "put", "C", "P"."""
    array = np.asarray(value)
    if array.dtype.kind not in "UO":
        return float_array(name, value)
    if array.dtype.kind == "U":  # the usual words, compared as columns
        is_call = (array == "call") | (array == "C")
        if (is_call | (array == "put") | (array == "P")).all():
            return np.where(is_call, 1.0, -1.0)
    signs = np.empty(array.shape)
    for index, item in np.ndenumerate(array):
        sign = TYPES.get(item.strip().lower()) if isinstance(item, str) else item
        if not isinstance(sign, int | float):
            raise ValueError(f"{name}: {_short_repr(item)} is no option type; 'call', 'put', +1 or -1 is expected")
        signs[index] = sign
    return signs


def broadcast_columns(columns: Mapping[str, F64]) -> tuple[tuple[F64, ...], tuple[int, ...]]:
    """Flat columns of one length and their common shape."""
    shape: tuple[int, ...] = ()
    broadcast_names: list[str] = []
    for name, column in columns.items():
        try:
            shape = np.broadcast_shapes(shape, column.shape)
        except ValueError:
            raise ValueError(
                f"{name}: shape {column.shape} does not broadcast with shape {shape} of {', '.join(broadcast_names)}"
            ) from None
        broadcast_names.append(name)
    flat = (np.ascontiguousarray(np.broadcast_to(column, shape)).reshape(-1) for column in columns.values())
    return tuple(flat), shape


def equal_columns(*values: ArrayLike) -> tuple[F64, ...] | None:
    """The values as they are, where all are float64 columns of one length; else None."""
    columns: list[F64] = []
    for value in values:
        if type(value) is not np.ndarray or value.dtype is not _FLOAT64 or value.ndim != 1:
            return None
        columns.append(value)
        if len(value) != len(columns[0]):
            return None
    return tuple(columns)


def _first_odd_item(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    """The first item that is no number; of those that all could be read as numbers, the first."""
    items = array.reshape(-1).tolist()
    return _short_repr(next((item for item in items if not _is_number(item)), items[0] if items else None))


def _is_number(item: object) -> bool:
    try:
        np.float64(item)  # type: ignore[arg-type]  # to be found out
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _short_repr(item: object) -> str:
    text = repr(str(item) if isinstance(item, str) else item)
    return text if len(text) <= 40 else f"{text[:39]}…"
