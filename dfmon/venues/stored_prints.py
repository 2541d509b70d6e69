"""Stored option prints as the body of a response: they enter like a page of the archive, and are recorded like one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from dfmon.model.events import OptionTrade

# A print without venue and name, in the order of OptionTrade.
StoredPrint = tuple[str, int, int, int, float, float, float, float, bool, bool, bool, str, str]
_decoder: Final = msgspec.msgpack.Decoder(list[StoredPrint])

STORED_TAG: Final = "stored"


def stored_tag(name: str) -> str:
    """The tag of the response with the stored prints of an option."""
    return f"{STORED_TAG}:{name}"


def encode_stored(rows: Sequence[StoredPrint]) -> bytes:
    return msgspec.msgpack.encode(rows)


def decode_stored(venue: str, name: str, body: bytes) -> list[OptionTrade]:
    """The prints of `encode_stored`. Raises if the bytes or the numbers are not those of a history from print 1 on."""
    trades = [OptionTrade(venue, name, *row) for row in _decoder.decode(body)]
    if any(trade.seq != number for number, trade in enumerate(trades, 1)):
        raise ValueError(f"the stored prints of {name} are not a history from the first one on")
    return trades
