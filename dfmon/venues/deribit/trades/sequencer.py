"""The order of Deribit's trade feed: each print once, and per instrument none before those that precede it.

`trade_id` is unique within a settlement currency, `trade_seq` rises by one per instrument. A print that comes early
waits behind the gap that its number reveals; the gap is requested by number, after a running fill by time. Prints that
do not come are given up and counted after a minute of the venue's clock, as its prints and responses show it: an
archive that is some seconds late responds many times without them. Our clock plays no part, so that a replay gives up
the same prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dfmon.model.backoff import backoff_delay
from dfmon.model.units import SECOND
from dfmon.venues.deribit.wire import Trade

PAGE_SIZE: Final = 1_000  # the venue's largest page of prints
MAX_SEQUENCE_JUMP: Final = 100_000  # a number further ahead is damaged: no instrument prints so much in an outage
_MAX_WAIT_MS: Final = 60_000  # of the venue's time
_MIN_BACKOFF, _MAX_BACKOFF = 2 * SECOND, 16 * SECOND  # before a gap is requested again


@dataclass(slots=True)
class _InstrumentSequence:
    """The sequence of one instrument. Prints up to `last_seq` have been released, or were known before."""

    currency: str
    last_seq: int | None  # None: prints wait until a running fill has found where the sequence begins
    waiting: dict[int, Trade] = field(default_factory=dict)
    since_ms: int = 0  # the venue's time when the gap was found
    attempts: int = 0  # responses in a row that brought nothing
    requested: tuple[int, int] | None = None  # numbers that are being requested
    retry_ns: int = 0


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Prints `first_seq`..`last_seq` of an instrument, some of which were never seen."""

    currency: str
    name: str
    first_seq: int
    last_seq: int


