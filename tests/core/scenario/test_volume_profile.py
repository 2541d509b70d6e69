import numpy as np
import pytest

from dfmon.core.scenario.volume_profile import VolumeProfile, add_hour, hour_of_week, track_volume
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND

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


def tracked(minutes: list[int], rate: float = 1e6, since: int = MONDAY) -> list[float]:
    """Volumes of the hours found at ticks in these minutes, with `rate` USD a minute."""
    profile = VolumeProfile.initial()
    for minute in minutes:
        profile = track_volume(profile, MONDAY + minute * MINUTE + SECOND, rate * minute, since)
    return [float(volume) for volume in profile.volumes.values[:, 0]]


def test_whole_hours_are_cut_from_the_running_sum() -> None:
    assert tracked(list(range(200))) == [60e6, 60e6, 60e6]
    assert tracked(list(range(30, 200))) == [60e6, 60e6]  # begun in the middle of an hour


def test_an_hour_with_a_gap_at_its_edge_or_another_session_is_left_out() -> None:
    gap = [minute for minute in range(250) if not 118 <= minute <= 121]
    assert tracked(gap) == [60e6, 60e6]  # the first and the last; the gap is at the edge of the two between
    assert tracked(list(range(200)), since=MONDAY + 70 * MINUTE) == [60e6]
    assert tracked(list(range(200)), since=0) == []
