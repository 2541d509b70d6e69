"""Dashboards, tables and queries for Grafana and ClickHouse: of the generator, valid, and answered by real tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
from clickhouse_tables import CLUSTER, table_files
from grafana_dashboards import CLICKHOUSE, PROMETHEUS, dashboards
from jsonschema import Draft202012Validator

from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.rest.rest_service import create_app
from dfmon.store.clickhouse import schema
from dfmon.store.clickhouse.client import ClickHouseClient
from dfmon.store.history_records import RecordCollector
from tests.sinks.factory import snapshot
from tests.store.clickhouse_engines import ClickHouseServer, in_process_client
from tests.store.conftest import clickhouse
from tests.store.test_clickhouse import open_writer
from tests.store.test_history import row
from tests.store.test_history_records import ALERT, CHANGE, FIRST, SECOND_CHANGE, state, tick

__all__ = ["clickhouse"]

QUERIES = sorted((Path(__file__).parent.parent / "deploy" / "clickhouse" / "queries").glob("*.sql"))
MACROS = {
    r"\$__timeFilter\((\w+)\)": r"\1 >= toDateTime(1) AND \1 <= toDateTime(4000000000)",
    r"\$\{underlying\}": "BTC",
}
_SOURCE = {
    "type": "object", "required": ["type", "uid"],
    "properties": {"type": {"type": "string"}, "uid": {"type": "string"}},
}  # fmt: skip
_TARGET = {
    "type": "object", "required": ["refId", "datasource"],
    "properties": {"refId": {"type": "string", "pattern": "^[A-Z]$"}, "datasource": _SOURCE},
}  # fmt: skip
_PLACE = {
    "type": "object", "required": ["x", "y", "w", "h"], "additionalProperties": False,
    "properties": {
        "x": {"type": "integer", "minimum": 0, "maximum": 23}, "y": {"type": "integer", "minimum": 0},
        "w": {"type": "integer", "minimum": 1, "maximum": 24}, "h": {"type": "integer", "minimum": 1},
    },
}  # fmt: skip
_PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos", "datasource", "targets", "fieldConfig", "options"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["timeseries", "state-timeline", "stat", "table"]},
        "gridPos": _PLACE,
        "datasource": _SOURCE,
        "targets": {"type": "array", "minItems": 1, "items": _TARGET},
        "fieldConfig": {
            "type": "object",
            "required": ["defaults", "overrides"],
            "properties": {"defaults": {"type": "object"}, "overrides": {"type": "array"}},
        },
    },
}
_VARIABLE = {
    "type": "object",
    "required": ["name", "type", "query"],
    "properties": {
        "type": {"enum": ["query", "adhoc", "constant", "datasource", "interval", "textbox", "custom", "system"]},
        "refresh": {"enum": [0, 1, 2]},
        "sort": {"type": "integer", "minimum": 0, "maximum": 8},
    },
}
DASHBOARD = {
    "type": "object",
    "required": ["schemaVersion", "uid", "title", "panels", "time", "templating"],
    "properties": {
        "schemaVersion": {"type": "integer", "minimum": 36, "maximum": 65535},
        "uid": {"type": "string", "minLength": 8, "maxLength": 40},
        "timezone": {"type": "string"},
        "graphTooltip": {"enum": [0, 1, 2]},
        "refresh": {"type": "string", "pattern": r"^\d+[smhd]$"},
        "time": {"type": "object", "required": ["from", "to"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "templating": {"type": "object", "properties": {"list": {"type": "array", "items": _VARIABLE}}},
        "panels": {"type": "array", "minItems": 1, "items": _PANEL},
    },
}
"""The parts of Grafana's published dashboard kind that ours use, with its types, ranges and values."""


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(json.loads(text) for path, text in dashboards().items() if path.name == name)
    return found


def targets(name: str) -> Iterator[dict[str, Any]]:
    for panel in dashboard(name)["panels"]:
        yield from panel["targets"]


@pytest.mark.parametrize("path", [*dashboards(), *table_files()], ids=lambda path: path.name)
def test_files_are_those_of_their_generators(path: Path) -> None:
    text = ({**dashboards(), **table_files()})[path]
    script = "grafana_dashboards.py" if path in dashboards() else "clickhouse_tables.py"
    assert path.read_text(encoding="utf-8") == text, f"run: python deploy/{script}"


