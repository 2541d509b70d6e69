"""Recordings as series of minutes: what a tick says, what a hole costs, and the integrity line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from dfmon.cli.main import run
from dfmon.engine.journal import Record, RecordKind
from dfmon.evidence.recording_series import RecordedRow, recorded_row, series_of_rows
from dfmon.model.errors import UsageError
from dfmon.model.units import MINUTE, SECOND
from dfmon.store.blocks import Damage
from dfmon.store.integrity import IntegrityCheck, Irregularity
from tests import shared_data
from tests.tui import factory

START = 1_769_040_000_000_000_000


def tick(second: int, spot: float = 1e5, psi: float = 0.05) -> RecordedRow:
    return RecordedRow(START + second * SECOND, spot, psi, 0.1, 0.5, 2e6, -1e6, 1e8)


def test_a_snapshot_has_its_numbers_and_a_stale_one_none() -> None:
    shown = factory.snapshot()
    row = recorded_row(shown)
    assert row.spot == shown.spot
    assert row.psi == shown.metrics.psi.value
    assert row.implied_vol == shown.context.atm_iv
    assert np.isnan(recorded_row(msgspec.structs.replace(shown, state="stale"))[1:]).all()


def test_the_last_tick_of_a_minute_counts() -> None:
    series = series_of_rows([tick(0, 1e5), tick(59, 1.01e5), tick(60, 1.02e5), tick(185, 1.03e5)], [])
    assert series.ts_ns.tolist() == [START + n * MINUTE for n in (1, 2, 3, 4)]
    assert series.log_return[1] == pytest.approx(np.log(1.02 / 1.01))
    assert np.isnan(series.log_return[[0, 2, 3]]).all()
    assert series.imbalance[0] == pytest.approx(2e-4)  # 2 M USD in a depth of 100 M a per cent
    assert series.forced[0] == pytest.approx(-1e-4)
    assert series.missing == ("psi_stale",)


def test_rows_of_a_clock_that_was_not_set_are_one_sentence() -> None:
    early = tick(0)._replace(ts_ns=1_000_000_000)
    with pytest.raises(UsageError, match="the rows are of 1970-01-01 to 2026-01-22"):
        series_of_rows([tick(0), early], [])


def test_a_market_without_depth_has_no_flows() -> None:
    shown = factory.snapshot()
    thin = msgspec.structs.replace(shown, liquidity=msgspec.structs.replace(shown.liquidity, depth_1pct_usd=0.0))
    assert np.isnan(recorded_row(thin).gross)


def test_minutes_that_a_hole_touches_are_left_out() -> None:
    rows = [tick(60 * n) for n in range(10)]
    hole = Irregularity("gap", START + 200 * SECOND, START + 310 * SECOND, 5, 77)
    series = series_of_rows(rows, [hole])
    assert np.flatnonzero(np.isnan(series.psi)).tolist() == [3, 4, 5]
    assert np.isnan(series.log_return[3:7]).all()
    assert np.isfinite(series.log_return[7:]).all()


def test_integrity_counts_each_kind() -> None:
    check = IntegrityCheck()

    def add(seq: int, second: float, kind: RecordKind = RecordKind.FRAME, payload: bytes = b"") -> None:
        check.add_record(Record(seq, START + round(second * SECOND), kind, "deribit", payload))

    add(1, 0.0)
    add(2, 5.0, RecordKind.GAP, b"153")
    add(155, 5.0)
    add(156, 4.75)
    add(100, 6.0, RecordKind.GAP, b"0")
    check.add_damage([Damage(Path("x"), 0, 9, "records 7 to 9 are repeated", False, 3, 7)])
    check.new_session()
    add(1, -100.0)  # another session may be older
    assert [each.kind for each in check.found] == ["gap", "clock", "reorder", "duplicate"]
    assert check.found[0] == Irregularity("gap", START, START + 5 * SECOND, 2, 153)
    assert check.line() == (
        "integrity: 153 records missing, 3 records repeated, 1 times numbers run backwards, 1 times the clock was set "
        "back (at most 0.250 s)"
    )


@pytest.mark.slow
def test_short_recording_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = next(path for path in shared_data.compat().iterdir() if path.is_dir() or path.suffix == ".dfj")
    assert run(["evidence", str(recording), "--ledger", str(tmp_path / "l.jsonl")]) == 2
    error = capsys.readouterr().err
    assert "too short for an evaluation" in error
    assert "2,880 are needed" in error
    assert len(error.strip().splitlines()) == 1


def test_configured_history_may_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFMON_HISTORY_PATH", str(tmp_path / "none.sqlite"))
    monkeypatch.chdir(tmp_path)
    assert run(["evidence", "history", "--ledger", str(tmp_path / "l.jsonl")]) in (1, 2)
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
