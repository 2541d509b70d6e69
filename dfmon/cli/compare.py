"""`dfmon compare`: a third party's published figures beside dfmon's, with the cause of each difference."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from dfmon.cli.vendor_figures import figure_lines
from dfmon.cli.venue_pairs import pair_lines
from dfmon.config import Config
from dfmon.evidence.r1quant import read_r1quant
from dfmon.evidence.tera1oo4 import read_tera1oo4
from dfmon.evidence.venue_greeks import GreekErrors, compare_deribit, compare_okx
from dfmon.evidence.venue_pairs import pair_files
from dfmon.model.errors import EXIT_OK, UsageError

_VENDORS = {"r1quant": read_r1quant, "tera1oo4": read_tera1oo4}
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
        lines = figure_lines(_VENDORS[args.vendor](path, args.chain))
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
