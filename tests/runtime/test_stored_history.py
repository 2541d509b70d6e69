"""What the service reads of the history, embedded and in ClickHouse: metrics by column, and events as they were."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec

from dfmon import config as configuration
from dfmon.core.snapshot.scenario_values import scenario_changes
from dfmon.engine.hub import SnapshotHub
from dfmon.model.units import SECOND, iso
from dfmon.runtime.stores import history_columns, past_events
from dfmon.sinks.rest.past_events import PastEvent
from dfmon.sinks.rest.responses import HistoryTable
from dfmon.sinks.rest.rest_service import create_app
from tests.cli.test_export import ROWS, clickhouse, folder
from tests.store.test_history import START
from tests.store.test_history_records import ALERT, FIRST, SECOND_CHANGE, tick

__all__ = ["clickhouse", "folder"]


def config() -> configuration.Config:
    return configuration.load(None, configuration.environment(), {})


async def test_metrics_by_column_over_the_route(folder: Path) -> None:
    hub = SnapshotHub(mode="live")
    hub.publish(tick())
    app = create_app(hub, history=history_columns(config(), "live"))
    until = iso(START + 50 * 60 * SECOND)
    query = {"currency": "BTC", "since": iso(START), "until": until, "columns": "spot,ngi"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        response = await client.get("/v1/history", params=query)
    assert response.status_code == 200, response.text
    table = msgspec.json.decode(response.content, type=HistoryTable)
    stored = [row for row in ROWS if row.ts_ns < START + 50 * 60 * SECOND]
    assert table.ts == tuple(iso(row.ts_ns) for row in stored)
    assert table.columns["spot"] == tuple(row.spot for row in stored)
    assert table.columns["ngi"] == tuple(None if row.ngi != row.ngi else row.ngi for row in stored)


def test_scenario_changes_and_alerts_as_they_were(folder: Path) -> None:
    read = past_events(config(), "live")
    assert read is not None
    second, first = scenario_changes((FIRST, SECOND_CHANGE))
    found = read("BTC", "flow", START, START + 2 * SECOND)
    assert list(found) == [PastEvent(START, first), PastEvent(START + SECOND, second), PastEvent(ALERT.ts_ns, ALERT)]
    assert read("BTC", "flow", START + SECOND, START + SECOND) == []
    assert read("BTC", "naive", START, START + 2 * SECOND) == []


def test_only_the_live_market_has_a_past() -> None:
    assert past_events(configuration.Config(), "replay") is None
