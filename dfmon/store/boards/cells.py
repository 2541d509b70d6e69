"""Cells of a column as numbers, times and names; a cell that breaks a rule costs its row, with a reason.

Cells are text, numbers of any kind (numpy scalars, Decimal), dates, or None. `errors` arguments collect the first
reason of each row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.units import DAY, HOUR, MICROSECOND, MILLISECOND, NAN, SECOND, nanoseconds, sanitize

EARLIEST_NS: Final = 1_230_768_000 * SECOND  # 2009, before any of this was traded
LATEST_NS: Final = 4_102_444_800 * SECOND  # 2100

_MISSING: Final = frozenset(("", "nan", "null", "none", "na", "n/a", "nat", "<na>"))
_NUMBER: Final = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE
)
_SHORT_EXPONENT: Final = re.compile(r"\d[.,]?\d{0,6}[eE]\+?\d{1,2}", re.ASCII)  # an epoch as a spreadsheet shows it
_CALENDAR_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}|(?:19|20)\d{6}")
_NAMED_DAY: Final = re.compile(r"(\d{1,2})[- ]?([A-Z]{3})[- ]?(?:20)?(\d{2})", re.ASCII)
_SLASHES: Final = re.compile(r"(\d{4})/(\d{2})/(\d{2})")
_EPOCH_UNITS: Final = (("s", SECOND), ("ms", MILLISECOND), ("us", MICROSECOND), ("ns", 1))
_SHEET_EPOCH: Final = 25_569  # 1970 as a spreadsheet counts days
_SHEET_DAYS: Final = (39_814, 73_050)  # 2009 to 2099
_TIME_EXPECTED: Final = "a time such as 2026-01-30T08:00:00Z is expected"
_RANGE_EXPECTED: Final = "a time between 2009 and 2100 is expected"

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class BadCell(ValueError):  # noqa: N818  it never leaves the store: a row is lost, nothing failed
    """A cell that costs its row; the message has the column, the value, and what is expected."""


@dataclass(frozen=True, slots=True)
class NumberRule:
    """The largest plausible value of a number, in the unit of the file, and whether a zero means "none"."""

    max_value: float
    zero_is_missing: bool = False


def quoted(cell: object) -> str:
    """A foreign cell made safe for messages: text in quotes, numbers as they are."""
    if isinstance(cell, str):
        return f"'{sanitize(cell, 40)}'"
    return f"{cell:g}" if isinstance(cell, float | np.floating) else sanitize(str(cell), 40)


def is_missing(cell: object) -> bool:
    """True for None, NaN, and the ways to write them."""
    if isinstance(cell, str):
        return cell.strip().lower() in _MISSING
    return cell is None or cell != cell


# ---- numbers -----------------------------------------------------------------------------------------------------


def numbers(cells: Sequence[Any] | NDArray[Any], column: str, rule: NumberRule, errors: dict[int, str]) -> F64:
    """A column as float64, NaN where a cell is empty or breaks a rule."""
    values = _converted(cells, column, errors)
    bad = np.isinf(values) | (values < 0.0) | (values > rule.max_value)
    for at in np.flatnonzero(bad).tolist():
        errors.setdefault(at, f"{column} is {quoted(cells[at])}, {range_error(float(values[at]), rule.max_value)}")
    return np.where(bad | ((values == 0.0) if rule.zero_is_missing else False), NAN, values)


def range_error(value: float, max_value: float) -> str:
    """The expectation that a number breaks, "" if it breaks none."""
    if math.isinf(value):
        return "a finite number is expected"
    if value < 0.0:
        return "a number of at least 0 is expected"
    return f"a number up to {max_value:g} is expected" if value > max_value else ""


def signed_numbers(cells: Sequence[Any] | NDArray[Any]) -> F64:
    """A column as float64 of any sign, NaN where a cell is no finite number."""
    values = _converted(cells, "", {})
    return np.where(np.isfinite(values), values, NAN)


def _converted(cells: Sequence[Any] | NDArray[Any], column: str, errors: dict[int, str]) -> F64:
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiu":
        return cells.astype(np.float64)
    try:  # most columns are numbers with holes
        values = [NAN if cell is None or cell == "" else float(cell) for cell in cells]
    except (ValueError, TypeError, OverflowError):
        values = []
    if len(values) == len(cells) and _are_latin_digits(cells):
        return np.array(values, dtype=np.float64)
    return np.array([_number(cell, column, at, errors) for at, cell in enumerate(cells)], dtype=np.float64)


def _are_latin_digits(cells: Sequence[Any] | NDArray[Any]) -> bool:
    """False where a text is what `float` takes and a reader of numbers does not: 1_000, other scripts' digits."""
    if isinstance(cells, np.ndarray):
        return True
    joined = "".join([cell for cell in cells if isinstance(cell, str)])
    return joined.isascii() and "_" not in joined


