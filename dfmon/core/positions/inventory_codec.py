"""Serialises an inventory, so that a restart continues bit for bit however options are numbered then."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from dfmon.core.positions.attribution import DIRECTION_NODES
from dfmon.core.positions.counter_rng import STREAMS
from dfmon.core.positions.inventory import RECORD, Inventory

VERSION: Final = 1
_DIGEST: Final = 16
_STORED_NAMES: Final = (
    "expiry_ns", "seq", "last_ns", "since_ns", "stirred_ns", "whole", "interest", "unseen", "volume", "squares",
    "missed", "opened", "watched", "balance", "unexplained", "variance", "tally",
)  # fmt: skip
"""Names of the columns of `RECORD` in files of version 1, in its order."""


class _StoredInventory(msgspec.Struct, frozen=True):
    version: int
    fields: list[str]
    shape: tuple[int, int]
    names: tuple[str, ...]
    book: bytes
    flows: bytes


def encode_inventory(inventory: Inventory) -> bytes:
    """The inventory as bytes: a checksum and a MessagePack record with the columns in their memory layout.

    Shapes: about 4 kB an option.
    """
    flows = b"".join(flow.tobytes() for flow in inventory.flows)
    stored = _StoredInventory(
        VERSION, _record_schema(), (DIRECTION_NODES, STREAMS), inventory.names, inventory.records.tobytes(), flows
    )
    body = msgspec.msgpack.encode(stored)
    return blake2b(body, digest_size=_DIGEST).digest() + body


def decode_inventory(data: bytes) -> Inventory:
    """The inventory encoded by `encode_inventory`.

    Raises ValueError with one sentence for bytes of another version, or damaged ones. Shapes: as `Inventory`.
    """
    digest, body = data[:_DIGEST], data[_DIGEST:]
    if blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise ValueError(f"stored positions: the checksum of {len(data)} bytes is wrong, the state is damaged")
    try:
        stored = msgspec.msgpack.decode(body, type=_StoredInventory)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        raise ValueError(f"stored positions: no state of dfmon: {exc}") from None
    if stored.version != VERSION or stored.fields != _record_schema() or stored.shape != (DIRECTION_NODES, STREAMS):
        raise ValueError(f"stored positions: version {stored.version} is not read by this dfmon, {VERSION} is")
    count = len(stored.names)
    flat = np.frombuffer(stored.flows, np.float64)
    if len(stored.book) != count * RECORD.itemsize or flat.size != count * DIRECTION_NODES * STREAMS:
        raise ValueError(f"stored positions: the columns do not fit {count} options")
    flows = tuple(
        flow.copy() for flow in flat.reshape(count, DIRECTION_NODES, STREAMS)
    )  # a view would retain the whole buffer
    return Inventory.from_records(stored.names, np.frombuffer(stored.book, RECORD), flows)


def _record_schema() -> list[str]:
    return [
        f"{stored} {RECORD[name].str}{RECORD[name].shape}"
        for stored, name in zip(_STORED_NAMES, RECORD.names or (), strict=True)
    ]
