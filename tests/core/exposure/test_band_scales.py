"""Bands are wider than their members by one scale a roll-up, about the value of the mean book."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.book_exposure import SCALES
from dfmon.core.exposure.band_scales import ODDS
from dfmon.core.exposure.bands import BAND_QUANTILES, bands_of_sums
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.regime import Calibration, find_regime
from dfmon.core.snapshot.build import BookResult
from dfmon.core.step import FlowParams
from dfmon.model.snapshot import Views
from tests.chains import frame, shot, trade_columns

RNG = np.random.default_rng(4)


def test_scales_are_of_every_band_and_narrow_none() -> None:
    assert set(SCALES) == {"ngi", "vss", "chl", "volg", "hpp", "hedge_flow", "outlook", "unwind", "edges"}
    assert all(1.0 <= scale < 2.5 for scale in SCALES.values())
    assert all(0.5 < number < 2.5 for odds in ODDS.values() for number in odds)


@pytest.mark.parametrize("scale", [1.0, 1.3, 2.0])
def test_a_band_reaches_the_scale_times_as_far_from_the_value(scale: float) -> None:
    unit, position = RNG.normal(size=(2, 5)), RNG.normal(size=5)
    members = position[:, None] + RNG.normal(size=(5, 64))
    value, none = unit @ position + 0.3, np.zeros(2)
    low, high = bands_of_sums(unit, position, members, value, none, scale)
    for row in range(2):
        quantiles = np.quantile(unit[row] @ members, BAND_QUANTILES) - unit[row] @ position
        assert [low[row], high[row]] == pytest.approx(list(value[row] + scale * quantiles), rel=1e-12)


@pytest.mark.slow
def test_metrics_are_wider_than_their_members_by_their_scale() -> None:
    board = frame()
    prints = trade_columns(range(board.size), [1 if i % 3 else -1 for i in range(board.size)], [2.0] * board.size)
    snapshot = shot(replace(board, full_history=np.ones(board.size, np.bool_), trades=prints), FlowParams())
    assert isinstance(snapshot.views, Views)
    assert isinstance(snapshot.views.result, BookResult)
    exposure = snapshot.views.result.tick.exposure
    assert exposure.members is not None
    for row, name in enumerate(("ngi", "vss", "chl", "volg")):
        metric = getattr(snapshot.metrics, name)
        low, high = np.quantile(exposure.members[row], BAND_QUANTILES)
        scale = SCALES[name]
        assert metric.value is not None
        assert metric.lo == pytest.approx(metric.value + scale * (low - metric.value), rel=1e-9)
        assert metric.hi == pytest.approx(metric.value + scale * (high - metric.value), rel=1e-9)


def test_edges_reach_the_scale_times_as_far_in_log_distance() -> None:
    k, one = np.array([90.0, 110.0]), np.ones(2)
    chain = 100.0 * one, k, 0.5 * one, 0.05 * one
    book = np.array([-1.0, 1.0])
    members = book[:, None] + 0.2 * RNG.normal(size=(2, 64))
    found = find_flips(100.0, *chain, book[:, None], members)
    flip = find_flip(100.0, *chain, book)
    plain, wide = (find_regime(100.0, flip, found.roots, found.profiles, Calibration(edges=s)) for s in (1.0, 1.5))
    assert (wide.agree, wide.p_none, wide.side) == (plain.agree, plain.p_none, plain.side)
    assert plain.nearest is not None
    assert wide.nearest is not None
    for name in ("low", "high"):
        before, after = getattr(plain.nearest, name), getattr(wide.nearest, name)
        assert math.log(after / wide.nearest.level) == pytest.approx(1.5 * math.log(before / plain.nearest.level))
