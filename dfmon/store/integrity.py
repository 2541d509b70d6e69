"""Irregularities of a recording as typed records: missing, repeated and reordered records, and a clock set back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from dfmon.engine.journal import Record, RecordKind
from dfmon.model.units import SECOND
from dfmon.store.blocks import Damage
from dfmon.store.replayer import missing_count

IrregularityKind = Literal["gap", "duplicate", "reorder", "clock"]
_TITLES: Final = {
    "gap": "records missing",
    "duplicate": "records repeated",
    "reorder": "times numbers run backwards",
    "clock": "times the clock was set back",
}


class Irregularity(NamedTuple):
    """One irregularity at record `seq`, between two receive times, ns; 0 where they are not known.

    `size` is the number of records, and of a clock that was set back the nanoseconds.
    """

    kind: IrregularityKind
    from_ns: int
    until_ns: int
    seq: int
    size: int


class IntegrityCheck:
    """Takes the records of a recording in order, with gaps, and collects what is irregular."""

    def __init__(self) -> None:
        self.found: list[Irregularity] = []
        self._last_ns = 0

    def new_session(self) -> None:
        """The next record is of another session, between which nothing is missing."""
        self._last_ns = 0

    def add_record(self, record: Record) -> None:
        before_ns, self._last_ns = self._last_ns, record.recv_ns
        if record.kind is RecordKind.GAP:
            missing = missing_count(record)
            kind: IrregularityKind = "gap" if missing else "reorder"
            self.found.append(Irregularity(kind, before_ns, record.recv_ns, record.seq, missing or 1))
        if record.recv_ns < before_ns:
            self.found.append(Irregularity("clock", record.recv_ns, before_ns, record.seq, before_ns - record.recv_ns))

    def add_damage(self, damage: Iterable[Damage]) -> None:
        """Blocks that are there twice."""
        for each in damage:
            if each.repeated:
                self.found.append(Irregularity("duplicate", 0, 0, each.first_seq, each.repeated))

    def line(self) -> str:
        """All counts in one line."""
        counts: Counter[str] = Counter()
        for each in self.found:
            counts[each.kind] += 1 if each.kind == "clock" else each.size
        text = ", ".join(f"{counts[kind]:,} {title}" for kind, title in _TITLES.items())
        back_ns = max((each.size for each in self.found if each.kind == "clock"), default=0)
        return f"integrity: {text}" + (f" (at most {back_ns / SECOND:.3f} s)" if back_ns else "")
