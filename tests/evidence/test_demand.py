"""Demand pressure on made tapes whose answer is known, and on the real one of 2019."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfmon.evidence.demand import SignedTape, demand_pressure, net_by_type, read_signed_tape
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, HOUR
from tests import shared_data

START_NS = 1_550_000_000_000_000_000 // DAY * DAY


def made_tape(effect: float, bounce: float = 0.0, days: int = 60, seed: int = 2) -> SignedTape:
    """Twenty options, each with a direction of its customers; `effect` is in points per share of the net vega."""
    rng = np.random.default_rng(seed)
    strikes = np.linspace(3_000.0, 5_000.0, 20)
    direction = rng.standard_normal(20)
    option = np.tile(np.arange(20), 10 * days)
    n = option.size
    ts_ns = START_NS + np.arange(n, dtype=np.int64) * (DAY // 200)
    side = np.where(rng.random(n) < 0.5 + 0.3 * np.tanh(direction[option]), 1.0, -1.0)
    smile = 60.0 + 8.0 * np.log(strikes / 4_000.0) ** 2
    pressure = effect * direction / np.abs(direction).sum()
    iv = smile[option] + pressure[option] + bounce * side + 0.3 * rng.standard_normal(n)
    expiry_ns = np.full(20, START_NS + (days + 60) * DAY + 8 * HOUR)
    return SignedTape(
        ts_ns, option, side, np.ones(n), iv, np.full(n, 4_000.0), strikes, np.resize([1.0, -1.0], 20), expiry_ns,
        np.ones(20, np.bool_),
    )  # fmt: skip


def test_pressure_is_found_and_its_absence_too() -> None:
    found, nothing = demand_pressure(made_tape(20.0)), demand_pressure(made_tape(0.0))
    assert found.controlled is not None
    assert nothing.controlled is not None
    assert found.controlled.low > 0.0
    assert nothing.controlled.low < 0.0 < nothing.controlled.high
    assert found.shuffled is not None
    assert abs(found.shuffled.value) < 0.2 * found.controlled.value


def test_the_side_of_the_last_print_is_not_taken_for_pressure() -> None:
    bounced = demand_pressure(made_tape(0.0, bounce=3.0))
    assert bounced.controlled is not None
    assert bounced.uncontrolled is not None
    assert bounced.uncontrolled.low > 0.0
    assert bounced.controlled.low < 0.0 < bounced.controlled.high


def test_net_by_type_counts_whole_lives() -> None:
    tape = made_tape(0.0, days=2)
    signed = tape.side * tape.amount
    calls = tape.option_type[tape.option] > 0.0
    assert net_by_type(tape) == pytest.approx({"calls": signed[calls].sum(), "puts": signed[~calls].sum()})
    assert net_by_type(tape._replace(is_complete=np.zeros(20, np.bool_))) == {"calls": 0.0, "puts": 0.0}


def test_a_name_that_is_no_option_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "tape.csv"
    path.write_text("amount,direction,indexPrice,instrument,iv,timeStamp,tradeSeq\n1,buy,4000,BTC-PERPETUAL,50,1,1\n")
    with pytest.raises(UsageError, match="'BTC-PERPETUAL' is no option such as BTC-28JUN19-10000-C"):
        read_signed_tape(path)


@pytest.mark.slow
def test_customers_of_2019_sold_puts_and_bought_calls() -> None:
    tape = read_signed_tape(shared_data.tape() / "deribit_btc_option_trades_2019.parquet")
    net = net_by_type(tape)
    assert net["puts"] < -50_000.0
    assert net["calls"] > 10_000.0
    found = demand_pressure(tape)
    assert found.controlled is not None
    assert found.controlled.verdict == "too few blocks"
