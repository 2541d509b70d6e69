"""The sheet that writes one number or word out: formula, inputs with ages, contributors, other conventions.

The text is that of `dfmon explain`.
"""

from __future__ import annotations

from typing import Final

from dfmon.engine.explain import EXPLAINED
from dfmon.engine.explain_terms import TERMS
from dfmon.model.explain import Explanation, TermExplanation
from dfmon.tui.render.formatting import Row, cell_text, fit
from dfmon.tui.render.frame import Frame
from dfmon.tui.what_if_controls import tick_of

EXPLAINABLE: Final = (*EXPLAINED, *TERMS)
_MAX_LINE: Final = 400


def explanation_rows(frame: Frame, width: int) -> list[Row]:
    """All lines of the sheet."""
    found, name = frame.computed("explain"), frame.view.explained
    hint = f"  {frame.keys('cursor.left', 'cursor.right')} the next one, :explain NAME, as `dfmon explain`"
    head = fit(((f" {name.upper()}", "strong"), (hint, "dim")), width)
    if frame.stale:
        return [head, fit(((" no explanation while stale", "warn"),), width)]
    if found is None or found.key[2] != name:
        return [head, fit(((f" {_missing_text(frame)}", "dim"),), width)]
    if not isinstance(found.value, Explanation | TermExplanation):
        return [head, fit(((f" {cell_text(found.error, _MAX_LINE)}", "warn"),), width)]
    rows = [head]
    for line in str(found.value).splitlines():
        text = cell_text(line, _MAX_LINE)
        parts = [text[i : i + width - 2] for i in range(0, max(1, len(text)), width - 2)]
        style = "text" if line.startswith(" ") else "strong" if len(rows) == 1 else "head"
        rows += [fit(((f" {part}", style),), width) for part in parts]
    return rows


def _missing_text(frame: Frame) -> str:
    if frame.snapshot is None:
        return frame.waiting_text()
    return (
        "computing ..."
        if tick_of(frame) is not None
        else "an explanation needs the options of a market in this process"
    )
