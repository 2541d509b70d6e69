"""What the history and the trade store keep, at the very limit."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from dfmon.model.events import OptionTrade
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR, MILLISECOND
from dfmon.store import history_file
from dfmon.store.history import History
from dfmon.store.trades import OptionKey, TradeStore

HOUR_START = 1_769_083_200_000_000_000
CALL = OptionKey("BTC-27NOV26-95000-C", "BTC", HOUR_START + DAY)


def metric_row(ts_ns: int) -> MetricRow:
    return MetricRow(ts_ns, 9e4, 9e4, 1.0, 2.0, 3.0, 4.0, 0.5, 0.6, 1, 0.9)


def prints(*seqs: int, ts_ns: int = HOUR_START) -> list[OptionTrade]:
    return [OptionTrade("deribit", CALL.name, f"t{seq}", seq, ts_ns + seq, 1, 0.01, 1.0, 0.5) for seq in seqs]


def open_trades(path: Path, now_ns: int = HOUR_START) -> TradeStore:
    return TradeStore(path / "trades.sqlite", clock=lambda: now_ns, flush_interval_s=None)


def test_ticks_are_deleted_before_a_time_and_hours_once_they_ended_before_it(tmp_path: Path) -> None:
    with closing(history_file.HISTORY_SCHEMA.open_read_write(tmp_path / "h.db")) as db:
        times = [HOUR_START - 1, HOUR_START, HOUR_START + HOUR - 1, HOUR_START + HOUR, HOUR_START + HOUR + 5]
        history_file.insert_ticks(
            db, [("BTC", *(getattr(metric_row(t), c) for c in history_file.COLUMNS)) for t in times]
        )
        history_file.fold_hours(db, "BTC", HOUR_START // HOUR + 1)
        db.commit()

        def kept() -> list[int]:
            return [int(ts_ns) for ts_ns in history_file.columns(db, "BTC", 0, ("ts_ns",))["ts_ns"]]

        assert kept() == times
        history_file.delete_before(db, HOUR_START, 0, 0)
        db.commit()
        assert kept() == times[1:]
        history_file.delete_before(db, HOUR_START + HOUR - 1, 0, 0)
        db.commit()
        assert kept() == times[1:]  # an hour is deleted as a whole
        history_file.delete_before(db, HOUR_START + HOUR + 5, 0, 0)
        db.commit()
        assert kept() == times[4:]


def test_rows_from_a_time_on_have_the_one_of_that_very_time(tmp_path: Path) -> None:
    times = [HOUR_START, HOUR_START + 1, HOUR_START + HOUR, HOUR_START + HOUR + 1]
    with History(tmp_path / "h.db", clock=lambda: HOUR_START, flush_interval_s=None) as history:
        for ts_ns in times:
            history.append_row("BTC", metric_row(ts_ns))
        for at, ts_ns in enumerate(times):
            assert [row.ts_ns for row in history.rows_since("BTC", ts_ns)] == times[at:]
            assert [row.ts_ns for row in history.rows_since("BTC", ts_ns + 1)] == times[at + 1 :]


def test_the_running_hour_is_not_folded_at_the_start(tmp_path: Path) -> None:
    with History(tmp_path / "h.db", clock=lambda: HOUR_START, flush_interval_s=None) as history:
        history.append_row("BTC", metric_row(HOUR_START + 5))
    with (
        History(tmp_path / "h.db", clock=lambda: HOUR_START + HOUR - 1, flush_interval_s=None),
        closing(history_file.HISTORY_SCHEMA.open_read_only(tmp_path / "h.db")) as db,
    ):
        assert db.execute("SELECT count(*) FROM ticks").fetchone() == (1,)


@pytest.mark.parametrize(("days", "is_kept"), [(35, True), (36, False)])
def test_a_history_keeps_35_days_by_default(days: int, is_kept: bool, tmp_path: Path) -> None:
    with History(tmp_path / "h.db", clock=lambda: HOUR_START, flush_interval_s=None) as history:
        history.append_row("BTC", metric_row(HOUR_START))
    now_ns = HOUR_START + days * DAY
    with History(tmp_path / "h.db", clock=lambda: now_ns, flush_interval_s=None) as history:
        assert bool(history.rows_since("BTC", 0)) is is_kept


@pytest.mark.parametrize(("after_ns", "is_kept"), [(0, True), (1, False)])
def test_prints_are_kept_for_35_days_after_the_expiry(after_ns: int, is_kept: bool, tmp_path: Path) -> None:
    with open_trades(tmp_path) as stored:
        stored.append_trades(CALL, prints(1, 2))
    with open_trades(tmp_path, CALL.expiry_ns + 35 * DAY + after_ns) as stored:
        assert len(stored.read_rows(CALL.name, 9)) == (2 if is_kept else 0)
        assert (CALL.name in stored.stored()) is is_kept


def test_a_history_counts_as_read_with_its_last_print_and_not_after_its_prints_were_dropped(tmp_path: Path) -> None:
    with open_trades(tmp_path) as stored:
        stored.append_trades(CALL, prints(1, 2, 3), read_ns=77)
        first, *_, last = stored._pending
        assert (first[2], last[2]) == (0, 77)
        assert stored.stored()[CALL.name].read_ns == 77
        assert [row[1] for row in stored.read_rows(CALL.name, 2)] == [1, 2]
        stored.drop_options([CALL.name])
        assert stored.stored()[CALL.name] == ("BTC", 0, 0, 0)


def test_the_newest_print_of_an_underlying_in_whole_milliseconds(tmp_path: Path) -> None:
    with open_trades(tmp_path) as stored:
        stored.append_trades(CALL, prints(1, 2, ts_ns=HOUR_START + MILLISECOND - 3))
        assert stored.newest_ms() == {"BTC": HOUR_START // MILLISECOND}
        stored.append_trades(CALL, prints(3, ts_ns=HOUR_START + MILLISECOND - 3))
        assert stored.newest_ms() == {"BTC": HOUR_START // MILLISECOND + 1}
