"""`dfmon replay --info`: the sessions of a recording, its span, and what of it is damaged or missing."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from dfmon.cli.record import duration, megabytes, share
from dfmon.config import Config, flow_params
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import EXIT_FAILED, EXIT_OK
from dfmon.model.units import SECOND, clean, iso
from dfmon.replay import open_source
from dfmon.store import replayer
from dfmon.store.blocks import Damage


def run(args: argparse.Namespace, config: Config) -> int:
    """Describe FILE on stdout."""
    return describe(Path(args.file), config, sys.stdout)


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
    stream.write(f"{files} files, {megabytes(raw)} in {megabytes(size)}{share(size, raw)}\n")
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
                yield f"  {clean(source, 40)}: {count:,} records, {megabytes(self._bytes[source])}"


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
    return f"{iso(first_ns)} to {iso(last_ns)}, {duration((last_ns - first_ns) / SECOND)}"
