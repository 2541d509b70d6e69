"""Whole histories of options: pages of the venue's archive, collected from an option's first print to its newest.

An option's prints are numbered without a gap, so a page is a window of numbers and a history is whole when it begins
with 1, misses none, and reaches what was seen live. What the venue says of further pages is only a hint: pages repeat,
stop short, come unordered and bring rows nobody asked for. Nothing here asks; `next_call` says what to ask, and only
answers change what is known, so that a replay collects the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from dfmon.model.events import OptionTrade
from dfmon.model.units import clean
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.trades.sequencer import PAGE
from dfmon.venues.protocol import RestCall

_TRIES: Final = 3

# A print as it is kept between two runs: everything but venue and name, which stand beside many of them.
KeptPrint = tuple[str, int, int, int, float, float, float, float, bool, bool, bool, str, str]
_kept: Final = msgspec.msgpack.Decoder(list[KeptPrint])


def kept_page(rows: Sequence[KeptPrint]) -> bytes:
    """Kept prints as the body of an answer, so that they enter like any page and are recorded like it."""
    return msgspec.msgpack.encode(rows)


def from_kept(name: str, body: bytes) -> list[OptionTrade]:
    """The prints of `kept_page`. Raises where the bytes or the order of the prints are not those of a history."""
    trades = [OptionTrade(wire.SOURCE, name, *row) for row in _kept.decode(body)]
    if any(trade.seq != place for place, trade in enumerate(trades, 1)):
        raise ValueError(f"the kept prints of {name} are not a history from the first one on")
    return trades


@dataclass(slots=True)
class _Life:
    """The prints of an option from number 1 to `len(trades)`; `tries` counts pages in a row that brought nothing."""

    trades: list[OptionTrade] = field(default_factory=list)
    tries: int = 0
    unproved: bool = False  # the prints were kept by an earlier run, and the venue has not confirmed the last one


def life_call(name: str, first: int) -> RestCall:
    """A page of one option's prints, `PAGE` numbers wide."""
    return RestCall(
        f"life:{name}:{first}",
        "/public/get_last_trades_by_instrument",
        (
            ("instrument_name", name),
            ("start_seq", str(first)),
            ("end_seq", str(first + PAGE - 1)),
            ("count", str(PAGE)),
            ("sorting", "asc"),
            ("include_old", "true"),
        ),
    )


class Lives:
    """Histories under way, by option name; those that are `whole`, and those that were given up with the reason.

    `foreign` are options whose kept prints were not the venue's: their histories have begun anew.
    """

    def __init__(self) -> None:
        self.whole: set[str] = set()
        self.given_up: dict[str, str] = {}
        self.foreign: set[str] = set()
        self.pages = 0  # answers that told something of an option, be it that there is nothing
        self.prints = 0  # collected so far, over all options
        self.strange = 0  # rows outside what was asked for
        self._open: dict[str, _Life] = {}

    def next_call(self, name: str) -> RestCall:
        """The page that the history of `name` needs next; of prints that were kept the last one is asked for again."""
        life = self._open.get(name)
        return life_call(name, 1 if life is None else len(life.trades) + 1 - life.unproved)

    def begin(self, name: str, trades: Sequence[OptionTrade]) -> None:
        """Go on from prints that were kept, where they are more than what is there. They begin with number 1."""
        life = self._life(name)
        if len(trades) > len(life.trades):
            self.prints += len(trades) - len(life.trades)
            life.trades, life.unproved = list(trades), True

    def collected(self, name: str, after: int = 0) -> list[OptionTrade]:
        """The prints of a history under way, without the first `after`."""
        life = self._open.get(name)
        return [] if life is None else life.trades[after:]

    def take(
        self, name: str, first: int, rows: Sequence[wire.Trade], *, has_more: bool, live: int
    ) -> tuple[OptionTrade, ...] | None:
        """A page that was asked for from number `first` on: the whole history, or None where more is needed.

        `live` is the number of the newest print known otherwise: a history that ends before it is not whole.
        """
        self.pages += 1
        life = self._life(name)
        before = len(life.trades)
        mine = {row.trade_seq: row for row in rows if row.instrument_name == name}
        inside = {seq: row for seq, row in mine.items() if first <= seq < first + PAGE}
        self.strange += sum(row.instrument_name != name or not first <= row.trade_seq < first + PAGE for row in rows)
        if life.unproved:
            life.unproved, row = False, inside.get(before)
            if row is None or clean(str(row.trade_id)) != life.trades[-1].trade_id:
                self.foreign.add(name)
                life.trades = []
                return None
        while (row := inside.get(len(life.trades) + 1)) is not None:
            life.trades.append(decode.option_trade(row))
        reached = len(life.trades)
        self.prints += reached - before
        if reached > before:
            life.tries = 0
        full = reached >= first + PAGE - 1
        beyond = any(seq > reached for seq in inside)
        if not (full or beyond or has_more or reached < live):
            return self._whole(name)
        if reached == before:
            self.pages -= 1
            self.failed(name, f"the archive stops at print {reached}" + (f" of {live}" if live > reached else ""))
        return None

    def kept(self, name: str, live: int) -> tuple[OptionTrade, ...] | None:
        """The history begun with kept prints, if it reaches what was seen live."""
        return self._whole(name) if len(self.collected(name)) >= live else None

    def failed(self, name: str, why: str) -> None:
        """A page that brought nothing for its option. After three in a row the history is given up."""
        self.pages += 1
        life = self._life(name)
        life.tries += 1
        if life.tries >= _TRIES:
            del self._open[name]
            self.given_up[name] = why

    def forget(self, names: set[str]) -> None:
        """Drop what is known of instruments that are gone."""
        for name in names:
            self._open.pop(name, None)
            self.given_up.pop(name, None)
            self.whole.discard(name)
            self.foreign.discard(name)

    def _life(self, name: str) -> _Life:
        if name not in self._open:
            self._open[name] = _Life()
            self.given_up.pop(name, None)
        return self._open[name]

    def _whole(self, name: str) -> tuple[OptionTrade, ...]:
        self.whole.add(name)
        return tuple(self._open.pop(name).trades)
