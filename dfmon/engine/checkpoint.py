"""What a run hands to the next one: the estimator's state of each underlying, and where its prints end.

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
from dfmon.core.positions.inventory_codec import from_bytes, to_bytes
from dfmon.model.units import MILLISECOND, clean

VERSION: Final = 1
_MAGIC: Final = b"dfmon positions\n"
_DIGEST: Final = 16


class Held(msgspec.Struct, frozen=True):
    """Of one underlying: the inventory as bytes (empty: none), and the time of the newest print it rests on."""

    positions: bytes
    newest_ms: int


class Memory(msgspec.Struct, frozen=True):
    """State by underlying; `exchange` is the host it is of, `rests_on` says under which priors it was made."""

    version: int
    exchange: str
    rests_on: str
    saved_ns: int
    held: dict[str, Held]

    @classmethod
    def of(
        cls, exchange: str, rests_on: str, saved_ns: int, inventories: Mapping[str, Inventory], before: Memory | None
    ) -> Memory:
        """The state now; underlyings that only an earlier run watched stay as it left them."""
        held = dict(before.held) if before is not None else {}
        for underlying, inventory in inventories.items():
            if inventory.names:
                newest_ms = int(inventory.book["last_ns"].max()) // MILLISECOND
                held[underlying] = Held(to_bytes(inventory), newest_ms)
        return cls(VERSION, exchange, rests_on, saved_ns, held)


@dataclass(frozen=True, slots=True)
class Known:
    """What a decoder is told: number of the last print by option, options known whole, newest print by underlying."""

    last: Mapping[str, int]
    whole: frozenset[str]
    newest_ms: Mapping[str, int]


def known(inventories: Iterable[Inventory], newest_ms: Mapping[str, int]) -> Known:
    """Where the prints of `inventories` end. An option without a print is known only if it is known to have none."""
    last: dict[str, int] = {}
    whole: set[str] = set()
    for inventory in inventories:
        for name, seq, from_birth in zip(
            inventory.names, inventory.book["seq"].tolist(), inventory.book["whole"].tolist()
        ):
            if from_birth:
                whole.add(name)
            if seq or from_birth:
                last[name] = seq
    return Known(last, frozenset(whole), {name: ms for name, ms in newest_ms.items() if ms})


def priors_of(params: msgspec.Struct) -> str:
    """A name for the priors in force."""
    return blake2b(msgspec.json.encode(params), digest_size=8).hexdigest()


def pack(memory: Memory) -> bytes:
    """The memory as bytes: a mark, a checksum, and what it holds, compressed."""
    body = zlib.compress(msgspec.msgpack.encode(memory), 1)
    return _MAGIC + blake2b(body, digest_size=_DIGEST).digest() + body


def unpack(data: bytes) -> tuple[Memory, dict[str, Inventory]]:
    """What `pack` made, with its inventories. Raises ValueError with one sentence for anything else."""
    start = len(_MAGIC) + _DIGEST
    if not data.startswith(_MAGIC):
        raise ValueError("no stored positions of dfmon")
    body = data[start:]
    if blake2b(body, digest_size=_DIGEST).digest() != data[len(_MAGIC) : start]:
        raise ValueError(f"the checksum of {len(data)} bytes is wrong, the stored positions are damaged")
    try:
        memory = msgspec.msgpack.decode(zlib.decompress(body), type=Memory)
    except (zlib.error, msgspec.MsgspecError) as exc:
        raise ValueError(f"stored positions in another form: {clean(str(exc))}") from None
    if memory.version != VERSION:
        raise ValueError(f"stored positions of version {memory.version}, this dfmon reads {VERSION}")
    return memory, {name: from_bytes(held.positions) for name, held in memory.held.items() if held.positions}
