"""Going anywhere in a recording: what is shown there, and after it, is bit for bit what a straight replay shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
from dfmon.replay import Recording, ReplaySession, open_source, play_through, span_of
from dfmon.replay.timeline import Checkpoints, Goal, Timeline
from dfmon.store import blocks, replayer, segment
from tests import simulated_session

SECONDS = 60


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of the simulated market, in segments of some seconds."""
    directory = tmp_path_factory.mktemp("session")
    simulated_session.record(directory, SECONDS, segment_bytes=100_000)
    assert len(list(directory.iterdir())) > 3
    return directory


@pytest.fixture(scope="module")
def straight(recording: Path) -> list[FlowSnapshot]:
    """Every snapshot of a replay from the beginning, one a tick."""
    shown: list[FlowSnapshot] = []
    play_through(Recording(recording, None), shown.append)
    assert len(shown) == SECONDS
    return shown


def go(timeline: Timeline, goal: Goal) -> None:
    for _ in timeline.towards(goal):
        pass


def digests(shown: list[FlowSnapshot]) -> list[str]:
    return [snapshot.digest() for snapshot in shown]


WAYS = st.lists(
    st.one_of(st.integers(1, SECONDS), st.floats(0.0, SECONDS, allow_nan=False), st.just("play")),
    min_size=1,
    max_size=6,
)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(ways=WAYS, every=st.integers(1, 20), most=st.integers(2, 12))
def test_any_way_shows_what_a_straight_replay_shows(
    recording: Path, straight: list[FlowSnapshot], ways: list[int | float | str], every: int, most: int
) -> None:
    shown: list[FlowSnapshot] = []
    timeline = Timeline(Recording(recording, None), shown.append, checkpoints=Checkpoints(every, most))
    for way in ways:
        shown.clear()
        before = timeline.ticks
        if way == "play":
            while timeline.ticks < before + 3 and timeline.peek():
                timeline.step()
            expected = straight[before : timeline.ticks]
        elif isinstance(way, int):
            go(timeline, Goal(tick=way))
            expected = straight[way - 1 : way]
        else:
            ts_ns = simulated_session.START + round(float(way) * SECOND)
            go(timeline, Goal(ts_ns=ts_ns))
            reached = max(sum(s.ts_ns <= ts_ns for s in straight), 1)
            expected = straight[reached - 1 : reached]
        assert digests(shown) == digests(expected)
    assert len(timeline.checkpoints) <= most


def test_a_seek_back_starts_at_the_nearest_checkpoint(recording: Path, straight: list[FlowSnapshot]) -> None:
    timeline = Timeline(Recording(recording, None), lambda _: None, checkpoints=Checkpoints(10))
    go(timeline, Goal(tick=SECONDS))
    for tick in (55, 41, 12, 3):
        on_the_way = sum(1 for _ in timeline.towards(Goal(tick=tick)))
        assert on_the_way == tick % 10
        assert timeline.ticks == tick
        assert timeline.now_ns == straight[tick - 1].ts_ns


def test_thinning_keeps_checkpoints_all_along(recording: Path) -> None:
    kept = Checkpoints(1, 8)
    timeline = Timeline(Recording(recording, None), lambda _: None, checkpoints=kept)
    while timeline.peek():
        timeline.step()
    ticks = [checkpoint.ticks for checkpoint in kept._kept]
    assert ticks == [8, 16, 24, 32, 40, 48, 56]


async def test_while_it_is_paused_the_way_ahead_is_prepared(recording: Path, straight: list[FlowSnapshot]) -> None:
    """Checkpoints all along before anything was shown; a seek far ahead goes on from there and shows the same."""
    hub, stop = SnapshotHub(mode="replay"), asyncio.Event()
    session = ReplaySession(Recording(recording, None), hub, paused=True, scouting=True)
    kept = session._timeline.checkpoints
    running = asyncio.create_task(session.run(stop))
    async with asyncio.timeout(60):
        while not kept.last or kept.last.ticks < SECONDS // 32 * 32:
            await asyncio.sleep(0.005)
    assert hub.latest("BTC") is None
    way = session._timeline.towards(Goal(tick=SECONDS - 5))
    assert sum(1 for _ in way) == SECONDS - 5 - 32
    shown = hub.latest("BTC")
    assert shown is not None
    assert shown.digest() == straight[SECONDS - 6].digest()
    stop.set()
    await running


