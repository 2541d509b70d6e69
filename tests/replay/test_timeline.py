"""Going anywhere in a recording: what is shown there, and after it, is bit for bit what a straight replay shows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dfmon.core.step import FlowParams
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.journal import RecordKind
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.replay import RecordingSource, ReplaySession, open_source, play_through, resolve_span
from dfmon.replay.timeline import CheckpointIndex, SeekTarget, Timeline
from dfmon.store import blocks, replayer, segment
from tests import simulated_session

pytestmark = pytest.mark.slow

SECONDS = 60


class Shown(NamedTuple):
    """What is compared of a snapshot; whole ones take megabytes."""

    ts_ns: int
    model: str
    digest: str


class Screen(list[Shown]):
    """What was shown, one after the other."""

    def publish(self, snapshot: FlowSnapshot) -> None:
        self.append(Shown(snapshot.ts_ns, snapshot.positions.model, snapshot.digest()))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of the simulated market, in segments of some seconds."""
    directory = tmp_path_factory.mktemp("session")
    simulated_session.record(directory, SECONDS, step_ns=SECOND, segment_bytes=30_000)
    assert len(list(directory.iterdir())) > 3
    return directory


@pytest.fixture(scope="module")
def straight_snapshots(recording: Path) -> Screen:
    """Every snapshot of a replay from the beginning, one a tick."""
    snapshots = Screen()
    play_through(RecordingSource(recording, None), snapshots.publish)
    assert len(snapshots) == SECONDS
    return snapshots


def seek_to(timeline: Timeline, target: SeekTarget) -> None:
    for _ in timeline.seek(target):
        pass


SEEK_SEQUENCES = st.lists(
    st.one_of(st.integers(1, SECONDS), st.floats(0.0, SECONDS, allow_nan=False), st.just("play")),
    min_size=1,
    max_size=6,
)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(targets=SEEK_SEQUENCES, interval_ticks=st.integers(1, 20), max_checkpoints=st.integers(2, 12))
def test_any_way_shows_what_a_straight_replay_shows(
    recording: Path,
    straight_snapshots: Screen,
    targets: list[int | float | str],
    interval_ticks: int,
    max_checkpoints: int,
) -> None:
    snapshots = Screen()
    timeline = Timeline(
        RecordingSource(recording, None),
        snapshots.publish,
        checkpoints=CheckpointIndex(interval_ticks, max_checkpoints),
    )
    for seek_target in targets:
        snapshots.clear()
        before = timeline.ticks
        if seek_target == "play":
            while timeline.ticks < before + 3 and timeline.peek():
                timeline.step()
            expected = straight_snapshots[before : timeline.ticks]
        elif isinstance(seek_target, int):
            seek_to(timeline, SeekTarget(tick=seek_target))
            expected = straight_snapshots[seek_target - 1 : seek_target]
        else:
            ts_ns = simulated_session.START + round(float(seek_target) * SECOND)
            seek_to(timeline, SeekTarget(ts_ns=ts_ns))
            reached = max(sum(s.ts_ns <= ts_ns for s in straight_snapshots), 1)
            expected = straight_snapshots[reached - 1 : reached]
        assert snapshots == expected
    assert len(timeline.checkpoints) <= max_checkpoints


def test_a_seek_back_starts_at_the_nearest_checkpoint(recording: Path, straight_snapshots: Screen) -> None:
    timeline = Timeline(RecordingSource(recording, None), lambda _: None, checkpoints=CheckpointIndex(10))
    seek_to(timeline, SeekTarget(tick=SECONDS))
    for tick in (55, 41, 12, 3):
        ticks_replayed = sum(1 for _ in timeline.seek(SeekTarget(tick=tick)))
        assert ticks_replayed == tick % 10
        assert timeline.ticks == tick
        assert timeline.now_ns == straight_snapshots[tick - 1].ts_ns


def test_thinning_keeps_checkpoints_all_along(recording: Path) -> None:
    checkpoints = CheckpointIndex(1, 8)
    timeline = Timeline(RecordingSource(recording, None), lambda _: None, checkpoints=checkpoints)
    while timeline.peek():
        timeline.step()
    ticks = [checkpoint.ticks for checkpoint in checkpoints._checkpoints]
    assert ticks == [8, 16, 24, 32, 40, 48, 56]


