"""The Prometheus metrics of `/metrics`, read from the newest snapshots at each scrape."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import Feed, FlowSnapshot
from dfmon.sinks.rest.context import RestContext
from dfmon.version import __version__

_WORKING_STATES = frozenset({"sending", "serving", "writing", "running"})

Samples = Iterable[tuple[tuple[str, ...], float | None]]


def make_registry(context: RestContext) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(context))
    return registry


class SnapshotCollector(Collector):
    """The numbers of one service. A missing number has no sample, as there is no value for "unknown"."""

    def __init__(self, context: RestContext) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """All metrics, each with its samples."""
        hub = self._context.hub
        newest = [snapshot for name in hub.underlyings() if (snapshot := hub.latest(name)) is not None]
        yield InfoMetricFamily("dfmon", "the program", value={"version": __version__, "mode": hub.mode})
        yield from self._of_market(newest)
        yield from _of_feeds(newest[0].feeds if newest else ())
        yield from self._of_process()
        yield from self._of_requests()

    def _of_market(self, newest: list[FlowSnapshot]) -> Iterator[Metric]:
        now = time.monotonic()
        published_s = self._context.listener.published_at_s
        rows = [((snapshot.underlying,), snapshot) for snapshot in newest]
        yield _gauge("spot_usd", "spot, USD", ["underlying"], ((key, each.spot) for key, each in rows))
        yield _gauge(
            "metric",
            "a metric and its 5-95 % band",
            ["underlying", "metric", "unit", "bound"],
            (
                ((each.underlying, name, spec.unit, bound), getattr(getattr(each.metrics, name), bound))
                for each in newest
                for name, spec in METRICS.items()
                for bound in ("value", "lo", "hi")
            ),
        )
        yield _gauge(
            "flip_usd",
            "gamma flip nearest to spot and its band, USD; no sample where there is none",
            ["underlying", "bound"],
            (
                ((each.underlying, bound), level)
                for each in newest
                for bound, level in (("value", each.flip.level), ("lo", each.flip.lo), ("hi", each.flip.hi))
            ),
        )
        yield _gauge(
            "scenario_bucket",
            "scenario: 1 PIN, 2 DAMP, 3 DRIFT, 4 FLIP-ZONE, 5 SQUEEZE, 6 CASCADE",
            ["underlying"],
            ((key, each.scenario.bucket) for key, each in rows),
        )
        yield _gauge(
            "coverage_ratio",
            "share of open interest whose history was seen",
            ["underlying"],
            ((key, each.positions.coverage) for key, each in rows),
        )
        yield _gauge(
            "snapshot_age_seconds",
            "time since the last snapshot",
            ["underlying"],
            ((key, now - published_s[each.underlying]) for key, each in rows if each.underlying in published_s),
        )
        yield _gauge(
            "stale", "1 while inputs are too old", ["underlying"], ((k, float(e.state == "stale")) for k, e in rows)
        )

    def _of_process(self) -> Iterator[Metric]:
        hub, statuses = self._context.hub, self._context.statuses()
        runtime = hub.runtime
        yield _gauge("step_seconds", "duration of the last tick's computation", [], [((), runtime.step_ms / 1e3)])
        yield _gauge("frames_per_second", "frames received", [], [((), runtime.frames_per_s)])
        yield _gauge("degraded", "1 while a condition holds that /healthz names", [], [((), bool(hub.degraded))])
        yield _counter("overruns", "ticks left out while one was computed", [], [((), runtime.overruns)])
        yield _counter("recording_dropped", "records that the recording lacks", [], [((), runtime.dropped)])
        yield _counter(
            "shed_frames", "frames left out under overload", ["kind"], (((k,), n) for k, n in runtime.shed_frames)
        )
        yield _gauge(
            "sink_up", "1 while an output works", ["sink"], (((s.name,), s.state in _WORKING_STATES) for s in statuses)
        )
        yield _counter("sink_sent", "snapshots sent", ["sink"], (((s.name,), s.sent) for s in statuses))
        yield _counter("sink_dropped", "snapshots not sent", ["sink"], (((s.name,), s.dropped) for s in statuses))

    def _of_requests(self) -> Iterator[Metric]:
        limit = self._context.limit
        yield _counter(
            "rest_requests", "responses", ["code"], (((str(code),), n) for code, n in limit.responses.items())
        )
        yield _counter(
            "rest_refused",
            "requests not let through",
            ["reason"],
            (((reason,), n) for reason, n in limit.refused.items()),
        )
        yield _gauge("rest_streams", "streams that are open", [], [((), limit.streams)])


def _of_feeds(feeds: tuple[Feed, ...]) -> Iterator[Metric]:
    yield _gauge(
        "feed_up", "1 while a feed is live", ["feed"], (((f.name,), f.state in ("live", "slow")) for f in feeds)
    )
    yield _gauge("feed_age_seconds", "age of its newest data", ["feed"], (((f.name,), f.age_s) for f in feeds))
    yield _counter("feed_frames", "frames received", ["feed"], (((f.name,), f.frames) for f in feeds))
    yield _counter(
        "feed_rejected", "frames that could not be decoded", ["feed"], (((f.name,), f.rejected) for f in feeds)
    )
    yield _counter("feed_reconnects", "connections made again", ["feed"], (((f.name,), f.reconnects) for f in feeds))


def _gauge(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    return _with_samples(GaugeMetricFamily(f"dfmon_{name}", text, labels=labels), samples)


def _counter(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    return _with_samples(CounterMetricFamily(f"dfmon_{name}", text, labels=labels), samples)


def _with_samples(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples:
        if value is not None:
            family.add_metric(list(labels), float(value))
    return family
