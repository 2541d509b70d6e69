import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.scenario.thresholds import (
    BLEND_DAYS,
    MAX_CHANGE,
    MAX_CHANGES,
    PRIOR,
    PRIOR_DAYS,
    QUANTILES,
    SAMPLE_NS,
    WINDOW_SAMPLES,
    Levels,
    PhiThresholds,
    ThresholdSeries,
    update_phi_thresholds,
    update_thresholds,
)
from dfmon.model.units import DAY, HOUR, MINUTE

START = 20_400 * DAY  # a midnight


def fed(values: np.ndarray, start: int = START, step_ns: int = SAMPLE_NS) -> ThresholdSeries:
    """The series after one value each `step_ns`."""
    series = ThresholdSeries.initial()
    for i, value in enumerate(values.tolist()):
        series = update_thresholds(series, start + i * step_ns, None if math.isnan(value) else value)
    return series


def replayed(values: np.ndarray, start: int = START) -> Levels:
    """The definition, read from the list of all samples: slow, without any state but the thresholds."""
    known: list[tuple[int, float]] = []
    days: list[np.ndarray] = []
    levels = np.array(PRIOR)
    for i, value in enumerate(values.tolist()):
        ts = start + i * SAMPLE_NS
        if i and ts % DAY == 0:
            day = [v for t, v in known if ts - DAY <= t < ts]
            if len(day) >= 12:
                days.append(np.quantile(day, QUANTILES))
        if not math.isnan(value):
            known.append((ts, float(np.float32(value))))
        if i and ts % HOUR == 0:
            window = [v for t, v in known if t > ts - 30 * DAY]
            weight = min(max((len(window) * SAMPLE_NS / DAY - PRIOR_DAYS) / BLEND_DAYS, 0.0), 1.0)
            target = np.array(PRIOR)
            if weight:
                target = np.array(PRIOR) ** (1 - weight) * np.quantile(window, QUANTILES) ** weight
            if len(days) >= 30:
                target = np.clip(target, 0.5 * np.mean(days, axis=0), 2.0 * np.mean(days, axis=0))
            levels = np.clip(target, 0.9 * levels, 1.1 * levels)
    return Levels(*levels.tolist())


def test_the_prior_stands_until_three_days_are_known() -> None:
    three_days = round(PRIOR_DAYS * DAY / SAMPLE_NS)
    assert fed(np.full(three_days, 0.2)).levels == PRIOR == (0.01, 0.03, 0.06)
    assert fed(np.full(three_days + 24, 0.2)).levels > PRIOR


def test_a_week_of_samples_gives_their_quantiles() -> None:
    values = np.random.default_rng(2).lognormal(-3.0, 0.5, 8 * 288 + 1)
    assert fed(values).levels == pytest.approx(np.quantile(values, QUANTILES), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_thresholds_equal_an_independent_reading_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(-3.5 + np.repeat(np.cumsum(rng.standard_normal(45) * 0.6), 288), 0.4)
    values[rng.random(values.size) < 0.2] = math.nan
    values[5_000:5_400] = math.nan
    assert fed(values).levels == pytest.approx(replayed(values), rel=1e-5)


def test_samples_more_often_than_a_slot_change_nothing() -> None:
    values = np.random.default_rng(3).lognormal(-3.5, 0.5, 1_500)
    often = np.repeat(values, 5)
    assert fed(often, step_ns=MINUTE).samples.tolist() == fed(values).samples.tolist()


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1e-5, 0.01, 0.02, 5.0]), st.integers(1, 900)), min_size=1, max_size=60))
def test_no_update_changes_a_threshold_by_more_than_a_tenth(jumps: list[tuple[float, int]]) -> None:
    series, ts = ThresholdSeries.initial(), START
    for value, slots in jumps:
        for _ in range(min(slots, 300)):
            ts += SAMPLE_NS
            before, series = series, update_thresholds(series, ts, value)
            assert all(abs(b / a - 1.0) <= MAX_CHANGE + 1e-12 for a, b in zip(before.levels, series.levels))
        assert series.levels.lo <= series.levels.mid <= series.levels.hi
        ts += slots * SAMPLE_NS


@pytest.mark.slow
def test_long_run_value_bounds_the_thresholds_and_a_bound_that_holds_for_a_day_is_an_alarm() -> None:
    days = np.concatenate([np.full(35 * 288, 0.02), np.full(32 * 288, 0.4)])
    series = fed(days)
    # the window is full of 0.4, the mean of all days is still low
    long_run = np.array(series.day_sum) / series.days
    assert series.levels == pytest.approx(2.0 * long_run, rel=0.05)
    assert series.levels.hi < 0.4
    assert series.is_drifting(START + days.size * SAMPLE_NS)
    assert series.changes[-1].bound
    calm = fed(days[: 34 * 288])
    assert not calm.is_drifting(START + 34 * DAY)
    assert calm.bound_since_ns == 0


def test_every_change_is_in_the_log_and_the_log_leads_to_the_thresholds() -> None:
    series = fed(np.random.default_rng(4).lognormal(-3.0, 0.5, 6 * 288))
    levels = PRIOR
    for change in series.changes:
        assert change.before == levels
        levels = change.after
    assert levels == series.levels
    assert len({change.ts_ns for change in series.changes}) == len(series.changes)


def test_phase_shifts_the_update_within_the_hour() -> None:
    series = ThresholdSeries.initial()
    for minute in range(130):
        series = update_thresholds(series, START + minute * MINUTE, 0.02, phase_ns=7 * MINUTE)
    assert series.update_ns == START + 127 * MINUTE


def test_a_clock_that_steps_back_adds_nothing() -> None:
    series = fed(np.full(20, 0.02))
    assert update_thresholds(series, START, 5.0) == series


def test_a_gap_of_more_than_the_window_begins_anew() -> None:
    series = update_thresholds(fed(np.full(2_000, 0.2)), START + 60 * DAY, 0.5)
    assert (series.samples.tolist(), series.days) == ([0.5], 7)


@pytest.mark.slow
def test_memory_and_log_are_bounded() -> None:
    values = np.random.default_rng(5).lognormal(-3.0, 0.5, 2 * WINDOW_SAMPLES)
    series = fed(values)
    assert series.samples.nbytes == 4 * WINDOW_SAMPLES
    assert len(series.changes) <= MAX_CHANGES
    assert 2 * (4 * 4 + 1) * series.samples.nbytes < 20e6  # two underlyings, four models, four series, liquidations


@pytest.mark.parametrize(("ngi", "name"), [(1.0, "long_gamma"), (-1.0, "short_gamma")])
def test_phi_gamma_belongs_to_the_series_of_its_sign(ngi: float, name: str) -> None:
    fresh = PhiThresholds.initial()
    updated = update_phi_thresholds(fresh, START, ngi, (0.25, None, None))
    assert {field.name for field in fields(updated) if np.isfinite(getattr(updated, field.name).samples).any()} == {
        name
    }
    assert updated.gamma(ngi) is getattr(updated, name)
    assert updated.gamma(-ngi) is not getattr(updated, name)


def test_no_gamma_has_no_sample() -> None:
    updated = update_phi_thresholds(PhiThresholds.initial(), START, 0.0, (0.25, None, None))
    assert not any(np.isfinite(getattr(updated, field.name).samples).any() for field in fields(updated))
