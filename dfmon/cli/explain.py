"""`dfmon explain`: a number or a word of a file, of a running dfmon or of the live market, as text or JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from dfmon.cli.remote_snapshot import remote_explanation
from dfmon.cli.snapshot import live_snapshot, recorded_snapshot
from dfmon.config import Config
from dfmon.engine.explain import EXPLAINED, explain
from dfmon.engine.explain_terms import ALIASES, TERMS, explain_term
from dfmon.engine.what_if import inputs_of
from dfmon.model.errors import EXIT_OK, EXIT_STALE, DfmonError, UsageError
from dfmon.model.explain import Explanation, TermExplanation
from dfmon.model.units import sanitize


def run(args: argparse.Namespace, config: Config) -> int:
    """Prints the explanation. Returns 0, or 4 if the data are stale."""
    is_metric = args.metric in EXPLAINED
    if not is_metric and args.metric not in TERMS and args.metric not in ALIASES:
        allowed = ", ".join((*EXPLAINED, *TERMS, *ALIASES))
        raise UsageError(f"unknown metric or word {sanitize(args.metric, 30)!r}; allowed: {allowed}")
    currency = config.market.currencies[0] if hasattr(args, "currency") else None
    if args.source is not None and "://" in args.source:
        model = config.market.positions if hasattr(args, "positions") else None
        explanation = remote_explanation(args.source, args.metric, currency, model, config, args.timeout)
    else:
        explanation = _local_explanation(args, currency, config)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode(explanation) + b"\n")
    else:
        sys.stdout.write(f"{explanation}\n")
    sys.stdout.flush()
    return EXIT_STALE if explanation.stale else EXIT_OK


def _local_explanation(args: argparse.Namespace, currency: str | None, config: Config) -> Explanation | TermExplanation:
    """The explanation from the options of a file or of the live market."""
    if args.source is None:
        snapshot = live_snapshot(config, currency or config.market.currencies[0], args.timeout)
    else:
        snapshot = recorded_snapshot(Path(args.source), currency, config, vars(args), args.at)
    inputs = inputs_of(snapshot)
    if inputs is None:
        raise DfmonError("the snapshot came without the inputs of its tick")
    function = explain if args.metric in EXPLAINED else explain_term
    return function(inputs, args.metric)
