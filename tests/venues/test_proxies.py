"""Which proxy a URL takes, and that REST and both websocket transports go through it or name its fault."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from dfmon.model.errors import UsageError
from dfmon.venues import proxies
from dfmon.venues.protocol import RestCall
from dfmon.venues.proxies import environment_proxies, is_loopback, proxy_of
from dfmon.venues.rest.client import RestClient
from dfmon.venues.transport.base import Opener
from dfmon.venues.transport.errors import TRANSPORT_ERRORS, describe_loss
from dfmon.venues.transport.picows import open_picows
from dfmon.venues.transport.websockets import open_websockets
from tests.venues.forward_proxies import http_proxy, socks_proxy

CERTIFICATE = Path(__file__).parent / "venue_test.pem"  # signed by itself, with its key
OPENERS = pytest.mark.parametrize("opener", [open_websockets, open_picows], ids=["websockets", "picows"])


# ---- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://a.test/x", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://a.test/x", {"https_proxy": "http://p:3128", "HTTPS_PROXY": "http://q:1"}, "http://p:3128"),
        ("https://a.test/x", {"https_proxy": "", "HTTPS_PROXY": "http://q:1"}, None),
        ("https://a.test/x", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://a.test/x", {"HTTP_PROXY": "p:3128"}, "http://p:3128"),
        ("http://a.test/x", {"HTTP_PROXY": "http://p"}, "http://p:80"),
        ("https://a.test/x", {"ALL_PROXY": "socks://p/"}, "socks5://p:1080"),
        ("https://a.test/x", {"all_proxy": "socks5h://u:w@p:9"}, "socks5://u:w@p:9"),
        ("wss://a.test/x", {"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "socks5://q:2"}, "http://p:1"),
        ("wss://a.test/x", {"WSS_PROXY": "http://r:4", "HTTPS_PROXY": "http://p:1"}, "http://r:4"),
        ("wss://a.test/x", {"ALL_PROXY": "https://[::2]:2"}, "https://[::2]:2"),
        ("ws://a.test/x", {"HTTP_PROXY": "http://user@p:1"}, "http://user:@p:1"),
        ("https://127.0.0.1:9/x", {"ALL_PROXY": "nonsense://"}, None),
    ],
)
def test_proxy_of_a_url(url: str, environ: dict[str, str], expected: str | None) -> None:
    proxy = proxy_of(url, environ)
    assert (None if proxy is None else proxy.url) == expected


@pytest.mark.parametrize(
    ("listed", "url", "direct"),
    [
        ("a.test", "https://a.test", True),
        (".a.test", "https://b.a.test", True),
        ("*.a.test", "https://b.a.test", True),
        ("a.test", "https://b.a.test", True),
        ("a.test", "https://ba.test", False),
        ("x.test, A.TEST", "https://a.test", True),
        ("a.test:8443", "https://a.test:8443", True),
        ("a.test:8443", "https://a.test", False),
        ("a.test:443", "wss://a.test", True),
        ("10.0.0.0/8", "https://10.2.3.4", True),
        ("10.0.0.0/8", "https://11.2.3.4", False),
        ("10.0.0.0/8", "https://[2001::1]", False),
        ("2001::/16", "https://[2001::1]:9443", True),
        ("[2001::1]:9443", "https://[2001::1]:9443", True),
        ("*", "https://a.test", True),
        (".", "https://a.test", False),
        ("", "https://a.test", False),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(listed: str, url: str, *, direct: bool) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        assert (proxy_of(url, {"ALL_PROXY": "http://p:1", variable: listed}) is None) is direct


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("a.localhost", True), ("127.8.9.1", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True), ("128.0.0.1", False), ("localhost.test", False), ("::2", False), ("fe80::1%eth0", False),
    ],
)  # fmt: skip
def test_loopback_is_never_proxied(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("value", ["ftp://p:1", "http://", "socks6://p", "http://p:99999", "http://[::1", "http://p:x"])
def test_a_proxy_of_no_use_is_named_with_its_variable(value: str) -> None:
    with pytest.raises(UsageError, match=r"^ALL_PROXY is '.*', allowed: http://HOST:PORT, ") as raised:
        proxy_of("https://a.test", {"ALL_PROXY": value})
    assert raised.value.exit_code == 2


def test_a_password_is_never_in_a_message() -> None:
    environ = {"https_proxy": "http://user:hunter2@p:3128"}
    assert str(proxy_of("https://a.test", environ)) == "proxy http://p:3128 (https_proxy)"
    with pytest.raises(UsageError) as raised:
        proxy_of("https://a.test", {"HTTPS_PROXY": "ftp://user:hunter2@p:3128"})
    assert "hunter2" not in str(raised.value)


def test_socks_without_its_packages_is_a_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda _: None)
    with pytest.raises(
        UsageError, match=r"proxy socks5://p:1 \(ALL_PROXY\): SOCKS needs .*pip install 'dfmon\[socks\]"
    ):
        proxy_of("https://a.test", {"ALL_PROXY": "socks5://p:1"})


def test_every_proxy_of_the_environment_is_listed_once() -> None:
    environ = {"HTTP_PROXY": "http://p:1", "https_proxy": "http://q:2", "ALL_PROXY": "", "NO_PROXY": "x"}
    assert [str(proxy) for proxy in environment_proxies(environ)] == [
        "proxy http://p:1 (HTTP_PROXY)",
        "proxy http://q:2 (https_proxy)",
    ]


# ---- on the wire -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def venue(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that answers a GET with its path, and a websocket with one frame."""

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.wait_closed()

    def answer(connection: ServerConnection, request: Any) -> Any:
        if "Upgrade" in request.headers:
            return None
        return connection.respond(200, request.path)

    async with serve(greet, "127.0.0.1", 0, process_request=answer, ssl=tls) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def first_frame(opener: Opener, url: str) -> bytes:
    frames: asyncio.Queue[bytes] = asyncio.Queue(10)
    socket_ = await opener(url, (), frames.put_nowait)
    try:
        async with asyncio.timeout(60):
            return await frames.get()
    finally:
        await socket_.close()


