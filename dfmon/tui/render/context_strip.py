"""The second line of every screen: the outlook where the first has no room for it, then the market around it.

Facts go from the right; position model and coverage stay at the right edge.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    cell_text,
    fit,
    format_duration,
    format_percent,
    format_usd,
    join_by_priority,
    justify,
    linked,
    row_width,
    sign_style,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import WIDE, outlook_parts, stale_reason
from dfmon.tui.render.regime import regime_runs

_OUTLOOK_PARTS: Final = ("hour", "settlement")


def context_strip(frame: Frame, width: int) -> list[Row]:
    """The line at any width."""
    snapshot = frame.snapshot
    if snapshot is None:
        return [fit(((" no verdict yet", "dim"),), width)]
    right = [*_unread_runs(frame, width), *_model_runs(frame, snapshot, width), (" ", "text")]
    parts = _parts(frame, snapshot, width)
    left = join_by_priority(parts, width - row_width(right) - 2, 2)
    return [justify([(" ", "text"), *left], right, width)]


def _parts(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[tuple[int, tuple[Run, ...]]]:
    """(rank, runs) of what fits, first what dealers do, then the facts of the market."""
    if frame.stale:
        reason = f": {stale_reason(frame, width // 2)}" if width < 120 else ""
        return [(0, ((f"no outlook, no alert while stale{reason}", "warn"),))]
    parts: list[tuple[int, tuple[Run, ...]]] = []
    if width < WIDE:
        for rank, runs in enumerate(outlook_parts(snapshot, width, _OUTLOOK_PARTS)):
            parts.append((rank, tuple(runs)))
    if not snapshot.scenario.bucket and (width < 120 or not snapshot.outlook):
        what = "no scenario: " if snapshot.outlook else "no outlook: "
        parts.append((0 if not snapshot.outlook else 2, ((what, "dim"), (_missing(snapshot, width), "warn"))))
    parts.append((4, tuple(_after_settlement(snapshot, width))))
    parts += _conventions(snapshot)
    parts += [(9 + rank, runs) for rank, runs in enumerate(_market_facts(frame, snapshot))]
    parts += [(5, tuple(_other_underlying(other))) for other in frame.others]
    return [(rank, runs) for rank, runs in parts if runs]


def _missing(snapshot: FlowSnapshot, width: int) -> str:
    reason = snapshot.scenario.overlay.partition(": ")[2] or "; ".join(snapshot.scenario.reasons) or "no data yet"
    return truncate(cell_text(reason, 120), width // 2)


def _after_settlement(snapshot: FlowSnapshot, width: int) -> list[Run]:
    """`then SHORT -5.7M`: net gamma without what expires within a day, where its sign is another one."""
    now = snapshot.metrics.ngi.value
    later = [row.ngi for row in snapshot.by_expiry if row.hours > 24.0]
    if now is None or not later or any(value is None for value in later) or len(later) == len(snapshot.by_expiry):
        return []
    after = sum(value for value in later if value is not None)
    if after * now >= 0.0 or abs(after) <= snapshot.liquidity.flat_usd:
        return []
    side = ("LONG", "pos") if after > 0.0 else ("SHORT", "neg")
    return [("after 08:00 " if width >= WIDE else "then ", "dim"), (f"{side[0]} {format_usd(after)}", side[1])]


def _conventions(snapshot: FlowSnapshot) -> list[tuple[int, tuple[Run, ...]]]:
    """Net gamma by the conventions, where the positions are unknown."""
    if snapshot.scenario.bucket or snapshot.metrics.ngi.value is not None:
        return []
    rows = [row for row in snapshot.models if row.model != snapshot.positions.model and row.ngi is not None]
    return [
        (6 + i, ((f"{cell_text(row.model, 10)} ", "dim"), (format_usd(row.ngi), sign_style(row.ngi))))
        for i, row in enumerate(rows)
    ]


def _market_facts(frame: Frame, snapshot: FlowSnapshot) -> list[tuple[Run, ...]]:
    """DVOL, basis, funding, depth, volume, psi, the next expiry."""
    context, liquidity, psi = snapshot.context, snapshot.liquidity, snapshot.metrics.psi.value
    hours = context.next_expiry_hours
    facts: list[tuple[str, str | None, bool]] = [
        ("DVOL", None if context.dvol is None else f"{100 * context.dvol:.1f}", False),
        ("basis", None if context.basis is None else format_percent(context.basis), False),
        ("fund", None if context.funding is None else format_percent(context.funding, 3), False),
        ("depth", _usd(liquidity.depth_1pct_usd), liquidity.depth_quality == "partial"),
        ("ADV", _usd(liquidity.adv_usd), liquidity.adv_quality == "partial"),
        ("psi", None if psi is None else f"{psi:+.2f}", False),
        ("1h", None if context.return_1h is None else format_percent(context.return_1h, 2), False),
        ("expiry", None if hours is None else format_duration(hours * 3600), False),
    ]
    out: list[tuple[Run, ...]] = []
    for name, value, is_partial in facts:
        style = "absent" if value is None else "warn" if is_partial else frame.dim_if_stale("text")
        runs: list[Run] = [(f"{name} ", "dim"), ((value or NOT_AVAILABLE) + "~" * is_partial, style)]
        out.append(tuple(linked(runs, "explain psi") if name == "psi" else runs))
    return out


def _usd(value: float | None) -> str | None:
    return None if value is None else format_usd(value, plus=False)


def _other_underlying(other: FlowSnapshot) -> list[Run]:
    """`ETH SHORT 4`: regime and scenario of another underlying."""
    side, style = regime_runs(other, is_long=False, beyond=False)[0]
    out: list[Run] = [(f"{cell_text(other.underlying, 8)} ", "text"), (side.strip(), style)]
    if other.scenario.bucket:
        out.append((f" {other.scenario.bucket}", "scene"))
    return linked(out, f"coin {cell_text(other.underlying, 8)}")


def _unread_runs(frame: Frame, width: int) -> list[Run]:
    if frame.unread_alert_count and (
        width >= 120 or frame.view.zoom or frame.view.sheet
    ):  # else the alerts' row has it
        return linked([(f"[{frame.key('list.next')}] {frame.unread_alert_count} ! ", "warn")], "app.alerts")
    return []


def _model_runs(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Run]:
    """`flow, Deribit only, cover 97%`: what the positions rest on, and the doubt about their sign."""
    positions = snapshot.positions
    share = "" if positions.coverage is None else format_percent(positions.coverage, 0, plus=False)
    is_low = positions.warming or (positions.coverage is not None and positions.coverage < 0.9)
    published = frame.latest_snapshot.positions.model if frame.latest_snapshot is not None else positions.model
    model = cell_text(positions.model, 10)
    out: list[Run] = []
    if model != cell_text(published, 10):
        out += [(f"viewing {model}", "warn"), (f", published {cell_text(published, 10)} ", "dim")]
    else:
        out.append((f"{model} ", "strong"))
    if width >= WIDE:
        out.append((f"{cell_text(snapshot.options_venue, 12) or 'one venue'} only ", "dim"))
    if share:
        label = "warming " if positions.warming else "cover " if width >= 100 else ""
        out.append((f"{label}{share}", "warn" if is_low else "dim"))
    if positions.sign_caveat:
        out.append((f" {positions.sign_caveat if width >= 100 else 'sign ?'}", "warn"))
    return linked(out, "app.positions")
