"""What a torn feed costs the positions: nothing, where the gap repair brings the prints back.

Prints are dropped, repeated and put out of order on the wire. Deribit's protocol, the chain and the estimator stand
behind each other as in a session, and the venue answers the calls for what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from dfmon.core.positions.book_codec import encode_book
from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.position_state import COUNT, VOLUME
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.engine.chain import ChainState
from dfmon.model.events import Event, Listed, OptionTrade, PrintsLost
from dfmon.model.units import MILLISECOND, SECOND
from tests.chains import option, ticker
from tests.event_types import of_type
from tests.venues.test_deribit import T_MS
from tests.venues.test_deribit_trade_feed import NAMES, Venue, damaged_feed, play, stream

COUNT_OF_PRINTS = 1_200
BEFORE, LAST = (T_MS - 1) * MILLISECOND, (T_MS + COUNT_OF_PRINTS + 1) * MILLISECOND
AFTER = LAST + 10 * SECOND


def book_after(events: Sequence[Event], every: int) -> PositionBook:
    """The book after a session that heard these events, with a tick after every so many of them."""
    chain, book = ChainState(("BTC",)), PositionBook.empty()
    for name, kind in zip(NAMES, (1, -1)):
        listed = msgspec.structs.replace(option(kind=kind, days=400.0), name=name)
        chain.apply(Listed(listed), BEFORE)
        chain.apply(ticker(name, BEFORE, open_interest=2_000.0), BEFORE)
    prints = [event for event in events if isinstance(event, OptionTrade | PrintsLost)]
    for start in range(0, len(prints) + 1, every):
        book = advance_book(book, chain.freeze("BTC", BEFORE if not start else LAST), PositionPriors())
        chain.commit_drained("BTC")
        for event in prints[start : start + every]:
            chain.apply(event, LAST)
    for name in NAMES:  # the venue shows open interest after the last print
        chain.apply(ticker(name, LAST, open_interest=2_100.0), LAST)
    for now_ns in (LAST, AFTER):
        book = advance_book(book, chain.freeze("BTC", now_ns), PositionPriors())
    return book


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_print_in_a_hundred_dropped_repeated_or_out_of_order_changes_no_bit(seed: int) -> None:
    rows = stream(COUNT_OF_PRINTS, seed)
    received = damaged_feed(rows, seed, 0.03)  # one in a hundred of each
    assert len({row["trade_id"] for row in received}) < COUNT_OF_PRINTS, "some were dropped"
    clean, repaired = play(rows, rows, Venue(rows)), play(rows, received, Venue(rows, seed))
    assert not of_type(PrintsLost, repaired)
    assert len(of_type(OptionTrade, repaired)) == COUNT_OF_PRINTS
    clean_book, repaired_book = book_after(clean, every=50), book_after(repaired, every=7)
    assert encode_book(clean_book) == encode_book(repaired_book)
    np.testing.assert_array_equal(clean_book.estimate.members, repaired_book.estimate.members)
    assert clean_book.state.sums[:, COUNT].sum() == COUNT_OF_PRINTS
    assert not clean_book.state.pending.row.size


@pytest.mark.slow
def test_prints_that_nobody_brings_back_are_counted_as_missed_and_move_nothing() -> None:
    rows = stream(COUNT_OF_PRINTS, 4)
    received = damaged_feed(rows, 4, 0.03)
    received_ids = {row["trade_id"] for row in received}
    last = dict(rows[-1])  # the venue's clock goes on for a minute after it, and ends the waiting
    last |= {"trade_id": "later", "trade_seq": last["trade_seq"] + 1, "timestamp": last["timestamp"] + 61_000}
    with_gaps = play(rows, [*received, last], Venue([]))  # every call is answered with an empty page
    lost = sum(event.count for event in of_type(PrintsLost, with_gaps))
    assert lost == COUNT_OF_PRINTS - len(received_ids) > 0
    trades_seen = of_type(OptionTrade, with_gaps)
    with_losses, without = book_after(with_gaps, every=50), book_after(trades_seen, every=50)
    assert with_losses.lost.sum() > 0.0
    assert not without.lost.any()
    np.testing.assert_array_equal(with_losses.state.sums[:, [COUNT, VOLUME]], without.state.sums[:, [COUNT, VOLUME]])
