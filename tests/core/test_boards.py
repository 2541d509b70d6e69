"""Roll-ups and flips of eight recorded boards against independently computed numbers, and Deribit's own greeks."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.exposure.vanna_charm_volga import totals
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.pairing import Pairing
from dfmon.core.pricing.settlement import Settlement
from tests.core.boards import YEAR_MS, Board, snapshot_board, ticker_board

KNOWN = [
    # day or stamp, currency, NGI, VSS, CHL (million USD), VOLG (USD), flip
    ("20260114", None, 292.48, 65.44, -37.082, 126032, 88337),
    ("20260122", None, 40.308, 71.703, -103.909, 169394, 89124),
    ("20251230T173115Z", "BTC", 53.191, 58.246, -77.976, 146063, 86997),
    ("20251230T173115Z", "ETH", 9.4843, 7.4934, -16.0316, 32345, 2909.1),
    ("20260205T212937Z", "BTC", -45.134, 15.377, -8.20906, 145948, 73659),
    ("20260205T212937Z", "ETH", -9.0560, 1.4041, -5.03969, 14456, 2323.2),
    ("20260402T160623Z", "BTC", -7.8072, 54.766, -70.2294, 203294, 67081),
    ("20260402T160623Z", "ETH", 12.874, 7.4143, -12.4608, 22669, 1843.3),
]


def board(stamp: str, currency: str | None) -> Board:
    return ticker_board(stamp) if currency is None else snapshot_board(stamp, currency)


@pytest.mark.parametrize("settlement", ["average", "instant"])
@pytest.mark.parametrize(("stamp", "currency", "ngi", "vss", "chl", "volg", "flip"), KNOWN)
def test_roll_ups_and_flip(
    stamp: str, currency: str, ngi: float, vss: float, chl: float, volg: float, flip: float, settlement: Settlement
) -> None:
    b = board(stamp, currency)
    unit = unit_exposures(*b.columns, settlement=settlement)
    sums = totals(unit, b.naive)
    assert unit.invalid == 0
    assert sums.ngi == pytest.approx(ngi * 1e6, rel=1e-3)
    assert sums.vss == pytest.approx(vss * 1e6, rel=1e-3)
    if settlement == "average":  # where the horizon ends, the time of the average is a third of the time left
        assert sums.chl == pytest.approx(chl * 1e6, rel=1e-3)
    assert sums.volg == pytest.approx(volg, rel=1e-3)
    found = find_flip(b.spot, *b.columns[:4], b.naive)
    assert found.level == pytest.approx(flip, rel=5e-5)
    assert found.sign == np.sign(ngi)


def test_a_far_flip_needs_the_wider_range() -> None:
    b = snapshot_board("20260205T212937Z", "ETH")
    assert find_flip(b.spot, *b.columns[:4], b.naive, ranges=(0.20,)).level is None
    assert find_flip(b.spot, *b.columns[:4], b.naive).searched[1] > 1.35 * b.spot


@pytest.mark.parametrize(("stamp", "currency"), [(row[0], row[1]) for row in KNOWN])
def test_merging_pairs_changes_nothing_but_the_cost(stamp: str, currency: str) -> None:
    b = board(stamp, currency)
    points = Pairing.from_listing(b.strike, b.expiry_ms, b.option_type).points(b.forward, b.sigma, b.tau)
    assert points.option.size < b.strike.size
    one = find_flip(b.spot, *b.columns[:4], b.naive)
    forward, strike, sigma, tau, _ = (column[points.option] for column in b.columns)
    merged = find_flip(b.spot, forward, strike, sigma, tau, points.sum_exposure(b.naive))
    assert merged.level == pytest.approx(one.level, rel=1e-12)
    np.testing.assert_allclose(merged.ngi, one.ngi, atol=1e-11 * np.abs(one.ngi).max())


@pytest.mark.parametrize("day", ["20260114", "20260122"])
def test_deribit_prints_the_same_greeks(day: str) -> None:
    b = ticker_board(day)
    printed = {name: np.array([float(row[f"greeks_{name}"]) for row in b.rows]) for name in ("delta", "gamma", "vega")}
    stamps = np.array([float(row["timestamp"]) for row in b.rows])
    g = greeks(b.forward, b.strike, b.sigma, (b.expiry_ms - stamps) / YEAR_MS, b.option_type)
    assert g.invalid == 0
    assert np.abs(g.delta - printed["delta"]).max() < 1.5e-4
    assert np.abs(g.gamma - printed["gamma"]).max() < 6e-6
    assert np.abs(0.01 * g.vega - printed["vega"]).max() < 0.04


def test_sticky_moneyness_moves_the_flip_a_little() -> None:
    b = ticker_board("20260122")
    strike = find_flip(b.spot, *b.columns[:4], b.naive)
    moneyness = find_flip(b.spot, *b.columns[:4], b.naive, stickiness="moneyness", expiry=b.expiry_ms)
    assert moneyness.level != strike.level
    assert moneyness.level == pytest.approx(strike.level, rel=0.01)
