"""The two lines above the panels: the market, and the current scenario."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dfmon.model.regime_text import two_sided_text
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import utc
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    cell_text,
    fit,
    format_duration,
    format_percent,
    format_price,
    format_time,
    format_usd,
    join_by_priority,
    justify,
    row_width,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.regime import regime_forms

_MIN_REASON = {True: 24, False: 12}  # cells kept for the reasons before what is not essential
_CALM_STYLE, _WATCH_STYLE, _VIOLENT_STYLE = "scene.calm", "scene.watch", "scene.violent"
_BUCKET_STYLE = {1: _CALM_STYLE, 2: _CALM_STYLE, 3: _CALM_STYLE, 4: _WATCH_STYLE, 5: _VIOLENT_STYLE, 6: _VIOLENT_STYLE}


def mode_runs(frame: Frame) -> list[Run]:
    """`● LIVE 14:03:07Z`: the mode and the time."""
    now = f" {format_time(frame.clock_ns)}Z"
    if frame.paused:
        hidden_snapshots = f" +{frame.hidden_snapshots}" if frame.hidden_snapshots else ""
        stale: list[Run] = [_stale_run(frame)] if frame.stale else []
        return [(f" PAUSED{hidden_snapshots} ", "mode.paused"), *stale, (now, "text")]
    if frame.mode == "replay":
        return _replay_runs(frame)
    if frame.snapshot is None or _is_waiting(frame.snapshot):
        return [("◐ WAITING", "warn"), (now, "text")]
    if frame.stale:
        return [_stale_run(frame), (now, "text")]
    return [(f"● {frame.mode.upper()}", "ok" if frame.mode == "live" else "mode.sim"), (now, "text")]


def _is_waiting(snapshot: FlowSnapshot) -> bool:
    """True before the first data of spot or marks."""
    freshness = snapshot.freshness
    return freshness is not None and (freshness.spot.age_s is None or freshness.marks.age_s is None)


def _stale_run(frame: Frame) -> Run:
    """`STALE spot 6 s old`: without snapshots the time since the last one, else the input that is too old."""
    if frame.stale_s is not None:
        return f" STALE {format_duration(frame.stale_s)} ", "mode.stale"
    freshness = frame.latest_snapshot.freshness if frame.latest_snapshot is not None else None
    reason = "" if freshness is None else cell_text(freshness.stale.partition(",")[0], 40)
    return f" STALE {reason} ".replace("  ", " "), "mode.stale"


def _replay_runs(frame: Frame) -> list[Run]:
    runtime = frame.runtime
    stale: list[Run] = [_stale_run(frame)] if frame.stale else []
    status = "END" if runtime.finished else "PAUSED" if runtime.paused else speed_text(runtime.replay_speed)
    day = f" {utc(frame.clock_ns):%Y-%m-%d}" if frame.snapshot else ""
    return [
        *stale,
        (f"◆ REPLAY {status} ".rstrip() + " ", "mode.replay"),
        (f"{day} {format_time(frame.clock_ns)}Z", "replay"),
    ]


def speed_text(speed: float | None) -> str:
    """Speed of a replay, such as x8; empty while it is unknown."""
    return "" if speed is None else "max" if math.isinf(speed) or speed <= 0 else f"x{speed:g}"


def strip(frame: Frame, width: int) -> list[Row]:
    """Spot on the left, the mode on the right; the facts between are dropped by rank."""
    right = [*mode_runs(frame), (" ", "text")]
    snapshot = frame.snapshot
    if snapshot is None:
        return [
            justify(
                [(f" {cell_text(frame.view.underlying, 8)} ", "strong"), (frame.waiting_text(), "dim")], right, width
            )
        ]
    available = width - sum(len(text) for text, _ in right) - 3
    is_wide = width >= 120
    runs = join_by_priority(_market_facts(frame, snapshot, is_wide), available, 3 if is_wide else 2)
    prefix = " dfmon  " if width >= 150 else " "
    return [justify([(prefix, "dim"), *runs], right, width)]


def _market_facts(frame: Frame, snapshot: FlowSnapshot, is_wide: bool) -> list[tuple[int, tuple[Run, ...]]]:
    """(rank, runs) of each fact; an unknown one is `n/a` on a wide screen and left out on a narrow one."""
    context, dollar = snapshot.context, "$" if is_wide else ""
    depth, adv, hours = snapshot.liquidity.depth_1pct_usd, snapshot.liquidity.adv_usd, context.next_expiry_hours
    facts: list[tuple[int, str, str | None]] = [
        (5, "DVOL", None if context.dvol is None else f"{100 * context.dvol:.1f}"),
        (6, "basis", None if context.basis is None else format_percent(context.basis)),
        (7, "fund", None if context.funding is None else format_percent(context.funding, 3)),
        (8, "depth 1%", None if depth is None or not is_wide else f"${format_usd(depth, plus=False)}"),
        (4, "ADV", None if adv is None else f"{dollar}{format_usd(adv, plus=False)}"),
        (6, "next expiry" if is_wide else "exp", None if hours is None else format_duration(hours * 3600)),
    ]
    partial = {"depth 1%": snapshot.liquidity.depth_quality, "ADV": snapshot.liquidity.adv_quality}
    out: list[tuple[int, tuple[Run, ...]]] = [(0, _spot_runs(frame, snapshot, is_wide))]
    for rank, name, value in facts:
        if value is not None:
            is_partial = partial.get(name) == "partial"
            style = "warn" if is_partial and not frame.stale else frame.dim_if_stale("text")
            out.append((rank, ((f"{name} ", "dim"), (value + "!" * is_partial, style))))
        elif is_wide:
            out.append((rank + 4, ((f"{name} ", "dim"), (NOT_AVAILABLE, "absent"))))
    return out


def _spot_runs(frame: Frame, snapshot: FlowSnapshot, is_wide: bool) -> tuple[Run, ...]:
    return_1h = snapshot.context.return_1h
    mark = "~" if frame.stale else ""
    name, value = (
        (f"{cell_text(snapshot.underlying, 8)} ", "strong"),
        (mark + format_price(snapshot.spot), frame.dim_if_stale("strong")),
    )
    if return_1h is None:
        return name, value
    glyph, style_name = ("▲", "pos") if return_1h > 0 else ("▼", "neg") if return_1h < 0 else ("■", "text")
    return (
        name,
        value,
        (f" {glyph}{format_percent(return_1h, 2)}", frame.dim_if_stale(style_name)),
        (" 1h" if is_wide else "", "dim"),
    )


def banner(frame: Frame, width: int) -> list[Row]:
    """The scenario, the dealers' side, the flip and the share of members that are in this scenario."""
    snapshot = frame.snapshot
    if snapshot is None:
        return [fit(((" no scenario yet", "dim"),), width)]
    scenario, is_wide = snapshot.scenario, width >= 120
    right: list[Run] = []
    if frame.unread_alert_count and (is_wide or frame.view.zoom or frame.view.sheet):  # else the alerts' row has it
        right = [(f" [n] {frame.unread_alert_count} ! ", "warn")]
    available = width - row_width(right) - 1
    gap = 3 if is_wide else 2
    why, reasons = _reason_runs(snapshot, is_wide)
    reserved = gap + len(why) + min(len(reasons), _MIN_REASON[is_wide]) if reasons else 0
    for regime in regime_forms(snapshot, is_wide):
        parts = _scenario_parts(frame, snapshot, regime, is_wide)
        essential = [runs for rank, runs in parts if rank <= 1 and runs]
        if sum(row_width(runs) + gap for runs in essential) - gap + reserved <= available:
            break
    runs = join_by_priority(parts, available - reserved, gap)
    text = truncate(reasons, available - row_width(runs) - gap - len(why))
    if text:
        runs += [(" " * gap + why, "dim"), (text, "text" if scenario.bucket else "warn")]
    return [justify([(" ", "text"), *runs], right, width)]


