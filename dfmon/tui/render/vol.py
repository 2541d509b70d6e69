"""The sheet of volatility: term structure with skew and exposures by expiry; enter opens the smile of one expiry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dfmon.engine.vol_surface import ExpiryVol
from dfmon.model.hedging import with_doubt
from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.box import Rect, bordered_panel, divider, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_level,
    format_percent,
    format_points,
    format_usd,
    linked,
    short_expiry,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.hedge_text import hedge_run
from dfmon.tui.render.plot import bar_runs
from dfmon.tui.render.smile import smile_rows
from dfmon.tui.render.vol_curve import curve_rows

_WIDE: Final = 150
_EXPOSURES: Final = ("ngi", "vss", "chl")


def vol_sheet(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner_size(rect)
    surface = vol_surface(frame)
    title: list[Run] = [("VOLATILITY", "title")]
    enter = frame.key("cell.detail")
    if surface is None or frame.snapshot is None or frame.stale:
        text = frame.missing_text("vol", "volatilities", "no options in this process")
        return bordered_panel(rect, title, [(), ((f"  {text}", "dim"),)], focus=False)
    if frame.view.smile:
        chosen = surface[frame.view.expiry_row % len(surface)]
        title = [("SMILE", "title"), (f" {chosen.label}", "strong")]
        title += [(f"  F {format_level(chosen.forward)}  {chosen.hours / 24.0:.1f} d", "dim")]
        title.append(("  marks, bid..ask, ", "dim") if width >= 100 else ("  ", "dim"))
        title.append((f"{frame.keys('cursor.left', 'cursor.right')} expiry, {enter} term structure", "dim"))
        return bordered_panel(rect, title, smile_rows(frame, chosen, width, height), focus=False)
    expiry = frame.keys("cursor.down", "cursor.up")
    title.append((f"  ATM by square root of time; {expiry} expiry, {enter} its smile", "dim"))
    points = [(row.hours, row.atm) for row in surface]
    curve = curve_rows(points, [short_expiry(row.label) for row in surface], width, max(6, min(14, height // 3)), frame)
    shown = visible_rows(len(surface), height - len(curve) - 4, frame.view.expiry_row)
    body = [*curve, divider([("BY EXPIRY", "title")], (), width), _header_row(width)]
    selected = frame.view.expiry_row % len(surface)
    rows = [_expiry_row(frame.snapshot, surface, i, i == selected, width) for i in shown]
    body += [tuple(linked(row, f"cursor {i}")) for i, row in zip(shown, rows)]
    body.append(_total_row(frame.snapshot, surface, len(surface) - len(shown), width))
    body.append(_sentence(surface, width))
    if height - len(body) > 6:
        body += _skew_rows(frame.snapshot, surface, width, height - len(body))
    return bordered_panel(rect, title, body, focus=False)


def vol_surface(frame: Frame) -> Sequence[ExpiryVol] | None:
    """The last result of the book on screen."""
    return frame.result("vol", tuple)


def visible_rows(count: int, available: int, cursor: int) -> range:
    """The rows that fit, the cursor's among them."""
    available = max(1, min(available, count))
    first = min(max(0, cursor - available + 1), count - available)
    return range(first, first + available)


# ---- table ---------------------------------------------------------------------------------------------------------


def _header_row(width: int) -> Row:
    text = f" {'EXPIRY':<9}{'DAYS':>6}"
    if width >= _WIDE:
        text += f"{'FORWARD':>10}{'BASIS':>8}"
    text += f"{'ATM':>6}{'1H':>6}{'FWD':>6}{'RR25':>6}{'BF25':>6}"
    text += f"{'OI C':>9}{'OI P':>9}" if width >= _WIDE else f"{'OI K':>7}"
    text += f"{'NGI':>8}" + (f"{'VSS':>9}{'CHL':>9}{'|GAMMA|':>9}" if width >= 110 else "")
    text += f"{'MAX PAIN':>10}"
    return fit(((f"{text}   AT EXPIRY" if width >= 100 else text, "head"),), width)


