"""The clock of a session: ticks at multiples of its time, whatever the speed and whatever the clock does."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dfmon.core.step import FlowParams
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.replay import RecordingSource, play_through
from dfmon.runtime.clock import WALL_CLOCK, SessionClock
from dfmon.runtime.live_session import LiveSession
from dfmon.store.recorder import Recorder
from tests.live_sessions import raise_error, until

NOON = 1_795_348_800 * SECOND


def _fast_clock(speed: float) -> SessionClock:
    started_ns = time.monotonic_ns()
    return SessionClock(lambda: NOON + int((time.monotonic_ns() - started_ns) * speed), speed)


def test_the_wall_clock_is_the_default() -> None:
    assert WALL_CLOCK.speed == 1.0
    assert abs(WALL_CLOCK.now_ns() - time.time_ns()) < SECOND


def test_an_interval_of_wall_time_is_a_multiple_of_market_time() -> None:
    clock = SessionClock(lambda: NOON + 7 * SECOND, 30.0)
    assert clock.next_multiple_ns(0.5) == NOON + 15 * SECOND
    assert clock.seconds_until(NOON + 15 * SECOND) == pytest.approx(8.0 / 30.0)
    assert clock.seconds_until(NOON) == 0.0


async def _tick_times(clock: SessionClock, tick_s: float, ticks: int, record: Path | None = None) -> list[int]:
    hub, stop, snapshots = SnapshotHub(mode="sim"), asyncio.Event(), list[FlowSnapshot]()
    hub.add_listener(snapshots.append)
    about: dict[str, Any] = {"underlyings": ["BTC"], "sources": [], "pace": {"summary_s": 5.0, "look_back_s": 0.0}}
    about |= {"params": msgspec.to_builtins(FlowParams())}
    recorder = Recorder(record, about) if record is not None else None
    session = LiveSession(("BTC",), [], FlowParams(), hub, raise_error, tick_s=tick_s, clock=clock, recorder=recorder)
    running = asyncio.create_task(session.run(stop))
    await until(lambda: len(snapshots) >= ticks)
    stop.set()
    await running
    return [snapshot.ts_ns for snapshot in snapshots]


@pytest.mark.slow
async def test_a_session_ticks_on_a_clock_thirty_times_as_fast() -> None:
    times = await _tick_times(_fast_clock(30.0), 0.1, 5)
    assert all((at - NOON) % (3 * SECOND) < SECOND for at in times), "at multiples of 3 s, soon after"
    assert all(b - a >= 2 * SECOND for a, b in itertools.pairwise(times))


def _stepping_back() -> Callable[[], int]:
    started_ns = time.time_ns()
    return lambda: time.time_ns() - (3600 * SECOND if time.time_ns() - started_ns > 0.3 * SECOND else 0)


@pytest.mark.parametrize("now_ns", [_stepping_back(), lambda: NOON + 1], ids=["set back by an hour", "frozen"])
async def test_a_clock_that_was_set_back_or_stands_still_does_not_hold_up_the_ticks(now_ns: Callable[[], int]) -> None:
    async with asyncio.timeout(60):
        assert len(await _tick_times(SessionClock(now_ns), 0.1, 8)) >= 8


async def test_a_recording_of_a_fast_session_has_its_times_and_replays_the_same(tmp_path: Path) -> None:
    times = await _tick_times(_fast_clock(60.0), 0.1, 4, tmp_path / "session")
    replayed = list[FlowSnapshot]()
    play_through(RecordingSource(tmp_path / "session", None), replayed.append)
    assert [snapshot.ts_ns for snapshot in replayed] == times


@pytest.mark.parametrize("early_ns", [0, 1, 1_000_000, -3_000_000])
def test_timers_that_fire_early_or_late_make_one_tick_an_interval(early_ns: int) -> None:
    now_ns, tick_ns, ticks = 10 * SECOND + 5, 0, list[int]()
    clock = SessionClock(lambda: now_ns)
    for _ in range(60):
        tick_ns = clock.next_multiple_ns(1.0, tick_ns)
        now_ns = tick_ns - early_ns
        ticks.append(tick_ns)
    assert ticks == [(11 + number) * SECOND for number in range(60)]


def test_missed_ticks_are_skipped_and_a_clock_set_back_starts_anew() -> None:
    assert SessionClock(lambda: 9 * SECOND + 1).next_multiple_ns(1.0, 5 * SECOND) == 10 * SECOND
    assert SessionClock(lambda: 7 * SECOND + 1).next_multiple_ns(1.0, 5_000 * SECOND) == 8 * SECOND
