"""What is asked of Deribit: the channels of the whole chain, and the REST calls that complete them.

Kinds and indices are subscribed, never a ticker per option: two thousand of those would be the larger part of a
megabyte a second, and say nothing that the marks and the book summary do not. `protocol` decides when to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dfmon.model.units import SECOND
from dfmon.venues.deribit.listing import INVERSE, LINEAR, Listings, index_name
from dfmon.venues.deribit.trades.sequencer import PAGE, Hole
from dfmon.venues.rest.queue import RestQueue

_STRIDE: Final = 7_919  # from one option to the next whose ticker is asked for: a prime, so that all have their turn
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


_WITHIN: Final = {  # kinds that speak by themselves: the longest silence in order, s, and whether all rests on it
    "deribit_price_index": (10, True),
    "markprice": (60, True),
    "deribit_volatility_index": (60, False),
}
_PERPETUAL_WITHIN: Final = 15


def watched(channels: Iterable[str], optional: Sequence[str]) -> Iterator[tuple[str, int, bool]]:
    """Of these channels those that must not fall silent: within how long, ns, and whether all rests on it."""
    for channel in channels:
        within_s, vital = _WITHIN.get(channel.partition(".")[0], (0, False))
        if channel.endswith("-PERPETUAL"):
            within_s = _PERPETUAL_WITHIN
        if within_s:
            yield channel, within_s * SECOND, vital and channel not in optional


def optional_channels(listings: Listings) -> list[str]:
    """Channels the venue may not know: marks that the book summary brings too, and requests, which only confirm."""
    requests = [f"block_rfq.trades.{currency}" for currency in listings.currencies]
    if LINEAR not in listings.currencies:
        return requests
    return [*requests, *(f"markprice.options.{name.lower()}_usdc" for name in listings.underlyings if name in INVERSE)]


class Calls(RestQueue):
    """The GETs, by what they are for. Tags begin with the kind of the answer: see the protocol's `_answers`."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = 0

    def listings(self, listings: Listings) -> None:
        for currency in listings.currencies:
            self.listing(currency, "option")
        for currency in listings.future_currencies:
            self.listing(currency, "future")

    def listing(self, currency: str, kind: str) -> None:
        tag = f"instruments:{currency}:{kind}"
        self.ask(tag, "/public/get_instruments", cost=LISTING_COST, currency=currency, kind=kind, expired="false")

    def board(self, listings: Listings, currency: str) -> None:
        """Open interest and forwards of a currency's options; and of one, another each time, the venue's own greeks.

        The next poll is the retry.
        """
        path = "/public/get_book_summary_by_currency"
        self.ask(f"summary:{currency}", path, retry=False, currency=currency, kind="option")
        names = listings.live(currency)
        if names:
            self._turn += _STRIDE
            name = names[self._turn % len(names)]
            self.ask(f"ticker:{name}", "/public/ticker", retry=False, instrument_name=name)

    def futures(self, currency: str) -> None:
        """Marks, open interest and funding of the perpetuals and dated futures; the next poll is the retry."""
        path = "/public/get_book_summary_by_currency"
        self.ask(f"futures:{currency}", path, retry=False, currency=currency, kind="future")

    def volatility(self, underlying: str, start_ms: int, end_ms: int) -> None:
        """The volatility index, as candles of a minute."""
        self.ask(
            f"volatility:{underlying}",
            "/public/get_volatility_index_data",
            retry=False,
            currency=underlying,
            start_timestamp=start_ms,
            end_timestamp=end_ms,
            resolution=60,
        )

    def prints(self, currency: str, start_ms: int, end_ms: int) -> None:
        """A page of the option prints of a time."""
        self._prints("trades", currency, start_ms, end_ms)

    def sweep(self, currency: str, start_ms: int, end_ms: int) -> None:
        """The same of a time that the channels have covered; the next sweep is the retry."""
        self._prints("sweep", currency, start_ms, end_ms, retry=False)

    def _prints(self, kind: str, currency: str, start_ms: int, end_ms: int, *, retry: bool = True) -> None:
        self.ask(
            f"{kind}:{currency}:{start_ms}:{end_ms}",
            "/public/get_last_trades_by_currency_and_time",
            retry=retry,
            currency=currency,
            kind="option",
            start_timestamp=start_ms,
            end_timestamp=end_ms,
            count=PAGE,
            sorting="asc",
        )

    def hole(self, hole: Hole) -> None:
        """The prints of one instrument between two sequence numbers."""
        self._numbered("gap", hole)

    def before(self, hole: Hole) -> bool:
        """The same before the first print that was seen. Whether it had not been asked for already."""
        return self._numbered("before", hole)

    def _numbered(self, kind: str, hole: Hole) -> bool:
        tag = f"{kind}:{hole.currency}:{hole.name}:{hole.first}:{hole.last}"
        if self.open(tag):
            return False
        self.ask(
            tag,
            "/public/get_last_trades_by_instrument",
            instrument_name=hole.name,
            start_seq=hole.first,
            end_seq=hole.last,
            count=PAGE,
            sorting="asc",
        )
        return True
