"""The sink that serves snapshots over HTTP: uvicorn in the market's loop with the application of `rest_api`.

Read-only. An address that other machines reach is served only with a token. Its packages are an extra and are imported
only when a service is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import DfmonError, UsageError
from dfmon.sinks.base import SinkProgress, SinkStatus

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from dfmon.sinks.rest_access import RequestLimit
    from dfmon.sinks.rest_protocol import Connections

MIN_TOKEN: Final = 16  # letters
BACKLOG: Final = 4096  # connections that wait in the system, so that a flood of them keeps nobody out
ACCEPTED_AT_ONCE: Final = 16  # before the requests of those accepted are read
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
        token: str = "",
    ) -> None:
        """With a `token` every request needs it. Raises UsageError if the packages are missing."""
        require_packages()
        check_token(token)
        from dfmon.sinks.rest_access import RequestLimit
        from dfmon.sinks.rest_protocol import Connections

        self.connections = Connections(RequestLimit())
        self.name = "rest"
        self.progress = SinkProgress()
        self.host = host.strip("[]")  # an IPv6 address may come as in a URL
        self.port = port
        self._statuses, self._token = statuses, token
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://{_host_port(self.host, self.port)}"

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    def bind(self) -> None:
        """Binds the port, so that an invalid or busy one is reported before anything starts. Raises DfmonError."""
        if self._socket is None:
            self._socket = _bind_socket(self.host, self.port, has_token=bool(self._token))
            self.port = self._socket.getsockname()[1]

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Serves until `stop`. Raises DfmonError if `bind` was not called before and the port is not free."""
        self.bind()
        assert self._socket is not None
        server_socket, self._socket = self._socket, None
        connections = self.connections
        app = create_app(
            hub,
            self._statuses,
            host=self.host,
            token=self._token,
            progress=self.progress,
            closing=stop,
            limit=connections.requests,
        )
        server = _make_server(app, connections)

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
            self.progress.set_state("off")


def create_app(
    hub: SnapshotHub,
    status: Callable[[], tuple[SinkStatus, ...]] = tuple,
    *,
    host: str = "127.0.0.1",
    token: str = "",
    progress: SinkProgress | None = None,
    closing: asyncio.Event | None = None,
    limit: RequestLimit | None = None,
) -> FastAPI:
    """The ASGI application over one hub. `host` and `token` as for RestService; `closing` ends its event streams."""
    require_packages()
    from dfmon.sinks.rest_access import RequestLimit
    from dfmon.sinks.rest_api import SnapshotApi, build_app

    api = SnapshotApi(hub, status, progress or SinkProgress(), closing or asyncio.Event())
    return build_app(api, host, token, limit or RequestLimit())


def require_packages() -> None:
    """Raises UsageError, with the command that installs what is missing."""
    for name in ("fastapi", "uvicorn"):
        if find_spec(name) is None:
            raise UsageError(f"the REST service needs the package {name!r}: pip install 'dfmon[server]'")


def check_token(token: str) -> None:
    """Raises UsageError for a token that is too short or that no header can hold. Empty is no token."""
    if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        raise UsageError(f"the token of the REST service must have {MIN_TOKEN} ASCII letters or more, without spaces")


def _make_server(app: FastAPI, connections: Connections) -> uvicorn.Server:
    import uvicorn

    from dfmon.sinks.rest_protocol import GuardedProtocol, WaitingConnection

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the application's

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for listening in sockets or ():
                listening.listen(BACKLOG)  # uvicorn's is also the number accepted at once

    def accept(**options: Any) -> WaitingConnection:
        return WaitingConnection(connections, functools.partial(GuardedProtocol, connections, **options))

    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", accept),
        log_config=None,
        log_level="critical",  # of what clients do wrong
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    return Server(config)


def _bind_socket(host: str, port: int, *, has_token: bool) -> socket.socket:
    host_port = _host_port(host, port)
    if not 0 <= port <= 65535:  # some systems would truncate it and listen on another port
        raise UsageError(f"REST: {host_port} is not an address to listen on: allowed are ports from 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        if not has_token and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise UsageError(
                f"REST: other machines reach {host_port}, which takes a token: set DFMON_PUBLISH_REST_TOKEN or"
                " publish.rest_token_file, or serve 127.0.0.1"
            )
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except socket.gaierror as exc:
        raise UsageError(f"REST: {host_port} is not an address to listen on: {exc.strerror}") from None
    except OSError as exc:
        raise DfmonError(f"REST: cannot listen on {host_port}: {exc.strerror or exc}; choose another port") from None


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
