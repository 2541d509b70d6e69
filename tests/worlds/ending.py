"""What must hold at the end of a world: the state is that of a program that has just begun, and all accounts agree."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from dfmon.engine.driver import Driver
from dfmon.model.snapshot import to_json
from dfmon.model.units import MILLISECOND
from dfmon.replay import RecordingSource, play_through
from dfmon.store.history import HistoryReader
from dfmon.store.history_file import HistoryError
from dfmon.venues.spec import Address
from dfmon.venues.transport.websockets import open_websockets
from tests.fault.paired_sessions import Client, known_state
from tests.worlds.session import SessionRun, digest

if TYPE_CHECKING:
    from tests.worlds.world import World

EQUAL_WITHIN_S: Final = 240.0
_FRESH_START_S: Final = 45.0
_POLL_S: Final = 5.0
_RECENT_MS: Final = 30_000  # prints that may still be on their way to the store
_REPLAYED_SHARE: Final = 4  # one world in so many is replayed in full


async def check_end(world: World) -> None:
    """Compares with a client that starts now, on a market that stands still."""
    addresses = {source: Address(address.ws, address.rest) for source, address in world.addresses.items()}
    fresh = Client(world.server, addresses, world.wall_ns, open_websockets, world.loop.time)
    task = asyncio.create_task(fresh.run())
    await asyncio.sleep(_FRESH_START_S)
    world.quiet_since_s = float("inf")  # a market that stands still is a fault too
    world.server.faults.frozen = True
    different = ["nothing was compared"]
    start_s = world.loop.time()
    while different and world.loop.time() - start_s < EQUAL_WITHIN_S:
        await asyncio.sleep(_POLL_S)
        if world.run.process.alive and world.run.newest is not None:
            different = _differences(fresh.driver, world.run.driver, world.wall_ns())
    if different:
        world.fail(f"after {EQUAL_WITHIN_S:.0f} s another state than that of a new client: {', '.join(different[:5])}")
    fresh.stop()
    await task


def _differences(fresh: Driver, tested: Driver, at_ns: int) -> list[str]:
    one, other = (_known(driver, at_ns) for driver in (fresh, tested))
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _known(driver: Driver, at_ns: int) -> dict[str, Any]:
    """What a driver knows, read off a copy: freezing takes the prints of the next tick."""
    chains, markets = copy.deepcopy((driver._chains, driver._markets))
    return known_state(chains.freeze("BTC", at_ns), markets, at_ns)


def check_stores(world: World) -> None:
    """After the program has stopped: recordings, history, prints and Redis against what was published."""
    run = world.run
    _check_history(world, run)
    _check_redis(world)
    _check_prints(world, run)
    if world.plan.seed % _REPLAYED_SHARE == 0:
        _check_recording(world, run)


def _check_history(world: World, run: SessionRun) -> None:
    if run.history.dropped or run.recorder.failure:
        return
    try:
        with closing(HistoryReader(run.folder / "history.sqlite")) as reader:
            rows = reader.rows_since("BTC", 0)
    except HistoryError as exc:
        world.fail(f"the history cannot be read: {exc}")
        return
    times = Counter(row.ts_ns for row in rows)
    if repeated := [ts for ts, n in times.items() if n > 1]:
        world.fail(f"the history has {len(repeated)} times twice")
    if not world.disk_failed and not world.clock_changed and (lost := run.history_times - times.keys()):
        world.fail(f"{len(lost)} snapshots of {len(run.history_times)} are not in the history")


def _check_redis(world: World) -> None:
    """Redis has what the sink counts as delivered, and every entry is delivered, conflated, lost or waits."""
    for run in world.runs:
        if not run.process.alive:
            continue
        counts = run.redis.counts()
        if counts.snapshots != counts.snapshots_delivered + counts.snapshots_conflated + counts.snapshots_waiting:
            world.fail(f"the snapshots for Redis do not add up: {counts}")
        if counts.events != counts.events_delivered + counts.events_waiting + counts.events_lost:
            world.fail(f"the events for Redis do not add up: {counts}")
        arrived = sum(kind == "stream" and session == run.redis.session for kind, session, _ in world.redis.entries)
        if arrived < counts.snapshots_delivered:
            world.fail(f"Redis has {arrived} snapshots of {counts.snapshots_delivered} delivered ones")


def _check_prints(world: World, run: SessionRun) -> None:
    """The store has the prints of the exchange's own tape, each once."""
    if run.trades.dropped or run.trades.notice or world.disk_failed:
        return
    market = world.server.market.currencies["BTC"]
    until_ms = world.server.market.now_ns // MILLISECOND - _RECENT_MS
    stored = _stored_prints(run)
    if stored is None:
        return
    listed = set(market.board.names)
    tape = {
        (trade.name, trade.seq)
        for trade in market.trade_log.trades_between(world.server.market.start_ns // MILLISECOND, until_ms)
        if trade.name in listed
    }
    if missing := sorted(tape - stored.keys()):
        world.fail(f"{len(missing)} prints of {len(tape)} are not stored, {missing[0]} among them")
    if twice := [key for key, n in stored.items() if n > 1]:
        world.fail(f"{len(twice)} prints are stored twice")


def _stored_prints(run: SessionRun) -> Counter[tuple[str, int]] | None:
    import sqlite3

    try:
        with closing(sqlite3.connect(run.folder / "trades.sqlite")) as db:
            query = "SELECT name, seq FROM prints JOIN options ON id = option"
            return Counter((str(name), int(seq)) for name, seq in db.execute(query))
    except sqlite3.Error:
        return None


def _check_recording(world: World, run: SessionRun) -> None:
    """What was published is replayed to the same bytes, as far as nothing is missing in the recording."""
    if run.recorder.dropped or run.recorder.failure:
        return
    replayed: list[str] = []

    def compare(snapshot: Any) -> None:
        replayed.append(digest(snapshot, to_json(snapshot, "live")))

    play_through(RecordingSource(run.recording, None), compare)
    if replayed != run.digests:
        first = next((n for n, pair in enumerate(zip(replayed, run.digests)) if pair[0] != pair[1]), -1)
        world.fail(f"the replay has {len(replayed)} snapshots of {len(run.digests)}, the first that differs is {first}")
