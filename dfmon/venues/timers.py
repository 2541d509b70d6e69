"""Timers of polls, as times of the wall clock."""

from __future__ import annotations


def is_time_reached(now_ns: int, planned_ns: int, interval_ns: int) -> bool:
    """True at `planned_ns` and later, and where it lies more than an interval ahead: our clock was set back."""
    return not now_ns < planned_ns <= now_ns + interval_ns
