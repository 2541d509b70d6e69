"""A trial of rules on snapshots of the past: when each would have fired, for how long it held, and why it did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dfmon.engine.alerts.rules import Firing, Rule, RuleSet, RuleState
from dfmon.model.snapshot import FlowSnapshot


@dataclass(slots=True)
class Episode:
    """A firing, and when its condition became false; None where it did not.

    `unknown_ns` is since when the condition has been unknown; None while it is true.
    """

    firing: Firing
    ended_ns: int | None = None
    unknown_ns: int | None = None

    def take(self, outcome: bool | None, ts_ns: int) -> None:
        """Takes the outcome of a later snapshot, until one is false."""
        if self.ended_ns is not None:
            return
        if outcome is False:
            self.ended_ns = ts_ns
        elif outcome is None:
            self.unknown_ns = self.unknown_ns or ts_ns
        else:
            self.unknown_ns = None


@dataclass(slots=True)
class RuleReport:
    """Times of a rule for one coin, ns: while it was true, false and unknown, the latter by reason.

    `longest_ns` is the longest time for which it held without a break, `snoozed` counts episodes within the snooze.
    """

    rule: Rule
    underlying: str
    ticks: Counter[bool | None] = field(default_factory=Counter)  # by outcome
    true_ns: int = 0
    false_ns: int = 0
    unknown_ns: Counter[str] = field(default_factory=Counter)
    longest_ns: int = 0
    snoozed: int = 0
    episodes: list[Episode] = field(default_factory=list)
    _is_snoozed: bool = False

    def take(self, state: RuleState, before: RuleState | None, ts_ns: int) -> None:
        """Adds the time since the snapshot before, which had the outcome of then."""
        self.ticks[state.outcome] += 1
        if before is not None and ts_ns > before.last_ns:
            elapsed_ns = ts_ns - before.last_ns
            if before.outcome is None:
                self.unknown_ns[before.reason] += elapsed_ns
            elif before.outcome:
                self.true_ns += elapsed_ns
            else:
                self.false_ns += elapsed_ns
        if state.outcome is False:
            self._is_snoozed = False
        for episode in self.episodes:
            episode.take(state.outcome, ts_ns)
        if state.since_ns is None:
            return
        lasted_ns = ts_ns - state.since_ns
        self.longest_ns = max(self.longest_ns, lasted_ns)
        if lasted_ns >= self.rule.for_ns and not state.has_fired and not self._is_snoozed:
            self._is_snoozed = True
            self.snoozed += 1


class Trial:
    """The rules, run on the snapshots that it is passed."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._set = RuleSet(tuple(rules))
        self._reports: dict[tuple[str, str], RuleReport] = {}
        self._before: dict[tuple[str, str], RuleState] = {}
        self.snapshots = 0

    def update(self, snapshot: FlowSnapshot) -> None:
        self.snapshots += 1
        firings = {(firing.rule.name, firing.underlying): firing for firing in self._set.update(snapshot)}
        rules = {rule.name: rule for rule in self._set.rules}
        for key, state in self._set.states.items():
            if state.last_ns != snapshot.ts_ns:
                continue
            report = self._reports.setdefault(key, RuleReport(rules[key[0]], key[1]))
            if key in firings:
                report.episodes.append(Episode(firings[key]))
            report.take(state, self._before.get(key), snapshot.ts_ns)
            self._before[key] = RuleState(state.last_ns, outcome=state.outcome, reason=state.reason)

    def reports(self) -> Iterator[RuleReport]:
        """One a rule and coin, in the order of the rules; a rule without a snapshot of its coin has an empty one."""
        for rule in self._set.rules:
            found = [report for key, report in self._reports.items() if key[0] == rule.name]
            yield from found or [RuleReport(rule, "/".join(sorted(rule.condition.coins)) or "-")]
