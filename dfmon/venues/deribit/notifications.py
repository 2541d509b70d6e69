"""Deribit's notifications, by the kind of their channel: frames to events.

`protocol` finds the channel of a frame and asks here who reads it; `wire` types the bytes and `decode` converts units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dfmon.model.events import Event
from dfmon.venues.decoding import rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.listing import Listings, settled_in
from dfmon.venues.deribit.marks import Marks
from dfmon.venues.deribit.platform_state import Halts
from dfmon.venues.deribit.trades.feed import Prints

_ROUTES: Final = 10_000  # channels remembered

Handler = Callable[[str, bytes], Sequence[Event]]
Route = tuple[Handler, str, str]


class Pushes:
    """`index_of` are underlyings by index. `routes` are the channels met so far."""

    def __init__(self, listings: Listings, prints: Prints, halts: Halts, index_of: Mapping[str, str]) -> None:
        self.routes: dict[bytes, Route] = {}
        self._listings, self._prints, self._halts, self._index_of = listings, prints, halts, index_of
        self._options = listings.options
        self._futures: dict[str, decode.FutureState] = {}
        self._changes = decode.OptionChanges()
        self._marks: dict[str, Marks] = {}  # by index
        self._by_kind: dict[str, Handler] = {
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

    def restart(self) -> None:
        """A new connection continues nothing that an earlier one said."""
        self._futures.clear()
        self._changes = decode.OptionChanges()

    def route(self, channel: bytes) -> Route:
        """Who reads a channel, what its name says after the kind, and its name. Remembered, since frames are many."""
        name = channel.decode()
        kind, _, about = name.partition(".")
        handler = self._by_kind.get(kind)
        if handler is None:
            return self._on_unknown, name, name
        if len(self.routes) >= _ROUTES:
            self.routes.clear()
        if handler == self._on_ticker:
            about = about.partition(".")[0]  # the name without the interval
        route = self.routes[channel] = handler, about, name
        return route

    def _on_unknown(self, channel: str, _frame: bytes) -> Sequence[Event]:
        return [rejected(wire.SOURCE, "channel", channel)]

    def _on_ticker(self, name: str, frame: bytes) -> Sequence[Event]:
        if name in self._options:
            return [self._changes.apply(name, frame)]
        future = self._listings.futures.get(name)
        if future is None:
            return [rejected(wire.SOURCE, "instrument", name)]  # a combo's ticker would count its legs twice
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
            return [rejected(wire.SOURCE, "channel", f"trades.{about}")]
        rows, bad = wire.trade_frame.decode(frame)
        return [*self._prints.take(currency, rows), *bad]

    def _on_request(self, about: str, frame: bytes) -> Sequence[Event]:
        if not about.startswith("trades."):
            return [rejected(wire.SOURCE, "channel", f"block_rfq.{about}")]
        data = bytes(wire.array.decode(frame).params.data)
        one = data.startswith(b"{")  # a notification holds one request; REST answers with an array of them
        rows, bad = wire.requests.decode(b"[%b]" % data if one else data)
        return [*self._prints.executed(rows), *bad]

    def _on_index(self, about: str, frame: bytes) -> Sequence[Event]:
        underlying = self._index_of.get(about)
        if underlying is None:
            return [rejected(wire.SOURCE, "channel", about)]
        return [decode.index_price(underlying, wire.index.decode(frame).params.data)]

    def _on_volatility(self, about: str, frame: bytes) -> Sequence[Event]:
        underlying = self._index_of.get(about)
        if underlying is None:
            return [rejected(wire.SOURCE, "channel", about)]
        return [decode.vol_index(underlying, wire.volatility.decode(frame).params.data)]

    def _on_expiration(self, about: str, frame: bytes) -> Sequence[Event]:
        underlying = self._index_of.get(about)
        if underlying is None:
            return [rejected(wire.SOURCE, "channel", about)]
        return [decode.settlement_price(underlying, wire.expiration.decode(frame).params.data)]

    def _on_instrument(self, about: str, frame: bytes) -> Sequence[Event]:
        if about.startswith("creation."):
            before = set(self._listings.options)
            events = self._listings.created(wire.created.decode(frame).params.data)
            self._prints.born(self._listings.options.keys() - before)
            return events
        row = wire.state.decode(frame).params.data
        if not self._listings.known(row.instrument_name):
            self._prints.unknown.update({about.rpartition(".")[2]} & set(self._listings.currencies))
        return self._listings.changed(row)

    def _on_platform(self, _about: str, frame: bytes) -> Sequence[Event]:
        return self._halts.heard(wire.platform.decode(frame).params.data)
