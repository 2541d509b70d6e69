"""Serialises what `step` carries from tick to tick, but for the inventory, which has a codec of its own.

The form follows the fields of `FlowState`: their digest stands before the data, and bytes of other fields are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from typing import Any, Final, get_args, get_type_hints

import msgspec
import numpy as np

from dfmon.core.positions.inventory import Inventory
from dfmon.core.step import FlowState

_DIGEST: Final = 8
_PACKAGE: Final = "dfmon."


def encode_flow(state: FlowState) -> bytes:
    """The state without its inventory: the digest of its fields and a MessagePack record."""
    stored_type, digest = _stored_form()
    fields = {name: getattr(state, name) for name in stored_type.__struct_fields__}
    return digest + msgspec.msgpack.encode(stored_type(**fields), enc_hook=_encode_array)


def decode_flow(data: bytes, inventory: Inventory) -> FlowState:
    """The state encoded by `encode_flow`, with this inventory. Raises ValueError with one sentence on other bytes."""
    stored_type, digest = _stored_form()
    if data[:_DIGEST] != digest:
        raise ValueError("the stored state of scenario and pressure is of another version")
    try:
        stored = msgspec.msgpack.decode(data[_DIGEST:], type=stored_type, dec_hook=_decode_array)
    except (msgspec.MsgspecError, ValueError, TypeError):
        raise ValueError("the stored state of scenario and pressure is damaged") from None
    fields = {name: getattr(stored, name) for name in stored_type.__struct_fields__}
    return FlowState(inventory=inventory, **fields)


@cache
def _stored_form() -> tuple[type[msgspec.Struct], bytes]:
    """The record type and the digest of all fields below it."""
    types = {name: hint for name, hint in get_type_hints(FlowState).items() if name != "inventory"}
    schema = "\n".join(_field_lines(FlowState, set()))
    return msgspec.defstruct("StoredFlow", list(types.items())), blake2b(schema.encode(), digest_size=_DIGEST).digest()


def _field_lines(owner: Any, seen: set[Any]) -> Iterator[str]:
    """One line for each field of a dataclass or struct of dfmon and of those below it, each type once."""
    if owner in seen:
        return
    seen.add(owner)
    if getattr(owner, "__module__", "").startswith(_PACKAGE) and owner is not Inventory:
        is_record = dataclasses.is_dataclass(owner) or hasattr(owner, "__struct_fields__")
        for name, hint in get_type_hints(owner).items() if is_record else ():
            yield f"{owner.__name__}.{name}: {hint}"
            yield from _field_lines(hint, seen)
    for argument in get_args(owner):
        yield from _field_lines(argument, seen)


def _encode_array(value: Any) -> tuple[str, tuple[int, ...], bytes]:
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"{type(value).__name__} in the state of a step")
    return value.dtype.str, value.shape, value.tobytes()


def _decode_array(_: Any, stored: tuple[str, list[int], bytes]) -> Any:
    dtype, shape, data = stored
    return np.frombuffer(data, dtype).reshape(shape)
