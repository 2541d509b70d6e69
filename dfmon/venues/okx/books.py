"""OKX's books: whether an update continues the one before it, by its ids alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfmon.model.events import BookLost, BookSnapshot, BookUpdate, Event
from dfmon.venues.decoding import UNREADABLE, ns, rejected
from dfmon.venues.okx import wire
from dfmon.venues.okx.rows import VENUE, Where


class Books:
    """`resync` are instruments whose book has to be subscribed anew, in the order in which they broke."""

    def __init__(self, instruments: Mapping[str, Where], coins: Mapping[str, float], source: str) -> None:
        self.resync: dict[str, None] = {}
        self._instruments, self._coins, self._source = instruments, coins, source
        self._seq: dict[str, int] = {}  # last seqId of each good book

    def restart(self) -> None:
        self.resync.clear()
        self._seq.clear()

    def take(self, message: wire.Message) -> Sequence[Event]:
        """A snapshot starts the chain; an update continues it where its prevSeqId is the last seqId.

        The ids may jump down after the venue's maintenance: only the link counts, not the order.
        """
        inst = message.arg.instId
        where, coins = self._instruments.get(inst), self._coins.get(inst)
        if where is None or coins is None:
            return [rejected(self._source, "instrument", inst)]
        try:
            (book,) = wire.books.decode(message.data)
        except UNREADABLE as exc:
            return [rejected(self._source, "frame", exc), *self._broken(inst)]
        bids, asks = _levels(book.bids, coins), _levels(book.asks, coins)
        if message.action == "snapshot":
            self._seq[inst] = book.seqId
            self.resync.pop(inst, None)
            return [BookSnapshot(VENUE, *where, ns(book.ts), bids, asks)]
        if inst not in self._seq:
            return []  # of the book that was given up
        if book.prevSeqId != self._seq[inst]:
            return self._broken(inst)
        self._seq[inst] = book.seqId
        return [BookUpdate(VENUE, *where, ns(book.ts), bids, asks)]

    def _broken(self, inst: str) -> list[Event]:
        if self._seq.pop(inst, None) is None:
            return []
        self.resync[inst] = None
        return [BookLost(VENUE, *self._instruments[inst])]


def _levels(levels: Sequence[wire.Level], coins: float) -> tuple[tuple[float, float], ...]:
    return tuple([(level.price, level.size * coins) for level in levels])
