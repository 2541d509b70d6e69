"""State of the hedging markets: local books, volumes, funding, open interest, liquidations of spot and perpetuals.

The decoders have verified the sequence of each book; here books are only stored and measured.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from dfmon.engine.order_flow import Asks, Bids, OrderFlow
from dfmon.model.events import (
    BookLost,
    BookSnapshot,
    BookUpdate,
    Event,
    FutureTicker,
    Liquidation,
    Market,
    MarketTicker,
    MarketTrade,
)
from dfmon.model.frames import ExpectedMarket, MarketFrame, VenueMarket
from dfmon.model.units import HOUR, NAN, SECOND

DEPTH_RANGE = 0.01  # depth is counted within 1 % of mid


class LocalBook:
    """One venue's book of one market: price USD -> size coins, on each side."""

    def __init__(self) -> None:
        self.bids, self.asks = Bids(), Asks()

    def replace_levels(self, bids: Iterable[tuple[float, float]], asks: Iterable[tuple[float, float]]) -> None:
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update_levels(self, bids: Iterable[tuple[float, float]], asks: Iterable[tuple[float, float]]) -> None:
        self.bids.update(bids)
        self.asks.update(asks)

    def mid(self) -> float:
        """Middle of the best quotes, USD; NaN while a side is empty or the book is crossed."""
        bid, ask = self.bids.best(), self.asks.best()
        return (bid + ask) / 2.0 if bid < ask else NAN

    def depth_usd(self, mid: float) -> float:
        """Mean over both sides of the USD quoted within 1 % of `mid`."""
        low, high = mid * (1.0 - DEPTH_RANGE), mid * (1.0 + DEPTH_RANGE)
        bids = sum(price * size for price, size in self.bids.levels.items() if price >= low)
        asks = sum(price * size for price, size in self.asks.levels.items() if price <= high)
        return (bids + asks) / 2.0 if bids and asks else NAN


class _VenueState:
    def __init__(self) -> None:
        self.book, self.flow = LocalBook(), OrderFlow()
        self.last = self.mark = self.volume_usd = self.open_interest_usd = self.funding_8h = self.bid = self.ask = NAN
        self.data_ns = self.book_ns = self.volume_ns = 0  # our time of receipt

    def limit_times(self, now_ns: int) -> None:
        """No data were received after `now_ns`: where our clock was set back, their age counts from now."""
        self.data_ns, self.book_ns = min(self.data_ns, now_ns), min(self.book_ns, now_ns)
        self.volume_ns = min(self.volume_ns, now_ns)

    def mid(self) -> float:
        """Of the book; without one of the best quotes, then the last print, then the mark."""
        book = self.book.mid()
        quotes = (self.bid + self.ask) / 2.0 if 0.0 < self.bid < self.ask else NAN
        return next((price for price in (book, quotes, self.last) if price == price), self.mark)


