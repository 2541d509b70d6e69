"""The network of a world: connections in memory, and what can be wrong with them.

`Network.connect` and `listen` stand in for `loop.create_connection` and `create_server`; everything above them (asyncio
streams, websockets, httpx, uvicorn, redis-py) is real. Both directions of a connection are `Wire`s, which deliver bytes
in order, after a latency, with the flow control of TCP. A `Line` holds what is wrong on the way to one host just now.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Final

from tests.worlds.frames import BytesEditor, Edit, FrameEditor
from tests.worlds.layers import Layers
from tests.worlds.loop import PROCESS, WorldLoop

_HIGH_BYTES, _LOW_BYTES = 1 << 18, 1 << 16  # on the way or unread: a writer waits above, and goes on below
_CONNECT_TIMEOUT_S: Final = 120.0  # of the system, without an answer
_POLL_S: Final = 0.1  # of a line that carries nothing


@dataclass
class Line:
    """The way to one host. With the defaults it is a perfect one."""

    latency_s: float = 0.001
    jitter_s: float = 0.0
    spread_s: float = 0.0  # the latencies of its connections lie up to this apart
    slice_bytes: int = 0
    bytes_per_s: float = 0.0
    silent: bool = False  # connections stay open and carry nothing
    refused: bool = False
    unresolved: bool = False
    edit: Edit | None = None  # of the text frames of a websocket
    handshake: bytes | None = None  # in place of the answer to a websocket's handshake, and the end
    body: Callable[[bytes], list[tuple[float, bytes]]] | None = None  # of REST responses: waits and pieces
    effects: int = 0  # how often it changed what would have happened
    delivered_s: float = 0.0  # when anything last arrived at a client
    connections: dict[int, Connection] = field(default_factory=dict)  # by number

    def __post_init__(self) -> None:
        self.layers = Layers(self)


class Socket:
    """The part of a socket that asyncio's users ask for."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP

    def __init__(self, local: tuple[str, int], remote: tuple[str, int] | None) -> None:
        self._local, self._remote = local, remote

    def getsockname(self) -> tuple[str, int]:
        return self._local

    def getpeername(self) -> tuple[str, int] | None:
        return self._remote

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *_: object) -> None: ...

    def getsockopt(self, *_: object) -> int:
        return 0

    def close(self) -> None: ...


