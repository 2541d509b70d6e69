"""The bounded memory behind charts and trends."""

from __future__ import annotations

from msgspec.structs import replace

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, MINUTE, SECOND
from dfmon.tui.metric_series import MetricSeries, rows_since

from . import factory

ROW = factory.history(minutes=1)[0]


def _row(ts_ns: int) -> MetricRow:
    return replace(ROW, ts_ns=ts_ns)


def test_rows_stay_in_order_and_bounded() -> None:
    series = MetricSeries()
    for i in range(60_000):
        series.append(_row(i * SECOND))
    rows = series.rows()
    assert len(rows) < 18_000
    assert [r.ts_ns for r in rows] == sorted({r.ts_ns for r in rows})
    assert rows[0].ts_ns < MINUTE
    assert rows[-1].ts_ns == 59_999 * SECOND


def test_a_seek_back_forgets_what_came_later() -> None:
    series = MetricSeries()
    for i in (1, 2, 3, 2):
        series.append(_row(i * SECOND))
    assert [r.ts_ns // SECOND for r in series.rows()] == [1, 2]


def test_history_goes_before_what_was_collected() -> None:
    series = MetricSeries()
    series.append(_row(10 * HOUR))
    series.seed([_row(11 * HOUR), _row(9 * HOUR), _row(8 * HOUR)])
    assert [r.ts_ns // HOUR for r in series.rows()] == [8, 9, 10]


def test_since() -> None:
    rows = [_row(i) for i in range(10)]
    assert rows_since(rows, 7)[0].ts_ns == 7
    assert list(rows_since(rows, 10)) == []
