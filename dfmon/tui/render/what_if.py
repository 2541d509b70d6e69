"""The what-if sheet: every metric before and after the last `:what-if`."""

from __future__ import annotations

from dfmon.model.what_if import MetricChange
from dfmon.tui.render.formatting import NOT_AVAILABLE, Row, cell_text, fit, format_level, format_usd, truncate
from dfmon.tui.render.frame import Frame


def what_if_rows(frame: Frame, width: int) -> list[Row]:
    """All lines of the sheet."""
    result = frame.view.what_if
    if result is None:
        return [fit(((" :what-if spot 2  vol 5  hours 24", "dim"),), width)]
    head = f" {'METRIC':<20}{'BEFORE':>12}{'AFTER':>12}{'CHANGE':>12}  UNIT"
    rows: list[Row] = [
        fit(((f" {truncate(cell_text(result.headline, 400), width - 1)}", "strong"),), width),
        fit((), width),
        fit(((head, "head"),), width),
    ]
    return [*rows, *(_metric_row(row, width) for row in result.rows)]


def _metric_row(row: MetricChange, width: int) -> Row:
    style = "text" if not row.change else "pos" if row.change > 0.0 else "neg"
    band = "" if row.after_lo is None else f"  [{_value(row, row.after_lo)} .. {_value(row, row.after_hi)}]"
    return fit(
        (
            (f" {row.name:<20}", "text"),
            (f"{_value(row, row.before):>12}{_value(row, row.after):>12}", "text"),
            (f"{_short(row.change):>12}", style),
            (f"  {row.unit}{band}", "dim"),
        ),
        width,
    )


def _value(row: MetricChange, value: float | None) -> str:
    """A level in whole dollars, any other metric short."""
    return format_level(value) if row.name == "flip" else _short(value)


def _short(value: float | None) -> str:
    if value is None:
        return NOT_AVAILABLE
    return f"{value:+.3f}" if abs(value) < 100.0 else format_usd(value)
