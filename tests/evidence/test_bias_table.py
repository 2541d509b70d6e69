"""The table of biases: ten rows, whose places and tests are there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_bias_has_its_place_and_its_test() -> None:
    page = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    table = page[page.index("## The ten largest biases") :]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ") and "`dfmon." in line]
    assert len(rows) == 10
    for row in rows:
        module, name = re.findall(r"`(dfmon[\w.]+):(\w+)`", row[2])[0]
        assert hasattr(import_module(module), name)
        assert (ROOT / row[3].strip("` ")).is_file()
