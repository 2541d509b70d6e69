"""What tests of live sessions share: an exchange served by the test's own loop, and waiting for a condition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from dfmon.cli import demo
from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.runtime import composition
from dfmon.sim.deribit.venue import DeribitVenue
from dfmon.sim.server import SimConfig, SimServer


@asynccontextmanager
async def exchange(history: float, listed: int = 1_000) -> AsyncIterator[Config]:
    """A configuration that points at an exchange of BTC served by this loop, with so much of its past.

    It lists at most so many options.
    """
    server = SimServer(SimConfig(currencies=("BTC",), history=history))
    limit_listing(server, listed)
    addresses = await server.start()
    market = asyncio.create_task(server.wait_stopped())
    base = Config(market=msgspec.structs.replace(Config().market, currencies=("BTC",)))
    try:
        yield demo.with_sim_addresses(base, addresses)
    finally:
        market.cancel()
        await asyncio.gather(market, return_exceptions=True)
        await server.stop()


def limit_listing(server: SimServer, count: int) -> None:
    """Has the exchange list the first options alone: an archive is read option by option."""
    deribit = server.venue("deribit")
    assert isinstance(deribit, DeribitVenue)
    handlers: dict[str, Any] = deribit._methods._handlers
    listing = handlers["public/get_instruments"]
    handlers["public/get_instruments"] = lambda params: listing(params)[:count]


def about(config: Config, params: FlowParams | None = None) -> dict[str, Any]:
    """What a recording of a session says of itself."""
    return {
        "underlyings": ["BTC"],
        "sources": [connection.source for connection in composition.venue_endpoints(config)],
        "pace": msgspec.to_builtins(composition.poll_settings(config)),
        "params": msgspec.to_builtins(params or FlowParams()),
    }


async def until(condition: Callable[[], bool]) -> None:
    """Waits for it, a minute at most."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def raise_error(exc: Exception) -> None:
    """A fault of the engine is one of the test."""
    raise exc
