"""`dfmon evidence`: a source evaluated against what followed, as text, JSON or a page. Progress goes to stderr."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TextIO

import msgspec

from dfmon.config import Config, environment, state_folder
from dfmon.evidence.evaluate import evaluate
from dfmon.evidence.ledger import Ledger
from dfmon.evidence.report_html import as_html
from dfmon.evidence.report_text import as_text
from dfmon.model.errors import EXIT_OK, DfmonError
from dfmon.runtime.stores import open_history_reader

_REDRAW_S = 0.2
_BAR_WIDTH = 24


def run(args: argparse.Namespace, config: Config) -> int:
    """Writes the report and returns 0, whatever it found."""
    path = args.ledger or state_folder(environment()) / "evidence.jsonl"
    ledger = Ledger(path, time.time_ns)
    with _ProgressBar(sys.stderr) as bar:
        report = evaluate(args.source, ledger, bar.advance, lambda: open_history_reader(config))
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    elif args.html is not None:
        _write(args.html, as_html(report))
    else:
        sys.stdout.write(as_text(report))
    sys.stdout.flush()
    return EXIT_OK


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise DfmonError(f"{path}: the page cannot be written: {exc.strerror or exc}") from None


class _ProgressBar:
    """A line on a terminal: a mark that runs, the step, and the seconds. Nothing where there is no terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._is_terminal = out, out.isatty()
        self._start = self._drawn = time.monotonic()
        self._steps = 0

    def __enter__(self) -> _ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def advance(self, step: str) -> None:
        self._steps += 1
        now = time.monotonic()
        if not self._is_terminal or now - self._drawn < _REDRAW_S:
            return
        self._drawn = now
        at = self._steps % _BAR_WIDTH
        bar = "." * at + "#" + "." * (_BAR_WIDTH - at - 1)
        self._out.write(f"\r\x1b[K[{bar}] {step}, {now - self._start:.0f} s")
        self._out.flush()
