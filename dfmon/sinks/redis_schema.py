"""Keys, channels and fields of what dfmon publishes to Redis; docs/redis.md describes them field by field.

    dfmon:<UNDERLYING>            PUBLISH  the complete JSON object
    dfmon:snapshot:<UNDERLYING>   SET      the same
    dfmon:screen:<UNDERLYING>     PUBLISH  the same with all tables, packed by zlib, while a screen is attached
    dfmon:stream:<UNDERLYING>     XADD     a snapshot: flat fields, and `json`: the object without its long rows
    dfmon:events:<UNDERLYING>     XADD     a print, a change of the scenario, or an alert

In a cluster the underlying is in braces, so that all keys of one are in one slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from dfmon.model.metrics import METRICS, metrics_at
from dfmon.model.snapshot import FlowSnapshot, State, to_json
from dfmon.sinks.events import Event
from dfmon.sinks.redis_connection import Part

STREAM_SCHEMA: Final = 2
"""Rises when a field of a stream is renamed or changes its meaning; a new field alone does not raise it."""


@dataclass(frozen=True, slots=True)
class RedisKeys:
    """The names under a prefix; `tagged` in a cluster."""

    prefix: str
    tagged: bool = False

    def channel(self, underlying: str) -> str:
        return f"{self.prefix}:{self._tag(underlying)}"

    def snapshot(self, underlying: str) -> str:
        return f"{self.prefix}:snapshot:{self._tag(underlying)}"

    def screen(self, underlying: str) -> str:
        return f"{self.prefix}:screen:{self._tag(underlying)}"

    def stream(self, underlying: str) -> str:
        return f"{self.prefix}:stream:{self._tag(underlying)}"

    def events(self, underlying: str) -> str:
        return f"{self.prefix}:events:{self._tag(underlying)}"

    def _tag(self, underlying: str) -> str:
        return f"{{{underlying}}}" if self.tagged else underlying


def stream_fields(snapshot: FlowSnapshot, mode: State, session: str) -> dict[str, Part]:
    """Fields of a snapshot's entry, in the order in which redis-cli shows them. A missing number is an empty string."""
    without_rows = msgspec.structs.replace(snapshot, by_expiry=(), by_strike=(), feeds=())
    metrics, scenario = snapshot.metrics, snapshot.scenario
    numbers = {
        "spot": snapshot.spot,
        **{name: getattr(metrics, name).value for name in metrics_at("history")},
        "flip": snapshot.flip.level,
    }
    return {
        "ts": snapshot.ts,
        "seq": snapshot.seq,
        "state": "stale" if snapshot.state == "stale" else mode,
        **{name: "" if value is None else value for name, value in numbers.items()},
        "bucket": "" if scenario.bucket is None else scenario.bucket,
        "scenario": scenario.name,
        "side": scenario.side,
        "coverage": "" if snapshot.positions.coverage is None else snapshot.positions.coverage,
        "schema": STREAM_SCHEMA,
        "session": session,
        "json": to_json(without_rows, mode),
    }


def event_fields(event: Event, json: bytes) -> dict[str, Part]:
    """Fields of an event's entry; `json` is the event as it was written when it happened."""
    return {"id": event.id, "kind": event.kind, "ts": event.ts, "schema": STREAM_SCHEMA, "json": json}


def add_command(key: str, maxlen: int, fields: Mapping[str, Part]) -> tuple[Part, ...]:
    """The command that appends an entry to a stream of about `maxlen`."""
    return ("XADD", key, "MAXLEN", "~", maxlen, "*", *(part for field in fields.items() for part in field))


def snapshot_field_rows() -> list[tuple[str, str, str, str]]:
    """Name, unit, sign and meaning of each field of a snapshot's entry."""
    return [
        ("ts", "UTC, ISO 8601", "", "time of the tick"),
        ("seq", "", "", "number of the tick in its session"),
        ("state", "", "", "live, sim, replay or stale"),
        ("spot", "USD", "", "index of the options venue"),
        *((name, METRICS[name].unit, METRICS[name].sign, METRICS[name].title) for name in metrics_at("history")),
        ("flip", "USD", "", "the G-Flip nearest to spot"),
        ("bucket", "1 to 6", "", "the scenario that holds"),
        ("scenario", "", "", "its name, UNKNOWN before the first"),
        ("side", "", "", "side of the hedges of the next hour: buy, sell, two-sided, unsure or none"),
        ("coverage", "share", "", "open interest whose history was seen"),
        ("schema", "", "", f"{STREAM_SCHEMA}; rises when a field is renamed or changes its meaning"),
        (
            "session",
            "",
            "",
            "the run of dfmon, in the `json` too: with `seq` it tells a repeat, a gap, a restart",
        ),
        ("json", "", "", "the snapshot without by_expiry, by_strike and feeds"),
    ]


def event_field_rows() -> list[tuple[str, str]]:
    """Name and meaning of each field of an event's entry."""
    return [
        ("id", "SESSION-NUMBER; the number counts the events of the underlying from 1: the same one again is a repeat"),
        ("kind", "print, scenario or alert"),
        ("ts", "time of the event, UTC; a print that was filled in late has its own"),
        ("schema", f"{STREAM_SCHEMA}, as above"),
        ("json", "the event: session, number, kind, ts, underlying, and the object under the name of its kind"),
    ]
