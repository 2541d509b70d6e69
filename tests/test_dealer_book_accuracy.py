"""What a live session finds against what the simulated exchange knows: its true dealer book, after the backfill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import numpy as np
import pytest

from dfmon.cli import demo
from dfmon.config import Config, options_settings
from dfmon.core.step import FlowParams
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import PositionRow
from dfmon.runtime import composition
from dfmon.runtime.backfill import BackgroundBackfill
from dfmon.runtime.live_session import LiveSession
from dfmon.sim.server import SimConfig, SimServer


@pytest.fixture
async def exchange() -> AsyncIterator[tuple[SimServer, Config]]:
    server = SimServer(SimConfig(currencies=("BTC",), history=0.2))
    addresses = await server.start()
    market = asyncio.create_task(server.wait_stopped())
    base = Config(market=msgspec.structs.replace(Config().market, currencies=("BTC",)))
    yield server, demo.with_sim_addresses(base, addresses)
    market.cancel()
    await asyncio.gather(market, return_exceptions=True)
    await server.stop()


def raise_error(exc: Exception) -> None:
    raise exc


@pytest.mark.slow
async def test_a_session_finds_the_true_dealer_book_as_its_backfill_comes_in(
    exchange: tuple[SimServer, Config],
) -> None:
    server, config = exchange
    hub, stop, snapshots = SnapshotHub(mode="sim"), asyncio.Event(), list[FlowSnapshot]()
    hub.add_listener(snapshots.append)
    session = LiveSession(
        ("BTC",), composition.venue_endpoints(config), FlowParams(), hub, raise_error,
        tick_s=0.25, rest_pace_s=0.01,
        backfills={"deribit": BackgroundBackfill(options_settings(config)["deribit"].archive, 500.0)},
    )  # fmt: skip
    running = asyncio.create_task(session.run(stop))
    truth: dict[str, float] = {}
    async with asyncio.timeout(60):
        while not truth:
            await asyncio.sleep(0.01)
            position_rows = positions_of(snapshots[-1]) if snapshots else ()
            if position_rows and all(row.seen == 1.0 for row in position_rows):
                truth = server.market.true_dealer_positions("BTC")
    last = snapshots[-1]
    rows = [row for row in positions_of(last) if row.open_interest > 0.0 and row.name in truth]
    stop.set()
    async with asyncio.timeout(60):
        await running
    first = next(shot for shot in snapshots if shot.positions.coverage is not None)
    assert (first.positions.coverage or 0.0) < (last.positions.coverage or 0.0) == 1.0
    assert width(positions_of(first)) > width(positions_of(last)), "bands shrink as coverage rises"

    true_positions = np.array([truth[row.name] for row in rows])
    estimates, interest = (np.array([getattr(row, name) for row in rows]) for name in ("net", "open_interest"))
    low, high = (np.array([getattr(row, name) for row in rows]) for name in ("lo", "hi"))
    # a young option is all on one side: the truth lies on open interest itself, which a smooth band only comes near
    tolerance = 0.01 + 0.08 * interest
    sign = np.abs(true_positions[np.sign(estimates) == np.sign(true_positions)]).sum() / np.abs(true_positions).sum()
    covered_share = np.mean((true_positions >= low - tolerance) & (true_positions <= high + tolerance))
    squared_error = np.average(((estimates - true_positions) / interest) ** 2, weights=interest)
    assert sign >= 0.90
    assert 0.75 <= covered_share <= 1.0
    assert np.sqrt(squared_error) <= 0.45, "weighted by open interest: who stood behind a single print is chance"
    assert (np.abs(estimates) <= interest).all()


def positions_of(snapshot: FlowSnapshot) -> tuple[PositionRow, ...]:
    return snapshot.detail.positions if snapshot.detail else ()


def width(rows: tuple[PositionRow, ...]) -> float:
    """Mean width of the bands, of open interest."""
    banded = [(r.lo, r.hi, r.open_interest) for r in rows if r.open_interest > 0.0]
    shares = [(high - low) / interest for low, high, interest in banded if low is not None and high is not None]
    return float(np.mean(shares))
