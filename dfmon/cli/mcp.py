"""`dfmon mcp`: tools for agents over stdin and stdout, on the live market, a file, or a running dfmon."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dfmon.cli.remote_snapshot import split_url
from dfmon.cli.snapshot import recorded_snapshot
from dfmon.config import Config
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import EXIT_OK, UsageError
from dfmon.model.units import sanitize
from dfmon.runtime import composition
from dfmon.runtime.stores import history_columns
from dfmon.sinks.secret_urls import mask_url

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0  # of a response: an explanation waits for others
LOCAL_URL = "http://localhost"


def run(args: argparse.Namespace, config: Config) -> int:
    """Serves until stdin ends. Returns 0."""
    for name in ("mcp", "fastapi"):
        if find_spec(name) is None:
            raise UsageError(f"dfmon mcp needs the package {name!r}: pip install 'dfmon[mcp]'")
    asyncio.run(_serve(args, config))
    return EXIT_OK


async def _serve(args: argparse.Namespace, config: Config) -> None:
    from dfmon.sinks.mcp_server import make_server

    async with _open_client(args, config) as client:
        await make_server(client).run_stdio_async()


@asynccontextmanager
async def _open_client(args: argparse.Namespace, config: Config) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the routes over the source of the command."""
    source = args.source
    if source is None:
        async with _live_client(config) as client:
            yield client
    elif "://" in source:
        async with _remote_client(source, config) as client:
            yield client
    else:
        currency = config.market.currencies[0] if hasattr(args, "currency") else None
        hub = SnapshotHub(mode="replay")
        hub.publish(await asyncio.to_thread(recorded_snapshot, Path(source), currency, config, vars(args)))
        async with _local_client(hub, config) as client:
            yield client


def _local_client(hub: SnapshotHub, config: Config) -> httpx.AsyncClient:
    """A client of an application in this process."""
    import httpx

    from dfmon.sinks.rest.rest_service import create_app

    app = create_app(hub, history=history_columns(config, hub.mode))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=LOCAL_URL)


def _remote_client(url: str, config: Config) -> httpx.AsyncClient:
    """A client of a running dfmon, with the token that a service here would take."""
    import httpx

    from dfmon.venues.rest.routed_transport import RoutedTransport

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{sanitize(mask_url(url))}: allowed: http://HOST:PORT of a running dfmon's --rest, or a file")
    base, _ = split_url(url)
    token = composition.read_rest_token(config.publish)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(
        transport=RoutedTransport(), base_url=base, headers=headers, trust_env=False, timeout=TIMEOUT_S
    )


@asynccontextmanager
async def _live_client(config: Config) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a live session in this loop, which writes no store."""
    hub, stop = SnapshotHub(mode="live"), asyncio.Event()
    market = msgspec.structs.replace(config.market, compiled=False)
    config = msgspec.structs.replace(config, market=market)
    session = composition.live_session(
        config, "live", composition.Outputs((), None), composition.StepErrorLog(), hub, persist=False
    )
    task = asyncio.create_task(session.run(stop))
    try:
        async with _local_client(hub, config) as client:
            yield client
    finally:
        stop.set()
        await task
