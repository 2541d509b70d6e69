"""Roll-ups: groups, boards and members add up to the totals."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.exposure.vanna_charm_volga import group_totals, member_totals, roll_up, totals
from dfmon.model.metrics import EXPOSURE_NAMES
from tests.core.exposure.test_unit_exposure import book


def test_groups_and_members_add_up_to_the_totals() -> None:
    columns, exposure = book()
    u = unit_exposures(*columns)
    sums = totals(u, exposure).to_array()
    dates, codes = np.unique(columns[3], return_inverse=True)
    by_expiry = group_totals(u, exposure, codes, dates.size)
    np.testing.assert_allclose(by_expiry.sum(axis=1), sums, rtol=1e-10)
    np.testing.assert_allclose(by_expiry[0, 0], (u.ngi * exposure)[codes == 0].sum(), rtol=1e-12)
    members = exposure[:, None] * np.array([1.0, -2.0, 0.0])
    np.testing.assert_allclose(member_totals(u, members), sums[:, None] * [1.0, -2.0, 0.0], rtol=1e-10, atol=1e-6)


def test_a_board_adds_up_by_expiry_by_strike_and_in_all() -> None:
    columns, exposure = book()
    u = unit_exposures(*columns)
    dates, date = np.unique(columns[3], return_inverse=True)
    levels, level = np.unique(np.round(columns[1], -4), return_inverse=True)
    sums = roll_up(u, exposure, date * levels.size + level, dates.size, levels.size)
    np.testing.assert_allclose(sums.totals.to_array(), totals(u, exposure).to_array(), rtol=1e-10)
    for found, codes, groups in ((sums.by_expiry, date, dates.size), (sums.by_strike, level, levels.size)):
        expected = group_totals(u, exposure, codes, groups)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    one = (date == 1) & (level == 2)
    assert one.any()
    for name, cell in zip(EXPOSURE_NAMES, sums.cells[:, 1, 2]):
        assert cell == pytest.approx((u.column(name) * exposure)[one].sum(), rel=1e-10)
