"""The positions sheet: the estimated dealer position in every option, with its band and coverage.

Coins, + where dealers are long. Five tables: models, options, expiries, strikes, and the origins of the selected
option's position. A wide screen shows several, a small one the models and one of the others, or the origins
alone (tab).
"""

from __future__ import annotations

from typing import Final

from dfmon.model.positions import Positions
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import ExpiryRow
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    cell_text,
    coverage_run,
    fit,
    format_coins,
    format_percent,
    join_by_priority,
    linked,
    sign_style,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import visible_range
from dfmon.tui.render.models import models
from dfmon.tui.render.options import options
from dfmon.tui.render.origins import origins
from dfmon.tui.render.strikes import strikes

_MIN_WIDE_WIDTH: Final = 132  # from here on the options are beside models and expiries
_RIGHT_WIDTH: Final = 74
_MIN_ORIGIN_ROWS: Final = 14
_COLUMN_GUIDE: Final = (
    "NET      dealers' position, mean of the ensemble",
    "5% 95%   the range of nine in ten members of the ensemble",
    "P(LONG)  share of members in which dealers are long",
    "SEEN     share of open interest with a known trade history",
    "LAST     age of the last print",
)


def positions(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner_size(rect)
    snapshot, detail = frame.snapshot, frame.detail
    title: list[Run] = [("DEALER POSITIONS", "title"), ("  coins, + dealers long, - short", "dim")]
    if snapshot is None or detail is None:
        return bordered_panel(rect, title, [(), ((f"  {frame.waiting_text()}", "dim"),)], focus=False)
    if frame.mode == "sim" and width >= 100:
        title.append(("   of the simulated exchange", "dim"))
    render_tables = _side_by_side_tables if width >= _MIN_WIDE_WIDTH and height >= 20 else _stacked_tables
    return bordered_panel(
        rect,
        title,
        [_summary_row(snapshot.positions, width), *render_tables(frame, snapshot, width, height - 1)],
        focus=False,
    )


def _stacked_tables(frame: Frame, snapshot: FlowSnapshot, width: int, height: int) -> list[Row]:
    if frame.view.table == "origins":
        return origins(frame, snapshot, width, height)
    top = models(frame, snapshot, width) if height >= 13 else []
    available = height - len(top)
    table = {"options": options, "strikes": strikes}.get(frame.view.table, expiries)
    return [*top, *table(frame, snapshot, width, available)]


def _side_by_side_tables(frame: Frame, snapshot: FlowSnapshot, width: int, height: int) -> list[Row]:
    left = options(frame, snapshot, width - _RIGHT_WIDTH - 1, height)
    right = models(frame, snapshot, _RIGHT_WIDTH)
    if frame.view.table == "strikes":
        right += [fit((), _RIGHT_WIDTH), *strikes(frame, snapshot, _RIGHT_WIDTH, height - len(right) - 1)]
        return [(*left_row, ("│", "edge"), *right_row) for left_row, right_row in zip(left, right, strict=True)]
    available = height - len(right) - 1
    expiry_rows = min(available, max(2, len(snapshot.by_expiry)) + 4)
    if frame.view.table != "origins" or available - expiry_rows > _MIN_ORIGIN_ROWS:
        right += [fit((), _RIGHT_WIDTH), *expiries(frame, snapshot, _RIGHT_WIDTH, expiry_rows)]
    if height - len(right) > _MIN_ORIGIN_ROWS:
        right += [fit((), _RIGHT_WIDTH), *origins(frame, snapshot, _RIGHT_WIDTH, height - len(right) - 1)]
    elif height - len(right) > len(_COLUMN_GUIDE):
        right += [fit((), _RIGHT_WIDTH), *(fit(((f" {text}", "dim"),), _RIGHT_WIDTH) for text in _COLUMN_GUIDE)]
    right += [fit((), _RIGHT_WIDTH)] * (height - len(right))
    return [(*left_row, ("│", "edge"), *right_row) for left_row, right_row in zip(left, right, strict=True)]


def _summary_row(p: Positions, width: int) -> Row:
    """Quality of the positions; a missing figure is `n/a`."""
    churn = "" if p.churn is None else " opening" if p.churn > 0 else " closing" if p.churn < 0 else ""
    facts: list[tuple[int, str, str | None, str]] = [
        (3, "gross", format_coins(p.gross_coins), ""),
        (1, "churn", None if p.churn is None else f"{p.churn:+.2f}", churn),
        (1, "residual", None if p.residual is None else format_percent(p.residual, 1, plus=False), ""),
        (2, "assumed venue share", None if p.venue_share is None else format_percent(p.venue_share, 0, plus=False), ""),
    ]
    if p.requests_checked:
        facts.append((2, "RFQ", f"{p.requests_differing} of {p.requests_checked}", " differ"))
    text, style_name = coverage_run(p)
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((f" {cell_text(p.model, 10)} model", "strong"),)),
        (0, ((text, style_name),)),
    ]
    for rank, name, value, suffix in facts:
        style_name = "absent" if value is None else "warn" if name == "RFQ" and p.requests_differing else "text"
        parts.append((rank, ((f"{name} ", "dim"), (value or NOT_AVAILABLE, style_name), (suffix, "dim"))))
    return fit(join_by_priority(parts, width, 3 if width >= 78 else 2), width)


