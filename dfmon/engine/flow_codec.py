"""Serialises what `step` carries from tick to tick, but for the positions, which have a codec of their own.

The form follows the fields of `FlowState`: their digest stands before the data, and bytes of other fields are refused.
"""

from __future__ import annotations

from functools import cache
from typing import get_type_hints

import msgspec

from dfmon.core.positions.position_book import PositionBook
from dfmon.core.step import FlowState
from dfmon.model.state_codec import DIGEST, decode_array, encode_array, fields_digest


def encode_flow(state: FlowState) -> bytes:
    """The state without its positions: the digest of its fields and a MessagePack record."""
    stored_type, digest = _stored_form()
    fields = {name: getattr(state, name) for name in stored_type.__struct_fields__}
    return digest + msgspec.msgpack.encode(stored_type(**fields), enc_hook=encode_array)


def decode_flow(data: bytes, book: PositionBook) -> FlowState:
    """The state encoded by `encode_flow`, with these positions. Raises ValueError with one sentence on other bytes."""
    stored_type, digest = _stored_form()
    if data[:DIGEST] != digest:
        raise ValueError("the stored state of scenario and pressure is of another version")
    try:
        stored = msgspec.msgpack.decode(data[DIGEST:], type=stored_type, dec_hook=decode_array)
    except (msgspec.MsgspecError, ValueError, TypeError):
        raise ValueError("the stored state of scenario and pressure is damaged") from None
    fields = {name: getattr(stored, name) for name in stored_type.__struct_fields__}
    return FlowState(book=book, **fields)


@cache
def _stored_form() -> tuple[type[msgspec.Struct], bytes]:
    """The record type and the digest of all fields below it."""
    types = {name: hint for name, hint in get_type_hints(FlowState).items() if name != "book"}
    return msgspec.defstruct("StoredFlow", list(types.items())), fields_digest(FlowState, (PositionBook,))
