"""State that a run leaves to the next one: the estimator's state of each underlying, and where its prints end.

Enters a session as its first record, so a replay of that session begins with the same. Bytes are checked as a whole:
what is damaged or of another version is refused in one sentence, and nothing of it is used.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec

from dfmon.core.positions.inventory import Inventory
from dfmon.core.positions.inventory_codec import decode_inventory, encode_inventory
from dfmon.model.units import MILLISECOND, sanitize

VERSION: Final = 1
_MAGIC: Final = b"dfmon positions\n"
_DIGEST_SIZE: Final = 16


class UnderlyingCheckpoint(msgspec.Struct, frozen=True):
    """Of one underlying: the inventory as bytes (empty: none), and the time of the newest print it rests on."""

    positions: bytes
    newest_ms: int


class PositionsCheckpoint(msgspec.Struct, frozen=True, rename={"underlyings": "held"}):
    """State by underlying; `exchange` is the host it is of, `rests_on` says under which priors it was made."""

    version: int
    exchange: str
    rests_on: str
    saved_ns: int
    underlyings: dict[str, UnderlyingCheckpoint]

    @classmethod
    def from_inventories(
        cls,
        exchange: str,
        rests_on: str,
        saved_ns: int,
        inventories: Mapping[str, Inventory],
        previous: PositionsCheckpoint | None,
    ) -> PositionsCheckpoint:
        """The state now; underlyings that only an earlier run watched stay as it left them."""
        underlyings = dict(previous.underlyings) if previous is not None else {}
        for underlying, inventory in inventories.items():
            if inventory.names:
                newest_ms = int(inventory.records["last_ns"].max()) // MILLISECOND
                underlyings[underlying] = UnderlyingCheckpoint(encode_inventory(inventory), newest_ms)
        return cls(VERSION, exchange, rests_on, saved_ns, underlyings)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Resume point of a decoder: last print by option, options with full history, newest print by underlying."""

    last_seq: Mapping[str, int]
    full_history: frozenset[str]
    newest_ms: Mapping[str, int]


def find_resume_point(inventories: Iterable[Inventory], newest_ms: Mapping[str, int]) -> ResumePoint:
    """The last prints of `inventories`. An option without a print is known only if it is known to have none."""
    last_seq: dict[str, int] = {}
    full_history: set[str] = set()
    for inventory in inventories:
        for name, seq, is_full in zip(
            inventory.names, inventory.records["seq"].tolist(), inventory.records["full_history"].tolist()
        ):
            if is_full:
                full_history.add(name)
            if seq or is_full:
                last_seq[name] = seq
    return ResumePoint(last_seq, frozenset(full_history), {name: ms for name, ms in newest_ms.items() if ms})


def priors_digest(params: msgspec.Struct) -> str:
    """A name for the priors in force."""
    return blake2b(msgspec.json.encode(params), digest_size=8).hexdigest()


def encode_checkpoint(checkpoint: PositionsCheckpoint) -> bytes:
    """The memory as bytes: a mark, a checksum, and what it holds, compressed."""
    body = zlib.compress(msgspec.msgpack.encode(checkpoint), 1)
    return _MAGIC + blake2b(body, digest_size=_DIGEST_SIZE).digest() + body


def decode_checkpoint(data: bytes) -> tuple[PositionsCheckpoint, dict[str, Inventory]]:
    """The checkpoint behind `encode_checkpoint`, with its inventories. Raises ValueError with one sentence for
    anything else.
    """
    start = len(_MAGIC) + _DIGEST_SIZE
    if not data.startswith(_MAGIC):
        raise ValueError("no stored positions of dfmon")
    body = data[start:]
    if blake2b(body, digest_size=_DIGEST_SIZE).digest() != data[len(_MAGIC) : start]:
        raise ValueError(f"the checksum of {len(data)} bytes is wrong, the stored positions are damaged")
    try:
        checkpoint = msgspec.msgpack.decode(zlib.decompress(body), type=PositionsCheckpoint)
    except (zlib.error, msgspec.MsgspecError) as exc:
        raise ValueError(f"stored positions in another form: {sanitize(str(exc))}") from None
    if checkpoint.version != VERSION:
        raise ValueError(f"stored positions of version {checkpoint.version}, this dfmon reads {VERSION}")
    return checkpoint, {
        name: decode_inventory(entry.positions) for name, entry in checkpoint.underlyings.items() if entry.positions
    }
