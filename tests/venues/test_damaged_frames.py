"""Damaged frames through the whole engine: whatever a decoder makes of them, the columns and the tick survive it.

The decoders' own promise, events or a count and never an exception, is held by each venue's tests.
"""

import json
import math

import pytest

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.model.units import SECOND
from dfmon.venues.registry import SOURCES, endpoint
from tests.venues.venue_golden import NOW, goldens, mutations

SESSIONS = {
    "deribit": "deribit/session.jsonl", "binance.spot": "binance/spot.jsonl", "binance.public": "binance/public.jsonl",
    "binance.market": "binance/market.jsonl", "okx": "okx/session.jsonl",
}  # fmt: skip


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} in the JSON")


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def test_every_source_has_golden_frames() -> None:
    assert set(SESSIONS) == set(SOURCES)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("source", SESSIONS)
def test_no_damage_reaches_the_snapshot(source: str) -> None:
    snapshots: list[FlowSnapshot] = []
    decoders = {name: endpoint(name, ("BTC", "ETH")).protocol for name in SESSIONS}
    driver = Driver(("BTC", "ETH"), FlowParams(), decoders, snapshots.append, options_sources=("deribit",))
    for name, path in SESSIONS.items():
        driver.connected(name, NOW)
        for golden in goldens(path):
            _feed(driver, name, golden.tag, golden.body)
    fed = 0
    for golden in goldens(SESSIONS[source]):
        for damaged in mutations(golden.body):
            _feed(driver, source, golden.tag, damaged)
            fed += 1
            if fed % 100 == 0:
                driver.timer(source, NOW + fed * SECOND)
                driver.request_tick(NOW + fed * SECOND)
        _feed(driver, source, golden.tag, golden.body)
    assert len(snapshots) >= 6 * len(goldens(SESSIONS[source]))
    assert any(snapshot.instruments for snapshot in snapshots)
    for snapshot in snapshots:
        shown = json.loads(to_json(snapshot, "live", detail=True), parse_constant=refuse)
        assert all(math.isfinite(number) for number in numbers(shown))


def _feed(driver: Driver, source: str, tag: str, body: bytes) -> None:
    if tag:
        driver.response(source, NOW, tag, body)
    else:
        driver.frame(source, NOW, body)
