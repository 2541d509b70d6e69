"""Live sessions one after the other on one exchange: the second goes on where the first ended, and replays say so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from dfmon.cli.snapshot import live_snapshot
from dfmon.config import Config, options_settings
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import priors_digest
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.journal import RecordKind
from dfmon.model.snapshot import FlowSnapshot
from dfmon.replay import RecordingSource, play_through
from dfmon.runtime import composition
from dfmon.runtime.backfill import BackgroundBackfill
from dfmon.runtime.live_session import LiveSession
from dfmon.runtime.stores import exchange_folder
from dfmon.store import replayer
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import TradeStore
from tests.live_sessions import about, exchange, raise_error, until

pytestmark = pytest.mark.slow
COVERED = 0.999


@pytest.fixture
async def config() -> AsyncIterator[Config]:
    async with exchange(history=0.05, listed=150) as sim_config:
        yield sim_config


async def _run_until_covered(config: Config, folder: Path, name: str) -> tuple[list[FlowSnapshot], Counter[str]]:
    """A session until everything is covered: its snapshots, and how many records of each kind its journal has.

    The count "listed" is that of the options whose history it needs.
    """
    hub, stop, published = SnapshotHub(mode="live"), asyncio.Event(), list[FlowSnapshot]()
    hub.add_listener(published.append)
    store = TradeStore(folder / "trades.sqlite")
    session = LiveSession(
        ("BTC",), composition.venue_endpoints(config), FlowParams(), hub, raise_error,
        tick_s=0.25, rest_pace_s=0.01, recorder=Recorder(folder / name, about(config)),
        backfills={"deribit": BackgroundBackfill(options_settings(config)["deribit"].archive, 200.0, store)},
        trades=store,
        state=PositionsStateFile(folder / "positions.state", "sim", priors_digest(FlowParams().priors)),
    )  # fmt: skip
    running = asyncio.create_task(session.run(stop))
    venue = session._options["deribit"]
    listed_options, complete = venue.options, venue.histories.complete
    await until(lambda: bool(listed_options) and complete >= listed_options.keys())
    await until(lambda: bool(published) and (published[-1].positions.coverage or 0.0) > COVERED)
    stop.set()
    async with asyncio.timeout(60):
        await running
    kinds = Counter({"listed": len(listed_options)})
    for record in replayer.records(folder / name):
        kind = record.decode_rest()[0].partition(":")[0] if record.kind is RecordKind.REST else record.kind.name
        kinds[kind] += 1
    return published, kinds


def _replayed(path: Path) -> list[bytes | str]:
    replayed: list[FlowSnapshot] = []
    play_through(RecordingSource(path, None), replayed.append)
    return [snapshot.digest() for snapshot in replayed]


async def test_a_second_session_needs_no_archive_and_one_without_state_reads_the_store(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, kinds = await _run_until_covered(config, tmp_path, "first")
    assert kinds["life"] >= kinds["listed"] > 100
    assert kinds["STATE"] == 0
    assert first[0].positions.coverage is None or first[0].positions.coverage < 0.5, "it rose"

    second, kinds = await _run_until_covered(config, tmp_path, "second")
    assert kinds["STATE"] == 1
    assert kinds["life"] == 0
    assert kinds["stored"] < 60, "only what came in after the last tick of the first"

    (tmp_path / "positions.state").write_bytes(b"dfmon positions\n and then nothing that makes sense")
    third, kinds = await _run_until_covered(config, tmp_path, "third")
    assert len(list(tmp_path.glob("positions.state.damaged-*"))) == 1
    assert "the stored positions are damaged; moved to positions.state.damaged-" in caplog.text
    assert kinds["stored"] > 0.9 * kinds["listed"]
    assert kinds["life"] < 60, "only what was printed meanwhile"
    for name, published in (("first", first), ("second", second), ("third", third)):
        assert _replayed(tmp_path / name) == [snapshot.digest() for snapshot in published], name


async def test_a_single_snapshot_begins_with_the_positions_a_monitor_left_and_keeps_nothing(
    config: Config, tmp_path: Path
) -> None:
    config = msgspec.structs.replace(
        config, history=msgspec.structs.replace(config.history, enabled=True, path=str(tmp_path / "history.sqlite"))
    )
    hub, stop, published = SnapshotHub(mode="live"), asyncio.Event(), list[FlowSnapshot]()
    hub.add_listener(published.append)
    session = composition.live_session(config, "live", composition.Outputs((), None), raise_error, hub)
    running = asyncio.create_task(session.run(stop))
    await until(lambda: bool(published) and (published[-1].positions.coverage or 0.0) > COVERED)
    stop.set()
    async with asyncio.timeout(60):
        await running
    files_before = {path.name: path.stat().st_mtime_ns for path in exchange_folder(config).iterdir()}
    assert "positions.state" in files_before
    snapshot = await asyncio.to_thread(live_snapshot, config, "BTC", 30.0)
    assert (snapshot.positions.coverage or 0.0) > 0.99, "a print of the last moment may not be read yet"
    assert {path.name: path.stat().st_mtime_ns for path in exchange_folder(config).iterdir()} == files_before
