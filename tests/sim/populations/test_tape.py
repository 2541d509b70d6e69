"""What a tape shows of its world, whatever the family."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.sim.populations import FAMILIES, MarketTape, simulate
from dfmon.sim.populations.family import KINDS
from dfmon.sim.populations.history import DAY_MS, SPOT, START_MS
from dfmon.sim.populations.tape import Columns

DAYS = 6.0
FAST = ("B", "O")  # of accounts, and of classes


@pytest.fixture(
    scope="module",
    params=[name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES],
)
def name(request: pytest.FixtureRequest) -> str:
    """Tests come by family, so that one tape is in memory."""
    return str(request.param)


@pytest.fixture(scope="module")
def tape(name: str) -> MarketTape:
    return simulate(FAMILIES[name], 3, DAYS)


def same(left: Columns, right: Columns) -> bool:
    return list(left) == list(right) and all(
        np.array_equal(left[name], right[name], equal_nan=name == "listed_ms") for name in left
    )


@pytest.mark.slow
def test_the_same_seed_is_the_same_world_and_another_is_not(tape: MarketTape, name: str) -> None:
    again, other = (simulate(FAMILIES[name], seed, DAYS) for seed in (3, 4))
    for part in ("trades", "open_interest", "instruments"):
        assert same(getattr(tape, part), getattr(again, part))
    assert not np.array_equal(tape.trades["amount"], other.trades["amount"])


def test_columns_have_their_domains(tape: MarketTape) -> None:
    trades, interest, instruments = tape.trades, tape.open_interest, tape.instruments
    assert set(instruments["type"]) == {"call", "put"}
    assert len(set(instruments["name"])) == len(instruments["name"])
    assert set(trades["kind"]) <= set(KINDS)
    assert set(trades["side"]) == {-1, 1}
    assert (trades["amount"] > 0.0).all()
    assert (interest["value"] >= 0.0).all()
    for columns in (trades, interest):
        assert (np.diff(columns["ts_ms"]) >= 0).all()
        assert set(columns["instrument"]) <= set(instruments["name"])
        assert columns["ts_ms"][0] >= START_MS
    assert trades["ts_ms"][-1] <= START_MS + DAYS * DAY_MS
    assert np.log(instruments["strike"] / SPOT).max() < 2.0


def test_customers_net_is_within_open_interest(tape: MarketTape) -> None:
    history = tape.history
    assert (np.abs(history.customer_net) <= history.open_interest + 1e-6).all()
    assert (history.open_interest >= -1e-9).all()


def test_options_listed_in_view_start_at_zero_and_older_ones_in_full_swing(tape: MarketTape) -> None:
    listed = tape.instruments["listed_ms"]
    in_view = listed >= START_MS
    assert 0.1 < in_view.mean() < 0.6
    assert np.isnan(listed[~in_view]).all()
    for row in np.flatnonzero(in_view)[:10].tolist():
        assert tape.open_interest_at(float(listed[row]) - 1.0)[row] == 0.0
    start = tape.open_interest_at(START_MS)
    assert (start[in_view] == 0.0).all()
    assert (start[~in_view] > 0.0).mean() > 0.9
    first_print = np.array(
        [
            tape.trades["ts_ms"][tape.trades["instrument"] == name].min(initial=2**62)
            for name in tape.instruments["name"]
        ]
    )
    assert (first_print[in_view] >= listed[in_view]).all()


def test_numbers_of_prints_grow_by_one_but_where_prints_are_lost(tape: MarketTape, name: str) -> None:
    trades, lost = tape.trades, FAMILIES[name].lost
    gaps = 0
    for instrument in np.unique(trades["instrument"]):
        steps = np.diff(trades["seq"][trades["instrument"] == instrument])
        assert (steps >= 1).all()
        gaps += int((steps - 1).sum())
    assert (gaps > 0) == (lost > 0.0)
    if lost:
        assert gaps / (gaps + trades["seq"].size) == pytest.approx(lost, abs=0.004)


def test_legs_of_a_combo_share_the_event_and_nothing_else_does(tape: MarketTape) -> None:
    trades = tape.trades
    event, counts = np.unique(trades["event"], return_counts=True)
    shared = np.isin(trades["event"], event[counts > 1])
    assert counts.max() == 2
    assert set(trades["kind"][shared]) == {"combo"}
    rows = np.flatnonzero(shared)
    first, second = rows[:-1], rows[1:]
    pairs = trades["event"][first] == trades["event"][second]
    first, second = first[pairs], second[pairs]
    assert (trades["ts_ms"][first] == trades["ts_ms"][second]).all()
    assert (trades["instrument"][first] != trades["instrument"][second]).all()
    assert 2 * first.size == rows.size
    spreads = np.mean(trades["side"][first] != trades["side"][second])
    assert 0.6 < spreads < 0.95


def test_seen_open_interest_is_the_true_one_at_its_time(tape: MarketTape) -> None:
    interest = tape.open_interest
    row_of = {instrument: row for row, instrument in enumerate(tape.instruments["name"])}
    for row in range(0, interest["value"].size, max(interest["value"].size // 150, 1)):
        truth = tape.open_interest_at(float(interest["ts_ms"][row]))[row_of[interest["instrument"][row]]]
        assert interest["value"][row] == pytest.approx(truth, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("every_s", [0.0, 5.0, 30.0, 60.0, 600.0])
def test_open_interest_follows_each_print_within_its_period(every_s: float) -> None:
    tape = simulate(replace(FAMILIES["B"], interest_every_s=every_s), 3, DAYS)
    interest, trades = tape.open_interest, tape.trades
    if every_s:
        assert ((interest["ts_ms"] - START_MS) % (every_s * 1e3) == 0).all()
    for instrument in tape.instruments["name"][:40]:
        values = interest["ts_ms"][interest["instrument"] == instrument]
        prints = trades["ts_ms"][trades["instrument"] == instrument]
        assert (np.diff(values) > 0).all(), "one value at a time"
        following = values[np.searchsorted(values, prints)]
        assert (following - prints <= every_s * 1e3).all()


def test_families_without_a_switch_are_refused() -> None:
    with pytest.raises(AssertionError):
        simulate(replace(FAMILIES["A"], accounts=None), 1)
