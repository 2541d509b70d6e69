import numpy as np
import pytest

from dfmon.core.scenario.volume_profile import VolumeProfile, add_hour, hour_of_week
from dfmon.model.units import DAY, HOUR

MONDAY = 20_402 * DAY  # 10 November 2025


def grown(weeks: float, shape: np.ndarray, growth: float = 1.0) -> VolumeProfile:
    profile = VolumeProfile.initial()
    for hour in range(round(weeks * 168)):
        profile = add_hour(profile, MONDAY + (hour + 1) * HOUR, 1e9 * growth ** (hour // 168) * shape[hour % 168])
    return profile


def test_monday_midnight_is_hour_zero() -> None:
    assert hour_of_week(np.array([MONDAY, MONDAY + 6 * DAY + 23 * HOUR])).tolist() == [0, 167]


def test_profile_is_flat_at_the_start() -> None:
    assert VolumeProfile.initial().factor(MONDAY) == 1.0
    assert add_hour(VolumeProfile.initial(), MONDAY, 5e8).factor(MONDAY + HOUR) == pytest.approx(1.0)


@pytest.mark.parametrize("growth", [1.0, 3.0])
def test_profile_takes_the_shape_of_the_week_whatever_the_level(growth: float) -> None:
    shape = 1.0 + 0.6 * np.sin(2 * np.pi * np.arange(168) / 24.0)
    shape[120:] *= 0.5
    profile = grown(5, shape / shape.mean(), growth)
    truth = (shape / shape.mean()) ** (5 / 6)  # five weeks and a flat one
    assert profile.factors == pytest.approx(truth / truth.mean(), rel=1e-6)
    assert profile.factors.mean() == pytest.approx(1.0)


def test_an_hour_without_volume_is_left_out() -> None:
    profile = grown(1, np.ones(168))
    assert add_hour(profile, MONDAY + 8 * DAY, 0.0) is profile
    assert add_hour(profile, MONDAY + 8 * DAY, float("nan")) is profile


def test_no_more_than_five_weeks_are_kept() -> None:
    assert grown(7, np.ones(168)).volumes.times.size == 5 * 168


def test_one_wild_hour_is_bounded() -> None:
    wild = add_hour(grown(1, np.ones(168)), MONDAY + 7 * DAY + HOUR, 1e15)
    assert 0.2 <= wild.factors.min() <= wild.factors.max() <= 5.0
