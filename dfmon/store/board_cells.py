"""Columns and value rules of a recorded board, and the events that a row becomes.

`board_csv` and `board_parquet` read files into `BoardRow`s and `BadRow`s by these rules; `boards` makes events of them.
A value that breaks a rule costs its row, with a reason: "line 17: mark_iv is 'abc', a number is expected".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from dfmon.model.events import Listed, OptionTicker
from dfmon.model.instrument import Instrument, Kind, OptionType, Settlement
from dfmon.model.units import MILLISECOND, NAN, SECOND, sanitize

VENUE: Final = "deribit"
OPTION_TYPES: Final = {"call": OptionType.CALL, "put": OptionType.PUT, "c": OptionType.CALL, "p": OptionType.PUT}
EARLIEST_NS: Final = 1_230_768_000 * SECOND  # 2009, before any of this was traded
LATEST_NS: Final = 4_102_444_800 * SECOND  # 2100

_MISSING: Final = frozenset(("", "nan", "null", "none", "na", "n/a", "nat"))
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class BadCell(ValueError):  # noqa: N818  it never leaves the store: a row is lost, nothing failed
    """A cell that costs its row; the message has the column, the value, and what is expected."""


class BoardRow(NamedTuple):
    """A usable row. `ts_ns` is the valuation time of its board, `spot` the index price in the row."""

    line: int
    ts_ns: int
    underlying: str
    spot: float
    listed: Listed
    ticker: OptionTicker


class BadRow(NamedTuple):
    """A row that could not be used; time and underlying are 0 and "" where they are unknown."""

    line: int
    ts_ns: int
    underlying: str
    detail: str


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """A numeric column: its largest plausible value, the divisor to our unit, and whether a zero means "none"."""

    column: str
    max_value: float
    divisor: float = 1.0
    zero_is_missing: bool = False


@dataclass(frozen=True, slots=True)
class BoardFormat:
    """The columns of one kind of board. `fields` are in the order of `RowValues`."""

    title: str
    required: tuple[str, ...]
    underlying: str
    strike: NumericColumn
    expiry: str
    fields: tuple[NumericColumn, ...]


class RowValues(NamedTuple):
    """The numbers of a row; NaN where a cell is empty."""

    mark_iv: float
    forward: float
    spot: float
    open_interest: float
    volume: float
    mark: float
    bid: float
    ask: float
    bid_iv: float = NAN
    ask_iv: float = NAN


_MAX_PRICE, _MAX_COINS = 1e9, 1e12

TICKER_FORMAT: Final = BoardFormat(
    title="ticker board",
    required=(
        "instrument_name", "base_currency", "option_type", "strike", "expiration_timestamp", "timestamp",
        "mark_iv", "underlying_price", "index_price", "open_interest",
    ),
    underlying="base_currency",
    strike=NumericColumn("strike", _MAX_PRICE),
    expiry="expiration_timestamp",
    fields=(
        NumericColumn("mark_iv", 1e4, divisor=100.0),
        NumericColumn("underlying_price", _MAX_PRICE, zero_is_missing=True),
        NumericColumn("index_price", _MAX_PRICE, zero_is_missing=True),
        NumericColumn("open_interest", _MAX_COINS),
        NumericColumn("stats_volume", _MAX_COINS),
        NumericColumn("mark_price", _MAX_PRICE),
        NumericColumn("best_bid_price", _MAX_PRICE, zero_is_missing=True),
        NumericColumn("best_ask_price", _MAX_PRICE, zero_is_missing=True),
        NumericColumn("bid_iv", 1e4, divisor=100.0, zero_is_missing=True),
        NumericColumn("ask_iv", 1e4, divisor=100.0, zero_is_missing=True),
    ),
)  # fmt: skip

SNAPSHOT_FORMAT: Final = BoardFormat(
    title="snapshot board",
    required=(
        "timestamp", "instrument_name", "currency", "option_type", "strike", "expiry_datetime",
        "implied_volatility", "underlying", "index_price", "open_interest",
    ),
    underlying="currency",
    strike=NumericColumn("strike", _MAX_PRICE),
    expiry="expiry_datetime",
    fields=(
        NumericColumn("implied_volatility", 1e2),
        NumericColumn("underlying", _MAX_PRICE, zero_is_missing=True),
        NumericColumn("index_price", _MAX_PRICE, zero_is_missing=True),
        NumericColumn("open_interest", _MAX_COINS),
        NumericColumn("volume", _MAX_COINS),
        NumericColumn("mark_price", _MAX_PRICE),
        NumericColumn("bid_price", _MAX_PRICE, zero_is_missing=True),
        NumericColumn("ask_price", _MAX_PRICE, zero_is_missing=True),
    ),
)  # fmt: skip


def quoted(text: str) -> str:
    """Foreign text, sanitised and in quotes, for messages."""
    return f"'{sanitize(text, 40)}'"


def is_missing(text: str) -> bool:
    return text.strip().lower() in _MISSING


def range_error(value: float, max_value: float) -> str:
    """The expectation that a number breaks, "" if it breaks none."""
    if math.isinf(value):
        return "a finite number is expected"
    if value < 0.0:
        return "a number of at least 0 is expected"
    return f"a number up to {max_value:g} is expected" if value > max_value else ""


def parse_number(text: str, field: NumericColumn) -> float:
    """The cell in our unit, NaN if it is empty. `_` and non-Latin digits, which `float` accepts, are refused."""
    stripped = text.strip()
    if is_missing(stripped):
        return NAN
    if not _NUMBER.fullmatch(stripped):
        raise BadCell(f"{field.column} is {quoted(text)}, a number is expected")
    value = float(stripped)
    if error := range_error(value, field.max_value):
        raise BadCell(f"{field.column} is {quoted(text)}, {error}")
    return NAN if value == 0.0 and field.zero_is_missing else value / field.divisor


def strike(text: str, field: NumericColumn) -> float:
    value = parse_number(text, field)
    if not value > 0.0:
        raise BadCell(f"{field.column} is {quoted(text)}, a number above 0 is expected")
    return value


def parse_option_type(text: str) -> OptionType:
    kind = OPTION_TYPES.get(text.strip().lower())
    if kind is None:
        raise BadCell(f"option_type is {quoted(text)}, call or put is expected")
    return kind


def name(text: str, column: str, limit: int = 64) -> str:
    """An identifier: not empty, not longer than `limit`, nothing a terminal would act on."""
    stripped = text.strip()
    if is_missing(stripped) or sanitize(stripped, limit) != stripped:
        raise BadCell(f"{column} is {quoted(text)}, a name of 1 to {limit} printable characters is expected")
    return stripped


def parse_milliseconds(text: str, column: str) -> int:
    """A time in milliseconds since the epoch, as nanoseconds."""
    if not _NUMBER.fullmatch(text.strip()):
        raise BadCell(f"{column} is {quoted(text)}, milliseconds since 1970 are expected")
    value = float(text)
    if not EARLIEST_NS <= value * MILLISECOND <= LATEST_NS:
        raise BadCell(f"{column} is {quoted(text)}, milliseconds of a time between 2009 and 2100 are expected")
    return int(value) * MILLISECOND


def parse_iso_time(text: str, column: str) -> int:
    """An ISO 8601 time as nanoseconds; UTC if it has no zone."""
    try:
        parsed = datetime.fromisoformat(text.strip())
        parsed = parsed.replace(tzinfo=parsed.tzinfo or UTC)
        ts_ns = (parsed - _EPOCH) // _MICROSECOND * 1000
    except (ValueError, OverflowError):
        raise BadCell(f"{column} is {quoted(text)}, a time such as 2026-01-30T08:00:00Z is expected") from None
    if not EARLIEST_NS <= ts_ns <= LATEST_NS:
        raise BadCell(f"{column} is {quoted(text)}, a time between 2009 and 2100 is expected")
    return ts_ns


def parse_settlement(instrument_type: str, instrument: str) -> Settlement:
    """The settlement of a contract. In boards without the venue's column a pair (BTC_USDC-…) is linear."""
    known = {"reversed": Settlement.INVERSE, "linear": Settlement.LINEAR}.get(instrument_type.strip().lower())
    if known is not None:
        return known
    if not is_missing(instrument_type):
        raise BadCell(f"instrument_type is {quoted(instrument_type)}, reversed or linear is expected")
    return Settlement.LINEAR if "_" in instrument.partition("-")[0] else Settlement.INVERSE


def listed_event(
    instrument: str,
    underlying: str,
    option: OptionType,
    strike_usd: float,
    expiry_ns: int,
    settlement_kind: Settlement,
    *,
    contract_size: float = 1.0,
    price_index: str = "",
    listed_ns: int = 0,
) -> Listed:
    return Listed(
        Instrument(
            VENUE, instrument, Kind.OPTION, underlying, settlement_kind, expiry_ns, strike_usd, option,
            contract_size, price_index, listed_ns,
        )
    )  # fmt: skip


def ticker_event(instrument: str, exch_ns: int, values: RowValues) -> OptionTicker:
    """The row as an event; without an index of its own, since a board has one spot."""
    return OptionTicker(
        VENUE, instrument, exch_ns, values.mark_iv, values.bid_iv, values.ask_iv, values.mark, values.bid, values.ask,
        values.open_interest, values.forward, NAN, values.volume,
    )  # fmt: skip
