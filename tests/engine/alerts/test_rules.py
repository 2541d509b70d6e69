"""When rules fire: waits, episodes, snooze, rate, stale and warming ticks, several coins, and a trial of it all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from dfmon.cli.alerts import report_lines
from dfmon.engine.alerts.expression import read_condition
from dfmon.engine.alerts.rules import MAX_A_MINUTE, Rule, RuleSet
from dfmon.engine.alerts.trial import Trial
from dfmon.model.scenario import Feature, Features
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.model.units import HOUR, SECOND
from dfmon.runtime.rule_runner import MAX_ALERTS, RuleRunner
from tests.sinks.factory import START_NS, snapshot


def rule(when: str = "features.z > 1", for_s: float = 0.0, snooze_s: float = 0.0, name: str = "rule") -> Rule:
    return Rule(name, read_condition(when), round(for_s * SECOND), round(snooze_s * SECOND))


def at(second: float, value: float | None, coin: str = "BTC", **changes: object) -> FlowSnapshot:
    made = replace(
        snapshot(1, coin),
        ts_ns=START_NS + round(second * SECOND),
        features=Features(z=Feature(value)),
        rule_alerts=UNSET,
    )
    return replace(made, **changes)


def fired(rules: RuleSet, values: Iterable[float | FlowSnapshot | None]) -> list[int]:
    """The seconds at which something fires; one value a second."""
    found = []
    for second, value in enumerate(values):
        given_snapshot = value if isinstance(value, FlowSnapshot) else at(second, value)
        found += [second] * len(rules.update(given_snapshot))
    return found


def test_once_an_episode_after_the_wait() -> None:
    assert fired(RuleSet([rule(for_s=3)]), [0, 2, 2, 2, 2, 2, 0, 2, 2, 2, 2]) == [4, 10]
    assert fired(RuleSet([rule(for_s=3)]), [2, 2, 2, 0, 2, 2, 2]) == []
    assert fired(RuleSet([rule()]), [0, 2, 2, 0, 2]) == [1, 4]


def test_an_unknown_tick_ends_the_wait_and_not_the_episode() -> None:
    assert fired(RuleSet([rule(for_s=2)]), [2, 2, None, 2, 2, 2]) == [5]
    assert fired(RuleSet([rule()]), [2, None, 2, None, 2]) == [0]


def test_stale_and_warming_ticks_are_unknown() -> None:
    stale = at(1, 2, state="stale")
    warming = at(2, 2, positions=replace(snapshot(1).positions, warming=True))
    assert fired(RuleSet([rule()]), [0, stale, warming, 0]) == []
    assert fired(RuleSet([rule("not features.z > 3")]), [stale, warming]) == []


def test_an_episode_within_the_snooze_fires_at_its_end() -> None:
    assert fired(RuleSet([rule(snooze_s=5)]), [2, 0, 2, 0, 0, 2, 2]) == [0, 5]
    assert fired(RuleSet([rule(snooze_s=5)]), [2, 0, 2, 2, 2, 2, 2]) == [0, 5]
    assert fired(RuleSet([rule(snooze_s=5)]), [2, 2, 2, 2, 2, 2, 2]) == [0]


def test_a_silence_is_a_break_and_a_step_back_a_new_beginning() -> None:
    rules = RuleSet([rule(for_s=30)])
    assert [len(rules.update(at(second, 2))) for second in (0, 20, 100, 120, 131)] == [0, 0, 0, 0, 1]
    assert [len(rules.update(at(second, 2))) for second in (10, 20, 40)] == [0, 0, 1]


def test_coins_by_themselves_and_together() -> None:
    each, one, both = rule(name="each"), rule("BTC.features.z > 1", name="one"), rule(
        "BTC.features.z > 1 and ETH.features.z > 1", name="both"
    )  # fmt: skip
    rules = RuleSet([each, one, both])

    def names(made: FlowSnapshot) -> list[tuple[str, str]]:
        return [(firing.rule.name, firing.underlying) for firing in rules.update(made)]

    assert names(at(0, 2)) == [("each", "BTC"), ("one", "BTC")]
    assert names(at(0, 2, "ETH")) == [("each", "ETH"), ("both", "BTC")]
    assert names(at(1, 2)) == []


def alerts_of(runner: RuleRunner, snapshot: FlowSnapshot) -> tuple[Alert, ...]:
    alerts = runner(snapshot)
    assert alerts is not UNSET
    return alerts


def test_of_many_rules_only_some_fire_within_a_minute_and_one_line_says_so() -> None:
    runner = RuleRunner([rule(name=f"rule {n}") for n in range(20)])
    alerts = alerts_of(runner, at(0, 2))
    assert len(alerts) == MAX_A_MINUTE + 1
    assert alerts[0].text.endswith("; further alerts beyond 6 a minute are left out")
    alerts_of(runner, at(1, 0))
    assert len(alerts_of(runner, at(61, 2))) == 2 * (MAX_A_MINUTE + 1)
    for second in range(100, 4000, 100):
        alerts_of(runner, at(second, 0))
        alerts = alerts_of(runner, at(second + 70, 2))
    assert len(alerts) == MAX_ALERTS


def test_new_rules_replace_the_old_and_those_that_stay_go_on() -> None:
    stays, changes = rule(for_s=3, name="stays"), rule(for_s=3, name="changes")
    runner = RuleRunner([stays, changes])
    for second in range(3):
        assert alerts_of(runner, at(second, 2)) == ()
    runner.set_rules([rule(for_s=3, name="stays"), rule(for_s=2, name="changes"), rule(name="new")])
    assert [alert.cause for alert in alerts_of(runner, at(3, 2))] == ["new", "stays"]
    assert [alert.cause for alert in alerts_of(runner, at(5, 2))] == ["changes", "new", "stays"]


def test_alerts_have_the_fields_that_decided_and_those_received_stay() -> None:
    runner = RuleRunner([rule("spot > 1 and features.z > 1", name="both")])
    [alert] = alerts_of(runner, at(0, 2))
    assert (alert.text, alert.kind, alert.cause) == ("BTC both: spot 91,234, features.z 2", "RULE", "both")
    received = replace(alert, ts_ns=alert.ts_ns - 1, cause="of another")
    again = alerts_of(runner, at(1, 2, rule_alerts=(received,)))
    assert again == (alert, received)


def test_without_rules_a_snapshot_is_left_as_it_is() -> None:
    runner = RuleRunner([])
    assert runner(at(0, 2)) is UNSET
    runner.set_rules([rule(name="new")])
    assert [alert.cause for alert in alerts_of(runner, at(1, 2))] == ["new"]


@given(st.lists(st.sampled_from([0.0, 2.0, None]), max_size=60), st.integers(0, 4), st.integers(0, 9))
def test_a_run_fires_as_a_brute_force_over_all_ticks(values: list[float | None], wait: int, snooze: int) -> None:
    """Once an episode (ticks between two false ones), at the first tick that ends `wait` seconds of truth."""
    expected: list[int] = []
    has_fired = False
    for second, value in enumerate(values):
        if value == 0.0:
            has_fired = False
        recent = values[max(second - wait, 0) : second + 1]
        holds = value == 2.0 and len(recent) == wait + 1 and all(each == 2.0 for each in recent)
        is_snoozed = bool(expected) and second - expected[-1] < snooze
        if holds and not has_fired and not is_snoozed:
            expected.append(second)
            has_fired = True
    limited = expected[:MAX_A_MINUTE]
    assert fired(RuleSet([rule(for_s=wait, snooze_s=snooze)]), values)[:MAX_A_MINUTE] == limited


def test_a_trial_says_when_and_why_not(tmp_path: Path) -> None:
    wait, never, absent = rule(for_s=3, snooze_s=60, name="wait"), rule("features.z > 9", name="never"), rule(
        "SOL.spot > 1", name="absent"
    )  # fmt: skip
    long = rule(for_s=HOUR / SECOND, name="long")
    trial = Trial([wait, long, never, absent])
    for second, value in enumerate([None, 0, 2, 2, 2, 2, 0, 2, 2, 2, 2, 2, 0]):
        trial.update(at(second, value))
    reports = {report.rule.name: report for report in trial.reports()}
    assert (reports["wait"].true_ns, reports["wait"].false_ns) == (9 * SECOND, 2 * SECOND)
    assert reports["wait"].unknown_ns == {"features.z is null": SECOND}
    assert [(e.firing.ts_ns - START_NS, e.ended_ns) for e in reports["wait"].episodes] == [
        (5 * SECOND, START_NS + 6 * SECOND)
    ]
    text = "\n".join(report_lines(trial, tmp_path))
    assert "BTC wait: features.z 2; ended after 0:00:01" in text
    for second, value in enumerate([2, 2, 2, 2, 2, None, None], start=100):
        trial.update(at(second, value))
    assert "BTC wait: features.z 2; unknown after 0:00:02, to the end" in "\n".join(report_lines(trial, tmp_path))
    assert "wait (BTC): fired 1 time, 1 of them ended within 5 min" in text
    assert "  1 more within the snooze of 0:01:00" in text
    assert "  why not: it held for 0:00:04 at most, and 1:00:00 are needed" in text
    assert "  why not: it was never true" in text
    assert "absent (SOL): fired 0 times" in text
    assert "  why not: there is no snapshot of SOL here" in text
