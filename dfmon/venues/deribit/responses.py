"""Deribit's answers to our REST calls, by what they were asked for: events, and what is to be asked next.

`asking` made the calls, whose tags begin with the kind of the answer; the runner made them; `protocol` hands them over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dfmon.model.events import Event, IndexPrice, VolIndex
from dfmon.model.units import MICROSECOND, clean
from dfmon.venues.decoding import UNREADABLE, rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.jsonrpc import FATAL, PASSING, WORDS
from dfmon.venues.deribit.listing import Listings
from dfmon.venues.deribit.rest_calls import Calls
from dfmon.venues.deribit.rest_polling import Polls
from dfmon.venues.deribit.trades.feed import Prints
from dfmon.venues.deribit.trades.history import from_kept


class Answers:
    """`index_of` are underlyings by index; `follow` is told which futures came and which went."""

    def __init__(
        self,
        listings: Listings,
        calls: Calls,
        prints: Prints,
        polls: Polls,
        index_of: Mapping[str, str],
        follow: Callable[[list[str], list[str]], None],
    ) -> None:
        self._listings, self._calls, self._prints, self._polls = listings, calls, prints, polls
        self._index_of, self._follow = index_of, follow
        self._by_kind: dict[str, Callable[[list[str], wire.Answer], list[Event]]] = {
            "instruments": self._on_listing,
            "summary": self._on_summary,
            "trades": self._on_filled,
            "sweep": self._on_swept,
            "gap": self._on_hole,
            "before": self._on_preceding,
            "life": self._on_life,
            "futures": self._on_futures,
            "index": self._on_index,
            "volatility": self._on_volatility,
            "ticker": self._on_ticker,
        }

    def take(self, tag: str, body: bytes) -> list[Event]:
        """The answer to the call of this tag; an empty body means that the call failed."""
        kind, *words = tag.split(":")
        if kind == "stored":
            return self._on_stored(words[0], body)
        handler = self._by_kind.get(kind)
        if handler is None:
            return [rejected(wire.SOURCE, "answer", tag)]
        if not body:
            return self._unanswered(tag, kind)
        try:
            answer = wire.answer.decode(body)
            if answer.error is not None:
                return self._refused(tag, answer.error)
            self._prints.heard(answer.usOut // 1_000)
            events = handler(words, answer)
        except (*UNREADABLE, IndexError) as exc:
            self._calls.failed(tag)
            again = self._prints.unanswered(kind, words, "the page cannot be read") if kind == "life" else []
            return [rejected(wire.SOURCE, "answer", exc), *again]
        self._calls.answered(tag)
        return events

    def _unanswered(self, tag: str, kind: str) -> list[Event]:
        self._calls.failed(tag)
        return [*(self._polls.failed() if kind == "index" else []), rejected(wire.SOURCE, "answer", f"{tag}: none")]

    def _on_listing(self, words: list[str], answer: wire.Answer) -> list[Event]:
        currency, kind = words[0], words[1]
        rows, bad = wire.records.decode(answer.result)
        if kind == "future":
            came, gone, events = self._listings.take_futures(currency, rows, whole=not bad)
            self._follow(came, gone)
            return [*bad, *events]
        before, first = set(self._listings.options), not self._listings.complete(currency)
        events = self._listings.take_options(currency, rows, whole=not bad)
        self._calls.board(self._listings, currency)
        now = set(self._listings.options)
        return [*bad, *events, *self._prints.listed(currency, set() if first else now - before, before - now)]

    def _on_index(self, words: list[str], answer: wire.Answer) -> list[Event]:
        price = wire.index_asked.decode(answer.result).index_price
        told = IndexPrice(wire.SOURCE, self._index_of[words[0]], price, answer.usOut * MICROSECOND)
        return [*self._polls.answered(), told]

    def _on_volatility(self, words: list[str], answer: wire.Answer) -> list[Event]:
        """The newest minute's last value, which is as old as now at most; no candle at all is no event."""
        candles = wire.volatility_candles.decode(answer.result).data
        if not candles:
            return []
        *_, close = max(candles)
        return [VolIndex(wire.SOURCE, words[0], close / 100.0, answer.usOut * MICROSECOND)]

    def _on_futures(self, _words: list[str], answer: wire.Answer) -> list[Event]:
        rows, bad = wire.future_summaries.decode(answer.result)
        mine = [(self._listings.futures.get(row.instrument_name), row) for row in rows]
        return [*(decode.future_summary(future, row) for future, row in mine if future is not None), *bad]

    def _on_summary(self, words: list[str], answer: wire.Answer) -> list[Event]:
        rows, bad = wire.summaries.decode(answer.result)
        if any(not self._listings.known(row.instrument_name) for row in rows):
            self._prints.unknown.add(words[0])
        return [*(decode.summary(row) for row in rows if row.instrument_name in self._listings.options), *bad]

    def _on_ticker(self, words: list[str], answer: wire.Answer) -> list[Event]:
        ticker = decode.ticker_asked.decode(answer.result)
        if ticker.name != words[0]:
            return [rejected(wire.SOURCE, "answer", f"asked for {words[0]}, told of {ticker.name}")]
        return [decode.greeks(ticker.read())]

    def _on_filled(self, words: list[str], answer: wire.Answer) -> list[Event]:
        return self._prints.filled(words[0], int(words[1]), int(words[2]), wire.page.decode(answer.result))

    def _on_swept(self, words: list[str], answer: wire.Answer) -> list[Event]:
        return self._prints.swept(words[0], int(words[1]), int(words[2]), wire.page.decode(answer.result))

    def _on_hole(self, words: list[str], answer: wire.Answer) -> list[Event]:
        currency, name, first, _ = words
        return self._prints.mended(currency, name, int(first), wire.page.decode(answer.result))

    def _on_preceding(self, words: list[str], answer: wire.Answer) -> list[Event]:
        currency, name, _, last = words
        return self._prints.preceding(currency, name, int(last), wire.page.decode(answer.result))

    def _on_life(self, words: list[str], answer: wire.Answer) -> list[Event]:
        return self._prints.life_page(words[0], int(words[1]), wire.page.decode(answer.result))

    def _on_stored(self, name: str, body: bytes) -> list[Event]:
        """A history that an earlier run kept; a damaged one is told and read from the archive again."""
        try:
            return self._prints.life_kept(name, from_kept(name, body))
        except UNREADABLE as exc:
            return [rejected(wire.SOURCE, "life", exc)]

    def _refused(self, tag: str, error: wire.RpcError) -> list[Event]:
        """The venue answered with an error. A listing is asked for again whatever the reason, the rest if it passes."""
        kind, *words = tag.split(":")
        why = f"{WORDS.get(error.code) or clean(error.message)} ({error.code})"
        events: list[Event] = [rejected(wire.SOURCE, "answer", f"{tag}: {why}")]
        if kind == "instruments" or error.code in PASSING | FATAL:
            self._calls.failed(tag)
        else:
            self._calls.answered(tag)
            events += self._prints.unanswered(kind, words, why)
        return events
