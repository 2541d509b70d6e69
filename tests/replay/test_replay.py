"""Replaying at the pace of a user: pause, steps either way, speed, another position model, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dfmon.core.step import FlowParams
from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.errors import DfmonError
from dfmon.replay import Boards, ReplaySession, open_source, play_through, play_to_end
from tests.small_board import SNAPSHOT_HEADER, snapshot_text

DAYS = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """Four boards of one currency, a day apart."""
    rows = snapshot_text().splitlines()[1:]
    lines = [SNAPSHOT_HEADER] + [row.replace("2026-03-02T12", f"{day}T12", 1) for day in DAYS for row in rows]
    path = tmp_path / "boards.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


class Player:
    def __init__(self, session: ReplaySession, hub: SnapshotHub) -> None:
        self.session, self.hub = session, hub

    def ask(self, kind: str, value: str = "") -> None:
        self.session.wish(Request(kind, value))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)

    async def day(self, day: str) -> None:
        await self.until(lambda: self.shown() == day)

    def shown(self) -> str | None:
        snapshot = self.hub.latest("BTC")
        return snapshot.ts[:10] if snapshot else None


@asynccontextmanager
async def playing(path: Path, *, speed: float = 1.0, paused: bool = False) -> AsyncIterator[Player]:
    hub, stop = SnapshotHub(mode="replay"), asyncio.Event()
    session = ReplaySession(Boards(path, ("BTC",), FlowParams(positions="naive")), hub, speed=speed, paused=paused)
    task = asyncio.create_task(session.run(stop))
    player = Player(session, hub)
    await player.until(lambda: session.is_running)
    try:
        yield player
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


async def test_it_plays_to_the_end_and_stays_on_the_last_board(boards: Path) -> None:
    async with playing(boards, speed=float("inf")) as player:
        await player.until(lambda: player.hub.runtime.finished)
        assert player.shown() == DAYS[-1]


async def test_paused_at_the_start_it_shows_a_board_a_step(boards: Path) -> None:
    async with playing(boards, paused=True) as player:
        for day in DAYS[:3]:
            player.ask("replay.step", "1")
            await player.day(day)
        assert player.hub.runtime.paused
        assert not player.hub.runtime.finished


async def test_a_step_back_shows_the_same_snapshot_as_before(boards: Path) -> None:
    async with playing(boards, paused=True) as player:
        player.ask("replay.step", "1")
        await player.day(DAYS[0])
        before = player.hub.latest("BTC")
        player.ask("replay.step", "1")
        await player.day(DAYS[1])
        player.ask("replay.step", "-1")
        await player.day(DAYS[0])
        assert player.hub.latest("BTC") == before


async def test_back_from_the_end(boards: Path) -> None:
    async with playing(boards, speed=float("inf")) as player:
        await player.until(lambda: player.hub.runtime.finished)
        player.ask("replay.step", "-1")
        await player.day(DAYS[-2])
        assert player.hub.runtime.paused
        player.ask("replay.pause")
        await player.until(lambda: player.hub.runtime.finished)
        assert player.shown() == DAYS[-1]


async def test_another_position_model_shows_the_same_board_again(boards: Path) -> None:
    async with playing(boards, speed=float("inf")) as player:
        await player.until(lambda: player.hub.runtime.finished)
        player.ask("positions", "short-all")

        def repainted() -> bool:
            snapshot = player.hub.latest("BTC")
            return snapshot is not None and snapshot.positions.model == "short-all" and player.shown() == DAYS[-1]

        await player.until(repainted)


async def test_speed_changes_on_the_way(boards: Path) -> None:
    async with playing(boards, speed=0.001) as player:
        await player.day(DAYS[0])
        player.ask("replay.speed", "max")
        await player.until(lambda: player.hub.runtime.finished)


def test_every_snapshot_comes_in_order_of_time(boards: Path) -> None:
    seen: list[str] = []
    play_through(Boards(boards, ("BTC",), FlowParams()), lambda snapshot: seen.append(snapshot.ts[:10]))
    assert tuple(seen) == DAYS


def test_the_last_board_alone_gives_the_snapshot_that_all_boards_end_with(boards: Path) -> None:
    every, last = SnapshotHub(), SnapshotHub()
    source = Boards(boards, ("BTC",), FlowParams(positions="naive"))
    play_through(source, every.publish)
    play_to_end(source, last.publish)
    one, other = every.latest("BTC"), last.latest("BTC")
    assert one is not None
    assert other is not None
    assert (one.metrics.ngi, one.flip, one.by_strike, one.ts) == (
        other.metrics.ngi,
        other.flip,
        other.by_strike,
        other.ts,
    )
    assert other.seq == 1


def test_what_is_neither_a_recording_nor_a_board_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DfmonError, match=str(path)):
        open_source(path, None, FlowParams())


async def test_seeking_by_time(boards: Path) -> None:
    """To a UTC time, and by seconds from the board on screen; beyond either end the end is shown."""
    async with playing(boards, paused=True) as player:
        for value, day in (
            ("2026-03-04", DAYS[1]),
            ("2026-03-04T12:30:00Z", DAYS[2]),
            ("-86400", DAYS[1]),
            ("+172800", DAYS[3]),
            ("-999999999", DAYS[0]),
            ("+999999999", DAYS[3]),
            ("2026-03-03T14:00:00+01:00", DAYS[1]),
        ):
            player.ask("replay.seek", value)
            await player.day(day)
        assert player.hub.runtime.replay_position == pytest.approx(1 / 3, abs=0.02)


async def test_a_time_that_is_none_is_said_and_changes_nothing(boards: Path) -> None:
    async with playing(boards, paused=True) as player:
        player.ask("replay.step", "1")
        await player.day(DAYS[0])
        for value in ("tomorrow", "", "+", "-x", "2026-13-01", "+1e99", "+nan"):
            player.ask("replay.seek", value)
            await player.until(lambda: "is no time" in player.hub.runtime.note)
            player.ask("replay.speed", "1")
            await player.until(lambda: not player.hub.runtime.note)
        assert player.shown() == DAYS[0]


async def test_steps_in_a_row_are_as_many_steps(boards: Path) -> None:
    async with playing(boards, paused=True) as player:
        for _ in range(3):
            player.ask("replay.step", "1")
        await player.day(DAYS[2])
        for _ in range(2):
            player.ask("replay.step", "-1")
        await player.day(DAYS[0])
