"""The numbers of recorded boards, through the command line as a user types it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.shared_data import chains

TABLE = [
    # file, currency, NGI, VSS, CHL, VOLG (USD), flip
    ("deribit_BTC_20260114_options_raw", "BTC", 292.48e6, 65.44e6, -37.082e6, 126_032, 88_337),
    ("deribit_BTC_20260122_options_raw", "BTC", 40.308e6, 71.703e6, -103.909e6, 169_394, 89_124),
    ("deribit_options_snapshot_20251230T173115Z", "BTC", 53.191e6, 58.246e6, -77.976e6, 146_063, 86_997),
    ("deribit_options_snapshot_20251230T173115Z", "ETH", 9.4843e6, 7.4934e6, -16.0316e6, 32_345, 2_909.1),
    ("deribit_options_snapshot_20260205T212937Z", "BTC", -45.134e6, 15.377e6, -8.20906e6, 145_948, 73_659),
    ("deribit_options_snapshot_20260205T212937Z", "ETH", -9.0560e6, 1.4041e6, -5.03969e6, 14_456, 2_323.2),
    ("deribit_options_snapshot_20260402T160623Z", "BTC", -7.8072e6, 54.766e6, -70.2294e6, 203_294, 67_081),
    ("deribit_options_snapshot_20260402T160623Z", "ETH", 12.874e6, 7.4143e6, -12.4608e6, 22_669, 1_843.3),
]


@pytest.mark.parametrize(("name", "currency", "ngi", "vss", "chl", "volg", "flip"), TABLE)
def test_snapshot_of_a_recorded_board(
    name: str, currency: str, ngi: float, vss: float, chl: float, volg: float, flip: float
) -> None:
    file = chains() / f"{name}.csv.gz"
    completed = run("snapshot", file, "--currency", currency, "--positions", "naive", "--json")
    assert completed.returncode == 0, completed.stderr
    snapshot = json.loads(completed.stdout)
    metrics = snapshot["metrics"]
    metrics_found = [metrics[key]["value"] for key in ("ngi", "vss", "chl", "volg")]
    assert metrics_found == pytest.approx([ngi, vss, chl, volg], rel=0.005)
    assert snapshot["flip"]["level"] == pytest.approx(flip, rel=0.0005)
    assert snapshot["positions"]["model"] == "naive"


@pytest.mark.slow
def test_many_boards_in_one_file_replay_in_order_of_time(tmp_path: Path) -> None:
    first = chains() / "deribit_options_snapshot_20251230T173115Z.csv.gz"
    second = chains() / "deribit_options_snapshot_20260205T212937Z.csv.gz"
    later, earlier = gzip.decompress(second.read_bytes()), gzip.decompress(first.read_bytes())
    both = tmp_path / "both.csv.gz"
    both.write_bytes(gzip.compress(later + earlier.split(b"\n", 1)[1], 1))
    completed = run("replay", both, "--publish", "all", "--currency", "BTC", "--positions", "naive")
    assert completed.returncode == 0, completed.stderr
    snapshots = [json.loads(line) for line in completed.stdout.splitlines()]
    assert [s["ts"][:10] for s in snapshots] == ["2025-12-30", "2026-02-05"]
    assert snapshots[0]["metrics"]["ngi"]["value"] == pytest.approx(53.191e6, rel=0.005)
    assert snapshots[1]["metrics"]["ngi"]["value"] == pytest.approx(-45.134e6, rel=0.005)
