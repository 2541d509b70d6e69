"""Everything one frame is drawn from, gathered once: snapshot, history, runtime and the user's choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dfmon.engine.hub import Runtime
from dfmon.model.snapshot import Alert, Detail, FlowSnapshot, Metric, MetricRow, State
from dfmon.model.units import MINUTE, SECOND
from dfmon.tui.series import since
from dfmon.tui.view import SPANS, View

STALE_AFTER_NS: Final = 3 * SECOND
SLOW_FOR_NS: Final = 15 * SECOND
_ENOUGH_ROWS: Final = 4
_FLAT = 0.02  # a move below this share of the range seen is flat


@dataclass(frozen=True, slots=True)
class Frame:
    """`snapshot` is what is drawn (held while paused), `newest` what the market is at.

    `allowed` is what may be typed into an open prompt.
    """

    now_ns: int
    mode: State
    view: View
    snapshot: FlowSnapshot | None = None
    newest: FlowSnapshot | None = None
    rows: Sequence[MetricRow] = ()
    runtime: Runtime = field(default_factory=Runtime)
    rate_hz: float = 1.0
    waited_s: float = 0.0
    paused: bool = False
    hidden: int = 0
    skipped: int = 0
    skipped_ns: int = 0
    draw_ms: float = 0.0
    faults: tuple[str, ...] = ()
    allowed: str = ""

    @property
    def stale_s(self) -> float | None:
        """Seconds without a snapshot, once that is too long; a replay is never late."""
        if self.newest is None or self.mode == "replay":
            return None
        late = self.now_ns - self.newest.ts_ns
        return late / SECOND if late > STALE_AFTER_NS else None

    @property
    def stale(self) -> bool:
        return self.stale_s is not None or (self.newest is not None and self.newest.state == "stale")

    @property
    def detail(self) -> Detail | None:
        detail = self.snapshot.detail if self.snapshot is not None else None
        return detail if isinstance(detail, Detail) else None

    @property
    def clock_ns(self) -> int:
        """The time the screen speaks of: now, or the moment of the recording."""
        return self.snapshot.ts_ns if self.mode == "replay" and self.snapshot is not None else self.now_ns

    @property
    def slow(self) -> bool:
        """The terminal has lately been too slow for a frame; one hiccup at the start is soon forgotten."""
        return self.skipped > 0 and self.now_ns - self.skipped_ns < SLOW_FOR_NS

    @property
    def span(self) -> tuple[str, int]:
        """The span chosen, or the next one with something to draw: recorded boards stand hours apart."""
        for name, span_ns in SPANS[self.view.span :]:
            if len(since(self.rows, self.clock_ns - span_ns)) >= min(_ENOUGH_ROWS, len(self.rows)):
                return name, span_ns
        return SPANS[-1]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Newest first."""
        detail = self.detail
        return tuple(sorted(detail.alerts, key=lambda a: -a.ts_ns)) if detail else ()

    @property
    def unread(self) -> int:
        return sum(a.ts_ns > self.view.alerts_read_ns for a in self.alerts)

    def shade(self, style: str) -> str:
        """`style`, or dim where the screen is stale."""
        return "dim" if self.stale else style

    def waiting(self) -> str:
        """What an empty panel says."""
        return f"waiting for data  {self.waited_s:.0f}s"


def values_of(rows: Sequence[MetricRow], name: str) -> list[float]:
    """One column of history, NaN where there was no value."""
    at = MetricRow._fields.index(name)
    return [float(row[at]) for row in rows]


def range_seen(rows: Sequence[MetricRow], name: str, metric: Metric) -> float:
    """The largest size of a metric in the history at hand and in its own band: the full length of its bar."""
    sizes = [abs(v) for v in values_of(rows, name) if not math.isnan(v)]
    sizes += [abs(v) for v in (metric.value, metric.lo, metric.hi) if v is not None]
    return max(sizes, default=0.0)


def trend(rows: Sequence[MetricRow], name: str, scale: float) -> str:
    """▲ ▼ ■ against the value a minute ago (or the oldest, when younger); blank before ten seconds are known."""
    if not rows:
        return " "
    newest = rows[-1]
    old = newest
    for row in reversed(rows):
        old = row
        if newest.ts_ns - row.ts_ns >= MINUTE:
            break
    if newest.ts_ns - old.ts_ns < 10 * SECOND:
        return " "
    at = MetricRow._fields.index(name)
    move = float(newest[at]) - float(old[at])
    if math.isnan(move):
        return " "
    return "■" if abs(move) <= _FLAT * scale else "▲" if move > 0 else "▼"
