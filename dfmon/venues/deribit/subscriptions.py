"""The channels that a connection to Deribit subscribes, and which of them may not fall silent.

Whole kinds and indices are subscribed, never a ticker per option: two thousand of those would be the larger part of a
megabyte a second, and bring nothing that the marks and the book summary do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dfmon.model.units import SECOND
from dfmon.venues.deribit.listing import INVERSE, LINEAR, Listings, index_name


def ticker_channel(future: str) -> str:
    return f"incremental_ticker.{future}"


def channels(listings: Listings) -> Iterator[str]:
    """Every channel of a new connection, the trades first."""
    for currency in listings.currencies:
        yield f"trades.option.{currency}.100ms"
        yield f"instrument.state.option.{currency}"
        yield f"instrument.creation.option.{currency}"
    for underlying in listings.underlyings:
        index = index_name(underlying)
        yield f"markprice.options.{index}"
        yield f"deribit_price_index.{index}"
        yield f"estimated_expiration_price.{index}"
        if underlying in INVERSE:
            yield f"deribit_volatility_index.{index}"
    yield from optional_channels(listings)
    yield "platform_state"
    yield "platform_state.public_methods_state"
    yield from map(ticker_channel, listings.futures)


# by kind of channel: the longest acceptable silence, s, and whether a longer one costs the connection
_MAX_SILENCE_S: Final = {
    "deribit_price_index": (10, True),
    "markprice": (60, True),
    "deribit_volatility_index": (60, False),
}
_PERPETUAL_MAX_SILENCE_S: Final = 15


def monitored_channels(channels: Iterable[str], optional: Sequence[str]) -> Iterator[tuple[str, int, bool]]:
    """Of `channels` those that must not fall silent: name, longest silence in ns, and whether it is critical."""
    for channel in channels:
        max_silence_s, critical = _MAX_SILENCE_S.get(channel.partition(".")[0], (0, False))
        if channel.endswith("-PERPETUAL"):
            max_silence_s = _PERPETUAL_MAX_SILENCE_S
        if max_silence_s:
            yield channel, max_silence_s * SECOND, critical and channel not in optional


def optional_channels(listings: Listings) -> list[str]:
    """Channels the venue may refuse: marks that the book summary brings too, and block RFQs, which only confirm."""
    block_rfqs = [f"block_rfq.trades.{currency}" for currency in listings.currencies]
    if LINEAR not in listings.currencies:
        return block_rfqs
    return [
        *block_rfqs,
        *(f"markprice.options.{name.lower()}_usdc" for name in listings.underlyings if name in INVERSE),
    ]
