"""A table of a known layout as typed columns, in the units of the file; rows that break a rule are listed apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.instrument import OptionType, Settlement
from dfmon.model.units import sanitize, utc
from dfmon.store.boards.alternatives import columns_of_fields
from dfmon.store.boards.cells import (
    F64,
    I64,
    BadCell,
    NumberRule,
    TimeNotes,
    checked_name,
    is_missing,
    numbers,
    quoted,
    signed_numbers,
    times,
)
from dfmon.store.boards.layouts import Matched
from dfmon.store.boards.names import OptionTerms, canonical_name, option_name, parse_option_name
from dfmon.store.boards.table import Column, Table

OPTION_TYPES: Final = {
    "call": OptionType.CALL, "put": OptionType.PUT, "c": OptionType.CALL, "p": OptionType.PUT,
    "calls": OptionType.CALL, "puts": OptionType.PUT,
}  # fmt: skip
_SETTLEMENTS: Final = {"reversed": Settlement.INVERSE, "inverse": Settlement.INVERSE, "linear": Settlement.LINEAR}

_MAX_PRICE, _MAX_COINS = 1e9, 1e12
MAX_IV: Final = 20.0
NUMBERS: Final = {
    "iv": NumberRule(MAX_IV * 100.0),
    "forward": NumberRule(_MAX_PRICE, zero_is_missing=True),
    "spot": NumberRule(_MAX_PRICE, zero_is_missing=True),
    "open_interest": NumberRule(_MAX_COINS),
    "volume": NumberRule(_MAX_COINS),
    "mark": NumberRule(_MAX_PRICE),
    "bid": NumberRule(_MAX_PRICE, zero_is_missing=True),
    "ask": NumberRule(_MAX_PRICE, zero_is_missing=True),
    "bid_iv": NumberRule(1e9, zero_is_missing=True),
    "ask_iv": NumberRule(1e9, zero_is_missing=True),
}


@dataclass(slots=True)
class Decoded:
    """Columns of n rows; `errors` has the reason of each row that cannot be used.

    `choices` say which of several columns of a field count.
    """

    lines: Sequence[int]
    ts_ns: I64
    names: list[str]
    bases: list[str]
    types: list[OptionType]
    strike: F64
    expiry_ns: I64
    settlements: list[Settlement]
    contract_coins: F64
    numbers: dict[str, F64]
    delta: F64
    contract_sizes: F64
    price_indices: list[str]
    listed_ns: I64
    errors: dict[int, str]
    runs: NDArray[np.int64] | None = None
    run_times: Mapping[int, int] = field(default_factory=dict)
    time_notes: dict[str, TimeNotes] = field(default_factory=dict)
    choices: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.names)

    @property
    def sign(self) -> F64:
        """+1 for calls, -1 for puts."""
        return np.array([float(kind) for kind in self.types])


class Decoder:
    """Decodes tables of one layout; terms of names are parsed once. `base` is the currency of rows without any."""

    def __init__(self, matched: Matched, base: str = "") -> None:
        self.matched = matched
        self._base = base
        self._terms: dict[str, OptionTerms | str | None] = {}

    def decode(self, table: Table) -> Decoded:
        """The rows of a table, in its order."""
        errors: dict[int, str] = {}
        columns, choices = columns_of_fields(table, self.matched)
        size, labels = table.size, self.matched.columns
        notes: dict[str, TimeNotes] = {}
        ts_ns = np.zeros(size, dtype=np.int64)
        if "time" in columns:
            is_required = self.matched.layout.rows_are == "runs"
            ts_ns, notes["time"] = times(columns["time"], labels["time"], errors, is_required=is_required)
        names, terms = self._names(columns, size, errors)
        bases = self._bases(columns, terms, size, errors)
        types = self._types(columns, terms, size, errors)
        strike = self._strikes(columns, terms, size, errors)
        expiry = np.array([0 if t is None else t.expiry_ns for t in terms], dtype=np.int64)
        if "expiry" in columns:
            expiry, notes["expiry"] = times(columns["expiry"], labels["expiry"], errors, is_expiry=True)
        elif size:
            _mark(
                errors, [at for at, t in enumerate(terms) if t is None], lambda at: f"{quoted(names[at])} has no expiry"
            )
        found = {
            name: numbers(columns[name], labels[name], rule, errors) if name in columns else np.full(size, np.nan)
            for name, rule in NUMBERS.items()
        }
        delta = signed_numbers(columns["delta"]) if "delta" in columns else np.full(size, np.nan)
        decoded = Decoded(
            table.lines, ts_ns, names, bases, types, strike, expiry,
            self._settlements(columns, names, terms, errors), self._contract_coins(terms), found, delta,
            _optional_sizes(columns, size), _texts(columns, "price_index", size, 32),
            self._listed(columns, size), errors, table.runs, table.run_times, notes, choices,
        )  # fmt: skip
        _name_the_nameless(decoded, "name" in columns)
        return decoded

    def _names(
        self, columns: dict[str, Column], size: int, errors: dict[int, str]
    ) -> tuple[list[str], list[OptionTerms | None]]:
        label = self.matched.columns.get("name", "name")
        cells: Sequence[Any] = _listed(columns["name"]) if "name" in columns else [""] * size
        names, terms = [], []
        known, has_names = self._terms, "name" in columns
        for at, cell in enumerate(cells):
            name = canonical_name(str(cell)) if cell is not None else ""
            if name in known:
                found = known[name]
            else:
                found = known[name] = self._parse(cell, label) if has_names else None
            if isinstance(found, str):
                errors.setdefault(at, found)
                found = None
            names.append(name)
            terms.append(found)
        if "kind" in columns:
            kinds = _listed(columns["kind"])
            bad = [at for at, kind in enumerate(kinds) if kind and str(kind).strip().lower() != "option"]
            _mark(errors, bad, lambda at: f"kind is {quoted(kinds[at])}, option is expected")
        return names, terms

    def _parse(self, cell: object, label: str) -> OptionTerms | str | None:
        try:
            return parse_option_name(canonical_name(checked_name(cell, label)))
        except BadCell as exc:
            return str(exc)

    def _bases(
        self, columns: dict[str, Column], terms: list[OptionTerms | None], size: int, errors: dict[int, str]
    ) -> list[str]:
        if not {"base", "name"} & columns.keys() and self._base:
            return [self._base] * size
        if "base" not in columns:
            _mark(
                errors, [at for at, t in enumerate(terms) if t is None],
                lambda at: f"{self._shown_name(columns, at)} is no option",
            )  # fmt: skip
            return ["" if t is None else t.base for t in terms]
        label, bases = self.matched.columns["base"], []
        known: dict[object, str] = {}
        for at, cell in enumerate(_listed(columns["base"])):
            base = known.get(cell)
            if base is None:
                try:
                    base = _currency(cell, label)
                except BadCell as exc:
                    errors.setdefault(at, str(exc))
                    base = ""
                else:
                    known[cell] = base
            bases.append(base)
        return [base if t is None or not base else t.base for base, t in zip(bases, terms)]  # a name says it best

    def _shown_name(self, columns: dict[str, Column], at: int) -> str:
        return sanitize(str(columns["name"][at]), 40) if "name" in columns else "a row without a name"

    def _types(
        self, columns: dict[str, Column], terms: list[OptionTerms | None], size: int, errors: dict[int, str]
    ) -> list[OptionType]:
        if "type" not in columns:
            bad = [at for at, t in enumerate(terms) if t is None]
            _mark(errors, bad, lambda at: f"{self._shown_name(columns, at)} is no option")
            return [OptionType.CALL if t is None else t.option_type for t in terms]
        label, types = self.matched.columns["type"], []
        for at, cell in enumerate(_listed(columns["type"])):
            kind = OPTION_TYPES.get(cell) or OPTION_TYPES.get(str(cell).strip().lower()) if cell is not None else None
            if kind is None:
                is_named = "name" in columns and terms[at] is None and is_missing(cell)
                shown = f"{self._shown_name(columns, at)}: " if is_named else ""
                errors.setdefault(
                    at, f"{shown}{label} is {quoted('' if cell is None else cell)}, call or put is expected"
                )
            types.append(kind or OptionType.CALL)
        return types

    def _strikes(
        self, columns: dict[str, Column], terms: list[OptionTerms | None], size: int, errors: dict[int, str]
    ) -> F64:
        if "strike" not in columns:
            return np.array([np.nan if t is None else t.strike for t in terms])
        label, cells = self.matched.columns["strike"], columns["strike"]
        strike = numbers(cells, label, NumberRule(_MAX_PRICE), errors)
        bad = np.flatnonzero(~(strike > 0.0)).tolist()
        _mark(errors, bad, lambda at: f"{label} is {quoted(_text(cells[at]))}, a number above 0 is expected")
        return strike

    def _settlements(
        self, columns: dict[str, Column], names: list[str], terms: list[OptionTerms | None], errors: dict[int, str]
    ) -> list[Settlement]:
        """Settlement of each contract; without a column a pair (BTC_USDC-…) is linear."""
        if self.matched.layout.linear:
            return [Settlement.LINEAR] * len(names)
        found = [
            (Settlement.LINEAR if "_" in name.partition("-")[0] else Settlement.INVERSE) if t is None else t.settlement
            for name, t in zip(names, terms)
        ]
        if "settlement" in columns:
            label = self.matched.columns["settlement"]
            for at, cell in enumerate(_listed(columns["settlement"])):
                known = _SETTLEMENTS.get(str(cell).strip().lower())
                if known is not None:
                    found[at] = known
                elif not is_missing(cell):
                    errors.setdefault(at, f"{label} is {quoted(cell)}, reversed or linear is expected")
        return found

    def _contract_coins(self, terms: list[OptionTerms | None]) -> F64:
        if self.matched.columns.get("open_interest", "").lower().endswith("ccy"):
            return np.ones(len(terms))
        return np.array([1.0 if t is None else t.contract_coins for t in terms])

    def _listed(self, columns: dict[str, Column], size: int) -> I64:
        """Creation times of the contracts; 0 if missing or invalid, which does not cost the row."""
        return times(columns["listed"], "", {})[0] if "listed" in columns else np.zeros(size, dtype=np.int64)


def _currency(cell: object, label: str) -> str:
    name = checked_name(cell, label, 16).upper()
    if not any(letter.isalpha() for letter in name):
        raise BadCell(f"{label} is {quoted(cell)}, a currency is expected")
    return name


def _mark(errors: dict[int, str], rows: Sequence[int], reason: Callable[[int], str]) -> None:
    for at in rows:
        errors.setdefault(at, reason(at))


def _listed(column: Column) -> list[Any]:
    listed: list[Any] = column.tolist() if isinstance(column, np.ndarray) else column
    return listed


def _text(cell: object) -> object:
    return "" if cell is None else cell


def _optional_sizes(columns: dict[str, Column], size: int) -> F64:
    if "contract_size" not in columns:
        return np.ones(size)
    values = signed_numbers(columns["contract_size"])
    return np.where(values > 0.0, values, 1.0)


def _texts(columns: dict[str, Column], name: str, size: int, limit: int) -> list[str]:
    if name not in columns:
        return [""] * size
    return [sanitize(str(_text(cell)).strip(), limit) for cell in _listed(columns[name])]


def _name_the_nameless(decoded: Decoded, has_names: bool) -> None:
    """Options without a name column get the name that the terms make."""
    if has_names:
        return
    for at in range(decoded.size):
        if at not in decoded.errors:
            day = utc(int(decoded.expiry_ns[at]))
            decoded.names[at] = option_name(decoded.bases[at], day, float(decoded.strike[at]), decoded.types[at])