class End(asyncio.Transport):
    """One end of a connection: a transport as asyncio's users know it."""

    def __init__(self, loop: WorldLoop, protocol: Any, sock: Socket) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername()})
        self._loop, self._protocol, self._context = loop, protocol, copy_context()
        self.out: Wire
        self.into: Wire
        self.closing = self.lost = self.paused = False
        self._write_paused = False
        self._high = _HIGH_BYTES

    def start(self) -> None:
        self._call(self._protocol.connection_made, self)

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(callback, *args, context=self._context)

    # ---- for asyncio's users ---------------------------------------------------------------------------------------

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self.closing

    def is_reading(self) -> bool:
        return not self.paused and not self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        if self.paused:
            self.paused = False
            self.into.wake()

    def get_write_buffer_size(self) -> int:
        return self.out.waiting_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: Any) -> None:
        if data and not self.closing:
            self.out.send(bytes(data))
            if self.out.waiting_bytes > _HIGH_BYTES and not self._write_paused:
                self._write_paused = True
                self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.out.send(b"")

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.out.send(b"")
            self._lose(None)

    def abort(self) -> None:
        if not self.lost:
            self.out.reset()
            self._lose(None)
        self.closing = True

    # ---- for the wires ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Hands over what has arrived; empty is the end."""
        if self.lost:
            self.out.reset()
        elif data:
            self._call_protocol(self._protocol.data_received, data)
        else:
            self._call_protocol(self._receive_end)

    def _receive_end(self) -> None:
        if not self._protocol.eof_received():
            self.close()

    def _call_protocol(self, callback: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(self._unless_lost, callback, args, context=self._context)

    def _unless_lost(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        if not self.lost:
            callback(*args)

    def receive_reset(self) -> None:
        self.closing = True
        self._lose(ConnectionResetError(104, "Connection reset by peer"))

    def drained(self) -> None:
        if self._write_paused and self.out.waiting_bytes < _LOW_BYTES:
            self._write_paused = False
            self._call(self._protocol.resume_writing)

    def _lose(self, exc: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self._call(self._protocol.connection_lost, exc)

    def vanish(self) -> None:
        """The process of this end is dead: the system resets the connection."""
        if not self.lost:
            self.lost = self.closing = True
            self.out.reset()


class Wire:
    """One direction. Delivers in order; at most one piece is under way to the receiver at a time."""

    def __init__(self, loop: WorldLoop, line: Line, rng: random.Random, editor: BytesEditor) -> None:
        self.waiting_bytes = 0
        self._loop, self._line, self._rng, self._editor = loop, line, rng, editor
        self._pieces: deque[tuple[float, bytes]] = deque()  # when each arrives at the earliest
        self._last_s = 0.0
        self._share = rng.random()  # of the spread of latencies
        self._timer: asyncio.TimerHandle | None = None
        self.downward = False  # from the server to the client
        self.sender: End
        self.receiver: End
        self._context = _NETWORK

    def send(self, data: bytes) -> None:
        line = self._line
        for wait_s, piece in self._editor.edit(data, line):
            size = line.slice_bytes or max(len(piece), 1)
            if size < len(piece):
                line.effects += 1
            for at in range(0, max(len(piece), 1), size):
                self._put(piece[at : at + size], wait_s)

    def _put(self, piece: bytes, wait_s: float) -> None:
        line = self._line
        travel_s = (
            line.latency_s
            + line.spread_s * self._share
            + (self._rng.random() * line.jitter_s if line.jitter_s else 0.0)
        )
        if line.bytes_per_s:
            travel_s += len(piece) / line.bytes_per_s
            self._last_s += len(piece) / line.bytes_per_s
        self._last_s = max(self._last_s, self._loop.time() + travel_s + wait_s)
        self._pieces.append((self._last_s, piece))
        self.waiting_bytes += len(piece)
        self.wake()

    def wake(self) -> None:
        """Delivers what is due, or sets the timer for it."""
        if self._timer is None and self._pieces and not self.receiver.paused:
            self._timer = self._loop.call_at(self._pieces[0][0], self._deliver, context=self._context)

    def _deliver(self) -> None:
        self._timer = None
        if self._line.silent:
            self._line.effects += 1
            self._timer = self._loop.call_at(self._loop.time() + _POLL_S, self._deliver, context=self._context)
            return
        now_s = self._loop.time()
        while self._pieces and self._pieces[0][0] <= now_s and not self.receiver.paused:
            _, piece = self._pieces.popleft()
            self.waiting_bytes -= len(piece)
            self.receiver.receive(piece)
            if self.downward and piece:
                self._line.delivered_s = now_s
        self.sender.drained()
        self.wake()

    def reset(self) -> None:
        """RST: overtakes nothing that has arrived, and drops the rest."""
        self._pieces.clear()
        self.waiting_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        at_s = self._loop.time() + self._line.latency_s
        self._loop.call_at(at_s, self.receiver.receive_reset, context=self._context)


@dataclass
class Connection:
    """A connection: its client's and its server's end."""

    client: End
    server: End

    def reset(self) -> None:
        """RST to both ends, as of a router that has forgotten them."""
        for end in (self.client, self.server):
            end.receive_reset()

    def half_close(self) -> None:
        """FIN to the client, while the server hears nothing of it."""
        self.client.receive(b"")


class Listener(asyncio.AbstractServer):
    """A port that is open."""

    def __init__(self, network: Network, address: tuple[str, int], factory: Callable[[], Any]) -> None:
        self._network, self.address, self.factory = network, address, factory
        self.context = copy_context()
        self.sockets = (Socket(address, None),)

    def close(self) -> None:
        self._network.listeners.pop(self.address, None)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._network.loop

    def is_serving(self) -> bool:
        return self.address in self._network.listeners

    async def start_serving(self) -> None: ...

    async def serve_forever(self) -> None: ...

    async def wait_closed(self) -> None: ...


class Network:
    """All hosts of the world. `lines` are by port; names resolve to loopback, which is only an address here."""

    def __init__(self, loop: WorldLoop, rng: random.Random) -> None:
        self.loop, self._rng = loop, rng
        self.listeners: dict[tuple[str, int], Listener] = {}
        self.lines: dict[int, Line] = {}
        self._next_port = 20_000
        self._connections = 0
        loop.create_connection = self.connect  # type: ignore[method-assign,assignment]
        loop.create_server = self.listen  # type: ignore[method-assign,assignment]
        loop.getaddrinfo = self.resolve  # type: ignore[method-assign]

    def line(self, port: int) -> Line:
        return self.lines.setdefault(port, Line())

    async def resolve(self, host: Any, port: Any, **_: Any) -> list[Any]:
        line = self.line(int(port))
        if line.unresolved:
            line.effects += 1
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", int(port)))]

    async def listen(self, factory: Callable[[], Any], _host: Any = None, port: Any = None, **options: Any) -> Listener:
        if (sock := options.get("sock")) is not None:
            port = sock.getsockname()[1]
        if not port:
            self._next_port += 1
            port = self._next_port
        address = ("127.0.0.1", int(port))
        listener = self.listeners[address] = Listener(self, address, factory)
        if (process := PROCESS.get()) is not None:
            process.on_kill.append(listener.close)
        return listener

    async def connect(
        self, factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any
    ) -> tuple[End, Any]:
        await self.resolve(host, port)
        line = self.line(int(port))
        await asyncio.sleep(2 * line.latency_s)
        if line.silent:
            line.effects += 1
            await asyncio.sleep(_CONNECT_TIMEOUT_S)
            raise TimeoutError(110, "Connection timed out")
        listener = self.listeners.get(("127.0.0.1", int(port)))
        if line.refused or listener is None:
            line.effects += line.refused
            raise ConnectionRefusedError(111, "Connection refused")
        self._connections += 1
        number = self._connections
        there, here = listener.address, ("127.0.0.1", 40_000 + number % 20_000)
        client = End(self.loop, factory(), Socket(here, there))
        server = listener.context.run(lambda: End(self.loop, listener.factory(), Socket(there, here)))
        editor = FrameEditor()
        up, down = Wire(self.loop, line, self._rng, editor.requests), Wire(self.loop, line, self._rng, editor)
        up.sender, up.receiver, down.sender, down.receiver = client, server, server, client
        down.downward = True
        client.out, client.into, server.out, server.into = up, down, down, up
        line.connections[number] = Connection(client, server)
        for end in (server, client):
            end.start()
        made = self.loop.create_future()
        self.loop.call_soon(made.set_result, None)
        await made
        if (process := PROCESS.get()) is not None:
            process.on_kill.append(client.vanish)
        if (process := listener.context.get(PROCESS)) is not None:
            process.on_kill.append(server.vanish)
        return client, client.get_protocol()


_NETWORK: Final = copy_context()
