"""Order flow of one spot or perpetual market: best quotes, order-flow imbalance and taker prints, as running sums.

Every event costs a constant time. The sums only grow, so a reader obtains the flow of any interval as a difference and
no window is kept here. Books arrive as changes of 100 ms, so what happened inside one of them counts net.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Collection, Iterable
from heapq import nlargest, nsmallest
from typing import Final

from dfmon.model.events import Liquidation, MarketTrade
from dfmon.model.frames import VenueFlow
from dfmon.model.units import NAN

_TOP_LEVELS: Final = 64
_MAX_TOP_LEVELS: Final = 256

Quotes = tuple[float, float, float, float]  # best bid USD, coins there, best ask USD, coins there


class BookSide:
    """One side of a book, whose best price is found without a scan of all levels.

    `levels` is price USD -> size coins. `_top` has every price at `_floor` or better, ascending toward the best (asks
    negated), and perhaps prices that are gone; those are skipped when they come up. `Bids` and `Asks` differ in signs
    only; they are written out because this is the busiest loop of a book.
    """

    __slots__ = ("_floor", "_top", "levels")
    _sign = 1.0

    def __init__(self) -> None:
        self.replace(())

    def replace(self, levels: Iterable[tuple[float, float]]) -> None:
        self.levels = {price: size for price, size in levels if size > 0.0}
        self._rebuild_top()

    def _rebuild_top(self) -> None:
        self._set_top(self._nearest(self.levels))

    def _shorten_top(self) -> None:
        """Drops the prices that are gone, and those far from the best."""
        self._set_top(self._nearest({price for price in map(abs, self._top) if price in self.levels}))

    def _nearest(self, prices: Collection[float]) -> list[float]:
        """The prices nearest to the best one, which comes last."""
        return (nsmallest if self._sign < 0.0 else nlargest)(_TOP_LEVELS, prices)[::-1]

    def _set_top(self, prices: list[float]) -> None:
        self._top = [self._sign * price for price in prices]
        self._floor = prices[0] if prices else self._sign * math.inf


class Bids(BookSide):
    """The bids; the best is the highest."""

    __slots__ = ()

    def update(self, changes: Iterable[tuple[float, float]]) -> None:
        levels, floor = self.levels, self._floor
        for price, size in changes:
            if size > 0.0:
                if price >= floor and price not in levels:
                    insort(self._top, price)
                levels[price] = size
            else:
                levels.pop(price, None)

    def best(self) -> float:
        """USD; NaN while the side is empty."""
        levels = self.levels
        while levels:
            top = self._top
            while top:
                if top[-1] in levels:
                    if len(top) > _MAX_TOP_LEVELS:
                        self._shorten_top()
                    return top[-1]
                top.pop()
            self._rebuild_top()
        return NAN


class Asks(BookSide):
    """The asks; the best is the lowest."""

    __slots__ = ()
    _sign = -1.0

    def update(self, changes: Iterable[tuple[float, float]]) -> None:
        levels, floor = self.levels, self._floor
        for price, size in changes:
            if size > 0.0:
                if price <= floor and price not in levels:
                    insort(self._top, -price)
                levels[price] = size
            else:
                levels.pop(price, None)

    def best(self) -> float:
        """USD; NaN while the side is empty."""
        levels = self.levels
        while levels:
            top = self._top
            while top:
                if -top[-1] in levels:
                    if len(top) > _MAX_TOP_LEVELS:
                        self._shorten_top()
                    return -top[-1]
                top.pop()
            self._rebuild_top()
        return NAN


def quote_imbalance_usd(before: Quotes, now: Quotes) -> float:
    """Net buying pressure of one change of the best quotes, each queue at its own price.

    Demand that came to the best bid less demand that left it, and supply that left the best ask less supply that came.

    Units: USD, + = buying. Source: Cont, Kukanov & Stoikov (2014), "The Price Impact of Order Book Events", e_n.

    >>> quote_imbalance_usd((99.0, 5.0, 101.0, 4.0), (99.0, 7.0, 101.0, 1.0))
    501.0
    """
    bid_before, bid_size_before, ask_before, ask_size_before = before
    bid, bid_size, ask, ask_size = now
    flow = 0.0
    if bid >= bid_before:
        flow += bid * bid_size
    if bid <= bid_before:
        flow -= bid_before * bid_size_before
    if ask <= ask_before:
        flow -= ask * ask_size
    if ask >= ask_before:
        flow += ask_before * ask_size_before
    return flow


class OrderFlow:
    """Running sums of one market since its first print or quote."""

    __slots__ = (
        "_buy_usd",
        "_imbalance_usd",
        "_last_exch_ns",
        "_last_print_ns",
        "_last_side",
        "_long_liquidated_usd",
        "_prints",
        "_quotes",
        "_sell_usd",
        "_short_liquidated_usd",
        "_sign_pairs",
        "_sign_products",
        "_signs",
        "_since_ns",
    )

    def __init__(self) -> None:
        self._since_ns = self._last_print_ns = 0
        self._quotes: Quotes | None = None
        self._imbalance_usd = self._buy_usd = self._sell_usd = 0.0
        self._prints = self._signs = self._sign_pairs = self._sign_products = 0
        self._last_side = self._last_exch_ns = 0
        self._long_liquidated_usd = self._short_liquidated_usd = 0.0

    def on_quotes(self, bids: Bids, asks: Asks, recv_ns: int) -> None:
        """Counts the change to the best quotes of the book; a crossed or one-sided book starts anew."""
        bid, ask = bids.best(), asks.best()
        if not bid < ask:
            self._quotes = None
            return
        quotes = bid, bids.levels[bid], ask, asks.levels[ask]
        before = self._quotes
        if before is None:
            self._since_ns = self._since_ns or recv_ns
            self._quotes = quotes
        elif quotes != before:
            self._imbalance_usd += quote_imbalance_usd(before, quotes)
            self._quotes = quotes

    def on_book_lost(self) -> None:
        """Forgets the quotes: the change to those of the next book is no flow that was seen."""
        self._quotes = None

    def on_trade(self, trade: MarketTrade, recv_ns: int) -> None:
        """Counts a taker print. Fills of one venue time and side are one print of the sign series."""
        usd, side, exch_ns = trade.price * trade.size, trade.side, trade.exch_ns
        if not 0.0 < usd < math.inf:
            return
        if side > 0:
            self._buy_usd += usd
        else:
            self._sell_usd += usd
        self._last_print_ns = recv_ns
        if exch_ns == self._last_exch_ns and side == self._last_side and exch_ns:
            return
        if self._last_side:
            self._sign_pairs += 1
            self._sign_products += self._last_side * side
        else:
            self._since_ns = self._since_ns or recv_ns
        self._prints += 1
        self._signs += side
        self._last_side, self._last_exch_ns = side, exch_ns

    def on_liquidation(self, order: Liquidation) -> None:
        """Counts a forced order of a finite amount."""
        if not 0.0 < order.usd < math.inf:
            return
        if order.side > 0:
            self._short_liquidated_usd += order.usd
        else:
            self._long_liquidated_usd += order.usd

    def freeze(self) -> VenueFlow:
        """The sums so far and the best quotes now."""
        bid, bid_size, ask, ask_size = self._quotes or (NAN, NAN, NAN, NAN)
        return VenueFlow(
            since_ns=self._since_ns,
            last_print_ns=self._last_print_ns,
            bid=bid,
            bid_size=bid_size,
            ask=ask,
            ask_size=ask_size,
            imbalance_usd=self._imbalance_usd,
            buy_usd=self._buy_usd,
            sell_usd=self._sell_usd,
            prints=self._prints,
            signs=self._signs,
            sign_pairs=self._sign_pairs,
            sign_products=self._sign_products,
            long_liquidated_usd=self._long_liquidated_usd,
            short_liquidated_usd=self._short_liquidated_usd,
        )
