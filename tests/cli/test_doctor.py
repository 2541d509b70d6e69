"""The doctor against loopback servers that fail in known ways, and against the simulated exchange."""

import asyncio
import importlib.util
import json
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from dfmon.cli import demo
from dfmon.cli.doctor import feeds, machine
from dfmon.cli.doctor import run as doctor
from dfmon.cli.doctor.findings import Finding, State, as_json, as_text, failure, healthy, note, ok
from dfmon.cli.doctor.positions import check_signs, sign_finding
from dfmon.config import Config
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.model.units import MILLISECOND
from dfmon.sim.server import SimConfig, SimServer
from dfmon.venues import registry
from dfmon.venues.backoff import ConnectLimiter
from dfmon.venues.rest.client import RestClient
from dfmon.venues.spec import Address
from tests.memory_transport import MemoryTransport
from tests.venues.venue_golden import NOW, goldens

pytestmark = pytest.mark.slow


Handler = Callable[[ServerConnection], Awaitable[None]]
REST = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def short_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PROBE_S", 1.2)
    monkeypatch.setattr(feeds, "_MIN_PROBE_S", 0.3)


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def check_source(url: str, source: str = "deribit") -> Finding:
    endpoint = registry.endpoint(source, ["BTC"], Address(url, REST))

    def not_found(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404)

    async with RestClient(transport=MemoryTransport(not_found)) as rest, asyncio.timeout(60):
        return await feeds.check_feed(endpoint, rest, ConnectLimiter())


async def never_sends(venue: ServerConnection) -> None:
    await venue.wait_closed()


async def garbage(venue: ServerConnection) -> None:
    for _ in range(20):
        await venue.send('{"params": [[[')
    await venue.wait_closed()


async def close_at_once(venue: ServerConnection) -> None:
    await venue.close(1008, "go away")


async def close_after_data(venue: ServerConnection) -> None:
    await venue.send(index())
    await venue.close(4000, "heartbeat close")