def _reason_runs(snapshot: FlowSnapshot, is_wide: bool) -> tuple[str, str]:
    """Heading and text of the reasons: narrow, without a scenario, only what it is that is missing."""
    scenario = snapshot.scenario
    if not is_wide and not scenario.bucket:
        return "", cell_text(scenario.overlay.partition(": ")[2], 300)
    return "why: ", cell_text(", ".join(scenario.reasons), 300)


def _side_runs(snapshot: FlowSnapshot, is_wide: bool) -> tuple[Run, ...]:
    """The side of the dealers' hedges within the hour."""
    side = snapshot.scenario.side
    if side == "none":
        return ()
    if side == "two-sided":
        return ((f"dealers {two_sided_text(snapshot, is_long=is_wide)}", "text"),)
    return ("dealers ", "text"), (side.upper(), {"sell": "pos", "buy": "neg"}.get(side, "text"))


def _scenario_parts(
    frame: Frame, snapshot: FlowSnapshot, regime: Sequence[Run], is_wide: bool
) -> list[tuple[int, tuple[Run, ...]]]:
    scenario = snapshot.scenario
    is_unknown = bool(scenario.overlay) or frame.stale
    title = f"{cell_text(scenario.name, 16)}{' (armed)' if scenario.armed else ''}"
    name = f" {scenario.bucket} {title} " if scenario.bucket else f" {title} "
    style = "scene.unknown" if is_unknown else _BUCKET_STYLE.get(scenario.bucket or 0, "scene.unknown")
    label_runs: list[Run] = [(name, style)]
    state, _, reason = cell_text(scenario.overlay or "UNKNOWN", 200).partition(": ")
    if is_unknown and state != scenario.name:
        label_runs.append((f" {cell_text(state, 16)}", "warn"))
    if is_unknown and is_wide and scenario.bucket and reason:  # of a bucket that is only kept
        label_runs.append((f": {truncate(reason, 40)}", "warn"))
    if snapshot.positions.model != "flow":
        label_runs.append((f" {cell_text(snapshot.positions.model, 10)}", "strong"))
    if not scenario.bucket:
        return [(0, tuple(label_runs)), (1, tuple(regime))]
    materiality = {True: "material", False: "immaterial", None: "size unknown"}[scenario.material]
    return [
        (0, tuple(label_runs)),
        (1, _side_runs(snapshot, is_wide)),
        (2, ((materiality, "text" if scenario.material else "dim"),) if is_wide or not scenario.material else ()),
        (1, tuple(regime)),
        (
            4,
            (
                (f"{'members agree' if is_wide else 'agree'} ", "dim"),
                (format_percent(scenario.confidence, 0, plus=False), "text"),
            ),
        ),
        (
            5,
            (
                (
                    f"since {cell_text(scenario.since, 24)[11:16]}Z ({format_duration(scenario.age_s)})"
                    if is_wide and len(scenario.since) > 15
                    else format_duration(scenario.age_s),
                    "dim",
                ),
            ),
        ),
    ]
