"""Deribit's responses to REST calls, by kind: events, and further calls.

The tags of the calls begin with the kind of the response (`rest_calls`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dfmon.model.events import Event, IndexPrice, VolIndex
from dfmon.model.units import MICROSECOND, sanitize
from dfmon.venues.decoding import UNREADABLE, rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.jsonrpc import ERROR_MESSAGES, FATAL_ERRORS, TRANSIENT_ERRORS
from dfmon.venues.deribit.listing import Listings
from dfmon.venues.deribit.rest_calls import DeribitRestQueue
from dfmon.venues.deribit.rest_poller import RestPoller
from dfmon.venues.deribit.trades.feed import TradeFeed
from dfmon.venues.stored_prints import STORED_TAG, decode_stored


class ResponseHandler:
    """`underlying_by_index`: underlyings by index; `on_futures_changed` takes added and removed futures."""

    def __init__(
        self,
        listings: Listings,
        calls: DeribitRestQueue,
        trade_feed: TradeFeed,
        poller: RestPoller,
        underlying_by_index: Mapping[str, str],
        on_futures_changed: Callable[[list[str], list[str]], None],
    ) -> None:
        self._listings, self._calls, self._trade_feed, self._poller = listings, calls, trade_feed, poller
        self._underlying_by_index, self._on_futures_changed = underlying_by_index, on_futures_changed
        self._by_kind: dict[str, Callable[[list[str], wire.Response], list[Event]]] = {
            "instruments": self._on_listing,
            "summary": self._on_summary,
            "trades": self._on_fill_page,
            "sweep": self._on_sweep_page,
            "gap": self._on_gap_page,
            "before": self._on_preceding_page,
            "life": self._on_history_page,
            "futures": self._on_futures,
            "index": self._on_index,
            "volatility": self._on_volatility,
            "ticker": self._on_ticker,
        }

    def handle(self, tag: str, body: bytes) -> list[Event]:
        """The response to the call with this tag; an empty body means that the call failed."""
        kind, *args = tag.split(":")
        if kind == STORED_TAG:
            return self._on_stored_history(args[0], body)
        handler = self._by_kind.get(kind)
        if handler is None:
            return [rejected(wire.SOURCE, "response", tag)]
        if not body:
            return self._on_no_response(tag, kind)
        try:
            response = wire.response.decode(body)
            if response.error is not None:
                return self._refused(tag, response.error)
            self._trade_feed.advance_clock(response.usOut // 1_000)
            events = handler(args, response)
        except (*UNREADABLE, IndexError) as exc:
            self._calls.failed(tag)
            failures = self._trade_feed.on_no_response(kind, args, "the page cannot be read") if kind == "life" else []
            return [rejected(wire.SOURCE, "response", exc), *failures]
        self._calls.completed(tag)
        return events

    def _on_no_response(self, tag: str, kind: str) -> list[Event]:
        self._calls.failed(tag)
        return list(self._poller.on_failure()) if kind == "index" else []

    def _on_listing(self, args: list[str], response: wire.Response) -> list[Event]:
        currency, kind = args[0], args[1]
        rows, rejections = wire.records.decode(response.result)
        if kind == "future":
            added, removed, events = self._listings.apply_futures(currency, rows, is_complete=not rejections)
            self._on_futures_changed(added, removed)
            return [*rejections, *events]
        before, first = set(self._listings.options), not self._listings.complete(currency)
        events = self._listings.apply_options(currency, rows, is_complete=not rejections)
        self._calls.request_summary(self._listings, currency)
        now = set(self._listings.options)
        return [
            *rejections,
            *events,
            *self._trade_feed.on_listing(currency, set() if first else now - before, before - now),
        ]

    def _on_index(self, args: list[str], response: wire.Response) -> list[Event]:
        price = wire.index_price_response.decode(response.result).index_price
        event = IndexPrice(wire.SOURCE, self._underlying_by_index[args[0]], price, response.usOut * MICROSECOND)
        return [*self._poller.on_response(), event]

    def _on_volatility(self, args: list[str], response: wire.Response) -> list[Event]:
        """The close of the newest candle; without candles no event."""
        candles = wire.volatility_candles.decode(response.result).data
        if not candles:
            return []
        *_, close = max(candles)
        return [VolIndex(wire.SOURCE, args[0], close / 100.0, response.usOut * MICROSECOND)]

    def _on_futures(self, _tag_parts: list[str], response: wire.Response) -> list[Event]:
        rows, rejections = wire.future_summaries.decode(response.result)
        matched = [(self._listings.futures.get(row.instrument_name), row) for row in rows]
        return [*(decode.future_summary(future, row) for future, row in matched if future is not None), *rejections]

    def _on_summary(self, args: list[str], response: wire.Response) -> list[Event]:
        rows, rejections = wire.summaries.decode(response.result)
        if any(not self._listings.known(row.instrument_name) for row in rows):
            self._trade_feed.stale_listings.add(args[0])
        return [*(decode.summary(row) for row in rows if row.instrument_name in self._listings.options), *rejections]

    def _on_ticker(self, args: list[str], response: wire.Response) -> list[Event]:
        ticker = decode.ticker_response.decode(response.result)
        if ticker.name != args[0]:
            return [rejected(wire.SOURCE, "response", f"requested {args[0]}, received {ticker.name}")]
        return [decode.greeks(ticker.to_option_ticker())]

    def _on_fill_page(self, args: list[str], response: wire.Response) -> list[Event]:
        return self._trade_feed.on_fill_page(args[0], int(args[1]), int(args[2]), wire.page.decode(response.result))

    def _on_sweep_page(self, args: list[str], response: wire.Response) -> list[Event]:
        return self._trade_feed.on_sweep_page(args[0], int(args[1]), int(args[2]), wire.page.decode(response.result))

    def _on_gap_page(self, args: list[str], response: wire.Response) -> list[Event]:
        currency, name, first, _ = args
        return self._trade_feed.on_gap_page(currency, name, int(first), wire.page.decode(response.result))

    def _on_preceding_page(self, args: list[str], response: wire.Response) -> list[Event]:
        currency, name, _, last = args
        return self._trade_feed.on_preceding_page(currency, name, int(last), wire.page.decode(response.result))

    def _on_history_page(self, args: list[str], response: wire.Response) -> list[Event]:
        return self._trade_feed.on_history_page(args[0], int(args[1]), wire.page.decode(response.result))

    def _on_stored_history(self, name: str, body: bytes) -> list[Event]:
        """A stored history; a damaged one is rejected and read from the archive again."""
        try:
            return self._trade_feed.on_stored_history(name, decode_stored(wire.SOURCE, name, body))
        except UNREADABLE as exc:
            return [rejected(wire.SOURCE, "life", exc)]

    def _refused(self, tag: str, error: wire.RpcError) -> list[Event]:
        """The venue responded with an error. A listing is always retried, other calls after a transient error."""
        kind, *args = tag.split(":")
        reason = f"{ERROR_MESSAGES.get(error.code) or sanitize(error.message)} ({error.code})"
        events: list[Event] = [rejected(wire.SOURCE, "response", f"{tag}: {reason}")]
        if kind == "instruments" or error.code in TRANSIENT_ERRORS | FATAL_ERRORS:
            self._calls.failed(tag)
        else:
            self._calls.completed(tag)
            events += self._trade_feed.on_no_response(kind, args, reason)
        return events
