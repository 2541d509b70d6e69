"""`dfmon record`: every raw frame into a directory, with a line of progress.

Everything goes to stderr while recording, since stdout may carry lines; a terminal gets one line that is rewritten.
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

from dfmon.config import Config
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import EXIT_FAILED
from dfmon.model.units import clean
from dfmon.runtime import composition, runner
from dfmon.store.recorder import Recorder

_LOG_EVERY_S: Final = 60
log = logging.getLogger("dfmon")


def run(args: argparse.Namespace, config: Config) -> int:
    """Record until a signal, or for --minutes. 0 or 128 + the signal; 1 where the end could not be written."""
    hub = SnapshotHub(mode="live")
    out = composition.outputs(config, getattr(args, "publish", None) or "")
    session = composition.live_session(config, "live", out, composition.Faults(), hub)
    assert session.recorder is not None  # the command names the folder
    progress = Progress(session.recorder, hub, sys.stderr)
    seconds = None if args.minutes is None else args.minutes * 60.0
    code = runner.run_headless(session, out, beside=progress.watch, seconds=seconds)
    sys.stderr.write(f"{progress.line()}\n")
    return EXIT_FAILED if session.recorder.failed else code


class Progress:
    """A line a second on a terminal, one a minute in a log."""

    def __init__(self, recorder: Recorder, hub: SnapshotHub, stream: TextIO) -> None:
        self._recorder, self._hub, self._stream = recorder, hub, stream
        self._began = time.monotonic()

    async def watch(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        rewritten = self._stream.isatty()
        seconds = 0
        while not stop.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await stop.wait()
            except TimeoutError:
                seconds += 1
                if rewritten:
                    self._stream.write(f"\r\x1b[K{self.line()[: _columns()]}")
                    self._stream.flush()
                elif seconds % _LOG_EVERY_S == 0:
                    log.info("%s", self.line())
        if rewritten:
            self._stream.write("\r\x1b[K")

    def line(self) -> str:
        """How long, how much, how small, and what is wrong."""
        made = self._recorder
        ratio = share(made.written_bytes, made.raw_bytes)
        said = [
            duration(time.monotonic() - self._began),
            f"{made.records:,} records",
            f"{made.frames:,} frames",
            f"{megabytes(made.raw_bytes)} in {megabytes(made.written_bytes)}{ratio}",
            f"{made.files} files" if made.files != 1 else "1 file",
            f"{made.dropped:,} dropped",
            *self._feeds(),
        ]
        if made.failed:
            said.append(made.failed)
        return ", ".join(said)

    def _feeds(self) -> Iterator[str]:
        """Those that bring nothing."""
        last = [s for name in self._hub.underlyings() if (s := self._hub.latest(name)) is not None]
        for feed in last[0].feeds if last else ():
            if feed.state != "live":
                yield clean(f"{feed.name} {feed.state} {feed.note}".strip(), 80)


def duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def share(packed: int, raw: int) -> str:
    return f" ({packed / raw:.2f})" if raw else ""


def _columns() -> int:
    return shutil.get_terminal_size().columns - 1
