"""Two sessions on one simulated exchange: one on a perfect line, one behind proxies; and how to compare what they know.

Both run at the venues' pace on the loop of `virtual_time`, so every second here is one of the market.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.engine.market import MarketState
from dfmon.model.frames import ChainFrame
from dfmon.model.units import HOUR, SECOND
from dfmon.sim.server import SimAddresses, SimConfig, SimServer
from dfmon.venues import connection
from dfmon.venues.registry import endpoints
from dfmon.venues.rest.client import RestClient
from dfmon.venues.spec import Address, PollSettings
from dfmon.venues.transport.base import Opener
from tests.fault.proxy import Link, Proxy

NOON = 1_795_305_600 * SECOND + 12 * HOUR  # Sunday 22 November 2026, 12:00 UTC
BOUND_S = 300.0  # for anything a test waits for
SOURCES = ("deribit", "binance.spot", "binance.public", "binance.market", "okx")
SUMMARY_S = 4.0
LOOK_BACK_S = 86_400.0
COLUMNS = (
    "expiry_ns", "strike", "option_type", "inverse", "forward", "sigma", "bid_sigma", "ask_sigma", "mark", "bid",
    "ask", "open_interest", "volume",
)  # fmt: skip
MEASURES = ("mid", "depth_usd", "volume_usd", "open_interest_usd", "funding_8h", "mark")


class Client:
    """The real runner, protocols, REST client and driver, without the part that computes snapshots."""

    def __init__(
        self,
        server: SimServer,
        addresses: Mapping[str, Address],
        clock: Callable[[], int] | None = None,
        transport: Opener | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.clock, self._transport, self._timer = clock or server.clock, transport, timer
        self.endpoints = endpoints(("BTC",), SOURCES, addresses, PollSettings(SUMMARY_S, LOOK_BACK_S))
        self.driver = _Driver(
            ("BTC",),
            FlowParams(),
            {endpoint.source: endpoint.protocol for endpoint in self.endpoints},
            lambda _: None,
            options_sources=("deribit",),
        )
        self.lost = self.driver.losses = list[tuple[str, str]]()
        self.prints: defaultdict[str, list[tuple[int, int, float, float]]] = defaultdict(list)
        self._names: dict[int, str] = {}
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        async with RestClient() as rest_client:
            for endpoint in self.endpoints:
                run_coroutine = connection.run(
                    endpoint, self.driver, rest_client, self.clock, self._stop,
                    rng=random.Random(1), transport=self._transport, timer=self._timer,
                )  # fmt: skip
                self._tasks.append(asyncio.create_task(run_coroutine))
            await asyncio.gather(*self._tasks)

    def stop(self) -> None:
        self._stop.set()

    def state(self, at_ns: int) -> dict[str, Any]:
        """All that is known of the market at `at_ns`, in a form that can be compared."""
        chain = self.driver._chains.freeze("BTC", at_ns)
        self._collect_prints(chain)
        prints = {name: sorted(self.prints[name]) for name in chain.names if name in self.prints}
        return known_state(chain, self.driver._markets, at_ns) | {"prints": prints}

    def _collect_prints(self, chain: ChainFrame) -> None:
        self._names.update(zip(chain.uid.tolist(), chain.names))
        t = chain.trades
        for n, uid in enumerate(t.uid.tolist()):
            name = self._names.get(uid, f"#{uid}")
            self.prints[name].append((int(t.exch_ns[n]), int(t.side[n]), float(t.size[n]), float(t.price[n])))


def known_state(chain: ChainFrame, markets: MarketState, at_ns: int) -> dict[str, Any]:
    """All that a driver knows of the market at `at_ns` but its prints, in a form that can be compared."""
    order = np.argsort(np.array(chain.names)) if chain.names else np.array([], np.int64)
    known: dict[str, Any] = {name: getattr(chain, name)[order].tobytes() for name in COLUMNS}
    known |= {"names": tuple(sorted(chain.names)), "settling": repr(chain.delivery_average)}
    known |= {"spot": chain.spot, "vol_index": chain.vol_index}
    for market in markets.freeze("BTC", at_ns).markets:
        values = asdict(market)
        known[f"{market.venue} {market.market.name}"] = Measures(values[name] for name in MEASURES)
    return known


class Measures(tuple[float, ...]):
    """Numbers that are equal to ten digits: a book's depth is a sum in the order in which its levels came."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measures) and np.allclose(self, other, rtol=1e-10, atol=0.0, equal_nan=True)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # equality by tolerance is not transitive


class _Driver(Driver):
    """The driver, with an ear on what ends connections."""

    losses: list[tuple[str, str]]

    def lost(self, source: str, recv_ns: int, reason: str) -> None:
        self.losses.append((source, reason))
        super().lost(source, recv_ns, reason)


