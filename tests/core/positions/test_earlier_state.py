"""Means and deviations of the positions of version 1, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.positions.earlier_state import _RECORD, _customers, _terms
from dfmon.model.units import DAY

SAVED_NS = 1_790_000_000_000_000_000
BUYS = (np.arange(7) + 0.5) / 7  # the share of buyers in each direction


def customers(tally: int | None = None, count: float = 0.0, **fields: float) -> tuple[float, float]:
    """Mean and deviation of one option without prints, unless its tally has some."""
    records = np.zeros(1, _RECORD)
    for name, value in fields.items():
        records[name] = value
    if tally is not None:
        records["tally"][0, tally] = count
    mean, sd = _customers(records, np.zeros((1, 7, 64)), SAVED_NS)
    return float(mean[0]), float(sd[0])


def test_coins_of_before_are_spread_over_the_directions() -> None:
    by_direction = 40.0 * np.clip(-0.10 + 2.0 * BUYS - 1.0, -1.0, 1.0)
    mean, sd = customers(interest=100.0, unseen=40.0, variance=9.0)
    assert mean == pytest.approx(by_direction.mean())
    assert sd == pytest.approx(np.sqrt((0.56 * 40.0) ** 2 + by_direction.var() + 9.0))


def test_transfers_since_the_last_print_widen_the_band() -> None:
    for since_ns, days in ((SAVED_NS - 4 * DAY, 4.0), (SAVED_NS + DAY, 0.0), (0, 0.0)):
        mean, sd = customers(interest=200.0, since_ns=since_ns)
        assert (mean, sd) == pytest.approx((0.0, 0.015 * 200.0 * np.sqrt(days)))


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_sides_of_many_prints_choose_the_direction(kind: int) -> None:
    for column, buys in ((2 * kind, BUYS[0]), (2 * kind + 1, BUYS[-1])):
        mean, _ = customers(tally=column, count=1e5, interest=100.0, unseen=40.0)
        assert mean == pytest.approx(40.0 * np.clip(-0.10 + 2.0 * buys - 1.0, -1.0, 1.0))


def test_no_position_is_beyond_open_interest() -> None:
    assert customers(tally=0, count=1e5, interest=10.0, unseen=40.0)[0] == pytest.approx(-10.0)


def test_strike_and_type_are_in_the_name() -> None:
    assert _terms("BTC-27MAR26-100000-P") == (100_000.0, -1.0)
    assert _terms("XRP_USDC-27MAR26-1d5-C") == (1.5, 1.0)
