"""The options of the positions sheet: one row per option in the chosen order, and a sentence about the selected one.

On a narrow screen columns are dropped by rank; a wide one also plots each position within its open interest.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import PositionRow
from dfmon.model.units import SECOND
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    cell_text,
    fit,
    format_coins,
    format_duration,
    format_level,
    format_percent,
    format_time,
    join_by_priority,
    linked,
    row_width,
    short_expiry,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import visible_range
from dfmon.tui.view import View

SORT_LABELS: Final = {"size": "|net|", "band": "band", "oi": "open interest", "expiry": "expiry"}
_P_ONE_SIDED, _P_LIKELY = 0.95, 0.75

# name, cells, rank: the lowest ranks are on every screen
_COLUMNS: Final = (
    ("OI", 9, 3), ("NET", 9, 0), ("5%", 9, 1), ("95%", 9, 1), ("P(LONG)", 8, 2), ("SEEN", 6, 4), ("LAST", 7, 5)
)  # fmt: skip
_LABEL_WIDTH: Final = 16
_MIN_PLOT_WIDTH: Final = 8  # a space and seven cells


def filtered_options(frame: Frame) -> list[PositionRow]:
    """The options that pass the filters, in the chosen order."""
    view, detail = frame.view, frame.detail
    option_filter = view.filters["positions"]
    rows = [
        r
        for r in (detail.positions if detail else ())
        if (not view.expiry_filter or r.expiry == view.expiry_filter) and option_filter(r)
    ]
    expiry_rank = {e.label: i for i, e in enumerate(frame.snapshot.by_expiry)} if frame.snapshot else {}
    match view.sort_key:
        case "band":
            rows.sort(key=lambda r: (-(r.hi - r.lo) if r.hi is not None and r.lo is not None else 0.0, r.name))
        case "oi":
            rows.sort(key=lambda r: (-r.open_interest, r.name))
        case "expiry":
            rows.sort(key=lambda r: (expiry_rank.get(r.expiry, len(expiry_rank)), r.expiry, r.strike, r.option_type))
        case _:
            rows.sort(key=lambda r: (-abs(r.net), r.name))
    return rows


def cursor_index(rows: list[PositionRow], view: View) -> int:
    """The row of the selected option; the first one where none is selected or it is gone."""
    return next((i for i, row in enumerate(rows) if row.name == view.selected_option), 0)


def options(frame: Frame, snapshot: FlowSnapshot, width: int, height: int) -> list[Row]:
    """Header, the rows around the cursor, and a sentence about the selected row."""
    rows = filtered_options(frame)
    columns, plot_width = _visible_columns(width)
    head = f" {'OPTION':<{_LABEL_WIDTH - 1}}" + "".join(f"{name:>{cells}}" for name, cells, _ in columns)
    if plot_width:
        head += " " + "-OI   0   OI+".center(plot_width) if plot_width >= 13 else " " + "-OI OI+".center(plot_width)
    out: list[Row] = [fit(((head, "head"),), width)]
    if not rows:
        out.append(fit(((f"  {_empty_text(frame)}", "dim"),), width))
        return [*out, *[fit((), width)] * (height - 2)]
    cursor_row, available = cursor_index(rows, frame.view), max(1, height - 3)
    visible = visible_range(len(rows), available, 0, cursor_row)
    out += [_option_row(frame, rows[i], columns, plot_width, width, i == cursor_row) for i in visible]
    out += [fit((), width)] * (height - 2 - len(out))
    out += [
        _list_status(frame, cursor_row, len(rows), width),
        _option_summary(frame, snapshot, rows[cursor_row], width),
    ]
    return out


def _empty_text(frame: Frame) -> str:
    text = frame.view.filters["positions"].text
    if frame.detail is not None and frame.detail.positions:
        return (
            f"no options of {frame.view.expiry_filter or 'any expiry'} match the filter {cell_text(text, 40)}".rstrip()
        )
    return "no positions yet: no option has both open interest and a mark price"


def _visible_columns(width: int) -> tuple[list[tuple[str, int, int]], int]:
    """The columns that fit, and the width of the plot (odd; 0 for none)."""
    available, selected = width - _LABEL_WIDTH, set[str]()
    for name, cells, _ in sorted(_COLUMNS, key=lambda c: c[2]):
        if cells > available:
            break
        available -= cells
        selected.add(name)
    plot_width = 0 if available < _MIN_PLOT_WIDTH or len(selected) < len(_COLUMNS) else min(31, available - 1)
    return [c for c in _COLUMNS if c[0] in selected], plot_width - (plot_width + 1) % 2 if plot_width else 0


def _option_row(
    frame: Frame, row: PositionRow, columns: list[tuple[str, int, int]], plot_width: int, width: int, is_selected: bool
) -> Row:
    stale = frame.stale
    style_name = "dim" if stale else sign_style(row.net)
    cells: dict[str, Run] = {
        "OI": (format_coins(row.open_interest, plus=False), "dim"),
        "NET": (("~" if stale else "") + format_coins(row.net), style_name),
        "5%": _bound_run(row.lo),
        "95%": _bound_run(row.hi),
        "P(LONG)": (format_probability(row.p_long), _probability_style(row.p_long)),
        "SEEN": (format_percent(row.seen, 0, plus=False), "absent" if row.seen is None else "dim"),
        "LAST": (_last_print_age(frame, row), "dim"),
    }
    option_letter = cell_text(row.option_type, 4)[:1].upper()
    mark = "▶" if is_selected else " "
    label = f"{mark}{short_expiry(row.expiry):<5} {format_level(row.strike):>8}{option_letter}"
    out: list[Run] = [(f"{label:<{_LABEL_WIDTH}}"[:_LABEL_WIDTH], "row.spot" if is_selected else "label")]
    out += [(f"{cells[name][0]:>{size}}", cells[name][1]) for name, size, _ in columns]
    if plot_width:
        out += [(" ", "text"), *_position_plot(row, plot_width, style_name)]
    return fit(linked(out, f"option {cell_text(row.name, 40)}"), width)


def _bound_run(value: float | None) -> Run:
    return (NOT_AVAILABLE, "absent") if value is None else (format_coins(value), "dim")


def format_probability(p: float | None) -> str:
    """Whole per cent; only certainty is shown as 0% or 100%."""
    if p is None:
        return NOT_AVAILABLE
    if 0.0 < p < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= p < 1.0 else format_percent(p, 0, plus=False)


def _probability_style(p: float | None) -> str:
    if p is None:
        return "absent"
    return "text" if p >= _P_ONE_SIDED or p <= 1 - _P_ONE_SIDED else "warn" if 1 - _P_LIKELY < p < _P_LIKELY else "dim"


def _last_print_age(frame: Frame, row: PositionRow) -> str:
    return "none" if not row.last_ns else format_duration(max(0, frame.clock_ns - row.last_ns) // SECOND)


def _position_plot(row: PositionRow, width: int, style_name: str) -> list[Run]:
    """The band as a line and the position as a point, from all open interest short to all of it long."""
    if row.open_interest <= 0:
        return [("·" * (width // 2) + "│" + "·" * (width // 2), "faint")]

    def to_column(value: float) -> int:
        share = (value / row.open_interest + 1) / 2
        return min(width - 1, max(0, round(share * (width - 1))))

    cells = [("·", "faint")] * width
    cells[width // 2] = ("│", "axis")
    if row.lo is not None and row.hi is not None:
        for x in range(to_column(row.lo), to_column(row.hi) + 1):
            cells[x] = ("─", "axis")
    cells[to_column(row.net)] = ("■", style_name)
    return cells


def _list_status(frame: Frame, cursor_row: int, count: int, width: int) -> Row:
    """The place in the list, its order and its filters."""
    view = frame.view
    text = view.filters["positions"].text
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((f" {cursor_row + 1} of {count:,}", "dim"),)),
        (
            1,
            tuple(
                linked(
                    ((f"[{frame.key('view.order')}] by ", "dim"), (SORT_LABELS[view.sort_key], "text")), "view.order"
                )
            ),
        ),
        (
            1,
            (
                (f"[{frame.key('view.only')}] ", "dim"),
                (cell_text(view.expiry_filter, 9) or "all expiries", "strong" if view.expiry_filter else "text"),
            ),
        ),
        (1, (("/", "dim"), (cell_text(text, 40) or "no filter", "strong" if text else "dim"))),
    ]
    runs = join_by_priority(parts, width - 2, 3)
    return fit((*runs, (" ", "edge"), ("─" * max(0, width - row_width(runs) - 1), "edge")), width)


def _option_summary(frame: Frame, snapshot: FlowSnapshot, row: PositionRow, width: int) -> Row:
    """The row as a sentence, with the reason for a missing value; cut at the end."""
    side = "long" if row.net > 0 else "short" if row.net < 0 else "flat"
    out: list[Run] = [
        (f" dealers {side} ", "text"),
        (format_coins(abs(row.net), plus=False), sign_style(row.net)),
        (f" of {format_coins(row.open_interest, plus=False)} {cell_text(snapshot.underlying, 6)} open", "text"),
    ]
    if row.p_long is not None:
        p_sign = max(row.p_long, 1 - row.p_long)
        caveat = snapshot.positions.sign_caveat.removeprefix("sign ")
        certainty = (
            "certain" if p_sign >= _P_ONE_SIDED and not caveat else "likely" if p_sign >= _P_LIKELY else "uncertain"
        )
        out.append((f", sign {certainty}" + (f" ({caveat})" if caveat else ""), "text"))
    out += [(f"; {reason}", "warn") for reason in _missing_reasons(snapshot, row)]
    if row.last_ns:
        out.append((f"; last print {format_time(row.last_ns)}Z", "dim"))
    return fit(out, width)


def _missing_reasons(snapshot: FlowSnapshot, row: PositionRow) -> list[str]:
    """The reason for each `n/a` of a row."""
    model = cell_text(snapshot.positions.model, 10)
    if model != "flow":
        return [f"{model} has no band and no history"]
    out: list[str] = []
    if row.lo is None or row.hi is None or row.p_long is None:
        out.append("no band yet")
    if row.seen is None:
        out.append("no open interest" if row.open_interest <= 0 else "share seen unknown")
    if not row.last_ns:
        out.append("no print seen")
    return out
