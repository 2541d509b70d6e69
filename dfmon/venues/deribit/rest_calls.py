"""The REST calls that complete Deribit's channels: listings, book summaries, prints of the past.

`protocol` decides when to make them; `responses` reads the responses by the kind with which each tag begins.
"""

from __future__ import annotations

from typing import Final

from dfmon.venues.deribit.listing import Listings
from dfmon.venues.deribit.trades.sequencer import PAGE_SIZE, SequenceGap
from dfmon.venues.protocol import RestCall
from dfmon.venues.rest.queue import RestQueue

_TICKER_STRIDE: Final = 7_919  # from one option to the next whose ticker is requested: a prime, so that all take turns
LISTING_COST: Final = 4.0  # ordinary calls: the venue allows one listing a second


def is_option_listing(call: RestCall) -> bool:
    """True for the listing or the book summary of options."""
    kind, _, rest = call.tag.partition(":")
    return kind == "summary" or (kind == "instruments" and rest.endswith(":option"))


class DeribitRestQueue(RestQueue):
    """GETs by purpose."""

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
        """Open interest and forwards of a currency's options, and the venue's own greeks of one of them in turn.

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
        """The volatility index as one-minute candles."""
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
        """A page of the option prints of a time range."""
        self._request_by_time("trades", currency, start_ms, end_ms)

    def request_sweep(self, currency: str, start_ms: int, end_ms: int) -> None:
        """The same of a range that the channels have covered; the next sweep is the retry."""
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
        """The same before the first print that was seen. Returns False if it is pending already."""
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