def test_another_model_shows_the_same_tick_and_stays_after_a_seek(recording: Path) -> None:
    shown: list[FlowSnapshot] = []
    timeline = Timeline(Recording(recording, None), shown.append, checkpoints=Checkpoints(10))
    go(timeline, Goal(tick=40))
    shown.clear()
    for _ in timeline.again("naive"):
        pass
    assert [(s.ts_ns, s.positions.model) for s in shown] == [(timeline.now_ns, "naive")]
    assert timeline.ticks == 40
    go(timeline, Goal(tick=15))
    timeline.step()
    assert shown[-1].positions.model == "naive"


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions; half a minute into each the user took another position model, which is a record."""
    directory = tmp_path_factory.mktemp("changing")
    for _ in range(2):
        simulated_session.record(directory, 36, eventful=True)
    return directory


def recorded_but(directory: Path, **chosen: str) -> list[FlowSnapshot]:
    """What the recorded sessions would have shown with other parameters from their beginning to their end."""
    shown: list[FlowSnapshot] = []
    driver = Recording(directory, None).driver(shown.append)
    for record in replayer.records(directory):
        if record.kind is RecordKind.SESSION:
            driver = Recording(directory, None).driver(shown.append)
        driver.apply(record)
        driver.params = replace(driver.params, **chosen)
        driver.hush()
    return shown


@pytest.mark.parametrize(
    "chosen",
    [{}, {"positions": "short-all"}, {"numeraire": "coin"}, {"positions": "flow", "stickiness": "moneyness"}],
    ids=lambda chosen: " ".join(chosen) or "nothing",
)
def test_what_was_asked_for_holds_all_along_and_the_rest_as_recorded(changing: Path, chosen: dict[str, str]) -> None:
    """Also after seeks from checkpoints; what merely stands in the configuration was not asked for."""
    expected = recorded_but(changing, **chosen)
    models = [snapshot.positions.model for snapshot in expected]
    assert set(models) == ({chosen["positions"]} if "positions" in chosen else {"flow", "naive"})
    params = FlowParams(**{"positions": "naive", "warm_coverage": 0.9} | chosen)  # type: ignore[arg-type]
    source = open_source(changing, None, params, named=chosen)
    shown: list[FlowSnapshot] = []
    play_through(source, shown.append)
    assert digests(shown) == digests(expected)
    timeline = Timeline(source, shown.append, checkpoints=Checkpoints(4))
    for tick in (len(shown), 34, 3, 33, 70, 40):
        go(timeline, Goal(tick=tick))
        assert shown[-1].digest() == expected[tick - 1].digest()


def test_the_model_that_was_pressed_for_holds_too(changing: Path) -> None:
    """Over a recorded change of the model, over one that was named at the start, and into the next session."""
    for named in ({}, {"positions": "naive"}):
        shown: list[FlowSnapshot] = []
        timeline = Timeline(open_source(changing, None, FlowParams("naive"), named=named), shown.append)
        go(timeline, Goal(tick=20))
        for _ in timeline.again("short-all"):
            pass
        while timeline.peek():
            timeline.step()
        assert {snapshot.positions.model for snapshot in shown[1:]} == {"short-all"}


def test_a_file_of_positions_that_was_asked_for_is_read(changing: Path, tmp_path: Path) -> None:
    params = FlowParams("file", {"BTC-27NOV26-100000-C": 5.0})
    assert open_source(changing, None, params, named=("positions",)).params == params
    assert open_source(changing, None, params).params == FlowParams()


def test_a_part_of_a_recording(recording: Path, straight: list[FlowSnapshot]) -> None:
    source = Recording(recording, None)
    first, last = source.span()
    start, end = span_of(source, "+20", "-20")
    part: list[FlowSnapshot] = []
    play_through(source, part.append, from_ns=start, until_ns=end)
    assert digests(part) == digests([s for s in straight if first + 20 * SECOND <= s.ts_ns <= last - 20 * SECOND])
    assert 0 < len(part) < len(straight)
    timeline = Timeline(source, lambda _: None, end_ns=end)
    go(timeline, Goal(tick=1000))
    assert timeline.now_ns == part[-1].ts_ns


def test_bad_times_are_one_sentence(recording: Path) -> None:
    source = Recording(recording, None)
    for start, end, says in (
        ("soon", None, "--from: 'soon' is no time: seconds such as"),
        ("+9999", None, r"--from \+9999: 2026-11-22T14:46:.*Z is outside of what is recorded, 2026-11-22T12:00:00"),
        (None, "2020-01-01", "--until 2020-01-01: 2020-01-01T00:00:00.000Z is outside of"),
        ("+40", "+30", "--from .* is later than --until"),
    ):
        with pytest.raises(UsageError, match=says):
            span_of(source, start, end)


def test_two_sessions_of_a_directory_rest_on_nothing_of_each_other(tmp_path: Path) -> None:
    one = simulated_session.record(tmp_path, 6, ("BTC",))
    two = simulated_session.record(tmp_path, 5, ("ETH",))
    shown: list[FlowSnapshot] = []
    play_through(Recording(tmp_path, None), shown.append)
    assert digests(shown) == digests(one + two)
    timeline = Timeline(Recording(tmp_path, None), shown.append, checkpoints=Checkpoints(2))
    for tick, expected in ((11, two[-1]), (3, one[2]), (9, two[2]), (7, two[0]), (6, one[-1])):
        go(timeline, Goal(tick=tick))
        assert shown[-1].digest() == expected.digest()


def test_a_hole_is_refused_or_passed_over_as_a_lost_connection(recording: Path, tmp_path: Path) -> None:
    """After the hole the feeds begin anew; they are live again with the next data."""
    index = blocks.index(recording, [])
    for file in recording.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    hole = next(block for block in index[len(index) // 2 :] if block.later)
    data = bytearray((tmp_path / hole.path.name).read_bytes())
    data[hole.at + segment.BLOCK_HEAD] ^= 1
    (tmp_path / hole.path.name).write_bytes(data)
    shown: list[FlowSnapshot] = []
    with pytest.raises(DfmonError, match=r"are missing: the checksum of a block does not hold .*\(--across-gaps\)"):
        play_through(Recording(tmp_path, None), shown.append)
    before = len(shown)
    shown.clear()
    with pytest.raises(DfmonError, match=r"bytes .* are unreadable"):
        play_through(Recording(tmp_path, None, across_gaps=True), shown.append)
    assert SECONDS - 6 <= len(shown) < SECONDS
    after = shown[before]
    assert {feed.state for feed in shown[before - 1].feeds} == {"live"}
    assert [feed for feed in after.feeds if feed.reconnects == 1]
    assert {feed.state for feed in shown[-1].feeds if feed.name != "binance.public"} == {"live"}