async def test_while_it_is_paused_the_way_ahead_is_prepared(recording: Path, straight_snapshots: Screen) -> None:
    """Checkpoints all along before anything was shown; a seek far ahead goes on from there and shows the same."""
    hub, stop = SnapshotHub(mode="replay"), asyncio.Event()
    session = ReplaySession(RecordingSource(recording, None), hub, paused=True, prefetch=True)
    prepared = session._timeline.checkpoints
    running = asyncio.create_task(session.run(stop))
    async with asyncio.timeout(60):
        while not prepared.last or prepared.last.ticks < SECONDS // 32 * 32:
            await asyncio.sleep(0.005)
    assert hub.latest("BTC") is None
    ticks_on_the_way = session._timeline.seek(SeekTarget(tick=SECONDS - 5))
    assert sum(1 for _ in ticks_on_the_way) == SECONDS - 5 - 32
    snapshots = hub.latest("BTC")
    assert snapshots is not None
    assert snapshots.digest() == straight_snapshots[SECONDS - 6].digest
    stop.set()
    await running


def test_another_model_shows_the_same_tick_and_stays_after_a_seek(recording: Path) -> None:
    snapshots = Screen()
    timeline = Timeline(RecordingSource(recording, None), snapshots.publish, checkpoints=CheckpointIndex(10))
    seek_to(timeline, SeekTarget(tick=40))
    snapshots.clear()
    for _ in timeline.replay_current_tick("naive"):
        pass
    assert [(s.ts_ns, s.model) for s in snapshots] == [(timeline.now_ns, "naive")]
    assert timeline.ticks == 40
    seek_to(timeline, SeekTarget(tick=15))
    timeline.step()
    assert snapshots[-1].model == "naive"