@dataclass
class Pair:
    """The exchange, the session on a perfect line, the one behind proxies, and those proxies by what they carry."""

    server: SimServer
    clean: Client
    faulted: Client
    proxies: dict[str, Proxy]
    addresses: SimAddresses
    running: list[asyncio.Task[None]]

    def restart_clean_session(self) -> None:
        """What befell the exchange befell both sessions: compare with one that begins now instead."""
        self.clean.stop()
        self.clean = Client(self.server, _addresses(self.addresses, {}))
        self.running.append(asyncio.create_task(self.clean.run()))

    @property
    def links(self) -> list[Link]:
        return [proxy.link for proxy in self.proxies.values()]

    def set_links(self, **conditions: Any) -> None:
        """Sets fields of every line."""
        for link in self.links:
            for name, value in conditions.items():
                setattr(link, name, value)

    def reset(self) -> None:
        for proxy in self.proxies.values():
            proxy.reset()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not condition():
                await asyncio.sleep(0.1)

    async def market_time(self, seconds: float) -> None:
        """Waits until the exchange's clock has gone on by so many venue seconds."""
        end_ns = self.server.clock() + int(seconds * SECOND)
        await self.until(lambda: self.server.clock() >= end_ns)

    def differences(self) -> list[str]:
        """What the two sessions do not agree on, now."""
        at_ns = self.server.clock()
        clean_state, faulted_state = self.clean.state(at_ns), self.faulted.state(at_ns)
        different = sorted(
            key for key in clean_state.keys() | faulted_state.keys() if clean_state.get(key) != faulted_state.get(key)
        )
        if different == ["prints"]:
            clean_prints, faulted_prints = clean_state["prints"], faulted_state["prints"]
            names = clean_prints.keys() | faulted_prints.keys()
            return [
                f"{name}: {clean_prints.get(name)} {faulted_prints.get(name)}"
                for name in names
                if clean_prints.get(name) != faulted_prints.get(name)
            ]
        return different

    async def wait_until_equal(self) -> float:
        """Stops the market, and waits until both sessions know the same; the venue seconds that took."""
        self.server.faults.frozen = True
        start_ns = self.server.clock()
        different = ["not looked"]
        try:
            async with asyncio.timeout(BOUND_S):
                while different := self.differences():
                    await asyncio.sleep(0.25)
        except TimeoutError:
            raise AssertionError(f"still different: {different}; lost: {self.faulted.lost[-5:]}") from None
        finally:
            self.server.faults.frozen = False
        return (self.server.clock() - start_ns) / SECOND


@asynccontextmanager
async def two_sessions(
    clock: Callable[[SimServer], Callable[[], int]] | None = None,
) -> AsyncIterator[Pair]:
    """Both sessions connected, synchronised and equal; everything is taken down at the end."""
    config = SimConfig(start_ns=NOON, currencies=("BTC",), history=0.02)
    loop = asyncio.get_running_loop()
    server = SimServer(config, monotonic_ns=lambda: int(loop.time() * SECOND))
    addresses = await server.start()
    ports = {
        "deribit": addresses["deribit"].ws,
        "binance.spot": addresses["binance.spot"].ws,
        "binance.futures": addresses["binance.market"].ws,
        "okx": addresses["okx"].ws,
    }
    proxies = {name: Proxy(urlsplit(url).port or 0) for name, url in ports.items()}
    proxy_ports = {name: await proxy.start() for name, proxy in proxies.items()}
    clean = Client(server, _addresses(addresses, {}))
    faulted = Client(server, _addresses(addresses, proxy_ports), clock(server) if clock else None)
    market = asyncio.create_task(server.wait_stopped())
    running = [asyncio.create_task(client.run()) for client in (clean, faulted)]
    pair = Pair(server, clean, faulted, proxies, addresses, running)
    try:
        await pair.wait_until_equal()
        yield pair
        failed = [task.exception() for task in running if task.done() and task.exception()]
        assert not failed, failed
    finally:
        pair.clean.stop()
        faulted.stop()
        async with asyncio.timeout(60):
            await asyncio.gather(*running, return_exceptions=True)
        market.cancel()
        await asyncio.gather(market, return_exceptions=True)
        for proxy in proxies.values():
            await proxy.stop()
        await server.stop()


def _addresses(addresses: SimAddresses, proxy_ports: dict[str, int]) -> dict[str, Address]:
    """The exchange's addresses with the ports of `proxy_ports` instead, and a name that needs resolving."""

    def via(url: str, name: str) -> str:
        parts = urlsplit(url)
        return url if name not in proxy_ports else url.replace(parts.netloc, f"localhost:{proxy_ports[name]}")

    futures = Address(
        via(addresses["binance.market"].ws, "binance.futures"), via(addresses["binance.market"].rest, "binance.futures")
    )
    return {
        "deribit": Address(via(addresses["deribit"].ws, "deribit"), via(addresses["deribit"].rest, "deribit")),
        "binance.spot": Address(
            via(addresses["binance.spot"].ws, "binance.spot"), via(addresses["binance.spot"].rest, "binance.spot")
        ),
        "binance.public": futures,
        "binance.market": futures,
        "okx": Address(via(addresses["okx"].ws, "okx"), via(addresses["okx"].rest, "okx")),
    }
