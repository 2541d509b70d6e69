"""JSON of any shape as a table: lists, rows by name or time, wrapped responses, columns, nested expiries, JSON lines.

Rows are looked for wherever they are; the single values around them (a time, an index price, a currency) become
columns, and lists without volatilities (instruments, open interest) are joined to those that have them by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from dfmon.model.units import MILLISECOND, sanitize
from dfmon.store.boards.cells import BadCell, times
from dfmon.store.boards.decode import OPTION_TYPES
from dfmon.store.boards.json_text import parse_documents
from dfmon.store.boards.names import parse_option_name
from dfmon.store.boards.table import Column, Table, key_of

_NAMES: Final = ("instrument_name", "symbol", "instId", "instrument", "contract_symbol")
_NAME_KEYS: Final = frozenset(map(key_of, _NAMES))
_TIME_KEYS: Final = frozenset(map(key_of, ("timestamp", "creation_timestamp", "time", "ts", "datetime", "date")))
_EXPIRY_KEYS: Final = frozenset(map(key_of, ("expiry", "expiration", "expiration_timestamp", "expiry_date", "expTime")))
_IV_KEYS: Final = frozenset(map(key_of, ("mark_iv", "markVol", "implied_volatility", "iv", "sigma", "mark_vol")))
_FORWARD_KEYS: Final = frozenset(map(key_of, ("underlying_price", "fwdPx", "forward", "underlyingPrice", "underlying")))
_MAX_DEPTH: Final = 12
_MAX_COLUMNS: Final = 400
_MAX_CELLS: Final = 3_000_000
_CONTAINERS: Final = (dict, list, tuple)

Row = dict[str, Any]


@dataclass(slots=True)
class _Found:
    """Lists of rows, each with the number of the poll it is of."""

    lists: list[tuple[int, list[Row]]] = field(default_factory=list)
    run: int = 0
    run_times: dict[int, int] = field(default_factory=dict)
    cells: int = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Adds a list of rows. Raises BadCell where what encloses them, which each row has, multiplies to too much."""
        added = []
        for row in rows:
            self.cells += len(row)
            if self.cells > _MAX_CELLS:
                raise BadCell(f"has rows of more than {_MAX_CELLS:,} values with what encloses them")
            added.append(row)
        if added:
            self.lists.append((self.run, added))


def read_json(text: str | bytes) -> Table:
    """The option rows of a JSON text. Raises BadCell, with what it holds, where there are none."""
    documents, container, damaged = parse_documents(text)
    return table_of(documents, container, damaged=damaged)


def table_of(
    documents: Sequence[Any],
    container: str,
    references: Sequence[Any] = (),
    damaged: tuple[tuple[int, str], ...] = (),
) -> Table:
    """The option rows of decoded documents, and of `references`, lists of instruments."""
    found = _Found()
    for document in (*documents, *references):
        found.run += 1
        _collect(document, {}, found, 0)
    if not found.lists:
        raise BadCell(f"is JSON without rows of options: {_outline(documents)}")
    runs, rows = _joined(found.lists)
    keys: dict[str, str] = {}
    for row in rows:
        for key in row:
            keys.setdefault(key_of(key), key)
        if len(keys) > _MAX_COLUMNS:
            raise BadCell(f"has rows of more than {_MAX_COLUMNS} fields")
    columns: dict[str, Column] = {key: [row.get(key) for row in rows] for key in keys.values()}
    return Table(columns, range(1, len(rows) + 1), "row", _polls(runs), found.run_times, damaged, (), container)


def _polls(runs: list[int]) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """The poll of each row, None where the parts of the file are single rows or there is one part."""
    numbers = np.array(runs, dtype=np.int64)
    sizes = np.unique(numbers, return_counts=True)[1]
    return numbers if sizes.size > 1 and np.median(sizes) > 1 else None


# ---- rows wherever they are --------------------------------------------------------------------------------------


