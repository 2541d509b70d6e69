"""`dfmon alerts try RULES RECORDING`: when alert rules would have fired on a recording, and why not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dfmon import config as configuration
from dfmon.cli.progress_bar import ProgressBar
from dfmon.config import Config, alert_rules, flow_params
from dfmon.engine.alerts.rules import MAX_A_MINUTE
from dfmon.engine.alerts.trial import Episode, RuleReport, Trial
from dfmon.model.errors import EXIT_OK, UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import MINUTE, SECOND, format_hms, iso, sanitize
from dfmon.replay import open_source, play_through, resolve_span

_SHORT_NS: Final = 5 * MINUTE  # an episode that ends sooner was hardly worth an alert


def run(args: argparse.Namespace, config: Config) -> int:
    """Prints the firings in the order of time, then a summary of each rule."""
    environ = configuration.environment()
    rules = alert_rules(configuration.load(args.rules, environ, {}).alert)
    if not rules:
        raise UsageError(f"{sanitize(str(args.rules))} has no tables [[alert]]")
    currencies = config.market.currencies if hasattr(args, "currency") else None
    source = open_source(args.recording, currencies, flow_params(config), explicit_options=vars(args), across_gaps=True)
    from_ns, until_ns = resolve_span(source, args.start, args.until)
    trial, bar = Trial(rules), ProgressBar(sys.stderr, "dfmon alerts try")
    first_ns, last_ns = source.span()

    def take(snapshot: FlowSnapshot) -> None:
        trial.update(snapshot)
        share = min(max((snapshot.ts_ns - first_ns) / max(last_ns - first_ns, 1), 0.0), 1.0)
        bar.draw(share, f"{100.0 * share:.0f} %")

    try:
        play_through(source, take, from_ns=from_ns, until_ns=until_ns)
    finally:
        bar.clear()
    sys.stdout.writelines(f"{sanitize(line, 500)}\n" for line in report_lines(trial, args.recording))
    return EXIT_OK


def report_lines(trial: Trial, recording: Path) -> Iterator[str]:
    """The lines of the report."""
    reports = list(trial.reports())
    episodes = sorted((e for report in reports for e in report.episodes), key=lambda e: e.firing.ts_ns)
    yield f"{len({r.rule.name for r in reports})} rules on {recording}: {trial.snapshots:,} snapshots"
    for episode in episodes:
        yield _firing_line(episode)
    for report in reports:
        yield ""
        yield from _summary(report)


def _firing_line(episode: Episode) -> str:
    firing, lasted = episode.firing, "held to the end"
    if episode.ended_ns is not None:
        lasted = f"ended after {_hms(episode.ended_ns - firing.ts_ns)}"
    elif episode.unknown_ns is not None:
        lasted = f"unknown after {_hms(episode.unknown_ns - firing.ts_ns)}, to the end"
    left_out = f"; left out, beyond {MAX_A_MINUTE} a minute" if firing.suppressed else ""
    return f"{iso(firing.ts_ns)}  {firing.alert.text}; {lasted}{left_out}"


def _summary(report: RuleReport) -> Iterator[str]:
    rule, episodes = report.rule, report.episodes
    short = sum(e.ended_ns is not None and e.ended_ns - e.firing.ts_ns < _SHORT_NS for e in episodes)
    times = f"{len(episodes)} time{'' if len(episodes) == 1 else 's'}"
    brief = f", {short} of them ended within {_SHORT_NS // MINUTE} min" if short else ""
    yield f"{rule.name} ({report.underlying}): fired {times}{brief}"
    yield f"  when {rule.condition.text}"
    unknown_ns = sum(report.unknown_ns.values())
    yield f"  true {_hms(report.true_ns)}, false {_hms(report.false_ns)}, unknown {_hms(unknown_ns)}"
    for reason, elapsed_ns in report.unknown_ns.most_common():
        yield f"  unknown {_hms(elapsed_ns)}: {reason}"
    if report.snoozed:
        yield f"  {report.snoozed} more within the snooze of {_hms(rule.snooze_ns)}"
    if not episodes:
        yield f"  why not: {_absence_reason(report)}"


def _absence_reason(report: RuleReport) -> str:
    if not report.ticks:
        return f"there is no snapshot of {report.underlying} here"
    if report.ticks[True]:
        return f"it held for {_hms(report.longest_ns)} at most, and {_hms(report.rule.for_ns)} are needed"
    return "it was never true" if report.ticks[False] else "it was never known"


def _hms(duration_ns: int) -> str:
    return format_hms(duration_ns / SECOND)
