"""The chain at its boundaries: a gap, the venue's clock, lost prints, the order by open interest."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.engine.chain import ChainState
from dfmon.model.events import (
    BlockRfqChecked,
    Delisted,
    Event,
    Listed,
    OptionTradeHistory,
    PrintsLost,
    TradeHistoryComplete,
)
from dfmon.model.instrument import Instrument
from dfmon.model.units import DAY, NAN, SECOND
from tests.chains import NOW, SPOT, index, option, ticker, trade

CALL, PUT = option(kind=1), option(kind=-1)


def chain_of(*events: Event, instruments: tuple[Instrument, ...] = (CALL, PUT)) -> ChainState:
    chain = ChainState(("BTC", "ETH"))
    for event in (*(Listed(i) for i in instruments), *events):
        chain.apply(event, NOW)
    return chain


def test_options_are_ordered_by_open_interest_in_usd_and_those_without_a_spot_come_last() -> None:
    ether, unknown, delisted = option(3_000.0, underlying="ETH"), option(90_000.0), option(80_000.0)
    chain = chain_of(
        ticker(CALL.name, open_interest=1.0),
        ticker(PUT.name, open_interest=2.0),
        ticker(ether.name, open_interest=50.0),
        ticker(delisted.name, open_interest=99.0),
        Delisted("deribit", delisted.name),
        ticker(unknown.name, open_interest=NAN),
        index(SPOT),
        instruments=(ether, CALL, PUT, unknown, delisted),
    )
    chain.flush_tickers()
    assert chain.by_open_interest() == [PUT.name, CALL.name, ether.name]
    chain.apply(index(3_000.0, underlying="ETH"), NOW)
    assert chain.by_open_interest() == [PUT.name, ether.name, CALL.name]


@pytest.mark.parametrize(("listed_ns", "is_full"), [(NOW - 1, False), (NOW, True), (NOW + 1, True)])
def test_a_listing_from_the_start_on_has_its_full_history(listed_ns: int, is_full: bool) -> None:
    chain = chain_of(instruments=(option(listed_ns=listed_ns),))
    assert chain.freeze("BTC", NOW).full_history.tolist() == [is_full]


@pytest.mark.parametrize(("gap_s", "known_from_s"), [(10, 10), (-10, 0)])
def test_a_gap_ends_the_full_histories_of_options_listed_before_it(gap_s: int, known_from_s: int) -> None:
    listed = [NOW - DAY, NOW + known_from_s * SECOND - 1, NOW + known_from_s * SECOND]
    options = tuple(option(90_000.0 + i, listed_ns=ns) for i, ns in enumerate(listed))
    chain = chain_of(TradeHistoryComplete("deribit", "BTC", NOW - 2 * DAY), instruments=options)
    assert chain.freeze("BTC", NOW).full_history.all()
    chain.mark_gap(NOW + gap_s * SECOND)
    assert chain.freeze("BTC", NOW).full_history.tolist() == [False, False, True]


def test_an_option_expires_by_the_clock_of_the_venue() -> None:
    ahead = 3 * SECOND  # ours
    chain = chain_of()
    assert chain.freeze("BTC", CALL.expiry_ns + ahead - 1, ahead).names == (CALL.name, PUT.name)
    assert chain.freeze("BTC", CALL.expiry_ns + ahead, ahead).names == ()


@pytest.mark.parametrize(("seen_ns", "rejected"), [(-1, ()), (0, (("expired", 2),)), (1, (("expired", 2),))])
def test_options_listed_at_or_after_their_expiry_are_each_counted(
    seen_ns: int, rejected: tuple[tuple[str, int], ...]
) -> None:
    chain = ChainState(("BTC",))
    for instrument in (CALL, PUT):
        chain.apply(Listed(instrument), CALL.expiry_ns + seen_ns)
    frame = chain.freeze("BTC", CALL.expiry_ns + 1)
    assert (frame.names, frame.rejected) == ((), rejected)


def test_a_delisting_after_a_tick_and_a_complete_listing_take_effect_at_the_next() -> None:
    chain = chain_of()
    assert chain.freeze("BTC", NOW).names == (CALL.name, PUT.name)
    chain.apply(Delisted("deribit", CALL.name), NOW)
    assert chain.freeze("BTC", NOW).names == (PUT.name,)


def test_lost_prints_are_counted_in_full_for_their_option_or_as_unlisted() -> None:
    chain = chain_of(
        PrintsLost("deribit", PUT.name, 3), PrintsLost("deribit", PUT.name, 4), PrintsLost("deribit", "X", 5)
    )
    assert chain.freeze("BTC", NOW).lost_prints.tolist() == [0.0, 7.0]
    assert chain.unlisted_counts == {"trade": 5}


def test_block_requests_are_those_that_matched_and_those_that_did_not() -> None:
    checks = [BlockRfqChecked("deribit", "BTC", matched) for matched in (True, True, False)]
    assert chain_of(*checks).freeze("BTC", NOW).block_rfq_checks == (2, 1)


def test_a_history_leaves_out_and_counts_prints_without_an_amount() -> None:
    trades = tuple(trade(CALL.name, 1, size) for size in (1.0, 0.0, 2.0, NAN, 3.0))
    chain = chain_of(OptionTradeHistory("deribit", CALL.name, trades), OptionTradeHistory("deribit", "X", trades))
    frame = chain.freeze("BTC", NOW)
    (history,) = frame.trade_histories
    assert (history.uid, history.trades.size.tolist()) == (0, [1.0, 2.0, 3.0])
    assert frame.rejected == (("trade", 2),)
    assert chain.unlisted_counts == {"life": 1}


def test_data_are_as_new_as_the_newer_of_ticker_and_mark() -> None:
    chain = chain_of(ticker(CALL.name, NOW + 7))
    frame = chain.freeze("BTC", NOW)
    assert frame.data_ns.tolist() == [NOW + 7, 0]
    assert np.isnan(frame.open_interest[1])


def test_no_receipt_is_later_than_the_tick() -> None:
    chain = ChainState(("BTC",))
    for event in (Listed(CALL), index(), ticker(CALL.name)):
        chain.apply(event, NOW + 9)
    received = chain.freeze("BTC", NOW + 4).received
    assert {received.spot_ns, received.marks_ns, received.forwards_ns, received.open_interest_ns} == {NOW + 4}