class MarketState:
    """Hedging markets of every underlying. One writer, the driver."""

    def __init__(self, underlyings: tuple[str, ...], expected: tuple[ExpectedMarket, ...] = ()) -> None:
        self._expected = expected
        self._venues: dict[str, dict[tuple[str, Market], _VenueState]] = {name: {} for name in underlyings}
        # per underlying: (time, side, usd) of the hour's forced orders
        self._liquidations: dict[str, deque[tuple[int, int, float]]] = {n: deque(maxlen=20_000) for n in underlyings}
        self._apply: dict[type[Event], Callable[[Any, _VenueState, int], None]] = {
            MarketTrade: self._on_trade,
            BookSnapshot: self._on_book_snapshot,
            BookUpdate: self._on_book_update,
            BookLost: self._on_book_lost,
            MarketTicker: self._on_ticker,
            Liquidation: self._on_liquidation,
            FutureTicker: self._on_future_ticker,
        }

    def handler(self, kind: type[Event]) -> Callable[[Any, int], None] | None:
        return self.apply if kind in self._apply else None

    def apply(self, event: Any, recv_ns: int) -> None:
        """Applies one event; markets of other underlyings are ignored."""
        venues = self._venues.get(event.underlying)
        if venues is None or (isinstance(event, FutureTicker) and event.expiry_ns):
            return
        key = (event.venue, getattr(event, "market", Market.PERP))
        venue = venues.get(key)
        if venue is None:
            venue = venues[key] = _VenueState()
        if not isinstance(event, BookLost):  # a lost book does not count as data
            venue.data_ns = recv_ns
        self._apply[type(event)](event, venue, recv_ns)

    @staticmethod
    def _on_trade(event: MarketTrade, venue: _VenueState, recv_ns: int) -> None:
        venue.last = event.price
        venue.flow.on_trade(event, recv_ns)

    @staticmethod
    def _on_book_snapshot(event: BookSnapshot, venue: _VenueState, recv_ns: int) -> None:
        venue.book_ns = recv_ns
        venue.book.replace_levels(event.bids, event.asks)
        venue.flow.on_quotes(venue.book.bids, venue.book.asks, recv_ns)

    @staticmethod
    def _on_book_update(event: BookUpdate, venue: _VenueState, recv_ns: int) -> None:
        venue.book_ns = recv_ns
        venue.book.update_levels(event.bids, event.asks)
        venue.flow.on_quotes(venue.book.bids, venue.book.asks, recv_ns)

    @staticmethod
    def _on_book_lost(_: BookLost, venue: _VenueState, __: int) -> None:
        venue.book, venue.book_ns = LocalBook(), 0
        venue.flow.on_book_lost()

    @staticmethod
    def _on_ticker(event: MarketTicker | FutureTicker, venue: _VenueState, recv_ns: int) -> None:
        if event.volume_usd == event.volume_usd:
            venue.volume_ns = recv_ns
        for name in ("last", "mark", "volume_usd", "open_interest_usd", "funding_8h", "bid", "ask"):
            value = getattr(event, name, NAN)
            if value == value:  # NaN: not in the frame
                setattr(venue, name, value)

    def _on_future_ticker(self, event: FutureTicker, venue: _VenueState, recv_ns: int) -> None:
        self._on_ticker(event, venue, recv_ns)
        venue.bid, venue.ask = event.bid, event.ask  # a full state: a missing quote is gone

    def _on_liquidation(self, event: Liquidation, venue: _VenueState, recv_ns: int) -> None:
        venue.flow.on_liquidation(event)
        if 0.0 < event.usd < math.inf:
            self._liquidations[event.underlying].append((recv_ns, event.side, event.usd))

    def freeze(self, underlying: str, ts_ns: int) -> MarketFrame:
        """Every market of `underlying` as of `ts_ns`, and the flows of the hour before it."""
        venues = self._venues[underlying]
        rows = tuple(self._measure(*key, venues[key], ts_ns) for key in sorted(venues))
        pending = self._liquidations[underlying]
        while pending and pending[0][0] <= ts_ns - HOUR:  # older than any later window
            pending.popleft()
        liquidations = [(side, usd) for recv_ns, side, usd in pending if ts_ns - HOUR < recv_ns <= ts_ns]
        return MarketFrame(
            markets=rows,
            long_liquidated_usd=sum((usd for side, usd in liquidations if side < 0), 0.0),
            short_liquidated_usd=sum((usd for side, usd in liquidations if side > 0), 0.0),
            expected=self._expected,
        )

    @staticmethod
    def _measure(venue: str, market: Market, state: _VenueState, ts_ns: int) -> VenueMarket:
        state.limit_times(ts_ns)
        book_mid = state.book.mid()
        return VenueMarket(
            venue=venue,
            market=market,
            mid=state.mid(),
            depth_usd=state.book.depth_usd(book_mid) if book_mid == book_mid else NAN,
            volume_usd=state.volume_usd,
            open_interest_usd=state.open_interest_usd,
            funding_8h=state.funding_8h,
            mark=state.mark,
            age_s=_age_s(state.data_ns, ts_ns),
            book_age_s=_age_s(state.book_ns, ts_ns),
            volume_age_s=_age_s(state.volume_ns, ts_ns),
            flow=state.flow.freeze(),
        )


def _age_s(recv_ns: int, ts_ns: int) -> float:
    return (ts_ns - recv_ns) / SECOND if recv_ns else math.inf
