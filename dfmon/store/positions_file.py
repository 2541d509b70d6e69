"""Reads dealer positions from a file: coins by option, + is long.

`instrument_name,position` with any separator, Deribit's positions (the rows of get_positions, or a table of the web
page) and ccxt's, as text tables, JSON, JSON lines or xlsx; names in any case, comments after `#`. A side of "sell" or
"short" makes a size negative. Futures are left out.
"""

from __future__ import annotations

import csv
import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.store.boards.cells import BadCell
from dfmon.store.boards.xlsx_table import is_xlsx, read_xlsx
from dfmon.store.file_content import read_text
from dfmon.store.position_names import is_future_name, option_name

HEADER: Final = ("instrument_name", "position")
_MAX_BYTES: Final = 1 << 24
_MAX_COINS: Final = 1e9  # more than any coin has, and far from what a sum could overflow
_SEPARATORS: Final = (",", ";", "\t", "|")
_NAME_COLUMNS: Final = ("instrument_name", "instrument", "symbol", "contract", "name")
_SIZE_COLUMNS: Final = ("position", "size", "contracts", "net_position", "amount", "quantity", "qty")
_CONTRACT_COLUMNS: Final = ("contractsize", "contract_size")
_SIDE_COLUMNS: Final = ("direction", "side")
_SIGN_BY_SIDE: Final = {"buy": 1.0, "long": 1.0, "sell": -1.0, "short": -1.0, "zero": 0.0}
_OTHER_KINDS: Final = ("future", "future_combo", "option_combo", "spot", "swap")
_WRAPPERS: Final = ("result", "data", "positions")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_EITHER: Final = re.compile(r"\D{0,2}[1-9]\d{0,2}[.,]\d{3}\D*", re.ASCII)
_UNIT: Final = re.compile(r"(?<=\d)\s*[A-Za-z]{3,5}$")

_decoder: Final = msgspec.json.Decoder()
log = logging.getLogger("dfmon")


class _Row(NamedTuple):
    """A row and where it stands; `decimal_comma` is possible where commas do not separate."""

    place: str
    values: dict[str, Any]
    decimal_comma: bool = False


def read_positions(path: Path) -> dict[str, float]:
    """Position by option name. Raises UsageError with the file, the line, what was found and what is allowed."""
    shown = sanitize(str(path))
    rows = _sheet_rows(path, shown) if is_xlsx(path) else _text_rows(path, shown)
    positions: dict[str, float] = {}
    futures, marked = 0, set[str]()
    for row in rows:
        given = str(_value(row, _NAME_COLUMNS) or "").strip()
        if _is_other(row, given):
            futures += 1
            continue
        name = option_name(given) or given
        if not name:
            raise UsageError(f"{shown}: {row.place}: the name is missing")
        if name in positions:
            raise UsageError(f"{shown}: {row.place}: {sanitize(name, 60)} is listed twice")
        positions[name] = _position(row, name, shown)
        if row.decimal_comma and {".", ","} & set(size := str(_value(row, _SIZE_COLUMNS))):
            marked.add(size)
    if marked and all(map(_EITHER.fullmatch, marked)):
        raise UsageError(
            f"{shown}: {sanitize(min(marked), 20)} is a thousand or a fraction, and no number of the file tells which: "
            "write positions without separators of thousands"
        )
    if not positions:
        found = f"{futures} futures and no option" if futures else "no position"
        raise UsageError(f"{shown}: the position file has {found}, at least one option is expected")
    if futures:
        log.info("%s: %d futures left out", shown, futures)
    return positions


# ---- rows ----------------------------------------------------------------------------------------------------------


def _text_rows(path: Path, shown: str) -> Iterator[_Row]:
    text = read_text(path, "a position file", _MAX_BYTES)
    return _json_rows(text, shown) if text.lstrip()[:1] in ("{", "[") else _table_rows(text, shown)


def _sheet_rows(path: Path, shown: str) -> Iterator[_Row]:
    """The rows of the first sheet of a workbook, in which a size that is text may have a decimal comma."""
    try:
        table = read_xlsx(path)
    except BadCell as exc:
        raise UsageError(f"{shown}: the position file {exc}") from None
    header = [_column(name) for name in table.columns]
    lines = list(zip(table.lines, zip(*table.columns.values())))
    if not _names_columns(header):
        if len(header) != len(HEADER) or not option_name(next(iter(table.columns))):
            _refuse_header(shown, min(table.lines, default=2) - 1)
        header, lines = list(HEADER), [(0, tuple(table.columns)), *lines]
    for number, cells in lines:
        values = dict(zip(header, cells))
        is_text = any(isinstance(values.get(column), str) for column in _SIZE_COLUMNS)
        if any(cell not in (None, "") for cell in cells):
            yield _Row(f"line {number or 1}", values, decimal_comma=is_text)


def _names_columns(header: list[str]) -> bool:
    return bool(set(header) & set(_NAME_COLUMNS) and set(header) & set(_SIZE_COLUMNS))


def _refuse_header(shown: str, line: int) -> NoReturn:
    raise UsageError(
        f"{shown}: line {line}: the header {','.join(HEADER)} is expected, or that of Deribit's or ccxt's rows"
    )


