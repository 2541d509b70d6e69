import asyncio
import itertools
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from dfmon.aio import cancel_and_wait, wait_until_set
from dfmon.model.events import Event
from dfmon.venues import connection
from dfmon.venues.protocol import DropPolicy, Endpoint, RestCall, Timeouts
from dfmon.venues.registry import VENUES
from dfmon.venues.rest.call_runner import CallRunner
from dfmon.venues.transport.base import FrameHandler, Headers, Opener, Socket
from dfmon.venues.transport.errors import describe_loss
from dfmon.venues.transport.websockets import open_websockets
from tests.fault.virtual_time import in_virtual_time

Handler = Callable[[ServerConnection], Awaitable[None]]
DATA = b'{"channel":"x","data":1}'


@pytest.fixture(autouse=True, params=["websockets", "picows"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Every test of this file holds for both libraries: the same frames, the same codes, the same words."""
    if request.param == "picows":
        pytest.importorskip("picows")
        from dfmon.venues.transport.picows import open_picows as chosen
    else:
        chosen = open_websockets
    monkeypatch.setattr(connection, "choose_opener", lambda: chosen)
    return chosen


HEARTBEATS = tuple(text for spec in VENUES for text in spec.heartbeats)


class EchoProtocol:
    """Subscribes on connecting, answers `ask` with a REST call and `hello?` with a frame, and counts its timer."""

    source, path = "echo", ""

    def __init__(self, timeouts: Timeouts = Timeouts()) -> None:  # noqa: B008
        self.timeouts = timeouts
        self.failure_reason = self.closing_reason = ""
        self.subscribed = True
        self.ticks = 0
        self._out: list[str] = []
        self._calls: list[RestCall] = []

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._out.append("subscribe")
        return []

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        if frame == b"hello?":
            self._out.append("hello!")
        if frame == b"ask":
            self._calls.append(RestCall("tag", "/path"))
        return []

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        self._out.append(f"{tag}={body.decode()}")
        return []

    def connection_lost(self, reason: str) -> Sequence[Event]:
        return []

    def on_timer(self, now_ns: int) -> Sequence[Event]:
        self.ticks += 1
        return []

    def classify(self, frame: bytes) -> tuple[DropPolicy, str]:
        return DropPolicy.NEVER, ""

    def data_to_send(self) -> list[str]:
        out, self._out = self._out, []
        return out

    def rest_calls(self) -> list[RestCall]:
        calls, self._calls = self._calls, []
        return calls


class Journal:
    """An intake that calls the protocol like the driver, keeps what came, and lets a test wait for it."""

    def __init__(self, protocol: EchoProtocol) -> None:
        self.records: list[tuple[str, object]] = []
        self._protocol = protocol
        self._changed = asyncio.Event()

    def connected(self, source: str, recv_ns: int) -> None:
        self._protocol.connection_made(recv_ns)
        self._record_call("connected", source)

    def frame(self, source: str, recv_ns: int, frame: bytes) -> None:
        self._protocol.frame_received(frame)
        self._record_call("frame", frame)

    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None:
        self._protocol.response_received(tag, body)
        self._record_call("response", (tag, body))

    def lost(self, source: str, recv_ns: int, reason: str) -> None:
        self._protocol.connection_lost(reason)
        self._record_call("lost", reason)

    def timer(self, source: str, now_ns: int, runner_note: str = "") -> None:
        self._protocol.on_timer(now_ns)
        self._record_call("timer", runner_note)

    def _record_call(self, kind: str, value: object) -> None:
        self.records.append((kind, value))
        self._changed.set()

    def values_of(self, kind: str) -> list[Any]:
        return [value for what, value in self.records if what == kind]

    async def until(self, kind: str, count: int = 1) -> list[Any]:
        while len(self.values_of(kind)) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.values_of(kind)


class NoRest:
    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    async def get(self, base: str, call: RestCall) -> bytes:
        return f"{base}{call.path}".encode()


class LongestDelays(random.Random):
    """Every back-off is the longest that its range allows."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Pauses:
    """Back-off without waiting: keeps what it was asked for, and lets the loop turn."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, stop: asyncio.Event, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


@asynccontextmanager
async def running(url: str, protocol: EchoProtocol | None = None, **options: Any) -> AsyncIterator[Journal]:
    """The runner against `url`; on leaving it is stopped and must end within a second and leave no task."""
    protocol = protocol or EchoProtocol()
    journal, stop, times = Journal(protocol), asyncio.Event(), itertools.count(1)
    before = asyncio.all_tasks()
    endpoint = Endpoint("echo", url, "http://rest.test", protocol, heartbeats=HEARTBEATS)
    options = {"rng": random.Random(1), "pause": Pauses(), "tick_s": 0.02, **options}
    task = asyncio.create_task(connection.run(endpoint, journal, NoRest(), times.__next__, stop, **options))
    try:
        async with asyncio.timeout(60):
            yield journal
        stop.set()
        async with asyncio.timeout(60):
            await task
        leftover = {other for other in asyncio.all_tasks() - before - {task} if "connection.run" in repr(other)}
        assert not leftover
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def keep_open(socket: ServerConnection) -> None:
    await socket.wait_closed()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_frames_go_in_as_bytes_in_order_and_out_as_the_protocol_says() -> None:
    received: list[str | bytes] = []

    async def venue(socket: ServerConnection) -> None:
        received.append(await socket.recv())
        await socket.send("hello?")
        received.append(await socket.recv())
        for number in range(20):
            await socket.send(f"{number}")
        await keep_open(socket)

    async with server(venue) as url, running(url) as journal:
        frames = await journal.until("frame", 21)
    assert received == ["subscribe", "hello!"]
    assert frames == [b"hello?", *(str(number).encode() for number in range(20))]
    records = [record for record in journal.records if record[0] != "timer"]  # which runs before a socket is open too
    assert records[0] == ("connected", "echo")
    assert records[-1] == ("lost", "stopped")


async def test_an_answer_goes_through_the_intake_and_its_echo_to_the_socket() -> None:
    echo = asyncio.get_running_loop().create_future()

    async def venue(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("ask")
        echo.set_result(await socket.recv())
        await keep_open(socket)

    async with server(venue) as url, running(url) as journal:
        assert await journal.until("response") == [("tag", b"http://rest.test/path")]
        assert await echo == "tag=http://rest.test/path"


@in_virtual_time
async def test_a_slow_call_does_not_hold_those_after_it_and_at_most_eight_run_at_once() -> None:
    started: list[str] = []
    answered: list[str] = []
    errors: list[Exception] = []

    class SlowRest(NoRest):
        async def get(self, base: str, call: RestCall) -> bytes:
            started.append(call.tag)
            await asyncio.sleep(30.0 if call.tag.startswith("slow") else 0.1)
            return b"x"

    runner = CallRunner(SlowRest(), "http://rest.test", lambda tag, _: answered.append(tag), errors.append)
    task = asyncio.create_task(runner.run())
    for tag in ("slow", "a", "b"):
        assert runner.enqueue(RestCall(tag, "/path"))
    await asyncio.sleep(2.5)
    assert answered == ["a", "b"]
    for number in range(20):
        runner.enqueue(RestCall(f"slow {number}", "/path"))
    await asyncio.sleep(20.0)
    assert len(started) == 3 + 7
    runner.drop_calls()
    await asyncio.sleep(60.0)
    assert (answered, errors) == (["a", "b"], [])
    await cancel_and_wait(task)
    await runner.close()


async def test_after_a_loss_it_connects_and_subscribes_again() -> None:
    subscriptions = 0

    async def venue(socket: ServerConnection) -> None:
        nonlocal subscriptions
        subscriptions += await socket.recv() == "subscribe"
        await socket.send(DATA.decode())
        await socket.close(4000, "heartbeat close")

    async with server(venue) as url, running(url) as journal:
        await journal.until("connected", 3)
        reasons = await journal.until("lost", 2)
    assert subscriptions >= 2
    assert reasons[0] == "closed by the venue (4000: heartbeat close); next try in 1 s"


async def test_the_wait_grows_while_no_data_come_and_starts_over_when_they_do() -> None:
    connections = itertools.count()

    async def venue(socket: ServerConnection) -> None:
        if next(connections) == 6:
            await socket.send(DATA.decode())
        await socket.close(1001)

    pauses = Pauses()
    async with server(venue) as url, running(url, pause=pauses, rng=LongestDelays()) as journal:
        await journal.until("lost", 9)
    assert pauses.seconds[:9] == [1, 2, 4, 8, 16, 30, 1, 2, 4]


async def test_acknowledgements_and_heartbeats_are_no_reason_to_start_over() -> None:
    async def venue(socket: ServerConnection) -> None:
        await socket.send('{"jsonrpc":"2.0","id":1,"result":[],"usIn":1,"usOut":2}')
        await socket.close(1001)

    pauses = Pauses()
    async with server(venue) as url, running(url, pause=pauses, rng=LongestDelays()) as journal:
        await journal.until("lost", 3)
    assert pauses.seconds[:3] == [1, 2, 4]


async def test_a_refused_connection_is_told_with_the_next_try() -> None:
    async with running(f"ws://127.0.0.1:{free_port()}") as journal:
        (reason, *_) = await journal.until("lost")
    assert reason == "connection refused; next try in 1 s"
    assert journal.values_of("connected") == []


async def test_silence_after_connecting_and_silence_later_both_end_the_connection() -> None:
    connections = itertools.count()

    async def venue(socket: ServerConnection) -> None:
        if next(connections):
            await socket.send(DATA.decode())
        await keep_open(socket)

    protocol = EchoProtocol(Timeouts(first_data_s=0.1, max_silence_s=0.2))
    async with server(venue) as url, running(url, protocol) as journal:
        first, second, *_ = await journal.until("lost", 2)
    assert first.startswith("no data for 0 s after connecting")
    assert second.startswith("no data for 0 s; next try")


async def test_heartbeats_do_not_count_as_data() -> None:
    async def venue(socket: ServerConnection) -> None:
        while True:
            await socket.send('{"method":"heartbeat","params":{"type":"heartbeat"}}')
            await asyncio.sleep(0.02)

    protocol = EchoProtocol(Timeouts(first_data_s=0.15, max_silence_s=9))
    async with server(venue) as url, running(url, protocol) as journal:
        await journal.until("lost")
    assert len(journal.values_of("frame")) > 1


async def test_the_protocols_timer_runs() -> None:
    protocol = EchoProtocol()
    async with server(keep_open) as url, running(url, protocol):
        async with asyncio.timeout(2):
            while protocol.ticks < 3:
                await asyncio.sleep(0.005)


async def test_a_frame_larger_than_the_librarys_limit_is_taken() -> None:
    async def venue(socket: ServerConnection) -> None:
        await socket.send("x" * 3_000_000)
        await keep_open(socket)

    async with server(venue) as url, running(url) as journal:
        (frame,) = await journal.until("frame")
    assert len(frame) == 3_000_000


async def test_compression_is_offered() -> None:
    extensions = asyncio.get_running_loop().create_future()

    async def venue(socket: ServerConnection) -> None:
        assert socket.request is not None
        extensions.set_result(socket.request.headers.get("Sec-WebSocket-Extensions", ""))
        await keep_open(socket)

    async with server(venue) as url, running(url, transport=open_websockets):
        assert "permessage-deflate" in await extensions


async def test_stop_ends_a_long_pause_at_once() -> None:
    async with running(f"ws://127.0.0.1:{free_port()}", pause=wait_until_set, rng=random.Random(3)) as journal:
        await journal.until("lost", 1)


async def test_stop_does_not_wait_for_a_venue_that_does_not_say_goodbye() -> None:
    async def never_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = websockets.utils.accept_key(key.split(b":")[1].strip().decode())
        head = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        writer.write(f"{head}{accept}\r\n\r\n".encode())
        await reader.read(-1)
        writer.close()

    listening = await asyncio.start_server(never_closes, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        async with running(f"ws://127.0.0.1:{port}") as journal:
            await journal.until("connected")


async def test_an_error_of_the_intake_is_not_taken_for_a_loss() -> None:
    async def venue(socket: ServerConnection) -> None:
        await socket.send(DATA.decode())
        await keep_open(socket)

    class Broken(Journal):
        def frame(self, source: str, recv_ns: int, frame: bytes) -> None:
            raise ZeroDivisionError

    protocol = EchoProtocol()
    async with server(venue) as url:
        endpoint = Endpoint("echo", url, "", protocol)
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(60):
                await connection.run(endpoint, Broken(protocol), NoRest(), lambda: 1, asyncio.Event())


async def test_a_cancelled_runner_leaves_nothing_behind() -> None:
    protocol = EchoProtocol()
    journal = Journal(protocol)
    async with server(keep_open) as url:
        endpoint = Endpoint("echo", url, "", protocol)
        before = asyncio.all_tasks()
        task = asyncio.create_task(connection.run(endpoint, journal, NoRest(), lambda: 1, asyncio.Event()))
        async with asyncio.timeout(60):
            await journal.until("connected")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        leftover = {other for other in asyncio.all_tasks() - before if "dfmon/venues/connection.py" in repr(other)}
        assert not leftover


def test_reasons_are_words() -> None:
    assert describe_loss(TimeoutError()) == "no response within 10 s"
    assert describe_loss(OSError(113, "No route to host")) == "no route to host"
    assert (
        describe_loss(socket.gaierror(-2, "Name or service not known")) == "name not found: name or service not known"
    )
    assert (
        describe_loss(OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"))
        == "connection refused"
    )
    assert describe_loss(websockets.ConnectionClosedError(None, None)) == "connection broken off"
    bad = websockets.frames.Close(4000, "a\x1b[2J")
    assert describe_loss(websockets.ConnectionClosedError(bad, None)) == "closed by the venue (4000: a?[2J)"


# ---- a new socket before the old one ends ----------------------------------------------------------------------------


class Announced(EchoProtocol):
    """Prints begin with `p`; `bye` announces the end, and a connection is settled when it has heard `values_of`."""

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self.closing_reason, self.subscribed = "", False
        return super().connection_made(now_ns)

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        if frame == b"bye":
            self.closing_reason = "an upgrade"
        if frame == b"all":
            self.subscribed = True
        return super().frame_received(frame)

    def classify(self, frame: bytes) -> tuple[DropPolicy, str]:
        return (DropPolicy.PRINT if frame.startswith(b"p") else DropPolicy.CONFLATE), "x"


async def test_an_announced_end_is_survived_without_a_loss_and_prints_of_both_sockets_are_heard() -> None:
    connections, release = itertools.count(), asyncio.Event()
    closed = asyncio.get_running_loop().create_future()

    async def venue(socket: ServerConnection) -> None:
        if next(connections) == 0:
            await socket.send("bye")
            await release.wait()
            await socket.send("p old")
            await socket.send("state of the old")
            await socket.send("p old again")
            await socket.wait_closed()
            closed.set_result(True)
        else:
            await socket.recv()
            await socket.send("p new")
            release.set()
            await all_received.wait()
            await socket.send("all")
            await keep_open(socket)

    all_received = asyncio.Event()
    async with server(venue) as url, running(url, Announced()) as journal:
        await journal.until("frame", 4)
        all_received.set()
        await closed
        assert journal.values_of("lost") == []
        assert len(journal.values_of("connected")) == 2
        assert sorted(journal.values_of("frame")) == [b"all", b"bye", b"p new", b"p old", b"p old again"]


async def test_a_connection_is_replaced_before_its_venue_would_end_it() -> None:
    connections = itertools.count()

    async def venue(socket: ServerConnection) -> None:
        next(connections)
        await socket.send("all")
        await keep_open(socket)

    async with server(venue) as url, running(url, Announced(Timeouts(max_age_s=0.1))) as journal:
        await journal.until("connected", 4)
        assert journal.values_of("lost") == []


async def test_where_no_new_socket_is_to_be_had_the_old_one_serves_to_its_end(transport: Opener) -> None:
    connections = itertools.count()

    async def venue(socket: ServerConnection) -> None:
        if next(connections) == 0:
            await socket.send("bye")
            for number in range(50):
                await socket.send(f"p {number}")
                await asyncio.sleep(0.005)
            await socket.close(1012, "service restart")
        else:
            await socket.close(1013)

    async def refusing(url: str, headers: Headers, on_frame: FrameHandler) -> Socket:
        if next(attempts) == 1:
            raise OSError(111, "Connection refused")
        return await transport(url, headers, on_frame)

    attempts = itertools.count()
    async with server(venue) as url, running(url, Announced(), transport=refusing) as journal:
        (reason,) = (await journal.until("lost"))[:1]
    assert reason.startswith("closed by the venue (1012: service restart)")
    assert [frame for frame in journal.values_of("frame") if frame.startswith(b"p")] == [b"p %d" % n for n in range(50)]


async def test_a_channel_that_stays_silent_ends_the_connection_in_its_words() -> None:
    protocol = EchoProtocol()
    protocol.failure_reason = "index silent for 20 s"
    async with server(keep_open) as url, running(url, protocol) as journal:
        (reason, *_) = await journal.until("lost")
    assert reason == "index silent for 20 s; next try in 1 s"


async def test_timer_and_rest_go_on_without_a_socket_and_rest_troubles_are_told() -> None:
    protocol = EchoProtocol()
    protocol._calls.append(RestCall("poll", "/p"))
    stop, rest, times = asyncio.Event(), NoRest(), itertools.count(1)
    rest.errors["rest.test"] = "HTTP 503: unavailable"
    journal = Journal(protocol)
    endpoint = Endpoint("echo", f"ws://127.0.0.1:{free_port()}", "http://rest.test", protocol)
    run_coroutine = connection.run(endpoint, journal, rest, times.__next__, stop, tick_s=0.02, pause=Pauses())
    task = asyncio.create_task(run_coroutine)
    async with asyncio.timeout(60):
        assert await journal.until("response") == [("poll", b"http://rest.test/p")]
        assert (await journal.until("timer"))[0] == "REST: HTTP 503: unavailable"
        stop.set()
        await task


@pytest.mark.parametrize("abrupt", [True, False])
async def test_a_venue_that_hangs_up_before_the_handshake_is_no_connection(abrupt: bool) -> None:
    async def close_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not abrupt:
            await reader.read(100)
        (writer.transport.abort if abrupt else writer.close)()

    listening = await asyncio.start_server(close_early, "127.0.0.1", 0)
    async with listening, running(f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}") as journal:
        reasons = await journal.until("lost", 3)
    assert journal.values_of("connected") == []
    assert {reason.partition(";")[0] for reason in reasons} <= {
        "no websocket there: did not receive a valid HTTP response",
        "connection broken off",
    }
