"""The first line of every screen: where spot is, between which edges, what dealers do then, which scenario holds.

A line that is too long loses its parts in the order of `_DROPPED_FIRST`; never spot and its age, the regime, the digit
of the scenario and the state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from dfmon.model.hedging import settlement_hedge, with_doubt
from dfmon.model.scenario import Scenario
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND, utc
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    format_duration,
    format_percent,
    format_price,
    format_time,
    justify,
    linked,
    row_width,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.hedge_text import hedge_run
from dfmon.tui.render.regime import regime_runs

_DROPPED_FIRST: Final = ("hour", "beyond", "words", "settlement", "age", "seconds", "confidence", "name")
WIDE: Final = 160  # columns from which the outlook is on the first line
_CALM_STYLE, _WATCH_STYLE, _VIOLENT_STYLE = "scene.calm", "scene.watch", "scene.violent"
BUCKET_STYLE: Final = {
    1: _CALM_STYLE, 2: _CALM_STYLE, 3: _CALM_STYLE, 4: _WATCH_STYLE, 5: _VIOLENT_STYLE, 6: _VIOLENT_STYLE
}  # fmt: skip


def headline(frame: Frame, width: int) -> list[Row]:
    """The line at any width."""
    snapshot = frame.snapshot
    if snapshot is None:
        name: Run = (f" {cell_text(frame.view.underlying, 8)} ", "strong")
        return [justify([name, (frame.waiting_text(), "dim")], [*mode_runs(frame), (" ", "text")], width)]

    def line(included: Sequence[str]) -> tuple[list[Run], list[Run]]:
        left = [(" ", "text"), *_join([spot_runs(frame, snapshot), *_verdict(frame, snapshot, width, included)])]
        return left, [*mode_runs(frame, seconds="seconds" in included), (" ", "text")]

    return [fit_by_dropping(line, _DROPPED_FIRST, width)]


def fit_by_dropping(
    line: Callable[[Sequence[str]], tuple[list[Run], list[Run]]], dropped_first: Sequence[str], width: int
) -> Row:
    """The longest form of a line that fits: `line` makes its left and right runs with the parts that are included."""
    for dropped in range(len(dropped_first) + 1):
        left, right = line(dropped_first[dropped:])
        if row_width(left) + row_width(right) < width:
            break
    return justify(left, right, width)


def _join(parts: Sequence[Sequence[Run]], gap: int = 2) -> list[Run]:
    out: list[Run] = []
    for part in parts:
        if row_width(part):
            out += [(" " * gap, "text")] if out else []
            out += part
    return out


def spot_runs(frame: Frame, snapshot: FlowSnapshot) -> list[Run]:
    """`BTC 89,937 0.3s`: spot with its age."""
    mark = "~" if frame.stale else ""
    out: list[Run] = [
        *linked([(f"{cell_text(snapshot.underlying, 8)} ", "strong")], "app.coins"),
        (format_price(snapshot.spot) + mark, frame.dim_if_stale("strong")),
    ]
    freshness = (frame.latest_snapshot or snapshot).freshness
    age_s = frame.stale_s if frame.stale_s is not None else freshness.spot.age_s if freshness is not None else None
    if frame.paused and age_s is not None:  # of the spot on screen, which stands still
        age_s = max(age_s, (frame.now_ns - snapshot.ts_ns) / SECOND / frame.clock_speed)
    if age_s is not None and frame.mode != "replay":
        limit_s = freshness.spot.limit_s if freshness is not None else math.inf
        style = "bad" if frame.stale else "warn" if age_s > limit_s / 2 else "ok"
        out.append((f" {format_duration(age_s)}", style))
    return out


def _verdict(frame: Frame, snapshot: FlowSnapshot, width: int, included: Sequence[str]) -> list[list[Run]]:
    """Regime, outlook and scenario, or in their place the reason why there are none."""
    scenario = snapshot.scenario
    if frame.stale:
        return [_stale_verdict(frame, snapshot, width)]
    if scenario.bucket is None and snapshot.positions.warming:
        return [_warming_verdict(snapshot, width)]
    regime = regime_runs(snapshot, is_long=width >= 120, beyond="beyond" in included)
    outlook = outlook_parts(snapshot, width, included) if width >= WIDE else []
    verdict = linked(_scenario_runs(frame, scenario, width, included), "explain scenario")
    return [linked(regime, "explain regime"), *outlook, [(" ", "text"), *verdict]]


def _stale_verdict(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Run]:
    """`STALE: spot 12 s old   held: LONG 87,802..91,187, 1 PIN`; narrow, the second line has the reason."""
    scenario = snapshot.scenario
    bucket = f", {scenario.bucket} {cell_text(scenario.name, 16)}" if scenario.bucket else ""
    regime = regime_runs(snapshot, is_long=False, beyond=False)
    reason: list[Run] = [(f"STALE: {stale_reason(frame, width // 3)}   ", "bad")] if width >= 120 else []
    return [*reason, ("held: ", "dim"), *((text, "dim") for text, _ in regime), (bucket, "dim")]


def stale_reason(frame: Frame, width: int) -> str:
    """`spot 12 s old, limit 5 s`: the input that is too old, or the silence of the engine."""
    if frame.stale_s is not None:
        return f"no snapshot for {format_duration(frame.stale_s)}"
    freshness = frame.latest_snapshot.freshness if frame.latest_snapshot is not None else None
    return truncate(cell_text(freshness.stale if freshness is not None else "", 80), width) or "inputs too old"


def _warming_verdict(snapshot: FlowSnapshot, width: int) -> list[Run]:
    coverage = snapshot.positions.coverage
    share = "n/a" if coverage is None else format_percent(coverage, 0, plus=False)
    text = f" of open interest seen, {snapshot.scenario.overlay.partition(': ')[2] or 'no verdict yet'}"
    return [("WARMING ", "warn"), (share, "strong"), (truncate(cell_text(text, 120), width // 2), "warn")]


def outlook_parts(snapshot: FlowSnapshot, width: int, included: Sequence[str]) -> list[list[Run]]:
    """`+1%: sell 15.8M`, `-1%: buy 15.6M`, `hour: flat`, `08:00: sell 26.1M`: what dealers do if, and when."""
    if snapshot.positions.warming:
        return []
    rows = {row.case: row for row in snapshot.outlook}
    colon = ":" if width >= 80 else ""
    out: list[list[Run]] = []
    for case, label in (("+1 %", "+1%"), ("-1 %", "-1%"), ("1 h", "hour")):
        row = rows.get(case)
        if row is not None and (case != "1 h" or "hour" in included):
            hedge = with_doubt(snapshot.positions, row.value, row.lo, row.hi)
            amount = hedge_run(*hedge, snapshot.liquidity.flat_usd)
            out.append(linked([(f"{label}{colon} ", "dim"), amount], "explain outlook"))
    if "settlement" in included:
        out.append(linked(settlement_runs(snapshot, colon), "app.settlement"))
    return out


def settlement_runs(snapshot: FlowSnapshot, colon: str = ":") -> list[Run]:
    """`08:00: sell 26.1M`: the hedge that the settlement lifts; inside its window what is left of it."""
    unwind, flat_usd = snapshot.unwind, snapshot.liquidity.flat_usd
    if unwind.minutes_left:
        return [(f"left{colon} ", "dim"), hedge_run(unwind.left, None, None, flat_usd)]
    if unwind.at_window is None:
        return []
    return [(f"08:00{colon} ", "dim"), hedge_run(*with_doubt(snapshot.positions, *settlement_hedge(unwind)), flat_usd)]


def _scenario_runs(frame: Frame, scenario: Scenario, width: int, included: Sequence[str]) -> list[Run]:
    """` 1 PIN ` as a chip, then words, the share of the members that agree, and its age."""
    name = cell_text(scenario.name, 16)
    state, _, reason = cell_text(scenario.overlay, 200).partition(": ")
    if scenario.bucket is None:
        shown = truncate(reason, width // 3) if width >= 120 else ""  # narrow, the second line has it
        return [(f" {name} ", "scene.unknown"), (f" {shown}" if shown else "", "warn")]
    chip = f" {scenario.bucket} {name} " if "name" in included else f" {scenario.bucket} "
    out: list[Run] = [(chip, "scene.unknown" if state else BUCKET_STYLE.get(scenario.bucket, "scene.unknown"))]
    if state:
        return [*out, (f" held: {state}", "warn")]
    if "words" in included:
        out += [(f" {label}", "text") for label in _scenario_labels(frame, scenario)]
    if "confidence" in included and scenario.confidence is not None:
        out.append((f" {format_percent(scenario.confidence, 0, plus=False)}", "strong"))
    if "age" in included:
        out.append((f" {format_duration(scenario.age_s)}", "dim"))
    return out


def _scenario_labels(frame: Frame, scenario: Scenario) -> list[str]:
    snapshot = frame.snapshot
    assert snapshot is not None
    labels = ["armed"] if scenario.armed else []
    z = snapshot.features.z.value
    if scenario.bucket in (5, 6) and not scenario.armed and z:
        labels.append("up" if z > 0.0 else "down")
    if scenario.material is not True:
        labels.append("immaterial" if scenario.material is False else "size unknown")
    return labels


# -- state and clock, at the right edge


def mode_runs(frame: Frame, *, seconds: bool = True) -> list[Run]:
    """`● LIVE 14:03:07Z`: the mode and the time."""
    now = f" {format_time(frame.clock_ns, seconds)}Z"
    if frame.paused:
        hidden_snapshots = f" +{frame.hidden_snapshots}" if frame.hidden_snapshots else ""
        stale: list[Run] = [_stale_run(frame)] if frame.stale else []
        return [(f" PAUSED{hidden_snapshots} ", "mode.paused"), *stale, (now, "text")]
    if frame.mode == "replay":
        return _replay_runs(frame, seconds)
    if frame.snapshot is None or _is_waiting(frame.snapshot):
        return [("◐ WAITING", "warn"), (now, "text")]
    if frame.stale:
        return [_stale_run(frame), (now if seconds else "", "text")]
    if frame.mode == "live":
        return [("● LIVE", "ok"), (now, "text")]
    return [(f" ● {frame.mode.upper()} ", "mode.sim"), (now, "text")]


def _is_waiting(snapshot: FlowSnapshot) -> bool:
    """True before the first data of spot or marks."""
    freshness = snapshot.freshness
    return freshness is not None and (freshness.spot.age_s is None or freshness.marks.age_s is None)


def _stale_run(frame: Frame) -> Run:
    """` STALE 12s `: the time since the last snapshot, else the age of the input that is too old."""
    age_s = frame.stale_s
    freshness = frame.latest_snapshot.freshness if frame.latest_snapshot is not None else None
    if age_s is None and freshness is not None:
        age_s = max((x.age_s for x in (freshness.spot, freshness.marks) if not x.fresh and x.age_s), default=None)
    return f" STALE {'' if age_s is None else format_duration(age_s)} ".replace("  ", " "), "mode.stale"


def _replay_runs(frame: Frame, seconds: bool) -> list[Run]:
    runtime = frame.runtime
    stale: list[Run] = [_stale_run(frame)] if frame.stale else []
    status = "END" if runtime.finished else "PAUSED" if runtime.paused else speed_text(runtime.replay_speed)
    day = f" {utc(frame.clock_ns):%Y-%m-%d}" if frame.snapshot else ""
    return [
        *stale,
        (f" ◆ REPLAY {status}".rstrip() + " ", "mode.replay"),
        (f"{day} {format_time(frame.clock_ns, seconds)}Z", "replay"),
    ]


def speed_text(speed: float | None) -> str:
    """Speed of a replay, such as x8; empty while it is unknown."""
    return "" if speed is None else "max" if math.isinf(speed) or speed <= 0 else f"x{speed:g}"