@pytest.mark.parametrize(("name", "plugin"), [("prometheus.json", PROMETHEUS), ("clickhouse.json", CLICKHOUSE)])
def test_a_dashboard_is_as_grafana_defines_it(name: str, plugin: str) -> None:
    found = dashboard(name)
    errors = [f"{list(error.path)}: {error.message}" for error in Draft202012Validator(DASHBOARD).iter_errors(found)]
    assert not errors
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for first, second in combinations([panel["gridPos"] for panel in panels], 2):
        apart_x = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        apart_y = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
        assert apart_x or apart_y
    for panel in panels:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    variables = {variable["name"] for variable in found["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(panels)))
    assert used == variables == {"source", "underlying"}
    assert {holder["datasource"]["type"] for holder in (*panels, *targets(name))} == {plugin}


async def test_every_prometheus_query_is_of_a_metric_that_is_served() -> None:
    hub = SnapshotHub(mode="live")
    app = create_app(hub)
    hub.publish(snapshot())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        text = (await client.get("/metrics")).text
    served = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    labels = set(re.findall(r"(\w+)=\"", text)) | {"feed", "sink"}
    queried = [target["expr"] for target in targets("prometheus.json")]
    names = {name for query in queried for name in re.findall(r"\bdfmon_\w+", query)}
    assert names <= served | {f"{name}_total" for name in served}
    assert {label for query in queried for label in re.findall(r"(\w+)=~?\"", query)} <= labels
    legends = {
        label for target in targets("prometheus.json") for label in re.findall(r"{{(\w+)}}", target["legendFormat"])
    }
    assert legends <= labels


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow) for name in ("server", "current engine")])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClickHouseClient]:
    """A database with some rows in every table."""
    if request.param == "server":
        server: ClickHouseServer = request.getfixturevalue("clickhouse")
        server.reset()
        client = server.client()
    else:
        client = in_process_client("dfmon_grafana")
        client.execute("DROP DATABASE IF EXISTS dfmon_grafana", "")
    with open_writer(client, tmp_path) as history:
        for n in range(200):
            history.append_row("BTC", row(n, 60, flip=89_000.0))
        changed = state(FIRST, SECOND_CHANGE, alerts=(ALERT,), changes=(CHANGE,))
        history.append_records(RecordCollector().collect(changed, tick()))
        history.flush()
        assert history.waiting is None
        yield client


def test_every_panel_is_filled_from_real_tables(filled: ClickHouseClient) -> None:
    for panel in dashboard("clickhouse.json")["panels"]:
        for target in panel["targets"]:
            query = target["rawSql"]
            for macro, expansion in MACROS.items():
                query = re.sub(macro, expansion, query)
            found = list(filled.rows(query))
            assert found, panel["title"]
            if target["format"] == 0:
                assert next(iter(found[0])) in ("time", "at"), "a series begins with its time"
    variable = dashboard("clickhouse.json")["templating"]["list"][1]["query"]
    assert [each["underlying"] for each in filled.rows(variable)] == ["BTC"]


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_ready_query_runs(filled: ClickHouseClient, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    recent = re.sub(r"now\(\) - INTERVAL \d+ DAY", "toDateTime(1)", text)
    assert list(filled.rows(recent)), "rows of the past are found as well"
    list(filled.rows(text))


@pytest.mark.slow
def test_the_tables_file_makes_what_dfmon_takes_for_its_own() -> None:
    client = in_process_client("dfmon_by_hand")
    client.execute("DROP DATABASE IF EXISTS dfmon_by_hand", "")
    client.execute("CREATE DATABASE dfmon_by_hand", "")
    text = next(text for path, text in table_files().items() if path.name == "tables.sql")
    for statement in filter(str.strip, text.split(";\n")):
        client.execute(statement)
    before = client.execute("SELECT count() FROM migrations")
    schema.migrate(client, schema.Variant(client.version()))
    assert client.execute("SELECT count() FROM migrations") == before
    assert CLUSTER in next(text for path, text in table_files().items() if path.name == "cluster.sql")
