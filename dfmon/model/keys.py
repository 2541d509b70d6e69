"""Hash keys of texts, the same in every run and on every machine, unlike Python's own hash."""

from __future__ import annotations

from hashlib import blake2b


def stable_key(text: str) -> int:
    """64 bits of BLAKE2b.

    >>> stable_key("BTC-27MAR26-100000-C")
    7287383217922205450
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
