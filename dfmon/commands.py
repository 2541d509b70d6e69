"""What each command does, once its words are understood: choose a session, and a way to show it.

Modules are imported by the command that needs them: a snapshot of a file must not wait for a web client.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dfmon.config import Config, flow_params
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import State


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command of `args` and return the exit code."""
    match args.command:
        case "snapshot":
            from dfmon import snapshots

            return snapshots.run(args, config)
        case "doctor":
            from dfmon.doctor.run import run as examine

            return examine(config, json=args.json)
        case "record":
            from dfmon import recording

            return recording.run(args, config)
        case "demo":
            return _demo(args, config)
        case "backfill":
            from dfmon import backfill_alone

            return backfill_alone.run(config)
        case "replay":
            return _replay(args, config)
        case _:
            return _live(args, config, "live")


def _demo(args: argparse.Namespace, config: Config) -> int:
    from dfmon import simulate

    if _draws(args):
        _need_terminal()
    with simulate.child_exchange(args.seed, config.market.currencies) as at:
        return _live(args, simulate.pointed_at(config, at), "sim")


def _live(args: argparse.Namespace, config: Config, mode: State) -> int:
    """The live market, or a simulated one."""
    if _draws(args):
        _need_terminal()
    from dfmon import app, running

    out = app.outputs(config, getattr(args, "publish", None) or "")
    session = app.live_session(config, mode, out, app.Faults())
    if _draws(args):
        return running.run_with_screen(session, config, config.market.currencies, vars(args))
    return running.run_headless(session, out)


def _replay(args: argparse.Namespace, config: Config) -> int:
    if args.info:
        from dfmon import recording

        return recording.describe(Path(args.file), config, sys.stdout)
    if _draws(args):
        _need_terminal()
    from dfmon import app, running
    from dfmon.engine.hub import SnapshotHub
    from dfmon.replay import ReplaySession, open_source, span_of

    chosen = config.market.currencies if hasattr(args, "currency") else None
    source = open_source(Path(args.file), chosen, flow_params(config), named=vars(args), across_gaps=args.across_gaps)
    start, end = span_of(source, args.start, args.until)
    if getattr(args, "publish", None) == "all":
        return running.replay_headless(source, start, end)
    out = app.outputs(config, getattr(args, "publish", None) or "")
    session = ReplaySession(
        source,
        SnapshotHub(mode="replay"),
        speed=args.speed,
        sinks=out.sinks,
        paused=args.paused,
        from_ns=start,
        until_ns=end,
        scouting=_draws(args),
    )
    if _draws(args):
        return running.run_with_screen(session, config, source.underlyings, vars(args))
    return running.run_headless(session, out)


def _draws(args: argparse.Namespace) -> bool:
    return not getattr(args, "publish", None)


def _need_terminal() -> None:
    from dfmon.tui.terminal import check_terminal

    trouble = check_terminal()
    if trouble:
        raise UsageError(trouble)
