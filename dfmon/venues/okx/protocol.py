"""OKX spot and USDT swaps as a protocol without I/O: one connection for trades, books, tickers and derivative facts.

Swaps count contracts: every size is multiplied by the coins of a contract here, once. Books follow the sequence ids
(a break is mended by subscribing anew). The venue closes a connection that is silent for 30 s unless it is pinged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from dfmon.model.events import (
    BookLost,
    BookSnapshot,
    BookUpdate,
    Event,
    FeedState,
    FeedStatus,
    Liquidation,
    Market,
    MarketTicker,
    MarketTrade,
)
from dfmon.model.units import SECOND, clean
from dfmon.venues.decoding import UNREADABLE, ns, number, rejected
from dfmon.venues.okx import wire
from dfmon.venues.protocol import Patience, RestCall
from dfmon.venues.restqueue import RestQueue

VENUE: Final = wire.SOURCE
# Coins per contract until the listing has been read; a swap that is not here waits for it.
_DOCUMENTED: Final = {"BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1}
_PING_AFTER: Final = 20 * SECOND
_RESYNC_EVERY: Final = 30 * SECOND  # a book; the venue allows 480 subscriptions an hour
_HOURS_8_MS: Final = 8 * 3_600_000

_EVERYWHERE: Final = ("trades", "tickers", "books")
_SWAPS_ONLY: Final = ("mark-price", "funding-rate", "open-interest")


class OkxProtocol:
    """`underlyings` against USDT: the spot pair and the linear swap of each."""

    source = VENUE
    patience = Patience(first_data_s=15.0, data_s=35.0)

    def __init__(self, underlyings: Sequence[str] = ("BTC", "ETH")) -> None:
        spot = {f"{name}-USDT": (Market.SPOT, name) for name in underlyings}
        swaps = {f"{name}-USDT-SWAP": (Market.PERP, name) for name in underlyings}
        self._instruments: dict[str, tuple[Market, str]] = spot | swaps
        self._swaps = tuple(swaps)
        self._coins = dict.fromkeys(spot, 1.0) | {name: _DOCUMENTED[name] for name in swaps if name in _DOCUMENTED}
        self._out: list[str] = []
        self._rest = RestQueue()
        self._seq: dict[str, int] = {}  # last seqId of each good book
        self._resync: dict[str, None] = {}
        self._resynced_ns: dict[str, int] = {}
        self._last: dict[str, float] = {}
        self._frames = self._frames_before = 0
        self._heard_ns = 0
        self._live = False
        self._pushes: dict[str, Callable[[wire.Message], Sequence[Event]]] = {
            "trades": self._on_trades,
            "tickers": self._on_tickers,
            "books": self._on_book,
            "mark-price": self._on_marks,
            "funding-rate": self._on_funding,
            "open-interest": self._on_interest,
            "liquidation-orders": self._on_liquidations,
        }

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._out.clear()
        self._rest.clear()
        self._seq.clear()
        self._resync.clear()
        self._resynced_ns.clear()
        self._heard_ns = now_ns
        self._live = False
        self._send("subscribe", self._plan())
        self._rest.ask("instruments", "/api/v5/public/instruments", instType="SWAP")
        return [FeedStatus(self.source, FeedState.SYNCING, "subscribing")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        lost = [BookLost(VENUE, market, name) for market, name in self._instruments.values()]
        return [FeedStatus(self.source, FeedState.DOWN, clean(reason)), *lost]

    def due(self, now_ns: int) -> None:
        """Ping a silent connection, mend broken books, repeat failed calls."""
        if self._frames != self._frames_before:
            self._frames_before, self._heard_ns = self._frames, now_ns
        elif now_ns - self._heard_ns >= _PING_AFTER:
            self._heard_ns = now_ns
            self._out.append("ping")
        for inst in list(self._resync):
            if now_ns - self._resynced_ns.get(inst, -_RESYNC_EVERY) >= _RESYNC_EVERY:
                del self._resync[inst]
                self._resynced_ns[inst] = now_ns
                book = [{"channel": "books", "instId": inst}]
                self._send("unsubscribe", book)  # only a new subscription brings a snapshot
                self._send("subscribe", book)
        self._rest.due(now_ns)

    def data_to_send(self) -> list[str]:
        out, self._out = self._out, []
        return out

    def rest_calls(self) -> list[RestCall]:
        return self._rest.take()

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        self._frames += 1
        if frame == b"pong":
            return []
        try:
            return self._on_message(wire.message.decode(frame))
        except UNREADABLE as exc:
            return [rejected(self.source, "frame", exc)]

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        try:
            answer = wire.answer.decode(body)
            if answer.code != "0":
                raise ValueError(f"{answer.code} {answer.msg}")
            rows, bad = wire.contracts.decode(answer.data)
            for row in rows:
                if row.instId in self._swaps and row.ctType == "linear":
                    coins = number(row.ctVal) * (number(row.ctMult) if row.ctMult else 1.0)
                    if coins > 0:
                        self._coins[row.instId] = coins
        except UNREADABLE as exc:
            self._rest.failed(tag)
            return [rejected(self.source, "answer", f"{tag}: {exc if body else 'none'}")]
        self._rest.answered(tag)
        return bad

    def _plan(self) -> list[dict[str, str]]:
        wanted = [{"channel": channel, "instId": inst} for inst in self._instruments for channel in _EVERYWHERE]
        wanted += [{"channel": channel, "instId": inst} for inst in self._swaps for channel in _SWAPS_ONLY]
        return [*wanted, {"channel": "liquidation-orders", "instType": "SWAP"}]

    def _send(self, op: str, args: Sequence[dict[str, str]]) -> None:
        self._out.append(msgspec.json.encode({"op": op, "args": args}).decode())

    # ---- frames ---------------------------------------------------------------------------------------------------

    def _on_message(self, message: wire.Message) -> Sequence[Event]:
        channel = message.arg.channel
        if message.event:
            return self._on_event(message)
        handler = self._pushes.get(channel)
        if handler is None:
            return [rejected(self.source, "channel", channel or "none")]
        events = handler(message)
        if not self._live:
            self._live = True
            return [FeedStatus(self.source, FeedState.LIVE), *events]
        return events

    def _on_event(self, message: wire.Message) -> Sequence[Event]:
        """Acknowledgements say nothing new; an error or a notice is passed on in the venue's words."""
        if message.event in ("error", "notice", "channel-conn-count-error"):
            words = clean(f"{message.msg or message.event} ({message.code})")
            return [FeedStatus(self.source, FeedState.LIVE if self._live else FeedState.SYNCING, words)]
        return []

    def _on_trades(self, message: wire.Message) -> Sequence[Event]:
        rows, bad = wire.trades.decode(message.data)
        events: list[Event] = [*bad]
        for row in rows:
            where, coins = self._instruments.get(row.instId), self._coins.get(row.instId)
            if where is None or coins is None:
                events.append(rejected(self.source, "instrument", row.instId))
                continue
            side = 1 if row.side == "buy" else -1
            events.append(MarketTrade(VENUE, *where, ns(row.ts), row.px, row.sz * coins, side))
        return events

    def _on_tickers(self, message: wire.Message) -> Sequence[Event]:
        rows, bad = wire.tickers.decode(message.data)
        events: list[Event] = [*bad]
        for row in rows:
            where = self._instruments.get(row.instId)
            if where is None:
                events.append(rejected(self.source, "instrument", row.instId))
                continue
            last, volume = number(row.last), number(row.volCcy24h)
            self._last[row.instId] = last
            usd = volume if where[0] is Market.SPOT else volume * last  # quote currency, or coins of the swap
            events.append(MarketTicker(VENUE, *where, ns(row.ts), last=last, volume_usd=usd))
        return events

    def _on_marks(self, message: wire.Message) -> Sequence[Event]:
        rows, bad = wire.marks.decode(message.data)
        return [
            *bad,
            *(
                MarketTicker(VENUE, *self._instruments[row.instId], ns(row.ts), mark=number(row.markPx))
                for row in rows
                if row.instId in self._instruments
            ),
        ]

    def _on_funding(self, message: wire.Message) -> Sequence[Event]:
        """The rate is per period of the contract; a period that is not eight hours is scaled to eight."""
        rows, bad = wire.fundings.decode(message.data)
        events: list[Event] = [*bad]
        for row in rows:
            where = self._instruments.get(row.instId)
            if where is None or not row.fundingRate:
                continue
            period = number(row.nextFundingTime) - number(row.fundingTime)
            rate = number(row.fundingRate) * (_HOURS_8_MS / period if period > 0 else 1.0)
            events.append(MarketTicker(VENUE, *where, ns(row.ts), funding_8h=rate))
        return events

    def _on_interest(self, message: wire.Message) -> Sequence[Event]:
        rows, bad = wire.interests.decode(message.data)
        events: list[Event] = [*bad]
        for row in rows:
            where = self._instruments.get(row.instId)
            if where is None:
                continue
            usd = number(row.oiUsd)
            if usd != usd:
                usd = number(row.oiCcy) * self._last.get(row.instId, number(""))
            events.append(MarketTicker(VENUE, *where, ns(row.ts), open_interest_usd=usd))
        return events

    def _on_liquidations(self, message: wire.Message) -> Sequence[Event]:
        """All swaps come on one channel, so most rows are of contracts that nobody here watches."""
        rows, bad = wire.liquidations.decode(message.data)
        events: list[Event] = [*bad]
        for row in rows:
            where, coins = self._instruments.get(row.instId), self._coins.get(row.instId)
            if where is None or coins is None:
                continue
            for order in row.details:
                side = -1 if order.side == "sell" else 1  # the order's side: a long is sold out
                usd = order.sz * coins * order.bkPx
                events.append(Liquidation(VENUE, *where, ns(order.ts), side, order.bkPx, usd))
        return events

    # ---- books ----------------------------------------------------------------------------------------------------

    def _on_book(self, message: wire.Message) -> Sequence[Event]:
        """A snapshot starts the chain; an update continues it where its prevSeqId is the last seqId.

        The ids may jump down after the venue's maintenance: only the link counts, not the order.
        """
        inst = message.arg.instId
        where, coins = self._instruments.get(inst), self._coins.get(inst)
        if where is None or coins is None:
            return [rejected(self.source, "instrument", inst)]
        try:
            (book,) = wire.books.decode(message.data)
        except UNREADABLE as exc:
            return [rejected(self.source, "frame", exc), *self._broken(inst)]
        bids, asks = _levels(book.bids, coins), _levels(book.asks, coins)
        if message.action == "snapshot":
            self._seq[inst] = book.seqId
            self._resync.pop(inst, None)
            return [BookSnapshot(VENUE, *where, ns(book.ts), bids, asks)]
        if inst not in self._seq:
            return []  # of the book that was given up
        if book.prevSeqId != self._seq[inst]:
            return self._broken(inst)
        self._seq[inst] = book.seqId
        return [BookUpdate(VENUE, *where, ns(book.ts), bids, asks)]

    def _broken(self, inst: str) -> list[Event]:
        if self._seq.pop(inst, None) is None:
            return []
        self._resync[inst] = None
        return [BookLost(VENUE, *self._instruments[inst])]


def _levels(levels: Sequence[wire.Level], coins: float) -> tuple[tuple[float, float], ...]:
    return tuple([(level.price, level.size * coins) for level in levels])
