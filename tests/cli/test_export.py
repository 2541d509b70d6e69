"""`dfmon export`: what was appended comes out of files that other programs read, or one sentence says why not."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from dfmon.cli.main import run
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, MINUTE, NAN
from dfmon.store.clickhouse.writer import ClickHouseHistory
from dfmon.store.history import History
from dfmon.store.history_records import RecordCollector
from tests.store.clickhouse_engines import ClickHouseServer
from tests.store.conftest import clickhouse
from tests.store.test_clickhouse import open_writer
from tests.store.test_history import START, open_history, row
from tests.store.test_history_records import ALERT, CHANGE, FIRST, SECOND_CHANGE, state, tick
from tests.store.test_history_rollups import expected

__all__ = ["clickhouse"]

ROWS = [row(n, 60, ngi=NAN if n % 7 == 0 else n / 3.0) for n in range(200)]
FIRST_TIME = "2026-01-22T12:00:00.000000000Z"


def fill(history: History | ClickHouseHistory) -> None:
    changed = state(FIRST, SECOND_CHANGE, alerts=(ALERT,), changes=(CHANGE,))
    for metric_row in ROWS:
        history.append_row("BTC", metric_row)
        history.append_row("ETH", MetricRow.gap(metric_row.ts_ns))
    history.append_records(RecordCollector().collect(changed, tick()))
    history.flush()


@pytest.fixture(params=["embedded", pytest.param("clickhouse", marks=pytest.mark.slow)])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with a history configured in the environment."""
    monkeypatch.setenv("DFMON_HISTORY_PATH", str(tmp_path / "h.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if request.param == "clickhouse":
        server: ClickHouseServer = request.getfixturevalue("clickhouse")
        server.reset()
        with open_writer(server.client(), tmp_path) as history:
            fill(history)
        monkeypatch.setenv("DFMON_HISTORY_URL", server.address().url)
        monkeypatch.setenv("DFMON_HISTORY_PASSWORD", server.address().password)
    else:
        with open_history(tmp_path / "h.db") as history:
            fill(history)
    return tmp_path


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_ticks_as_csv(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(folder / "x.csv")]) == 0
    assert "400 rows of ticks, BTC, ETH, 2026-01-22T12:00:00.000Z to " in capsys.readouterr().out
    found = read_csv((folder / "x.csv").read_text())
    assert [each["underlying"] for each in found] == ["BTC"] * 200 + ["ETH"] * 200
    assert found[0]["time"] == FIRST_TIME
    for cells, metric_row in zip(found, ROWS):
        assert float(cells["spot"]) == metric_row.spot
        assert cells["ngi"] == ("" if metric_row.ngi != metric_row.ngi else repr(metric_row.ngi))
        assert cells["bucket"] == str(metric_row.bucket)
    assert set(found[-1].values()) == {"ETH", found[-1]["time"], ""}, "a gap has no value, and no bucket 0"
    assert not list(folder.glob("*.part"))


@pytest.mark.slow
def test_ticks_as_parquet_with_a_range_and_metrics(folder: Path) -> None:
    path = folder / "x.parquet"
    arguments = ["--currency", "BTC", "--from", "2026-01-22T12:30", "--to=+7200", "--metrics", "ngi,bucket"]
    assert run(["export", str(path), *arguments]) == 0
    found = pyarrow.parquet.read_table(path)
    rows = ROWS[30:120]
    assert found.column_names == ["underlying", "time", "ngi", "bucket"]
    assert str(found.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert found["time"].cast("int64").to_pylist() == [each.ts_ns for each in rows]
    assert found["ngi"].to_pylist() == [None if each.ngi != each.ngi else each.ngi for each in rows]
    assert found["bucket"].to_pylist() == [each.bucket for each in rows]


@pytest.mark.parametrize("table", ["minutes", "hours"])
def test_roll_ups(folder: Path, table: str) -> None:
    path = folder / "x.parquet"
    assert run(["export", str(path), "--table", table, "--currency", "BTC", "--metrics", "ngi"]) == 0
    found = pyarrow.parquet.read_table(path)
    by_hand = expected(ROWS, "hours" if table == "hours" else "minutes", "ngi")
    assert found["time"].cast("int64").to_pylist() == [start for start, _ in by_hand]
    names = ["ngi_samples", "ngi_mean", "ngi_low", "ngi_high", "ngi_last"]
    cells = np.stack([found[name].to_numpy() for name in names], axis=1).astype(float)
    np.testing.assert_allclose(cells, [values for _, values in by_hand], rtol=1e-12)


def test_the_first_roll_up_has_begun_before_its_first_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFMON_HISTORY_PATH", str(tmp_path / "h.db"))
    rows = [row(n, 7) for n in range(6, 40)]  # from 42 s of a minute
    with open_history(tmp_path / "h.db") as history:
        for metric_row in rows:
            history.append_row("BTC", metric_row)
    for table in ("minutes", "hours"):
        assert run(["export", str(tmp_path / "x.csv"), "--table", table]) == 0
        found = read_csv((tmp_path / "x.csv").read_text())
        assert found[0]["time"] == FIRST_TIME
        assert sum(int(each["spot_samples"]) for each in found) == len(rows)


def test_changes_alerts_and_positions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for table in ("transitions", "thresholds", "alerts", "positions"):
        assert run(["export", "-", "--table", table]) == 0
        found[table] = read_csv(capsys.readouterr().out)
    assert [each["scenario"] for each in found["transitions"]] == ["DAMP", "SQUEEZE (armed)"]
    assert (found["thresholds"][0]["feature"], found["thresholds"][0]["mid"]) == ("vanna", "0.033")
    assert found["alerts"][0]["message"] == ALERT.text
    at = datetime.fromtimestamp(tick().ts_ns // 10**9, UTC)
    assert {each["time"][:19] for each in found["positions"]} == {f"{at:%Y-%m-%dT%H:%M:%S}"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.txt"], r"x\.txt ends in '\.txt', allowed: \.csv, \.parquet, or - for CSV"),
        (["no/x.csv"], "cannot be written: no such file or directory"),
        (["x.csv", "--metrics", "gamma"], "--metrics gamma is unknown, allowed: spot, flip, ngi"),
        (["x.csv", "--table", "alerts", "--metrics", "ngi"], "--metrics is for ticks, minutes and hours"),
        (["x.csv", "--from", "yesterday"], "--from: 'yesterday' is not a time"),
        (["x.csv", "--from", "+60", "--to", "+30"], "is not before --to"),
        (["x.csv", "--currency", "SOL"], "the history has no SOL; it has BTC, ETH"),
        (["x.csv", "--positions", "naive"], "dfmon export takes no --positions"),
    ],
)
def test_mistakes_are_a_sentence(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert run(["export", *arguments]) == 2
    found = capsys.readouterr().err
    assert re.search(message, found), found
    assert found.count("\n") == 1
    assert not list(folder.glob("x.*"))


def test_no_history_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DFMON_HISTORY_PATH", str(tmp_path / "h.db"))
    assert run(["export", str(tmp_path / "x.csv")]) == 1
    assert "there is no history yet" in capsys.readouterr().err


def test_a_full_disk_leaves_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.csv.part").symlink_to("/dev/full")
    assert run(["export", str(folder / "x.csv")]) == 1
    assert "x.csv is not written: no space left on device" in capsys.readouterr().err
    assert sorted(path.name for path in folder.glob("x.*")) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_range(tmp_path: Path) -> None:
    """A day and ten days of a tick a second are written within the same memory."""
    script = (
        "import resource, sys; from dfmon.cli.main import run; code = run(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024); sys.exit(code)"
    )
    environ = os.environ | {"DFMON_HISTORY_PATH": str(tmp_path / "h.db")}
    with open_history(tmp_path / "h.db") as history:
        for hour in range(240):
            for n in range(0, 3600, 4):
                history.append_row("BTC", row(0, ts_ns=START + hour * HOUR + n * MINUTE // 60))
            history.flush()
    peaks = []
    for end in ("+86400", "+864000"):
        command = [sys.executable, "-c", script, "export", str(tmp_path / "x.parquet"), "--to", end]
        completed = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        peaks.append(int(completed.stdout.splitlines()[-1]))
    assert peaks[1] < 1.15 * peaks[0], peaks
