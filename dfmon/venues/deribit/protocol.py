"""Deribit's option book as a protocol without I/O: one websocket, and the REST calls that complete it.

Streams bring trades, marks, futures and indices; the book summary open interest and forwards; get_instruments the
listing. `notifications` and `responses` make events of them, `listing` has the instruments, `trades.feed` completes the
prints, `jsonrpc` has the requests, `subscriptions` and `rest_calls` what is requested. This module joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dfmon.model.events import ClockReading, Event, FeedState, FeedStatus
from dfmon.model.instrument import Instrument
from dfmon.model.units import MICROSECOND, MINUTE, sanitize
from dfmon.venues.decoding import UNREADABLE, rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.jsonrpc import CLOSED_ERRORS, ERROR_MESSAGES, FATAL_ERRORS, JsonRpcClient
from dfmon.venues.deribit.listing import Listings, index_name
from dfmon.venues.deribit.notifications import NotificationHandler
from dfmon.venues.deribit.platform_state import PlatformMonitor
from dfmon.venues.deribit.responses import ResponseHandler
from dfmon.venues.deribit.rest_calls import DeribitRestQueue, is_option_listing
from dfmon.venues.deribit.rest_poller import RestPoller
from dfmon.venues.deribit.subscriptions import channels, monitored_channels, optional_channels, ticker_channel
from dfmon.venues.deribit.trades.feed import TradeFeed
from dfmon.venues.deribit.trades.history import TradeHistoryCollector
from dfmon.venues.health.channel_watchdog import ChannelWatchdog
from dfmon.venues.health.status import StatusTracker, join_names
from dfmon.venues.meta_snap import Job, PollSchedule
from dfmon.venues.protocol import DropPolicy, RestCall, Timeouts

_CHANNEL_KEY: Final = b'"channel":"'
_CHANNEL_OFFSET: Final = len(_CHANNEL_KEY)
_TICKER_PREFIX: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.'
_RELIST_INTERVAL_NS: Final = MINUTE
_RETRY_INTERVAL_NS: Final = MINUTE  # between two requests for channels that were not accepted

_DROP_POLICIES: Final = {
    "trades": DropPolicy.PRINT,
    "ticker": DropPolicy.CONFLATE,
    "quote": DropPolicy.CONFLATE,
    "deribit_price_index": DropPolicy.CONFLATE,
    "deribit_volatility_index": DropPolicy.CONFLATE,
    "estimated_expiration_price": DropPolicy.CONFLATE,
}


class DeribitProtocol:
    """`underlyings` are base currencies; `linear` adds the USDC-settled options of BTC and ETH.

    `look_back_s` is how far back the first connection requests option prints.
    """

    source = wire.SOURCE
    path = ""
    timeouts = Timeouts(first_data_s=15.0, max_silence_s=35.0)
    closing_reason = ""  # the venue does not announce the end of a connection

    def __init__(
        self,
        underlyings: Sequence[str] = ("BTC", "ETH"),
        *,
        linear: bool = True,
        summary_s: float = 30.0,
        look_back_s: float = 0.0,
    ) -> None:
        self.listings = Listings(underlyings, linear=linear)
        self._options = self.listings.options
        self._rpc = JsonRpcClient()
        self._rest = DeribitRestQueue()
        self._trade_feed = TradeFeed(self.listings, self._rest, int(look_back_s * 1e3))
        self._schedule = PollSchedule(summary_s)
        self._underlying_by_index = {index_name(name): name for name in underlyings}
        self._refused: list[str] = []
        self._left_out: list[str] = []  # of those, without an error
        self._left_out_since_ns: int | None = None  # first timer since the last request for them
        self._status = StatusTracker(self.source)
        self._watchdog = ChannelWatchdog()
        self._platform_monitor = PlatformMonitor(self._status, self._underlying_by_index)
        self._poller = RestPoller(self._status, self._rest, self.listings, self._trade_feed, self._underlying_by_index)
        self._notifications = NotificationHandler(
            self.listings, self._trade_feed, self._platform_monitor, self._underlying_by_index
        )
        self._responses = ResponseHandler(
            self.listings,
            self._rest,
            self._trade_feed,
            self._poller,
            self._underlying_by_index,
            self._on_futures_changed,
        )
        self._relisted_ns = 0

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._rpc = JsonRpcClient()
        self._rest.clear()
        self._notifications.restart()
        self._platform_monitor.restart()
        self._refused.clear()
        self._left_out.clear()
        self._left_out_since_ns = None
        self._watchdog.restart()
        self._poller.stop()
        self._rpc.handshake(now_ns)
        self._rpc.subscribe(channels(self.listings))
        self._rpc.request_time()
        self._schedule.restart(now_ns)
        self._rest.listings(self.listings)
        self._trade_feed.reconnected(now_ns)
        return [self._status.start("subscribing")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        self._rpc = JsonRpcClient()
        self._watchdog.restart()
        return [self._poller.start(reason)]

    def restore(self, last_seq: Mapping[str, int], complete: Iterable[str], newest_ms: Mapping[str, int]) -> None:
        """Resumes after the last prints of an earlier run: see `TradeFeed.restore`."""
        self._trade_feed.restore(last_seq, complete, newest_ms)

    @property
    def underlyings(self) -> Sequence[str]:
        return self.listings.underlyings

    @property
    def options(self) -> Mapping[str, Instrument]:
        return self.listings.options

    @property
    def histories(self) -> TradeHistoryCollector:
        """Full trade histories that are being collected."""
        return self._trade_feed.histories

    def listing_calls(self) -> list[RestCall]:
        """Pending calls for the listings and summaries of options; other pending calls are dropped."""
        return [call for call in self._rest.pop_calls() if is_option_listing(call)]

    @property
    def failure_reason(self) -> str:
        return self._watchdog.failure_reason

    @property
    def subscribed(self) -> bool:
        return self._status.live and self._rpc.subscribed

    def on_timer(self, now_ns: int) -> Sequence[Event]:
        if self._poller.lost_reason:
            self._poller.poll(now_ns, self._schedule)
            return []
        self._rpc.on_timer(now_ns)
        self._trade_feed.request_missing(now_ns)
        self._request_by_rest(now_ns)
        return self._check_channels(now_ns)

    def _check_channels(self, now_ns: int) -> Sequence[Event]:
        """Resubscribes silent channels; during a halt polls the venue's status instead."""
        if self._platform_monitor.is_halted:
            self._watchdog.reset_timers()
            self._platform_monitor.poll_status(now_ns, self._rpc)
            return []
        self._retry_left_out(now_ns)
        to_resubscribe, silent = self._watchdog.check(now_ns)
        if to_resubscribe:
            self._rpc.resubscribe(to_resubscribe)
        return self._status.set_issue("silent", silent)

    def _retry_left_out(self, now_ns: int) -> None:
        """Requests channels that acknowledgements left out again: the venue may not know them for a while only."""
        since_ns = self._left_out_since_ns
        if not self._left_out:
            return
        if since_ns is None or now_ns < since_ns:  # or our clock was set back
            self._left_out_since_ns = now_ns
        elif now_ns - since_ns >= _RETRY_INTERVAL_NS:
            channels, self._left_out, self._left_out_since_ns = self._left_out, [], None
            self._refused = [channel for channel in self._refused if channel not in channels]
            self._rpc.subscribe(channels)
            self._trade_feed.sweep_soon()

    def _request_by_rest(self, now_ns: int) -> None:
        for job in self._schedule.due_jobs(now_ns):
            if job is Job.LISTING:
                self._rest.listings(self.listings)
            else:
                for currency in self.listings.currencies:
                    if self.listings.complete(currency):
                        self._rest.request_summary(self.listings, currency)
        if self._trade_feed.stale_listings and now_ns - self._relisted_ns >= _RELIST_INTERVAL_NS:
            self._relisted_ns = now_ns
            for currency in sorted(self._trade_feed.stale_listings):
                self._rest.request_listing(currency, "option")
            self._trade_feed.stale_listings.clear()
        self._rest.release_retries(now_ns)

    def classify(self, frame: bytes) -> tuple[DropPolicy, str]:
        """Marks and futures' tickers are changes, so none replaces the one before."""
        position = frame.find(_CHANNEL_KEY)
        if position < 0:
            return DropPolicy.NEVER, ""
        channel = frame[position + _CHANNEL_OFFSET : frame.find(b'"', position + _CHANNEL_OFFSET)].decode(
            "ascii", "replace"
        )
        kind, _, suffix = channel.partition(".")
        return _DROP_POLICIES.get(kind, DropPolicy.NEVER), f"{kind} {suffix}"

    def data_to_send(self) -> list[str]:
        outgoing, self._rpc.outgoing = self._rpc.outgoing, []
        return outgoing

    def rest_calls(self) -> list[RestCall]:
        return self._rest.pop_calls()

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        try:
            if frame.startswith(_TICKER_PREFIX):  # the busiest channel: its name is read with the rest
                try:
                    ticker = decode.ticker.decode(frame).params.data
                except UNREADABLE:
                    pass  # a combo's numbers may be negative: the channel tells it from a damaged frame, below
                else:
                    if ticker.name in self._options:
                        return (ticker,)
            position = frame.find(_CHANNEL_KEY)
            if position < 0:
                return self._on_message(frame)
            channel = frame[position + _CHANNEL_OFFSET : frame.find(b'"', position + _CHANNEL_OFFSET)]
            route = self._notifications.routes.get(channel)
            handler, suffix, name = self._notifications.route(channel) if route is None else route
            events = handler(suffix, frame)
            self._watchdog.on_data(name)
            return events
        except UNREADABLE as exc:
            return [rejected(self.source, "frame", exc)]

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        return self._responses.handle(tag, body)

    # ---- messages that are no data --------------------------------------------------------------------------------

    def _on_message(self, frame: bytes) -> Sequence[Event]:
        message = wire.envelope.decode(frame)
        if message.method == "heartbeat":
            if message.params is not None and message.params.type == "test_request":
                self._rpc.request("public/test")
            return []
        if message.method == "subscription" and message.params is not None:
            handler, suffix, _ = self._notifications.route(
                message.params.channel.encode()
            )  # another spelling of the JSON
            return handler(suffix, frame)
        if message.error is not None:
            return self._on_error(message.id, message.error)
        if message.id is None:
            return [rejected(self.source, "frame", "neither response nor notification")]
        if self._rpc.is_subscription(message.id):
            optional = optional_channels(self.listings)
            accepted = wire.channels.decode(message.result)
            missing = [name for name in self._rpc.on_acknowledged(message.id, accepted) if name not in optional]
            self._left_out += missing
            for channel, max_silence_ns, critical in monitored_channels(accepted, optional):
                self._watchdog.expect(channel, max_silence_ns, critical=critical)
            return self._on_subscription_response(missing, message.usOut)
        if self._platform_monitor.is_status_response(message.id):
            return self._platform_monitor.on_status_response(wire.venue_status.decode(message.result).locked)
        sent_ns = self._rpc.pop_time_request(message.id)
        if sent_ns is None or not 0 < message.usIn <= message.usOut:
            return []
        return [ClockReading(self.source, sent_ns, message.usIn * MICROSECOND, message.usOut * MICROSECOND)]

    def _on_error(self, request_id: int | None, error: wire.RpcError) -> list[Event]:
        missing = self._rpc.on_refused(request_id, error.code)
        message_text = f"{ERROR_MESSAGES.get(error.code) or sanitize(error.message) or 'refused'} ({error.code})"
        if error.code in CLOSED_ERRORS:
            return [*self._status.set_issue("closed", message_text), *self._on_subscription_response(missing)]
        status = self._status.report(message_text)
        if error.code in FATAL_ERRORS:
            status = FeedStatus(self.source, FeedState.DOWN, status.reason)
        return [status, *self._on_subscription_response(missing)]

    def _on_subscription_response(self, missing: Sequence[str], response_us: int = 0) -> list[Event]:
        """Reports the missing channels of a subscription, and the feed as live after the last one.

        `response_us` is the venue's time of the response; the prints before it are requested now.
        """
        if self._rpc.subscribed:
            self._trade_feed.channels_opened(response_us // 1_000)
        self._refused += missing
        was_refused = self._status.has_issue("refused")  # retries are not counted
        events: list[Event] = [] if was_refused else [rejected(self.source, "subscription", name) for name in missing]
        if self._rpc.subscribed and self._rpc.accepted and (missing or was_refused or not self._status.live):
            self._status.live = True
            self._status.set_issue("refused", f"not accepted: {join_names(self._refused)}" if self._refused else "")
            events.append(self._status.report())
        return events

    def _on_futures_changed(self, added: Sequence[str], removed: Sequence[str]) -> None:
        """Subscribes listed futures and unsubscribes delisted ones."""
        self._rpc.subscribe(map(ticker_channel, added))
        self._rpc.unsubscribe([ticker_channel(name) for name in removed])
