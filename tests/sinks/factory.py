"""Complete snapshots to publish in tests, and a way to wait for a condition."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing

from msgspec import UNSET

from dfmon.model.flip import Flip
from dfmon.model.positions import Positions
from dfmon.model.scenario import Scenario
from dfmon.model.snapshot import FlowSnapshot, Metric, Metrics, State
from dfmon.model.tables import StrikeRow
from dfmon.model.units import MILLISECOND, iso
from tests.structs import complete

START_NS = 1_769_085_005_047_000_000


def metric(value: float | None, unit: str = "USD/+1%") -> Metric:
    quality = "ok" if value is not None else "absent"
    return complete(Metric, value=value, lo=None, hi=None, unit=unit, quality=quality)


def metrics(ngi: float | None = -12_345_678.25) -> Metrics:
    return complete(Metrics, ngi=metric(ngi), psi=metric(None, ""))


SCENARIO = complete(Scenario, bucket=4, name="FLIP-ZONE", side="sell", overlay="")
FLIP = complete(
    Flip, level=90_500.0, lo=90_000.0, hi=91_000.0, p_none=0.0, distance_usd=734.5, distance_pct=0.8,
    distance_sigma=0.3, searched=(7e4, 11e4),
)  # fmt: skip


def snapshot(
    seq: int = 1, underlying: str = "BTC", *, state: State = "live", scenario: Scenario = SCENARIO, strikes: int = 3
) -> FlowSnapshot:
    ts_ns = START_NS + seq * 250 * MILLISECOND
    return complete(
        FlowSnapshot,
        schema=1,
        seq=seq,
        ts=iso(ts_ns),
        ts_ns=ts_ns,
        state=state,
        underlying=underlying,
        spot=91_234.5,
        positions=complete(Positions, model="flow", coverage=0.93, warming=False),
        metrics=metrics(),
        flip=FLIP,
        scenario=scenario,
        by_strike=tuple(complete(StrikeRow, strike=8e4 + 500.0 * i) for i in range(strikes)),
        rule_alerts=UNSET,
    )


def snapshot_in_scenario(seq: int, bucket: int, name: str) -> FlowSnapshot:
    return snapshot(seq, scenario=complete(Scenario, bucket=bucket, name=name, side="sell", overlay=""))


async def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Lets the loop run until `condition` holds; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


def free_port() -> int:
    """A port that was free a moment ago. The server's own search gives neighbours the same one."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])
