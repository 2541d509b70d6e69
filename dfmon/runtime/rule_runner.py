"""The alert rules of a run: evaluated with each snapshot, logged, added to the snapshots, handed on to their hooks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from dfmon.engine.alerts.rules import MAX_A_MINUTE, Firing, Rule, RuleSet
from dfmon.model.snapshot import Alert, FlowSnapshot

log = logging.getLogger("dfmon")

MAX_ALERTS: Final = 20  # of each coin in its snapshots


class RuleRunner:
    """Called by the hub with each snapshot before it is published. `deliver` takes what fires, if it has hooks."""

    def __init__(self, rules: Sequence[Rule], deliver: Callable[[Firing], None] | None = None) -> None:
        self.rules = RuleSet(tuple(rules))
        self._deliver = deliver
        self._edited: tuple[Rule, ...] | None = None  # in force with the next snapshot
        self._alerts: dict[str, tuple[Alert, ...]] = {}
        self._is_limited = False

    @property
    def has_hooks(self) -> bool:
        """True where commands and webhooks are run."""
        return self._deliver is not None

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Replaces the rules with the next snapshot, from any thread. One that is the same goes on with its state."""
        self._edited = tuple(rules)

    def _replace_rules(self, rules: Sequence[Rule]) -> None:
        before, after = ({rule.name: rule for rule in each} for each in (self.rules.rules, rules))
        changed = {name for name in before if _content(before[name]) != _content(after.get(name))}
        for key in [key for key in self.rules.states if key[0] in changed]:
            del self.rules.states[key]
        self.rules.rules = tuple(rules)

    def __call__(self, snapshot: FlowSnapshot) -> tuple[Alert, ...] | UnsetType:
        """The last alerts of the coin, newest first, with those of the program that it came from.

        UNSET where there are no rules.
        """
        if self._edited is not None:
            self._replace_rules(self._edited)
            self._edited = None
        if not self.rules.rules and not self._alerts:
            return snapshot.rule_alerts
        for firing in self.rules.update(snapshot):
            alert = self._take(firing)
            if alert is not None:
                coin = alert.underlying
                self._alerts[coin] = (alert, *self._alerts.get(coin, ()))[:MAX_ALERTS]
        received = () if snapshot.rule_alerts is UNSET else snapshot.rule_alerts
        own = self._alerts.get(snapshot.underlying, ())
        return tuple(sorted((*own, *received), key=lambda alert: -alert.ts_ns))[:MAX_ALERTS] if received else own

    def _take(self, firing: Firing) -> Alert | None:
        """The alert of a firing. Of those beyond the rate only the first has one; all are logged."""
        alert = firing.alert
        if not firing.suppressed:
            self._is_limited = False
            log.warning("alert: %s", alert.text)
            if self._deliver is not None:
                self._deliver(firing)
            return alert
        log.info("alert beyond %d a minute: %s", MAX_A_MINUTE, alert.text)
        if self._is_limited:
            return None
        self._is_limited = True
        return replace(alert, text=f"{alert.text}; further alerts beyond {MAX_A_MINUTE} a minute are left out")


def _content(rule: Rule | None) -> object:
    """The part of a rule by which two are the same."""
    return None if rule is None else (rule.condition.text, rule.for_ns, rule.snooze_ns)
