"""The REST service over a real uvicorn on a free port, asked by httpx."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import closing

import httpx
import msgspec
import pytest

import dfmon
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.freshness import Freshness, InputAge
from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from dfmon.sinks.base import SinkStatus
from dfmon.sinks.rest import health
from dfmon.sinks.rest.rest_service import RestService, create_app
from tests.sinks.conftest import Run
from tests.sinks.factory import snapshot, wait_until
from tests.sinks.rest.conftest import REDIS, Serve
from tests.structs import complete

pytestmark = pytest.mark.slow


async def events(response: httpx.Response) -> AsyncGenerator[FlowSnapshot]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield from_json(line.removeprefix("data: ").encode())


async def test_health_tells_starting_fresh_and_stale(
    hub: SnapshotHub, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await client.get("/healthz")
    assert first.status_code == 503
    assert first.json()["status"] == "starting"
    hub.publish(snapshot(1))
    hub.publish(snapshot(2, "ETH", state="stale"))
    fresh_response = await client.get("/healthz")
    assert fresh_response.status_code == 200
    body = fresh_response.json()
    assert (body["status"], body["version"]) == ("ok", dfmon.__version__)
    assert {name: row["state"] for name, row in body["underlyings"].items()} == {"BTC": "live", "ETH": "stale"}
    assert 0.0 <= body["underlyings"]["BTC"]["age_s"] < 5.0  # by arrival: the snapshot's own time may be a replay's
    assert body["sinks"] == [msgspec.to_builtins(REDIS)]
    monkeypatch.setattr(health, "MAX_AGE_S", -1.0)
    stale_response = await client.get("/healthz")
    assert (stale_response.status_code, stale_response.json()["status"]) == (503, "stale")


@pytest.mark.parametrize(
    ("age_s", "reason"), [(15.0, ""), (15.001, "no snapshot for 15 s"), (99.0, "no snapshot for 99 s")]
)
def test_an_underlying_is_stale_beyond_15_s_without_a_snapshot(age_s: float, reason: str) -> None:
    assert health.stale_reason(snapshot(1), age_s) == reason
    assert health.stale_reason(None, 0.0) == "no snapshot for 0 s"
    stale = msgspec.structs.replace(snapshot(1, state="stale"), freshness=None)
    assert health.stale_reason(stale, 15.0) == "stale inputs"


async def test_a_fault_of_a_route_is_logged_and_counted(hub: SnapshotHub, caplog: pytest.LogCaptureFixture) -> None:
    faults = [ZeroDivisionError("by hand")]

    def fails() -> tuple[SinkStatus, ...]:
        if faults:
            raise faults.pop()
        return ()

    hub.publish(snapshot(1))
    transport = httpx.ASGITransport(create_app(hub, fails), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await client.get("/healthz")
        metrics = (await client.get("/metrics")).text
    assert (response.status_code, response.json()) == (500, {"detail": "dfmon failed to respond; its log says why"})
    assert "rest: /healthz failed: ZeroDivisionError('by hand')" in caplog.text
    assert 'dfmon_rest_requests_total{code="500"} 1.0' in metrics


async def test_a_snapshot_is_the_bytes_of_the_model(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.mode = "sim"
    hub.publish(snapshot(1))
    hub.publish(snapshot(2, "ETH"))
    plain_response = await client.get("/v1/snapshot", params={"currency": "BTC"})
    assert plain_response.status_code == 200
    assert plain_response.headers["content-type"] == "application/json"
    assert plain_response.content == to_json(snapshot(1), "sim")
    assert (await client.get("/v1/snapshot")).content == plain_response.content
    detailed = await client.get("/v1/snapshot", params={"currency": "eth", "detail": "true"})
    assert detailed.content == to_json(snapshot(2, "ETH"), "sim", detail=True)
    all_snapshots = await client.get("/v1/snapshots")
    assert [each["underlying"] for each in all_snapshots.json()] == ["BTC", "ETH"]
    hub.publish(snapshot(3))
    assert from_json((await client.get("/v1/snapshot")).content).seq == 3


async def test_what_is_not_there_is_said_in_a_sentence(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    starting_response = await client.get("/v1/snapshot", params={"currency": "BTC"})
    assert (starting_response.status_code, starting_response.headers["retry-after"]) == (503, "2")
    assert (await client.get("/v1/snapshots")).json() == []
    hub.publish(snapshot(1, "ETH"))
    hub.publish(snapshot(1))
    for path in ("/v1/snapshot", "/v1/stream"):
        missing = await client.get(path, params={"currency": "XRP\x1b"})
        assert missing.status_code == 404
        assert missing.json() == {"detail": "No underlying 'XRP?' here; there is BTC, ETH."}


async def test_an_unchanged_snapshot_is_not_sent_twice(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.publish(snapshot(1))
    etag = (await client.get("/v1/snapshot")).headers["etag"]
    not_modified = await client.get("/v1/snapshot", headers={"If-None-Match": etag})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    detailed = await client.get("/v1/snapshot?detail=1", headers={"If-None-Match": etag})
    assert detailed.status_code == 200
    hub.publish(snapshot(2))
    assert (await client.get("/v1/snapshot", headers={"If-None-Match": etag})).status_code == 200


async def test_the_stream_gives_each_new_snapshot(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.publish(snapshot(1))
    async with client.stream("GET", "/v1/stream", params={"currency": "btc"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        received = events(response)
        assert (await anext(received)).seq == 1
        hub.publish(snapshot(5, "ETH"))
        hub.publish(snapshot(2))
        assert (await anext(received)).seq == 2
        hub.publish(snapshot(3))
        assert (await anext(received)).seq == 3
        await received.aclose()


async def test_a_slow_stream_client_gets_the_newest(
    hub: SnapshotHub, service: RestService, client: httpx.AsyncClient
) -> None:
    hub.publish(snapshot(0))
    async with client.stream("GET", "/v1/stream") as response:
        seq = 0
        async with asyncio.timeout(60):
            while service.progress.dropped < 5:
                seq += 1
                hub.publish(snapshot(seq, strikes=2000))
                if seq % 2:
                    await asyncio.sleep(0)
        last = seq + 1
        hub.publish(snapshot(last))
        seen = [0]
        async for each in events(response):
            seen.append(each.seq)
            if each.seq == last:
                break
    assert seen == sorted(seen)
    assert len(seen) < last


async def test_streams_end_with_the_service(
    hub: SnapshotHub, service: RestService, client: httpx.AsyncClient, stop: asyncio.Event
) -> None:
    hub.publish(snapshot(1))
    async with client.stream("GET", "/v1/stream") as response:
        received = events(response)
        await anext(received)
        stop.set()
        async with asyncio.timeout(4):
            assert [each async for each in received] == []
    await wait_until(lambda: service.progress.state == "off")


async def test_many_clients_at_once(hub: SnapshotHub, service: RestService) -> None:
    hub.publish(snapshot(1))
    expected = to_json(snapshot(1), "live")
    async with httpx.AsyncClient(base_url=service.url, timeout=8, trust_env=False, verify=False) as client:
        responses = await asyncio.gather(*(client.get("/v1/snapshot") for _ in range(60)))
    assert {response.content for response in responses} == {expected}
    assert service.status().sent >= 60


@pytest.mark.parametrize(
    ("host", "code"),
    [("localhost:{port}", 200), ("127.0.0.1", 200), ("[::1]:{port}", 200), ("LOCALHOST", 200)]
    + [(name, 421) for name in ("evil.example:{port}", "10.0.0.5", "127.0.0.1.evil.example", "", "localhost.evil")],
)
async def test_only_its_own_names_are_answered(
    hub: SnapshotHub, service: RestService, client: httpx.AsyncClient, host: str, code: int
) -> None:
    hub.publish(snapshot(1))
    response = await client.get("/v1/snapshot", headers={"Host": host.format(port=service.port)})
    assert response.status_code == code
    assert "access-control-allow-origin" not in response.headers


async def test_the_openapi_document_describes_the_snapshot(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    parts = {"profile", "heatmap", "positions", "scenario", "transitions", "alerts", "instruments", "history", "whatif"}
    assert set(document["paths"]) == {
        "/healthz", "/readyz", "/metrics", "/v1/snapshot", "/v1/snapshots", "/v1/stream", "/v1/explain/{metric}",
        "/v1/view/{screen}",
        *(f"/v1/{part}" for part in parts),
    }  # fmt: skip
    schema = document["paths"]["/v1/snapshot"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/FlowSnapshot"}
    schemas = document["components"]["schemas"]
    published = [name for name in FlowSnapshot.__struct_encode_fields__ if name != "views"]
    vss = schemas["Metrics"]["properties"]["vss"]
    assert vss["description"] == f"vanna: {METRICS['vss'].formula}. Unit USD/+1 vol pt. Sign: {METRICS['vss'].sign}."
    assert vss["examples"][0]["unit"] == "USD/+1 vol pt"
    assert list(schemas["FlowSnapshot"]["properties"]) == published
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(schemas)
    for path, operations in document["paths"].items():
        assert operations["get"]["responses"].keys() >= {"200"}, path
        assert operations["get"]["summary"]


async def test_a_busy_port_is_told_in_one_sentence() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(DfmonError, match=rf"127\.0\.0\.1:{port}.*in use") as caught:
            RestService(port=port).bind()
        assert caught.value.exit_code == 1


@pytest.mark.parametrize(("host", "port"), [("999.0.0.1", 8765), ("127.0.0.1", 70000)])
def test_an_impossible_address_is_a_usage_error(host: str, port: int) -> None:
    with pytest.raises(UsageError, match=re.escape(f"{host}:{port}")):
        RestService(host, port).bind()


async def test_a_busy_port_is_tried_again_when_supervised(run: Run) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        service = RestService(port=other.getsockname()[1])
        run(service)
        await wait_until(lambda: service.progress.state == "restarting")
        assert "in use" in service.status().note
    await wait_until(lambda: service.progress.state == "serving")


async def test_an_ipv6_address_may_be_written_as_in_a_url(hub: SnapshotHub, run: Run) -> None:
    hub.publish(snapshot(1))
    service = RestService("[::1]", 0)
    run(service)
    await wait_until(lambda: service.progress.state == "serving")
    assert service.url.startswith("http://[::1]:")
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        assert (await client.get(f"{service.url}/healthz")).status_code == 200


async def test_signals_stay_with_the_application(serve: Serve) -> None:
    before = signal.getsignal(signal.SIGTERM)
    await serve()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client", "fastapi_offline"])
def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"{package}.*pip install 'dfmon\[server\]'"):
        RestService()


async def test_health_names_the_input_that_is_too_old(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    old = InputAge(6.0, 5.0, False)
    freshness = complete(Freshness, spot=old, stale="spot 6 s old")
    await client.get("/healthz")
    hub.publish(msgspec.structs.replace(snapshot(1, state="stale"), freshness=freshness))
    response = await client.get("/healthz")
    assert (response.status_code, response.json()["underlyings"]["BTC"]["reason"]) == (503, "spot 6 s old")
    assert (await client.get("/v1/snapshot")).json()["freshness"]["spot"] == {
        "age_s": 6.0, "limit_s": 5.0, "fresh": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("/v1/snapshot?underlying=ETH", "unknown query name underlying, allowed: currency, detail"),
        ("/v1/snapshot?currency=BTC&currency=ETH", "currency is given 2 times, allowed: once"),
        ("/v1/snapshots?currency=BTC", "unknown query name currency, allowed: none"),
        ("/v1/stream?x%1b=1", "unknown query name x?, allowed: currency, detail, since, topics"),
        ("/healthz?verbose=1", "unknown query name verbose, allowed: none"),
    ],
)
async def test_a_query_that_would_be_ignored_is_refused(
    hub: SnapshotHub, client: httpx.AsyncClient, query: str, sentence: str
) -> None:
    hub.publish(snapshot(1))
    response = await client.get(query)
    assert (response.status_code, response.json()) == (422, {"detail": sentence})
