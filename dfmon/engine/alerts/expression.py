"""The language of alert rules: those of Python, with comparisons and arithmetic of fields alone.

`BTC.regime.side == "short" and BTC.features.phi_gamma > BTC.features.phi_gamma.mid`; without a coin in front a name is
a field of each coin in turn. Names, types, units and texts are checked once, when the rule is read; Python evaluates
nothing. A null field makes what rests on it unknown: a comparison with it is neither true nor false, and an
unknown condition never fires.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from dfmon.engine.alerts import terms
from dfmon.engine.alerts.fields import snapshot_fields
from dfmon.engine.alerts.terms import ExpressionError, Scope, Term, Value
from dfmon.model.snapshot import FlowSnapshot

MAX_LETTERS: Final = 2_000
MAX_NODES: Final = 300
_ORDER: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The value of a condition, None while it is unknown, and those of the fields that it read."""

    value: bool | None
    fields: Mapping[str, Value]

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that were null."""
        return tuple(name for name, value in self.fields.items() if value is None)


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition. `coins` are those that it names; `is_per_coin`: it also names fields without one."""

    text: str
    coins: frozenset[str]
    is_per_coin: bool
    _term: Term

    def evaluate(self, snapshots: Mapping[str, FlowSnapshot], underlying: str) -> Outcome:
        """Its value for a coin, by the newest snapshot of each."""
        scope = Scope(snapshots, underlying)
        value = self._term.compute(scope)
        assert value is None or isinstance(value, bool)
        return Outcome(value, scope.values)


