"""What is asked of Deribit: the channels of the whole chain, and the REST calls that complete them.

Kinds and indices are subscribed, never a ticker per option: two thousand of those would be the larger part of a
megabyte a second, and say nothing that the marks and the book summary do not. `protocol` decides when to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dfmon.model.units import SECOND
from dfmon.venues.deribit.listing import INVERSE, LINEAR, Listings, index_name
from dfmon.venues.deribit.trades.sequencer import PAGE_SIZE, SequenceGap
from dfmon.venues.rest.queue import RestQueue

_TICKER_STRIDE: Final = (
    7_919  # from one option to the next whose ticker is asked for: a prime, so that all have their turn
)
LISTING_COST: Final = 4.0  # ordinary calls: the venue allows one listing a second


def ticker_channel(future: str) -> str:
    return f"incremental_ticker.{future}"


def channels(listings: Listings) -> Iterator[str]:
    """Every channel wanted on a new connection, the trades first."""
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


# by channel kind: the longest silence in order, s, and whether a new connection is made when it is over
_MAX_SILENCE_S: Final = {
    "deribit_price_index": (10, True),
    "markprice": (60, True),
    "deribit_volatility_index": (60, False),
}
_PERPETUAL_MAX_SILENCE_S: Final = 15


def monitored_channels(channels: Iterable[str], optional: Sequence[str]) -> Iterator[tuple[str, int, bool]]:
    """Of these channels those that must not fall silent: within how long, ns, and whether all rests on it."""
    for channel in channels:
        max_channel_silence_s, critical = _MAX_SILENCE_S.get(channel.partition(".")[0], (0, False))
        if channel.endswith("-PERPETUAL"):
            max_channel_silence_s = _PERPETUAL_MAX_SILENCE_S
        if max_channel_silence_s:
            yield channel, max_channel_silence_s * SECOND, critical and channel not in optional


def optional_channels(listings: Listings) -> list[str]:
    """Channels the venue may not know: marks that the book summary brings too, and requests, which only confirm."""
    block_rfqs = [f"block_rfq.trades.{currency}" for currency in listings.currencies]
    if LINEAR not in listings.currencies:
        return block_rfqs
    return [
        *block_rfqs,
        *(f"markprice.options.{name.lower()}_usdc" for name in listings.underlyings if name in INVERSE),
    ]


class DeribitRestQueue(RestQueue):
    """The GETs, by what they are for. Tags begin with the kind of the answer: see the protocol's `_answers`."""

    def __init__(self) -> None:
        super().__init__()
        self._ticker_index = 0

    def listings(self, listings: Listings) -> None:
        for currency in listings.currencies:
            self.request_listing(currency, "option")
        for currency in listings.future_currencies:
            self.request_listing(currency, "future")

    def request_listing(self, currency: str, kind: str) -> None:
        tag = f"instruments:{currency}:{kind}"
        self.enqueue(tag, "/public/get_instruments", cost=LISTING_COST, currency=currency, kind=kind, expired="false")

    def request_summary(self, listings: Listings, currency: str) -> None:
        """Open interest and forwards of a currency's options; and of one, another each time, the venue's own greeks.

        The next poll is the retry.
        """
        path = "/public/get_book_summary_by_currency"
        self.enqueue(f"summary:{currency}", path, retry=False, currency=currency, kind="option")
        names = listings.live_options(currency)
        if names:
            self._ticker_index += _TICKER_STRIDE
            name = names[self._ticker_index % len(names)]
            self.enqueue(f"ticker:{name}", "/public/ticker", retry=False, instrument_name=name)

    def request_futures(self, currency: str) -> None:
        """Marks, open interest and funding of the perpetuals and dated futures; the next poll is the retry."""
        path = "/public/get_book_summary_by_currency"
        self.enqueue(f"futures:{currency}", path, retry=False, currency=currency, kind="future")

    def request_volatility_index(self, underlying: str, start_ms: int, end_ms: int) -> None:
        """The volatility index, as candles of a minute."""
        self.enqueue(
            f"volatility:{underlying}",
            "/public/get_volatility_index_data",
            retry=False,
            currency=underlying,
            start_timestamp=start_ms,
            end_timestamp=end_ms,
            resolution=60,
        )

    def request_prints(self, currency: str, start_ms: int, end_ms: int) -> None:
        """A page of the option prints of a time."""
        self._request_by_time("trades", currency, start_ms, end_ms)

    def request_sweep(self, currency: str, start_ms: int, end_ms: int) -> None:
        """The same of a time that the channels have covered; the next sweep is the retry."""
        self._request_by_time("sweep", currency, start_ms, end_ms, retry=False)

    def _request_by_time(self, kind: str, currency: str, start_ms: int, end_ms: int, *, retry: bool = True) -> None:
        self.enqueue(
            f"{kind}:{currency}:{start_ms}:{end_ms}",
            "/public/get_last_trades_by_currency_and_time",
            retry=retry,
            currency=currency,
            kind="option",
            start_timestamp=start_ms,
            end_timestamp=end_ms,
            count=PAGE_SIZE,
            sorting="asc",
        )

    def gap(self, gap: SequenceGap) -> None:
        """The prints of one instrument between two sequence numbers."""
        self._request_by_sequence("gap", gap)

    def request_preceding(self, gap: SequenceGap) -> bool:
        """The same before the first print that was seen. Whether it had not been asked for already."""
        return self._request_by_sequence("before", gap)

    def _request_by_sequence(self, kind: str, gap: SequenceGap) -> bool:
        tag = f"{kind}:{gap.currency}:{gap.name}:{gap.first_seq}:{gap.last_seq}"
        if self.is_pending(tag):
            return False
        self.enqueue(
            tag,
            "/public/get_last_trades_by_instrument",
            instrument_name=gap.name,
            start_seq=gap.first_seq,
            end_seq=gap.last_seq,
            count=PAGE_SIZE,
            sorting="asc",
        )
        return True