def _table_rows(text: str, shown: str) -> Iterator[_Row]:
    lines = [
        (number, line)
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip() and not line.lstrip().startswith(("#", "//"))
    ]
    if not lines:
        return
    number, first = lines[0]
    separator = max(_SEPARATORS, key=first.count)
    header = [_column(cell) for cell in _cells(first, separator, f"{shown}: line {number}")]
    if _names_columns(header):
        lines = lines[1:]
    elif len(header) == len(HEADER) and option_name(header[0]):
        header = list(HEADER)
    else:
        _refuse_header(shown, number)
    for number, line in lines:
        place = f"line {number}"
        cells = _cells(line, separator, f"{shown}: {place}")
        if len(cells) != len(header):
            raise UsageError(f"{shown}: {place}: {len(cells)} columns, {len(header)} are expected")
        yield _Row(place, dict(zip(header, cells)), decimal_comma=separator != ",")


def _cells(line: str, separator: str, place: str) -> list[str]:
    try:
        cells = [cell.strip() for cell in next(csv.reader((line,), delimiter=separator, skipinitialspace=True))]
    except (csv.Error, StopIteration) as exc:
        raise UsageError(f"{place}: the position file cannot be read: {sanitize(str(exc), 80)}") from None
    if cells and "#" in cells[-1]:
        cells[-1] = cells[-1].partition("#")[0].strip()
    return cells


def _json_rows(text: str, shown: str) -> Iterator[_Row]:
    try:
        try:
            document = _decoder.decode(text)
        except msgspec.DecodeError:
            document = _decoder.decode_lines(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise UsageError(f"{shown}: the position file is not JSON: {sanitize(str(exc), 80)}") from None
    while isinstance(document, dict) and (inner := next((k for k in _WRAPPERS if k in document), "")):
        document = document[inner]
    if isinstance(document, dict):
        if document.get("error"):
            raise UsageError(f"{shown}: an error response of the venue: {sanitize(str(document['error']), 80)}")
        if {_column(key) for key in document} & set(_NAME_COLUMNS):
            document = [document]
        else:
            document = [dict(zip(HEADER, item)) for item in document.items()]
    for number, found in enumerate(document if isinstance(document, list) else [document], 1):
        if not isinstance(found, dict):
            raise UsageError(f"{shown}: row {number} is {sanitize(repr(found), 40)}, an object is expected")
        inner_row = found.get("info")
        values = {_column(key): value for key, value in inner_row.items()} if isinstance(inner_row, dict) else {}
        own = {_column(key): value for key, value in found.items()}
        known = {name: value for name, value in own.items() if value is not None}
        yield _Row(f"row {number}", own | values | known)


def _column(text: str) -> str:
    """A column's name for comparison: `Size (BTC)` is `size`."""
    return re.sub(r"[\s_]+", "_", text.partition("(")[0].strip().lower())


def _value(row: _Row, columns: tuple[str, ...]) -> Any:
    return next((row.values[column] for column in columns if row.values.get(column) not in (None, "")), None)


def _is_other(row: _Row, name: str) -> bool:
    kind = str(row.values.get("kind", "")).strip().lower()
    return kind in _OTHER_KINDS or (option_name(name) is None and is_future_name(name))


# ---- numbers -------------------------------------------------------------------------------------------------------


def _position(row: _Row, name: str, shown: str) -> float:
    found = _value(row, _SIZE_COLUMNS)
    size = _number(str(found if found is not None else ""), row.decimal_comma)
    if size is None or isinstance(found, bool) or abs(size) > _MAX_COINS:
        text = repr(str(found))[:42] if found is not None else "missing"
        raise UsageError(
            f"{shown}: {row.place}: the position of {sanitize(name, 60)} is {sanitize(text)}, a number of coins up to "
            f"{_MAX_COINS:.0e} is expected"
        )
    if found is row.values.get("contracts"):
        size *= _contract_coins(row, name, shown)
    side = _value(row, _SIDE_COLUMNS)
    if side is None:
        if size > 0.0 and not row.values.keys().isdisjoint(_SIDE_COLUMNS):
            raise UsageError(
                f"{shown}: {row.place}: the side of {sanitize(name, 60)} is missing, buy or sell is expected"
            )
        return size
    sign = _SIGN_BY_SIDE.get(str(side).strip().lower())
    if sign is None or (size < 0.0 < sign) or (sign == 0.0 != size):
        raise UsageError(
            f"{shown}: {row.place}: the side of {sanitize(name, 60)} is {sanitize(repr(str(side)), 42)} with a size of "
            f"{size:g}, buy or long, or sell or short, is expected"
        )
    return sign * abs(size)


def _contract_coins(row: _Row, name: str, shown: str) -> float:
    """Coins of a contract where a row counts contracts and has their size, as ccxt's of OKX; else 1."""
    found = _value(row, _CONTRACT_COLUMNS)
    coins = 1.0 if found is None else _number(str(found), row.decimal_comma)
    if coins is None or isinstance(found, bool) or not 0.0 < coins <= _MAX_COINS:
        raise UsageError(
            f"{shown}: {row.place}: the contract size of {sanitize(name, 60)} is {sanitize(repr(str(found)), 42)}, a "
            "number of coins above 0 is expected"
        )
    return coins


def _number(text: str, decimal_comma: bool) -> float | None:
    """The number in a cell; None for other text, and for one that may be read in two ways.

    The sign may be U+2212, brackets make a number negative, and the name of the coin may follow.
    """
    text = _UNIT.sub("", text.strip().replace("\N{MINUS SIGN}", "-"))
    is_negative = text.startswith("(") and text.endswith(")")
    if is_negative:
        text = text[1:-1].strip()
    if "," in text:
        if _THOUSANDS.fullmatch(text) and (not decimal_comma or "." in text or text.count(",") > 1):
            text = text.replace(",", "")
        elif decimal_comma and not _THOUSANDS.fullmatch(text) and text.count(",") == 1:
            text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return -value if is_negative else value
