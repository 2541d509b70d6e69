"""Market alerts of the demo: none before the positions are covered, and every flip alert is one that a reader of the
snapshots would raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dfmon.cli.demo import ARCHIVE_CALLS_PER_S
from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.snapshot import Alert, Detail, FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.sim.market.scripts import REGIMES
from tests.simulated_session import SimulatedSession

pytestmark = pytest.mark.slow
MARKET_ALERTS = ("SCENE", "FLIP")
CLEAR_NS = 10 * SECOND


def _demo(seed: int, seconds: float) -> list[FlowSnapshot]:
    """Snapshots of a demo, which reads the archive at the demo's pace."""
    session = SimulatedSession(("BTC", "ETH"), seed=seed, history=1.0, step_ns=SECOND)
    return _run(session, seconds, int(ARCHIVE_CALLS_PER_S))


def _quick_walk(seed: int) -> list[FlowSnapshot]:
    """Snapshots of the script at four times its pace."""
    phases = tuple(replace(phase, minutes=phase.minutes / 4.0) for phase in REGIMES.phases)
    script = replace(REGIMES, phases=phases)
    session = SimulatedSession(("BTC",), seed=seed, script=script, step_ns=5 * SECOND, tick_ns=5 * SECOND)
    return _run(session, (script.end_ns - script.start_ns) / SECOND, 1_000)


def _run(session: SimulatedSession, seconds: float, calls_per_tick: int) -> list[FlowSnapshot]:
    snapshots: list[FlowSnapshot] = []
    driver = Driver(
        session.currencies, FlowParams(), session.decoders(), snapshots.append, options_sources=("deribit",)
    )
    asyncio.run(session.run(driver, seconds, lambda _: session.read_archive(driver, max_calls=calls_per_tick)))
    return snapshots


def _alerts(snapshots: Sequence[FlowSnapshot]) -> list[Alert]:
    """All alerts of one underlying, oldest first."""
    seen: dict[tuple[int, str], Alert] = {}
    for snapshot in snapshots:
        assert isinstance(snapshot.detail, Detail)
        seen |= {(alert.ts_ns, alert.text): alert for alert in reversed(snapshot.detail.alerts)}
    return list(seen.values())


def expected_crossings(snapshots: Sequence[FlowSnapshot]) -> list[tuple[int, str]]:
    """Time and new side of each crossing of one underlying.

    Spot is clear on a side of the flip where it is outside the bands of both edges around it; it has crossed when it
    has been clear on the other side at every tick of ten seconds.
    """
    held, run_side, run_start_ns = "", "", 0
    crossings = []
    for snapshot in snapshots:
        side = _clear_side(snapshot)
        if side != run_side:
            run_side, run_start_ns = side, snapshot.ts_ns
        if not side or side == held:
            continue
        if not held:
            held = side
        elif snapshot.ts_ns - run_start_ns >= CLEAR_NS:
            held = side
            crossings.append((snapshot.ts_ns, side))
    return crossings


def _clear_side(snapshot: FlowSnapshot) -> str:
    regime, spot = snapshot.regime, snapshot.spot
    if snapshot.state == "stale" or snapshot.positions.warming or spot is None or regime.side is None:
        return ""
    for edge, is_below in ((regime.below, True), (regime.above, False)):
        if edge is None:
            continue
        if edge.lo is None or edge.hi is None:
            return ""
        if spot <= edge.hi if is_below else spot >= edge.lo:
            return ""
    return regime.side


def _is_covered(snapshot: FlowSnapshot) -> bool:
    coverage = snapshot.positions.coverage
    return coverage is not None and coverage >= FlowParams().warm_coverage and not snapshot.positions.warming


@pytest.mark.parametrize("seed", range(101, 111))
def test_no_market_alert_before_the_positions_are_covered(seed: int) -> None:
    snapshots = _demo(seed, 30.0)
    for underlying in ("BTC", "ETH"):
        mine = [snapshot for snapshot in snapshots if snapshot.underlying == underlying]
        assert _is_covered(mine[-1]), "the archive is read within half a minute"
        first_covered = next(n for n, snapshot in enumerate(mine) if _is_covered(snapshot))
        before = _alerts(mine[:first_covered])
        assert not [alert for alert in before if alert.kind in MARKET_ALERTS]


def _flip_alerts(snapshots: Sequence[FlowSnapshot]) -> list[tuple[int, str]]:
    model = snapshots[-1].positions.model
    alerts = [alert for alert in _alerts(snapshots) if alert.kind == "FLIP" and alert.model == model]
    return [(alert.ts_ns, "long" if "dealers long" in alert.text else "short") for alert in alerts]


def test_flip_alerts_of_seven_minutes_are_few_and_are_those_that_the_snapshots_say() -> None:
    snapshots, alerts = _demo(11, 420.0), 0
    for underlying in ("BTC", "ETH"):
        mine = [snapshot for snapshot in snapshots if snapshot.underlying == underlying]
        assert _flip_alerts(mine) == expected_crossings(mine)
        alerts += len(_flip_alerts(mine))
    assert alerts <= 2


@pytest.mark.parametrize("seed", [7, 8])
def test_a_walk_through_the_flip_raises_the_alert_that_the_snapshots_say(seed: int) -> None:
    snapshots = _quick_walk(seed)
    crossings = expected_crossings(snapshots)
    assert [side for _, side in crossings] == ["short"], "once, downward"
    assert _flip_alerts(snapshots) == crossings
