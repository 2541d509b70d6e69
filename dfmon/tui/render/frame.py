"""The input of one frame: snapshot, history, runtime and the user's choices."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from msgspec import UNSET, structs

from dfmon.core.freshness import aged
from dfmon.engine.hub import Runtime
from dfmon.model.snapshot import Alert, Detail, FlowSnapshot, Metric, MetricRow, State
from dfmon.model.units import MINUTE, SECOND
from dfmon.tui.computation import Computed
from dfmon.tui.heatmap_slices import Slice
from dfmon.tui.keymap import label_of
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.formatting import cell_text
from dfmon.tui.view import SPANS, View

STALE_AFTER_NS: Final = 3 * SECOND
STALE_INTERVALS: Final = 2.5  # between snapshots, where they are seldom
SLOW_NOTICE_NS: Final = 15 * SECOND
_MIN_SPAN_ROWS: Final = 4
_FLAT_SHARE = 0.02  # a change below this share of the range is flat

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `snapshot` is drawn and stands still while paused; `latest_snapshot` is the newest one.

    `others` are the newest snapshots of the other underlyings. `slices` are heat-maps of the last hour. `prompt_hint`
    is the hint beside an open input line.
    """

    now_ns: int
    mode: State
    view: View
    snapshot: FlowSnapshot | None = None
    latest_snapshot: FlowSnapshot | None = None
    others: tuple[FlowSnapshot, ...] = ()
    rows: Sequence[MetricRow] = ()
    slices: Sequence[Slice] = ()
    runtime: Runtime = field(default_factory=Runtime)
    rate_hz: float = 1.0
    waited_s: float = 0.0
    clock_speed: float = 1.0
    paused: bool = False
    hidden_snapshots: int = 0
    skipped_frames: int = 0
    last_skip_ns: int = 0
    draw_ms: float = 0.0
    faults: tuple[str, ...] = ()
    prompt_hint: str = ""

    @property
    def stale_s(self) -> float | None:
        """Seconds without a snapshot where that is too long for the interval of this run; None for a replay."""
        if self.latest_snapshot is None or self.mode == "replay":
            return None
        age_ns = (self.now_ns - self.latest_snapshot.ts_ns) / self.clock_speed
        limit_ns = max(STALE_AFTER_NS, STALE_INTERVALS * self.runtime.interval_s * SECOND)
        return age_ns / SECOND if age_ns > limit_ns else None

    @property
    def stale(self) -> bool:
        return self.stale_s is not None or (self.latest_snapshot is not None and self.latest_snapshot.state == "stale")

    @property
    def detail(self) -> Detail | None:
        detail = self.snapshot.detail if self.snapshot is not None else None
        return detail if isinstance(detail, Detail) else None

    @property
    def clock_ns(self) -> int:
        """The time shown: now, or that of the recording."""
        return self.snapshot.ts_ns if self.mode == "replay" and self.snapshot is not None else self.now_ns

    @property
    def terminal_slow(self) -> bool:
        """True for some seconds after a frame was skipped."""
        return self.skipped_frames > 0 and self.now_ns - self.last_skip_ns < SLOW_NOTICE_NS * self.clock_speed

    @property
    def shown_span(self) -> tuple[str, int]:
        """The span chosen, or the next one with enough rows: recorded boards are hours apart."""
        for name, span_ns in SPANS[self.view.span :]:
            if len(rows_since(self.rows, self.clock_ns - span_ns)) >= min(_MIN_SPAN_ROWS, len(self.rows)):
                return name, span_ns
        return SPANS[-1]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Newest first."""
        detail, latest = self.detail, self.latest_snapshot
        of_rules = () if latest is None or latest.rule_alerts is UNSET else latest.rule_alerts
        return tuple(sorted((*(detail.alerts if detail else ()), *of_rules), key=lambda a: -a.ts_ns))

    @property
    def unread_alert_count(self) -> int:
        return sum(a.ts_ns > self.view.alerts_read_ns for a in self.alerts)

    def computed(self, name: str) -> Computed | None:
        """The last result under this name, if it is of the underlying and the position model on screen."""
        found = self.view.computed.get(name)
        if found is None or self.snapshot is None:
            return None
        return found if found.key[:2] == (self.snapshot.underlying, self.snapshot.positions.model) else None

    def result(self, name: str, kind: type[_Result]) -> _Result | None:
        """The value of `computed`, None where it is of another kind: a failure has none."""
        found = self.computed(name)
        return found.value if found is not None and isinstance(found.value, kind) else None

    def missing_text(self, name: str, subject: str, without_market: str) -> str:
        """The text of a sheet without its result; `without_market` where there is nothing to compute it from."""
        found = self.computed(name)
        if self.snapshot is None:
            return self.waiting_text()
        if self.stale:
            return f"no {subject} while stale"
        return "computing ..." if found is None else cell_text(found.error) or without_market

    def dim_if_stale(self, style: str) -> str:
        """`style`, or dim where the screen is stale."""
        return "dim" if self.stale else style

    def key(self, action_id: str) -> str:
        """The key of an action, as printed."""
        return label_of(self.view.keys, action_id)

    def keys(self, *action_ids: str) -> str:
        """The keys of some actions, as printed."""
        return " ".join(map(self.key, action_ids))

    def waiting_text(self) -> str:
        """The text of an empty panel."""
        return f"waiting for data  {self.waited_s:.0f}s"


def snapshot_at(snapshot: FlowSnapshot, seconds: float, interval_s: float = 1.0) -> FlowSnapshot:
    """The snapshot some seconds after its tick: stale once its spot or marks are, ahead of the next tick.

    Where ticks are seldom, only the time beyond those that are due counts.
    """
    allowed_s = STALE_INTERVALS * interval_s
    seconds -= allowed_s if allowed_s * SECOND > STALE_AFTER_NS else 0.0
    if snapshot.state == "stale" or snapshot.freshness is None:
        return snapshot
    freshness = aged(snapshot.freshness, max(seconds, 0.0))
    return structs.replace(snapshot, state="stale", freshness=freshness) if freshness.stale else snapshot


def column_values(rows: Sequence[MetricRow], name: str) -> list[float]:
    """One column of history, NaN for unknown values."""
    return [getattr(row, name) for row in rows]


def observed_range(rows: Sequence[MetricRow], name: str, metric: Metric) -> float:
    """The largest absolute value of a metric in the rows and in its own band: the full length of its bar."""
    magnitudes = [abs(v) for v in column_values(rows, name) if not math.isnan(v)]
    magnitudes += [abs(v) for v in (metric.value, metric.lo, metric.hi) if v is not None]
    return max(magnitudes, default=0.0)


def change_since(rows: Sequence[MetricRow], name: str, look_back_ns: int) -> float | None:
    """Change of a metric against the value `look_back_ns` ago, or the oldest one; None in the first ten seconds."""
    if not rows:
        return None
    newest = rows[-1]
    i = bisect_left(rows, newest.ts_ns - look_back_ns, key=lambda row: row.ts_ns)
    reference = rows[min(i, len(rows) - 1)]
    change: float = getattr(newest, name) - getattr(reference, name)
    return None if newest.ts_ns - reference.ts_ns < 10 * SECOND or math.isnan(change) else change


def trend(rows: Sequence[MetricRow], name: str, scale: float) -> str:
    """▲ ▼ ■ against the value a minute ago, or the oldest one; blank for the first ten seconds."""
    change = change_since(rows, name, MINUTE)
    if change is None:
        return " "
    return "■" if abs(change) <= _FLAT_SHARE * scale else "▲" if change > 0 else "▼"
