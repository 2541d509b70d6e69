"""Panel 5: net gamma as spot moves. Beside the heat-map it shares the strike rows; zoomed it is a curve.

Left of zero dealers amplify moves, right of zero they damp them.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from dfmon.model.snapshot import FlowSnapshot, Profile
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import current, shown_rows
from dfmon.tui.render.plot import Canvas, bar, nice
from dfmon.tui.render.strip import flip_runs
from dfmon.tui.render.text import Row, Run, fit, foreign, level, money, signed


def at(profile: Profile, spot: float) -> float | None:
    """Net gamma at a spot, between the grid points; None outside them."""
    x = profile.spots
    if not x or not x[0] <= spot <= x[-1]:
        return None
    i = max(1, bisect_left(x, spot)) if len(x) > 1 else 0
    if i == 0:
        return profile.ngi[0]
    share = (spot - x[i - 1]) / (x[i] - x[i - 1]) if x[i] > x[i - 1] else 0.0
    return profile.ngi[i - 1] + share * (profile.ngi[i] - profile.ngi[i - 1])


def profile(frame: Frame, rect: Rect) -> list[Row]:
    """Bars beside the strikes in a box, the curve everywhere else."""
    s, detail = frame.snapshot, frame.detail
    focus = frame.view.panel == "profile"
    title: list[Run] = [("5 GAMMA PROFILE" if rect.width >= 30 else "5 PROFILE", "title")]
    if s is None or detail is None or not detail.profile.spots:
        words = frame.waiting() if s is None else "no profile yet"
        return framed(rect, title, [(), ((f"  {words}", "dim"),)], focus=focus, joint="┼")
    if rect.edge == "box":
        foot = [(" ", "edge"), *flip_runs(s.flip, None, long=False), (" ─", "edge")]
        return framed(rect, title, _bars(frame, detail.profile, rect), focus=focus, foot=foot)
    model = f"   {foreign(s.positions.model, 10)} model" if rect.width >= 60 else ""
    title += [("  NGI $M per +1% v spot", "dim"), (model, "dim")]
    return framed(
        rect, title, _curve(frame, s, detail.profile, rect), focus=focus, joint="┼" if not frame.view.zoom else "─"
    )


def _bars(frame: Frame, profile: Profile, rect: Rect) -> list[Row]:
    width, height = inner(rect)
    half = (width - 2) // 2
    left, right = ("amplify ◀", "▶ damp") if width >= 28 else ("ampl. ◀", "▶ damp")
    head = f"{left:>{half}}0{right}" if width < 28 else f"{left.center(half)}0{right.center(half)}"
    rows: list[Row] = [fit(((head, "head"),), width)]
    grid = current(frame)
    if grid is None:
        return rows
    values = {i: at(profile, grid.strikes[i]) for i in range(len(grid.strikes))}
    shown = shown_rows(frame, grid, height - 1)
    scale = max((abs(v) for i in shown if (v := values[i]) is not None), default=0.0)
    for i in reversed(shown):
        value = values[i]
        here = i == grid.spot_row
        if value is None:
            rows.append(fit((("·" * half, "faint"), ("│", "axis"), ("·" * half, "faint")), width))
            continue
        before, after, sign = bar(value, scale, half)
        tone = frame.shade(f"bar.{sign}")
        runs: list[Run] = []
        for part in (before, after):
            full = part.strip("·")
            free = "·" * (len(part) - len(full))
            runs += [(free, "faint"), (full, tone)] if part is before else [(full, tone), (free, "faint")]
        runs.insert(2, ("│", "row.spot" if here else "axis"))
        row = fit(runs, width)
        rows.append(_marked(row) if here else row)
    return rows


def _marked(row: Row) -> Row:
    """The spot mark in the first cell."""
    (text, style), *rest = row
    return (("▶", "row.spot"), (text[1:], style), *rest) if len(text) > 1 else (("▶", "row.spot"), *rest)


def _curve(frame: Frame, s: FlowSnapshot, profile: Profile, rect: Rect) -> list[Row]:
    width, height = inner(rect)
    notes = _notes(s, width) if height >= 9 else []
    high = max(3, (height - 2 - len(notes)) // 2 * 2 + 1)  # odd, so that zero is a row
    gutter = 7
    columns = width - gutter - 1
    spots = profile.spots
    points = [spots[0] + (spots[-1] - spots[0]) * x / max(1, columns - 1) for x in range(columns)]
    values = [v / 1e6 if (v := at(profile, p)) is not None else None for p in points]
    size = max((abs(v) for v in values if v is not None), default=1.0)
    edge = nice(size)
    canvas = Canvas(columns, high, -edge, edge)
    canvas.level(0.0, "─", "faint")
    for bound in (profile.lo, profile.hi):
        if bound is not None:
            side = Profile(spots, bound, None, None)
            dots = [v / 1e6 if x % 2 == 0 and (v := at(side, p)) is not None else None for x, p in enumerate(points)]
            canvas.dashes(dots, "·", "dim")

    def column(price: float | None) -> int | None:
        if price is None or not spots[0] <= price <= spots[-1] or spots[-1] <= spots[0]:
            return None
        return round((price - spots[0]) / (spots[-1] - spots[0]) * (columns - 1))

    for root in s.flip.roots:
        if (x := column(root.level)) is not None:
            for y in range(high):
                canvas.put(x, y, "╎", "flip")
    if frame.view.icons == "braille":
        finer = [spots[0] + (spots[-1] - spots[0]) * x / max(1, 2 * columns - 1) for x in range(2 * columns)]
        canvas.dots([v / 1e6 if (v := at(profile, p)) is not None else None for p in finer], frame.shade("spot"))
    else:
        canvas.line(values, frame.shade("spot"))
    if (x := column(s.spot)) is not None and s.spot is not None:
        text = f"▲ spot {level(s.spot)}" if x + 16 < columns else f"spot {level(s.spot)} ▲"
        canvas.write(x if text[0] == "▲" else x - len(text) + 1, high - 1, text, "strong")
    return [*_with_axis(canvas, edge, gutter), _prices(spots, columns, gutter + 1), *notes]


def _with_axis(canvas: Canvas, edge: float, gutter: int) -> list[Row]:
    rows: list[Row] = []
    digits = 0 if edge >= 10 else 1 if edge >= 1 else 2
    spaces = canvas.height - 1
    every = spaces // 4 if spaces % 4 == 0 else spaces // 2
    for y, cells in enumerate(canvas.rows()):
        value = edge - 2 * edge * y / (canvas.height - 1)
        shown = y % every == 0
        rows.append(((f"{signed(value, digits):>{gutter}}┤" if shown else " " * gutter + "│", "axis"), *cells))
    return rows


def _prices(spots: tuple[float, ...], columns: int, gutter: int) -> Row:
    """Round prices under the curve."""
    cells = [" "] * columns
    span = spots[-1] - spots[0]
    step = nice(span / max(1, columns // 12))
    price = math.ceil(spots[0] / step) * step
    while price <= spots[-1] and span > 0:
        text = level(price)
        x = round((price - spots[0]) / span * (columns - 1)) - len(text) // 2
        if x >= 0 and x + len(text) <= columns:
            cells[x : x + len(text)] = text
        price += step
    return ((" " * gutter, "axis"), ("".join(cells), "axis"))


def _notes(s: FlowSnapshot, width: int) -> list[Row]:
    """Levels in words; no flip in the searched range is said, not left empty."""
    lv = s.levels
    named = [("call wall", lv.call_wall, "pos"), ("put wall", lv.put_wall, "neg")]
    if width >= 60:
        named += [("key gamma", lv.key_gamma, "text"), ("max pain", lv.max_pain, "text")]
    first: list[Run] = []
    for name, value, style in named:
        first += [(f" {name} ", "dim"), (f"{level(value)}  ", style if value is not None else "absent")]
    second: list[Run] = [(" ", "text"), *flip_runs(s.flip, s.spot)]
    if s.flip.lo is not None and s.flip.hi is not None and width >= 60:
        second.append((f"  [{level(s.flip.lo)} .. {level(s.flip.hi)}]", "dim"))
    if s.flip.level is None and s.flip.searched is not None:
        second.append((f"  searched {level(s.flip.searched[0])} .. {level(s.flip.searched[1])}", "dim"))
    second.append((f"   NGI here {money(s.metrics.ngi.value)}", "text"))
    return [fit(first, width), fit(second, width)]
