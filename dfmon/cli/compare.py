"""`dfmon compare`: a third party's published figures beside dfmon's, with the cause of each difference."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from dfmon.cli.venue_pairs import pair_lines
from dfmon.config import Config
from dfmon.evidence.conventions import DFMON, MATCH, causes, find_convention, sums
from dfmon.evidence.vendors import VENDORS, Published
from dfmon.evidence.venue_greeks import GreekErrors, compare_deribit, compare_okx
from dfmon.evidence.venue_pairs import pair_files
from dfmon.model.errors import EXIT_OK, UsageError

_VENUES = {"okx": compare_okx, "deribit": compare_deribit}


def run(args: argparse.Namespace, _config: Config) -> int:
    """Prints the comparison."""
    path = Path(args.file)
    if args.chain is not None and args.vendor != "r1quant":
        raise UsageError(f"dfmon compare {args.vendor} takes no --chain: its file has the options")
    if args.vendor != "venues" and (args.other is not None or args.json):
        raise UsageError(f"dfmon compare {args.vendor} takes no --other and no --json: dfmon compare venues does")
    if args.vendor == "venues":
        lines = _venue_lines(path, args.other, is_json=args.json)
    elif args.vendor in _VENUES:
        lines = _greek_lines(_VENUES[args.vendor](path))
    else:
        lines = _figure_lines(VENDORS[args.vendor](path, args.chain))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return EXIT_OK


def _venue_lines(path: Path, other: Path | None, *, is_json: bool) -> Iterator[str]:
    if other is None:
        raise UsageError("dfmon compare venues needs --other FILE, the boards of the other venue")
    pairs, skipped = pair_files(path, other)
    if is_json:
        return (msgspec.json.encode(pair).decode() for pair in pairs)
    return chain(pair_lines(pairs, "the first", "the second"), (f"left out: {sentence}" for sentence in skipped))


def _greek_lines(found: GreekErrors) -> Iterator[str]:
    yield f"{found.venue}: {found.rows:,} rows compared, {found.left_out:,} without greeks, volatility or forward"
    yield f"  convention: {found.convention}"
    yield f"  rows that dfmon cannot price: {found.invalid}"
    yield f"  |delta - dfmon's|: median {found.delta_median:.1e}, 99 % {found.delta_p99:.1e}"
    yield f"  |gamma / dfmon's - 1|: median {found.gamma_median:.1e}, 99 % {found.gamma_p99:.1e}"


def _figure_lines(published: Published) -> Iterator[str]:
    options = published.chain
    match = find_convention(options, published.figures)
    yield f"{published.vendor}: {len(options.strike):,} options, spot {options.spot:,.2f}"
    yield f"  its figures are {match.convention}"
    verdict = "to every digit" if match.error < MATCH else f"to {match.error:.1e} of the largest"
    yield f"  reproduced {verdict}"
    yield f"  dfmon's naive model is {DFMON}"
    for sentence in causes(options, match.convention):
        yield f"  {published.vendor} {sentence}"
    if not np.isfinite(options.forward).any():
        yield "  the file has no forwards: dfmon's figures here stand on spot"
    theirs, ours = options.exposure(match.convention), options.exposure(DFMON)
    for figure, values in published.figures.items():
        yield f"\n  {figure:<14}{'published':>20}{'reproduced':>20}{'dfmon, M USD/1 %':>20}"
        reproduced, own = sums(options, theirs, figure), sums(options, ours, figure)
        for name, value in values.items():
            yield f"  {name:<14}{value:>20.9f}{reproduced.get(name, 0.0):>20.9f}{own.get(name, 0.0) / 1e6:>20.4f}"
    yield from (f"  left out: {note}" for note in published.notes)
