"""A simulated exchange on free loopback ports, and small clients for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from dfmon.model.units import DAY, HOUR, SECOND
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.server import TICK_S, SimAddresses, SimConfig, SimServer

NOON = 1_795_305_600 * SECOND + 12 * HOUR  # Sunday 22 November 2026, 12:00 UTC
TIMEOUT_S = 60.0
TRADED_S = 190  # of the market that stands still
# one coin, a short past, and everything four times as fast as on the venues
FAST_SETTINGS: dict[str, Any] = {
    "start_ns": NOON,
    "currencies": ("BTC",),
    "history": 0.1,
    "speed": 4.0,
    "timer_speedup": 4.0,
}


class SteadyClock:
    """A monotonic clock on which a stall lasts one tick: a slow machine slows the market, which never catches up."""

    def __init__(self, tick_s: float) -> None:
        self._longest_ns = round(1.5 * tick_s * SECOND)
        self._ns = self._read_at = time.monotonic_ns()

    def __call__(self) -> int:
        now = time.monotonic_ns()
        self._ns += min(now - self._read_at, self._longest_ns)
        self._read_at = now
        return self._ns


class ManualClock:
    """A clock that stands still between calls of `advance`."""

    def __init__(self) -> None:
        self._ns = 0

    def __call__(self) -> int:
        return self._ns

    def advance(self, seconds: float) -> None:
        self._ns += round(seconds * SECOND)


class Client:
    """One websocket with JSON on it."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    async def send_json(self, message: Any) -> None:
        await self.ws.send(message if isinstance(message, str) else msgspec.json.encode(message).decode())

    async def receive(self) -> Any:
        async with asyncio.timeout(TIMEOUT_S):
            text = await self.ws.recv()
        return text if text == "pong" else msgspec.json.decode(text)

    async def receive_until(self, predicate: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                if predicate(message := await self.receive()):
                    return message

    async def call(self, method: str, **params: Any) -> Any:
        """A Deribit request and its reply."""
        await self.send_json({"jsonrpc": "2.0", "id": 77, "method": method, "params": params})
        return await self.receive_until(lambda m: m.get("id") == 77)

    async def channel(self, name: str) -> Any:
        """The next Deribit notification of one channel."""
        frame = await self.receive_until(lambda m: m.get("params", {}).get("channel") == name)
        return frame["params"]["data"]

    async def wait_until_closed(self) -> tuple[int | None, str | None]:
        """Reads on until the other side closes; its code and reason."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.ws.wait_closed()
        return self.ws.close_code, self.ws.close_reason


class Exchange:
    """A running server with its addresses."""

    def __init__(self, server: SimServer, addresses: SimAddresses) -> None:
        self.server, self.addresses = server, addresses
        self._stack = contextlib.AsyncExitStack()

    @property
    def btc(self) -> Any:
        return self.server.market.currencies["BTC"]

    async def ws(self, url: str, **options: Any) -> Client:
        return Client(
            await self._stack.enter_async_context(
                connect(url, max_size=None, max_queue=None, close_timeout=0.5, **options)
            )
        )

    async def deribit(self) -> Client:
        return await self.ws(self.addresses["deribit"].ws)

    async def get(self, url: str, **params: Any) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            return await client.get(url, params=params)

    async def result(self, method: str, **params: Any) -> Any:
        """The result of a Deribit call, asked again while the daily settlement runs."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                body = (await self.get(f"{self.addresses['deribit'].rest}/public/{method}", **params)).json()
                if body.get("error", {}).get("code") != 10041:
                    return body["result"]
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        await self._stack.aclose()
        await self.server.stop()


@pytest.fixture
async def exchange() -> AsyncIterator[Callable[..., Any]]:
    """Starts exchanges; brisk unless asked otherwise. Their market time is that of `clock`, times `speed`."""
    running: list[Exchange] = []

    async def start(clock: Callable[[], int] | None = None, **settings: Any) -> Exchange:
        config = SimConfig(**{**FAST_SETTINGS, **settings})
        server = SimServer(config, monotonic_ns=clock or SteadyClock(TICK_S / config.timer_speedup))
        running.append(Exchange(server, await server.start()))
        return running[-1]

    yield start
    for instance in running:
        await instance.close()


@pytest.fixture(scope="session")
def noon() -> int:
    return NOON


@pytest.fixture(scope="session")
def before_delivery() -> int:
    """Five seconds before the 08:00 UTC delivery of Tuesday, whose fifth day is not listed yet."""
    return NOON + 2 * DAY - 4 * HOUR - 5 * SECOND


@pytest.fixture(scope="session")
def aged_market() -> SimulatedMarket:
    """A market some minutes on, computed by the second; read only."""
    market = SimulatedMarket(7, NOON, step_ns=SECOND)
    market.advance(NOON + 400 * SECOND)
    return market


@pytest.fixture(scope="session")
def traded_market() -> SimulatedMarket:
    """BTC and SOL after some minutes of trading; read only."""
    market = SimulatedMarket(7, NOON, ("BTC", "SOL"), 0.1, step_ns=SECOND)
    market.advance(NOON + TRADED_S * SECOND)
    return market


@pytest.fixture
async def still_exchange(
    exchange: Callable[..., Any], traded_market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """An exchange on which time stands still at the end of `traded_market`."""
    monkeypatch.setattr("dfmon.sim.server.SimulatedMarket", lambda *_, **__: traded_market)
    clock = ManualClock()
    sim = await exchange(clock=clock)
    clock.advance(TRADED_S / FAST_SETTINGS["speed"])
    return sim
