"""Roll-ups against sums by hand: from folded hours, from ticks, after late rows, and for files that had none."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR, MINUTE, NAN, SECOND
from dfmon.store.history import History, HistoryReader
from dfmon.store.history_rollups import CREATE_STATEMENTS, TABLES, RollUps, delete_before, read, roll_up, store_hour
from dfmon.store.history_tables import ROLLED_COLUMNS, SPAN_NS, Span
from tests.shared_data import compat
from tests.store.test_history import START, open_history, row


def expected(rows: Sequence[MetricRow], span: Span, name: str) -> list[tuple[int, list[float]]]:
    """Start and aggregates of each minute or hour with a row, one by one."""
    bins: dict[int, list[float]] = {}
    for metric_row in sorted(rows, key=lambda r: r.ts_ns):
        bins.setdefault(metric_row.ts_ns // SPAN_NS[span] * SPAN_NS[span], []).append(getattr(metric_row, name))
    found = []
    for start_ns, values in sorted(bins.items()):
        known = [value for value in values if not math.isnan(value)]
        mean = math.fsum(known) / len(known) if known else NAN
        ends = [min(known), max(known), known[-1]] if known else [NAN] * 3
        found.append((start_ns, [float(len(known)), mean, *ends]))
    return found


def check(found: RollUps, rows: Sequence[MetricRow], span: Span, names: Sequence[str]) -> None:
    for name in names:
        by_hand = expected(rows, span, name)
        assert found["start_ns"].tolist() == [start for start, _ in by_hand]
        np.testing.assert_allclose(found[name], [cells for _, cells in by_hand], rtol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 7), st.floats(-1e9, 1e9) | st.just(NAN)), max_size=60))
def test_aggregates_of_any_values(cells: list[tuple[int, float]]) -> None:
    cells.sort(key=lambda cell: cell[0])
    bins = np.array([place for place, _ in cells], np.int64)
    found = roll_up(bins, np.array([value for _, value in cells], float), 8)
    for place in range(8):
        known = [value for at, value in cells if at == place and not math.isnan(value)]
        assert found[place, 0] == len(known)
        if known:
            by_hand = [math.fsum(known) / len(known), min(known), max(known), known[-1]]
            np.testing.assert_allclose(found[place, 1:], by_hand, rtol=1e-9, atol=1e-6)
        else:
            assert np.isnan(found[place, 1:]).all()


def test_minutes_and_hours_of_folded_and_growing_hours(tmp_path: Path) -> None:
    rows = [row(n, 20, ngi=NAN if n % 7 == 0 else math.sin(n)) for n in range(700)]  # three hours and 53 minutes
    with open_history(tmp_path / "h.db") as history:
        for metric_row in rows:
            history.append_row("BTC", metric_row)
        history.flush()
        with HistoryReader(tmp_path / "h.db") as reader:
            for span in ("minutes", "hours"):
                check(reader.rollups("BTC", span, 0), rows, span, ["spot", "ngi", "coverage"])
            part = reader.rollups("BTC", "minutes", START + 50 * MINUTE, ["ngi"], START + 2 * HOUR)
            some = [r for r in rows if START + 50 * MINUTE <= r.ts_ns < START + 2 * HOUR]
            check(part, some, "minutes", ["ngi"])
            assert len(reader.rollups("ETH", "hours", 0)["start_ns"]) == 0


def test_a_late_row_is_rolled_up_with_its_hour(tmp_path: Path) -> None:
    rows = [row(n, 60) for n in range(70)]
    late = row(30, 60, ts_ns=row(30, 60).ts_ns + SECOND, ngi=1e9)
    with open_history(tmp_path / "h.db") as history:
        for metric_row in (*rows, late, row(125, 60)):
            history.append_row("BTC", metric_row)
            history.flush()
        with HistoryReader(tmp_path / "h.db") as reader:
            found = reader.rollups("BTC", "hours", 0, ["ngi"])
        check(found, [*rows, late, row(125, 60)], "hours", ["ngi"])
        assert found["ngi"][0, 3] == 1e9


def test_roll_ups_outlive_ticks(tmp_path: Path) -> None:
    path, later_ns = tmp_path / "h.db", START + 3 * DAY
    rows = [row(n, 600) for n in range(200)]
    with open_history(path) as history:
        for metric_row in rows:
            history.append_row("BTC", metric_row)
    with open_history(path, later_ns, retention_days=1.0, minutes_days=2.5), HistoryReader(path) as reader:
        assert len(reader.columns("BTC", 0)["ts_ns"]) == 0
        minutes, hours = (reader.rollups("BTC", span, 0, ["spot"]) for span in ("minutes", "hours"))
        check(minutes, [r for r in rows if r.ts_ns >= later_ns - 2.5 * DAY], "minutes", ["spot"])
        check(hours, rows, "hours", ["spot"])


def test_the_hour_of_the_limit_is_kept_and_those_before_it_are_deleted() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in CREATE_STATEMENTS:
            db.execute(statement)
        ticks = {name: np.ones(1) for name in ROLLED_COLUMNS}
        for hour in (9, 10, 11):
            store_hour(db, "BTC", hour, {"ts_ns": np.array([hour * HOUR], np.int64), **ticks})
        found = read(db, "BTC", "hours", 10 * HOUR, 11 * HOUR + 1, ["spot"])
        assert found["start_ns"].tolist() == [10 * HOUR, 11 * HOUR], "the hour that has begun is in the range"
        delete_before(db, 11 * HOUR + 1, 10 * HOUR)
        left = [db.execute(f"SELECT DISTINCT hour FROM {table} ORDER BY hour").fetchall() for table in TABLES.values()]
    assert left == [[(11,)], [(10,), (11,)]]


def test_hours_folded_before_there_were_roll_ups_are_rolled_up_beside_new_rows(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes((compat() / "history.sqlite").read_bytes())
    with HistoryReader(path) as reader:
        rows = reader.rows_since("BTC", 0)
    with open_history(path, rows[-1].ts_ns + HOUR) as history:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("DELETE FROM minute_rollups")
            db.execute("DELETE FROM hour_rollups")
        new = [row(n, ts_ns=rows[-1].ts_ns + HOUR + n) for n in range(2)]
        for metric_row in new:  # the first flush has an hour to fold
            history.append_row("BTC", metric_row)
            history.flush()
        with HistoryReader(path) as reader:
            check(reader.rollups("BTC", "minutes", 0), [*rows, *new], "minutes", ["spot", "ngi", "psi"])
    assert set(ROLLED_COLUMNS) > {"spot", "ngi", "psi"}


def test_a_file_that_was_not_migrated_has_roll_ups_of_its_ticks(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes((compat() / "history.sqlite").read_bytes())
    with HistoryReader(path) as reader:
        check(reader.rollups("BTC", "minutes", 0, ["spot"]), reader.rows_since("BTC", 0), "minutes", ["spot"])
        assert list(reader.records("alerts", "BTC")) == []
        assert reader.time_range("alerts", "BTC") is None


def test_the_writer_is_not_needed(tmp_path: Path) -> None:
    History(tmp_path / "h.db", flush_interval_s=None).close()
    with HistoryReader(tmp_path / "h.db") as reader:
        assert reader.time_range("ticks", "BTC") is None
