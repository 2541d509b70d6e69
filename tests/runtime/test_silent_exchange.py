"""An exchange that stops: the screen, the JSON, the health and the exit code say so in time, and take it back."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyte
import pytest

from dfmon.cli.demo import with_sim_addresses
from dfmon.config import Config
from dfmon.model.errors import EXIT_STALE
from dfmon.sim.server import SimAddresses
from dfmon.store.history import HistoryReader

pytestmark = pytest.mark.slow
DFMON = [sys.executable, "-m", "dfmon"]
START_S, STALE_S, LIVE_S = 90.0, 6.5, 5.0
LOAD_S = 10.0  # for the processes that look, on a busy machine
SIZE = (120, 40)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Monitor:
    """The monitor with its screen on a terminal, and its REST service."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url, self.history = f"http://127.0.0.1:{port}", folder / "history.sqlite"
        self.screen = pyte.Screen(*SIZE)
        self._stream, self._client = (
            pyte.ByteStream(self.screen),
            httpx.Client(timeout=5.0, trust_env=False, verify=False),
        )
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (SIZE[1], SIZE[0]))
        home = {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder),
            "TERM": "xterm-256color",
            "COLUMNS": "",
            "LINES": "",
        }
        args = ("--config", str(folder / "config.toml"), "--rest", f"127.0.0.1:{port}")
        self.child = subprocess.Popen(
            [*DFMON, *args], stdin=slave, stdout=slave, stderr=slave, env=os.environ | home, start_new_session=True
        )
        os.close(slave)

    def text(self) -> str:
        """The screen, after reading what the program has written."""
        while select.select([self._master], [], [], 0.0)[0]:
            try:
                self._stream.feed(os.read(self._master, 65_536))
            except OSError:
                break
        return "\n".join(self.screen.display)

    def get(self, path: str) -> tuple[int, Any]:
        try:
            response = self._client.get(self.url + path)
        except httpx.HTTPError:
            return 0, {}
        return response.status_code, response.json() if response.status_code in (200, 503) else {}

    def snapshot(self) -> dict[str, Any]:
        status, body = self.get("/v1/snapshot?detail=true")
        return dict(body) if status == 200 else {}

    def exit_code(self) -> int:
        return subprocess.run([*DFMON, "snapshot", self.url], capture_output=True, check=False).returncode

    def wait(self, condition: Callable[[], object], seconds: float, what: str) -> float:
        """Seconds until `condition` holds."""
        started = time.monotonic()
        while not condition():
            assert self.child.poll() is None, f"the monitor ended: {self.text()}"
            assert time.monotonic() - started < seconds, f"{what}: not within {seconds} s\n{self.text()}"
            select.select([self._master], [], [], 0.1)
            self.text()
        return time.monotonic() - started

    def end(self) -> None:
        """Ends the monitor as a user would."""
        os.write(self._master, b"q")
        deadline = time.monotonic() + 60.0
        while self.child.poll() is None:
            assert time.monotonic() < deadline, "the monitor does not end"
            select.select([self._master], [], [], 0.1)
            self.text()

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self._master)
        self._client.close()


@pytest.fixture
def exchange() -> Iterator[tuple[subprocess.Popen[bytes], SimAddresses]]:
    with subprocess.Popen([*DFMON, "sim", "--currency", "BTC"], stdout=subprocess.PIPE) as sim:
        try:
            assert sim.stdout is not None
            yield sim, msgspec.json.decode(sim.stdout.readline(), type=SimAddresses)
        finally:
            sim.send_signal(signal.SIGCONT)
            sim.kill()


@pytest.fixture
def monitor(tmp_path: Path, exchange: tuple[subprocess.Popen[bytes], SimAddresses]) -> Iterator[Monitor]:
    config = with_sim_addresses(Config(), exchange[1])
    lines = ["[market]", 'currencies = ["BTC"]', 'positions = "naive"', "warm_coverage = 0.0"]
    for name in ("deribit", "binance", "okx"):
        lines += [
            f"[{name}]",
            *(f"{key} = {json.dumps(v)}" for key, v in msgspec.to_builtins(config.venue(name)).items()),
        ]
    lines += ["[history]", f'path = "{tmp_path / "history.sqlite"}"']
    (tmp_path / "config.toml").write_text("\n".join(lines))
    with contextlib.closing(Monitor(tmp_path, _free_port())) as running:
        yield running


def test_a_stopped_exchange_is_stale_everywhere_within_a_second_of_the_limit_and_live_again(
    monitor: Monitor, exchange: tuple[subprocess.Popen[bytes], SimAddresses]
) -> None:
    def is_live() -> bool:
        snapshot = monitor.snapshot()
        return snapshot.get("state") == "live" and snapshot["metrics"]["ngi"]["value"] is not None

    monitor.wait(is_live, START_S, "live")
    monitor.wait(lambda: "LIVE" in monitor.text(), START_S, "the screen")
    before = monitor.snapshot()
    assert all(before["freshness"][name]["fresh"] for name in ("spot", "marks"))
    sim = exchange[0]
    stopped_ns = time.time_ns()
    sim.send_signal(signal.SIGSTOP)

    stale: list[dict[str, Any]] = []

    def is_stale() -> bool:
        snapshot = monitor.snapshot()
        if snapshot.get("state") == "stale":
            stale.append(snapshot)
        return bool(stale)

    monitor.wait(is_stale, STALE_S + LOAD_S, "stale in JSON")
    monitor.wait(lambda: " STALE " in monitor.text(), LOAD_S + 1.0, "stale on screen")
    status, health = monitor.get("/healthz")
    assert (status, health["status"], health["underlyings"]["BTC"]["state"]) == (503, "stale", "stale")
    assert health["underlyings"]["BTC"]["reason"].startswith("spot ")
    assert monitor.exit_code() == EXIT_STALE
    first = stale[0]
    assert (first["ts_ns"] - stopped_ns) / 1e9 < STALE_S
    assert first["freshness"]["stale"].startswith("spot ")
    assert (first["scenario"]["confidence"], first["scenario"]["overlay"]) == (None, "UNKNOWN: inputs stale")

    monitor.wait(lambda: monitor.snapshot()["freshness"]["marks"]["fresh"] is False, 15.0, "marks over their limit")
    last = monitor.snapshot()
    assert last["scenario"]["bucket"] == before["scenario"]["bucket"]
    alerts = [alert for alert in last["detail"]["alerts"] if alert["ts_ns"] >= stopped_ns]
    assert {alert["kind"] for alert in alerts} <= {"FEED"}

    sim.send_signal(signal.SIGCONT)
    continued_ns = time.time_ns()
    monitor.wait(is_live, LIVE_S + LOAD_S, "live again in JSON")
    assert (monitor.snapshot()["ts_ns"] - continued_ns) / 1e9 < LIVE_S + 1.5
    monitor.wait(lambda: "STALE" not in monitor.text(), LOAD_S + 1.0, "live again on screen")
    assert monitor.get("/healthz")[0] == 200

    monitor.end()
    with HistoryReader(monitor.history) as reader:
        times = [row.ts_ns for row in reader.rows_since("BTC", before["ts_ns"])]
    assert not [ts_ns for ts_ns in times if first["ts_ns"] <= ts_ns <= last["ts_ns"]], "a gap"
    assert [ts_ns for ts_ns in times if ts_ns < first["ts_ns"]]
    assert [ts_ns for ts_ns in times if ts_ns > last["ts_ns"]]
