import numpy as np

from dfmon.core.flip.gamma_flip import GammaFlip
from dfmon.core.scenario.alerts import MAX_ALERTS, AlertState, update_alerts
from dfmon.core.scenario.rules import Bucket, RuleState
from dfmon.model.events import FeedState
from dfmon.model.frames import FeedHealth
from dfmon.model.units import NAN

DAMP = RuleState(Bucket.DAMP, 0, 0, 0)


def flip(level: float | None, sign: int) -> GammaFlip:
    return GammaFlip(level, (), (50.0, 150.0), sign, np.zeros(0), np.zeros(0))


def feed(state: FeedState, reason: str = "") -> FeedHealth:
    return FeedHealth("x", state, NAN, NAN, 0, 0, 0, reason)


def alerts_after(*ticks: tuple[RuleState, GammaFlip | None, float, tuple[FeedHealth, ...]]) -> list[tuple[str, str]]:
    now = AlertState.initial()
    for rules, found, spot, feeds in ticks:
        now = update_alerts(now, rules, found, spot, feeds, ("because",), 1)
    return [(alert.kind, alert.text) for alert in now.alerts]


def test_first_scenario_and_first_side_are_no_changes() -> None:
    assert alerts_after((DAMP, flip(95.0, 1), 100.0, ())) == []


def test_new_scenario_is_told_with_its_reason() -> None:
    pin = RuleState(Bucket.PIN, 0, 0, 0)
    assert alerts_after((DAMP, None, 1.0, ()), (pin, None, 1.0, ())) == [("SCENE", "DAMP -> PIN: because")]


def test_spot_through_the_flip_is_told_both_ways() -> None:
    above, below = (DAMP, flip(95.0, 1), 100.0, ()), (DAMP, flip(95.0, -1), 90.0, ())
    expected = [("FLIP", "spot crossed above the flip 95"), ("FLIP", "spot crossed below the flip 95")]
    assert alerts_after(above, below, above) == expected


def test_another_root_becoming_the_nearest_is_no_crossing() -> None:
    assert alerts_after((DAMP, flip(95.0, 1), 100.0, ()), (DAMP, flip(104.0, 1), 100.0, ())) == []


def test_flip_that_vanishes_and_returns_on_the_same_side_is_no_crossing() -> None:
    held = (DAMP, flip(95.0, 1), 100.0, ())
    assert alerts_after(held, (DAMP, flip(None, 1), 100.0, ()), (DAMP, None, NAN, ()), held) == []


def test_feed_is_told_once_when_it_goes_and_once_when_it_is_back() -> None:
    down, live = feed(FeedState.DOWN, "refused"), feed(FeedState.LIVE)
    ticks = [(DAMP, None, 1.0, (state,)) for state in (live, down, down, live, live)]
    assert alerts_after(*ticks) == [("FEED", "x is back"), ("FEED", "x down: refused")]


def test_alerts_are_bounded_and_newest_first() -> None:
    sides = [(DAMP, flip(float(i), 1 if i % 2 else -1), 1.0, ()) for i in range(2 * MAX_ALERTS)]
    expected = alerts_after(*sides)
    assert len(expected) == MAX_ALERTS
    assert expected[0][1].endswith(f"{2 * MAX_ALERTS - 1}")
