"""Replaying at the pace of a user: pause, steps either way, speed, another position model, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.errors import DfmonError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.replay import BoardSource, RecordingSource, ReplaySession, open_source, play_through, play_to_end
from dfmon.store.boards import report
from dfmon.store.recorder import Recorder
from tests.board_files import SNAPSHOT_HEADER, snapshot_text
from tests.live_sessions import about

DAYS = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """Four boards of one currency, a day apart."""
    rows = snapshot_text().splitlines()[1:]
    lines = [SNAPSHOT_HEADER] + [row.replace("2026-03-02T12", f"{day}T12", 1) for day in DAYS for row in rows]
    path = tmp_path / "boards.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


class ReplayHarness:
    def __init__(self, session: ReplaySession, hub: SnapshotHub) -> None:
        self.session, self.hub = session, hub

    def submit_request(self, kind: str, value: str = "") -> None:
        self.session.submit(Request(kind, value))

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)

    async def day(self, day: str) -> None:
        await self.wait_until(lambda: self.shown_day() == day)

    def shown_day(self) -> str | None:
        snapshot = self.hub.latest("BTC")
        return snapshot.ts[:10] if snapshot else None


@asynccontextmanager
async def play_boards(path: Path, *, speed: float = 1.0, paused: bool = False) -> AsyncIterator[ReplayHarness]:
    hub, stop = SnapshotHub(mode="replay"), asyncio.Event()
    session = ReplaySession(BoardSource(path, ("BTC",), FlowParams(positions="naive")), hub, speed=speed, paused=paused)
    task = asyncio.create_task(session.run(stop))
    harness = ReplayHarness(session, hub)
    await harness.wait_until(lambda: session.is_running)
    try:
        yield harness
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task


def test_a_recording_has_the_name_of_its_run(tmp_path: Path) -> None:
    header = about(Config())
    for name, session in (("named", {"session": "run-7"}), ("older", {})):
        with Recorder(tmp_path / name, header | session) as recorder:
            assert recorder.flush()
    older = {RecordingSource(tmp_path / "older", None).session for _ in range(2)}
    assert RecordingSource(tmp_path / "named", None).session == "run-7"
    assert [len(name) for name in older] == [12]


async def test_it_plays_to_the_end_and_stays_on_the_last_board(boards: Path) -> None:
    async with play_boards(boards, speed=float("inf")) as harness:
        await harness.wait_until(lambda: harness.hub.runtime.finished)
        assert harness.shown_day() == DAYS[-1]


async def test_paused_at_the_start_it_shows_a_board_a_step(boards: Path) -> None:
    async with play_boards(boards, paused=True) as harness:
        for day in DAYS[:3]:
            harness.submit_request("replay.step", "1")
            await harness.day(day)
        assert harness.hub.runtime.paused
        assert not harness.hub.runtime.finished


async def test_a_step_back_shows_the_same_snapshot_as_before(boards: Path) -> None:
    async with play_boards(boards, paused=True) as harness:
        harness.submit_request("replay.step", "1")
        await harness.day(DAYS[0])
        before = harness.hub.latest("BTC")
        harness.submit_request("replay.step", "1")
        await harness.day(DAYS[1])
        harness.submit_request("replay.step", "-1")
        await harness.day(DAYS[0])
        after = harness.hub.latest("BTC")
        assert before is not None
        assert after is not None
        assert after.digest() == before.digest()


async def test_back_from_the_end(boards: Path) -> None:
    async with play_boards(boards, speed=float("inf")) as harness:
        await harness.wait_until(lambda: harness.hub.runtime.finished)
        harness.submit_request("replay.step", "-1")
        await harness.day(DAYS[-2])
        assert harness.hub.runtime.paused
        harness.submit_request("replay.pause")
        await harness.wait_until(lambda: harness.hub.runtime.finished)
        assert harness.shown_day() == DAYS[-1]


async def test_another_position_model_shows_the_same_board_again(boards: Path) -> None:
    async with play_boards(boards, speed=float("inf")) as harness:
        await harness.wait_until(lambda: harness.hub.runtime.finished)
        harness.submit_request("positions", "short-all")

        def shows_short_all() -> bool:
            snapshot = harness.hub.latest("BTC")
            return snapshot is not None and snapshot.positions.model == "short-all" and harness.shown_day() == DAYS[-1]

        await harness.wait_until(shows_short_all)


async def test_speed_changes_on_the_way(boards: Path) -> None:
    async with play_boards(boards, speed=0.001) as harness:
        await harness.day(DAYS[0])
        harness.submit_request("replay.speed", "max")
        await harness.wait_until(lambda: harness.hub.runtime.finished)


def test_every_snapshot_comes_in_order_of_time(boards: Path) -> None:
    days: list[str] = []
    play_through(BoardSource(boards, ("BTC",), FlowParams()), lambda snapshot: days.append(snapshot.ts[:10]))
    assert tuple(days) == DAYS


def test_the_last_board_alone_gives_the_snapshot_that_all_boards_end_with(boards: Path) -> None:
    all_hub, last_hub = SnapshotHub(), SnapshotHub()
    source = BoardSource(boards, ("BTC",), FlowParams(positions="naive"))
    play_through(source, all_hub.publish)
    play_to_end(source, last_hub.publish)
    all_snapshot, last_snapshot = all_hub.latest("BTC"), last_hub.latest("BTC")
    assert all_snapshot is not None
    assert last_snapshot is not None
    assert (all_snapshot.metrics.ngi, all_snapshot.flip, all_snapshot.by_strike, all_snapshot.ts) == (
        last_snapshot.metrics.ngi,
        last_snapshot.flip,
        last_snapshot.by_strike,
        last_snapshot.ts,
    )
    assert last_snapshot.seq == 1


def test_options_that_a_later_board_lacks_are_named(boards: Path) -> None:
    """The last two of four boards lack an option; alone or after the others, the last one says so."""
    lines = boards.read_text().splitlines()
    gone = SNAPSHOT_HEADER.split(",").index("instrument_name")
    name = lines[1].split(",")[gone]
    boards.write_text("\n".join(line for line in lines if name not in line or line[:10] < DAYS[2]) + "\n")
    source, snapshots = BoardSource(boards, ("BTC",), FlowParams(positions="naive")), list[FlowSnapshot]()
    play_through(source, snapshots.append)
    assert "1 unexpired option missing from a later board" in source.description
    play_to_end(source, snapshots.append)
    sentence = f"1 unexpired option that was listed before, missing now: {name}"
    assert [sentence in snapshot.unavailable for snapshot in snapshots] == [False, False, True, True, True]
    assert [snapshot.metrics.ngi.quality for snapshot in snapshots] == ["ok", "ok", "partial", "partial", "partial"]
    explained = list(report.explanation(source.file.findings))
    assert any(line.startswith(f"missing: {name}, from the board of {DAYS[3]}") for line in explained)


def test_what_is_neither_a_recording_nor_a_board_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DfmonError, match=path.name):
        open_source(path, None, FlowParams())


async def test_seeking_by_time(boards: Path) -> None:
    """To a UTC time, and by seconds from the board on screen; beyond either end the end is shown."""
    async with play_boards(boards, paused=True) as harness:
        for value, day in (
            ("2026-03-04", DAYS[1]),
            ("2026-03-04T12:30:00Z", DAYS[2]),
            ("-86400", DAYS[1]),
            ("+172800", DAYS[3]),
            ("-999999999", DAYS[0]),
            ("+999999999", DAYS[3]),
            ("2026-03-03T14:00:00+01:00", DAYS[1]),
        ):
            harness.submit_request("replay.seek", value)
            await harness.day(day)
        assert harness.hub.runtime.replay_position == pytest.approx(1 / 3, abs=0.02)


async def test_a_time_that_is_none_is_said_and_changes_nothing(boards: Path) -> None:
    async with play_boards(boards, paused=True) as harness:
        harness.submit_request("replay.step", "1")
        await harness.day(DAYS[0])
        for value in ("tomorrow", "", "+", "-x", "2026-13-01", "+1e99", "+nan"):
            harness.submit_request("replay.seek", value)
            await harness.wait_until(lambda: "is not a time" in harness.hub.runtime.note)
            harness.submit_request("replay.speed", "1")
            await harness.wait_until(lambda: not harness.hub.runtime.note)
        assert harness.shown_day() == DAYS[0]


async def test_steps_in_a_row_are_as_many_steps(boards: Path) -> None:
    async with play_boards(boards, paused=True) as harness:
        for _ in range(3):
            harness.submit_request("replay.step", "1")
        await harness.day(DAYS[2])
        for _ in range(2):
            harness.submit_request("replay.step", "-1")
        await harness.day(DAYS[0])