def _collect(node: Any, enclosing: Row, found: _Found, depth: int) -> None:
    """Adds the lists of rows in a part of a document to `found`; `enclosing` are the values around it."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(node, Mapping):
        _collect_mapping(node, enclosing, found, depth)
    elif hasattr(node, "to_dict"):  # a data frame
        _collect(node.to_dict("records"), enclosing, found, depth)
    elif isinstance(node, Sequence) and not isinstance(node, str | bytes):
        found.add(_flat_row(item, enclosing) for item in node if _is_row(item))
        for item in node:
            if isinstance(item, Mapping | list | tuple) and not _is_row(item):
                single = isinstance(item, Mapping) and _is_row(item.get("result"))
                found.run += 0 if single else 1
                _collect(item, enclosing, found, depth + 1)


def _collect_mapping(node: Mapping[str, Any], enclosing: Row, found: _Found, depth: int) -> None:
    if "error" in node and "result" not in node and node["error"]:
        raise BadCell(f"is an error response of the venue: {sanitize(str(node['error']), 80)}")
    for code, message in (("retCode", "retMsg"), ("code", "msg")):
        if message in node and str(node.get(code)) not in ("0", "None"):
            raise BadCell(f"is an error response of the venue: {sanitize(str(node[message]), 80)}")
    if _is_row(node):
        found.add([_flat_row(node, enclosing)])
        return
    if (rows := _rows_of_columns(node)) is not None:
        found.add(_flat_row(row, enclosing) for row in rows)
        return
    enclosing = {**enclosing, **{str(k): v for k, v in node.items() if not isinstance(v, _CONTAINERS)}}
    forwards = _forwards(node)
    children = [(str(k), v) for k, v in node.items() if isinstance(v, _CONTAINERS) and v]
    if children and len(enclosing) > _MAX_COLUMNS:
        raise BadCell(f"has rows within more than {_MAX_COLUMNS} other values")
    found.add(
        _flat_row({**_context(key, child), **child}, enclosing)
        for key, child in children
        if isinstance(child, Mapping) and _is_row({**_context(key, child), **child})
    )
    for key, child in children:
        context = _context(key, child)
        if isinstance(child, Mapping) and _is_row({**context, **child}):
            continue
        if "timestamp" in context:
            found.run += 1
            found.run_times[found.run] = int(context["timestamp"]) * MILLISECOND
        first = len(found.lists)
        _collect(child, {**enclosing, **context}, found, depth + 1)
        if forwards:
            _set_forwards(found.lists[first:], forwards)


def _is_row(item: Any) -> bool:
    """True for named values of one option or another instrument: a name or a strike, and no rows inside."""
    if not isinstance(item, Mapping):
        return False
    keys = {key_of(str(key)) for key, value in item.items() if not isinstance(value, _CONTAINERS)}
    has_name = any(isinstance(item.get(name), str) for name in _NAMES) or any(
        isinstance(value, str) and key_of(str(key)) in _NAME_KEYS for key, value in item.items()
    )
    if not has_name and not ({"strike", "strikeprice", "k"} & keys and keys & (_IV_KEYS | {"openinterest", "oi"})):
        return False
    return not any(_holds_rows(value) for value in item.values())


def _holds_rows(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and isinstance(value[0], Mapping) and len(value[0]) > 2
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, Mapping | list) for v in value.values())


def _flat_row(row: Mapping[str, Any], enclosing: Row) -> Row:
    """One row without nesting, greeks.delta for what is inside; with what encloses it where it has no such field."""
    flat: Row = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": v for inner, v in value.items() if not isinstance(v, _CONTAINERS)})
        elif not isinstance(value, _CONTAINERS):
            flat[str(key)] = value
    if enclosing:
        keys = {key_of(key) for key in flat}
        has_time = bool(keys & _TIME_KEYS)
        for key, value in enclosing.items():
            if (code := key_of(key)) not in keys and not (has_time and code in _TIME_KEYS):
                flat[key] = value
    return flat


def _context(key: str, child: Any) -> Row:
    """Fields that the key of a part gives to the rows in it: their name, type, expiry or time."""
    code = key_of(key)
    if code in ("calls", "puts", "call", "put"):
        return {"option_type": "call" if OPTION_TYPES[code] > 0 else "put"}
    try:
        terms = parse_option_name(key)
    except BadCell:
        return {"instrument_name": key}
    if terms is not None:
        return {} if _name_of(child) else {"instrument_name": key}
    errors: dict[int, str] = {}
    moment = int(times([key], "key", errors)[0][0]) if any(c.isdigit() for c in key) and len(key) > 5 else 0
    if errors or not moment:
        return {}
    day_ns = int(times([key], "key", {}, is_expiry=True)[0][0])
    if day_ns != moment and _expiry_of(child) in (day_ns, None):
        return {"expiry": key}
    return {"timestamp": moment // MILLISECOND}


def _name_of(node: Any) -> str | None:
    """The name in the first row of a part."""
    for _ in range(3):
        if isinstance(node, Mapping):
            for key, value in node.items():
                if isinstance(value, str) and key_of(str(key)) in _NAME_KEYS:
                    return value
            node = next((v for v in node.values() if isinstance(v, _CONTAINERS) and v), None)
        elif isinstance(node, list | tuple) and node:
            node = node[0]
        else:
            return None
    return None


def _expiry_of(node: Any) -> int | None:
    name = _name_of(node)
    try:
        terms = parse_option_name(name) if name else None
    except BadCell:
        return None
    return terms.expiry_ns if terms else None


def _rows_of_columns(node: Mapping[str, Any]) -> Iterable[Row] | None:
    """The rows of a document that is written by columns, None if it is not."""
    header, data = node.get("columns"), node.get("data")
    if isinstance(header, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        return (dict(zip(map(str, header), row)) for row in data)
    if not _NAME_KEYS & {key_of(str(key)) for key in node}:
        return None
    if all(isinstance(v, list) for v in node.values()) and len({len(v) for v in node.values()}) == 1:
        return (dict(zip(node, cells)) for cells in zip(*node.values()))
    if all(isinstance(v, Mapping) for v in node.values()):
        index: dict[str, None] = {}
        for cells in node.values():
            index.update(dict.fromkeys(cells))
        return ({name: cells.get(at) for name, cells in node.items()} for at in index)
    return None


# ---- forwards and joins ------------------------------------------------------------------------------------------


def _forwards(node: Mapping[str, Any]) -> dict[int, float]:
    """Forwards by expiry (ns) where a document has them as a mapping or list beside its rows."""
    for key, value in node.items():
        if not key_of(str(key)).startswith("forward") or not isinstance(value, Mapping):
            continue
        expiries = times([str(day) for day in value], "", {}, is_expiry=True)[0].tolist()
        return {at: float(v) for at, v in zip(expiries, value.values()) if at and isinstance(v, int | float)}
    return {}


def _set_forwards(lists: list[tuple[int, list[Row]]], forwards: dict[int, float]) -> None:
    for _, rows in lists:
        for row in rows:
            cells = [value for key, value in row.items() if key_of(key) in _EXPIRY_KEYS]
            expiry = int(times(cells[:1], "", {}, is_expiry=True)[0][0]) if cells else _expiry_of(row)
            if expiry in forwards and "forward" not in row:
                row["forward"] = forwards[expiry]


def _joined(lists: list[tuple[int, list[Row]]]) -> tuple[list[int], list[Row]]:
    """The rows with volatilities, each with what other lists say of the same name; all rows if none has one.

    Where some of the lists have forwards as well, those are the board.
    """

    def has(rows: list[Row], keys: frozenset[str]) -> bool:
        return any(key_of(key) in keys for row in rows[:20] for key in row)

    primary = [part for part in lists if has(part[1], _IV_KEYS)]
    primary = [part for part in primary if has(part[1], _FORWARD_KEYS)] or primary
    if primary and len(primary) < len(lists):
        chosen_lists = {id(rows) for _, rows in primary}
        additions: dict[str, Row] = {}
        for _, rows in lists:
            if id(rows) not in chosen_lists:
                for row in rows:
                    additions.setdefault(_row_name(row), {}).update(row)
        for row in _all_rows(primary):
            for key, value in additions.get(_row_name(row), {}).items():
                if row.get(key) in (None, ""):
                    row[key] = value
    chosen = primary or lists
    return [run for run, rows in chosen for _ in rows], list(_all_rows(chosen))


def _all_rows(lists: list[tuple[int, list[Row]]]) -> Iterator[Row]:
    for _, rows in lists:
        yield from rows


def _row_name(row: Row) -> str:
    return next((str(value) for key, value in row.items() if key_of(key) in _NAME_KEYS), "")


def _outline(documents: Sequence[Any]) -> str:
    """The shape of a document in a few words."""
    first = documents[0] if documents else None
    if isinstance(first, Mapping):
        message = next((first[key] for key in ("msg", "retMsg", "message") if isinstance(first.get(key), str)), "")
        if message:
            return f"an object that says {sanitize(message, 80)!r}"
        return "an object with " + (sanitize(", ".join(map(str, list(first)[:4])), 60) or "nothing")
    if isinstance(first, list):
        return f"a list of {len(first)} items"
    return "a single value" if first is not None else "nothing"
