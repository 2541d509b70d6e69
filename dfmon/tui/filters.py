"""Filters of the lists: `exp=28NOV strike>100k put net<-50`. Parsed once, then applied to every row.

A term without an operator is an option type, a side, a flag, an expiry or a strike. An unknown value never matches.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize

FieldValue = str | float | bool | None
FieldGetter = Callable[[Any], FieldValue]
ListName = Literal["tape", "positions"]

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
_TERM_PATTERN = re.compile(r"([A-Za-z]+)(>=|<=|!=|=|>|<)(.+)")
_NUMBER_PATTERN = re.compile(r"([+-]?\d[\d,]*(?:\.\d+)?)([kKmM%]?)", re.ASCII)
_EXPIRY_PATTERN = re.compile(r"\d{1,2}[A-Za-z]{1,3}\d{0,2}|\d{4}-\d\d(-\d\d)?", re.ASCII)
_SUFFIX_SCALE: Final = {"": 1.0, "k": 1e3, "m": 1e6, "%": 0.01}


def _option_type(row: Any) -> FieldValue:
    return "call" if str(row.option_type)[:1].upper() == "C" else "put"


_COMMON_FIELDS: Final[Mapping[str, FieldGetter]] = {
    "exp": lambda row: str(row.expiry).lstrip("0").casefold(),
    "strike": lambda row: float(row.strike),
    "type": _option_type,
}
FILTER_FIELDS: Final[Mapping[ListName, Mapping[str, FieldGetter]]] = {
    "tape": {
        **_COMMON_FIELDS,
        "qty": lambda row: float(row.size),
        "side": lambda row: "buy" if row.side > 0 else "sell" if row.side < 0 else None,
        "iv": lambda row: None if row.iv is None else float(row.iv),
        "block": lambda row: bool(row.block),
        "combo": lambda row: bool(row.combo),
    },
    "positions": {
        **_COMMON_FIELDS,
        "oi": lambda row: float(row.open_interest),
        "net": lambda row: float(row.net),
        "long": lambda row: None if row.p_long is None else float(row.p_long),
        "seen": lambda row: None if row.seen is None else float(row.seen),
    },
}
_FLAG_FIELDS: Final = ("block", "combo")
_TEXT_FIELDS: Final = ("exp", "type", "side")


@dataclass(frozen=True, slots=True)
class Filter:
    """The text typed and its predicates; an empty filter accepts every row."""

    text: str = ""
    predicates: tuple[Callable[[Any], bool], ...] = ()

    def __call__(self, row: Any) -> bool:
        return all(predicate(row) for predicate in self.predicates)

    def __repr__(self) -> str:
        return f"Filter({self.text!r})"


def parse_filter(text: str, list_name: ListName) -> Filter:
    """Parses a filter. Raises UsageError naming the term that is not understood."""
    terms = text.split()
    return Filter(" ".join(terms), tuple(_parse_term(term, FILTER_FIELDS[list_name]) for term in terms))


def _parse_term(term: str, fields: Mapping[str, FieldGetter]) -> Callable[[Any], bool]:
    if found := _TERM_PATTERN.fullmatch(term):
        name, op, operand = found[1].casefold(), found[2], found[3]
        if name in fields and name not in _FLAG_FIELDS:
            return _build_comparison(name, op, operand, fields[name])
    elif (predicate := _parse_unnamed_term(term, fields)) is not None:
        return predicate
    field_names = [name if name in _FLAG_FIELDS else f"{name}=" for name in fields]
    raise UsageError(f'unknown filter "{sanitize(term, 20)}": {" ".join(field_names)}, or 28NOV, 98000, call, put')


def _parse_unnamed_term(term: str, fields: Mapping[str, FieldGetter]) -> Callable[[Any], bool] | None:
    """The predicate of a term without a name: `put`, `block`, `28NOV`, `98000`."""
    folded = term.casefold()
    if folded in _FLAG_FIELDS and folded in fields:
        get_value = fields[folded]
        return lambda row: get_value(row) is True
    if folded.rstrip("s") in ("c", "p", "call", "put"):
        return _build_comparison("type", "=", folded, fields["type"])
    if folded in ("buy", "sell") and "side" in fields:
        return _build_comparison("side", "=", folded, fields["side"])
    if _NUMBER_PATTERN.fullmatch(term):
        return _build_comparison("strike", "=", term, fields["strike"])
    return _build_comparison("exp", "=", term, fields["exp"]) if _EXPIRY_PATTERN.fullmatch(term) else None


def _build_comparison(name: str, op: str, operand: str, get_value: FieldGetter) -> Callable[[Any], bool]:
    if name not in _TEXT_FIELDS:
        bound, compare = _parse_number(name, operand), _COMPARISONS[op]
        return lambda row: (value := get_value(row)) is not None and compare(value, bound)
    if op not in ("=", "!="):
        raise UsageError(f"{name} takes = or !=: {name}={sanitize(operand, 12)} or {name}!={sanitize(operand, 12)}")
    prefix, equal = operand.casefold().lstrip("0").rstrip("s"), op == "="
    return lambda row: (value := get_value(row)) is not None and str(value).startswith(prefix) is equal


def _parse_number(name: str, text: str) -> float:
    """The value of `98,000`, `98k`, `1.5m` or `40%`."""
    found = _NUMBER_PATTERN.fullmatch(text)
    if found is None:
        raise UsageError(f'{name} needs a number such as 10, 98k or 40%, not "{sanitize(text, 20)}"')
    return float(found[1].replace(",", "")) * _SUFFIX_SCALE[found[2].casefold()]
