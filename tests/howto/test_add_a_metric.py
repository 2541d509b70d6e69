"""The dealer delta of docs/howto/add-a-metric.md, built on a copy of the package, is right wherever it is shown."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, MINUTE, NAN
from dfmon.store.history import History, HistoryError
from dfmon.store.history_file import HISTORY_SCHEMA
from tests.howto.guide import ROOT, follow_guide

pytestmark = pytest.mark.slow

START = 1_769_083_200_000_000_000  # a full hour


def history_without_the_metric(path: Path) -> Path:
    """Two folded hours, and ten minutes in rows."""
    with History(path, clock=lambda: START, flush_interval_s=None) as history:
        for ts_ns in range(START, START + 2 * HOUR + 10 * MINUTE, MINUTE):
            history.append_row("BTC", MetricRow(ts_ns, 9e4, NAN, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2, 0.9))
            history.flush()
    return path


def test_the_metric_of_the_guide_is_right_everywhere(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    environ = follow_guide("add-a-metric.md", tree)
    environ["PYTHONPATH"] += f":{ROOT}"  # for tests.chains; dfmon is that of the tree
    path = history_without_the_metric(tmp_path / "history.sqlite")
    command = [sys.executable, "-m", "tests.howto.dealer_delta", str(path)]
    subprocess.run(command, env=environ, cwd=tree, check=True, timeout=120)
    known = HISTORY_SCHEMA.version
    newer = f"is a history of a newer dfmon, in schema {known + 1}, and this one reads up to {known}"
    with pytest.raises(HistoryError, match=newer):
        History(path)


def test_the_metric_of_the_guide_stands_in_the_readme(tmp_path: Path) -> None:
    environ = follow_guide("add-a-metric.md", tmp_path)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "metric_table.py", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    subprocess.run([sys.executable, "docs/metric_table.py"], env=environ, cwd=tmp_path, check=True)
    row = "| dex, dealer delta | sum D F delta | USD | + dealers gain as spot rises, - they lose |\n"
    assert row in (tmp_path / "README.md").read_text(encoding="utf-8")
