"""Figures of the real prints of 2019, from the events that Deribit's protocol makes of them."""

from __future__ import annotations

import pytest
from real_tape import (
    Prints,
    hourly_bursts,
    iv_follows_side,
    net_bought,
    prints_of,
    rows_of,
    side_autocorrelation,
    tail_exponent,
)

from dfmon.model.units import HOUR
from tests.shared_data import tape

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prints() -> Prints:
    pytest.importorskip("pyarrow", reason="the tape is a parquet file (dfmon[parquet])")
    return prints_of(rows_of(tape() / "deribit_btc_option_trades_2019.parquet"))


def test_every_print_comes_out_of_the_protocol(prints: Prints) -> None:
    assert prints.time.size == 104_729
    assert prints.is_whole.sum() == 775


def test_iv_moves_with_the_side_and_sides_persist(prints: Prints) -> None:
    share, up, down, count = iv_follows_side(prints)
    assert 0.72 < share < 0.75
    assert up > 2.0
    assert down < -1.9
    assert count > 13_000
    assert side_autocorrelation(prints, 1, (0.0, HOUR)) == pytest.approx(0.53, abs=0.01)


def test_customers_sold_puts_on_balance(prints: Prints) -> None:
    assert net_bought(prints, calls=False) == pytest.approx(-82_811.0, abs=1.0)
    assert net_bought(prints, calls=True) == pytest.approx(10_962.0, abs=1.0)


def test_sizes_and_bursts_are_those_that_the_simulator_takes_as_defaults(prints: Prints) -> None:
    assert tail_exponent(prints.size) == pytest.approx(1.6, abs=0.05)
    assert hourly_bursts(prints) == pytest.approx((1.0, 0.65), abs=0.03)
