"""Coverage of the bands that a history scored: the last row of each day counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfmon.evidence.band_forecasts import band_forecasts
from dfmon.model.units import DAY, HOUR
from dfmon.store.history import History, HistoryReader
from dfmon.store.history_tables import SCORES

START = 1_769_040_000_000_000_000


def row(day: int, hour: int, share: float | None, cases: int, model: str = "flow") -> tuple[object, ...]:
    cells = dict.fromkeys(SCORES.columns) | {
        "underlying": "BTC", "ts_ns": START + day * DAY + hour * HOUR, "model": model, "hours": hour,
        "outlook_share": share, "outlook_cases": cases, "hedge_flow_cases": 0, "taker_quarters": 0,
    }  # fmt: skip
    return tuple(cells.values())


def test_share_is_that_of_all_cases_of_whole_days(tmp_path: Path) -> None:
    rows = [row(0, 5, 0.2, 10), row(0, 23, 0.9, 80), row(1, 23, 0.5, 40), row(2, 2, None, 3)]
    with History(tmp_path / "h.sqlite", clock=lambda: START + 3 * DAY, flush_interval_s=None) as history:
        history.append_records([(SCORES.name, cells) for cells in rows])
        history.flush()
    with HistoryReader(tmp_path / "h.sqlite") as reader:
        (found,) = band_forecasts(reader, "BTC")
        assert list(band_forecasts(reader, "ETH")) == []
    assert found.forecasts == 120
    assert found.probability == pytest.approx(0.9)
    assert found.frequency == pytest.approx(92 / 120)
    assert found.brier == pytest.approx((92 * 0.01 + 28 * 0.81) / 120)
    assert found.title.startswith("outlook of an hour before")
    assert len(found.bins) == 1
    assert "too few blocks" in found.verdict
