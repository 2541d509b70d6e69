"""The fields of a snapshot that an alert rule may name: every number, text and truth value of its JSON object.

A struct with a `value`, such as a metric, stands for that value. A path through a list is one value for each item.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import FlowSnapshot

Kind = Literal["number", "text", "truth", "texts"]
_EXCLUDED: Final = frozenset({"schema", "tables", "views", "session", "rule_alerts", "models"})
_UNITS_BY_END: Final = {"_usd": "USD", "_s": "s", "_ms": "ms", "_ns": "ns", "_pct": "%", "_hours": "h"}
_USD: Final = ("spot", "levels.", "flip.level", "flip.lo", "flip.hi", "regime.below.", "regime.above.")
_NO_LEVELS: Final = (".p", ".direction", ".age_s")


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its path. `items` is the path of the list that it lies in, empty outside of lists.

    `texts` are those that the field can have, empty where it can have any.
    """

    path: str
    kind: Kind
    unit: str = ""
    texts: tuple[str, ...] = ()
    items: str = ""

    @property
    def read(self) -> Callable[[Any], Any]:
        """The function that reads it from a snapshot, or from an item of its list; None where there is no value."""
        path = self.path.removeprefix(f"{self.items}.") if self.items else self.path
        return reader(path)


@lru_cache(1)
def snapshot_fields() -> dict[str, Field]:
    """All fields by path, and the structs that stand for their value."""
    return {field.path: field for field in _fields_of(FlowSnapshot, "", "")}


def _fields_of(struct: type[msgspec.Struct], prefix: str, items: str) -> Iterator[Field]:
    for field in msgspec.structs.fields(struct):
        if prefix or field.name not in _EXCLUDED:
            yield from _fields_at(field.type, f"{prefix}{field.name}", items)


def _fields_at(declared: Any, path: str, items: str) -> Iterator[Field]:
    kind = _without_none(declared)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        found = list(_fields_of(kind, f"{path}.", items))
        value = next((field for field in found if field.path == f"{path}.value"), None)
        if value is not None:
            yield Field(path, value.kind, value.unit, value.texts, items)
        yield from found
    elif get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis:
        item = get_args(kind)[0]
        if item is str and not items:
            yield Field(path, "texts", items=items)
        elif isinstance(item, type) and issubclass(item, msgspec.Struct) and not items:
            yield from _fields_of(item, f"{path}.", path)
    elif kind is bool:
        yield Field(path, "truth", items=items)
    elif kind in (int, float):
        yield Field(path, "number", _unit_of(path), items=items)
    elif kind is str:
        yield Field(path, "text", items=items)
    elif get_origin(kind) is Literal:
        yield Field(path, "text", texts=get_args(kind), items=items)


def _without_none(declared: Any) -> Any:
    """The one type of a union with None or UNSET."""
    if get_origin(declared) not in (Union, types.UnionType):
        return declared
    kinds = [kind for kind in get_args(declared) if kind not in (type(None), msgspec.UnsetType)]
    return kinds[0] if len(kinds) == 1 else declared


def _unit_of(path: str) -> str:
    """The unit of a number, empty where it is none of those that are compared."""
    parts = path.split(".")
    if parts[0] == "metrics" and parts[-1] in ("value", "lo", "hi"):
        return METRICS[parts[1]].unit
    if path.startswith(_USD) and not path.endswith(_NO_LEVELS):
        return "USD"
    return next((unit for end, unit in _UNITS_BY_END.items() if path.endswith(end)), "")


def reader(path: str) -> Callable[[Any], Any]:
    """The function that reads a path; None where there is nothing on the way."""
    names = [attrgetter(name) for name in path.split(".")]

    def read(found: Any) -> Any:
        for get in names:
            if found is None:
                return None
            found = get(found)
        if isinstance(found, msgspec.Struct):
            found = getattr(found, "value", None)
        return None if found is msgspec.UNSET else found

    return read
