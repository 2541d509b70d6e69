"""`/metrics` read by Prometheus' own parser, beside the snapshot; and readiness."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from dfmon.engine.hub import Runtime, SnapshotHub
from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import FlowSnapshot
from tests.sinks.factory import metrics, snapshot

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(client: httpx.AsyncClient) -> Samples:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = list(parse_text(response.text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def sample(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"dfmon_{name}", frozenset(labels.items())))


async def test_every_number_of_the_snapshot_is_a_sample(published: FlowSnapshot, client: httpx.AsyncClient) -> None:
    samples = await scrape(client)
    name = published.underlying
    for metric, spec in METRICS.items():
        for bound in ("value", "lo", "hi"):
            expected = getattr(getattr(published.metrics, metric), bound)
            found = sample(samples, "metric", underlying=name, metric=metric, unit=spec.unit, bound=bound)
            assert found == (None if expected is None else pytest.approx(expected))
    assert sample(samples, "spot_usd", underlying=name) == published.spot
    assert sample(samples, "flip_usd", underlying=name, bound="value") == published.flip.level
    assert sample(samples, "scenario_bucket", underlying=name) == published.scenario.bucket
    assert sample(samples, "stale", underlying=name) == float(published.state == "stale")


async def test_a_missing_number_has_no_sample(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.publish(msgspec.structs.replace(snapshot(1), metrics=metrics(None), spot=None))
    samples = await scrape(client)
    assert sample(samples, "spot_usd", underlying="BTC") is None
    assert not [labels for name, labels in samples if name == "dfmon_metric" and ("metric", "ngi") in labels]


async def test_process_feeds_outputs_and_requests_are_counted(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.runtime = Runtime(overruns=3, step_ms=8.5, shed_frames=(("depth", 7),), degraded=("feed okx: down",))
    hub.publish(snapshot(1))
    for path in ("/v1/snapshot", "/v1/snapshot", "/nothing"):
        await client.get(path)
    await client.get("/v1/snapshot", headers={"Host": "evil.example"})
    samples = await scrape(client)
    assert sample(samples, "overruns_total") == 3.0
    assert sample(samples, "step_seconds") == pytest.approx(0.0085)
    assert sample(samples, "shed_frames_total", kind="depth") == 7.0
    assert sample(samples, "degraded") == 1.0
    assert [sample(samples, f"sink_{each}", sink="redis") for each in ("sent_total", "dropped_total", "up")] == [
        3,
        1,
        0,
    ]
    assert [sample(samples, "rest_requests_total", code=code) for code in ("200", "404", "421")] == [2, 1, 1]
    assert sample(samples, "rest_refused_total", reason="host") == 1.0
    feed = snapshot(1).feeds[0]
    assert sample(samples, "feed_frames_total", feed=feed.name) == feed.frames


async def test_openmetrics_is_spoken_where_it_is_accepted(published: FlowSnapshot, client: httpx.AsyncClient) -> None:
    response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert "dfmon_spot_usd" in {family.name for family in parse_openmetrics(response.text)}  # type: ignore[no-untyped-call]


async def test_ready_is_when_every_underlying_is_fresh(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    async def state() -> tuple[int, dict[str, object]]:
        response = await client.get("/readyz")
        return response.status_code, response.json()

    assert await state() == (503, {"status": "not ready", "reasons": ["no snapshot yet: dfmon is starting"]})
    hub.publish(snapshot(1))
    assert await state() == (200, {"status": "ready", "reasons": []})
    hub.publish(msgspec.structs.replace(snapshot(1, "ETH", state="stale"), freshness=None))
    assert await state() == (503, {"status": "not ready", "reasons": ["ETH: stale inputs"]})
    assert (await client.get("/healthz")).status_code == 200
