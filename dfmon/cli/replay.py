"""`dfmon replay`: replays a recording, a capture or recorded boards on the screen or headless."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfmon.config import Config, alert_rules, flow_params
from dfmon.engine.hub import SnapshotHub
from dfmon.replay import ReplaySession, open_source, resolve_span
from dfmon.runtime import composition, runner
from dfmon.runtime.rule_runner import RuleRunner


def run(args: argparse.Namespace, config: Config) -> int:
    """Replays FILE from --from to --until; `--publish all` writes every snapshot as fast as it can."""
    publish = getattr(args, "publish", None)
    currencies = config.market.currencies if hasattr(args, "currency") else None
    source = open_source(
        Path(args.file), currencies, flow_params(config), explicit_options=vars(args), across_gaps=args.across_gaps
    )
    start, end = resolve_span(source, args.start, args.until)
    rules = RuleRunner(alert_rules(config.alert))
    if publish == "all":
        return runner.replay_headless(source, rules, start, end)
    out = composition.open_outputs(config, publish or "", "replay")
    session = ReplaySession(
        source,
        SnapshotHub("replay", source.session, rules),
        speed=args.speed,
        sinks=out.sinks,
        paused=args.paused,
        from_ns=start,
        until_ns=end,
        prefetch=not publish,
        stop_at_end=bool(publish),
    )
    if publish:
        return runner.run_headless(session, out, config_source=args.config_source)
    return runner.run_with_screen(session, config, source.underlyings, vars(args))
