"""The position models side by side: what each would say of the same market. The sign of a dealer's position is an
assumption, and a screen that shows one model alone would hide it.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import FlowSnapshot, ModelRow
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.text import (
    NOTHING,
    Row,
    Run,
    fit,
    foreign,
    level,
    money,
    percent,
    sign_style,
    width_of,
)
from dfmon.tui.view import MODELS

COLUMNS: Final = (("NGI/+1%", "ngi"), ("VSS/+1pt", "vss"), ("CHL/24h", "chl"), ("VOLG/+1pt", "volg"))
_NO_FILE: Final = "needs --positions file:PATH"


def models_of(s: FlowSnapshot) -> tuple[ModelRow, ...]:
    """The rows of the snapshot; the model in force alone where it has none."""
    if s.models:
        return s.models
    m = s.metrics
    numbers = (m.ngi.value, m.vss.value, m.chl.value, m.volg.value)
    return (ModelRow(s.positions.model, *numbers, s.flip.level, s.flip.net),)


def known_models(s: FlowSnapshot | None) -> tuple[str, ...]:
    """The models `b` goes through: those that have numbers; a file is among them only where one was given."""
    return tuple(row.model for row in (s.models if s is not None else ()) if row.ngi is not None) or MODELS


def models(frame: Frame, s: FlowSnapshot, width: int) -> list[Row]:
    """A header and a row a model, the one in force marked."""
    cell = 10 if width >= 72 else 8
    count = max(1, min(len(COLUMNS), (width - 24) // cell))
    head = "".join(f"{name if cell > 8 else name.split('/')[0]:>{cell}}" for name, _ in COLUMNS[:count])
    rows: list[Row] = [fit(((f" {'MODEL':<11}{head}  G-FLIP", "head"),), width)]
    have = models_of(s)
    rows += [_line(frame, s, row, cell, count, width) for row in have]
    missing = [name for name in (*MODELS, "file") if name not in {row.model for row in have}]
    for name in missing if s.models else ():
        why = _NO_FILE if name == "file" else "not computed"
        rows.append(fit(((f"  {name:<10}", "dim"), (f"{NOTHING:>{cell}}", "absent"), (f"  {why}", "dim")), width))
    return rows


def _line(frame: Frame, s: FlowSnapshot, row: ModelRow, cell: int, count: int, width: int) -> Row:
    active = row.model == s.positions.model
    name = f"{'▶' if active else ' '} {foreign(row.model, 9):<10}"
    out: list[Run] = [(name, "strong" if active else "text")]
    for _, field in COLUMNS[:count]:
        value: float | None = getattr(row, field)
        out.append((f"{money(value):>{cell}}", "absent" if value is None else frame.shade(sign_style(value))))
    return fit((*out, ("  ", "text"), *_flip(frame, s, row, width - width_of(out) - 2)), width)


def _flip(frame: Frame, s: FlowSnapshot, row: ModelRow, room: int) -> list[Run]:
    """The level and how far spot is from it, or the sign that holds throughout."""
    if row.flip is None:
        if row.ngi is None:
            return [(NOTHING, "absent")]
        side = "long" if row.flip_net > 0 else "short" if row.flip_net < 0 else "flat"
        return [(f"none, {side}{' throughout' if room >= 22 else ''}", "text")]
    text = level(row.flip)
    away = f" ({percent(s.spot / row.flip - 1)})" if s.spot is not None else ""
    return [(text, frame.shade("flip")), (away if len(text + away) <= room else "", "dim")]
