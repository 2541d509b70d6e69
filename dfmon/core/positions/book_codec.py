"""Serialises a position book, so that a restart continues bit for bit however options are numbered then."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from dfmon.core.positions.position_book import PositionBook
from dfmon.core.positions.position_state import PositionState
from dfmon.core.positions.replay import Replays
from dfmon.model.frames import F64, I64
from dfmon.model.state_codec import decode_array, encode_array, fields_digest

MAGIC: Final = b"book 3\n"
MAGIC_PREFIX: Final = b"book "
_OTHER_VERSION: Final = "the stored positions are of another version of dfmon"
_CHECKSUM: Final = 16


class OtherVersionError(ValueError):
    """Intact positions that another version of dfmon stored."""


class _StoredBook(msgspec.Struct, frozen=True):
    state: PositionState
    seq: I64
    lost: F64
    replays: Replays
    frame_names: tuple[str, ...]
    frame_rows: I64


@cache
def _fields() -> bytes:
    return fields_digest(_StoredBook)


def encode_book(book: PositionBook) -> bytes:
    """The book as bytes: a magic line, a checksum, the digest of its fields, and a MessagePack record.

    About 650 bytes an option.
    """
    state = replace(book.state, revision=np.zeros_like(book.state.revision))  # it counts how often, not what
    stored = _StoredBook(state, book.seq, book.lost, book.replays, book.frame_names, book.frame_rows)
    body = _fields() + msgspec.msgpack.encode(stored, enc_hook=encode_array)
    return MAGIC + blake2b(body, digest_size=_CHECKSUM).digest() + body


def decode_book(data: bytes, underlying: str) -> PositionBook:
    """The book encoded by `encode_book`. Raises ValueError with one sentence for damaged bytes.

    It is OtherVersionError for the book of another version.
    """
    if data.startswith(MAGIC_PREFIX) and not data.startswith(MAGIC):
        raise OtherVersionError(_OTHER_VERSION)
    start = len(MAGIC) + _CHECKSUM
    body, fields = data[start:], _fields()
    if data[: len(MAGIC)] != MAGIC or blake2b(body, digest_size=_CHECKSUM).digest() != data[len(MAGIC) : start]:
        raise ValueError(f"stored positions: the checksum of {len(data)} bytes is wrong, the state is damaged")
    if body[: len(fields)] != fields:
        raise OtherVersionError(_OTHER_VERSION)
    try:
        stored = msgspec.msgpack.decode(body[len(fields) :], type=_StoredBook, dec_hook=decode_array)
    except (msgspec.MsgspecError, ValueError, TypeError):
        raise ValueError("stored positions: no state of dfmon") from None
    return PositionBook.restored(
        underlying, stored.state, stored.seq, stored.lost, stored.replays, stored.frame_names, stored.frame_rows
    )  # fmt: skip
