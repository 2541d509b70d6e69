"""`dfmon export`: rows of the history as CSV or Parquet, from the embedded store or ClickHouse, block by block."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from dfmon.cli.progress_bar import ProgressBar
from dfmon.config import Config
from dfmon.model.errors import EXIT_OK, DfmonError, UsageError
from dfmon.model.units import iso, sanitize
from dfmon.replay.time_spec import parse_time
from dfmon.runtime.stores import open_history_reader
from dfmon.store.history_export import TICK_COLUMNS, Selection, read_blocks
from dfmon.store.history_interface import HistorySource
from dfmon.store.history_tables import RECORD_TABLES, ROLLED_COLUMNS, SPAN_NS, TICKS
from dfmon.store.table_files import CsvWriter, OutputFile


def run(args: argparse.Namespace, config: Config) -> int:
    """Writes the rows and says how many. Raises DfmonError; a file that is not complete is removed."""
    names = _columns(args.table, args.metrics)
    with open_history_reader(config) as source:
        selection = _select(source, args, config, names)
        bar = ProgressBar(sys.stderr, "dfmon export")
        if args.file == "-":
            writer = CsvWriter(sys.stdout.buffer, selection.header())
            for block in read_blocks(source, selection):
                writer.write(block.cells)
            writer.close()
            return EXIT_OK
        rows = _write_file(source, selection, Path(args.file), bar)
    period = f"{iso(selection.since_ns)} to {iso(selection.until_ns)}"
    sys.stdout.write(f"{rows:,} rows of {args.table}, {', '.join(selection.underlyings)}, {period}: {args.file}\n")
    return EXIT_OK


def _write_file(source: HistorySource, selection: Selection, path: Path, bar: ProgressBar) -> int:
    output, rows = OutputFile(path, selection.header()), 0
    try:
        for block in read_blocks(source, selection):
            if block.rows:
                output.write(block.cells)
            rows += block.rows
            bar.draw(block.share, f"{100.0 * block.share:.0f} %, {rows:,} rows")
        output.complete()
    except BaseException:
        with suppress(OSError):
            output.discard()
        raise
    finally:
        bar.clear()
    return rows


def _columns(table: str, metrics: str | None) -> tuple[str, ...]:
    """The names of --metrics. Raises UsageError for one that the table has not."""
    if metrics is None:
        return ()
    if table in RECORD_TABLES:
        raise UsageError(f"--metrics is for ticks, minutes and hours; {table} has columns of its own")
    names = tuple(filter(None, (name.strip() for name in metrics.split(","))))
    allowed = TICK_COLUMNS if table == TICKS else ROLLED_COLUMNS
    if unknown := [name for name in names if name not in allowed]:
        raise UsageError(f"--metrics {sanitize(unknown[0], 40)} is unknown, allowed: {', '.join(allowed)}")
    return names


def _select(source: HistorySource, args: argparse.Namespace, config: Config, names: tuple[str, ...]) -> Selection:
    """The selection of the options; without --currency every underlying of the history."""
    stored = source.underlyings()
    chosen = config.market.currencies if hasattr(args, "currency") else stored
    if missing := [name for name in chosen if name not in stored]:
        raise UsageError(
            f"the history has no {sanitize(missing[0])}; it has {', '.join(map(sanitize, stored)) or 'nothing yet'}"
        )
    ranges = [found for name in chosen if (found := source.time_range(args.table, name))]
    if not ranges:
        raise DfmonError(f"the history has no {args.table} yet")
    first_ns, last_ns = min(first for first, _ in ranges), max(last for _, last in ranges)
    if args.table in SPAN_NS:
        first_ns -= first_ns % SPAN_NS[args.table]  # the first one has begun before its first tick
    since_ns, until_ns = (
        default if text is None else _parse(option, text, first_ns, last_ns)
        for option, text, default in (("--from", args.start, first_ns), ("--to", args.end, last_ns + 1))
    )
    if since_ns >= until_ns:
        raise UsageError(f"--from {iso(since_ns)} is not before --to {iso(until_ns)}")
    return Selection(args.table, tuple(chosen), since_ns, until_ns, names)


def _parse(option: str, text: str, first_ns: int, last_ns: int) -> int:
    try:
        return parse_time(text, first_ns, last_ns)
    except UsageError as exc:
        raise UsageError(f"{option}: {exc}") from None
