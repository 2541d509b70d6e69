"""The sink that serves snapshots over HTTP: uvicorn in the market's loop with the application of `rest_api`.

Read-only, and on loopback unless another address is given. Its packages are an extra and are imported only when a
service is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import DfmonError, UsageError
from dfmon.sinks.base import SinkProgress, SinkStatus

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

MAX_CONNECTIONS: Final = 128  # beyond these, uvicorn responds 503
BACKLOG: Final = 128
SHUTDOWN_GRACE_S: Final = 2  # time for open responses to end


class RestService:
    """Sink that serves the hub on `host`:`port`; port 0 takes a free one, which `port` then has.

    `statuses` returns the states of all sinks for /healthz. `sent` counts responses and stream events, `dropped` the
    stream events that a slow client missed because a newer one had arrived.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8765,
        statuses: Callable[[], tuple[SinkStatus, ...]] = tuple,
    ) -> None:
        """Raises UsageError if the packages are missing."""
        require_packages()
        self.name = "rest"
        self.progress = SinkProgress()
        self.host = host.strip("[]")  # an IPv6 address may come as in a URL
        self.port = port
        self._statuses = statuses
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://{_host_port(self.host, self.port)}"

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    def bind(self) -> None:
        """Binds the port, so that an invalid or busy one is reported before anything starts. Raises DfmonError."""
        if self._socket is None:
            self._socket = _bind_socket(self.host, self.port)
            self.port = self._socket.getsockname()[1]

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Serves until `stop`. Raises DfmonError if `bind` was not called before and the port is not free."""
        self.bind()
        assert self._socket is not None
        server_socket, self._socket = self._socket, None
        app = create_app(hub, self._statuses, host=self.host, progress=self.progress, closing=stop)
        server = _make_server(app)
        stop_waiter = asyncio.ensure_future(stop.wait())
        stop_waiter.add_done_callback(lambda _: setattr(server, "should_exit", True))
        self.progress.set_state("serving", self.url)
        try:
            await server.serve(sockets=[server_socket])
        finally:
            stop_waiter.cancel()
            for listener in getattr(server, "servers", ()):  # when cancelled, uvicorn closes nothing
                listener.close()
            server_socket.close()
            self.progress.set_state("off")


def create_app(
    hub: SnapshotHub,
    status: Callable[[], tuple[SinkStatus, ...]] = tuple,
    *,
    host: str = "127.0.0.1",
    progress: SinkProgress | None = None,
    closing: asyncio.Event | None = None,
) -> FastAPI:
    """The ASGI application over one hub. `host` is its address; `closing` ends its event streams."""
    require_packages()
    from dfmon.sinks.rest_api import SnapshotApi, build_app

    api = SnapshotApi(hub, status, progress or SinkProgress(), closing or asyncio.Event())
    return build_app(api, host)


def require_packages() -> None:
    """Raises UsageError, with the command that installs what is missing."""
    for name in ("fastapi", "uvicorn"):
        if find_spec(name) is None:
            raise UsageError(f"the REST service needs the package {name!r}: pip install 'dfmon[server]'")


def _make_server(app: FastAPI) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the application's

    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
        )
    )


def _bind_socket(host: str, port: int) -> socket.socket:
    host_port = _host_port(host, port)
    if not 0 <= port <= 65535:  # some systems would truncate it and listen on another port
        raise UsageError(f"REST: {host_port} is not an address to listen on: allowed are ports from 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except socket.gaierror as exc:
        raise UsageError(f"REST: {host_port} is not an address to listen on: {exc.strerror}") from None
    except OSError as exc:
        raise DfmonError(f"REST: cannot listen on {host_port}: {exc.strerror or exc}; choose another port") from None


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
