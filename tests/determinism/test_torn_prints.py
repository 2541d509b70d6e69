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
from dfmon.core.positions.update import observe
from dfmon.engine.chain import ChainState
from dfmon.model.events import Event, Listed, OptionTrade, PrintsLost
from dfmon.model.units import MILLISECOND
from tests.chains import option, ticker
from tests.venues.test_deribit import T_MS, of
from tests.venues.test_deribit_trade_feed import NAMES, Venue, play, stream, torn

COUNT = 1_200
BEFORE, AFTER = (T_MS - 1) * MILLISECOND, (T_MS + COUNT + 1) * MILLISECOND


def lived(events: Sequence[Event], every: int) -> Inventory:
    """The ensemble after a session that heard these events, with a tick after every so many of them."""
    chain, inventory = ChainState(("BTC",)), Inventory.empty()
    for name, kind in zip(NAMES, (1, -1)):
        listed = msgspec.structs.replace(option(kind=kind, days=400.0), name=name)
        chain.apply(Listed(listed), BEFORE)
        chain.apply(ticker(name, BEFORE, open_interest=2_000.0), BEFORE)
    prints = of((OptionTrade, PrintsLost), events)
    for start in range(0, len(prints) + 1, every):
        inventory = observe(inventory, chain.freeze("BTC", BEFORE if not start else AFTER), Priors())
        chain.confirm("BTC")
        for event in prints[start : start + every]:
            chain.apply(event, AFTER)
    return observe(inventory, chain.freeze("BTC", AFTER), Priors())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_print_in_a_hundred_dropped_repeated_or_out_of_order_changes_no_bit(seed: int) -> None:
    rows = stream(COUNT, seed)
    heard = torn(rows, seed, 0.03)  # one in a hundred of each
    assert len({row["trade_id"] for row in heard}) < COUNT, "some were dropped"
    clean, repaired = play(rows, rows, Venue(rows)), play(rows, heard, Venue(rows, seed))
    assert not of(PrintsLost, repaired)
    assert len(of(OptionTrade, repaired)) == COUNT
    one, other = lived(clean, every=50), lived(repaired, every=7)
    assert one.book.tobytes() == other.book.tobytes()
    for before, after in zip(one.flows, other.flows):
        np.testing.assert_array_equal(before, after)
    for before, after in zip(one.members, other.members):
        np.testing.assert_array_equal(before, after)
    assert np.array_equal(one.read, other.read)


def test_prints_that_nobody_brings_back_are_counted_as_missed_and_move_nothing() -> None:
    rows = stream(COUNT, 4)
    heard = torn(rows, 4, 0.03)
    kept = {row["trade_id"] for row in heard}
    last = dict(rows[-1])  # the venue's clock goes on for a minute after it, and ends the waiting
    last |= {"trade_id": "later", "trade_seq": last["trade_seq"] + 1, "timestamp": last["timestamp"] + 61_000}
    holed = play(rows, [*heard, last], Venue([]))  # every call is answered with an empty page
    lost = sum(event.count for event in of(PrintsLost, holed))
    assert lost == COUNT - len(kept) > 0
    told = of(OptionTrade, holed)
    priced, blind = lived(holed, every=50), lived(told, every=50)
    assert priced.book["missed"].sum() > 0.0
    assert not blind.book["missed"].any()
    for name in ("volume", "tally"):
        np.testing.assert_array_equal(priced.book[name], blind.book[name])
    for before, after in zip(priced.flows, blind.flows):
        np.testing.assert_array_equal(before, after)
