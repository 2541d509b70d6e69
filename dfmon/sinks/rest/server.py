"""uvicorn in a loop that is not its own, with our connections, and the socket that it listens on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, Final, cast

import uvicorn
from fastapi import FastAPI

from dfmon.model.errors import DfmonError, UsageError
from dfmon.sinks.rest.connections import (
    KEEP_ALIVE_S,
    READ_TIMEOUT_S,
    Connections,
    GuardedProtocol,
    GuardedWebSocket,
    WaitingConnection,
)
from dfmon.sinks.rest.settings import MAX_MESSAGE_BYTES

BACKLOG: Final = 4096  # connections that wait in the system, so that a flood of them keeps nobody out
ACCEPTED_AT_ONCE: Final = 16  # before the requests of those accepted are read
SHUTDOWN_GRACE_S: Final = 2  # time for open responses to end


def make_server(app: FastAPI, connections: Connections) -> uvicorn.Server:
    """A server of the application, whose signals stay with ours."""

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
        ws=cast("type[asyncio.Protocol]", functools.partial(GuardedWebSocket, connections)),
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_timeout=READ_TIMEOUT_S,
        ws_per_message_deflate=False,  # of each client anew: 500 of them would hold up the market's loop
        server_header=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    return Server(config)


def bind_socket(host: str, port: int, *, has_token: bool) -> socket.socket:
    """A socket that listens. Raises UsageError for an address of no use or without a needed token, else DfmonError."""
    address_text = host_port(host, port)
    if not 0 <= port <= 65535:  # some systems would truncate it and listen on another port
        raise UsageError(f"REST: {address_text} is not an address to listen on: allowed are ports from 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        if not has_token and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise UsageError(
                f"REST: other machines reach {address_text}, which takes a token: set DFMON_PUBLISH_REST_TOKEN or"
                " publish.rest_token_file, or serve 127.0.0.1"
            )
        server = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        # asyncio sets it only on sockets that name their protocol: else a body waits for the ACK of its header, 40 ms
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server
    except socket.gaierror as exc:
        raise UsageError(f"REST: {address_text} is not an address to listen on: {exc.strerror}") from None
    except OSError as exc:
        raise DfmonError(f"REST: cannot listen on {address_text}: {exc.strerror or exc}; choose another port") from None


def host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
