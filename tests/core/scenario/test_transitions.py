from dfmon.core.scenario.buckets import Bucket, Scene
from dfmon.core.scenario.transitions import MAX_TRANSITIONS, Transition, log_transition, transitions

DAMP, PIN = Scene(Bucket.DAMP), Scene(Bucket.PIN)
FEATURES = (("phi_gamma", 0.02), ("z", None))


def test_only_changes_are_logged_with_what_decided_them() -> None:
    log = log_transition((), 1, "flow", None, DAMP, ("no other rule holds",), FEATURES)
    assert log == (Transition(1, "flow", None, DAMP, ("no other rule holds",), FEATURES),)
    assert log_transition(log, 2, "flow", DAMP, DAMP, (), ()) is log
    assert log_transition(log, 2, "flow", DAMP, None, (), ()) is log


def test_log_is_bounded_and_answers_by_time_and_bucket() -> None:
    log: tuple[Transition, ...] = ()
    for ts in range(MAX_TRANSITIONS + 10):
        before, after = (PIN, DAMP) if ts % 2 else (DAMP, PIN)
        log = log_transition(log, ts, "naive", before, after, (), ())
    assert len(log) == MAX_TRANSITIONS
    assert [change.ts_ns for change in transitions(log, 100, 103)] == [100, 101, 102]
    assert transitions(log, bucket=Bucket.CASCADE) == ()
    assert transitions(log, bucket=Bucket.PIN) == log
    assert transitions(log)[-1].ts_ns == MAX_TRANSITIONS + 9
