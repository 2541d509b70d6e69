"""The tables of a history beside its ticks, described once for the embedded file and for ClickHouse.

A row has an identity in its `key`, so a row that is written again replaces itself. Roll-ups sum up what ticks had: the
number of values, their mean, lowest, highest and last one, per column and minute or hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, MINUTE

ColumnKind = Literal["text", "integer", "real"]
Span = Literal["minutes", "hours"]
SPAN_NS: Final[Mapping[Span, int]] = {"minutes": MINUTE, "hours": HOUR}
TICKS: Final = "ticks"
ROLLED_COLUMNS: Final = tuple(name for name in MetricRow.__struct_fields__ if name not in ("ts_ns", "bucket"))
AGGREGATES: Final = ("samples", "mean", "low", "high", "last")


@dataclass(frozen=True, slots=True)
class RecordTable:
    """A table of rows that are no ticks: its columns with their kinds, and those that identify a row."""

    name: str
    columns: Mapping[str, ColumnKind]
    key: tuple[str, ...]


TRANSITIONS: Final = RecordTable(
    "transitions",
    {
        "underlying": "text", "ts_ns": "integer", "model": "text", "previous": "text", "scenario": "text",
        "reasons": "text", "features": "text",
    },
    ("underlying", "ts_ns", "model"),
)  # fmt: skip
"""Changes of the scenario of each position model; `reasons` and `features` are JSON."""

THRESHOLDS: Final = RecordTable(
    "thresholds",
    {
        "underlying": "text", "ts_ns": "integer", "model": "text", "feature": "text",
        "previous_lo": "real", "previous_mid": "real", "previous_hi": "real",
        "lo": "real", "mid": "real", "hi": "real", "limited": "integer",
    },
    ("underlying", "ts_ns", "model", "feature"),
)  # fmt: skip
"""Changes of the adaptive thresholds; `limited` is 1 where the long-run value held one back."""

ALERTS: Final = RecordTable(
    "alerts",
    {
        "underlying": "text", "ts_ns": "integer", "kind": "text", "model": "text", "cause": "text", "message": "text",
    },
    ("underlying", "ts_ns", "kind", "model", "cause"),
)  # fmt: skip
"""Alerts of every position model, those of the feeds under the model ""; the last text of an outage stays."""

POSITIONS: Final = RecordTable(
    "positions",
    {
        "underlying": "text", "ts_ns": "integer", "model": "text", "option": "text", "expiry": "text",
        "strike": "real", "option_type": "text", "open_interest": "real", "net": "real", "lo": "real", "hi": "real",
        "p_long": "real", "seen": "real",
    },
    ("underlying", "ts_ns", "model", "option"),
)  # fmt: skip
"""Dealer positions of the published model once an hour: coins, + long, with their 5-95 % band."""

SCORES: Final = RecordTable(
    "scores",
    {
        "underlying": "text", "ts_ns": "integer", "model": "text", "variance_ratio": "real", "coefficient": "real",
        "coefficient_lo": "real", "coefficient_hi": "real", "psi": "real", "agreement": "real", "hours": "integer",
        "outlook_share": "real", "outlook_cases": "integer", "hedge_flow_share": "real", "hedge_flow_cases": "integer",
        "taker_correlation": "real", "taker_same_sign": "real", "taker_quarters": "integer",
    },
    ("underlying", "ts_ns", "model"),
)  # fmt: skip
"""The score of each position model since midnight UTC, once an hour: `ts_ns` is that of the tick."""

RECORD_TABLES: Final[Mapping[str, RecordTable]] = {
    table.name: table for table in (TRANSITIONS, THRESHOLDS, ALERTS, POSITIONS, SCORES)
}
