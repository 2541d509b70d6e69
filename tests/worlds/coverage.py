"""What worlds have reached: faults that were injected and mattered, transitions, and pairs of faults at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from dfmon.model.snapshot import FlowSnapshot
from tests.worlds.faults import FAULTS


class Coverage(msgspec.Struct):
    """Counts by name. `effective` faults changed bytes, answers, clocks or files; after `changed` ones a state of the
    program was another before they ended or until half a minute later.
    """

    injected: Counter[str] = msgspec.field(default_factory=Counter)
    effective: Counter[str] = msgspec.field(default_factory=Counter)
    changed: Counter[str] = msgspec.field(default_factory=Counter)
    transitions: Counter[str] = msgspec.field(default_factory=Counter)
    pairs: Counter[str] = msgspec.field(default_factory=Counter)

    def begin(self, fault: str, active: Sequence[str]) -> None:
        self.injected[fault] += 1
        for other in active:
            self.pairs[" + ".join(sorted((fault, other)))] += 1

    def end(self, fault: str, effects: int) -> None:
        self.effective[fault] += effects > 0

    def add_snapshot(self, before: FlowSnapshot | None, now: FlowSnapshot) -> None:
        """Counts what changed from one snapshot to the next."""
        if before is None:
            return
        pairs = [("state", before.state, now.state), ("overlay", before.scenario.overlay, now.scenario.overlay)]
        pairs += [("model", before.positions.model, now.positions.model)]
        pairs += [("scenario", before.scenario.name, now.scenario.name)]
        pairs += [(f"feed {a.name}", a.state, b.state) for a, b in zip(before.feeds, now.feeds)]
        names = before.metrics.__struct_fields__
        pairs += [
            ("quality", getattr(before.metrics, name).quality, getattr(now.metrics, name).quality) for name in names
        ]
        for what, old, new in pairs:
            if old != new:
                self.transitions[f"{what}: {old} > {new}"] += 1

    def merge(self, others: Iterable[Coverage]) -> Coverage:
        """The sum of this and others."""
        for other in others:
            for name in self.__struct_fields__:
                getattr(self, name).update(getattr(other, name))
        return self

    def table(self) -> str:
        """One line for each fault, and the totals."""
        rows = [f"{'fault':<18} injected  took effect  changed a path"]
        for fault in sorted(self.injected):
            rows.append(
                f"{fault:<18} {self.injected[fault]:>8}  {self.effective[fault]:>11}  {self.changed[fault]:>14}"
            )
        kinds = Counter(name.partition(":")[0].split()[0] for name in self.transitions)
        reached = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        possible = len(FAULTS) * (len(FAULTS) + 1) // 2
        rows.append(f"transitions reached: {len(self.transitions)} ({reached})")
        rows.append(f"pairs of faults at once: {len(self.pairs)} of {possible}")
        return "\n".join(rows)
