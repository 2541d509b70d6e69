"""Full trade histories of options: pages of the venue's archive, from an option's first print to its newest.

An option's prints are numbered without a gap, so a page is a window of numbers, and a history is complete when it
begins with 1, misses none, and reaches the live prints. The venue's `has_more` is only a hint: pages repeat, stop
short, come unordered and have rows that were not requested. `next_call` names the next page; only responses change the
state, so that a replay collects the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dfmon.model.events import OptionTrade
from dfmon.model.units import sanitize
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.trades.sequencer import PAGE_SIZE
from dfmon.venues.protocol import RestCall

_MAX_TRIES: Final = 3


@dataclass(slots=True)
class _TradeHistory:
    """The prints of an option from number 1 to `len(trades)`; `attempts` counts pages in a row that brought nothing."""

    trades: list[OptionTrade] = field(default_factory=list)
    attempts: int = 0
    unconfirmed: bool = False  # the prints are stored ones, and the venue has not confirmed the last one


def history_call(name: str, first: int) -> RestCall:
    """A page of one option's prints, `PAGE_SIZE` numbers wide."""
    return RestCall(
        f"life:{name}:{first}",
        "/public/get_last_trades_by_instrument",
        (
            ("instrument_name", name),
            ("start_seq", str(first)),
            ("end_seq", str(first + PAGE_SIZE - 1)),
            ("count", str(PAGE_SIZE)),
            ("sorting", "asc"),
            ("include_old", "true"),
        ),
    )


class TradeHistoryCollector:
    """Histories in progress by option name, the `complete` ones, and those given up, with the reason.

    `mismatched` are options whose stored prints were not the venue's: their histories have started again.
    """

    def __init__(self) -> None:
        self.complete: set[str] = set()
        self.given_up: dict[str, str] = {}
        self.mismatched: set[str] = set()
        self.pages = 0  # responses that brought anything, be it that there is nothing
        self.prints = 0  # collected so far, over all options
        self.unexpected_rows = 0  # rows outside what was asked for
        self._histories: dict[str, _TradeHistory] = {}

    def next_call(self, name: str) -> RestCall:
        """The page that the history of `name` needs next. Of stored prints the last one is requested again."""
        history = self._histories.get(name)
        return history_call(name, 1 if history is None else len(history.trades) + 1 - history.unconfirmed)

    def resume(self, name: str, trades: Sequence[OptionTrade]) -> None:
        """Resumes from stored prints, if they are more than the collected ones. They begin with number 1."""
        history = self._history(name)
        if len(trades) > len(history.trades):
            self.prints += len(trades) - len(history.trades)
            history.trades, history.unconfirmed = list(trades), True

    def collected(self, name: str, skip: int = 0) -> list[OptionTrade]:
        """The prints of a history in progress, without the first `skip`."""
        history = self._histories.get(name)
        return [] if history is None else history.trades[skip:]

    def add_page(
        self, name: str, first: int, rows: Sequence[wire.Trade], *, has_more: bool, live_seq: int
    ) -> tuple[OptionTrade, ...] | None:
        """A page that was requested from number `first` on. Returns the full history, or None if more pages are needed.

        `live_seq` is the number of the newest print known otherwise: a history that ends before it is not complete.
        """
        self.pages += 1
        history = self._history(name)
        before = len(history.trades)
        rows_by_seq = {row.trade_seq: row for row in rows if row.instrument_name == name}
        in_window = {seq: row for seq, row in rows_by_seq.items() if first <= seq < first + PAGE_SIZE}
        self.unexpected_rows += sum(
            row.instrument_name != name or not first <= row.trade_seq < first + PAGE_SIZE for row in rows
        )
        if history.unconfirmed:
            history.unconfirmed, row = False, in_window.get(before)
            if row is None or sanitize(str(row.trade_id)) != history.trades[-1].trade_id:
                self.mismatched.add(name)
                history.trades = []
                return None
        while (row := in_window.get(len(history.trades) + 1)) is not None:
            history.trades.append(decode.option_trade(row))
        reached = len(history.trades)
        self.prints += reached - before
        if reached > before:
            history.attempts = 0
        page_full = reached >= first + PAGE_SIZE - 1
        has_gap = any(seq > reached for seq in in_window)
        if not (page_full or has_gap or has_more or reached < live_seq):
            return self._complete(name)
        if reached == before:
            self.pages -= 1
            self.failed(
                name, f"the archive stops at print {reached}" + (f" of {live_seq}" if live_seq > reached else "")
            )
        return None

    def finish_restored(self, name: str, live_seq: int) -> tuple[OptionTrade, ...] | None:
        """The history that began with stored prints, if it reaches the live prints."""
        return self._complete(name) if len(self.collected(name)) >= live_seq else None

    def failed(self, name: str, reason: str) -> None:
        """A page that brought nothing for its option. After three in a row the history is given up."""
        self.pages += 1
        history = self._history(name)
        history.attempts += 1
        if history.attempts >= _MAX_TRIES:
            del self._histories[name]
            self.given_up[name] = reason

    def drop(self, names: set[str]) -> None:
        """Drops the state of delisted instruments."""
        for name in names:
            self._histories.pop(name, None)
            self.given_up.pop(name, None)
            self.complete.discard(name)
            self.mismatched.discard(name)

    def _history(self, name: str) -> _TradeHistory:
        if name not in self._histories:
            self._histories[name] = _TradeHistory()
            self.given_up.pop(name, None)
        return self._histories[name]

    def _complete(self, name: str) -> tuple[OptionTrade, ...]:
        self.complete.add(name)
        return tuple(self._histories.pop(name).trades)
