"""The update chains of OKX's books, checked by sequence ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfmon.model.events import BookLost, BookSnapshot, BookUpdate, Event
from dfmon.venues.decoding import UNREADABLE, ms_to_ns, rejected
from dfmon.venues.okx import wire
from dfmon.venues.okx.channel_decoder import VENUE, MarketKey


class BookSequencer:
    """`resync` are instruments whose book has to be subscribed anew, in the order in which they broke."""

    def __init__(self, instruments: Mapping[str, MarketKey], coins: Mapping[str, float], source: str) -> None:
        self.resync: dict[str, None] = {}
        self._instruments, self._coins, self._source = instruments, coins, source
        self._seq: dict[str, int] = {}  # last seqId of each good book

    def restart(self) -> None:
        self.resync.clear()
        self._seq.clear()

    def apply_message(self, message: wire.Message) -> Sequence[Event]:
        """A snapshot starts the chain; an update continues it where its prevSeqId is the last seqId.

        The ids may jump down after the venue's maintenance: only the link counts, not the order.
        """
        inst_id = message.arg.instId
        market_key, coins = self._instruments.get(inst_id), self._coins.get(inst_id)
        if market_key is None or coins is None:
            return [rejected(self._source, "instrument", inst_id)]
        try:
            (book,) = wire.books.decode(message.data)
        except UNREADABLE as exc:
            return [rejected(self._source, "frame", exc), *self._lose_book(inst_id)]
        bids, asks = _levels(book.bids, coins), _levels(book.asks, coins)
        if message.action == "snapshot":
            self._seq[inst_id] = book.seqId
            self.resync.pop(inst_id, None)
            return [BookSnapshot(VENUE, *market_key, ms_to_ns(book.ts), bids, asks)]
        if inst_id not in self._seq:
            return []  # of the book that was given up
        if book.prevSeqId != self._seq[inst_id]:
            return self._lose_book(inst_id)
        self._seq[inst_id] = book.seqId
        return [BookUpdate(VENUE, *market_key, ms_to_ns(book.ts), bids, asks)]

    def _lose_book(self, inst_id: str) -> list[Event]:
        if self._seq.pop(inst_id, None) is None:
            return []
        self.resync[inst_id] = None
        return [BookLost(VENUE, *self._instruments[inst_id])]


def _levels(levels: Sequence[wire.Level], coins: float) -> tuple[tuple[float, float], ...]:
    return tuple([(level.price, level.size * coins) for level in levels])
