"""OKX spot, USDT swaps and inverse swaps as a protocol without I/O: one connection for trades, books and slow facts.

Swaps count contracts, of coins or, where inverse, of USD: every size becomes coins here, once. Books follow the
sequence ids (a break is mended by subscribing anew); those of inverse swaps are not asked for, since fewer than thirty
are advised. The venue closes a connection that is silent for 30 s unless it is pinged.
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
    Liquidation,
    Market,
    MarketTicker,
    MarketTrade,
)
from dfmon.model.units import HOUR, SECOND, clean
from dfmon.venues.decoding import UNREADABLE, Recent, ns, number, rejected, serial
from dfmon.venues.okx import wire
from dfmon.venues.pacing import Bucket
from dfmon.venues.protocol import Fate, Patience, RestCall
from dfmon.venues.restqueue import RestQueue
from dfmon.venues.status import Status, listed
from dfmon.venues.watchdog import Watchdog

VENUE: Final = wire.SOURCE
# Coins per contract, and USD per inverse one, until the listing has been read; a swap that is not here waits for it.
_DOCUMENTED: Final = {"BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1}
_DOCUMENTED_USD: Final = {"BTC-USD-SWAP": 100.0}
_INVERSE: Final = ("BTC", "ETH")
_PING_AFTER: Final = 20 * SECOND
_RESYNC_EVERY: Final = 30 * SECOND  # a book
_OPS_HOUR, _OPS_BURST = 400.0, 60.0  # the venue allows 480 subscriptions and ends of such an hour
_ACK_WITHIN: Final = 10 * SECOND
_UPGRADE: Final = "64008"  # the connection ends in about a minute

# Channels that speak by themselves: the longest silence that is in order, s. Trades of the smaller coins may pause.
_WITHIN: Final = {"tickers": 30, "books": 90, "mark-price": 30, "open-interest": 30, "funding-rate": 240}
_TRADES_WITHIN: Final = {"BTC": 30, "ETH": 60}
_CHANNEL: Final = b'"channel":"'
_INSTRUMENT: Final = b'"instId":"'
_FATES: Final = {
    "trades": Fate.PRINT,
    "liquidation-orders": Fate.PRINT,
    "tickers": Fate.STATE,
    "mark-price": Fate.STATE,
    "funding-rate": Fate.STATE,
    "open-interest": Fate.STATE,
    "books": Fate.DELTA,
}
_HOURS_8_MS: Final = 8 * 3_600_000

_EVERYWHERE: Final = ("trades", "tickers", "books")
_SWAPS_ONLY: Final = ("mark-price", "funding-rate", "open-interest")


class OkxProtocol:
    """The spot pair and the linear swap of each of `underlyings`, and the inverse swap of BTC and ETH.

    `source` names the connection.
    """

    patience = Patience(first_data_s=15.0, data_s=35.0)

    def __init__(self, underlyings: Sequence[str] = ("BTC", "ETH"), source: str = VENUE) -> None:
        self.source = source
        self.leaving = ""
        spot = {f"{name}-USDT": (Market.SPOT, name) for name in underlyings}
        swaps = {f"{name}-USDT-SWAP": (Market.PERP, name) for name in underlyings}
        inverse = {f"{name}-USD-SWAP": (Market.INVERSE, name) for name in underlyings if name in _INVERSE}
        self._instruments: dict[str, tuple[Market, str]] = spot | swaps | inverse
        self._books = spot | swaps
        self._swaps = swaps | inverse
        self._coins = dict.fromkeys(spot, 1.0) | {name: _DOCUMENTED[name] for name in swaps if name in _DOCUMENTED}
        self._usd = {name: _DOCUMENTED_USD[name] for name in inverse if name in _DOCUMENTED_USD}
        self._out: list[str] = []
        self._rest = RestQueue()
        self._seq: dict[str, int] = {}  # last seqId of each good book
        self._resync: dict[str, None] = {}
        self._resynced_ns: dict[str, int] = {}
        self._last: dict[str, float] = {}
        self._frames = self._frames_before = 0
        self._heard_ns = 0
        self._status = Status(source)
        self._dog = Watchdog()
        self._prints = Recent()
        self._ops = Bucket(_OPS_HOUR * SECOND / HOUR, _OPS_BURST)
        self._wanted: dict[str, dict[str, str]] = {}  # asked for and not acknowledged
        self._asked_ns = 0
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
        self._heard_ns = self._asked_ns = now_ns
        self.leaving = ""
        self._dog.restart()
        self._ops = Bucket(_OPS_HOUR * SECOND / HOUR, _OPS_BURST)
        self._ops.try_take(now_ns / SECOND)
        self._wanted = {_label(arg): arg for arg in self._plan()}
        self._send("subscribe", self._plan())
        self._rest.ask("instruments", "/api/v5/public/instruments", instType="SWAP")
        return [self._status.begin("subscribing")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        self._dog.restart()
        self._wanted.clear()
        lost = [BookLost(VENUE, market, name) for market, name in self._books.values()]
        return [self._status.down(reason), *lost]

    @property
    def broken(self) -> str:
        return self._dog.broken

    @property
    def settled(self) -> bool:
        return self._status.live and not self._wanted

    def due(self, now_ns: int) -> Sequence[Event]:
        """Ping a silent connection, mend broken books and silent channels, repeat failed calls."""
        self._rest.due(now_ns)
        self._ping(now_ns)
        for inst in list(self._resync):
            rested = now_ns - self._resynced_ns.get(inst, -_RESYNC_EVERY) >= _RESYNC_EVERY
            if rested and self._anew([{"channel": "books", "instId": inst}], now_ns):
                del self._resync[inst]
                self._resynced_ns[inst] = now_ns
        again, silent = self._dog.due(now_ns)
        if again:
            self._anew([arg for arg in self._plan() if _label(arg) in again], now_ns)
        refused = list(self._wanted) if now_ns - self._asked_ns >= _ACK_WITHIN else []
        return [
            *self._status.complain("silent", silent),
            *self._status.complain("refused", f"not accepted: {listed(refused)}" if refused else ""),
        ]

    def _anew(self, args: Sequence[dict[str, str]], now_ns: int) -> bool:
        """End subscriptions and make them again, which alone gives a snapshot. False: not this hour."""
        if not self._ops.try_take(now_ns / SECOND, 2.0):
            return False
        self._send("unsubscribe", args)
        self._send("subscribe", args)
        return True

    def sort(self, frame: bytes) -> tuple[Fate, str]:
        channel, inst = _word(frame, _CHANNEL), _word(frame, _INSTRUMENT)
        fate = Fate.KEEP if b'"event":' in frame[:200] else _FATES.get(channel, Fate.KEEP)
        return fate, f"{channel} {inst}"

    def _ping(self, now_ns: int) -> None:
        if self._frames != self._frames_before:
            self._frames_before, self._heard_ns = self._frames, now_ns
        elif now_ns - self._heard_ns >= _PING_AFTER:
            self._heard_ns = now_ns
            self._out.append("ping")

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
                self._listed(row)
        except UNREADABLE as exc:
            self._rest.failed(tag)
            return [rejected(self.source, "answer", f"{tag}: {exc if body else 'none'}")]
        self._rest.answered(tag)
        return bad

    def _listed(self, row: wire.Contract) -> None:
        """How much a contract is: coins of a linear swap, USD of an inverse one."""
        market, _ = self._swaps.get(row.instId, (None, ""))
        worth = number(row.ctVal) * (number(row.ctMult) if row.ctMult else 1.0)
        if market is Market.PERP and row.ctType == "linear" and worth > 0:
            self._coins[row.instId] = worth
        elif market is Market.INVERSE and row.ctType == "inverse" and row.ctValCcy in ("USD", "") and worth > 0:
            self._usd[row.instId] = worth

    def _size(self, inst: str, size: float, price: float) -> float | None:
        """Coins of `size` on the wire at `price`, USD; None where nobody has said what a contract is."""
        if inst in self._coins:
            return size * self._coins[inst]
        return size * self._usd[inst] / price if inst in self._usd else None

    def _plan(self) -> list[dict[str, str]]:
        wanted = [
            {"channel": channel, "instId": inst}
            for inst in self._instruments
            for channel in _EVERYWHERE
            if channel != "books" or inst in self._books
        ]
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
        self._dog.heard(f"{channel} {message.arg.instId}")
        if not self._status.live:
            self._status.live = True
            return [self._status.tell(), *events]
        return events

    def _on_event(self, message: wire.Message) -> Sequence[Event]:
        """One acknowledgement comes for each channel; an error or a notice is passed on in the venue's words."""
        if message.event == "subscribe":
            self._accepted(message.arg)
        elif message.event in ("error", "notice", "channel-conn-count-error"):
            words = clean(f"{message.msg or message.event} ({message.code})")
            if message.code == _UPGRADE:
                self.leaving = words
                return self._status.complain("leaving", words)
            return [self._status.tell(words)]
        return []

    def _accepted(self, arg: wire.Arg) -> None:
        label = f"{arg.channel} {arg.instId or arg.instType}"
        if self._wanted.pop(label, None) is None:
            return
        _, name = self._instruments.get(arg.instId, (None, ""))
        within_s = _WITHIN.get(arg.channel, 0)
        if arg.channel == "trades" and arg.instId in self._books:  # the inverse swaps may pause too
            within_s = _TRADES_WITHIN.get(name, 0)
        if within_s:
            self._dog.expect(label, within_s * SECOND)

    def _on_trades(self, message: wire.Message) -> Sequence[Event]:
        rows, bad = wire.trades.decode(message.data)
        events: list[Event] = [*bad]
        for row in rows:
            where, coins = self._instruments.get(row.instId), self._size(row.instId, row.sz, row.px)
            if where is None or coins is None:
                events.append(rejected(self.source, "instrument", row.instId))
                continue
            if not self._prints.fresh(row.instId, serial(row.tradeId)):
                continue  # two connections brought it
            side = 1 if row.side == "buy" else -1
            events.append(MarketTrade(VENUE, *where, ns(row.ts), row.px, coins, side))
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
            bid, ask = number(row.bidPx), number(row.askPx)
            events.append(MarketTicker(VENUE, *where, ns(row.ts), last=last, volume_usd=usd, bid=bid, ask=ask))
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
            where = self._instruments.get(row.instId)
            if where is None:
                continue
            for order in row.details:
                coins = self._size(row.instId, order.sz, order.bkPx)
                if coins is None:
                    continue
                side = -1 if order.side == "sell" else 1  # the order's side: a long is sold out
                events.append(Liquidation(VENUE, *where, ns(order.ts), side, order.bkPx, coins * order.bkPx))
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


def _label(arg: dict[str, str]) -> str:
    return f"{arg['channel']} {arg.get('instId') or arg['instType']}"


def _word(frame: bytes, key: bytes) -> str:
    """The text after `key` in the head of a frame; "" where there is none."""
    at = frame.find(key, 0, 200)
    return frame[at + len(key) : frame.find(b'"', at + len(key))].decode("ascii", "replace") if at >= 0 else ""


def _levels(levels: Sequence[wire.Level], coins: float) -> tuple[tuple[float, float], ...]:
    return tuple([(level.price, level.size * coins) for level in levels])
