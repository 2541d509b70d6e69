"""Checked parts of the condition of an alert rule: each computes its value, None where it is unknown."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from dfmon.engine.alerts.fields import Field, reader
from dfmon.model.snapshot import FlowSnapshot

Value = float | str | bool | tuple[str, ...] | None  # None: unknown

FUNCTIONS: Final = ("abs", "min", "max", "any", "all", "known")
COIN: Final = re.compile(r"[A-Z0-9]{2,10}")
ARITHMETIC: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ALLOWED: Final = "and or not, < <= > >= == != in, + - * /, numbers, texts in quotes, and " + ", ".join(FUNCTIONS)


class ExpressionError(ValueError):
    """An expression that is refused: what is wrong, and the column of the text at which it is, from 1."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


@dataclass(slots=True)
class Scope:
    """The snapshots that names are read from, and the values that were read: of a list those of its deciding row."""

    snapshots: Mapping[str, FlowSnapshot]
    underlying: str
    item: Any = None
    item_values: dict[str, Value] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Term:
    """A checked part of an expression. `texts` are those that it can have, `items` the list of whose rows it is."""

    kind: str
    compute: Callable[[Scope], Value]
    unit: str = ""
    texts: tuple[str, ...] = ()
    items: str = ""
    name: str = ""


def constant(value: object) -> Term:
    if isinstance(value, bool):
        return Term("truth", lambda _: value)
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ExpressionError("the number is too large")
        return Term("number", lambda _: number, "any")
    if isinstance(value, str):
        return Term("text", lambda _: value, texts=(value,), name="constant")
    raise ExpressionError(f"this is not part of the language; allowed: {ALLOWED}")


def field_term(found: Field, coin: str, name: str) -> Term:
    read = found.read

    def compute(scope: Scope) -> Value:
        if found.items:
            value: Value = read(scope.item)
            scope.item_values[name] = value
            return value
        snapshot = scope.snapshots.get(coin or scope.underlying)
        value = None if snapshot is None else read(snapshot)
        scope.values[name] = value
        return value

    items = f"{coin}.{found.items}" if coin and found.items else found.items
    return Term(found.kind, compute, found.unit, found.texts, items, name)


def items_of(terms: Sequence[Term]) -> str:
    """The list whose rows the terms are of. Raises ExpressionError where there are two."""
    lists = sorted({term.items for term in terms if term.items})
    if len(lists) > 1:
        raise ExpressionError(f"{lists[0]} and {lists[1]} are two lists, which have no rows in common")
    return lists[0] if lists else ""


def lifted(function: Callable[..., Any], terms: Sequence[Term], kind: str, unit: str = "") -> Term:
    """A function of terms, unknown where one of them is, or where it has no finite value."""

    def compute(scope: Scope) -> Value:
        values = [term.compute(scope) for term in terms]
        if any(value is None for value in values):
            return None
        found: Value = function(*values)
        return None if isinstance(found, float) and not math.isfinite(found) else found

    return Term(kind, compute, unit, items=items_of(terms))


def known(term: Term) -> Term:
    return Term("truth", lambda scope: term.compute(scope) is not None, items=term.items)


def negation(term: Term) -> Term:
    return lifted(operator.not_, [term], "truth")


def signed(term: Term, is_negative: bool) -> Term:
    return lifted(operator.neg if is_negative else operator.pos, [term], "number", term.unit)


def junction(terms: Sequence[Term], is_and: bool) -> Term:
    """`and`, `or`: decided by a part that is false, true; else unknown where a part is."""

    def compute(scope: Scope) -> Value:
        values = [term.compute(scope) for term in terms]
        if (not is_and) in values:
            return not is_and
        return None if None in values else is_and

    return Term("truth", compute, items=items_of(terms))


def over_items(term: Term, is_all: bool) -> Term:
    """`any` or `all` over the rows of the list that is named."""
    if not term.items:
        raise ExpressionError("any and all take a comparison of the fields of a list, such as feeds.age_s > 30")
    first, _, rest = term.items.partition(".")
    coin = first if COIN.fullmatch(first) else ""
    read = reader(rest if coin else term.items)

    def compute(scope: Scope) -> Value:
        rows = read(scope.snapshots.get(coin or scope.underlying))
        if rows is None:
            return None
        is_known = True
        for scope.item in rows:
            scope.item_values = {}
            value = term.compute(scope)
            if value is (not is_all):
                scope.values.update(_row_name(scope.item, term.items) | scope.item_values)
                return value
            if value is None:
                is_known = False
                scope.values.update({name: None for name, found in scope.item_values.items() if found is None})
        return is_all if is_known else None

    return Term("truth", compute)


def _row_name(row: msgspec.Struct, items: str) -> dict[str, Value]:
    """The first field of a row, which tells it from the others: the name of a feed, the strike of a level."""
    first = row.__struct_fields__[0]
    return {f"{items}.{first}": getattr(row, first)}


def arithmetic(left: Term, right: Term, op: ast.operator) -> Term:
    function = ARITHMETIC[type(op)]
    if isinstance(op, ast.Add | ast.Sub):
        unit = common_unit(left.unit, right)
    else:
        unit = (
            left.unit if right.unit == "any" else right.unit if left.unit == "any" and isinstance(op, ast.Mult) else ""
        )

    def compute(one: float, other: float) -> float | None:
        try:
            return function(one, other)
        except (ZeroDivisionError, OverflowError):
            return None

    return lifted(compute, [left, right], "number", unit)


def common_unit(unit: str, other: Term) -> str:
    """The unit of a sum. Raises ExpressionError for two units. "any" is that of a plain number, "" is not known."""
    units = {unit, other.unit} - {"any", ""}
    if len(units) == 2:
        first, second = sorted(units)
        raise ExpressionError(f"{first} and {second} are different units")
    return units.pop() if units else "any" if unit == other.unit == "any" else ""


def check_comparable(one: Term, other: Term, left: str, right: str) -> None:
    """Raises ExpressionError for two terms that cannot be equal or ordered."""
    if one.kind != other.kind or one.kind == "texts":
        raise ExpressionError(f"{left} is a {one.kind} and {right} a {other.kind}: they cannot be compared")
    if one.kind == "number":
        units = {one.unit, other.unit} - {"any", ""}
        if len(units) == 2:
            raise ExpressionError(f"{left} is in {one.unit} and {right} in {other.unit}: they cannot be compared")
    for term, constant in ((one, other), (other, one)):
        if constant.name == "constant" and term.texts and constant.texts[0] not in term.texts:
            found, allowed = constant.texts[0], ", ".join(term.texts)
            raise ExpressionError(f"{term.name} is never {found[:40]!r}, allowed: {allowed}")
