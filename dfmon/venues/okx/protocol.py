"""OKX spot, USDT swaps and inverse swaps as a protocol without I/O: one connection for trades, books and statistics.

Swaps count contracts, of coins or, where inverse, of USD: every size becomes coins here, once. Books follow the
sequence ids (a break is repaired by resubscribing); those of inverse swaps are not subscribed, since fewer than thirty
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
from dfmon.model.units import HOUR, MINUTE, SECOND, sanitize
from dfmon.venues.decoding import UNREADABLE, rejected
from dfmon.venues.health.channel_watchdog import ChannelWatchdog
from dfmon.venues.health.status import StatusTracker, join_names
from dfmon.venues.okx import wire
from dfmon.venues.okx.books import BookSequencer
from dfmon.venues.okx.channel_decoder import VENUE, ChannelDecoder
from dfmon.venues.protocol import DropPolicy, RestCall, Timeouts
from dfmon.venues.rest.fallback import RestFallback
from dfmon.venues.rest.queue import RestQueue
from dfmon.venues.token_bucket import TokenBucket

_INVERSE: Final = ("BTC", "ETH")
_PING_AFTER: Final = 20 * SECOND
_RESYNC_INTERVAL: Final = 30 * SECOND  # a book
_OPS_PER_HOUR, _OPS_BURST = 400.0, 60.0  # the venue allows 480 subscriptions and ends of such an hour
_ACK_TIMEOUT: Final = 10 * SECOND
_REFUSED_RETRY_INTERVAL: Final = MINUTE  # between two requests for channels that were not accepted
_FALLBACK_INTERVAL_S: Final = 30.0
_UPGRADE_NOTICE_CODE: Final = "64008"  # the connection ends in about a minute

# Channels with regular data: the longest acceptable silence, s. Trades of the smaller coins may pause.
_MAX_SILENCE_S: Final = {"tickers": 30, "books": 90, "mark-price": 30, "open-interest": 30, "funding-rate": 240}
_TRADES_MAX_SILENCE_S: Final = {"BTC": 30, "ETH": 60}
_CHANNEL_KEY: Final = b'"channel":"'
_INSTRUMENT: Final = b'"instId":"'
_DROP_POLICIES: Final = {
    "trades": DropPolicy.PRINT,
    "liquidation-orders": DropPolicy.PRINT,
    "tickers": DropPolicy.CONFLATE,
    "mark-price": DropPolicy.CONFLATE,
    "funding-rate": DropPolicy.CONFLATE,
    "open-interest": DropPolicy.CONFLATE,
    "books": DropPolicy.DROPPABLE,
}
_COMMON_CHANNELS: Final = ("trades", "tickers", "books")
_SWAP_CHANNELS: Final = ("mark-price", "funding-rate", "open-interest")


class OkxProtocol:
    """The spot pair and the linear swap of each of `underlyings`, and the inverse swap of BTC and ETH.

    `source` names the connection.
    """

    path = ""
    timeouts = Timeouts(first_data_s=15.0, max_silence_s=35.0)

    def __init__(self, underlyings: Sequence[str] = ("BTC", "ETH"), source: str = VENUE) -> None:
        self.source = source
        self.closing_reason = ""
        spot = {f"{name}-USDT": (Market.SPOT, name) for name in underlyings}
        swaps = {f"{name}-USDT-SWAP": (Market.PERP, name) for name in underlyings}
        inverse = {f"{name}-USD-SWAP": (Market.INVERSE, name) for name in underlyings if name in _INVERSE}
        self._instruments: dict[str, tuple[Market, str]] = spot | swaps | inverse
        self._linear = spot | swaps  # whose books are subscribed
        self._swaps = swaps | inverse
        self._channel_decoder = ChannelDecoder(self._instruments, source)
        self._books = BookSequencer(self._instruments, self._channel_decoder.coins, source)
        self._out: list[str] = []
        self._rest = RestQueue()
        self._resynced_ns: dict[str, int] = {}
        self._frames = self._frames_before = 0
        self._last_frame_ns = 0
        self._status = StatusTracker(source)
        self._watchdog = ChannelWatchdog()
        self._fallback = RestFallback(self._status, source, _FALLBACK_INTERVAL_S)
        self._op_bucket = TokenBucket(_OPS_PER_HOUR * SECOND / HOUR, _OPS_BURST)
        self._unacknowledged: dict[str, dict[str, str]] = {}  # requested and not acknowledged
        self._subscribed_ns = self._retried_ns = 0

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._out.clear()
        self._rest.clear()
        self._books.restart()
        self._resynced_ns.clear()
        self._fallback.stop()
        self._last_frame_ns = self._subscribed_ns = self._retried_ns = now_ns
        self.closing_reason = ""
        self._watchdog.restart()
        self._op_bucket = TokenBucket(_OPS_PER_HOUR * SECOND / HOUR, _OPS_BURST)
        self._op_bucket.try_acquire(now_ns / SECOND)
        self._unacknowledged = {_label(arg): arg for arg in self._subscription_args()}
        self._send("subscribe", self._subscription_args())
        self._rest.enqueue("instruments", "/api/v5/public/instruments", instType="SWAP")
        return [self._status.start("subscribing")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        self._watchdog.restart()
        self._unacknowledged.clear()
        lost = [BookLost(VENUE, market, name) for market, name in self._linear.values()]
        return [self._fallback.start(reason), *lost]

    @property
    def failure_reason(self) -> str:
        return self._watchdog.failure_reason

    @property
    def subscribed(self) -> bool:
        return self._status.live and not self._unacknowledged

    def on_timer(self, now_ns: int) -> Sequence[Event]:
        """Ping a silent connection, mend broken books and silent channels, repeat failed calls."""
        self._rest.release_retries(now_ns)
        if self._fallback.lost_reason:
            self._request_by_rest(now_ns)
            return []
        self._ping(now_ns)
        for inst_id in list(self._books.resync):
            cooled_down = now_ns - self._resynced_ns.get(inst_id, -_RESYNC_INTERVAL) >= _RESYNC_INTERVAL
            if cooled_down and self._resubscribe([{"channel": "books", "instId": inst_id}], now_ns):
                del self._books.resync[inst_id]
                self._resynced_ns[inst_id] = now_ns
        to_resubscribe, silent = self._watchdog.check(now_ns)
        if to_resubscribe:
            self._resubscribe([arg for arg in self._subscription_args() if _label(arg) in to_resubscribe], now_ns)
        refused = list(self._unacknowledged) if now_ns - self._subscribed_ns >= _ACK_TIMEOUT else []
        if (
            refused
            and now_ns - self._retried_ns >= _REFUSED_RETRY_INTERVAL
            and self._op_bucket.try_acquire(now_ns / SECOND)
        ):
            self._retried_ns = now_ns
            self._send("subscribe", list(self._unacknowledged.values()))
        return [
            *self._status.set_issue("silent", silent),
            *self._status.set_issue("refused", f"not accepted: {join_names(refused)}" if refused else ""),
        ]

    def _request_by_rest(self, now_ns: int) -> None:
        """Requests marks, open interest and funding of the swaps by REST while there is no websocket."""
        if not self._fallback.poll_due(now_ns):
            return
        for channel in ("mark-price", "open-interest"):
            self._rest.enqueue(channel, f"/api/v5/public/{channel}", retry=False, instType="SWAP")
        for inst_id in self._swaps:
            self._rest.enqueue(f"funding-rate:{inst_id}", "/api/v5/public/funding-rate", retry=False, instId=inst_id)

    def _resubscribe(self, args: Sequence[dict[str, str]], now_ns: int) -> bool:
        """Unsubscribes and subscribes again, the only way to a snapshot. False where the hourly limit forbids it."""
        if not self._op_bucket.try_acquire(now_ns / SECOND, 2.0):
            return False
        self._send("unsubscribe", args)
        self._send("subscribe", args)
        return True

    def classify(self, frame: bytes) -> tuple[DropPolicy, str]:
        channel, inst_id = _json_text(frame, _CHANNEL_KEY), _json_text(frame, _INSTRUMENT)
        policy = DropPolicy.NEVER if b'"event":' in frame[:200] else _DROP_POLICIES.get(channel, DropPolicy.NEVER)
        return policy, f"{channel} {inst_id}"

    def _ping(self, now_ns: int) -> None:
        if self._frames != self._frames_before:
            self._frames_before, self._last_frame_ns = self._frames, now_ns
        elif now_ns - self._last_frame_ns >= _PING_AFTER:
            self._last_frame_ns = now_ns
            self._out.append("ping")

    def data_to_send(self) -> list[str]:
        out, self._out = self._out, []
        return out

    def rest_calls(self) -> list[RestCall]:
        return self._rest.pop_calls()

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
            response = wire.response.decode(body)
            if response.code != "0":
                raise ValueError(f"{response.code} {response.msg}")
            events = self._decode_response(tag.partition(":")[0], response.data)
        except UNREADABLE as exc:
            self._rest.failed(tag)
            fallback_status = self._fallback.on_failure() if tag == "mark-price" else []
            return [*fallback_status, *([rejected(self.source, "response", f"{tag}: {exc}")] if body else [])]
        self._rest.completed(tag)
        return events

    def _decode_response(self, kind: str, data: msgspec.Raw) -> Sequence[Event]:
        """Rows of the listing, or those that a channel of this name would bring."""
        if kind in _SWAP_CHANNELS:
            return [*self._fallback.on_response(), *self._channel_decoder.by_channel[kind](data)]
        rows, rejections = wire.contracts.decode(data)
        for row in rows:
            self._channel_decoder.add_contract(row)
        return rejections

    def _subscription_args(self) -> list[dict[str, str]]:
        subscription_args = [
            {"channel": channel, "instId": inst_id}
            for inst_id in self._instruments
            for channel in _COMMON_CHANNELS
            if channel != "books" or inst_id in self._linear
        ]
        subscription_args += [
            {"channel": channel, "instId": inst_id} for inst_id in self._swaps for channel in _SWAP_CHANNELS
        ]
        return [*subscription_args, {"channel": "liquidation-orders", "instType": "SWAP"}]

    def _send(self, op: str, args: Sequence[dict[str, str]]) -> None:
        self._out.append(msgspec.json.encode({"op": op, "args": args}).decode())

    # ---- frames ---------------------------------------------------------------------------------------------------

    def _on_message(self, message: wire.Message) -> Sequence[Event]:
        channel = message.arg.channel
        if message.event:
            return self._on_event(message)
        if channel == "books":
            events = self._books.apply_message(message)
        elif handler := self._channel_decoder.by_channel.get(channel):
            events = handler(message.data)
        else:
            return [rejected(self.source, "channel", channel or "none")]
        self._watchdog.on_data(f"{channel} {message.arg.instId}")
        if not self._status.live:
            self._status.live = True
            return [self._status.report(), *events]
        return events

    def _on_event(self, message: wire.Message) -> Sequence[Event]:
        """An acknowledgement of a channel, or an error or notice, which is passed on in the venue's wording."""
        if message.event == "subscribe":
            self._accepted(message.arg)
        elif message.event in ("error", "notice", "channel-conn-count-error"):
            reason = sanitize(f"{message.msg or message.event} ({message.code})")
            if message.code == _UPGRADE_NOTICE_CODE:
                self.closing_reason = reason
                return self._status.set_issue("leaving", reason)
            return [self._status.report(reason)]
        return []

    def _accepted(self, arg: wire.Arg) -> None:
        label = f"{arg.channel} {arg.instId or arg.instType}"
        if self._unacknowledged.pop(label, None) is None:
            return
        _, name = self._instruments.get(arg.instId, (None, ""))
        max_channel_silence_s = _MAX_SILENCE_S.get(arg.channel, 0)
        if arg.channel == "trades" and arg.instId in self._linear:  # the inverse swaps may pause too
            max_channel_silence_s = _TRADES_MAX_SILENCE_S.get(name, 0)
        if max_channel_silence_s:
            self._watchdog.expect(label, max_channel_silence_s * SECOND)


def _label(arg: dict[str, str]) -> str:
    return f"{arg['channel']} {arg.get('instId') or arg['instType']}"


def _json_text(frame: bytes, key: bytes) -> str:
    """The text after `key` in the head of a frame; "" where there is none."""
    position = frame.find(key, 0, 200)
    return (
        frame[position + len(key) : frame.find(b'"', position + len(key))].decode("ascii", "replace")
        if position >= 0
        else ""
    )