def _number(cell: Any, column: str, at: int, errors: dict[int, str]) -> float:
    if is_missing(cell):
        return NAN
    if not isinstance(cell, str) or _NUMBER.fullmatch(cell.strip()):
        try:
            if not isinstance(cell, bool):
                return float(cell)
        except (ValueError, TypeError, OverflowError):
            pass
    errors.setdefault(at, f"{column} is {quoted(cell)}, a number is expected")
    return NAN


# ---- times -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class TimeNotes:
    """Ways in which the times of a column are written: epochs in which units, days alone, text without a zone."""

    epochs: set[str]
    days: int = 0
    without_zone: int = 0


def times(
    cells: Sequence[Any] | NDArray[Any], column: str, errors: dict[int, str], *, is_expiry: bool = False,
    is_required: bool = True,
) -> tuple[I64, TimeNotes]:  # fmt: skip
    """A column as nanoseconds, 0 where there is no time, and how it was written.

    Epochs are recognised by their size, text without a zone is UTC, and a day without a time of day is 08:00 UTC for
    an expiry.
    """
    notes = TimeNotes(set())
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return _of_datetimes(cells, column, errors, notes, is_expiry, is_required), notes
    known: dict[Any, int | str] = {}
    found = np.zeros(len(cells), dtype=np.int64)
    for at, cell in enumerate(cells.tolist() if isinstance(cells, np.ndarray) else cells):
        result = known.get(cell) if (hashable := isinstance(cell, str | int | float)) else None
        if result is None:
            result = _time(cell, column, notes, is_expiry)
            if hashable:
                known[cell] = result
        if isinstance(result, int):
            found[at] = result
        elif is_required or not is_missing(cell):
            errors.setdefault(at, result)
    return _at_delivery(found, notes) if is_expiry else found, notes


def _at_delivery(expiry_ns: I64, notes: TimeNotes) -> I64:
    """Expiries at 08:00 UTC where all are at midnight, which is a day without a time of day."""
    has_time = expiry_ns > 0
    if not has_time.any() or (expiry_ns[has_time] % DAY).any():
        return expiry_ns
    notes.days += int(has_time.sum())
    return np.where(has_time, expiry_ns + 8 * HOUR, 0)


