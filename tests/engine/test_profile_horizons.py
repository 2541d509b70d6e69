"""Profiles of other horizons against the boards that they stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.step import FlowState, step
from dfmon.engine.profile_horizons import horizon_profiles
from dfmon.model.units import HOUR
from tests.chains import frame, market

from .test_what_if import NAIVE, tick


def test_each_horizon_is_the_board_without_the_others_or_later() -> None:
    inputs = tick(NAIVE)
    found = {row.name: row for row in horizon_profiles(inputs)}
    live = step(*inputs)[1]
    first, second, third = (row.ngi or 0.0 for row in live.by_expiry)
    assert found["today"].ngi == pytest.approx(first, rel=1e-9)
    assert found["week"].ngi == pytest.approx(first + second, rel=1e-9)
    later = replace(inputs.chain, expiry_ns=inputs.chain.expiry_ns - 48 * HOUR)
    moved = step(*inputs._replace(chain=later))[1]
    assert found["+48 h"].ngi == pytest.approx(moved.metrics.ngi.value, rel=1e-9)
    gone = found["after next expiry"]
    assert gone.ngi == pytest.approx(second + third, rel=0.2), "the rest, half a day later"
    assert gone.ngi != pytest.approx(second + third, rel=1e-6)
    for row in found.values():
        at_spot = row.profile.at(inputs.chain.spot)
        assert at_spot == pytest.approx(row.ngi, rel=0.01, abs=1.0)


def test_a_horizon_without_options_has_no_gamma() -> None:
    inputs = tick(NAIVE, frame(days=(9.0, 37.0)))
    found = {row.name: row for row in horizon_profiles(inputs)}
    assert (found["today"].ngi, found["today"].profile.spots) == (None, ())
    assert found["week"].ngi is None


def test_the_profile_is_linear_between_its_spots() -> None:
    profile = step(FlowState.initial(), frame(), market(), (), NAIVE, 1)[1].detail.profile  # type: ignore[union-attr]
    for price in (profile.spots[0], profile.spots[-1], 97_123.0, 104_999.0):
        assert profile.at(price) == pytest.approx(float(np.interp(price, profile.spots, profile.ngi)), rel=1e-12)
    assert profile.at(profile.spots[0] - 1.0) is None
    assert profile.band_at(100_000.0) == (None, None)
