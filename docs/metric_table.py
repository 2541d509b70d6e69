"""Writes the table of metrics in the README from the rows of `dfmon.model.metrics`: `python docs/metric_table.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dfmon.model.metrics import METRICS

README: Final = Path(__file__).parent.parent / "README.md"
_HEADER: Final = "| metric | formula | unit | positive, negative |\n| --- | --- | --- | --- |\n"


def metric_table() -> str:
    """A row for each metric, in the order of the table."""
    rows = (
        f"| {spec.name if spec.title == spec.name else f'{spec.name}, {spec.title}'}"
        f" | {spec.formula} | {spec.unit} | {spec.sign} |\n"
        for spec in METRICS.values()
    )
    return _HEADER + "".join(rows)


def with_table(page: str) -> str:
    """The page with its table of metrics as of now."""
    return re.sub(re.escape(_HEADER) + r"(\|.*\n)*", lambda _: metric_table(), page)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
