"""Panel 4: option prints as they come, newest on top, with what each did to the dealers' gamma."""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import TapeRow
from dfmon.model.units import MINUTE
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.text import (
    Row,
    Run,
    clock,
    cut,
    expiry_short,
    fit,
    foreign,
    level,
    money,
    percent,
    width_of,
)

FIXED_ROWS: Final = 2  # head and summary of the zoomed list


def prints(frame: Frame) -> list[TapeRow]:
    """The rows of the tape the view asks for, newest first."""
    detail = frame.detail
    rows = detail.tape if detail else ()
    chosen = frame.view.filters["tape"]
    return sorted((r for r in rows if r.size >= frame.view.tape_min and chosen(r)), key=lambda r: -r.ts_ns)


def tape(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner(rect)
    view, focus = frame.view, frame.view.panel == "tape"
    limit = f">={view.tape_min:g} {foreign(view.underlying, 5)}" if view.tape_min > 0 else "all sizes"
    title: list[Run] = [("4 FLOW TAPE" if width >= 40 else "4 TAPE", "title")]
    chosen = view.filters["tape"].text
    if not chosen or view.tape_min > 0:
        title.append((f"  {limit}", "dim"))
    if chosen:
        title.append((f"  /{cut(foreign(chosen, 60), width - width_of(title) - 6)}", "strong"))
    if frame.snapshot is None:
        return framed(rect, title, [(), ((f" {frame.waiting()}", "dim"),)], focus=focus)
    rows = prints(frame)
    if not rows:
        words = "no print passes the filter" if chosen else "no trades yet"
        return framed(rect, title, [(), ((f" {words}", "dim"),)], focus=focus)
    body: list[Row] = []
    if width >= 40:
        body.append(fit(((_head(width), "head"),), width))
    extra = 1 if view.zoom else 0
    room = height - len(body) - extra
    first = min(view.scroll, max(0, len(rows) - room)) if view.zoom else 0
    body += [_line(row, width) for row in rows[first : first + room]]
    if view.zoom:
        body += [fit((), width)] * (height - 1 - len(body))
        body.append(fit(_summary(frame, rows, first), width))
    if rect.edge == "rule" and view.zoom:
        body = [((" ", "text"), *row) for row in body[:-1]] + body[-1:]
    foot = [*_summary(frame, rows, 0)[: 2 if width >= 40 else 1], (" ─", "edge")] if rect.edge == "box" else ()
    return framed(rect, title, body, focus=focus, foot=foot)


def _head(width: int) -> str:
    text = "TIME     SIDE EXP    STRIKE     QTY  GAMMA"
    return f"{text}     PX     IV  FLAG" if width >= 60 else f"{text}    IV" if width >= 48 else text


def _line(row: TapeRow, width: int) -> Row:
    side, tone = ("▲B", "buy") if row.side > 0 else ("▼S", "sell") if row.side < 0 else ("■ ", "dim")
    kind = foreign(row.option_type, 4)[:1].upper()
    if width < 40:
        strike = level(row.strike)
        if row.strike >= 10_000:
            strike = f"{row.strike / 1000:.4g}"
        size = _size(row.size)
        return fit(
            (
                (f"{clock(row.ts_ns)} ", "dim"),
                (f"{side} ", tone),
                (_expiry(row), "text"),
                (f"{strike + kind:>7} ", "text"),
                (f"{size:>4}", "strong" if row.block else "text"),
                ("!" if row.block else "+" if row.combo else " ", "warn"),
            ),
            width,
        )
    out: list[Run] = [
        (f"{clock(row.ts_ns)} ", "dim"),
        (f"{side} ", tone),
        (f"{_expiry(row)} ", "text"),
        (f"{level(row.strike):>7}{kind} ", "text"),
        (f"{row.size:>6,.1f} ", "strong" if row.block else "text"),
        (f"{money(row.gamma):>6}", "absent" if row.gamma is None else "pos" if row.gamma > 0 else "neg"),
    ]
    iv = "n/a" if row.iv is None else f"{100 * row.iv:.1f}"
    if width >= 60:
        flag = ("BLOCK " if row.block else "") + ("COMBO" if row.combo else "")
        out += [
            (f" {row.price:>8.4f} " if row.price < 10 else f" {row.price:>8,.1f} ", "dim"),
            (f"{iv:>5}  ", "dim"),
            (flag, "warn"),
        ]
    else:
        if width >= 48:
            out.append((f" {iv:>5}", "dim"))
        out.append((" K" if row.block else " c" if row.combo else "", "warn"))
    return fit(out, width)


def _expiry(row: TapeRow) -> str:
    return f"{expiry_short(row.expiry, wide=True):<5}"


def _size(size: float) -> str:
    return f"{size:.1f}" if size < 9.95 else f"{size:.0f}" if size < 9999.5 else f"{size / 1000:.0f}k"


def _summary(frame: Frame, rows: list[TapeRow], first: int) -> list[Run]:
    """Who was the taker in the last five minutes, and what that did to the dealers."""
    newest = max(frame.clock_ns, rows[0].ts_ns)
    recent = [r for r in rows if newest - r.ts_ns <= 5 * MINUTE] or rows
    volume = sum(r.size for r in recent)
    bought = sum(r.size for r in recent if r.side > 0)
    gamma = sum(r.gamma for r in recent if r.gamma is not None)
    share = percent(bought / volume, 0, plus=False) if volume else "n/a"
    blocks, combos = sum(r.block for r in recent), sum(r.combo for r in recent)
    text = f"   blocks {blocks}   combos {combos}   row {first + 1} of {len(rows)}"
    return [(f" 5m: taker buy {share}", "dim"), (f"  dealer gamma {money(gamma)}", "dim"), (text, "dim")]
