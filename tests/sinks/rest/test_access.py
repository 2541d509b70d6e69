"""Who may ask the REST service: tokens, addresses, hosts, and HEAD."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import httpx
import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.sinks.rest.rest_service import RestService, create_app
from dfmon.sinks.rest.settings import RestSettings
from tests.sinks.conftest import Run
from tests.sinks.factory import snapshot, wait_until

TOKEN = "a-token-of-some-length"
PATHS = ("/healthz", "/readyz", "/metrics", "/docs", "/v1/snapshot", "/v1/snapshots", "/openapi.json")


@pytest.fixture
async def client(hub: SnapshotHub, run: Run) -> AsyncIterator[httpx.AsyncClient]:
    hub.publish(snapshot(1))
    service = RestService(port=0)
    run(service)
    await wait_until(lambda: service.progress.state == "serving")
    async with httpx.AsyncClient(base_url=service.url, timeout=5, trust_env=False, verify=False) as http_client:
        yield http_client


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_a_body(client: httpx.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    changing = dict.fromkeys(("date", "content-length"), "")  # the age of a snapshot is in the body of /healthz
    assert dict(head.headers) | changing == dict(get.headers) | changing


async def test_head_of_a_stream_ends(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(4):
        response = await client.head("/v1/stream")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_nothing_else_is_allowed(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/v1/snapshot")).status_code == 405


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/snapshot", "/v1/snapshots", "/v1/stream", "/openapi.json", "/nothing"])
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"bearer {TOKEN}x"])
async def test_without_the_token_nothing_is_told(hub: SnapshotHub, path: str, authorization: str | None) -> None:
    hub.publish(snapshot(1))
    headers = {} if authorization is None else {"Authorization": authorization}
    transport = httpx.ASGITransport(app=create_app(hub, host="0.0.0.0", settings=RestSettings(TOKEN)))
    async with httpx.AsyncClient(transport=transport, base_url="http://monitor.example", headers=headers) as client:
        response = await client.get(path)
        assert (response.status_code, response.headers["www-authenticate"][:7]) == (401, "Bearer,")
        assert response.text == "A token is needed: send the header Authorization: Bearer TOKEN.\n"
        assert (await client.get("/healthz")).json() == {"status": "ok"}  # for probes


async def test_with_the_token_any_host_will_do(hub: SnapshotHub) -> None:
    """A page of another site may have its name resolve to this address, but does not know the token."""
    hub.publish(snapshot(1))
    transport = httpx.ASGITransport(app=create_app(hub, host="0.0.0.0", settings=RestSettings(TOKEN)))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for host in ("10.0.0.5:8765", "monitor.example", "localhost"):
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers) as client:
            assert (await client.get("/v1/snapshot")).status_code == 200
            assert "underlyings" in (await client.get("/healthz")).json()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]"])
def test_beyond_loopback_it_takes_a_token(host: str) -> None:
    message = r"REST: other machines reach .*:0, which takes a token: set DFMON_PUBLISH_REST_TOKEN or .*rest_token_file"
    with pytest.raises(UsageError, match=message):
        RestService(host, 0).bind()
    service = RestService(host, 0, settings=RestSettings(TOKEN))
    service.bind()
    assert service._socket is not None
    service._socket.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "localhost", "::1"])
def test_on_loopback_it_takes_none(host: str) -> None:
    service = RestService(host, 0)
    service.bind()
    assert service._socket is not None
    service._socket.close()


@pytest.mark.parametrize("token", ["short", "x" * 15, "sixteen letters and spaces", "x" * 16 + "\n", "ü" * 20])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="16 ASCII letters or more") as caught:
        RestSettings(token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("credentials", "code"),
    [(f":{TOKEN}", 200), (f"desk:{TOKEN}", 200), (f"{TOKEN}:", 401), (TOKEN, 401), (f":{TOKEN}x", 401), (":ü", 401)],
)
async def test_the_token_may_be_the_password_of_a_browser(hub: SnapshotHub, credentials: str, code: int) -> None:
    hub.publish(snapshot(1))
    transport = httpx.ASGITransport(app=create_app(hub, host="0.0.0.0", settings=RestSettings(TOKEN)))
    headers = {"Authorization": f"basic {base64.b64encode(credentials.encode()).decode()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://monitor.example", headers=headers) as client:
        assert (await client.get("/docs")).status_code == code


@pytest.mark.parametrize(
    ("settings", "host", "code"),
    [
        (RestSettings(hosts=("Desk.example",)), "desk.example:8765", 200),
        (RestSettings(hosts=("desk.example",)), "evil.example", 421),
        (RestSettings(TOKEN, hosts=("desk.example",)), "desk.example", 200),
        (RestSettings(TOKEN, hosts=("desk.example",)), "evil.example", 421),
    ],
)
async def test_names_of_the_machine_are_a_setting(
    hub: SnapshotHub, settings: RestSettings, host: str, code: int
) -> None:
    hub.publish(snapshot(1))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    transport = httpx.ASGITransport(app=create_app(hub, settings=settings))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers) as client:
        assert (await client.get("/v1/snapshot")).status_code == code


async def test_pages_of_an_allowed_origin_may_read(hub: SnapshotHub) -> None:
    hub.publish(snapshot(1))
    settings = RestSettings(TOKEN, origins=("https://desk.example",))
    transport = httpx.ASGITransport(app=create_app(hub, settings=settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        question = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        for origin, allowed in (("https://desk.example", "https://desk.example"), ("https://evil.example", None)):
            asked = await client.options("/v1/snapshot", headers={"Origin": origin, **question})  # without the token
            assert asked.headers.get("access-control-allow-origin") == allowed
            headers = {"Origin": origin, "Authorization": f"Bearer {TOKEN}"}
            read = await client.get("/v1/snapshot", headers=headers)
            assert read.headers.get("access-control-allow-origin") == allowed
