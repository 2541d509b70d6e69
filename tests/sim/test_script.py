"""Scripts of the simulated market: the path they lead, the scenario of the true book in each phase, their clock."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest

from dfmon.cli import demo, sim
from dfmon.model.errors import UsageError
from dfmon.model.units import HOUR, MINUTE, SECOND, utc
from dfmon.sim.market.listing import next_delivery_ns
from dfmon.sim.market.script import BookLine, Phase, Script
from dfmon.sim.market.scripts import REGIMES, SCRIPTS, find_script
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.paced_clock import PacedClock
from dfmon.sim.server import SCRIPT_STEP_NS, SimConfig, SimServer
from dfmon.sim.truth import TrueFeatures, TruthTracker, true_scenario

STEP_NS = 10 * SECOND
SCENARIOS = ["PIN", "DAMP", "DRIFT", "FLIP-ZONE", "SQUEEZE", "CASCADE"]


def _walk(seed: int) -> tuple[dict[str, TrueFeatures], list[tuple[int, float, float]]]:
    """Features of the true book in the middle of each phase, and the path by the minute."""
    market = SimulatedMarket(seed, 0, script=REGIMES, step_ns=STEP_NS)
    btc = market.currencies["BTC"]
    tracker, features, path = TruthTracker(btc), dict[str, TrueFeatures](), list[tuple[int, float, float]]()
    middles = {(REGIMES.phase_start_ns(n) + end) // 2: phase.name for n, (phase, end) in _phases()}
    while market.now_ns < REGIMES.end_ns - MINUTE:
        market.advance(market.now_ns + MINUTE)
        tracker.add_events(market.drain_events())
        tracker.sample()
        path.append((market.now_ns, btc.path.price, btc.path.vol))
        for middle_ns in [at for at in middles if at <= market.now_ns]:
            features[middles.pop(middle_ns)] = tracker.features()
    return features, path


def _phases() -> list[tuple[int, tuple[Phase, int]]]:
    return list(enumerate(zip(REGIMES.phases, REGIMES.phase_ends_ns)))


def test_the_script_names_every_scenario_and_holds_a_roll_and_a_loss_of_feeds() -> None:
    assert [phase.scenario for phase in REGIMES.phases if phase.scenario] == SCENARIOS
    assert REGIMES.start_ns < next_delivery_ns(REGIMES.start_ns) < REGIMES.end_ns
    assert any(phase.feeds_lost for phase in REGIMES.phases)
    assert REGIMES.speed >= 30.0
    assert (REGIMES.end_ns - REGIMES.start_ns) / REGIMES.speed <= 5.5 * MINUTE


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 11])
def test_each_phase_has_its_scenario_on_the_true_book_and_the_path_follows(seed: int) -> None:
    features, path = _walk(seed)
    assert {p.name: true_scenario(features[p.name]) for p in REGIMES.phases if p.scenario} == {
        p.name: p.scenario for p in REGIMES.phases if p.scenario
    }
    for at_ns, spot, vol in path:
        target = REGIMES.targets(at_ns)
        assert target is not None
        assert math.log(spot) == pytest.approx(target[0], abs=0.003)
        assert math.log(vol) == pytest.approx(target[1], abs=0.03)


def test_targets_run_straight_from_phase_to_phase_and_end_with_the_last() -> None:
    start_ns = 1_795_305_600 * SECOND
    phases = (Phase("up", 10.0, 110.0, 0.5), Phase("down", 20.0, 100.0, 0.4))
    script = Script("x", "BTC", start_ns, 30.0, 1.0, 1.0, 0.1, 100.0, 0.6, (), phases)
    assert script.targets(start_ns) == pytest.approx((math.log(100.0), math.log(0.6)))
    assert script.targets(start_ns + 5 * MINUTE) == pytest.approx((math.log(11_000.0) / 2, math.log(0.3) / 2))
    assert script.targets(start_ns + 10 * MINUTE) == pytest.approx((math.log(110.0), math.log(0.5)))
    assert script.targets(start_ns + 30 * MINUTE) is None
    assert [script.phase_index(start_ns + n * MINUTE) for n in (0, 9, 10, 29, 30)] == [0, 0, 1, 1, None]


def test_a_line_of_the_book_is_what_dealers_hold_against_it() -> None:
    line = BookLine(1, 83_500.0, 1, -1, 600.0)
    plain, scripted = (
        SimulatedMarket(7, 0, script=Script(
            "x", "BTC", REGIMES.start_ns, 30.0, 1.0, 1.0, 0.01, 82_000.0, 0.46, book,
            (Phase("still", 1.0, 82_000.0, 0.46),),
        ))
        for book in ((), (line,))
    )  # fmt: skip
    expiry_ns = next_delivery_ns(REGIMES.start_ns) + 24 * HOUR
    name = f"BTC-{utc(expiry_ns):%-d%b%y}-83500-C".upper()
    held = [market.true_dealer_positions("BTC")[name] for market in (plain, scripted)]
    assert held[1] == pytest.approx(held[0] + 600.0, abs=30.0)
    prints = scripted.currencies["BTC"].trade_log.instrument_trades(name)
    assert sum(t.amount for t in prints if t.side < 0) >= 600.0


def test_an_unknown_script_is_one_sentence_that_says_what_there_is() -> None:
    with pytest.raises(ValueError, match="script: found 'storm', allowed: regimes"):
        find_script("storm")
    for run in (
        lambda: demo._find_script("storm"),
        lambda: sim.serve_standalone(7, 0, 1.0, "BTC", "storm", child=True),
    ):
        with pytest.raises(UsageError, match=r"script: found 'storm', allowed: regimes$"):
            run()
    assert find_script("regimes") is SCRIPTS["regimes"]


class _Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def test_the_paced_clock_runs_up_to_the_next_step_and_waits_there() -> None:
    monotonic = _Clock()
    clock = PacedClock(1_000 * SECOND, 30.0, 2 * SECOND, monotonic)
    monotonic.now = 60 * SECOND
    assert clock.now_ns() == 1_000 * SECOND, "no market yet"
    clock.announce(1_000 * SECOND)
    monotonic.now += SECOND // 30
    assert clock.now_ns() == pytest.approx(1_001 * SECOND, abs=100)
    monotonic.now += SECOND
    assert clock.now_ns() == 1_002 * SECOND, "the market is late, and time waits for it"
    monotonic.now += 2 * SECOND
    assert clock.now_ns() > 1_030 * SECOND, "a dead market does not hold up time"
    after = clock.now_ns()
    clock.announce(1_004 * SECOND)
    assert clock.now_ns() == after, "never back"


async def test_a_scripted_exchange_steps_evenly_and_mutes_its_channels_while_feeds_are_lost() -> None:
    server = SimServer(SimConfig(script=REGIMES))
    steps = list[int]()
    server.on_step = steps.append
    await server.start()
    try:
        async with asyncio.timeout(60):
            while len(steps) < 5:
                await asyncio.sleep(0.01)
        assert (server.faults.mute, server.faults.rest_status) == ((), 0)
        assert set(np.diff(steps).tolist()) == {SCRIPT_STEP_NS}
        assert 0 <= server.clock() - steps[-1] <= 2 * SCRIPT_STEP_NS
        assert list(server.market.currencies) == ["BTC"]
    finally:
        await server.stop()


async def test_feeds_that_a_script_loses_deliver_nothing_by_channel_or_rest_and_come_back() -> None:
    phases = (Phase("lost", 0.5, 82_000.0, 0.46, feeds_lost=True), Phase("back", 10.0, 82_000.0, 0.46))
    server = SimServer(SimConfig(script=replace(REGIMES, phases=phases, history=0.01)))
    lost = list[bool]()
    server.on_step = lambda _: lost.append(server.faults.is_muted("trades.") and server.faults.rest_status == 503)
    await server.start()
    try:
        async with asyncio.timeout(60):
            while len(lost) < 20:
                await asyncio.sleep(0.01)
    finally:
        await server.stop()
    assert lost[:20] == [True] * 14 + [False] * 6
