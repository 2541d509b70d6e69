"""A live session in this process, against the simulated exchange: history, recording, wishes, faults of the engine."""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import priors_digest
from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.replay import RecordingSource, play_through
from dfmon.runtime import composition
from dfmon.runtime.live_session import LiveSession
from dfmon.store.history import History, HistoryReader
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.recorder import Recorder
from tests.live_sessions import about, exchange, raise_error, until


@pytest.fixture
async def config() -> AsyncIterator[Config]:
    async with exchange(history=0.02) as sim_config:
        yield sim_config


def _session(config: Config, hub: SnapshotHub, recorder: Recorder, history: History) -> LiveSession:
    connections = composition.venue_endpoints(config)
    return LiveSession(
        ("BTC",), connections, FlowParams(), hub, raise_error,
        tick_s=0.25, rest_pace_s=0.01, recorder=recorder, history=history,
    )  # fmt: skip


@pytest.mark.slow
async def test_a_session_remembers_records_and_hears_wishes(config: Config, tmp_path: Path) -> None:
    hub, stop, snapshots = SnapshotHub(mode="sim"), asyncio.Event(), list[FlowSnapshot]()
    hub.add_listener(snapshots.append)
    recorder, history = Recorder(tmp_path / "session", about(config)), History(tmp_path / "history.sqlite")
    session = _session(config, hub, recorder, history)
    running = asyncio.create_task(session.run(stop))
    await until(lambda: bool(snapshots) and snapshots[-1].metrics.ngi.value is not None)
    session.submit(Request("positions", "naive"))
    await until(lambda: snapshots[-1].positions.model == "naive")
    await until(lambda: snapshots[-1].ts_ns - snapshots[0].ts_ns > 2_500_000_000)
    assert hub.runtime.frames_per_s > 0
    assert hub.runtime.recorded_bytes
    stop.set()
    async with asyncio.timeout(60):
        await running
    replayed: list[FlowSnapshot] = []
    play_through(RecordingSource(tmp_path / "session", None), replayed.append)
    assert [snapshot.digest() for snapshot in replayed] == [snapshot.digest() for snapshot in snapshots]
    with HistoryReader(tmp_path / "history.sqlite") as reader:
        rows = reader.rows_since("BTC", 0)
    assert [row.ts_ns for row in rows] == [snapshot.ts_ns for snapshot in snapshots if snapshot.state != "stale"]


@pytest.mark.slow
async def test_a_session_hands_over_to_compiled_kernels_and_replays_so(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("numba") is None:
        pytest.skip("numba is not installed: pip install 'dfmon[fast]'")
    monkeypatch.setattr("dfmon.runtime.live_session.COMPILE_DELAY_S", 0.0)
    record = msgspec.structs.replace(config.record, directory=str(tmp_path / "session"))
    hub, stop, snapshots = SnapshotHub(mode="sim"), asyncio.Event(), list[FlowSnapshot]()
    hub.add_listener(snapshots.append)
    market = msgspec.structs.replace(config.market, tick_s=0.25, compiled=True)
    compiled_config = msgspec.structs.replace(config, record=record, market=market)
    session = composition.live_session(
        compiled_config, "sim", composition.Outputs((), None), composition.StepErrorLog(), hub
    )
    running = asyncio.create_task(session.run(stop))
    await until(lambda: hub.runtime.compiled)
    ticks = len(snapshots)
    await until(lambda: len(snapshots) > ticks + 2 and snapshots[-1].metrics.ngi.value is not None)
    stop.set()
    async with asyncio.timeout(60):
        await running
    replayed: list[FlowSnapshot] = []
    play_through(RecordingSource(tmp_path / "session", None), replayed.append)
    assert [snapshot.digest() for snapshot in replayed] == [snapshot.digest() for snapshot in snapshots]


@pytest.mark.slow
async def test_a_recording_stays_what_it_was_under_another_position_model(config: Config, tmp_path: Path) -> None:
    """The recording's own parameters are used unless others are asked for."""
    with Recorder(tmp_path / "session", about(config, FlowParams(positions="short-all"))) as recorder:
        assert recorder.flush()
    assert RecordingSource(tmp_path / "session", None).params.positions == "short-all"
    assert RecordingSource(tmp_path / "session", {"positions": "naive"}).params.positions == "naive"


@pytest.mark.slow
async def test_stores_that_another_session_writes_are_told_once(config: Config, tmp_path: Path) -> None:
    path, rests_on = tmp_path / "positions.state", priors_digest(FlowParams().priors)
    first = PositionsStateFile(path, "sim", rests_on)
    first.lock()
    histories = [History(tmp_path / "h.db"), History(tmp_path / "h.db")]
    histories[0].append_row("BTC", MetricRow.gap(time.time_ns()))
    histories[0].flush()
    hub, stop = SnapshotHub(mode="sim"), asyncio.Event()
    session = LiveSession(
        ("BTC",), composition.venue_endpoints(config), FlowParams(), hub, raise_error,
        tick_s=0.25, rest_pace_s=0.01, state=PositionsStateFile(path, "sim", rests_on), history=histories[1],
    )  # fmt: skip
    running = asyncio.create_task(session.run(stop))
    history = f"another dfmon writes BTC in {tmp_path / 'h.db'}; this one only reads it"
    positions = f"another dfmon writes the positions in {tmp_path}; this one only reads them"
    await until(lambda: hub.runtime.note == f"{history}; {positions}")
    assert set(hub.runtime.degraded) >= {f"history waiting: {history}", f"positions: {positions}"}
    stop.set()
    async with asyncio.timeout(60):
        await running
    first.close()
    histories[0].close()
    assert (histories[1].ceded > 0, session.losses) == (True, ())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_large_blocks_leave_the_process_when_they_are_freed() -> None:
    """Without it the second block comes from a heap that keeps it."""
    source = """
        from pathlib import Path
        from dfmon.runtime.live_session import limit_malloc_retention
        def resident(): return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
        limit_malloc_retention()
        before = resident()
        for _ in range(3):
            block = bytearray(b"x") * (8 << 20)
            del block
        print(resident() - before)
    """
    completed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, check=True
    )
    assert int(completed.stdout) < 2 << 20