@OPENERS
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_websocket_goes_through_the_proxy(opener: Opener, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make: Callable[..., Any] = http_proxy if scheme == "http" else socks_proxy
    async with venue() as port, make(port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        assert await first_frame(opener, "ws://venue.test:8080/feed") == b"hello"
        assert proxy.hosts == ["venue.test:8080"]
        assert await first_frame(opener, f"ws://127.0.0.1:{port}/feed") == b"hello"
        assert proxy.hosts == ["venue.test:8080"], "loopback is direct"


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_rest_goes_through_the_proxy(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make: Callable[..., Any] = http_proxy if scheme == "http" else socks_proxy
    async with venue() as port, make(port) as proxy, RestClient(pace_s=0.001) as rest:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        await rest.get("http://venue.test:8080", RestCall("t", "/time"))
        assert len(proxy.hosts) == 1
        assert "venue.test:8080" in proxy.hosts[0]
        assert await rest.get(f"http://127.0.0.1:{port}", RestCall("t", "/time")) == b"/time"
        assert len(proxy.hosts) == 1, "loopback is direct"


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """TLS of venue.test and 127.0.0.1, by a certificate that SSL_CERT_FILE names."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_tls_to_the_venue_goes_through_the_tunnel_of_any_proxy(
    scheme: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proxy_before(port: int) -> Any:
        return socks_proxy(port) if scheme == "socks5" else http_proxy(port, tls=tls if scheme == "https" else None)

    async with venue(tls) as port, proxy_before(port) as proxy, RestClient(pace_s=0.001) as rest:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        for opener in (open_websockets, open_picows):
            assert await first_frame(opener, "wss://venue.test/feed") == b"hello"
        assert await rest.get("https://venue.test", RestCall("t", "/time")) == b"/time"
        assert proxy.hosts == ["venue.test:443"] * 3, "the proxy sees the host and nothing else"
        assert not any("/feed" in head or "/time" in head for head in proxy.heads)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_certificate_of_the_venue_that_is_not_trusted_is_its_own_fault(
    scheme: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with venue(tls) as port, http_proxy(port, tls=tls if scheme == "https" else None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        for opener in (open_websockets, open_picows):
            reason = await loss(opener, "wss://other.test/feed")
            assert "certificate" in reason
            assert "proxy" not in reason


@OPENERS
async def test_a_proxy_gets_its_password_decoded(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with venue() as port, http_proxy(port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://desk:p%40ss@127.0.0.1:{proxy.port}")
        assert await first_frame(opener, "ws://venue.test/feed") == b"hello"
        assert "Basic ZGVzazpwQHNz" in proxy.heads[0]


async def loss(opener: Opener, url: str) -> str:
    with pytest.raises(TRANSPORT_ERRORS) as raised:
        await opener(url, (), lambda _: None)
    return describe_loss(raised.value)


async def rest_error(url: str) -> str:
    async with RestClient(pace_s=0.001) as rest:
        assert await rest.get(url, RestCall("t", "/time")) == b""
        return rest.errors["venue.test"]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_is_not_there_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{scheme}://127.0.0.1:{free_port()}"
    monkeypatch.setenv("ALL_PROXY", address)
    expected = f"proxy {address} (ALL_PROXY): connection refused"
    for opener in (open_websockets, open_picows):
        assert await loss(opener, "wss://venue.test/feed") == expected
    assert await rest_error("https://venue.test") == expected


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "it refuses the connection (HTTP 403)"),
        (407, "it asks for a user and a password (HTTP 407), as in http://USER:PASSWORD@HOST:PORT"),
        (502, "it cannot reach the host (HTTP 502)"),
    ],
)
async def test_a_refusal_of_the_proxy_is_its_own(status: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with http_proxy(9, status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        expected = f"proxy http://127.0.0.1:{proxy.port} (HTTPS_PROXY): {words}"
        for opener in (open_websockets, open_picows):
            assert await loss(opener, "wss://venue.test/feed") == expected
        assert await rest_error("https://venue.test") == expected


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # httpcore leaves its socket to the collector
async def test_a_refusal_of_a_socks_proxy_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with socks_proxy(9, reply=4) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        name = f"proxy socks5://127.0.0.1:{proxy.port} (ALL_PROXY): "
        for opener in (open_websockets, open_picows):
            assert (await loss(opener, "ws://venue.test/feed")).startswith(name)
        assert (await rest_error("http://venue.test")).startswith(name)
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # httpcore leaves the refused socket to the collector
