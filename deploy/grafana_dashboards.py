"""Writes the Grafana dashboards of this folder: python deploy/grafana_dashboards.py. A test holds the files to it.

`grafana/prometheus.json` draws what `/metrics` serves, `grafana/clickhouse.json` the history in ClickHouse.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "grafana"
PROMETHEUS, CLICKHOUSE = "prometheus", "grafana-clickhouse-datasource"  # plugins of the data sources
SCHEMA_VERSION: Final = 39
_WIDTH, _HEIGHT = 12, 8
_BUCKETS: Final = ("PIN", "DAMP", "DRIFT", "FLIP-ZONE", "SQUEEZE", "CASCADE")
_OF_UNDERLYING: Final = 'underlying="$underlying"'

PROMETHEUS_PANELS: Final[Sequence[tuple[str, str, str, Mapping[str, str]]]] = (
    ("Spot and gamma flip", "timeseries", "currencyUSD", {
        "spot": f"dfmon_spot_usd{{{_OF_UNDERLYING}}}", "flip {{bound}}": f"dfmon_flip_usd{{{_OF_UNDERLYING}}}",
    }),
    ("Net gamma, USD per +1 %: + dealers sell a rise", "timeseries", "short", {
        "{{bound}}": f'dfmon_metric{{{_OF_UNDERLYING},metric="ngi"}}',
    }),
    ("Hedge pressure, USD per +1 %: + dealers must sell", "timeseries", "short", {
        "{{bound}}": f'dfmon_metric{{{_OF_UNDERLYING},metric="hpp"}}',
    }),
    ("Vanna and charm", "timeseries", "short", {
        "{{metric}}, {{unit}}": f'dfmon_metric{{{_OF_UNDERLYING},metric=~"vss|chl",bound="value"}}',
    }),
    ("Scenario", "state-timeline", "short", {"scenario": f"dfmon_scenario_bucket{{{_OF_UNDERLYING}}}"}),
    ("Coverage", "timeseries", "percentunit", {"coverage": f"dfmon_coverage_ratio{{{_OF_UNDERLYING}}}"}),
    ("Age of the snapshot, and stale inputs", "timeseries", "s", {
        "age": f"dfmon_snapshot_age_seconds{{{_OF_UNDERLYING}}}", "stale": f"dfmon_stale{{{_OF_UNDERLYING}}}",
    }),
    ("Feeds that are up", "state-timeline", "short", {"{{feed}}": "dfmon_feed_up"}),
    ("Frames, reconnects and rejected frames a second", "timeseries", "short", {
        "{{feed}}": "rate(dfmon_feed_frames_total[1m])",
        "{{feed}} reconnects": "rate(dfmon_feed_reconnects_total[5m])",
        "{{feed}} rejected": "rate(dfmon_feed_rejected_total[5m])",
    }),
    ("Outputs: snapshots sent and dropped a second", "timeseries", "short", {
        "{{sink}} sent": "rate(dfmon_sink_sent_total[1m])", "{{sink}} dropped": "rate(dfmon_sink_dropped_total[1m])",
    }),
    ("Computation of a tick", "timeseries", "s", {"step": "dfmon_step_seconds"}),
    ("Degraded: conditions of /healthz", "stat", "short", {"degraded": "dfmon_degraded"}),
)  # fmt: skip
"""Title, kind, unit, and queries by legend."""

_ROWS: Final = "FINAL WHERE underlying = '${underlying}' AND $__timeFilter(time)"
_MINUTES: Final = f"FROM minutes {_ROWS} ORDER BY time"
_NEWEST: Final = f"{_ROWS} AND ts_ns = (SELECT max(ts_ns) FROM positions {_ROWS})"
CLICKHOUSE_PANELS: Final[Sequence[tuple[str, str, str, str]]] = (
    ("Spot and gamma flip", "timeseries", "currencyUSD",
     f"SELECT time, spot_last AS spot, flip_last AS flip {_MINUTES}"),
    ("Net gamma, USD per +1 %: + dealers sell a rise", "timeseries", "short",
     f"SELECT time, ngi_mean AS ngi, ngi_low AS low, ngi_high AS high {_MINUTES}"),
    ("Hedge pressure, USD per +1 %: + dealers must sell", "timeseries", "short",
     f"SELECT time, hpp_mean AS hpp, hpp_low AS low, hpp_high AS high {_MINUTES}"),
    ("Vanna and charm", "timeseries", "short", f"SELECT time, vss_mean AS vanna, chl_mean AS charm {_MINUTES}"),
    ("Scenario", "state-timeline", "short",
     f"SELECT toStartOfMinute(time) AS at, max(bucket) AS scenario FROM ticks {_ROWS} GROUP BY at ORDER BY at"),
    ("Coverage", "timeseries", "percentunit", f"SELECT time, coverage_last AS coverage {_MINUTES}"),
    ("Scenario changes", "table", "short",
     f"SELECT time, model, previous, scenario, reasons FROM transitions {_ROWS} ORDER BY ts_ns DESC LIMIT 100"),
    ("Alerts", "table", "short",
     f"SELECT time, kind, model, cause, message FROM alerts {_ROWS} ORDER BY ts_ns DESC LIMIT 100"),
    ("Thresholds", "timeseries", "percentunit",
     f"SELECT time, feature, lo, mid, hi FROM thresholds {_ROWS} AND model IN ('flow', '') ORDER BY time"),
    ("Largest dealer positions, coins", "table", "short",
     f"SELECT option, net, lo, hi, open_interest FROM positions {_NEWEST} ORDER BY abs(net) DESC LIMIT 25"),
)  # fmt: skip
"""Title, kind, unit and query."""


def dashboards() -> dict[Path, str]:
    """The text of each dashboard by its path."""
    by_legend = [(title, kind, unit, list(queries.items())) for title, kind, unit, queries in PROMETHEUS_PANELS]
    prometheus = [
        _panel(place, title, kind, unit, [_prometheus_target(i, *query) for i, query in enumerate(queries)])
        for place, (title, kind, unit, queries) in enumerate(by_legend)
    ]
    clickhouse = [
        _panel(place, title, kind, unit, [_clickhouse_target(query, kind)])
        for place, (title, kind, unit, query) in enumerate(CLICKHOUSE_PANELS)
    ]
    underlyings = "SELECT DISTINCT underlying FROM hours"
    files = {
        "prometheus.json": _dashboard(
            "dfmon, live", "prometheus", "label_values(dfmon_spot_usd, underlying)", prometheus
        ),
        "clickhouse.json": _dashboard("dfmon, history", "grafana-clickhouse-datasource", underlyings, clickhouse),
    }
    return {FOLDER / name: json.dumps(found, indent=2) + "\n" for name, found in files.items()}


def _dashboard(title: str, source: str, underlyings: str, panels: list[dict[str, Any]]) -> dict[str, Any]:
    """A dashboard with a choice of the data source and of the underlying."""
    variables = [
        {"name": "source", "label": "Data source", "type": "datasource", "query": source, "refresh": 1},
        {
            "name": "underlying", "label": "Underlying", "type": "query", "query": underlyings, "refresh": 2, "sort": 1,
            "datasource": {"type": source, "uid": "${source}"},
        },
    ]  # fmt: skip
    for panel in panels:
        for holder in (panel, *panel["targets"]):
            holder["datasource"] = {"type": source, "uid": "${source}"}
    return {
        "uid": f"dfmon-{source.removeprefix('grafana-').partition('-')[0]}",
        "title": title,
        "tags": ["dfmon"],
        "timezone": "utc",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "refresh": "10s" if source == PROMETHEUS else "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(place: int, title: str, kind: str, unit: str, targets: list[dict[str, Any]]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": unit}
    if title == "Scenario":
        names = {str(bucket): {"text": name, "index": bucket} for bucket, name in enumerate(_BUCKETS, start=1)}
        defaults["mappings"] = [{"type": "value", "options": names}]
    row, column = divmod(place, 2)
    return {
        "id": place + 1,
        "title": title,
        "type": kind,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": targets,
    }


def _prometheus_target(place: int, legend: str, query: str) -> dict[str, Any]:
    return {"refId": chr(ord("A") + place), "expr": query, "legendFormat": legend, "editorMode": "code", "range": True}


def _clickhouse_target(query: str, kind: str) -> dict[str, Any]:
    is_table = kind == "table"
    form = {"format": 1, "queryType": "table"} if is_table else {"format": 0, "queryType": "timeseries"}
    return {"refId": "A", "rawSql": query, "editorType": "sql", **form}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in dashboards().items():
        path.write_text(text, encoding="utf-8")