def index() -> str:
    data = {"timestamp": time.time_ns() // 10**6, "price": 90_000.0, "index_name": "btc_usd"}
    return json.dumps({"method": "subscription", "params": {"channel": "deribit_price_index.btc_usd", "data": data}})


async def refuse_marks(venue: ServerConnection) -> None:
    """Accepts every channel but the marks."""
    async for text in venue:
        request = json.loads(text)
        if request["method"] == "public/subscribe":
            accepted = [name for name in request["params"]["channels"] if "markprice" not in name]
            await venue.send(json.dumps({"id": request["id"], "result": accepted}))
            await venue.send(index())


async def under_maintenance(venue: ServerConnection) -> None:
    async for text in venue:
        request = json.loads(text)
        if request["method"] == "public/subscribe":
            await venue.send(json.dumps({"id": request["id"], "result": request["params"]["channels"]}))
            data = {"maintenance": True}
            push = {"method": "subscription", "params": {"channel": "platform_state", "data": data}}
            await venue.send(json.dumps(push))
            await venue.send(index())


@pytest.mark.parametrize(
    ("handler", "source", "words"),
    [
        (never_sends, "deribit", "connected, but no data within 1 s"),
        (never_sends, "binance.market", "the address the one with the routes /public and /market?"),
        (garbage, "deribit", "connected, but none of its 20 frames could be understood"),
        (close_at_once, "okx", "connected, then closed by the venue (1008: go away), before any data"),
        (close_after_data, "deribit", "then closed by the venue (4000: heartbeat close)"),
        (refuse_marks, "deribit", "not accepted: markprice.options.btc_usd"),
        (under_maintenance, "deribit", "the venue says: maintenance"),
    ],
)
async def test_what_is_wrong_with_a_connection_is_said(handler: Handler, source: str, words: str) -> None:
    async with server(handler) as url:
        finding = await check_source(url, source)
    assert finding.state is State.FAILED
    assert words in finding.words


async def test_a_port_where_nobody_listens_and_a_name_that_is_none_are_said() -> None:
    port = free_port()
    refused = await check_source(f"ws://127.0.0.1:{port}")
    assert refused == failure("feeds deribit", f"127.0.0.1:{port}: connection refused")


async def test_a_name_that_is_not_found_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def name_error(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", name_error)
    assert await feeds.unreachable_reason("wss://nowhere.invalid/ws") == "name not found: name or service not known"


async def test_a_resolver_that_does_not_answer_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow_resolver(*_: object, **__: object) -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

    monkeypatch.setattr(socket, "getaddrinfo", slow_resolver)
    monkeypatch.setattr(feeds, "_STEP_TIMEOUT_S", 0.05)
    assert (await feeds.unreachable_reason("wss://slow.invalid")).startswith(
        "name not found: the resolver did not respond"
    )
    release.set()
    await asyncio.sleep(0)


async def test_plain_text_where_tls_is_spoken_is_said() -> None:
    async def plain_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(plain_text, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        assert (await feeds.unreachable_reason(f"wss://127.0.0.1:{port}")).startswith("TLS failed: ")


async def test_what_is_no_websocket_is_said() -> None:
    async def http_429(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(http_429, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        finding = await check_source(f"ws://127.0.0.1:{port}")
    assert finding.words == f"127.0.0.1:{port}: HTTP 429: too many connections or requests"


# ---- REST and the clock ----------------------------------------------------------------------------------------------


async def check_rest_with(
    respond: Callable[[], httpx.Response], monkeypatch: pytest.MonkeyPatch, name: str
) -> list[Finding]:
    async def reachable(_: str) -> str:
        return ""

    monkeypatch.setattr(feeds, "unreachable_reason", reachable)
    return await feeds.check_rest(name, "https://venue.test", MemoryTransport(lambda _: respond()))


@pytest.mark.parametrize("ahead_s", [-7.0, -0.6, 0.0, 0.2, 0.6, 3600.0])
@pytest.mark.parametrize(
    ("name", "reply_shape"),
    [
        ("binance.spot", lambda ms: {"serverTime": ms}),
        ("okx", lambda ms: {"code": "0", "data": [{"ts": str(ms)}]}),
    ],
)
async def test_a_wrong_clock_is_found_and_by_how_much(
    name: str, reply_shape: Callable[[int], object], ahead_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond() -> httpx.Response:
        return httpx.Response(200, json=reply_shape(int(time.time() * 1e3 - ahead_s * 1e3)))

    rest, clock = await check_rest_with(respond, monkeypatch, name)
    assert rest.state is State.OK
    assert clock.state is (State.FAILED if abs(ahead_s) > 0.5 else State.OK), clock.words
    if abs(ahead_s) > 0.5:
        assert ("ahead of" if ahead_s > 0 else "behind") in clock.words
        assert clock.words.endswith("set the clock, by NTP for instance")


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (httpx.Response(429, headers={"Retry-After": "30"}), "HTTP 429: too many requests; next call in 30 s"),
        (httpx.Response(503), "HTTP 503: unavailable; next call in 5 s"),
        (httpx.Response(200, content=b"<html>\x1b[2J"), "responds, but not with its time: <html>?[2J"),
        (httpx.Response(200, content=b"\xff\xfe"), "responds, but not with its time"),
        (httpx.Response(200, content=b'{"result": "soon"}'), "responds, but not with its time"),
        (httpx.Response(200, content=b"[" * 5000), "responds, but not with its time"),
    ],
)
async def test_what_is_wrong_with_rest_is_said(
    response: httpx.Response, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finding,) = await check_rest_with(lambda: response, monkeypatch, "deribit")
    assert finding.state is State.FAILED
    assert words in finding.words


@pytest.mark.parametrize(("used", "state"), [("40", State.OK), ("5900", State.FAILED)])
async def test_the_weight_that_binance_has_counted_is_said(
    used: str, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond() -> httpx.Response:
        headers = {"X-MBX-USED-WEIGHT-1M": used}
        return httpx.Response(200, json={"serverTime": int(time.time() * 1e3)}, headers=headers)

    *_, limits = await check_rest_with(respond, monkeypatch, "binance.spot")
    assert (limits.about, limits.state) == ("limits binance.spot", state)


def test_an_address_is_shown_without_the_name_and_password_in_it() -> None:
    assert feeds._host("wss://user:secret@venue.test:8443/ws?key=secret") == "venue.test:8443"


async def test_locks_of_the_venue_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def respond() -> httpx.Response:
        return httpx.Response(200, json={"result": {"locked": "partial", "locked_indices": ["btc_usd"]}})

    status = registry.find_source("deribit")[0].status
    assert status is not None
    locked = failure("venue deribit", "locked by the venue: ['btc_usd']")
    assert feeds._check_status("deribit", status, respond().content) == locked
    assert feeds._check_status("deribit", status, b'{"result":{"locked":"false"}}').state is State.OK
    assert feeds._check_status("deribit", status, b"").state is State.FAILED


# ---- this machine ----------------------------------------------------------------------------------------------------


def test_a_folder_that_is_to_be_made_one_that_holds_something_and_one_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1" * 3_000_000)
    assert "writable, holds 2 MB" in machine.check_folder("disk", tmp_path).words
    assert "will be made" in machine.check_folder("disk", tmp_path / "a" / "b").words
    assert "is not a folder" in machine.check_folder("disk", tmp_path / "x" / "y").words


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=50 << 20))
    full_disk = machine.check_folder("disk", tmp_path)
    assert (full_disk.state, full_disk.words.endswith("50 MB free: the disk is almost full")) == (State.FAILED, True)
    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    assert machine.check_folder("disk", tmp_path).words.endswith("cannot be written: Read-only file system")


def test_a_missing_extra_is_a_note_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.test:1")
    findings = machine.check_environment()
    assert any("pip install 'dfmon[net]'" in finding.words for finding in findings)
    assert healthy(findings)
    assert "secret" not in as_text(findings)


# ---- all of it -------------------------------------------------------------------------------------------------------


def test_the_words_sum_up_and_the_json_holds_the_same() -> None:
    findings = [ok("a", "fine"), note("bb", "by the way"), failure("c", "broken")]
    assert as_text(findings).splitlines()[1:] == [
        "  ok     a   fine",
        "  note   bb  by the way",
        "  WRONG  c   broken",
        "one thing is wrong",
    ]
    body = json.loads(as_json(findings))
    assert body["healthy"] is False
    assert [finding["state"] for finding in body["findings"]] == ["ok", "note", "wrong"]


async def test_against_the_simulated_exchange_nothing_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PROBE_S", 8.0)
    exchange = SimServer(SimConfig(currencies=("BTC",), history=0.02))
    addresses = await exchange.start()
    try:
        base = Config()
        config = msgspec.structs.replace(
            base,
            market=msgspec.structs.replace(base.market, currencies=("BTC",)),
            history=msgspec.structs.replace(base.history, path=str(tmp_path / "h" / "history.sqlite")),
            record=msgspec.structs.replace(base.record, directory=str(tmp_path / "rec")),
        )
        findings = await doctor.diagnose(demo.with_sim_addresses(config, addresses))
    finally:
        await exchange.stop()
    assert healthy(findings), as_text(findings)
    about = {finding.about for finding in findings}
    assert {"feeds deribit", "feeds okx", "clock binance.spot", "venue deribit", "limits", "disk record"} <= about


async def test_offline_every_line_has_words_and_the_time_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name is found; and what hangs beyond the bound is named."""

    async def hang(*_: object) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    def name_error(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", name_error)
    base = Config()
    config = msgspec.structs.replace(base, history=msgspec.structs.replace(base.history, path=str(tmp_path / "h")))
    findings = await doctor.diagnose(config)
    failures = [finding for finding in findings if finding.state is State.FAILED]
    assert len(failures) == 9
    assert all("name not found: temporary failure" in finding.words for finding in failures)
    monkeypatch.setattr(feeds, "check_feed", hang)
    monkeypatch.setattr(doctor, "TIMEOUT_S", 0.1)
    findings = await doctor.diagnose(config)
    assert failure("feeds okx", "no result within 0 s") in findings


async def test_a_check_that_fails_itself_is_named_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise TypeError("no such field")

    monkeypatch.setattr(feeds, "check_feed", fail)
    monkeypatch.setattr(feeds, "check_rest", fail)
    findings = await doctor._check_venues(1.0, [registry.endpoint("okx", ["BTC"])], RestClient())
    assert [finding.words for finding in findings] == ["the check failed with TypeError('no such field')"] * 2


@pytest.mark.parametrize("golden_name", ["ticker without", "ticker asked"])
def test_the_venues_greeks_are_compared_with_ours(golden_name: str) -> None:
    endpoint = registry.endpoint("deribit", ["BTC"], Address("ws://127.0.0.1:9", REST))
    probe, session = feeds.FeedProbe(endpoint), goldens("deribit/session.jsonl")
    at_ns = NOW + 5_200 * MILLISECOND
    probe.connected("deribit", at_ns)
    probe.feed.reason = ""  # its subscriptions are not what this is about
    for golden in session[:3]:
        probe.response("deribit", at_ns, golden.tag, golden.body)
    sample = next(golden for golden in session if golden.name.startswith(golden_name))
    if sample.tag:  # the greeks of this one are made up
        probe.response("deribit", at_ns, sample.tag, sample.body)
    else:
        probe.frame("deribit", at_ns, sample.body)
    finding = feeds._verdict("feeds deribit", endpoint, probe)
    if sample.tag:
        assert finding.state is State.FAILED
        assert "the venue's greeks of 1 of 1 options are not ours: BTC-27NOV26-95000-C delta 0.41234" in finding.words
    else:
        assert finding.state is State.OK
        assert "greeks" not in finding.words


def test_sign_of_the_stored_positions_is_measured_decided_or_undecided(tmp_path: Path) -> None:
    assert sign_finding("BTC", OpeningRates()).state is State.NOTE
    assert "not measured yet" in sign_finding("BTC", OpeningRates()).words
    found = sign_finding("BTC", OpeningRates(slope=0.31, slope_error=0.02, signal=0.0144, signal_error=0.001))
    assert found.state is State.OK
    assert found.words == (
        "B 0.310 +- 0.020, signal 0.120 +- 0.004: open interest tells who opens and who closes; "
        "the sign rests on assumed class shares"
    )
    undecided = sign_finding("ETH", OpeningRates(slope=0.03, slope_error=0.02))
    assert (undecided.about, undecided.state) == ("sign ETH", State.NOTE)
    assert "undecided" in undecided.words
    config = msgspec.structs.replace(Config(), history=msgspec.structs.replace(Config().history, path=str(tmp_path)))
    assert "no positions stored yet" in check_signs(config)[0].words
