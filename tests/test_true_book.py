"""What a live session finds against what the simulated exchange knows: its true dealer book, after the backfill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import numpy as np
import pytest

from dfmon.cli import demo
from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, PositionRow
from dfmon.runtime import composition
from dfmon.runtime.backfill import Background
from dfmon.runtime.live_session import LiveSession
from dfmon.sim.server import SimConfig, SimServer


@pytest.fixture
async def exchange() -> AsyncIterator[tuple[SimServer, Config]]:
    server = SimServer(SimConfig(currencies=("BTC",), history=0.2))
    addresses = await server.start()
    market = asyncio.create_task(server.run())
    base = Config(market=msgspec.structs.replace(Config().market, currencies=("BTC",)))
    yield server, demo.pointed_at(base, addresses)
    market.cancel()
    await asyncio.gather(market, return_exceptions=True)
    await server.stop()


def raised(exc: Exception) -> None:
    raise exc


async def test_a_session_finds_the_true_dealer_book_as_its_backfill_comes_in(
    exchange: tuple[SimServer, Config],
) -> None:
    server, config = exchange
    hub, stop, seen = SnapshotHub(mode="sim"), asyncio.Event(), list[FlowSnapshot]()
    hub.listen(seen.append)
    session = LiveSession(
        ("BTC",), composition.venue_endpoints(config), FlowParams(), hub, raised,
        tick_s=0.25, rest_pace_s=0.01, backfill=Background(config.deribit.archive, 500.0),
    )  # fmt: skip
    running = asyncio.create_task(session.run(stop))
    truth: dict[str, float] = {}
    async with asyncio.timeout(60):
        while not truth:
            await asyncio.sleep(0.01)
            held_rows = positions_of(seen[-1]) if seen else ()
            if held_rows and all(row.seen == 1.0 for row in held_rows):
                truth = server.market.dealer_positions("BTC")
    last = seen[-1]
    rows = [row for row in positions_of(last) if row.open_interest > 0.0 and row.name in truth]
    stop.set()
    async with asyncio.timeout(20):
        await running
    first = next(shot for shot in seen if shot.positions.coverage is not None)
    assert first.positions.coverage < last.positions.coverage == 1.0
    assert width(positions_of(first)) > width(positions_of(last)), "bands shrink as coverage rises"

    true = np.array([truth[row.name] for row in rows])
    found, interest = (np.array([getattr(row, name) for row in rows]) for name in ("net", "open_interest"))
    low, high = (np.array([getattr(row, name) for row in rows]) for name in ("lo", "hi"))
    grain = 0.01 + 1e-6 * interest
    sign = np.abs(true[np.sign(found) == np.sign(true)]).sum() / np.abs(true).sum()
    held = np.mean((true >= low - grain) & (true <= high + grain))
    wrong = np.average(((found - true) / interest) ** 2, weights=interest)
    assert sign >= 0.90
    assert 0.75 <= held <= 1.0
    assert np.sqrt(wrong) <= 0.45, "weighted by open interest: who stood behind a single print is chance"
    assert (np.abs(found) <= interest).all()


def positions_of(snapshot: FlowSnapshot) -> tuple[PositionRow, ...]:
    return snapshot.detail.positions if snapshot.detail else ()


def width(rows: tuple[PositionRow, ...]) -> float:
    """Mean width of the bands, of open interest."""
    shares = [(r.hi - r.lo) / r.open_interest for r in rows if r.open_interest > 0.0 and r.lo is not None]
    return float(np.mean(shares))
