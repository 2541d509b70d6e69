"""`dfmon record-book` and `dfmon verify-book`: the dealer book of a day as a file of record, and its check."""

from __future__ import annotations

import argparse
import sys
import time

from dfmon.cli.snapshot import load_snapshot
from dfmon.config import Config
from dfmon.evidence.book_record import record_book, verify_books
from dfmon.model.errors import EXIT_OK


def run(args: argparse.Namespace, config: Config) -> int:
    """Records or verifies, and prints one line."""
    if args.command == "verify-book":
        found = verify_books(args.folder, args.head, time.time_ns)
        text = f"{found.files} books, {found.first} to {found.last}, as they were recorded; last line {found.head}"
    else:
        snapshot, _ = load_snapshot(args, config)
        recorded = record_book(args.folder, snapshot, time.time_ns)
        verb = "recorded" if recorded.is_new else "was recorded before, nothing is written"
        text = f"{recorded.file} {verb}; last line {recorded.head}"
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return EXIT_OK
