"""Option prints of Deribit in a CSV file, as its trade calls have them: a row a print."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from dfmon.evidence.foreign_table import ForeignTable, read_table
from dfmon.model.errors import UsageError
from dfmon.model.events import OptionTrade
from dfmon.model.units import sanitize
from dfmon.store.boards.cells import BadCell
from dfmon.store.boards.names import OptionTerms, parse_option_name
from dfmon.store.boards.table import ColumnNames
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.decode import option_trade

_FIELDS: Final = {
    "instrument_name": ("instrument_name", "instrument", "symbol"),
    "timestamp": ("timestamp", "timeStamp", "t"),
    "trade_id": ("trade_id", "id"),
    "trade_seq": ("trade_seq",),
    "direction": ("direction", "side"),
    "price": ("price", "p"),
    "amount": ("amount", "q"),
    "iv": ("iv",),
    "index_price": ("index_price",),
    "block_trade_id": ("block_trade_id",),
    "block_rfq_id": ("block_rfq_id",),
    "combo_id": ("combo_id",),
    "combo_trade_id": ("combo_trade_id",),
    "liquidation": ("liquidation",),
}
"""A field of a trade, and the names of its column."""
_REQUIRED: Final = ("instrument_name", "timestamp", "trade_id", "trade_seq", "direction", "price", "amount")
_INTEGERS: Final = ("timestamp", "trade_seq")


class TradeFile(NamedTuple):
    """Distinct prints by option with the terms of each, and sentences on what was left out."""

    prints: dict[str, dict[int, OptionTrade]]
    terms: dict[str, OptionTerms]
    rows: int
    notes: list[str]


def read_trades(path: Path) -> TradeFile:
    """The option prints of a file; rows of other contracts are counted. Raises UsageError for one that is no print."""
    table = read_table(path, ())
    columns = _columns(table)
    unread = tuple(name for name in table.columns if name not in columns.values())
    file = TradeFile({}, {}, len(next(iter(table.columns.values()), ())), table._replace(unread=unread).notes())
    others = repeated = late = 0
    for number, cells in enumerate(zip(*(table.columns[name] for name in columns.values()), strict=True), 1):
        row = {field: str(cell).strip() for field, cell in zip(columns, cells) if str(cell).strip() not in ("", "None")}
        name = row.get("instrument_name", "")
        if name not in file.terms:
            terms = _terms(name, table.path, number)
            if terms is None:
                others += 1
                continue
            file.terms[name] = terms
        trade = _trade(row, table.path, number)
        if trade.exch_ns >= file.terms[name].expiry_ns:
            late += 1
            continue
        prints = file.prints.setdefault(name, {})
        repeated += trade.seq in prints
        prints.setdefault(trade.seq, trade)
    if not file.prints:
        raise UsageError(f"{table.path} has no print of an option before its expiry")
    if others:
        file.notes.append(f"{table.path}: {others:,} rows of contracts that are no options")
    if late:
        file.notes.append(f"{table.path}: {late:,} rows dated at or after the expiry of their option, left out")
    if repeated:
        file.notes.append(f"{table.path}: {repeated:,} rows that repeat a print")
    return file


def _columns(table: ForeignTable) -> dict[str, str]:
    names = ColumnNames(list(table.columns))
    found = {field: column for field, aliases in _FIELDS.items() if (column := names.find(aliases))}
    if missing := [field for field in _REQUIRED if field not in found]:
        raise UsageError(f"{table.path} has no column {', '.join(missing)}; those of Deribit's trades are expected")
    return found


def _terms(name: str, shown: str, number: int) -> OptionTerms | None:
    try:
        return parse_option_name(name)
    except BadCell as exc:
        raise UsageError(f"{shown} row {number}: {sanitize(str(exc), 60)}") from None


def _trade(row: dict[str, str], shown: str, number: int) -> OptionTrade:
    """A print. Raises UsageError that names row and field."""
    if row.get("direction") not in ("buy", "sell"):
        raise UsageError(f"{shown} row {number}: direction is {sanitize(row.get('direction', ''), 20)!r}, buy or sell")
    values: dict[str, Any] = dict(row)
    try:
        for field in _INTEGERS:
            values[field] = int(float(row[field]))
        return option_trade(msgspec.convert(values, wire.Trade, strict=False))
    except (msgspec.ValidationError, ValueError, KeyError) as exc:
        raise UsageError(f"{shown} row {number} is no print: {sanitize(str(exc), 80)}") from None
