"""Writes the table of docs/data.md from `dfmon.store.boards.layouts`: `python docs/layout_table.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dfmon.store.boards.layouts import LAYOUTS, Layout

PAGE: Final = Path(__file__).parent / "data.md"
_HEADER: Final = "| layout | recognised by | volatility | rows are | from |\n| --- | --- | --- | --- | --- |\n"


def layout_table() -> str:
    """A row for each layout, in the order in which they are tried."""
    return _HEADER + "".join(_row(layout) for layout in LAYOUTS)


def _row(layout: Layout) -> str:
    columns = ", ".join(f"`{layout.columns[name][0]}`" for name in layout.identified_by)
    unit = "none" if layout.refusal else layout.iv or "either"
    source = f"refused: {layout.refusal}" if layout.refusal else layout.source
    return f"| {layout.title} | {columns} | {unit} | {'none' if layout.refusal else layout.rows_are} | {source} |\n"


def with_layouts(page: str) -> str:
    """The page with its table of layouts as of now."""
    return re.sub(re.escape(_HEADER) + r"(\|.*\n)*", lambda _: layout_table(), page)


if __name__ == "__main__":
    PAGE.write_text(with_layouts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
