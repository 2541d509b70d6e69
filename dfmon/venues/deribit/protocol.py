"""Deribit's option book as a protocol without I/O: one websocket, and the REST calls that complete it.

Streams give trades, marks, futures and indices; the book summary gives open interest and forwards; get_instruments says
what exists. `wire` types the bytes, `decode` converts units, `listing` knows names, `prints` completes the trades,
`session` speaks JSON-RPC, `asking` says what is wanted; this module joins them. The runner comes before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from dfmon.model.events import ClockReading, Event, FeedState, FeedStatus, IndexPrice
from dfmon.model.units import MICROSECOND, MINUTE, clean
from dfmon.venues.decoding import UNREADABLE, rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.asking import Calls, channels, optional_channels, ticker_channel, watched
from dfmon.venues.deribit.halts import Halts
from dfmon.venues.deribit.listing import Listings, index_name, settled_in
from dfmon.venues.deribit.lives import Lives, from_kept
from dfmon.venues.deribit.marks import Marks
from dfmon.venues.deribit.polls import Polls
from dfmon.venues.deribit.prints import Prints
from dfmon.venues.deribit.session import CLOSED, FATAL, PASSING, WORDS, Session
from dfmon.venues.meta_snap import Job, Schedule
from dfmon.venues.protocol import Fate, Patience, RestCall
from dfmon.venues.status import Status, listed
from dfmon.venues.watchdog import Watchdog

_CHANNEL: Final = b'"channel":"'
_BEGINS: Final = len(_CHANNEL)
_TICKER: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.'
_RELIST_NS: Final = MINUTE
_ROUTES: Final = 10_000  # channels remembered

_FATES: Final = {
    "trades": Fate.PRINT,
    "ticker": Fate.STATE,
    "quote": Fate.STATE,
    "deribit_price_index": Fate.STATE,
    "deribit_volatility_index": Fate.STATE,
    "estimated_expiration_price": Fate.STATE,
}

_Handler = Callable[[str, bytes], Sequence[Event]]
_Route = tuple[_Handler, str, str]


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
        self._futures: dict[str, decode.FutureState] = {}
        self._changes = decode.OptionChanges()
        self._marks: dict[str, Marks] = {}  # by index
        self._refused: list[str] = []
        self._status = Status(self.source)
        self._dog = Watchdog()
        self._halts = Halts(self._status, self._index_of)
        self._polls = Polls(self._rest, self.listings, self._prints, self._index_of)
        self._relisted_ns = 0
        self._routes: dict[bytes, _Route] = {}
        self._pushes: dict[str, _Handler] = {
            "ticker": self._on_ticker,
            "incremental_ticker": self._on_ticker,
            "trades": self._on_trades,
            "block_rfq": self._on_request,
            "markprice": self._on_marks,
            "deribit_price_index": self._on_index,
            "deribit_volatility_index": self._on_volatility,
            "estimated_expiration_price": self._on_expiration,
            "instrument": self._on_instrument,
            "platform_state": self._on_platform,
        }
        self._answers: dict[str, Callable[[list[str], wire.Answer], list[Event]]] = {
            "instruments": self._on_listing,
            "summary": self._on_summary,
            "trades": self._on_filled,
            "sweep": self._on_swept,
            "gap": self._on_hole,
            "life": self._on_life,
            "index": self._on_index_asked,
            "ticker": self._on_ticker_asked,
        }

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._session = Session()
        self._rest.clear()
        self._futures.clear()
        self._changes = decode.OptionChanges()
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
        self._polls.begin(reason)
        down = self._status.down(reason)
        return [self._polls.status() if self._polls.answering else down]

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
            route = self._routes.get(channel)
            handler, about, name = self._route(channel) if route is None else route
            events = handler(about, frame)
            self._dog.heard(name)
            return events
        except UNREADABLE as exc:
            return [rejected(self.source, "frame", exc)]

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        kind, *words = tag.split(":")
        if kind == "stored":
            return self._on_stored(words[0], body)
        handler = self._answers.get(kind)
        if handler is None:
            return [rejected(self.source, "answer", tag)]
        if not body:
            self._rest.failed(tag)
            if kind == "index" and self._polls.answering:
                self._polls.answering = False
                return [self._status.down(self._polls.lost), rejected(self.source, "answer", f"{tag}: none")]
            return [rejected(self.source, "answer", f"{tag}: none")]
        try:
            answer = wire.answer.decode(body)
            if answer.error is not None:
                return self._call_failed(tag, answer.error)
            self._prints.heard(answer.usOut // 1_000)
            events = handler(words, answer)
        except (*UNREADABLE, IndexError) as exc:
            self._rest.failed(tag)
            again = self._prints.unanswered(kind, words, "the page cannot be read") if kind == "life" else []
            return [rejected(self.source, "answer", exc), *again]
        self._rest.answered(tag)
        return events

    # ---- messages that are no data --------------------------------------------------------------------------------

    def _on_message(self, frame: bytes) -> Sequence[Event]:
        message = wire.envelope.decode(frame)
        if message.method == "heartbeat":
            if message.params is not None and message.params.type == "test_request":
                self._session.request("public/test")
            return []
        if message.method == "subscription" and message.params is not None:
            handler, about, _ = self._route(message.params.channel.encode())  # another spelling of the JSON
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

    # ---- data -----------------------------------------------------------------------------------------------------

    def _route(self, channel: bytes) -> _Route:
        """Who reads a channel, what its name says after the kind, and its name. Remembered, since frames are many."""
        name = channel.decode()
        kind, _, about = name.partition(".")
        handler = self._pushes.get(kind)
        if handler is None:
            return self._on_unknown, name, name
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        if handler == self._on_ticker:
            about = about.partition(".")[0]  # the name without the interval
        route = self._routes[channel] = handler, about, name
        return route

    def _on_unknown(self, channel: str, _frame: bytes) -> Sequence[Event]:
        return [rejected(self.source, "channel", channel)]

    def _on_ticker(self, name: str, frame: bytes) -> Sequence[Event]:
        if name in self._options:
            return [self._changes.apply(name, frame)]
        future = self.listings.futures.get(name)
        if future is None:
            return [rejected(self.source, "instrument", name)]  # a combo's ticker would count its legs twice
        row = wire.future.decode(frame).params.data
        state = self._futures.get(name)
        if state is None or row.type == "snapshot":
            state = self._futures[name] = decode.FutureState(future)
        return [state.apply(row)]

    def _on_marks(self, about: str, frame: bytes) -> Sequence[Event]:
        marks, bad = self._marks.setdefault(about, Marks()).read(frame)
        return bad if marks is None else [marks, *bad]

    def _on_trades(self, about: str, frame: bytes) -> Sequence[Event]:
        kind, _, tail = about.partition(".")
        currency = tail.partition(".")[0]
        if kind in self._options:  # an option's own channel, as recordings hold it
            currency = settled_in(self._options[kind])
        elif kind != "option":  # a combo is printed leg by leg on the option channel: its own print is the same trade
            return [rejected(self.source, "channel", f"trades.{about}")]
        rows, bad = wire.trade_frame.decode(frame)
        return [*self._prints.take(currency, rows), *bad]

    def _on_request(self, about: str, frame: bytes) -> Sequence[Event]:
        if not about.startswith("trades."):
            return [rejected(self.source, "channel", f"block_rfq.{about}")]
        data = bytes(wire.array.decode(frame).params.data)
        one = data.startswith(b"{")  # a notification holds one request; REST answers with an array of them
        rows, bad = wire.requests.decode(b"[%b]" % data if one else data)
        return [*self._prints.executed(rows), *bad]

    def _on_index(self, about: str, frame: bytes) -> Sequence[Event]:
        underlying = self._index_of.get(about)
        if underlying is None:
            return [rejected(self.source, "channel", about)]
        return [decode.index_price(underlying, wire.index.decode(frame).params.data)]

    def _on_volatility(self, about: str, frame: bytes) -> Sequence[Event]:
        underlying = self._index_of.get(about)
        if underlying is None:
            return [rejected(self.source, "channel", about)]
        return [decode.vol_index(underlying, wire.volatility.decode(frame).params.data)]

    def _on_expiration(self, about: str, frame: bytes) -> Sequence[Event]:
        underlying = self._index_of.get(about)
        if underlying is None:
            return [rejected(self.source, "channel", about)]
        return [decode.settlement_price(underlying, wire.expiration.decode(frame).params.data)]

    def _on_instrument(self, about: str, frame: bytes) -> Sequence[Event]:
        if about.startswith("creation."):
            before = set(self.listings.options)
            events = self.listings.created(wire.created.decode(frame).params.data)
            self._prints.born(self.listings.options.keys() - before)
            return events
        row = wire.state.decode(frame).params.data
        if not self.listings.known(row.instrument_name):
            self._prints.unknown.update({about.rpartition(".")[2]} & set(self.listings.currencies))
        return self.listings.changed(row)

    def _on_platform(self, _about: str, frame: bytes) -> Sequence[Event]:
        return self._halts.heard(wire.platform.decode(frame).params.data)

    # ---- answers to REST calls ------------------------------------------------------------------------------------

    def _on_listing(self, words: list[str], answer: wire.Answer) -> list[Event]:
        currency, kind = words[0], words[1]
        rows, bad = wire.records.decode(answer.result)
        if kind == "future":
            came, gone, events = self.listings.take_futures(currency, rows, whole=not bad)
            self._session.subscribe(map(ticker_channel, came))
            self._session.unsubscribe([ticker_channel(name) for name in gone])
            return [*bad, *events]
        before, first = set(self.listings.options), not self.listings.complete(currency)
        events = self.listings.take_options(currency, rows, whole=not bad)
        self._rest.board(self.listings, currency)
        now = set(self.listings.options)
        return [*bad, *events, *self._prints.listed(currency, set() if first else now - before, before - now)]

    def _on_index_asked(self, words: list[str], answer: wire.Answer) -> list[Event]:
        price = wire.index_asked.decode(answer.result).index_price
        exch_ns = answer.usOut * MICROSECOND
        events: list[Event] = [IndexPrice(self.source, self._index_of[words[0]], price, exch_ns)]
        if self._polls.lost and not self._polls.answering:
            self._polls.answering = True
            events.insert(0, self._polls.status())
        return events

    def _on_summary(self, words: list[str], answer: wire.Answer) -> list[Event]:
        rows, bad = wire.summaries.decode(answer.result)
        if any(not self.listings.known(row.instrument_name) for row in rows):
            self._prints.unknown.add(words[0])
        return [*(decode.summary(row) for row in rows if row.instrument_name in self.listings.options), *bad]

    def _on_ticker_asked(self, words: list[str], answer: wire.Answer) -> list[Event]:
        ticker = decode.ticker_asked.decode(answer.result)
        if ticker.name != words[0]:
            return [rejected(self.source, "answer", f"asked for {words[0]}, told of {ticker.name}")]
        return [ticker.read()]

    def _on_filled(self, words: list[str], answer: wire.Answer) -> list[Event]:
        return self._prints.filled(words[0], int(words[1]), int(words[2]), wire.page.decode(answer.result))

    def _on_swept(self, words: list[str], answer: wire.Answer) -> list[Event]:
        return self._prints.swept(words[0], int(words[1]), int(words[2]), wire.page.decode(answer.result))

    def _on_hole(self, words: list[str], answer: wire.Answer) -> list[Event]:
        currency, name, first, _ = words
        return self._prints.mended(currency, name, int(first), wire.page.decode(answer.result))

    def _on_life(self, words: list[str], answer: wire.Answer) -> list[Event]:
        return self._prints.life_page(words[0], int(words[1]), wire.page.decode(answer.result))

    def _on_stored(self, name: str, body: bytes) -> list[Event]:
        """A history that an earlier run kept; a damaged one is told and read from the archive again."""
        try:
            return self._prints.life_kept(name, from_kept(name, body))
        except UNREADABLE as exc:
            return [rejected(self.source, "life", exc)]

    def _call_failed(self, tag: str, error: wire.RpcError) -> list[Event]:
        """The venue answered with an error. A listing is asked for again whatever the reason, the rest if it passes."""
        kind, *words = tag.split(":")
        why = f"{WORDS.get(error.code) or clean(error.message)} ({error.code})"
        events: list[Event] = [rejected(self.source, "answer", f"{tag}: {why}")]
        if kind == "instruments" or error.code in PASSING | FATAL:
            self._rest.failed(tag)
        else:
            self._rest.answered(tag)
            events += self._prints.unanswered(kind, words, why)
        return events