# ---- expiries --------------------------------------------------------------------------------------------------------


def expiries(frame: Frame, snapshot: FlowSnapshot, width: int, height: int) -> list[Row]:
    """One row per expiry: position, coverage, churn and the residual that prints do not explain."""
    cell_width = 10 if width >= 70 else 9
    names = ("OI", "NET", "COVER", "CHURN", "RESIDUAL")
    column_count = max(2, min(len(names), (width - 10) // cell_width))
    head = f" {'EXPIRY':<8}" + "".join(f"{name:>{cell_width}}" for name in names[:column_count])
    out: list[Row] = [fit(((head, "head"),), width)]
    rows = snapshot.by_expiry
    if not rows:
        out.append(fit((("  no expiry listed yet", "dim"),), width))
    available = max(1, height - 3)
    selected_row = next((i for i, row in enumerate(rows) if row.label == frame.view.expiry_filter), 0)
    out += [
        _expiry_row(frame, rows[i], cell_width, column_count, width)
        for i in visible_range(len(rows), available, 0, selected_row)
        if rows
    ]
    out += [fit((), width)] * (height - 2 - len(out))
    missing_note = _missing_note(rows, snapshot, width)
    return [
        *out,
        *(fit(((f" {text}", "dim"),), width) for text in ("CHURN: d(OI) / volume, + opening, - closing", missing_note)),
    ]


def _expiry_row(frame: Frame, row: ExpiryRow, cell_width: int, column_count: int, width: int) -> Row:
    is_selected = row.label == frame.view.expiry_filter
    values: list[Run] = [
        (format_coins(row.open_interest, plus=False), "dim"),
        (NOT_AVAILABLE, "absent")
        if row.net is None
        else (format_coins(row.net), frame.dim_if_stale(sign_style(row.net))),
        (format_percent(row.coverage, 0, plus=False), "absent" if row.coverage is None else "text"),
        (NOT_AVAILABLE, "absent") if row.churn is None else (f"{row.churn:+.2f}", "text"),
        (format_percent(row.residual, 1, plus=False), "absent" if row.residual is None else "text"),
    ]
    name = f"{'▶' if is_selected else ' '}{cell_text(row.label, 8):<8}"
    cells = [(f"{text:>{cell_width}}", style) for text, style in values[:column_count]]
    runs = [(name, "row.spot" if is_selected else "label"), *cells]
    return fit(linked(runs, f"exp {cell_text(row.label, 9)}"), width)


def _missing_note(rows: tuple[ExpiryRow, ...], snapshot: FlowSnapshot, width: int) -> str:
    """The legend of RESIDUAL, or the reason for a missing figure, in full on the feeds sheet."""
    missing_fields = [
        n for n in ("net", "coverage", "churn", "residual") if any(getattr(row, n) is None for row in rows)
    ]
    if not missing_fields:
        return "RESIDUAL: share of OI moved without a print, where OI changed"
    reason = next(
        (text for text in snapshot.unavailable if any(name in text.partition(":")[0] for name in missing_fields)), ""
    )
    text = f"n/a: {cell_text(reason, 300) or 'not seen yet'}"
    return text if len(text) < width else f"{truncate(text, width - 12)} [f] more"
