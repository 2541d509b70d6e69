"""What a torn feed costs the positions: nothing, where the gap repair brings the prints back.

Prints are dropped, repeated and put out of order on the wire. Deribit's protocol, the chain and the estimator stand
behind each other as in a session, and the venue answers the calls for what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from dfmon.core.positions.attribution import Priors
from dfmon.core.positions.inventory import Inventory
from dfmon.core.positions.update import update_inventory
from dfmon.engine.chain import ChainState
from dfmon.model.events import Event, Listed, OptionTrade, PrintsLost
from dfmon.model.units import MILLISECOND
from tests.chains import option, ticker
from tests.event_types import of_type
from tests.venues.test_deribit import T_MS
from tests.venues.test_deribit_trade_feed import NAMES, Venue, damaged_feed, play, stream

COUNT = 1_200
BEFORE, AFTER = (T_MS - 1) * MILLISECOND, (T_MS + COUNT + 1) * MILLISECOND


def inventory_after(events: Sequence[Event], every: int) -> Inventory:
    """The ensemble after a session that heard these events, with a tick after every so many of them."""
    chain, inventory = ChainState(("BTC",)), Inventory.empty()
    for name, kind in zip(NAMES, (1, -1)):
        listed = msgspec.structs.replace(option(kind=kind, days=400.0), name=name)
        chain.apply(Listed(listed), BEFORE)
        chain.apply(ticker(name, BEFORE, open_interest=2_000.0), BEFORE)
    prints = [event for event in events if isinstance(event, OptionTrade | PrintsLost)]
    for start in range(0, len(prints) + 1, every):
        inventory = update_inventory(inventory, chain.freeze("BTC", BEFORE if not start else AFTER), Priors())
        chain.commit_drained("BTC")
        for event in prints[start : start + every]:
            chain.apply(event, AFTER)
    return update_inventory(inventory, chain.freeze("BTC", AFTER), Priors())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_print_in_a_hundred_dropped_repeated_or_out_of_order_changes_no_bit(seed: int) -> None:
    rows = stream(COUNT, seed)
    received = damaged_feed(rows, seed, 0.03)  # one in a hundred of each
    assert len({row["trade_id"] for row in received}) < COUNT, "some were dropped"
    clean, repaired = play(rows, rows, Venue(rows)), play(rows, received, Venue(rows, seed))
    assert not of_type(PrintsLost, repaired)
    assert len(of_type(OptionTrade, repaired)) == COUNT
    clean_inventory, repaired_inventory = inventory_after(clean, every=50), inventory_after(repaired, every=7)
    assert clean_inventory.records.tobytes() == repaired_inventory.records.tobytes()
    for before, after in zip(clean_inventory.flows, repaired_inventory.flows):
        np.testing.assert_array_equal(before, after)
    for before, after in zip(clean_inventory.members, repaired_inventory.members):
        np.testing.assert_array_equal(before, after)
    assert np.array_equal(clean_inventory.summary, repaired_inventory.summary)


def test_prints_that_nobody_brings_back_are_counted_as_missed_and_move_nothing() -> None:
    rows = stream(COUNT, 4)
    received = damaged_feed(rows, 4, 0.03)
    received_ids = {row["trade_id"] for row in received}
    last = dict(rows[-1])  # the venue's clock goes on for a minute after it, and ends the waiting
    last |= {"trade_id": "later", "trade_seq": last["trade_seq"] + 1, "timestamp": last["timestamp"] + 61_000}
    with_gaps = play(rows, [*received, last], Venue([]))  # every call is answered with an empty page
    lost = sum(event.count for event in of_type(PrintsLost, with_gaps))
    assert lost == COUNT - len(received_ids) > 0
    trades_seen = of_type(OptionTrade, with_gaps)
    with_losses, without_gaps_known = inventory_after(with_gaps, every=50), inventory_after(trades_seen, every=50)
    assert with_losses.records["lost_qty"].sum() > 0.0
    assert not without_gaps_known.records["lost_qty"].any()
    for name in ("volume", "counts"):
        np.testing.assert_array_equal(with_losses.records[name], without_gaps_known.records[name])
    for before, after in zip(with_losses.flows, without_gaps_known.flows):
        np.testing.assert_array_equal(before, after)
