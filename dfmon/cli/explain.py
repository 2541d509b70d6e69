"""`dfmon explain`: a number or a word of a recording, a board or the live market written out, as text or JSON.

A running dfmon publishes sums, not its options, so its URL is no source here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from dfmon.cli.snapshot import live_snapshot, recorded_snapshot
from dfmon.config import Config
from dfmon.engine.explain import EXPLAINED, explain
from dfmon.engine.explain_terms import ALIASES, TERMS, explain_term
from dfmon.engine.what_if import inputs_of
from dfmon.model.errors import EXIT_OK, EXIT_STALE, DfmonError, UsageError
from dfmon.model.units import sanitize
from dfmon.sinks.secret_urls import mask_url


def run(args: argparse.Namespace, config: Config) -> int:
    """Prints the explanation. Returns 0, or 4 if the data are stale."""
    is_metric = args.metric in EXPLAINED
    if not is_metric and args.metric not in TERMS and args.metric not in ALIASES:
        allowed = ", ".join((*EXPLAINED, *TERMS, *ALIASES))
        raise UsageError(f"unknown metric or word {sanitize(args.metric, 30)!r}; allowed: {allowed}")
    currency = config.market.currencies[0] if hasattr(args, "currency") else None
    if args.source is None:
        snapshot = live_snapshot(config, currency or config.market.currencies[0], args.timeout)
    elif "://" in args.source:
        raise UsageError(
            f"{sanitize(mask_url(args.source))}: a running dfmon publishes no options; a file is expected, or nothing"
        )
    else:
        snapshot = recorded_snapshot(Path(args.source), currency, config, vars(args), args.at)
    inputs = inputs_of(snapshot)
    if inputs is None:
        raise DfmonError("the snapshot came without the inputs of its tick")
    explanation = explain(inputs, args.metric) if is_metric else explain_term(inputs, args.metric)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode(explanation) + b"\n")
    else:
        sys.stdout.write(f"{explanation}\n")
    sys.stdout.flush()
    return EXIT_STALE if snapshot.state == "stale" else EXIT_OK
