"""Market alerts of the demo: none before the positions are covered, and every flip alert is one that a reader of the
snapshots would raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

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


class Moment(NamedTuple):
    """Of a snapshot what the alerts are judged by; minutes of whole snapshots are a gigabyte."""

    underlying: str
    ts_ns: int
    side: str  # of the flip, on which spot is clear; "" where it is within a band
    is_covered: bool
    model: str
    alerts: tuple[Alert, ...]


def _moment(snapshot: FlowSnapshot) -> Moment:
    assert isinstance(snapshot.detail, Detail)
    positions = snapshot.positions
    return Moment(
        snapshot.underlying,
        snapshot.ts_ns,
        _clear_side(snapshot),
        positions.coverage is not None and positions.coverage >= FlowParams().warm_coverage and not positions.warming,
        positions.model,
        tuple(snapshot.detail.alerts),
    )


def _demo(seed: int, seconds: float) -> list[Moment]:
    """A demo, which reads the archive at the demo's pace."""
    session = SimulatedSession(("BTC", "ETH"), seed=seed, history=1.0, step_ns=SECOND)
    return _run(session, seconds, int(ARCHIVE_CALLS_PER_S))


def _quick_walk(seed: int) -> list[Moment]:
    """The script at sixteen times its pace."""
    phases = tuple(replace(phase, minutes=phase.minutes / 16.0) for phase in REGIMES.phases)
    script = replace(REGIMES, phases=phases)
    session = SimulatedSession(("BTC",), seed=seed, script=script, step_ns=5 * SECOND, tick_ns=5 * SECOND)
    return _run(session, (script.end_ns - script.start_ns) / SECOND, 1_000)


def _run(session: SimulatedSession, seconds: float, calls_per_tick: int) -> list[Moment]:
    moments: list[Moment] = []
    driver = Driver(
        session.currencies,
        FlowParams(),
        session.decoders(),
        lambda snapshot: moments.append(_moment(snapshot)),
        options_sources=("deribit",),
    )
    asyncio.run(session.run(driver, seconds, lambda _: session.read_archive(driver, max_calls=calls_per_tick)))
    return moments


def _alerts(moments: Sequence[Moment]) -> list[Alert]:
    """All alerts of one underlying, oldest first."""
    seen: dict[tuple[int, str], Alert] = {}
    for moment in moments:
        seen |= {(alert.ts_ns, alert.text): alert for alert in reversed(moment.alerts)}
    return list(seen.values())


def expected_crossings(moments: Sequence[Moment]) -> list[tuple[int, str]]:
    """Time and new side of each crossing of one underlying.

    Spot is clear on a side of the flip where it is outside the bands of both edges around it; it has crossed when it
    has been clear on the other side at every tick of ten seconds.
    """
    held, run_side, run_start_ns = "", "", 0
    crossings = []
    for moment in moments:
        side = moment.side
        if side != run_side:
            run_side, run_start_ns = side, moment.ts_ns
        if not side or side == held:
            continue
        if not held:
            held = side
        elif moment.ts_ns - run_start_ns >= CLEAR_NS:
            held = side
            crossings.append((moment.ts_ns, side))
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


@pytest.mark.parametrize("seed", range(101, 104))
def test_no_market_alert_before_the_positions_are_covered(seed: int) -> None:
    moments = _demo(seed, 8.0)
    for underlying in ("BTC", "ETH"):
        mine = [moment for moment in moments if moment.underlying == underlying]
        assert mine[-1].is_covered, "most of the archive is read within some seconds"
        first_covered = next(n for n, moment in enumerate(mine) if moment.is_covered)
        before = _alerts(mine[:first_covered])
        assert not [alert for alert in before if alert.kind in MARKET_ALERTS]


def _flip_alerts(moments: Sequence[Moment]) -> list[tuple[int, str]]:
    model = moments[-1].model
    alerts = [alert for alert in _alerts(moments) if alert.kind == "FLIP" and alert.model == model]
    return [(alert.ts_ns, "long" if "dealers long" in alert.text else "short") for alert in alerts]


def test_flip_alerts_of_two_minutes_are_few_and_are_those_that_the_snapshots_say() -> None:
    moments, alerts = _demo(11, 120.0), 0
    for underlying in ("BTC", "ETH"):
        mine = [moment for moment in moments if moment.underlying == underlying]
        assert _flip_alerts(mine) == expected_crossings(mine)
        alerts += len(_flip_alerts(mine))
    assert alerts <= 2


def test_a_walk_through_the_flip_raises_the_alert_that_the_snapshots_say() -> None:
    moments = _quick_walk(7)
    crossings = expected_crossings(moments)
    assert [side for _, side in crossings] == ["short"], "once, downward"
    assert _flip_alerts(moments) == crossings
