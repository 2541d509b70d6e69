"""All underlyings on one sheet: a line each, their sum, what rolls off next, net gamma at other spots, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dfmon.model.hedging import Hedge, hedge_verb, settlement_hedge, with_doubt
from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.tui.render.box import divider
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_duration,
    format_percent,
    format_price,
    format_signed,
    format_usd,
    linked,
    short_expiry,
    sign_style,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import BUCKET_STYLE
from dfmon.tui.render.hedge_text import hedge_run
from dfmon.tui.render.regime import regime_runs

_WIDE: Final = 140
_MOVES: Final = (-0.10, -0.07, -0.05, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.10)
_NARROW_MOVES: Final = (-0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05)
_GLYPHS: Final = {"buy": "▲", "sell": "▼"}
_MAX_CHANGES: Final = 8
_MAX_EXPIRIES: Final = 6


def coin_rows(frame: Frame, width: int) -> list[Row]:
    """The lines of the sheet."""
    snapshots = [s for s in (frame.latest_snapshot, *frame.others) if s is not None]
    if not snapshots:
        return [fit(((f" {frame.waiting_text()}", "dim"),), width)]
    snapshots.sort(key=lambda s: s.underlying)
    out = [_header_row(width)]
    out += [_coin_row(frame, s, width) for s in snapshots]
    out += [fit((), width), *_sum_rows(snapshots, width)]
    out += [fit((), width), *_next_rows(snapshots, width)]
    out += [fit((), width), *_matrix_rows(snapshots, width)]
    return [*out, fit((), width), *_change_rows(snapshots, width)]


def _header_row(width: int) -> Row:
    age = f" {'AGE':>5}" if width >= _WIDE else ""
    text = f"  {'COIN':<5}{'SPOT':>10}{age}  {'REGIME':<22}{'SCENARIO':<15}"
    if width >= _WIDE:
        text += f"{'CONF':>5} {'SINCE':>6}  {'SD up / dn':>12}"
    text += f"{'+1%':>8}{'-1%':>8}"
    if width >= _WIDE:
        text += f"{'08:00':>8}{'NGI':>9}{'1H':>8}{'DVOL':>7}"
    return fit(((f"{text}  COVER", "head"),), width)


def _coin_row(frame: Frame, s: FlowSnapshot, width: int) -> Row:
    is_current = s.underlying == frame.view.underlying
    scenario, freshness = s.scenario, s.freshness
    age_s = freshness.spot.age_s if freshness is not None else None
    bucket = f"{scenario.bucket} {cell_text(scenario.name, 12)}" if scenario.bucket else "no verdict"
    style = "dim" if not scenario.bucket else "scene.unknown" if scenario.overlay else BUCKET_STYLE[scenario.bucket]
    outlook = {row.case: row for row in s.outlook}
    runs: list[Run] = [
        ("▶ " if is_current else "  ", "row.spot"),
        (f"{cell_text(s.underlying, 5):<5}", "strong" if is_current else "text"),
        (f"{format_price(s.spot) + '~' * (s.state == 'stale'):>10}", "bad" if s.state == "stale" else "strong"),
        (f" {'' if age_s is None else format_duration(age_s):>5}" if width >= _WIDE else "", "dim"),
        ("  ", "text"),
        *fit(regime_runs(s, is_long=False, beyond=False), 22),
        (f" {bucket} ", style),
        (" " * max(0, 13 - len(bucket)), "text"),
    ]
    if width >= _WIDE:
        confidence = "-" if scenario.confidence is None else format_percent(scenario.confidence, 0, plus=False)
        since = format_duration(scenario.age_s) if scenario.bucket else ""
        runs += [(f"{confidence:>5} ", "text"), (f"{since:>6}  ", "dim"), (f"{_distances(s):>12}", "text")]
    for case in ("+1 %", "-1 %"):
        row = None if _is_silent(s) else outlook.get(case)
        trade = (None,) * 3 if row is None else (row.value, row.lo, row.hi)
        runs.append(_hedge_cell(*with_doubt(s.positions, *trade), s.liquidity.flat_usd))
    if width >= _WIDE:
        ngi = s.metrics.ngi.value
        dvol = "" if s.context.dvol is None else f"{100 * s.context.dvol:.1f}"
        lifted = with_doubt(s.positions, *settlement_hedge(s.unwind))
        runs.append(_hedge_cell(*((None,) * 3 if _is_silent(s) else lifted), s.liquidity.flat_usd))
        runs.append((f"{format_usd(ngi):>9}", sign_style(ngi)))
        runs.append((f"{format_percent(s.context.return_1h, 2):>8}{dvol:>7}", "text"))
    coverage = "n/a" if s.positions.coverage is None else format_percent(s.positions.coverage, 0, plus=False)
    runs.append((f"  {coverage:>5}", "warn" if s.positions.warming else "dim"))
    return fit(linked(runs, f"coin {cell_text(s.underlying, 8)}"), width)


def _hedge_cell(value: float | None, low: float | None, high: float | None, flat_usd: float) -> Run:
    verb = hedge_verb(value, low, high, flat_usd)
    if verb not in _GLYPHS:
        return f"{verb:>8}", "absent" if value is None else "dim"
    return f"{_GLYPHS[verb] + format_usd(abs(value or 0.0), plus=False):>8}", verb


def _distances(s: FlowSnapshot) -> str:
    """`+0.7 / -1.2`: distances to the edges above and below, in daily sigmas."""
    volatility = s.context.atm_iv or s.context.dvol
    if s.spot is None or not volatility:
        return ""
    sigma = volatility / 365.0**0.5
    edges = (s.regime.above, s.regime.below)
    return " / ".join("none" if e is None else f"{(e.level / s.spot - 1.0) / sigma:+.1f}" for e in edges)


def _is_silent(s: FlowSnapshot) -> bool:
    """True for an underlying of which nothing can be expected now: stale, or with half of its book unknown."""
    return s.state == "stale" or s.positions.warming


def _is_counted(s: FlowSnapshot) -> bool:
    """True for a live underlying whose positions are covered."""
    return not _is_silent(s) and s.metrics.ngi.value is not None


def _sum_rows(snapshots: Sequence[FlowSnapshot], width: int) -> list[Row]:
    counted = [s for s in snapshots if _is_counted(s)]
    left_out = [cell_text(s.underlying, 5) for s in snapshots if s not in counted]
    names = ", ".join(cell_text(s.underlying, 5) for s in counted) or "none"
    note = f"live and covered only{'; left out: ' + ', '.join(left_out) if left_out else ''}"
    title = divider([(f"SUM OF {names}", "title"), (f"  {note}", "dim")], (), width)
    if not counted:
        return [title]
    runs: list[Run] = [(" ", "text")]
    flat_usd = sum(s.liquidity.flat_usd for s in counted)
    for case, label in (("+1 %", "all +1%"), ("-1 %", "all -1%")):
        rows = [(s.positions, row) for s in counted for row in s.outlook if row.case == case]
        trades = [with_doubt(positions, row.value, row.lo, row.hi) for positions, row in rows]
        runs += [(f"{label} ", "dim"), hedge_run(*_added(trades), flat_usd), ("   ", "text")]
    ngi = sum(s.metrics.ngi.value or 0.0 for s in counted)
    runs += [("NGI ", "dim"), (format_usd(ngi), sign_style(ngi))]
    return [title, fit(runs, width)]


def _added(trades: Sequence[Hedge]) -> Hedge:
    """Sums of the values and of the bounds, as if all moved together; None for a sum with an unknown part."""
    value, low, high = (
        sum(v for v in column if v is not None) if None not in column else None for column in zip(*trades)
    )
    return value, low, high


def _next_rows(snapshots: Sequence[FlowSnapshot], width: int) -> list[Row]:
    """The next expiries of all: share of the absolute gamma, and the hedge that their settlement lifts."""
    rows = sorted(
        ((expiry.hours, s, expiry) for s in snapshots for expiry in s.by_expiry[:3]),
        key=lambda item: (item[0], item[1].underlying),
    )
    out = [divider([("NEXT", "title"), ("  what rolls off", "dim")], (), width)]
    for hours, s, expiry in rows[:_MAX_EXPIRIES]:
        share = _gamma_share(s, expiry.label)
        runs: list[Run] = [
            (f" in {format_duration(hours * 3600):>7}  ", "dim"),
            (f"{cell_text(s.underlying, 5):<5}", "strong"),
            (f"{short_expiry(expiry.label)} expires{share}", "text"),
        ]
        if hours <= 24.0 and not _is_silent(s) and s.unwind.at_window is not None:
            hedge = with_doubt(s.positions, *settlement_hedge(s.unwind))
            runs += [(", lifts its hedge: ", "text"), hedge_run(*hedge, s.liquidity.flat_usd)]
        out.append(fit(runs, width))
    return out


def _gamma_share(s: FlowSnapshot, label: str) -> str:
    """`: 19% of |gamma|`: the cells of an expiry against those of all, whatever their sign."""
    detail = s.detail
    if not isinstance(detail, Detail) or label not in detail.heatmap.expiries:
        return ""
    sizes = [sum(abs(row[j] or 0.0) for row in detail.heatmap.ngi) for j in range(len(detail.heatmap.expiries))]
    share = sizes[detail.heatmap.expiries.index(label)] / sum(sizes) if sum(sizes) else None
    return "" if share is None else f": {share:.0%} of |gamma|"


def _matrix_rows(snapshots: Sequence[FlowSnapshot], width: int) -> list[Row]:
    """Net gamma with spot moved, so that underlyings compare at the same per cent."""
    moves = _MOVES if width >= _WIDE else _NARROW_MOVES
    cell = (width - 8) // len(moves)
    title = divider([("REGIME MATRIX", "title"), ("  NGI at spot moved by, USD per 1 %", "dim")], (), width)
    head = "".join(f"{'spot' if not m else f'{format_signed(100 * m, 0)}%':>{cell}}" for m in moves)
    out = [title, fit(((f"{'':<7}{head}", "head"),), width)]
    for s in snapshots:
        detail = s.detail
        if not isinstance(detail, Detail) or s.spot is None:
            continue
        values = [detail.profile.at(s.spot * (1.0 + move)) for move in moves]
        runs: list[Run] = [(f" {cell_text(s.underlying, 5):<6}", "strong")]
        runs += [(f"{format_usd(value):>{cell}}", sign_style(value)) for value in values]
        out.append(fit(runs, width))
    return out


def _change_rows(snapshots: Sequence[FlowSnapshot], width: int) -> list[Row]:
    """Changes of the scenario of all, newest first."""
    changes = sorted(
        ((c.ts, s.underlying, c) for s in snapshots if isinstance(s.detail, Detail) for c in s.detail.transitions),
        key=lambda item: item[0],
        reverse=True,
    )
    out = [divider([("CHANGES", "title"), ("  of the scenario, newest first", "dim")], (), width)]
    for ts, name, change in changes[:_MAX_CHANGES]:
        text = f"{change.before or 'none'} -> {change.after}: {', '.join(change.reasons)}"
        head = f" {cell_text(ts, 24)[11:19]}  {cell_text(name, 5):<5}"
        out.append(fit(((head, "dim"), (truncate(cell_text(text, 300), width - len(head)), "text")), width))
    return out if changes else [*out, fit(((" none yet", "dim"),), width)]
