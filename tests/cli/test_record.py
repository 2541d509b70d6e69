"""`dfmon record` as a process against the simulated exchange, and what `dfmon replay --info` says of recordings."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from dfmon.cli import demo, record
from dfmon.cli.main import run
from dfmon.config import Config
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import from_json
from dfmon.model.units import SECOND
from dfmon.store import blocks, replayer, segment
from dfmon.store.recorder import Recorder
from tests import simulated_session
from tests.board_files import snapshot_text
from tests.store.store_samples import frame_records

DFMON = [sys.executable, "-m", "dfmon"]


@pytest.fixture(autouse=True)
def restore_log() -> Iterator[None]:
    """`run` sets the log up for a whole process; the tests that come later have their own."""
    root = logging.getLogger("dfmon")
    saved = root.handlers[:], root.level, root.propagate
    yield
    root.handlers[:], root.level, root.propagate = saved


@pytest.fixture(scope="module")
def exchange() -> Iterator[dict[str, str]]:
    """The environment that points dfmon at a simulated exchange."""
    with demo.child_exchange(7, ("BTC",)) as sim_addresses:
        config = demo.with_sim_addresses(Config(), sim_addresses)
        keys = msgspec.to_builtins(config)
        addresses = {
            f"DFMON_{section}_{key}".upper(): ",".join(value) if isinstance(value, tuple | list) else str(value)
            for section in ("deribit", "binance", "okx")
            for key, value in keys[section].items()
            if key != "enabled"
        }
        yield {**os.environ, **addresses, "DFMON_HISTORY_ENABLED": "false", "OPENBLAS_NUM_THREADS": "1"}


def start(directory: Path, env: dict[str, str], *args: str) -> subprocess.Popen[str]:
    command = [*DFMON, "record", str(directory), "--currency", "BTC", *args]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_record_for_some_seconds(exchange: dict[str, str], tmp_path: Path) -> None:
    """It ends by itself, prints a summary, and the recording is complete."""
    with start(tmp_path / "session", exchange, "--minutes", "0.07") as process:
        assert process.stderr is not None
        output = process.stderr.read()
        assert process.wait(60) == 0, output
    summary = output.splitlines()[-1]
    match = re.match(
        r"0:00:0\d, ([\d,]+) records, ([\d,]+) frames, .* MB in .* MB \(0\.\d\d\), 1 file, 0 dropped", summary
    )
    assert match, output
    records = list(replayer.records(tmp_path / "session"))
    assert len(records) - 1 == int(match.group(1).replace(",", ""))
    assert run(["replay", str(tmp_path / "session"), "--info"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_record_ends_cleanly_on_a_signal(exchange: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path, exchange) as process:
        while not any(file.stat().st_size > 100_000 for file in tmp_path.glob("*Z.dfj")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        assert process.stderr is not None
        output = process.stderr.read()
        assert process.wait(60) == 128 + number
    assert "0 dropped" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert len(list(replayer.records(tmp_path))) > 100


def test_bad_minutes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["record", "x", "--minutes", "0"]) == 2
    assert "'0', minutes above 0 are expected" in capsys.readouterr().err


@pytest.mark.slow
def test_progress_shows_what_is_wrong(tmp_path: Path) -> None:
    hub, stream = SnapshotHub(), io.StringIO()
    session = simulated_session.SimulatedSession(("BTC",))
    with Recorder(tmp_path, session.about) as recorder:
        for frame in frame_records(50):
            recorder.offer(frame)
    for snapshot in simulated_session.record(tmp_path / "other", 2):
        hub.publish(snapshot)
    progress = record.RecordingProgress(recorder, hub, stream)
    recorder.failure = "recording paused: no space"  # after its thread has ended, which would clear it and try again
    status_line = progress.status_line()
    assert status_line.startswith("0:00:00, 50 records, 50 frames, 0.0 MB in 0.0 MB (0.")
    assert status_line.endswith("0 dropped, recording paused: no space")


# ---- what is in it ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("session")
    simulated_session.record(directory, 5, segment_bytes=40_000)
    simulated_session.record(directory, 3)
    return directory


@pytest.mark.slow
def test_info_of_a_recording(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", str(session), "--info"]) == 0
    output = capsys.readouterr().out
    assert output.count("session of dfmon ?, sim: BTC") == 2
    assert re.search(r"  2026-11-22T12:00:00\.\d{3}Z to 2026-11-22T12:00:05\.\d{3}Z, 0:00:05", output)
    assert re.search(r"records: [\d,]+ frame, [\d,]+ timer,", output)
    assert re.search(r"  binance.spot: [\d,]+ records, [\d.]+ MB", output)
    assert output.endswith("complete\n")


def test_info_names_damage_and_fails(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in session.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damaged_block = next(block for block in blocks.block_index(tmp_path, []) if block.is_continuation)
    data = bytearray(damaged_block.path.read_bytes())
    data[damaged_block.offset + segment.BLOCK_HEADER_BYTES] ^= 1
    damaged_block.path.write_bytes(data)
    assert run(["replay", str(tmp_path), "--info"]) == 1
    output = capsys.readouterr().out
    assert (
        f"bytes {damaged_block.offset} to {damaged_block.end} are unreadable: the checksum of a block does not match"
        in output
    )
    assert re.search(r"damaged: [1-9][\d,]* records are missing\n$", output)


def test_info_of_boards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "boards.csv"
    path.write_text(snapshot_text())
    assert run(["replay", str(path), "--info"]) == 0
    assert capsys.readouterr().out.startswith("boards of BTC\n2026-03-02T12:")


@pytest.mark.slow
def test_a_model_that_is_named_holds_for_all_of_a_replay(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Also after the user of the recorded session had taken another one."""
    snapshots = simulated_session.record(tmp_path, 36, with_faults=True, step_ns=SECOND)
    assert snapshots[-1].positions.model == "naive"
    for args in (("replay", str(tmp_path), "--publish", "all"), ("snapshot", str(tmp_path), "--json")):
        assert run([*args, "--positions", "short-all"]) == 0
        lines = capfdbinary.readouterr().out.splitlines()
        assert {from_json(line).positions.model for line in lines} == {"short-all"}
