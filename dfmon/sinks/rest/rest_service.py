"""The sink that serves snapshots over HTTP: uvicorn in the market's loop with the application of `app`.

Read-only. An address that other machines reach is served only with a token. Its packages are an extra and are imported
only when a service is made.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.sinks.base import SinkProgress, SinkStatus
from dfmon.sinks.rest.settings import RestSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from dfmon.sinks.rest.context import HistoryColumns
    from dfmon.sinks.rest.past_events import PastEvents

_PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "fastapi_offline")


class RestService:
    """Sink that serves the hub on `host`:`port`; port 0 takes a free one, which `port` then has.

    `statuses` returns the states of all sinks for /healthz, `history` reads the stored metrics, `past_events` what a
    client of the stream missed that returns after a restart. `sent` counts responses and stream messages, `dropped` the
    snapshots that a slow client missed because a newer one had arrived.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8765,
        statuses: Callable[[], tuple[SinkStatus, ...]] = tuple,
        settings: RestSettings | None = None,
        history: HistoryColumns | None = None,
        past_events: PastEvents | None = None,
    ) -> None:
        """Raises UsageError if the packages are missing."""
        require_packages()
        from dfmon.sinks.rest.access import RequestLimit
        from dfmon.sinks.rest.connections import Connections

        self.connections = Connections(RequestLimit())
        self.name = "rest"
        self.progress = SinkProgress()
        self.host = host.strip("[]")  # an IPv6 address may come as in a URL
        self.port = port
        self._settings, self._statuses = settings or RestSettings(), statuses
        self._history, self._past_events = history, past_events
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        from dfmon.sinks.rest.server import host_port

        return f"http://{host_port(self.host, self.port)}"

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    def bind(self) -> None:
        """Binds the port, so that an invalid or busy one is reported before anything starts. Raises DfmonError."""
        from dfmon.sinks.rest.server import bind_socket

        if self._socket is None:
            self._socket = bind_socket(self.host, self.port, has_token=bool(self._settings.token))
            self.port = self._socket.getsockname()[1]

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Serves until `stop`. Raises DfmonError if `bind` was not called before and the port is not free."""
        from dfmon.sinks.rest.app import build_app
        from dfmon.sinks.rest.context import RestContext
        from dfmon.sinks.rest.server import make_server

        self.bind()
        assert self._socket is not None
        server_socket, self._socket = self._socket, None
        connections = self.connections
        context = RestContext(
            hub, self._statuses, self._history, self._past_events,
            progress=self.progress, closing=stop, limit=connections.requests,
        )  # fmt: skip
        server = make_server(build_app(context, self.host, self._settings), connections)

        def on_stop(_: object) -> None:
            server.should_exit = True
            connections.abort(lambda each: each.is_idle or each.is_unread)  # uvicorn would wait for them

        stop_waiter = asyncio.ensure_future(stop.wait())
        stop_waiter.add_done_callback(on_stop)
        self.progress.set_state("serving", self.url)
        try:
            await server.serve(sockets=[server_socket])
        finally:
            stop_waiter.cancel()
            for listener in getattr(server, "servers", ()):  # when cancelled, uvicorn closes nothing
                listener.close()
            server_socket.close()
            connections.abort()
            context.thread.close()
            self.progress.set_state("off")


def create_app(
    hub: SnapshotHub,
    statuses: Callable[[], tuple[SinkStatus, ...]] = tuple,
    *,
    host: str = "127.0.0.1",
    settings: RestSettings | None = None,
    history: HistoryColumns | None = None,
) -> FastAPI:
    """The ASGI application over one hub, for a server of your own. `host` and the others as for RestService."""
    require_packages()
    from dfmon.sinks.rest.app import build_app
    from dfmon.sinks.rest.context import RestContext

    return build_app(RestContext(hub, statuses, history), host, settings or RestSettings())


def require_packages() -> None:
    """Raises UsageError, with the command that installs what is missing."""
    for name in _PACKAGES:
        if find_spec(name) is None:
            raise UsageError(f"the REST service needs the package {name!r}: pip install 'dfmon[server]'")
