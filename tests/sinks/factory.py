"""A small, complete FlowSnapshot to publish in tests, and a way to wait for a condition."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing

import msgspec

from dfmon.model.snapshot import (
    Context,
    Detail,
    ExpiryRow,
    Feed,
    Flip,
    FlipRoot,
    FlowSnapshot,
    HeatMap,
    HedgeFlow,
    Hpp,
    Levels,
    Liquidity,
    Metric,
    Metrics,
    Positions,
    Profile,
    Scenario,
    State,
    StrikeRow,
)
from dfmon.model.units import MILLISECOND, iso

START_NS = 1_769_085_005_047_000_000


def metric(value: float | None, unit: str = "USD/+1%") -> Metric:
    return Metric(value, None, None, unit, "+ damps", "ok" if value is not None else "absent", 0.5)


def metrics(ngi: float | None = -12_345_678.25) -> Metrics:
    return Metrics(
        ngi=metric(ngi),
        vss=metric(123_456.5, "USD/vol point"),
        chl=metric(-23_456.75, "USD/24h"),
        volg=metric(345.5),
        hpp=Hpp(1.5, None, None, "USD", "+ dealers sell", "ok", 0.5, 1.0, 1.0, calibrated=False, ds_sign=1),
        psi=metric(None, ""),
        hedge_flow=HedgeFlow(4.5, None, None, "USD", "+ dealers buy", "ok", 0.5, 1.0, 2.0, 1.5, 0.0),
        unwind=metric(5.0),
        vega=metric(6.0),
        theta=metric(-7.0),
    )


DETAIL = Detail(
    HeatMap((90_000.0,), ("2JAN26",), *([((1.0,),)] * 6)),
    Profile((90_000.0, 91_000.0), (-1.0, 1.0), None, None),
    (),
    (),
)
SCENARIO = Scenario(4, "FLIP-ZONE", "sell", True, 12.0, iso(START_NS), 0.8, ("spot 0.1 sigma from the flip",), "")
FLIP = Flip(90_500.0, 90_000.0, 91_000.0, 0.0, 734.5, 0.8, 0.3, (FlipRoot(90_500.0, "up"),), (7e4, 11e4), -1, "ok", 0.5)


def snapshot(
    seq: int = 1, underlying: str = "BTC", *, state: State = "live", scenario: Scenario = SCENARIO, strikes: int = 3
) -> FlowSnapshot:
    ts_ns = START_NS + seq * 250 * MILLISECOND
    expiry = ExpiryRow(iso(START_NS), "2JAN26", 5.0, 91_300.0, 0.55, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2 * strikes)
    return FlowSnapshot(
        schema=1,
        seq=seq,
        ts=iso(ts_ns),
        ts_ns=ts_ns,
        state=state,
        underlying=underlying,
        spot=91_234.5,
        instruments=2 * strikes,
        positions=Positions("flow", 0.93, warming=False),
        metrics=metrics(),
        flip=FLIP,
        scenario=scenario,
        levels=Levels(95_000.0, 85_000.0, 90_000.0, 100_000.0, None),
        by_expiry=(expiry,),
        by_strike=tuple(StrikeRow(8e4 + 500.0 * i, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0) for i in range(strikes)),
        liquidity=Liquidity(2.5e7, 3e10, 4),
        context=Context(55.0, 0.55, 0.0001, 0.002, iso(START_NS), 5.0, 0.001, 0.0005),
        feeds=(Feed("deribit", "live", 0.1, 12.0, 1000, 0, 0, ""),),
        unavailable=("psi: no depth yet",),
        detail=DETAIL,
    )


def snapshot_in_scenario(seq: int, bucket: int, name: str) -> FlowSnapshot:
    return snapshot(seq, scenario=msgspec.structs.replace(SCENARIO, bucket=bucket, name=name))


async def wait_until(condition: Callable[[], object], seconds: float = 8.0) -> None:
    """Let the loop run until `condition` holds; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


def free_port() -> int:
    """A port that was free a moment ago. The server's own search gives neighbours the same one."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])