def _expiry_row(snapshot: FlowSnapshot, surface: Sequence[ExpiryVol], i: int, selected: bool, width: int) -> Row:
    row, exposures = surface[i], snapshot.by_expiry[i] if i < len(snapshot.by_expiry) else None
    runs: list[Run] = [
        (f"{'▶' if selected else ' '}{cell_text(row.label, 9):<9}", "row.spot" if selected else "label"),
        (f"{row.hours / 24.0:>6.1f}", "text"),
    ]
    if width >= _WIDE:
        runs.append((f"{format_level(row.forward):>10}{format_percent(row.basis):>8}", "text"))
    runs += [
        (f"{format_points(row.atm):>6}", "strong"),
        (f"{format_points(row.change, plus=True):>6}", sign_style(row.change)),
        (f"{format_points(row.forward_vol):>6}", "text"),
        (f"{format_points(row.rr25, plus=True):>6}", sign_style(row.rr25)),
        (f"{format_points(row.bf25, plus=True):>6}", "text"),
    ]
    if width >= _WIDE:
        runs.append((f"{row.calls:>9,.0f}{row.puts:>9,.0f}", "text"))
    else:
        runs.append((f"{(row.calls + row.puts) / 1e3:>7.1f}", "text"))
    for name in _EXPOSURES if width >= 110 else _EXPOSURES[:1]:
        value = None if exposures is None else getattr(exposures, name)
        runs.append((f"{format_usd(value):>{8 if name == 'ngi' else 9}}", sign_style(value)))
    if width >= 110:
        runs.append((f"{format_percent(row.gamma_share, 0, plus=False):>9}", "dim"))
    runs.append((f"{format_level(row.max_pain):>10}", "flip"))
    if width >= 100:
        trade = (None, None, None) if row.settles is None or snapshot.positions.warming else row.settles
        runs += [("   ", "text"), hedge_run(*with_doubt(snapshot.positions, *trade), snapshot.liquidity.flat_usd)]
    return fit(runs, width)


def _total_row(snapshot: FlowSnapshot, surface: Sequence[ExpiryVol], hidden: int, width: int) -> Row:
    runs: list[Run] = [(f" {hidden} more " if hidden else " all ", "warn" if hidden else "head")]
    for name in _EXPOSURES:
        value = getattr(snapshot.metrics, name).value
        runs += [(f" {name.upper()} ", "dim"), (f"{format_usd(value)} ", sign_style(value))]
    interest = sum(row.calls + row.puts for row in surface)
    runs += [(" OI ", "dim"), (f"{interest:,.0f} {cell_text(snapshot.underlying, 8)}", "text")]
    return fit(runs, width)


def _sentence(surface: Sequence[ExpiryVol], width: int) -> Row:
    """The front against the expiry with most open interest, and the side that is bid."""
    front, largest = surface[0], max(surface, key=lambda row: row.calls + row.puts)
    text = f" {short_expiry(front.label)} trades at {format_points(front.atm)}"
    if largest is not front:
        text += f" against {format_points(largest.atm)} for {short_expiry(largest.label)}"
    known = [row.rr25 for row in surface if row.rr25 is not None]
    if known:
        puts = sum(value < 0.0 for value in known)
        text += f"; puts bid at {puts} of {len(known)} expiries"
    return fit(((text, "text"),), width)


def _skew_rows(snapshot: FlowSnapshot, surface: Sequence[ExpiryVol], width: int, available: int) -> list[Row]:
    """Bars of risk reversal and net gamma beside each other."""
    half = max(6, (width - 56) // 4)
    skew = max((abs(row.rr25) for row in surface if row.rr25 is not None), default=0.0)
    gammas = [row.ngi for row in snapshot.by_expiry]
    largest = max((abs(value) for value in gammas if value is not None), default=0.0)
    rows = [divider([("RR25, points", "title"), ("  and NGI by expiry", "dim")], (), width)]
    for row, gamma in list(zip(surface, gammas))[: available - 1]:
        runs: list[Run] = [(f" {cell_text(row.label, 9):<9}", "label")]
        runs += bar_runs(row.rr25, skew, half, ("bar.neg", "bar.pos"))
        runs += [(f"{format_points(row.rr25, plus=True):>6}", sign_style(row.rr25)), ("   NGI ", "dim")]
        runs += bar_runs(gamma, largest, half, ("bar.neg", "bar.pos"))
        rows.append(fit([*runs, (f"{format_usd(gamma):>9}", sign_style(gamma))], width))
    return rows
