"""The filter of a list: `exp=28NOV strike>100k put net<-50`. Parsed once, asked of every row.

A word alone is a kind of option, a flag, an expiry or a strike. What a row does not know never matches.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from dfmon.model.errors import UsageError
from dfmon.model.units import clean

Value = str | float | bool | None
Reading = Callable[[Any], Value]
List = Literal["tape", "positions"]

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
_TERM = re.compile(r"([A-Za-z]+)(>=|<=|!=|=|>|<)(.+)")
_NUMBER = re.compile(r"([+-]?\d[\d,]*(?:\.\d+)?)([kKmM%]?)", re.ASCII)
_EXPIRY = re.compile(r"\d{1,2}[A-Za-z]{1,3}\d{0,2}|\d{4}-\d\d(-\d\d)?", re.ASCII)
_SCALE: Final = {"": 1.0, "k": 1e3, "m": 1e6, "%": 0.01}


def _kind(row: Any) -> Value:
    return "call" if str(row.option_type)[:1].upper() == "C" else "put"


_COMMON: Final[Mapping[str, Reading]] = {
    "exp": lambda row: str(row.expiry).lstrip("0").casefold(),
    "strike": lambda row: float(row.strike),
    "type": _kind,
}
FIELDS: Final[Mapping[List, Mapping[str, Reading]]] = {
    "tape": {
        **_COMMON,
        "qty": lambda row: float(row.size),
        "side": lambda row: "buy" if row.side > 0 else "sell" if row.side < 0 else None,
        "iv": lambda row: None if row.iv is None else float(row.iv),
        "block": lambda row: bool(row.block),
        "combo": lambda row: bool(row.combo),
    },
    "positions": {
        **_COMMON,
        "oi": lambda row: float(row.open_interest),
        "net": lambda row: float(row.net),
        "long": lambda row: None if row.p_long is None else float(row.p_long),
        "seen": lambda row: None if row.seen is None else float(row.seen),
    },
}
_FLAGS: Final = ("block", "combo")
_TEXTS: Final = ("exp", "type", "side")


@dataclass(frozen=True, slots=True)
class Filter:
    """What was typed, and the tests it stands for; an empty one accepts every row."""

    text: str = ""
    tests: tuple[Callable[[Any], bool], ...] = ()

    def __call__(self, row: Any) -> bool:
        return all(test(row) for test in self.tests)

    def __repr__(self) -> str:
        return f"Filter({self.text!r})"


def parse(text: str, of: List) -> Filter:
    """The filter that `text` asks for. Raises UsageError in one sentence naming the word that means nothing."""
    words = text.split()
    return Filter(" ".join(words), tuple(_term(word, FIELDS[of]) for word in words))


def _term(word: str, fields: Mapping[str, Reading]) -> Callable[[Any], bool]:
    if found := _TERM.fullmatch(word):
        name, sign, wanted = found[1].casefold(), found[2], found[3]
        if name in fields and name not in _FLAGS:
            return _comparison(name, sign, wanted, fields[name])
    elif (test := _alone(word, fields)) is not None:
        return test
    known = [name if name in _FLAGS else f"{name}=" for name in fields]
    raise UsageError(f'"{clean(word, 20)}" is no filter here: {" ".join(known)}, or 28NOV, 98000, call, put')


def _alone(word: str, fields: Mapping[str, Reading]) -> Callable[[Any], bool] | None:
    """`put`, `block`, `28NOV` and `98000` need no name."""
    low = word.casefold()
    if low in _FLAGS and low in fields:
        reading = fields[low]
        return lambda row: reading(row) is True
    if low.rstrip("s") in ("c", "p", "call", "put"):
        return _comparison("type", "=", low, fields["type"])
    if low in ("buy", "sell") and "side" in fields:
        return _comparison("side", "=", low, fields["side"])
    if _NUMBER.fullmatch(word):
        return _comparison("strike", "=", word, fields["strike"])
    return _comparison("exp", "=", word, fields["exp"]) if _EXPIRY.fullmatch(word) else None


def _comparison(name: str, sign: str, wanted: str, reading: Reading) -> Callable[[Any], bool]:
    if name not in _TEXTS:
        bound, compare = _number(name, wanted), _COMPARE[sign]
        return lambda row: (value := reading(row)) is not None and compare(value, bound)
    if sign not in ("=", "!="):
        raise UsageError(f"{name} is a word: {name}={clean(wanted, 12)} or {name}!={clean(wanted, 12)}")
    start, equal = wanted.casefold().lstrip("0").rstrip("s"), sign == "="
    return lambda row: (value := reading(row)) is not None and str(value).startswith(start) is equal


def _number(name: str, text: str) -> float:
    """`98,000`, `98k`, `1.5m`, `40%`."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise UsageError(f'{name} wants a number, such as 10, 98k or 40%, and "{clean(text, 20)}" is none')
    return float(found[1].replace(",", "")) * _SCALE[found[2].casefold()]
