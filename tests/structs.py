"""Structs made from their own fields, so that a test names only what it is about and a new field needs no edit.

`complete` has a value of the declared type in every field, and numbers that differ; `empty` is what there is when
nothing could be computed. Both take other values by the fields' names.
"""

from __future__ import annotations

import zlib
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from msgspec import NODEFAULT, UNSET, Struct, UnsetType
from msgspec.structs import FieldInfo, fields, replace

from dfmon.model.snapshot import Views

S = TypeVar("S", bound=Struct)


def complete(kind: type[S], /, **overrides: Any) -> S:
    """A value in every field; a tuple of any length has one item."""
    made: S = _complete(kind, kind.__name__, ())
    return replace(made, **overrides)


def empty(kind: type[S], /, **overrides: Any) -> S:
    """The defaults, and None, zero or no items in every other field; the quality "absent"."""
    made: S = _empty(kind)
    return replace(made, **overrides)


@cache
def _complete(kind: type[S], path: str, outer: tuple[type[Struct], ...]) -> S:
    outer = (*outer, kind)
    return kind(**{field.name: _value(field.type, f"{path}.{field.name}", outer) for field in fields(kind)})


@cache
def _empty(kind: type[S]) -> S:
    return kind(**{field.name: _nothing(field) for field in fields(kind)})


def _value(kind: Any, path: str, outer: tuple[type[Struct], ...]) -> object:
    """A value of a field's type; a number follows from the field's path, so that it stays when others are added.

    A struct that holds others of its own type has none of them.
    """
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return _value(_alternatives(kind)[0], path, outer)
    if get_origin(kind) is Literal:
        return arguments[0]
    if get_origin(kind) is tuple:
        items = arguments[:1] if Ellipsis in arguments else arguments
        return tuple(_value(item, f"{path}.{n}", outer) for n, item in enumerate(items) if item not in outer)
    if get_origin(kind) is dict:
        return {"key": _value(arguments[1], f"{path}.key", outer)}
    if issubclass(kind, Struct):
        return _complete(kind, path, outer)
    number = 1 + zlib.crc32(path.encode()) % 1000
    values: dict[object, object] = {float: number / 8, int: number, str: path.rpartition(".")[2], bool: True}
    return UNSET if kind is Views else values.get(kind)  # None for what is no plain value


def _nothing(field: FieldInfo) -> object:
    if field.default not in (NODEFAULT, UNSET):
        return field.default
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    if NoneType in get_args(field.type):
        return None
    kind = _alternatives(field.type)[0]
    if kind is Views:
        return UNSET
    if get_origin(kind) is Literal:
        return "absent" if "absent" in get_args(kind) else get_args(kind)[0]
    if get_origin(kind) is tuple:
        return ()
    return _empty(kind) if issubclass(kind, Struct) else kind()


def _alternatives(kind: Any) -> list[Any]:
    """The types of a union that hold something, or the type itself."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return [member for member in members if member not in (NoneType, UnsetType)]
