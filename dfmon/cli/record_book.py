"""`dfmon record-book` and `dfmon verify-book`: the dealer book of a day as a file of record, and its check."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import msgspec

from dfmon.cli.snapshot import load_snapshot
from dfmon.config import Config
from dfmon.evidence.book_record import record_book, verify_books
from dfmon.model.errors import EXIT_OK


def run(args: argparse.Namespace, config: Config) -> int:
    """Records or verifies, and prints a line, of a record one for each coin."""
    if args.command == "verify-book":
        found = verify_books(args.folder, args.head, time.time_ns)
        text = f"{found.files} books, {found.first} to {found.last}, as they were recorded; last line {found.head}"
        sys.stdout.write(f"{text}\n")
        return EXIT_OK
    for of_coin in _configs(args, config):
        snapshot, _ = load_snapshot(args, of_coin)
        recorded = record_book(args.folder, snapshot, time.time_ns)
        verb = "recorded" if recorded.is_new else "was recorded before, nothing is written"
        sys.stdout.write(f"{recorded.file} {verb}; last line {recorded.head}\n")
        sys.stdout.flush()
    return EXIT_OK


def _configs(args: argparse.Namespace, config: Config) -> Iterator[Config]:
    """A configuration for each coin to record: of a file the one that is in it, unless --currency names others."""
    if not hasattr(args, "currency") and args.source is not None and "://" not in args.source:
        yield config
        return
    for coin in config.market.currencies:
        yield msgspec.structs.replace(config, market=msgspec.structs.replace(config.market, currencies=(coin,)))
