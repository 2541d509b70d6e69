"""The tables `[[alert]]` of the configuration, and the rules that they become."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from dfmon.config.section import Section
from dfmon.config.setting_errors import validation_message
from dfmon.engine.alerts.expression import read_condition
from dfmon.engine.alerts.rules import Delivery, Rule
from dfmon.engine.alerts.terms import ExpressionError
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND, sanitize

_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DELIVERIES: Final = "line, toast, bell, osc, osc9, osc777, osc99, command, webhook"
_MAX_RULES: Final = 200
_HEADER: Final = re.compile(r"\s*\[\[\s*alert\s*\]\]")

Duration = Annotated[str, Meta(pattern=r"^\d{1,6}(\.\d{1,3})?[smhd]$", description="a duration such as 30s, 5m or 1h")]


class AlertSection(Section, frozen=True):
    """A rule: what must hold for how long, and where its alerts go: by default line, toast and its hooks."""

    name: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,40}$", description="a name of up to 40 letters")]
    when: Annotated[str, Meta(min_length=1, description="a condition over the fields of a snapshot")]
    for_: Duration = msgspec.field(default="0s", name="for")
    snooze: Duration = "10m"
    severity: Annotated[Literal["info", "warning", "critical"], Meta(description="info, warning or critical")] = (
        "warning"
    )
    to: Annotated[tuple[Delivery, ...], Meta(description=f"some of {_DELIVERIES}")] = ()
    command: Annotated[tuple[str, ...], Meta(description='a program and its arguments, ["PROGRAM", "ARGUMENT"]')] = ()
    webhook: Annotated[str, Meta(pattern=r"^$|^https?://[^\s]+$", description="http:// or https:// or nothing")] = ""


class _Single(Section, frozen=True):
    alert: AlertSection


def check_alert_tables(tree: Mapping[str, Any], origin: str, text: str) -> None:
    """Raises UsageError with the line and the number of a table of a file whose text is not valid."""
    tables = tree.get("alert", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{origin}: alert is {sanitize(repr(tables), 60)}, allowed: tables [[alert]]")
    if len(tables) > _MAX_RULES:
        raise UsageError(f"{origin}: {len(tables)} tables [[alert]], allowed: up to {_MAX_RULES}")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    rules: dict[str, Rule] = {}
    for number, table in enumerate(tables, 1):
        line = f"line {lines[number - 1]}: " if len(lines) == len(tables) else ""  # else `alert = [{...}]`
        place, single = f"{origin}: {line}[[alert]] {number}", {"alert": table}
        try:
            section = msgspec.convert(single, _Single, strict=True).alert
            _add_rule(rules, section, f"{place}, {section.name!r}")
        except msgspec.ValidationError as exc:
            missing = re.search(r"missing required field `(\w+)`", str(exc))
            if missing:
                raise UsageError(f"{place}: {missing.group(1)} is missing") from None
            raise UsageError(validation_message(_Single, single, place, str(exc), strict=False)) from None


def alert_rules(sections: Sequence[AlertSection]) -> tuple[Rule, ...]:
    """The rules. Raises UsageError for one that is not valid, which those of a file are known to be."""
    rules: dict[str, Rule] = {}
    for section in sections:
        _add_rule(rules, section, f"alert {section.name!r}")
    return tuple(rules.values())


def _add_rule(rules: dict[str, Rule], section: AlertSection, place: str) -> None:
    """Raises UsageError with the place of the rule and the column of its condition."""
    if section.name in rules:
        raise UsageError(f"{place} is there twice: each rule has a name of its own")
    rules[section.name] = _rule(section, place)


def _rule(section: AlertSection, place: str) -> Rule:
    try:
        condition = read_condition(section.when)
    except ExpressionError as exc:
        raise UsageError(f"{place}: `when`, column {exc.column}: {sanitize(str(exc), 400)}") from None
    hooks: dict[Delivery, bool] = {"command": bool(section.command), "webhook": bool(section.webhook)}
    if unset := [name for name, is_set in hooks.items() if name in section.to and not is_set]:
        raise UsageError(f"{place}: `to` has {unset[0]}, and `{unset[0]}` is not set")
    set_hooks = tuple(name for name, is_set in hooks.items() if is_set)
    if section.command and not section.command[0]:
        raise UsageError(f"{place}: `command` has no program")
    return Rule(
        section.name,
        condition,
        duration_ns(section.for_),
        duration_ns(section.snooze),
        section.severity,
        section.to or ("line", "toast", *set_hooks),
        section.command,
        section.webhook,
    )


def duration_ns(text: str) -> int:
    """A duration of the configuration.

    >>> duration_ns("1.5m")
    90000000000
    """
    return round(float(text[:-1]) * _UNITS[text[-1]])