def _of_datetimes(
    cells: NDArray[Any], column: str, errors: dict[int, str], notes: TimeNotes, is_expiry: bool, is_required: bool
) -> I64:
    seconds = cells.astype("datetime64[s]").astype(np.int64)  # NaT is the smallest integer
    in_range = (seconds >= EARLIEST_NS // SECOND) & (seconds <= LATEST_NS // SECOND)
    found = np.where(in_range, cells, np.datetime64(0, "s")).astype("datetime64[ns]").astype(np.int64)
    found = np.asarray(np.where(in_range, found, 0), dtype=np.int64)
    if is_expiry:
        found = _at_delivery(found, notes)
    for at in np.flatnonzero(~in_range).tolist():
        if is_required or not np.isnat(cells[at]):
            errors.setdefault(at, f"{column} is empty or out of range, {_RANGE_EXPECTED}")
    return np.asarray(found, dtype=np.int64)


def _time(cell: Any, column: str, notes: TimeNotes, is_expiry: bool) -> int | str:
    """A time in nanoseconds, or what is wrong with it."""
    delivery = 8 * HOUR if is_expiry else 0
    if isinstance(cell, np.datetime64):
        cell = cell.astype("datetime64[us]").item()
    if isinstance(cell, datetime):
        ts_ns = _of_datetime(cell, notes)
    elif isinstance(cell, date):
        notes.days += 1
        ts_ns = _of_datetime(datetime(cell.year, cell.month, cell.day, tzinfo=UTC), notes) + delivery
    elif (isinstance(cell, str) and not _NUMBER.fullmatch(cell.strip())) or _is_compact_day(cell):
        parsed = None if cell is None else _text_time(str(cell).strip(), notes, delivery)
        if parsed is None:
            return f"{column} is {quoted(cell)}, {_TIME_EXPECTED}"
        ts_ns = parsed
    else:
        if isinstance(cell, str) and _SHORT_EXPONENT.fullmatch(cell.strip()):
            return f"{column} is {quoted(cell)}, which lacks digits: a column of times as text is expected"
        epoch = _epoch(cell, notes, delivery)
        if epoch is None:
            return f"{column} is {quoted(cell)}, {_RANGE_EXPECTED}"
        ts_ns = epoch
    return ts_ns if EARLIEST_NS <= ts_ns <= LATEST_NS else f"{column} is {quoted(cell)}, {_RANGE_EXPECTED}"


def _is_compact_day(cell: Any) -> bool:
    return not isinstance(cell, float) and _CALENDAR_DAY.fullmatch(str(cell).strip()) is not None


def _of_datetime(moment: datetime, notes: TimeNotes) -> int:
    if moment.tzinfo is None:
        notes.without_zone += 1
    return nanoseconds(moment)


def _text_time(text: str, notes: TimeNotes, delivery: int) -> int | None:
    text = _SLASHES.sub(r"\1-\2-\3", text)
    try:
        if _CALENDAR_DAY.fullmatch(text):
            notes.days += 1
            day = datetime.strptime(text.replace("-", ""), "%Y%m%d").replace(tzinfo=UTC)
            return _of_datetime(day, notes) + delivery
        if match := _NAMED_DAY.fullmatch(text.upper()):
            notes.days += 1
            day = datetime.strptime("".join(match.groups()).title(), "%d%b%y").replace(tzinfo=UTC)
            return _of_datetime(day, notes) + delivery
        return _of_datetime(datetime.fromisoformat(text.removesuffix(" UTC")), notes)
    except (ValueError, OverflowError):
        return None


def _epoch(cell: Any, notes: TimeNotes, delivery: int) -> int | None:
    """A number as the time it is in seconds, milliseconds, microseconds, nanoseconds or days, whichever is in range."""
    try:
        count = float(cell)
        exact = (
            int(cell)
            if isinstance(cell, str | int | np.integer) and "." not in str(cell) and "e" not in str(cell).lower()
            else None
        )
    except (ValueError, TypeError, OverflowError):
        return None
    for unit, ns in _EPOCH_UNITS:
        if EARLIEST_NS // ns <= count <= LATEST_NS // ns:
            notes.epochs.add(unit)
            return exact * ns if exact is not None else int(count) * ns + round(count % 1.0 * 1e6) * (ns // 1_000_000)
    if _SHEET_DAYS[0] <= count <= _SHEET_DAYS[1]:
        notes.epochs.add("days of a spreadsheet")
        is_day = count % 1.0 == 0.0
        notes.days += is_day
        return round((count - _SHEET_EPOCH) * 86_400_000) * MILLISECOND + (delivery if is_day else 0)
    return None


# ---- names -------------------------------------------------------------------------------------------------------


def checked_name(cell: object, column: str, limit: int = 64) -> str:
    """An identifier: not empty, not longer than `limit`, nothing a terminal would act on. Raises BadCell."""
    text = "" if cell is None else str(cell).strip()
    if is_missing(text) or sanitize(text, limit) != text:
        raise BadCell(f"{column} is {quoted(cell)}, a name of 1 to {limit} printable characters is expected")
    return text
