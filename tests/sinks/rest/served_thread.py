"""A REST service in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.sinks.rest.context import HistoryColumns
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings

PUBLISH_INTERVAL_S = 1.0  # well below the age at which an underlying is stale


@contextmanager
def served_in_thread(
    snapshot: FlowSnapshot, settings: RestSettings | None = None, history: HistoryColumns | None = None
) -> Iterator[RestService]:
    """A service on a free port that publishes the snapshot again and again, until the context ends."""
    service = RestService(port=0, settings=settings, history=history)
    service.bind()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    hub = SnapshotHub()

    def publish() -> None:
        hub.publish(snapshot)
        loop.call_later(PUBLISH_INTERVAL_S, publish)

    def main() -> None:
        loop.call_soon(publish)
        loop.run_until_complete(service.run(hub, stop))
        loop.close()

    thread = threading.Thread(target=main)
    thread.start()
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
