"""`dfmon` and `dfmon --publish`: the live market on the screen, or headless."""

from __future__ import annotations

import argparse

from dfmon.config import Config
from dfmon.model.snapshot import State
from dfmon.runtime import composition, runner
from dfmon.runtime.clock import WALL_CLOCK, SessionClock
from dfmon.runtime.stores import RowLoader, history_loader


def run(
    args: argparse.Namespace,
    config: Config,
    mode: State,
    clock: SessionClock = WALL_CLOCK,
    load_past: RowLoader | None = None,
) -> int:
    """Runs until the user or a signal ends it; `mode` is live for the venues and sim for the simulated exchange.

    `load_past` has the rows of the charts before the start; without it they are those of the history.
    """
    publish = getattr(args, "publish", None)
    out = composition.open_outputs(config, publish or "", mode)
    session = composition.live_session(config, mode, out, composition.StepErrorLog(), clock=clock)
    if publish:
        return runner.run_headless(session, out, config_source=args.config_source)
    load_past = load_past or history_loader(config, mode)
    return runner.run_with_screen(session, config, config.market.currencies, vars(args), clock, load_past)