@pytest.fixture(scope="module")
def two_model_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions; half a minute into each the user took another position model, which is a record."""
    directory = tmp_path_factory.mktemp("changing")
    for _ in range(2):
        simulated_session.record(directory, 36, with_faults=True, step_ns=SECOND)
    return directory


def expected_with(directory: Path, **overrides: str) -> Screen:
    """What the recorded sessions would have shown with other parameters from their beginning to their end."""
    snapshots = Screen()
    driver = RecordingSource(directory, None).driver(snapshots.publish)
    for record in replayer.records(directory):
        if record.kind is RecordKind.SESSION:
            driver = RecordingSource(directory, None).driver(snapshots.publish)
        driver.apply(record)
        driver.params = replace(driver.params, **overrides)
        driver.discard_outgoing()
    return snapshots


@pytest.mark.parametrize(
    "overrides",
    [{}, {"positions": "short-all"}, {"numeraire": "coin"}, {"positions": "flow", "stickiness": "moneyness"}],
    ids=lambda overrides: " ".join(overrides) or "nothing",
)
def test_what_was_asked_for_holds_all_along_and_the_rest_as_recorded(
    two_model_recording: Path, overrides: dict[str, str]
) -> None:
    """Also after seeks from checkpoints; what merely stands in the configuration was not asked for."""
    expected = expected_with(two_model_recording, **overrides)
    models = [shown.model for shown in expected]
    assert set(models) == ({overrides["positions"]} if "positions" in overrides else {"flow", "naive"})
    fields: dict[str, Any] = {"positions": "naive", "warm_coverage": 0.9, **overrides}
    params = FlowParams(**fields)
    source = open_source(two_model_recording, None, params, explicit_options=overrides)
    snapshots = Screen()
    timeline = Timeline(source, snapshots.publish, checkpoints=CheckpointIndex(4))
    while timeline.peek():
        timeline.step()
    assert snapshots == expected
    for tick in (34, 3, 33, 70, 40):
        seek_to(timeline, SeekTarget(tick=tick))
        assert snapshots[-1] == expected[tick - 1]


def test_the_model_that_was_pressed_for_holds_too(two_model_recording: Path) -> None:
    """Over a recorded change of the model, over one that was named at the start, and into the next session."""
    for explicit_options in ({}, {"positions": "naive"}):
        snapshots = Screen()
        timeline = Timeline(
            open_source(two_model_recording, None, FlowParams("naive"), explicit_options=explicit_options),
            snapshots.publish,
        )
        seek_to(timeline, SeekTarget(tick=20))
        for _ in timeline.replay_current_tick("short-all"):
            pass
        while timeline.peek():
            timeline.step()
        assert {shown.model for shown in snapshots[1:]} == {"short-all"}


def test_a_file_of_positions_that_was_asked_for_is_read(two_model_recording: Path, tmp_path: Path) -> None:
    params = FlowParams("file", {"BTC-27NOV26-100000-C": 5.0})
    requested = open_source(two_model_recording, None, params, explicit_options=("positions",))
    recorded = open_source(two_model_recording, None, params)
    assert isinstance(requested, RecordingSource)
    assert isinstance(recorded, RecordingSource)
    assert (requested.params, recorded.params) == (params, FlowParams())


def test_a_part_of_a_recording(recording: Path, straight_snapshots: Screen) -> None:
    source = RecordingSource(recording, None)
    first, last = source.span()
    start, end = resolve_span(source, "+20", "-20")
    clipped = Screen()
    play_through(source, clipped.publish, from_ns=start, until_ns=end)
    assert clipped == [s for s in straight_snapshots if first + 20 * SECOND <= s.ts_ns <= last - 20 * SECOND]
    assert 0 < len(clipped) < len(straight_snapshots)
    timeline = Timeline(source, lambda _: None, end_ns=end)
    seek_to(timeline, SeekTarget(tick=1000))
    assert timeline.now_ns == clipped[-1].ts_ns


def test_bad_times_are_one_sentence(recording: Path) -> None:
    source = RecordingSource(recording, None)
    for start, end, message in (
        ("soon", None, "--from: 'soon' is not a time; allowed: seconds such as"),
        ("+9999", None, r"--from \+9999: 2026-11-22T14:46:.*Z is outside of the recording, 2026-11-22T12:00:00"),
        (None, "2020-01-01", "--until 2020-01-01: 2020-01-01T00:00:00.000Z is outside of"),
        ("+40", "+30", "--from .* is later than --until"),
    ):
        with pytest.raises(UsageError, match=message):
            resolve_span(source, start, end)


def test_two_sessions_of_a_directory_rest_on_nothing_of_each_other(tmp_path: Path) -> None:
    first_session, second_session = Screen(), Screen()
    for name, seconds, screen in (("BTC", 6, first_session), ("ETH", 5, second_session)):
        for snapshot in simulated_session.record(tmp_path, seconds, (name,)):
            screen.publish(snapshot)
    snapshots = Screen()
    play_through(RecordingSource(tmp_path, None), snapshots.publish)
    assert snapshots == first_session + second_session
    timeline = Timeline(RecordingSource(tmp_path, None), snapshots.publish, checkpoints=CheckpointIndex(2))
    for tick, expected in (
        (11, second_session[-1]),
        (3, first_session[2]),
        (9, second_session[2]),
        (7, second_session[0]),
        (6, first_session[-1]),
    ):
        seek_to(timeline, SeekTarget(tick=tick))
        assert snapshots[-1] == expected


def test_a_hole_is_refused_or_passed_over_as_a_lost_connection(recording: Path, tmp_path: Path) -> None:
    """After the hole the feeds begin anew; they are live again with the next data."""
    block_index = blocks.block_index(recording, [])
    for file in recording.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damaged_block = next(block for block in block_index[len(block_index) // 2 :] if block.is_continuation)
    data = bytearray((tmp_path / damaged_block.path.name).read_bytes())
    data[damaged_block.offset + segment.BLOCK_HEADER_BYTES] ^= 1
    (tmp_path / damaged_block.path.name).write_bytes(data)
    snapshots: list[FlowSnapshot] = []
    with pytest.raises(DfmonError, match=r"are missing: the checksum of a block does not match .*--across-gaps"):
        play_through(RecordingSource(tmp_path, None), snapshots.append)
    before = len(snapshots)
    snapshots.clear()
    with pytest.raises(DfmonError, match=r"bytes .* are unreadable"):
        play_through(RecordingSource(tmp_path, None, across_gaps=True), snapshots.append)
    assert SECONDS - 6 <= len(snapshots) < SECONDS
    after = snapshots[before]
    assert {feed.state for feed in snapshots[before - 1].feeds} == {"live"}
    assert [feed for feed in after.feeds if feed.reconnects == 1]
    assert {feed.state for feed in snapshots[-1].feeds if feed.name != "binance.public"} == {"live"}
