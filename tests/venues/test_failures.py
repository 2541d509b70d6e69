"""Sentences for a blocked venue and for certificates: what it means, and what to do."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from dfmon.model.errors import UsageError
from dfmon.venues import connection
from dfmon.venues.certificates import check_certificates, tls_context
from dfmon.venues.failures import advice, describe_http_status
from dfmon.venues.protocol import RestCall
from dfmon.venues.registry import endpoint
from dfmon.venues.rest.client import RestClient
from dfmon.venues.spec import Address
from dfmon.venues.transport.base import Opener
from dfmon.venues.transport.picows import open_picows
from dfmon.venues.transport.websockets import open_websockets

JSON = b'{"code":0,"msg":"Service unavailable from a restricted location according to b. Eligibility in our terms"}'


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (451, b'{"code":0,"msg":"Restricted"}', 'HTTP 451: not served from your place ("Restricted")'),
        (403, b"<html><head><title>403 Forbidden</title></head><body>x</body></html>", '("403 Forbidden")'),
        (403, b"<style>p{}</style><p>Access from <b>here</b> is denied", '("Access from here is denied")'),
        (403, b'{"error":{"message":"no \\"entry\\"\\u001b[2J"}}', "(\"no 'entry'?[2J\")"),
        (403, b"", "HTTP 403: not served from your place"),
        (451, b"\xff\xfe", "HTTP 451: not served from your place"),
        (500, b"{}", "HTTP 500"),
        (429, b"", "HTTP 429: too many connections or requests"),
    ],
)  # fmt: skip
def test_a_refused_request_says_what_it_means(status: int, body: bytes, expected: str) -> None:
    text = describe_http_status(status, body)
    assert expected in text
    assert len(text) <= 120
    assert text.isprintable()


def test_advice_names_the_key_only_where_the_venue_is_blocked() -> None:
    assert advice(describe_http_status(451, JSON), "binance") == "; to run without it: binance.enabled = false"
    assert advice("HTTP 500", "binance") == ""


@pytest.mark.parametrize("opener", [open_websockets, open_picows], ids=["websockets", "picows"])
async def test_a_blocked_websocket_says_so_in_the_venues_words(opener: Opener) -> None:
    def refuse(connection: ServerConnection, _: object) -> Any:
        return connection.respond(451, JSON.decode())

    reasons: list[str] = []
    stop = asyncio.Event()

    class Sink:
        def lost(self, source: str, recv_ns: int, reason: str) -> None:
            reasons.append(reason)
            stop.set()

        def connected(self, source: str, recv_ns: int) -> None: ...
        def frame(self, source: str, recv_ns: int, frame: bytes) -> None: ...
        def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None: ...
        def timer(self, source: str, now_ns: int, runner_note: str = "") -> None: ...

    async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        blocked = endpoint("okx", ("BTC",), Address(f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"))
        async with RestClient() as rest:
            await connection.run(blocked, Sink(), rest, lambda: 0, stop, rng=random.Random(1), transport=opener)
    expected = 'HTTP 451: not served from your place ("Service unavailable from a restricted location'
    assert reasons[0].startswith(expected)
    assert '"); to run without it: okx.enabled = false; next try in ' in reasons[0]
    assert len(reasons[0]) < 200, "no more is shown"


async def test_a_blocked_rest_call_says_so() -> None:
    reply = httpx.Response(403, stream=httpx.ByteStream(b"<title>Access denied</title>"))
    async with RestClient(transport=httpx.MockTransport(lambda _: reply)) as rest:
        assert await rest.get("https://venue.test", RestCall("t", "/x")) == b""
    assert rest.errors == {"venue.test": 'HTTP 403: not served from your place ("Access denied")'}


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_missing_certificates_are_named_with_variable_and_path(variable: str, tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    with pytest.raises(UsageError) as raised:
        tls_context({variable: str(path)})
    assert str(raised.value) == (
        f"{variable} is {path}: no such file or directory; allowed: a file of PEM certificates, or a folder of them, "
        "or unset"
    )
    path.write_text("nothing of the kind")
    with pytest.raises(UsageError, match=f"{variable} is .*none.pem: not a file of certificates; allowed"):
        check_certificates({variable: str(path)})


def test_certificates_are_those_of_the_environment_else_of_the_system(tmp_path: Path) -> None:
    check_certificates({})
    assert tls_context({}).verify_mode == tls_context({"SSL_CERT_FILE": ""}).verify_mode
    folder = tls_context({"SSL_CERT_DIR": str(tmp_path)})
    assert folder.cert_store_stats()["x509_ca"] == 0, "an empty folder trusts nobody"
    assert folder.check_hostname
