import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.scenario.buckets import Bucket, BucketState, Scene, next_bucket_state
from dfmon.model.units import DAY, SECOND
from tests.chains import NOW

DAMP, PIN, CASCADE = Scene(Bucket.DAMP), Scene(Bucket.PIN), Scene(Bucket.CASCADE)


def called(calls: list[tuple[int, Scene | None]], state: BucketState | None = None) -> BucketState:
    """The state after calls at these times, each repeated every second until the next one."""
    state = state or BucketState(DAMP, NOW - DAY, None, 0, NOW - SECOND)
    for (start, call), (end, _) in zip(calls, [*calls[1:], (calls[-1][0] + 1, None)]):
        for second in range(start, end):
            state = next_bucket_state(state, call, NOW + second * SECOND)
    return state


def test_there_are_six_buckets_with_one_name_each() -> None:
    assert Scene(Bucket.SQUEEZE, armed=True).title == "SQUEEZE (armed)"
    assert [(int(b), b.title) for b in Bucket] == [
        (1, "PIN"), (2, "DAMP"), (3, "DRIFT"), (4, "FLIP-ZONE"), (5, "SQUEEZE"), (6, "CASCADE"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("holding", "to", "seconds"), [(DAMP, PIN, 300), (DAMP, CASCADE, 60), (CASCADE, DAMP, 300), (None, DAMP, 300)]
)
def test_candidate_becomes_the_bucket_when_its_time_has_passed(holding: Scene | None, to: Scene, seconds: int) -> None:
    before = BucketState(holding, NOW - DAY, None, 0, NOW - SECOND)
    waiting = called([(0, to), (seconds, to)], before)
    early = called([(0, to), (seconds - 1, to)], before)
    assert early.scene == holding
    assert early.candidate == to
    assert early.remaining_ns(NOW + (seconds - 1) * SECOND) == SECOND
    assert (waiting.scene, waiting.since_ns, waiting.candidate) == (to, NOW + seconds * SECOND, None)


@pytest.mark.parametrize("breaker", [DAMP, CASCADE, None])
def test_one_tick_of_another_call_starts_the_wait_again(breaker: Scene | None) -> None:
    assert called([(0, PIN), (200, breaker), (201, PIN), (500, PIN)]).scene == DAMP
    assert called([(0, PIN), (200, breaker), (201, PIN), (501, PIN)]).scene == PIN


def test_missing_inputs_keep_the_bucket_and_its_age() -> None:
    state = called([(0, PIN), (300, PIN), (301, None), (5_000, None)])
    assert (state.scene, state.since_ns) == (PIN, NOW + 300 * SECOND)


@pytest.mark.parametrize(("gap_s", "goes_on"), [(4, True), (5, True), (6, False)])
def test_a_wait_goes_on_over_ticks_of_a_start_for_as_long_as_the_newest_call_is_fresh(
    gap_s: int, goes_on: bool
) -> None:
    state = called([(0, PIN), (100, PIN)])
    assert state.call_ns == NOW + 100 * SECOND
    for second in range(101, 100 + gap_s + 1):
        state = next_bucket_state(state, None, NOW + second * SECOND, grace_ns=5 * SECOND)
    state = next_bucket_state(state, PIN, NOW + (101 + gap_s) * SECOND, grace_ns=5 * SECOND)
    assert (state.candidate_since_ns == NOW) == goes_on


def test_a_gap_breaks_the_wait() -> None:
    state = called([(0, PIN), (200, PIN)])
    resumed = next_bucket_state(state, PIN, NOW + 400 * SECOND)
    assert (resumed.scene, resumed.candidate_since_ns) == (DAMP, NOW + 400 * SECOND)
    assert next_bucket_state(state, PIN, NOW).candidate_since_ns == NOW  # a clock that steps back


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, *(Scene(b) for b in Bucket), Scene(Bucket.SQUEEZE, armed=True)]), st.integers(1, 40)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_no_bucket_holds_for_less_than_the_dwell_time_of_its_successor(
    calls: list[tuple[Scene | None, int]],
) -> None:
    state, ts, history = BucketState.initial(), NOW, []
    for call, repeats in calls:
        for _ in range(repeats):
            ts += 10 * SECOND
            before, state = state, next_bucket_state(state, call, ts)
            history.append((ts, call))
            if state.scene != before.scene:
                assert state.scene is not None
                recent = [c for t, c in history if t >= ts - state.scene.bucket.dwell_ns]
                assert set(recent) == {state.scene}


def score_path(seed: int, days: float) -> np.ndarray:
    """Ornstein-Uhlenbeck score every 10 s: mean 1, sd 0.25, half-life 68 minutes."""
    rng = np.random.default_rng(seed)
    keep = 0.5 ** (10.0 / (68.0 * 60.0))
    noise = rng.standard_normal(round(days * 8_640)) * 0.25 * math.sqrt(1.0 - keep**2)
    score = np.empty(noise.size)
    level = 0.25 * rng.standard_normal()
    for k, shock in enumerate(noise.tolist()):
        level = keep * level + shock
        score[k] = 1.0 + level
    return score


@pytest.mark.slow
def test_a_score_around_its_threshold_changes_the_bucket_fifteen_times_a_day_at_most() -> None:
    changes = bare = 0
    days = 20.0
    for seed in range(2):
        state = BucketState(DAMP, NOW, None, 0, NOW)
        score = score_path(seed, days / 2)
        bare += int(np.count_nonzero(np.diff(score >= 1.0)))
        for tick, value in enumerate(score.tolist(), 1):
            call = PIN if value >= (0.8 if state.scene == PIN else 1.0) else DAMP
            before, state = state, next_bucket_state(state, call, NOW + tick * 10 * SECOND)
            changes += state.bucket is not before.bucket
    assert changes / days <= 15.0
    assert bare / days > 100.0
    assert changes > 0
