from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import msgspec
import pytest

from dfmon.model.units import SECOND
from dfmon.sim.server import SimAddresses, SimConfig, SimServer, serve
from tests.sim.conftest import ManualClock

CHILD = (
    "import sys; from dfmon.sim.child import run_child; from dfmon.sim.server import SimConfig;"
    "sys.exit(run_child(SimConfig(currencies=('BTC',))))"
)


def child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stdin", "sigterm"])
def test_child_announces_itself_and_ends_with_its_parent(end: str) -> None:
    with child() as process:
        assert process.stdout is not None
        assert process.stdin is not None
        addresses = json.loads(process.stdout.readline())
        assert addresses.keys() == {"deribit", "binance.spot", "binance.public", "binance.market", "okx"}
        port = int(addresses["deribit"]["ws"].split(":")[2].split("/")[0])
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
        if end == "stdin":
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


async def test_addresses_have_the_shape_of_the_real_ones(exchange: Any) -> None:
    addresses = (await exchange()).addresses
    assert addresses["deribit"].ws.startswith("ws://127.0.0.1:")
    assert addresses["deribit"].ws.endswith("/ws/api/v2")
    assert addresses["deribit"].rest.endswith("/api/v2")
    assert addresses["okx"].ws.endswith("/ws/v5/public")
    bases = (
        addresses["binance.spot"].ws,
        addresses["binance.spot"].rest,
        addresses["binance.market"].ws,
        addresses["binance.market"].rest,
        addresses["okx"].rest,
    )
    assert all(base.count("/") == 2 for base in bases)
    assert msgspec.json.decode(msgspec.json.encode(addresses), type=SimAddresses) == addresses


@pytest.mark.slow
async def test_a_port_in_use_is_an_oserror_and_leaves_nothing_open() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = SimServer(SimConfig(port=taken.getsockname()[1], currencies=("BTC",)))
        with pytest.raises(OSError, match="in use"):
            await server.start()


@pytest.mark.slow
async def test_serve_runs_until_told_to_stop() -> None:
    stop, found = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(SimConfig(currencies=("BTC",)), found.set_result, stop))
    async with asyncio.timeout(60):
        assert "deribit" in await found
        stop.set()
        await task


@pytest.mark.slow
async def test_a_broken_market_ends_serve_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, to_ns: int) -> None:
        raise ArithmeticError("broken")

    monkeypatch.setattr("dfmon.sim.market.simulated_market.SimulatedMarket.advance", fail)
    async with asyncio.timeout(60):
        with pytest.raises(ArithmeticError, match="broken"):
            await serve(SimConfig(currencies=("BTC",)), lambda _: None, asyncio.Event())


@pytest.mark.slow
async def test_market_time_runs_at_the_given_speed(exchange: Any) -> None:
    clock = ManualClock()
    sim = await exchange(clock=clock, speed=40.0)
    began_ns = sim.server.market.now_ns
    clock.advance(1.5)
    async with asyncio.timeout(60):
        while sim.server.market.now_ns < began_ns + 59 * SECOND:
            await asyncio.sleep(0.01)
    assert sim.server.market.now_ns - began_ns == pytest.approx(60 * SECOND, abs=SECOND)


@pytest.mark.slow
async def test_the_market_clock_is_the_wall_clock_unless_told_otherwise() -> None:
    server = SimServer(SimConfig(currencies=("BTC",)))
    before_ns, clock_ns, after_ns = time.time_ns(), server.clock(), time.time_ns()
    assert before_ns - 150_000_000 < clock_ns < after_ns + 150_000_000  # the market starts on a whole step


@pytest.mark.parametrize("bad", [{"speed": 0.0}, {"speed": 1e6}, {"port": -1}, {"port": 65_535}])
def test_impossible_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="found"):
        SimConfig(**bad)
