"""Live sessions one after the other on one exchange: the second goes on where the first ended, and replays say so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from dfmon.cli.snapshot import live
from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import priors_of
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.journal import RecordKind
from dfmon.model.snapshot import FlowSnapshot
from dfmon.replay import Recording, play_through
from dfmon.runtime import composition
from dfmon.runtime.backfill import Background
from dfmon.runtime.live_session import LiveSession
from dfmon.runtime.stores import market_folder
from dfmon.store import replayer
from dfmon.store.positions_state import StateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import TradeStore
from tests.live_sessions import about, exchange, raised, until

pytestmark = pytest.mark.slow
COVERED = 0.999


@pytest.fixture
async def config() -> AsyncIterator[Config]:
    async with exchange(history=0.05) as pointed:
        yield pointed


async def _watch(config: Config, folder: Path, name: str) -> tuple[list[FlowSnapshot], Counter[str]]:
    """A session until everything is covered: its snapshots, and how many records of each kind its journal has."""
    hub, stop, seen = SnapshotHub(mode="live"), asyncio.Event(), list[FlowSnapshot]()
    hub.listen(seen.append)
    store = TradeStore(folder / "trades.sqlite")
    session = LiveSession(
        ("BTC",), composition.venue_endpoints(config), FlowParams(), hub, raised,
        tick_s=0.25, rest_pace_s=0.01, recorder=Recorder(folder / name, about(config)),
        backfill=Background(config.deribit.archive, 200.0, store), trades=store,
        state=StateFile(folder / "positions.state", "sim", priors_of(FlowParams().priors)),
    )  # fmt: skip
    running = asyncio.create_task(session.run(stop))
    assert session._options is not None
    listed, whole = session._options.listings.options, session._options.lives.whole
    await until(lambda: bool(listed) and whole >= listed.keys())
    await until(lambda: (seen[-1].positions.coverage or 0.0) > COVERED)
    stop.set()
    async with asyncio.timeout(20):
        await running
    kinds: Counter[str] = Counter()
    for record in replayer.records(folder / name):
        kind = record.rest()[0].partition(":")[0] if record.kind is RecordKind.REST else record.kind.name
        kinds[kind] += 1
    return seen, kinds


def _replayed(path: Path) -> list[bytes | str]:
    again: list[FlowSnapshot] = []
    play_through(Recording(path, None), again.append)
    return [snapshot.digest() for snapshot in again]


async def test_a_second_session_needs_no_archive_and_one_without_state_reads_the_store(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, kinds = await _watch(config, tmp_path, "first")
    assert kinds["life"] > 600
    assert kinds["STATE"] == 0
    assert first[0].positions.coverage is None or first[0].positions.coverage < 0.5, "it rose"

    second, kinds = await _watch(config, tmp_path, "second")
    assert kinds["STATE"] == 1
    assert kinds["life"] == 0
    assert kinds["stored"] < 60, "only what came in after the last tick of the first"

    (tmp_path / "positions.state").write_bytes(b"dfmon positions\n and then nothing that makes sense")
    third, kinds = await _watch(config, tmp_path, "third")
    assert (tmp_path / "positions.unused").exists()
    assert "the stored positions are damaged; moved to positions.unused, positions begin anew" in caplog.text
    assert kinds["stored"] > 600
    assert kinds["life"] < 60, "only what was printed meanwhile"
    for name, seen in (("first", first), ("second", second), ("third", third)):
        assert _replayed(tmp_path / name) == [snapshot.digest() for snapshot in seen], name


async def test_a_single_snapshot_begins_with_the_positions_a_monitor_left_and_keeps_nothing(
    config: Config, tmp_path: Path
) -> None:
    config = msgspec.structs.replace(
        config, history=msgspec.structs.replace(config.history, enabled=True, path=str(tmp_path / "history.sqlite"))
    )
    hub, stop, seen = SnapshotHub(mode="live"), asyncio.Event(), list[FlowSnapshot]()
    hub.listen(seen.append)
    session = composition.live_session(config, "live", composition.Outputs((), None), raised, hub)
    running = asyncio.create_task(session.run(stop))
    await until(lambda: bool(seen) and (seen[-1].positions.coverage or 0.0) > COVERED)
    stop.set()
    async with asyncio.timeout(20):
        await running
    left = {path.name: path.stat().st_mtime_ns for path in market_folder(config).iterdir()}
    assert "positions.state" in left
    snapshot = await asyncio.to_thread(live, config, "BTC", 30.0)
    assert (snapshot.positions.coverage or 0.0) > COVERED
    assert {path.name: path.stat().st_mtime_ns for path in market_folder(config).iterdir()} == left