def read_condition(text: str) -> Condition:
    """The condition of a rule. Raises ExpressionError."""
    if len(text) > MAX_LETTERS:
        raise ExpressionError(f"it has {len(text):,} letters, allowed are {MAX_LETTERS:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as exc:
        raise ExpressionError(f"it is no expression: {exc.msg}", exc.offset or 1) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("it is no expression, or nested too deeply") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise ExpressionError(f"it has more than {MAX_NODES} parts")
    checker = _Checker()
    term = checker.check(tree)
    if term.kind != "truth":
        raise ExpressionError(f"it is a {term.kind}, a comparison is expected")
    if term.items:
        raise ExpressionError(f"{term.items} is a list: any(…) or all(…) of its rows is expected")
    return Condition(text.strip(), frozenset(checker.coins), checker.is_per_coin, term)


class _Checker:
    """Turns the tree of an expression into terms, each of which is checked."""

    def __init__(self) -> None:
        self.coins: set[str] = set()
        self.is_per_coin = False

    def check(self, node: ast.expr) -> Term:
        try:
            match node:
                case ast.Constant():
                    return terms.constant(node.value)
                case ast.Name() | ast.Attribute():
                    return self._name(node)
                case ast.BoolOp():
                    return terms.junction([self._truth(part) for part in node.values], isinstance(node.op, ast.And))
                case ast.UnaryOp(op=ast.Not()):
                    return terms.negation(self._truth(node.operand))
                case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                    return terms.signed(self._number(node.operand), isinstance(node.op, ast.USub))
                case ast.BinOp() if type(node.op) in terms.ARITHMETIC:
                    return terms.arithmetic(self._number(node.left), self._number(node.right), node.op)
                case ast.Compare():
                    return self._comparison(node)
                case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in terms.FUNCTIONS:
                    return self._call(name, args)
        except ExpressionError as exc:
            raise ExpressionError(str(exc), exc.column if exc.column > 1 else node.col_offset + 1) from None
        raise ExpressionError(f"this is not part of the language; allowed: {terms.ALLOWED}", node.col_offset + 1)

    def _number(self, node: ast.expr) -> Term:
        return self._of_kind(node, "number")

    def _truth(self, node: ast.expr) -> Term:
        return self._of_kind(node, "truth")

    def _of_kind(self, node: ast.expr, kind: str) -> Term:
        term = self.check(node)
        if term.kind != kind:
            raise ExpressionError(f"{ast.unparse(node)} is a {term.kind}, a {kind} is expected", node.col_offset + 1)
        return term

    def _name(self, node: ast.expr) -> Term:
        name = ast.unparse(node)
        first, _, rest = name.partition(".")
        if not re.fullmatch(r"\w+(\.\w+)*", name):
            raise ExpressionError(f"{name[:40]} is not the name of a field")
        coin = first if terms.COIN.fullmatch(first) else ""
        found = snapshot_fields().get(rest if coin else name)
        if found is None:
            raise ExpressionError(_unknown_name(name, coin, rest if coin else name))
        self.coins |= {coin} if coin else set()
        self.is_per_coin |= not coin
        return terms.field_term(found, coin, name)

    def _comparison(self, node: ast.Compare) -> Term:
        places = [node.left, *node.comparators]
        parts = []
        for op, left, right in zip(node.ops, places, places[1:]):
            try:
                parts.append(self._pair(op, left, right))
            except ExpressionError as exc:
                raise ExpressionError(str(exc), exc.column if exc.column > 1 else left.col_offset + 1) from None
        return parts[0] if len(parts) == 1 else terms.junction(parts, True)

    def _pair(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Term:
        if isinstance(op, ast.In | ast.NotIn):
            found = self._membership(left, right)
            return terms.negation(found) if isinstance(op, ast.NotIn) else found
        compare = _ORDER.get(type(op)) or _EQUALITY.get(type(op))
        if compare is None:
            raise ExpressionError(f"this comparison is not part of the language; allowed: {terms.ALLOWED}")
        one, other = self.check(left), self.check(right)
        terms.check_comparable(one, other, ast.unparse(left), ast.unparse(right))
        if type(op) in _ORDER and one.kind != "number":
            raise ExpressionError(f"{ast.unparse(left)} is a {one.kind}: == or != is expected")
        return terms.lifted(lambda a, b: compare(a, b), (one, other), "truth")

    def _membership(self, left: ast.expr, right: ast.expr) -> Term:
        """`FIELD in ("a", "b")`, or `"a" in LIST`."""
        one = self.check(left)
        if not isinstance(right, ast.Tuple | ast.List):
            texts = self._of_kind(right, "texts")
            if one.kind != "text":
                raise ExpressionError(f"{ast.unparse(left)} is a {one.kind}, a text is expected")
            return terms.lifted(lambda a, b: a in b, (one, texts), "truth")
        choices = [self.check(each) for each in right.elts]
        for choice, node in zip(choices, right.elts):
            terms.check_comparable(one, choice, ast.unparse(left), ast.unparse(node))
        return terms.lifted(lambda a, *rest: a in rest, (one, *choices), "truth")

    def _call(self, name: str, args: Sequence[ast.expr]) -> Term:
        if name == "known":
            return terms.known(self.check(_only(args, name)))
        if name in ("any", "all"):
            return terms.over_items(self._truth(_only(args, name)), name == "all")
        numbers = [self._number(each) for each in args]
        if name == "abs" and len(numbers) != 1:
            raise ExpressionError("abs takes one number")
        if name != "abs" and len(numbers) < 2:
            raise ExpressionError(f"{name} takes two numbers or more")
        unit = reduce(terms.common_unit, numbers[1:], numbers[0].unit)
        functions: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}
        return terms.lifted(functions[name], numbers, "number", unit)


def _only(args: Sequence[ast.expr], name: str) -> ast.expr:
    if len(args) != 1:
        raise ExpressionError(f"{name} takes one argument")
    return args[0]


def _unknown_name(name: str, coin: str, path: str) -> str:
    """The sentence for a name that is none, with the nearest ones."""
    known = list(snapshot_fields())
    ends = [each for each in known if each.endswith(f".{path}") and each.count(".") == path.count(".") + 1]
    close = list(dict.fromkeys([*ends, *difflib.get_close_matches(path, known, 3, 0.6)]))[:3]
    starts = [each for each in known if each.startswith(f"{path}.")][:6]
    nearest = [f"{coin}.{each}" if coin else each for each in (starts or close)]
    return f"there is no field {name[:80]}" + (f"; nearest: {', '.join(nearest)}" if nearest else "")
