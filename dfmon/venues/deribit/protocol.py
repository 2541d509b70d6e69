"""Deribit's option book as a protocol without I/O: one websocket, and the REST calls that complete it.

Streams give trades, marks, futures and indices; the book summary gives open interest and forwards; get_instruments says
what exists. `pushes` and `answers` make events of them, `listing` knows names, `prints` completes the trades, `session`
speaks JSON-RPC, `asking` says what is wanted; this module joins them. The runner comes before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dfmon.model.events import ClockReading, Event, FeedState, FeedStatus
from dfmon.model.units import MICROSECOND, MINUTE, clean
from dfmon.venues.decoding import UNREADABLE, rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.jsonrpc import CLOSED, FATAL, WORDS, Session
from dfmon.venues.deribit.listing import Listings, index_name
from dfmon.venues.deribit.notifications import Pushes
from dfmon.venues.deribit.platform_state import Halts
from dfmon.venues.deribit.responses import Answers
from dfmon.venues.deribit.rest_calls import (
    Calls,
    channels,
    optional_channels,
    ticker_channel,
    watched,
)
from dfmon.venues.deribit.rest_polling import Polls
from dfmon.venues.deribit.trades.feed import Prints
from dfmon.venues.deribit.trades.history import Lives
from dfmon.venues.health.channel_watchdog import Watchdog
from dfmon.venues.health.status import Status, listed
from dfmon.venues.meta_snap import Job, Schedule
from dfmon.venues.protocol import Fate, Patience, RestCall

_CHANNEL: Final = b'"channel":"'
_BEGINS: Final = len(_CHANNEL)
_TICKER: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.'
_RELIST_NS: Final = MINUTE

_FATES: Final = {
    "trades": Fate.PRINT,
    "ticker": Fate.STATE,
    "quote": Fate.STATE,
    "deribit_price_index": Fate.STATE,
    "deribit_volatility_index": Fate.STATE,
    "estimated_expiration_price": Fate.STATE,
}


class DeribitProtocol:
    """`underlyings` are base currencies; `linear` adds the USDC-settled options of BTC and ETH.

    `look_back_s` is how much of the option prints before the first connection is asked for.
    """

    source = wire.SOURCE
    patience = Patience(first_data_s=15.0, data_s=35.0)
    leaving = ""  # the venue announces no end

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
        self._session = Session()
        self._rest = Calls()
        self._prints = Prints(self.listings, self._rest, int(look_back_s * 1e3))
        self._schedule = Schedule(summary_s)
        self._index_of = {index_name(name): name for name in underlyings}
        self._refused: list[str] = []
        self._status = Status(self.source)
        self._dog = Watchdog()
        self._halts = Halts(self._status, self._index_of)
        self._polls = Polls(self._status, self._rest, self.listings, self._prints, self._index_of)
        self._pushes = Pushes(self.listings, self._prints, self._halts, self._index_of)
        self._answers = Answers(self.listings, self._rest, self._prints, self._polls, self._index_of, self._follow)
        self._relisted_ns = 0

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._session = Session()
        self._rest.clear()
        self._pushes.restart()
        self._halts.restart()
        self._refused.clear()
        self._dog.restart()
        self._polls.over()
        self._session.greet(now_ns)
        self._session.subscribe(channels(self.listings))
        self._session.ask_time()
        self._schedule.restart(now_ns)
        self._rest.listings(self.listings)
        self._prints.reconnected(now_ns)
        return [self._status.begin("subscribing")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        self._session = Session()
        self._dog.restart()
        return [self._polls.begin(reason)]

    def restored(self, last: Mapping[str, int], whole: Iterable[str], newest_ms: Mapping[str, int]) -> None:
        """What an earlier run knew: see `Prints.restored`. Comes before the first connection."""
        self._prints.restored(last, whole, newest_ms)

    @property
    def lives(self) -> Lives:
        """Whole histories under way; who reads the archive asks here what to ask next."""
        return self._prints.lives

    @property
    def broken(self) -> str:
        return self._dog.broken

    @property
    def settled(self) -> bool:
        return self._status.live and self._session.settled

    def due(self, now_ns: int) -> Sequence[Event]:
        if self._polls.lost:
            self._polls.due(now_ns, self._schedule)
            return []
        self._session.due(now_ns)
        self._prints.due(now_ns)
        self._ask_rest(now_ns)
        return self._watch(now_ns)

    def _watch(self, now_ns: int) -> Sequence[Event]:
        """Mend what is silent; while the venue stands still, ask whether it still does."""
        if self._halts.standing_still:
            self._dog.hold()
            self._halts.ask(now_ns, self._session)
            return []
        again, silent = self._dog.due(now_ns)
        if again:
            self._session.mend(again)
        return self._status.complain("silent", silent)

    def _ask_rest(self, now_ns: int) -> None:
        for job in self._schedule.due(now_ns):
            if job is Job.LISTING:
                self._rest.listings(self.listings)
            else:
                for currency in self.listings.currencies:
                    if self.listings.complete(currency):
                        self._rest.board(self.listings, currency)
        if self._prints.unknown and now_ns - self._relisted_ns >= _RELIST_NS:
            self._relisted_ns = now_ns
            for currency in sorted(self._prints.unknown):
                self._rest.listing(currency, "option")
            self._prints.unknown.clear()
        self._rest.due(now_ns)

    def sort(self, frame: bytes) -> tuple[Fate, str]:
        """Marks and futures' tickers come as what has changed, so none of them stands for the one before."""
        at = frame.find(_CHANNEL)
        if at < 0:
            return Fate.KEEP, ""
        channel = frame[at + _BEGINS : frame.find(b'"', at + _BEGINS)].decode("ascii", "replace")
        kind, _, about = channel.partition(".")
        return _FATES.get(kind, Fate.KEEP), f"{kind} {about}"

    def data_to_send(self) -> list[str]:
        out, self._session.out = self._session.out, []
        return out

    def rest_calls(self) -> list[RestCall]:
        return self._rest.take()

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        try:
            if frame.startswith(_TICKER):  # the busiest channel: its name is read with the rest
                try:
                    ticker = decode.ticker.decode(frame).params.data
                except UNREADABLE:
                    pass  # a combo's numbers may be negative: whose they are says the channel, below
                else:
                    if ticker.name in self._options:
                        return (ticker,)
            at = frame.find(_CHANNEL)
            if at < 0:
                return self._on_message(frame)
            channel = frame[at + _BEGINS : frame.find(b'"', at + _BEGINS)]
            route = self._pushes.routes.get(channel)
            handler, about, name = self._pushes.route(channel) if route is None else route
            events = handler(about, frame)
            self._dog.heard(name)
            return events
        except UNREADABLE as exc:
            return [rejected(self.source, "frame", exc)]

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        return self._answers.take(tag, body)

    # ---- messages that are no data --------------------------------------------------------------------------------

    def _on_message(self, frame: bytes) -> Sequence[Event]:
        message = wire.envelope.decode(frame)
        if message.method == "heartbeat":
            if message.params is not None and message.params.type == "test_request":
                self._session.request("public/test")
            return []
        if message.method == "subscription" and message.params is not None:
            handler, about, _ = self._pushes.route(message.params.channel.encode())  # another spelling of the JSON
            return handler(about, frame)
        if message.error is not None:
            return self._on_error(message.id, message.error)
        if message.id is None:
            return [rejected(self.source, "frame", "neither answer nor notification")]
        if self._session.asks_channels(message.id):
            optional = optional_channels(self.listings)
            accepted = wire.channels.decode(message.result)
            missing = self._session.acknowledged(message.id, accepted)
            for channel, within_ns, vital in watched(accepted, optional):
                self._dog.expect(channel, within_ns, vital=vital)
            return self._settle([channel for channel in missing if channel not in optional], message.usOut)
        if self._halts.asked(message.id):
            return self._halts.answered(wire.venue_status.decode(message.result).locked)
        sent_ns = self._session.time_asked(message.id)
        if sent_ns is None or not 0 < message.usIn <= message.usOut:
            return []
        return [ClockReading(self.source, sent_ns, message.usIn * MICROSECOND, message.usOut * MICROSECOND)]

    def _on_error(self, number: int | None, error: wire.RpcError) -> list[Event]:
        missing = self._session.refused(number, error.code)
        words = f"{WORDS.get(error.code) or clean(error.message) or 'refused'} ({error.code})"
        if error.code in CLOSED:
            return [*self._status.complain("closed", words), *self._settle(missing)]
        status = self._status.tell(words)
        if error.code in FATAL:
            status = FeedStatus(self.source, FeedState.DOWN, status.reason)
        return [status, *self._settle(missing)]

    def _settle(self, missing: Sequence[str], answered_us: int = 0) -> list[Event]:
        """A subscription has been answered: report what it left out, and say so when the last one is in.

        `answered_us` is the venue's time of the answer; the prints before it are asked for now.
        """
        if self._session.settled:
            self._prints.subscribed(answered_us // 1_000)
        self._refused += missing
        events: list[Event] = [rejected(self.source, "subscription", channel) for channel in missing]
        if self._session.settled and self._session.accepted and (missing or not self._status.live):
            self._status.live = True
            self._status.complain("refused", f"not accepted: {listed(self._refused)}" if self._refused else "")
            events.append(self._status.tell())
        return events

    def _follow(self, came: Sequence[str], gone: Sequence[str]) -> None:
        """Futures have been listed, or are listed no more."""
        self._session.subscribe(map(ticker_channel, came))
        self._session.unsubscribe([ticker_channel(name) for name in gone])
