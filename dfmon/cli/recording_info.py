"""`dfmon replay --info`: the sessions of a recording, its span, and its damaged or missing parts."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from dfmon.cli.record import megabytes, packed_ratio
from dfmon.config import Config, flow_params
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import EXIT_FAILED, EXIT_OK
from dfmon.model.units import SECOND, format_hms, iso, sanitize
from dfmon.replay import open_source
from dfmon.store import replayer
from dfmon.store.blocks import Damage
from dfmon.store.integrity import IntegrityCheck


def run(args: argparse.Namespace, config: Config) -> int:
    """Describes FILE on stdout."""
    return describe_recording(Path(args.file), config, sys.stdout)


def describe_recording(path: Path, config: Config, stream: TextIO) -> int:
    """Writes the contents of `path`. Returns 0 if all of it is readable, 1 if something is missing or damaged."""
    if not replayer.is_recording(path):
        source = open_source(path, None, flow_params(config))
        first, latest_snapshots = source.span()
        stream.write(f"{source.kind} of {', '.join(source.underlyings)}\n{_span(first, latest_snapshots)}\n")
        return EXIT_OK
    recorded = replayer.RecordingReader(path)
    damage: list[Damage] = []
    integrity = IntegrityCheck()
    sessions = _summarize(recorded, damage, integrity)
    size = sum(block.end - block.offset for block in recorded.blocks)
    segment_count = len({block.path for block in recorded.blocks})
    raw = sum(session.bytes for session in sessions)
    stream.write(f"{segment_count} files, {megabytes(raw)} in {megabytes(size)}{packed_ratio(size, raw)}\n")
    stream.writelines("\n".join(session.summary_lines()) + "\n" for session in sessions)
    stream.writelines(f"{damaged}\n" for damaged in damage)
    integrity.add_damage(damage)
    stream.write(f"{integrity.line()}\n")
    missing_count = sum(session.missing_count for session in sessions)
    stream.write(
        "complete\n" if not damage and not missing_count else f"damaged: {missing_count:,} records are missing\n"
    )
    return EXIT_OK if not damage and not missing_count else EXIT_FAILED


class _SessionSummary:
    """Counts of one session of a recording."""

    def __init__(self, session_info: dict[str, object]) -> None:
        self._session_info = session_info
        self._kinds: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._first_ns = self._last_ns = 0
        self.missing_count = 0

    @property
    def bytes(self) -> int:
        return self._bytes.total()

    def add_record(self, record: Record) -> None:
        if record.kind is RecordKind.GAP:
            self.missing_count += replayer.missing_count(record)
        self._first_ns, self._last_ns = self._first_ns or record.recv_ns, record.recv_ns
        self._kinds[record.kind.name.lower()] += 1
        self._sources[record.source] += 1
        self._bytes[record.source] += len(record.payload)

    def summary_lines(self) -> Iterator[str]:
        parts = self._session_info
        names = parts.get("underlyings")
        listed = ", ".join(map(str, names)) if isinstance(names, list) else "?"
        yield sanitize(f"session of dfmon {parts.get('dfmon', '?')}, {parts.get('mode', '?')}: {listed}")
        yield f"  {_span(self._first_ns, self._last_ns)}"
        yield f"  {self._kinds.total():,} records: " + ", ".join(
            f"{n:,} {kind}" for kind, n in self._kinds.most_common()
        )
        for source, count in self._sources.most_common():
            if source:
                yield f"  {sanitize(source, 40)}: {count:,} records, {megabytes(self._bytes[source])}"


def _summarize(
    recorded: replayer.RecordingReader, damage: list[Damage], integrity: IntegrityCheck
) -> list[_SessionSummary]:
    sessions: list[_SessionSummary] = []
    for record, _ in recorded.records(allow_gaps=True, damage=damage):
        if record.kind is RecordKind.SESSION:
            sessions.append(_SessionSummary(replayer.session_info(record)))
            integrity.new_session()
        else:
            sessions = sessions or [_SessionSummary({})]
            sessions[-1].add_record(record)
            integrity.add_record(record)
    return sessions


def _span(first_ns: int, last_ns: int) -> str:
    return f"{iso(first_ns)} to {iso(last_ns)}, {format_hms((last_ns - first_ns) / SECOND)}"
