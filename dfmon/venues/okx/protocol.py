"""OKX spot, USDT swaps and inverse swaps as a protocol without I/O: one connection for trades, books and slow facts.

Swaps count contracts, of coins or, where inverse, of USD: every size becomes coins here, once. Books follow the
sequence ids (a break is mended by subscribing anew); those of inverse swaps are not asked for, since fewer than thirty
are advised. The venue closes a connection that is silent for 30 s unless it is pinged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from dfmon.model.events import (
    BookLost,
    Event,
    Market,
)
from dfmon.model.units import HOUR, SECOND, clean
from dfmon.venues.decoding import UNREADABLE, rejected
from dfmon.venues.health.channel_watchdog import Watchdog
from dfmon.venues.health.status import Status, listed
from dfmon.venues.okx import wire
from dfmon.venues.okx.books import Books
from dfmon.venues.okx.rows import VENUE, Pushes
from dfmon.venues.protocol import Fate, Patience, RestCall
from dfmon.venues.rest.fallback import RestAlone
from dfmon.venues.rest.queue import RestQueue
from dfmon.venues.token_bucket import Bucket

_INVERSE: Final = ("BTC", "ETH")
_PING_AFTER: Final = 20 * SECOND
_RESYNC_EVERY: Final = 30 * SECOND  # a book
_OPS_HOUR, _OPS_BURST = 400.0, 60.0  # the venue allows 480 subscriptions and ends of such an hour
_ACK_WITHIN: Final = 10 * SECOND
_ALONE_S: Final = 30.0
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
        self._linear = spot | swaps  # whose books are asked for
        self._swaps = swaps | inverse
        self._pushes = Pushes(self._instruments, source)
        self._books = Books(self._instruments, self._pushes.coins, source)
        self._out: list[str] = []
        self._rest = RestQueue()
        self._resynced_ns: dict[str, int] = {}
        self._frames = self._frames_before = 0
        self._heard_ns = 0
        self._status = Status(source)
        self._dog = Watchdog()
        self._alone = RestAlone(self._status, source, _ALONE_S)
        self._ops = Bucket(_OPS_HOUR * SECOND / HOUR, _OPS_BURST)
        self._wanted: dict[str, dict[str, str]] = {}  # asked for and not acknowledged
        self._asked_ns = 0

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._out.clear()
        self._rest.clear()
        self._books.restart()
        self._resynced_ns.clear()
        self._alone.over()
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
        lost = [BookLost(VENUE, market, name) for market, name in self._linear.values()]
        return [self._alone.begin(reason), *lost]

    @property
    def broken(self) -> str:
        return self._dog.broken

    @property
    def settled(self) -> bool:
        return self._status.live and not self._wanted

    def due(self, now_ns: int) -> Sequence[Event]:
        """Ping a silent connection, mend broken books and silent channels, repeat failed calls."""
        self._rest.due(now_ns)
        if self._alone.lost:
            self._ask_rest(now_ns)
            return []
        self._ping(now_ns)
        for inst in list(self._books.resync):
            rested = now_ns - self._resynced_ns.get(inst, -_RESYNC_EVERY) >= _RESYNC_EVERY
            if rested and self._anew([{"channel": "books", "instId": inst}], now_ns):
                del self._books.resync[inst]
                self._resynced_ns[inst] = now_ns
        again, silent = self._dog.due(now_ns)
        if again:
            self._anew([arg for arg in self._plan() if _label(arg) in again], now_ns)
        refused = list(self._wanted) if now_ns - self._asked_ns >= _ACK_WITHIN else []
        return [
            *self._status.complain("silent", silent),
            *self._status.complain("refused", f"not accepted: {listed(refused)}" if refused else ""),
        ]

    def _ask_rest(self, now_ns: int) -> None:
        """What REST can tell of the swaps while there is no websocket: marks, open interest, funding."""
        if not self._alone.turn(now_ns):
            return
        for channel in ("mark-price", "open-interest"):
            self._rest.ask(channel, f"/api/v5/public/{channel}", retry=False, instType="SWAP")
        for inst in self._swaps:
            self._rest.ask(f"funding-rate:{inst}", "/api/v5/public/funding-rate", retry=False, instId=inst)

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
            events = self._answered(tag.partition(":")[0], answer.data)
        except UNREADABLE as exc:
            self._rest.failed(tag)
            down = self._alone.failed() if tag == "mark-price" else []
            return [*down, rejected(self.source, "answer", f"{tag}: {exc if body else 'none'}")]
        self._rest.answered(tag)
        return events

    def _answered(self, kind: str, data: msgspec.Raw) -> Sequence[Event]:
        """Rows of the listing, or those that a channel of this name would bring."""
        if kind in _SWAPS_ONLY:
            return [*self._alone.answered(), *self._pushes.by_channel[kind](data)]
        rows, bad = wire.contracts.decode(data)
        for row in rows:
            self._pushes.listed(row)
        return bad

    def _plan(self) -> list[dict[str, str]]:
        wanted = [
            {"channel": channel, "instId": inst}
            for inst in self._instruments
            for channel in _EVERYWHERE
            if channel != "books" or inst in self._linear
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
        if channel == "books":
            events = self._books.take(message)
        elif handler := self._pushes.by_channel.get(channel):
            events = handler(message.data)
        else:
            return [rejected(self.source, "channel", channel or "none")]
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
        if arg.channel == "trades" and arg.instId in self._linear:  # the inverse swaps may pause too
            within_s = _TRADES_WITHIN.get(name, 0)
        if within_s:
            self._dog.expect(label, within_s * SECOND)


def _label(arg: dict[str, str]) -> str:
    return f"{arg['channel']} {arg.get('instId') or arg['instType']}"


def _word(frame: bytes, key: bytes) -> str:
    """The text after `key` in the head of a frame; "" where there is none."""
    at = frame.find(key, 0, 200)
    return frame[at + len(key) : frame.find(b'"', at + len(key))].decode("ascii", "replace") if at >= 0 else ""
