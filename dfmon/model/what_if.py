"""A market that moved, or other assumptions, and the metrics before and after."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dfmon.model.explain import number


class Shock(msgspec.Struct, frozen=True):
    """A move at once: spot and forwards per cent, all volatilities points, and hours that pass for every option."""

    spot_pct: float = 0.0
    vol_points: float = 0.0
    hours: float = 0.0


class MetricChange(msgspec.Struct, frozen=True):
    """One metric before and after, with 5-95 % bands where the positions have members. None where it has no value.

    `note` says why two values have no change, as sums of unlike terms, or what else is in the one after.
    """

    name: str
    title: str
    unit: str
    before: float | None
    before_lo: float | None
    before_hi: float | None
    after: float | None
    after_lo: float | None
    after_hi: float | None
    change: float | None
    note: str = ""


class WhatIf(msgspec.Struct, frozen=True):
    """Every metric and the gamma flip of one tick, as it was and under a shock and other assumptions.

    `assumed` are the parameters that differ, as text; `left_out` counts the options that the shock expires. `ts` is
    empty for a board without a date.
    """

    underlying: str
    ts: str
    model: str
    shock: Shock
    assumed: Mapping[str, str]
    rows: tuple[MetricChange, ...]
    left_out: int

    def __getitem__(self, name: str) -> MetricChange:
        """The row of a metric, or of "flip"."""
        return next(row for row in self.rows if row.name == name)

    def __str__(self) -> str:
        lines = [self.headline, f"{'':<18} {'before':>16} {'after':>16} {'change':>16}"]
        for row in self.rows:
            numbers = " ".join(f"{number(value):>16}" for value in (row.before, row.after, row.change))
            note = f"  {row.note}" if row.note else ""
            lines.append(f"{row.name:<18} {numbers}  {row.unit}{note}")
        return "\n".join(lines)

    @property
    def headline(self) -> str:
        """The shock and the assumptions in one line."""
        shock = self.shock
        parts = [f"spot {shock.spot_pct:+g} %", f"volatility {shock.vol_points:+g} points", f"{shock.hours:g} h later"]
        parts += [f"{name} {value}" for name, value in self.assumed.items()]
        expired = f" ({self.left_out} options expire)" if self.left_out else ""
        moment = f"{self.underlying} {self.ts}".strip()
        return f"{moment}, positions {self.model}: {', '.join(parts)}{expired}"