class TradeSequencer:
    """Memory of prints seen. `max_ids` bounds the ids, `last_ms` is the newest print per currency.

    Ids catch a print that is repeated under another number, which happens near its first time or not at all; a later
    repetition, by a sweep or a fill, has its own number, which its sequence has passed.
    """

    def __init__(self, max_ids: int = 2 * PAGE_SIZE) -> None:
        self.last_ms: dict[str, int] = {}
        self.now_ms = 0  # the venue's clock, as far as its prints and responses show it
        self.invalid_count = 0  # impossible numbers, since the reader last set it to 0
        self.preceding_gaps: list[
            SequenceGap
        ] = []  # what may precede the first prints of sequences, since the reader last emptied it
        self._max_ids = max_ids
        self._seen: dict[tuple[str, str], None] = {}
        self._sequences: dict[str, _InstrumentSequence] = {}
        self._gapped: dict[str, None] = {}  # names of sequences with prints that wait

    def advance_clock(self, venue_ms: int) -> None:
        """Advances the venue's clock, by which gaps expire, to the time of a response."""
        self.now_ms = max(self.now_ms, venue_ms)

    # ---- prints in, prints out -------------------------------------------------------------------------------------

    def accept(
        self, currency: str, rows: Iterable[Trade], *, filling: bool = False, from_fill: bool = False
    ) -> list[Trade]:
        """The prints that may be told now. `filling`: a fill of the currency is under way; `from_fill`: the rows are
        its.

        A batch is not always sorted, so a line begins with the smallest number of the batch that brings it.
        """
        released: list[Trade] = []
        new_rows = [row for row in rows if self._is_new(currency, row)]
        if not (filling and not from_fill):
            self._start_sequences(currency, new_rows, live=not from_fill)
        for row in new_rows:
            self._insert(currency, row, released)
        return released

    def _start_sequences(self, currency: str, rows: Iterable[Trade], *, live: bool) -> None:
        """Begins sequences with their first prints; prints before a live one, if any, have not been read."""
        first_seqs: dict[str, int] = {}
        for row in rows:
            name = row.instrument_name
            sequence = self._sequences.get(name)
            if sequence is None or sequence.last_seq is None:
                first_seqs[name] = min(first_seqs.get(name, row.trade_seq), row.trade_seq)
        for name, seq in first_seqs.items():
            self._sequences.setdefault(name, _InstrumentSequence(currency, None)).last_seq = seq - 1
            if live and seq > 1:
                self.preceding_gaps.append(SequenceGap(currency, name, max(1, seq - PAGE_SIZE), seq - 1))

    def _is_new(self, currency: str, trade: Trade) -> bool:
        """Adds a print. Returns False if it was seen before."""
        key = (currency, str(trade.trade_id))
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > self._max_ids:
            del self._seen[next(iter(self._seen))]
        self.last_ms[currency] = max(self.last_ms.get(currency, 0), trade.timestamp)
        self.now_ms = max(self.now_ms, trade.timestamp)
        return True

    def _insert(self, currency: str, trade: Trade, released: list[Trade]) -> None:
        name, seq = trade.instrument_name, trade.trade_seq
        sequence = self._sequences.setdefault(name, _InstrumentSequence(currency, None))
        sequence.currency = currency
        if sequence.last_seq is None:
            sequence.since_ms = self.now_ms
            sequence.waiting[seq] = trade
        elif seq > sequence.last_seq + MAX_SEQUENCE_JUMP:
            self.invalid_count += 1
        elif seq > sequence.last_seq:
            if not sequence.waiting:
                sequence.since_ms = self.now_ms
            sequence.waiting[seq] = trade
            self._release(name, sequence, released)

    def _release(self, name: str, sequence: _InstrumentSequence, released: list[Trade]) -> None:
        """Releases the prints that are next in the sequence."""
        assert sequence.last_seq is not None
        while sequence.waiting and (trade := sequence.waiting.pop(sequence.last_seq + 1, None)) is not None:
            sequence.last_seq += 1
            sequence.since_ms = self.now_ms
            released.append(trade)
        if sequence.waiting:
            self._gapped[name] = None
        else:
            sequence.attempts, sequence.requested, sequence.retry_ns = 0, None, 0
            self._gapped.pop(name, None)

    def finish_fill(self, currency: str) -> list[Trade]:
        """Ends a fill of the currency: sequences of which only live prints are known begin with those.

        The minute of the remaining gaps begins now: they were not requested while the fill ran.
        """
        released: list[Trade] = []
        for name, sequence in self._sequences.items():
            if sequence.currency != currency:
                continue
            sequence.since_ms = self.now_ms
            if sequence.last_seq is None:
                sequence.last_seq = min(sequence.waiting) - 1
                self._release(name, sequence, released)
        return sorted(released, key=lambda trade: (trade.timestamp, trade.trade_seq))

    # ---- what is known from elsewhere --------------------------------------------------------------------------------

    def mark_known(self, name: str, seq: int) -> list[Trade]:
        """Every print of the instrument up to `seq` is known already: releases those that waited for them."""
        sequence = self._sequences.setdefault(name, _InstrumentSequence("", seq))
        sequence.last_seq = seq if sequence.last_seq is None else max(sequence.last_seq, seq)
        for number in [number for number in sequence.waiting if number <= sequence.last_seq]:
            del sequence.waiting[number]
        released: list[Trade] = []
        self._release(name, sequence, released)
        return released

    def mark_listed(self, name: str) -> None:
        """An instrument was listed during the session: its first print is number 1."""
        self._sequences.setdefault(name, _InstrumentSequence("", 0))

    def last_seq(self, name: str) -> int:
        """The number of the newest released print of an instrument, 0 for none."""
        sequence = self._sequences.get(name)
        return 0 if sequence is None else sequence.last_seq or 0

    def drop(self, names: set[str]) -> None:
        """Drops the sequences of instruments that are gone."""
        for name in names:
            self._sequences.pop(name, None)
            self._gapped.pop(name, None)

    # ---- holes -------------------------------------------------------------------------------------------------------

    def gaps(self, filling: Iterable[str], now_ns: int | None = None) -> Iterator[SequenceGap]:
        """Gaps to request, each once; not of currencies in `filling`, whose fill by time may close them.

        With `now_ns` also those that their first responses did not close, at growing intervals.
        """
        for name in self._gapped:
            sequence = self._sequences[name]
            if sequence.last_seq is None or sequence.requested or sequence.currency in filling:
                continue
            if sequence.attempts:
                if now_ns is None:
                    continue
                if not sequence.retry_ns:
                    sequence.retry_ns = now_ns + backoff_delay(sequence.attempts - 1, _MIN_BACKOFF, _MAX_BACKOFF)
                if now_ns < sequence.retry_ns:
                    continue
            sequence.retry_ns = 0
            sequence.requested = sequence.last_seq + 1, min(sequence.last_seq + PAGE_SIZE, max(sequence.waiting) - 1)
            yield SequenceGap(sequence.currency, name, *sequence.requested)

    def reset_requests(self) -> None:
        """Requests may have been lost: `gaps` returns every open one again."""
        for name in self._gapped:
            self._sequences[name].requested = None

    def on_gap_response(self, name: str, first_seq: int) -> None:
        """The response for the gap that began at number `first_seq` was applied: the rest is requested again."""
        sequence = self._sequences.get(name)
        if sequence is not None and sequence.last_seq is not None and name in self._gapped:
            sequence.requested = None
            sequence.attempts = 0 if sequence.last_seq >= first_seq else sequence.attempts + 1

    def give_up(self, name: str) -> tuple[int, list[Trade]]:
        """The gap of an instrument gets no response."""
        sequence = self._sequences.get(name)
        return (
            (0, [])
            if sequence is None or not sequence.waiting
            else self._give_up(name, sequence, max(sequence.waiting))
        )

    def give_up_overdue(self, filling: Iterable[str]) -> Iterator[tuple[str, int, list[Trade]]]:
        """Prints that waited for more than a minute of venue time: instrument, prints given up, prints released."""
        for name in list(self._gapped):
            sequence = self._sequences[name]
            if sequence.currency not in filling and self.now_ms - sequence.since_ms > _MAX_WAIT_MS:
                yield (name, *self._give_up(name, sequence, max(sequence.waiting)))

    def _give_up(self, name: str, sequence: _InstrumentSequence, last_seq: int) -> tuple[int, list[Trade]]:
        """Continues after every gap that begins at or before `last_seq`."""
        lost, released = 0, list[Trade]()
        while sequence.waiting and sequence.last_seq is not None and sequence.last_seq < last_seq:
            next_seq = min(sequence.waiting)
            lost += next_seq - sequence.last_seq - 1
            sequence.last_seq, sequence.attempts = next_seq - 1, 0
            self._release(name, sequence, released)
        return lost, released
