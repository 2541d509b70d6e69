"""`dfmon record`: records every raw frame into a directory and shows its progress.

Progress goes to stderr, since stdout may have JSON lines; on a terminal it is one line that is rewritten.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Final, TextIO

from dfmon.aio import wait_until_set
from dfmon.config import Config
from dfmon.engine.hub import SnapshotHub
from dfmon.model.units import format_hms, sanitize
from dfmon.runtime import composition, runner
from dfmon.store.recorder import Recorder

_LOG_INTERVAL_S: Final = 60
log = logging.getLogger("dfmon")


def run(args: argparse.Namespace, config: Config) -> int:
    """Records until a signal, or for --minutes. Returns 0 or 128 + the signal; 1 if records are missing."""
    hub = SnapshotHub(mode="live")
    out = composition.open_outputs(config, getattr(args, "publish", None) or "", "live")
    session = composition.live_session(config, "live", out, composition.StepErrorLog(), hub)
    assert session.recorder is not None  # the command has a directory
    progress = RecordingProgress(session.recorder, hub, sys.stderr)
    seconds = None if args.minutes is None else args.minutes * 60.0
    code = runner.run_headless(session, out, companion=progress.show_until, seconds=seconds)
    sys.stderr.write(f"{progress.status_line()}\n")
    return code


class RecordingProgress:
    """The progress of a recorder: a line a second on a terminal, one a minute in a log."""

    def __init__(self, recorder: Recorder, hub: SnapshotHub, stream: TextIO) -> None:
        self._recorder, self._hub, self._stream = recorder, hub, stream
        self._started = time.monotonic()

    async def show_until(self, stop: asyncio.Event) -> None:
        """Shows the progress until `stop`."""
        is_terminal = self._stream.isatty()
        seconds = 0
        while not await wait_until_set(stop, 1.0):
            seconds += 1
            if is_terminal:
                self._stream.write(f"\r\x1b[K{self.status_line()[: _terminal_columns()]}")
                self._stream.flush()
            elif seconds % _LOG_INTERVAL_S == 0:
                log.info("%s", self.status_line())
        if is_terminal:
            self._stream.write("\r\x1b[K")

    def status_line(self) -> str:
        """Duration, records, sizes, and problems."""
        recorder = self._recorder
        packed = packed_ratio(recorder.written_bytes, recorder.raw_bytes)
        parts = [
            format_hms(time.monotonic() - self._started),
            f"{recorder.records:,} records",
            f"{recorder.frames:,} frames",
            f"{megabytes(recorder.raw_bytes)} in {megabytes(recorder.written_bytes)}{packed}",
            f"{recorder.segment_count} files" if recorder.segment_count != 1 else "1 file",
            f"{recorder.dropped:,} dropped",
            *self._feed_problems(),
        ]
        if recorder.failure:
            parts.append(recorder.failure)
        return ", ".join(parts)

    def _feed_problems(self) -> Iterator[str]:
        """Feeds that are not live, with their notes."""
        latest_snapshots = [s for name in self._hub.underlyings() if (s := self._hub.latest(name)) is not None]
        for feed in latest_snapshots[0].feeds if latest_snapshots else ():
            if feed.state not in ("live", "slow"):
                yield sanitize(f"{feed.name} {feed.state} {feed.note}".strip(), 80)


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def packed_ratio(packed: int, raw: int) -> str:
    return f" ({packed / raw:.2f})" if raw else ""


def _terminal_columns() -> int:
    return shutil.get_terminal_size().columns - 1
