"""The firing of rules: once a condition has held for a while, once an episode, and no more often than its snooze.

An episode ends when the condition is false; while it is unknown, as on a stale or warming snapshot, nothing begins and
nothing ends, but the wait starts over. Of all rules together at most MAX_A_MINUTE fire within a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from dfmon.engine.alerts.expression import Condition, Outcome
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.model.units import MINUTE, sanitize

Delivery = Literal["line", "toast", "bell", "osc", "osc9", "osc777", "osc99", "command", "webhook"]
Severity = Literal["info", "warning", "critical"]

MAX_A_MINUTE: Final = 6
RULE: Final = "RULE"  # the kind of the alerts of rules
_MAX_GAP_NS: Final = MINUTE  # the longest interval between two ticks
_MAX_VALUES: Final = 6  # fields in the text of an alert


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the configuration; durations in ns."""

    name: str
    condition: Condition
    for_ns: int = 0
    snooze_ns: int = 0
    severity: Severity = "warning"
    to: tuple[Delivery, ...] = ("line",)
    command: tuple[str, ...] = ()
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fires, with the fields that its condition read. One that is `suppressed` goes beyond the rate."""

    rule: Rule
    underlying: str
    ts_ns: int
    fields: Mapping[str, object]
    suppressed: bool = False

    @property
    def alert(self) -> Alert:
        values = ", ".join(
            f"{name} {_shown(value)}" for name, value in list(self.fields.items())[:_MAX_VALUES] if value is not None
        )
        text = f"{self.underlying} {self.rule.name}" + (f": {values}" if values else "")
        return Alert(self.ts_ns, RULE, sanitize(text, 300), self.underlying, "", self.rule.name)


@dataclass(slots=True)
class RuleState:
    """State of a rule for one coin. `outcome` and `reason` are those of the last snapshot."""

    last_ns: int = 0
    since_ns: int | None = None  # since when the condition has held without a break
    has_fired: bool = False  # in this episode
    fired_ns: int | None = None
    outcome: bool | None = None
    reason: str = ""


@dataclass(slots=True)
class RuleSet:
    """The rules with their state, by rule and coin."""

    rules: Sequence[Rule]
    states: dict[tuple[str, str], RuleState] = field(default_factory=dict)
    _snapshots: dict[str, FlowSnapshot] = field(default_factory=dict)
    _fired: deque[int] = field(default_factory=deque)

    def update(self, snapshot: FlowSnapshot) -> list[Firing]:
        """The rules that fire with a snapshot, in their order."""
        self._snapshots[snapshot.underlying] = snapshot
        return list(self._firings(snapshot))

    def _firings(self, snapshot: FlowSnapshot) -> Iterator[Firing]:
        underlying, ts_ns = snapshot.underlying, snapshot.ts_ns
        for rule in self.rules:
            condition = rule.condition
            if not condition.is_per_coin and underlying not in condition.coins:
                continue
            subject = underlying if condition.is_per_coin else min(condition.coins)
            outcome, reason = self._evaluate(condition, subject)
            state = self.states.setdefault((rule.name, subject), RuleState())
            state.reason = reason
            if _advance(state, rule, outcome.value, ts_ns):
                yield Firing(rule, subject, ts_ns, outcome.fields, self._is_beyond_rate(ts_ns))

    def _evaluate(self, condition: Condition, subject: str) -> tuple[Outcome, str]:
        """The outcome, unknown with the reason where a snapshot that it rests on is missing, stale or warming."""
        for coin in sorted(condition.coins | ({subject} if condition.is_per_coin else set())):
            snapshot = self._snapshots.get(coin)
            reason = f"no {coin}" if snapshot is None else _unusable(snapshot)
            if reason:
                return Outcome(None, {}), reason
        outcome = condition.evaluate(self._snapshots, subject)
        if outcome.value is not None:
            return outcome, ""
        return outcome, ", ".join(f"{name} is null" for name in outcome.missing) or "no finite value"

    def _is_beyond_rate(self, ts_ns: int) -> bool:
        while self._fired and not 0 <= ts_ns - self._fired[0] < MINUTE:
            self._fired.popleft()
        if len(self._fired) >= MAX_A_MINUTE:
            return True
        self._fired.append(ts_ns)
        return False


def _unusable(snapshot: FlowSnapshot) -> str:
    if snapshot.state == "stale":
        return f"{snapshot.underlying} is stale"
    return f"{snapshot.underlying} is warming" if snapshot.positions.warming else ""


def _advance(state: RuleState, rule: Rule, outcome: bool | None, ts_ns: int) -> bool:
    """Takes the outcome of a snapshot. True where the rule fires."""
    if ts_ns < state.last_ns:  # a replay went back
        state.since_ns = state.fired_ns = None
        state.has_fired = False
    if outcome is not True or ts_ns - state.last_ns > max(rule.for_ns, _MAX_GAP_NS):
        state.since_ns = None
    if outcome is False:
        state.has_fired = False
    state.last_ns, state.outcome = ts_ns, outcome
    if outcome is not True:
        return False
    state.since_ns = ts_ns if state.since_ns is None else state.since_ns
    if state.has_fired or ts_ns - state.since_ns < rule.for_ns:
        return False
    if state.fired_ns is not None and ts_ns - state.fired_ns < rule.snooze_ns:
        return False
    state.has_fired, state.fired_ns = True, ts_ns
    return True


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return str(value)
