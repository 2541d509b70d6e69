"""Panel 4: option prints, newest first, with the change of dealers' gamma by each."""

from __future__ import annotations

from typing import Final

from dfmon.model.tables import TapeRow
from dfmon.model.units import MINUTE
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_level,
    format_percent,
    format_time,
    format_usd,
    row_width,
    short_expiry,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.structures import structure_rows

MIN_STRUCTURE_WIDTH: Final = 60  # of the zoomed tape, from which structures are grouped


def filtered_prints(frame: Frame) -> list[TapeRow]:
    """The prints that pass the filter and the minimum size, newest first."""
    detail = frame.detail
    rows = detail.tape if detail else ()
    tape_filter = frame.view.filters["tape"]
    return sorted((r for r in rows if r.size >= frame.view.tape_min and tape_filter(r)), key=lambda r: -r.ts_ns)


def tape(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner_size(rect)
    view, focus = frame.view, frame.view.panel == "tape"
    size_label = f">={view.tape_min:g} {cell_text(view.underlying, 5)}" if view.tape_min > 0 else "all sizes"
    title: list[Run] = [("4 FLOW TAPE" if width >= 40 else "4 TAPE", "title")]
    filter_text = view.filters["tape"].text
    if not filter_text or view.tape_min > 0:
        title.append((f"  {size_label}", "dim"))
    if filter_text:
        title.append((f"  /{truncate(cell_text(filter_text, 60), width - row_width(title) - 6)}", "strong"))
    if frame.snapshot is None:
        return bordered_panel(rect, title, [(), ((f" {frame.waiting_text()}", "dim"),)], focus=focus)
    rows = filtered_prints(frame)
    if not rows:
        message = "no prints match the filter" if filter_text else "no trades yet"
        return bordered_panel(rect, title, [(), ((f" {message}", "dim"),)], focus=focus)
    if view.zoom and width >= MIN_STRUCTURE_WIDTH:
        return bordered_panel(rect, title, _structure_body(frame, rows, width, height), focus=focus)
    body: list[Row] = []
    if width >= 40:
        body.append(fit(((_header_text(width), "head"),), width))
    footer_rows = 1 if view.zoom else 0
    available = height - len(body) - footer_rows
    first = min(view.scroll, max(0, len(rows) - available)) if view.zoom or focus else 0
    body += [_print_row(row, width) for row in rows[first : first + available]]
    if view.zoom:
        body += [fit((), width)] * (height - 1 - len(body))
        body.append(fit(_summary_runs(frame, rows, first), width))
    if view.zoom:
        body = [((" ", "text"), *row) for row in body[:-1]] + body[-1:]
    tail = [_taker_run(frame, rows)] if not view.zoom else ()
    return bordered_panel(rect, title, body, focus=focus, tail=tail)


def _structure_body(frame: Frame, rows: list[TapeRow], width: int, height: int) -> list[Row]:
    """The zoomed list from the scrolled line on, its header above and the summary below."""
    head, *lines = structure_rows(frame, rows, width)
    first = min(frame.view.scroll, max(0, len(lines) - (height - 2)))
    shown = [head, *lines[first : first + height - 2]]
    shown += [fit((), width)] * (height - 1 - len(shown))
    return [*shown, fit(_summary_runs(frame, rows, first), width)]


def tape_rows(frame: Frame, width: int) -> list[Row]:
    """The zoomed list in full: header, prints, summary."""
    rows = filtered_prints(frame)
    if width >= MIN_STRUCTURE_WIDTH:
        return [*structure_rows(frame, rows, width), ()]
    summary = _summary_runs(frame, rows, 0) if rows else ()
    return [((_header_text(width), "head"),), *(_print_row(row, width) for row in rows), tuple(summary)]


def _header_text(width: int) -> str:
    text = "TIME     SIDE EXP    STRIKE     QTY  GAMMA"
    return f"{text}     PX     IV  FLAG" if width >= 60 else f"{text}    IV" if width >= 48 else text


def _print_row(row: TapeRow, width: int) -> Row:
    side, style_name = ("▲B", "buy") if row.side > 0 else ("▼S", "sell") if row.side < 0 else ("■ ", "dim")
    option_letter = cell_text(row.option_type, 4)[:1].upper()
    if width < 40:
        strike = format_level(row.strike)
        if row.strike >= 10_000:
            strike = f"{row.strike / 1000:.4g}"
        size = _size_text(row.size)
        return fit(
            (
                (f"{format_time(row.ts_ns)} ", "dim"),
                (f"{side} ", style_name),
                (_expiry_text(row), "text"),
                (f"{strike + option_letter:>7} ", "text"),
                (f"{size:>4}", "strong" if row.block else "text"),
                ("!" if row.block else "+" if row.combo else " ", "warn"),
            ),
            width,
        )
    out: list[Run] = [
        (f"{format_time(row.ts_ns)} ", "dim"),
        (f"{side} ", style_name),
        (f"{_expiry_text(row)} ", "text"),
        (f"{format_level(row.strike):>7}{option_letter} ", "text"),
        (f"{row.size:>6,.1f} ", "strong" if row.block else "text"),
        (f"{format_usd(row.gamma):>6}", "absent" if row.gamma is None else "pos" if row.gamma > 0 else "neg"),
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


def _expiry_text(row: TapeRow) -> str:
    return f"{short_expiry(row.expiry):<5}"


def _size_text(size: float) -> str:
    return f"{size:.1f}" if size < 9.95 else f"{size:.0f}" if size < 9999.5 else f"{size / 1000:.0f}k"


def _taker_run(frame: Frame, rows: list[TapeRow]) -> Run:
    """`buy 52 %`: the share of the last five minutes that takers bought."""
    newest = max(frame.clock_ns, rows[0].ts_ns)
    recent = [r for r in rows if newest - r.ts_ns <= 5 * MINUTE] or rows
    volume = sum(r.size for r in recent)
    share = sum(r.size for r in recent if r.side > 0) / volume if volume else None
    style = "dim" if share is None else "buy" if share >= 0.5 else "sell"
    return f"buy {format_percent(share, 0, plus=False)}", style


def _summary_runs(frame: Frame, rows: list[TapeRow], first: int) -> list[Run]:
    """The takers' side in the last five minutes, and the change of dealers' gamma."""
    newest = max(frame.clock_ns, rows[0].ts_ns)
    recent = [r for r in rows if newest - r.ts_ns <= 5 * MINUTE] or rows
    volume = sum(r.size for r in recent)
    bought = sum(r.size for r in recent if r.side > 0)
    gamma = sum(r.gamma for r in recent if r.gamma is not None)
    share = format_percent(bought / volume, 0, plus=False) if volume else "n/a"
    blocks, combos = sum(r.block for r in recent), sum(r.combo for r in recent)
    text = f"   blocks {blocks}   combos {combos}   row {first + 1} of {len(rows)}"
    return [(f" 5m: taker buy {share}", "dim"), (f"  dealer gamma {format_usd(gamma)}", "dim"), (text, "dim")]
