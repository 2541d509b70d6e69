"""Deribit's notifications, by the kind of their channel: frames to events.

`protocol` finds the channel of a frame and looks up its handler here; `wire` types the bytes, `decode` converts units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dfmon.model.events import Event
from dfmon.venues.decoding import rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.listing import Listings, listing_currency
from dfmon.venues.deribit.marks import MarksDecoder
from dfmon.venues.deribit.platform_state import PlatformMonitor
from dfmon.venues.deribit.trades.feed import TradeFeed

_MAX_ROUTES: Final = 10_000  # channels remembered

Handler = Callable[[str, bytes], Sequence[Event]]
Route = tuple[Handler, str, str]


class NotificationHandler:
    """`underlying_by_index` are underlyings by index. `routes` are the channels met so far."""

    def __init__(
        self,
        listings: Listings,
        trade_feed: TradeFeed,
        platform_monitor: PlatformMonitor,
        underlying_by_index: Mapping[str, str],
    ) -> None:
        self.routes: dict[bytes, Route] = {}
        self._listings, self._trade_feed, self._platform_monitor, self._underlying_by_index = (
            listings,
            trade_feed,
            platform_monitor,
            underlying_by_index,
        )
        self._options = listings.options
        self._futures: dict[str, decode.FutureTickerState] = {}
        self._option_states = decode.OptionTickerStates()
        self._marks: dict[str, MarksDecoder] = {}  # by index
        self._by_kind: dict[str, Handler] = {
            "ticker": self._on_ticker,
            "incremental_ticker": self._on_ticker,
            "trades": self._on_trades,
            "block_rfq": self._on_block_rfq,
            "markprice": self._on_marks,
            "deribit_price_index": self._on_index,
            "deribit_volatility_index": self._on_volatility,
            "estimated_expiration_price": self._on_expiration,
            "instrument": self._on_instrument,
            "platform_state": self._on_platform,
        }

    def restart(self) -> None:
        """A new connection: incremental state of the last one is dropped."""
        self._futures.clear()
        self._option_states = decode.OptionTickerStates()

    def route(self, channel: bytes) -> Route:
        """The handler of a channel, the rest of its name after the kind, and its name. Remembered, since frames are
        many.
        """
        name = channel.decode()
        kind, _, suffix = name.partition(".")
        handler = self._by_kind.get(kind)
        if handler is None:
            return self._on_unknown, name, name
        if len(self.routes) >= _MAX_ROUTES:
            self.routes.clear()
        if handler == self._on_ticker:
            suffix = suffix.partition(".")[0]  # the name without the interval
        route = self.routes[channel] = handler, suffix, name
        return route

    def _on_unknown(self, channel: str, _frame: bytes) -> Sequence[Event]:
        return [rejected(wire.SOURCE, "channel", channel)]

    def _on_ticker(self, name: str, frame: bytes) -> Sequence[Event]:
        if name in self._options:
            return [self._option_states.apply(name, frame)]
        future = self._listings.futures.get(name)
        if future is None:
            return [rejected(wire.SOURCE, "instrument", name)]  # a combo's ticker would count its legs twice
        row = wire.future.decode(frame).params.data
        state = self._futures.get(name)
        if state is None or row.type == "snapshot":
            state = self._futures[name] = decode.FutureTickerState(future)
        return [state.apply(row)]

    def _on_marks(self, suffix: str, frame: bytes) -> Sequence[Event]:
        marks, rejections = self._marks.setdefault(suffix, MarksDecoder()).decode_frame(frame)
        return rejections if marks is None else [marks, *rejections]

    def _on_trades(self, suffix: str, frame: bytes) -> Sequence[Event]:
        kind, _, remainder = suffix.partition(".")
        currency = remainder.partition(".")[0]
        if kind in self._options:  # an option's own channel, as recordings hold it
            currency = listing_currency(self._options[kind])
        elif kind != "option":  # a combo is printed leg by leg on the option channel: its own print is the same trade
            return [rejected(wire.SOURCE, "channel", f"trades.{suffix}")]
        rows, rejections = wire.trade_frame.decode(frame)
        return [*self._trade_feed.add_prints(currency, rows), *rejections]

    def _on_block_rfq(self, suffix: str, frame: bytes) -> Sequence[Event]:
        if not suffix.startswith("trades."):
            return [rejected(wire.SOURCE, "channel", f"block_rfq.{suffix}")]
        data = bytes(wire.array.decode(frame).params.data)
        is_single = data.startswith(b"{")  # a notification has one request; REST has an array of them
        rows, rejections = wire.block_rfqs.decode(b"[%b]" % data if is_single else data)
        return [*self._trade_feed.on_published(rows), *rejections]

    def _on_index(self, suffix: str, frame: bytes) -> Sequence[Event]:
        underlying = self._underlying_by_index.get(suffix)
        if underlying is None:
            return [rejected(wire.SOURCE, "channel", suffix)]
        return [decode.index_price(underlying, wire.index.decode(frame).params.data)]

    def _on_volatility(self, suffix: str, frame: bytes) -> Sequence[Event]:
        underlying = self._underlying_by_index.get(suffix)
        if underlying is None:
            return [rejected(wire.SOURCE, "channel", suffix)]
        return [decode.vol_index(underlying, wire.volatility.decode(frame).params.data)]

    def _on_expiration(self, suffix: str, frame: bytes) -> Sequence[Event]:
        underlying = self._underlying_by_index.get(suffix)
        if underlying is None:
            return [rejected(wire.SOURCE, "channel", suffix)]
        return [decode.settlement_price(underlying, wire.expiration.decode(frame).params.data)]

    def _on_instrument(self, suffix: str, frame: bytes) -> Sequence[Event]:
        if suffix.startswith("creation."):
            before = set(self._listings.options)
            events = self._listings.created(wire.created.decode(frame).params.data)
            self._trade_feed.mark_listed(self._listings.options.keys() - before)
            return events
        row = wire.state.decode(frame).params.data
        if not self._listings.known(row.instrument_name):
            self._trade_feed.stale_listings.update({suffix.rpartition(".")[2]} & set(self._listings.currencies))
        return self._listings.on_state(row)

    def _on_platform(self, _get_or_create: str, frame: bytes) -> Sequence[Event]:
        return self._platform_monitor.on_notification(wire.platform.decode(frame).params.data)
