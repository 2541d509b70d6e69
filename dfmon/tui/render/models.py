"""The position models side by side: the same market under each assumption about the sign of dealers' positions."""

from __future__ import annotations

from typing import Final

from dfmon.model.metrics import METRICS, metrics_at
from dfmon.model.snapshot import FlowSnapshot, ModelRow
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    cell_text,
    fit,
    format_level,
    format_percent,
    format_usd,
    row_width,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.view import MODELS

_COLUMNS: Final = metrics_at("gauge")
_NO_FILE: Final = "needs --positions file:PATH"


def model_rows(snapshot: FlowSnapshot) -> tuple[ModelRow, ...]:
    """The models of the snapshot; only the active one where it has none."""
    if snapshot.models:
        return snapshot.models
    values = {name: getattr(snapshot.metrics, name).value for name in _COLUMNS}
    flip = snapshot.flip
    return (ModelRow(snapshot.positions.model, flip=flip.level, flip_net=flip.net, **values),)


def known_models(snapshot: FlowSnapshot | None) -> tuple[str, ...]:
    """The models that `b` cycles through: those with numbers, so `file` only where one was given."""
    return (
        tuple(row.model for row in (snapshot.models if snapshot is not None else ()) if row.ngi is not None) or MODELS
    )


def models(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Row]:
    """A header and one row per model, the active one marked."""
    cell_width = 10 if width >= 72 else 8
    column_count = max(1, min(len(_COLUMNS), (width - 24) // cell_width))
    head = "".join(f"{_column_title(name, cell_width):>{cell_width}}" for name in _COLUMNS[:column_count])
    rows: list[Row] = [fit(((f" {'MODEL':<11}{head}  G-FLIP", "head"),), width)]
    available_rows = model_rows(snapshot)
    rows += [_model_row(frame, snapshot, row, cell_width, column_count, width) for row in available_rows]
    missing = [name for name in (*MODELS, "file") if name not in {row.model for row in available_rows}]
    for name in missing if snapshot.models else ():
        reason = _NO_FILE if name == "file" else "not computed"
        rows.append(
            fit(((f"  {name:<10}", "dim"), (f"{NOT_AVAILABLE:>{cell_width}}", "absent"), (f"  {reason}", "dim")), width)
        )
    return rows


def _column_title(name: str, width: int) -> str:
    """`NGI/+1%`, or the name alone in a narrow column."""
    title = name.upper()
    per = METRICS[name].unit.partition("/")[2].replace(" vol pt", "pt")
    return f"{title}/{per}" if per and width > 8 else title


def _model_row(
    frame: Frame, snapshot: FlowSnapshot, row: ModelRow, cell_width: int, column_count: int, width: int
) -> Row:
    active = row.model == snapshot.positions.model
    name = f"{'▶' if active else ' '} {cell_text(row.model, 9):<10}"
    out: list[Run] = [(name, "strong" if active else "text")]
    for field in _COLUMNS[:column_count]:
        value: float | None = getattr(row, field)
        out.append(
            (f"{format_usd(value):>{cell_width}}", "absent" if value is None else frame.dim_if_stale(sign_style(value)))
        )
    return fit((*out, ("  ", "text"), *_flip_runs(frame, snapshot, row, width - row_width(out) - 2)), width)


def _flip_runs(frame: Frame, snapshot: FlowSnapshot, row: ModelRow, available: int) -> list[Run]:
    """The flip and the distance of spot from it, or the sign that holds at every spot."""
    if row.flip is None:
        if row.ngi is None:
            return [(NOT_AVAILABLE, "absent")]
        side = "long" if row.flip_net > 0 else "short" if row.flip_net < 0 else "flat"
        return [(f"none, {side}{' throughout' if available >= 22 else ''}", "text")]
    text = format_level(row.flip)
    distance_text = f" ({format_percent(snapshot.spot / row.flip - 1)})" if snapshot.spot is not None else ""
    return [
        (text, frame.dim_if_stale("flip")),
        (distance_text if len(text + distance_text) <= available else "", "dim"),
    ]
