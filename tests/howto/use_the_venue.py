"""Run by test_add_a_venue.py with the copy of the package that has the venue; `python use_the_venue.py WS REST`."""

from __future__ import annotations

import asyncio
import sys
import time
from urllib.parse import urlsplit

from msgspec.structs import replace

from dfmon.cli.demo import child_exchange, with_sim_addresses
from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.frames import VenueMarket
from dfmon.runtime import composition
from dfmon.venues import connection
from dfmon.venues.protocol import Endpoint
from dfmon.venues.rest.client import RestClient

WAIT_S = 20.0


def markets(driver: Driver, underlying: str) -> tuple[VenueMarket, ...]:
    return driver._markets.freeze(underlying, time.time_ns()).markets


async def run_until_both_markets(endpoint: Endpoint) -> None:
    """Trades and quotes of BTC, trades alone of ETH, as the kernels get them."""
    driver = Driver(("BTC", "ETH"), FlowParams(), {endpoint.source: endpoint.protocol}, lambda _: None)
    stop = asyncio.Event()
    async with RestClient() as rest, asyncio.timeout(WAIT_S):
        running = asyncio.create_task(connection.run(endpoint, driver, rest, time.time_ns, stop))
        while not (markets(driver, "BTC") and markets(driver, "ETH")):
            await asyncio.sleep(0.05)
        stop.set()
        await running
    for underlying in ("BTC", "ETH"):
        (market,) = markets(driver, underlying)
        print(market.venue, market.market, underlying, market.mid)


def check_demo(config: Config) -> None:
    """The demo connects to loopback only, and its session states which venue it leaves out."""
    with child_exchange(7, ("BTC",)) as addresses:
        demo_config = with_sim_addresses(config, addresses)
        hosts = {urlsplit(url).hostname for e in composition.venue_endpoints(demo_config) for url in (e.url, e.rest)}
        session = composition.live_session(demo_config, "sim", composition.Outputs((), None), print)
        print("demo", *hosts, "disabled:", *session._disabled_venues)


def main(websocket: str, rest: str) -> None:
    settings = replace(Config().venue("toyx"), websocket=websocket, rest=rest)
    config = replace(Config(), toyx=settings)
    *_, endpoint = composition.venue_endpoints(config)
    asyncio.run(run_until_both_markets(endpoint))
    check_demo(config)


main(*sys.argv[1:])
