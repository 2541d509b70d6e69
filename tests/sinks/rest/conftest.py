"""A service on a free port with its client, and snapshots with the inputs of their tick."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from dfmon.core.step import FlowParams, step
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.what_if import keep_inputs
from dfmon.model.snapshot import FlowSnapshot
from dfmon.sinks.base import SinkStatus
from dfmon.sinks.rest.context import HistoryColumns
from dfmon.sinks.rest.past_events import PastEvents
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings
from tests.engine.test_what_if import tick
from tests.sinks.conftest import Run
from tests.sinks.factory import wait_until

REDIS = SinkStatus("redis", "away", 3, 1, "next try in 2 s")
Serve = Callable[..., Awaitable[RestService]]


@pytest.fixture
def serve(run: Run) -> Serve:
    """Starts a service with settings, a history and the events of earlier runs."""

    async def start(
        settings: RestSettings | None = None,
        history: HistoryColumns | None = None,
        past_events: PastEvents | None = None,
    ) -> RestService:
        service = RestService(
            port=0, statuses=lambda: (REDIS,), settings=settings, history=history, past_events=past_events
        )
        service.bind()
        run(service)
        await wait_until(lambda: service.progress.state == "serving")
        return service

    return start


@pytest.fixture
async def service(serve: Serve) -> RestService:
    return await serve()


@pytest.fixture
async def client(service: RestService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service) as http_client:
        yield http_client


def client_of(service: RestService) -> httpx.AsyncClient:
    # plain HTTP: the certificates, a tenth of a second, are not read
    return httpx.AsyncClient(base_url=service.url, timeout=8, trust_env=False, verify=False)


@pytest.fixture(scope="session")
def computed() -> FlowSnapshot:
    """A snapshot of the engine, of which every number can be computed."""
    inputs = tick(FlowParams("naive"), warm=3)
    snapshot = step(*inputs)[1]
    keep_inputs(snapshot, inputs)
    return snapshot


@pytest.fixture
def published(hub: SnapshotHub, computed: FlowSnapshot) -> FlowSnapshot:
    """That snapshot on the hub."""
    hub.publish(computed)
    return computed
