"""`dfmon record`, and what `dfmon replay --info` says of a recording: progress, a summary, an inventory, damage.

Everything goes to stderr while recording, since stdout may carry lines; a terminal gets one line that is rewritten.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from dfmon import app, running
from dfmon.config import Config, flow_params
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import EXIT_FAILED, EXIT_OK
from dfmon.model.units import SECOND, clean, iso
from dfmon.replay import open_source
from dfmon.store import replayer
from dfmon.store.blocks import Damage
from dfmon.store.recorder import Recorder

_LOG_EVERY_S: Final = 60
log = logging.getLogger("dfmon")


def run(args: argparse.Namespace, config: Config) -> int:
    """Record until a signal, or for --minutes. 0 or 128 + the signal; 1 where the end could not be written."""
    hub = SnapshotHub(mode="live")
    out = app.outputs(config, getattr(args, "publish", None) or "")
    session = app.live_session(config, "live", out, app.Faults(), hub)
    assert session.recorder is not None  # the command names the folder
    progress = Progress(session.recorder, hub, sys.stderr)
    seconds = None if args.minutes is None else args.minutes * 60.0
    code = running.run_headless(session, out, beside=progress.watch, seconds=seconds)
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
        share = _share(made.written_bytes, made.raw_bytes)
        said = [
            _duration(time.monotonic() - self._began),
            f"{made.records:,} records",
            f"{made.frames:,} frames",
            f"{_megabytes(made.raw_bytes)} in {_megabytes(made.written_bytes)}{share}",
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


def describe(path: Path, config: Config, stream: TextIO) -> int:
    """Write what `path` holds; 0 where all of it can be read, 1 where something is missing or damaged."""
    if not replayer.is_recording(path):
        source = open_source(path, None, flow_params(config))
        first, last = source.span()
        stream.write(f"{type(source).__name__.lower()} of {', '.join(source.underlyings)}\n{_span(first, last)}\n")
        return EXIT_OK
    recorded = replayer.Recorded(path)
    damage: list[Damage] = []
    sessions = _count(recorded, damage)
    size = sum(block.end - block.at for block in recorded.blocks)
    files = len({block.path for block in recorded.blocks})
    raw = sum(part.bytes for part in sessions)
    stream.write(f"{files} files, {_megabytes(raw)} in {_megabytes(size)}{_share(size, raw)}\n")
    stream.writelines("\n".join(part.lines()) + "\n" for part in sessions)
    stream.writelines(f"{found}\n" for found in damage)
    missing = sum(part.missing for part in sessions)
    stream.write("whole\n" if not damage and not missing else f"damaged: {missing:,} records are missing\n")
    return EXIT_OK if not damage and not missing else EXIT_FAILED


class _Part:
    """One session of a recording."""

    def __init__(self, about: dict[str, object]) -> None:
        self._about = about
        self._kinds: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._first_ns = self._last_ns = 0
        self.missing = 0

    @property
    def bytes(self) -> int:
        return self._bytes.total()

    def add(self, record: Record) -> None:
        if record.kind is RecordKind.GAP:
            self.missing += replayer.missing(record)
        self._first_ns, self._last_ns = self._first_ns or record.recv_ns, record.recv_ns
        self._kinds[record.kind.name.lower()] += 1
        self._sources[record.source] += 1
        self._bytes[record.source] += len(record.payload)

    def lines(self) -> Iterator[str]:
        said = self._about
        names = said.get("underlyings")
        listed = ", ".join(map(str, names)) if isinstance(names, list) else "?"
        yield clean(f"session of dfmon {said.get('dfmon', '?')}, {said.get('mode', '?')}: {listed}")
        yield f"  {_span(self._first_ns, self._last_ns)}"
        yield f"  {self._kinds.total():,} records: " + ", ".join(
            f"{n:,} {kind}" for kind, n in self._kinds.most_common()
        )
        for source, count in self._sources.most_common():
            if source:
                yield f"  {clean(source, 40)}: {count:,} records, {_megabytes(self._bytes[source])}"


def _count(recorded: replayer.Recorded, damage: list[Damage]) -> list[_Part]:
    parts: list[_Part] = []
    for record, _ in recorded.records(allow_gaps=True, damage=damage):
        if record.kind is RecordKind.SESSION:
            parts.append(_Part(replayer.about(record)))
        else:
            parts = parts or [_Part({})]
            parts[-1].add(record)
    return parts


def _span(first_ns: int, last_ns: int) -> str:
    return f"{iso(first_ns)} to {iso(last_ns)}, {_duration((last_ns - first_ns) / SECOND)}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _share(packed: int, raw: int) -> str:
    return f" ({packed / raw:.2f})" if raw else ""


def _columns() -> int:
    return shutil.get_terminal_size().columns - 1
