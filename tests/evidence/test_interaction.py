"""The primary endpoint on markets whose coefficient is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.evidence.interaction import DayPairs, instrumented, interaction
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.evidence.simulated import minute_series
from dfmon.sim.feedback import PsiSpec, simulate_psi
from dfmon.sim.feedback.cascades import CascadeSpec

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def series() -> MinuteSeries:
    return minute_series(simulate_psi(PsiSpec(psi_sd=0.08), [3], 40)[0])


def test_feedback_has_its_coefficient(series: MinuteSeries) -> None:
    for found in (interaction(series), interaction(series, controlled=False), instrumented(series)):
        assert found is not None
        assert found.low < -1.0 < found.high
        assert found.high < -0.2
        assert found.verdict == "too few blocks"


def test_forced_orders_tied_to_short_gamma_pass_for_feedback_without_controls() -> None:
    spec = PsiSpec(response=0.0, cascades=CascadeSpec(per_day=1.0, per_day_short=500.0))
    tied = minute_series(simulate_psi(spec, [4], 100)[0])
    raw, controlled = interaction(tied, controlled=False), interaction(tied)
    assert raw is not None
    assert controlled is not None
    assert raw.high < 0.0
    assert controlled.low < 0.0 < controlled.high


def test_another_psi_finds_nothing(series: MinuteSeries) -> None:
    found = interaction(series, np.roll(series.psi, 7 * 1_440))
    assert found is not None
    assert found.low < 0.0 < found.high


def test_gaps_are_left_out(series: MinuteSeries) -> None:
    log_return = series.log_return.copy()
    log_return[5_000:9_000] = np.nan
    found, before = interaction(replace(series, log_return=log_return)), interaction(series)
    assert found is not None
    assert before is not None
    assert found.rows < before.rows - 3_990
    assert found.low < -1.0 < found.high


def test_scale_knows_the_past_alone(series: MinuteSeries) -> None:
    later = series.log_return.copy()
    later[20_000:] *= 5.0
    changed = replace(series, log_return=later).scale
    assert np.array_equal(series.scale[:20_001], changed[:20_001], equal_nan=True)
    past = np.abs(series.log_return[20_000 - 360 : 20_000])
    assert series.scale[20_000] == pytest.approx(np.sqrt(np.pi / 2.0) * past.mean())


def test_days_run_from_delivery_to_delivery(series: MinuteSeries) -> None:
    assert (np.bincount(series.day - series.day[0]) == 1_440).all()
    assert series.hours_to_expiry[0] == pytest.approx(24.0 - 1.0 / 60.0)


def test_days_of_psi_in_their_own_order_are_the_regression(series: MinuteSeries) -> None:
    pairs = DayPairs(series)
    found = interaction(series, controlled=False)
    assert found is not None
    assert pairs.t_of(np.arange(pairs.days)) == pytest.approx(found.t, rel=0.3)
    assert abs(pairs.t_of(np.random.default_rng(2).permutation(pairs.days))) < 3.5
