"""Scenario and threshold changes, alerts and positions: taken once from each tick, stored once, read as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from dfmon.core.scenario.buckets import Bucket, Scene
from dfmon.core.scenario.feed_incidents import FeedIncident
from dfmon.core.scenario.thresholds import Levels, ThresholdChange, ThresholdSeries
from dfmon.core.scenario.transitions import Transition
from dfmon.core.step import BookState, FlowState
from dfmon.model.score import Coverage, Score, TapeVerdict
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.model.units import HOUR, SECOND
from dfmon.store.history import HistoryReader
from dfmon.store.history_records import Record, RecordCollector
from dfmon.store.history_tables import ALERTS, POSITIONS, RECORD_TABLES, SCORES, THRESHOLDS, TRANSITIONS
from tests.sinks.factory import snapshot as make_snapshot
from tests.store.test_history import START, open_history

FIRST = Transition(START, "flow", None, Scene(Bucket.DAMP), ("no other rule",), (("z", 0.5), ("psi", None)))
SECOND_CHANGE = Transition(START + SECOND, "flow", Scene(Bucket.DAMP), Scene(Bucket.SQUEEZE, armed=True), (), ())
CHANGE = ThresholdChange(START + HOUR, Levels(0.01, 0.03, 0.06), Levels(0.011, 0.033, 0.066), True)
ALERT = Alert(START + SECOND, "FLIP", "spot left the flip band", "BTC", "flow", "spot")
INCIDENT = FeedIncident(START, START, 0, ("okx",), "closed")


def state(*log: Transition, alerts: tuple[Alert, ...] = (), changes: tuple[ThresholdChange, ...] = ()) -> FlowState:
    book = BookState.initial()
    series = replace(ThresholdSeries.initial(), changes=changes)
    thresholds = replace(book.scene.thresholds, vanna=series)
    scene = replace(book.scene, log=log, alerts=alerts, thresholds=thresholds)
    return replace(FlowState.initial(), books={"flow": replace(book, scene=scene)})


def tick(ts_ns: int = START, **fields: object) -> FlowSnapshot:
    return msgspec.structs.replace(make_snapshot(), underlying="BTC", ts_ns=ts_ns, **fields)


def of_table(records: list[Record], name: str) -> list[tuple[object, ...]]:
    return [cells for table, cells in records if table == name]


def test_each_change_is_taken_once() -> None:
    collector, first = RecordCollector(), state(FIRST)
    assert [cells[:5] for cells in of_table(list(collector.collect(first, tick())), TRANSITIONS.name)] == [
        ("BTC", START, "flow", "", "DAMP")
    ]
    assert of_table(list(collector.collect(first, tick())), TRANSITIONS.name) == []
    later = list(collector.collect(state(FIRST, SECOND_CHANGE, alerts=(ALERT,), changes=(CHANGE,)), tick()))
    assert [cells[3:5] for cells in of_table(later, TRANSITIONS.name)] == [("", "DAMP"), ("DAMP", "SQUEEZE (armed)")]
    assert of_table(later, THRESHOLDS.name) == [
        ("BTC", START + HOUR, "flow", "vanna", 0.01, 0.03, 0.06, 0.011, 0.033, 0.066, 1)
    ]
    assert of_table(later, ALERTS.name) == [("BTC", ALERT.ts_ns, "FLIP", "flow", "spot", "spot left the flip band")]


def test_an_outage_is_written_again_when_it_changes() -> None:
    collector, initial = RecordCollector(), FlowState.initial()
    feeds = replace(initial.hour.feeds, incidents=(INCIDENT,))
    lost = replace(initial, hour=replace(initial.hour, feeds=feeds))
    ended = replace(feeds, incidents=(replace(INCIDENT, end_ns=START + 9 * SECOND),))
    back = replace(initial, hour=replace(initial.hour, feeds=ended))
    found = [
        cells for each in (lost, lost, back) for cells in of_table(list(collector.collect(each, tick())), "alerts")
    ]
    assert [cells[-1] for cells in found] == ["okx lost for 0 s: closed", "okx back after 9 s (closed)"]
    assert found[0][:5] == found[1][:5], "the key of both, so that the second replaces the first"


def test_alerts_of_rules_are_taken_once() -> None:
    collector, initial = RecordCollector(), FlowState.initial()
    first, second = (Alert(START + n, "RULE", f"BTC {n}", "BTC", "", f"rule {n}") for n in (1, 2))
    both = second, first
    found = [
        [cells[4] for cells in of_table(list(collector.collect(initial, tick(rule_alerts=alerts))), "alerts")]
        for alerts in ((first,), both, both)
    ]
    assert found == [["rule 1"], ["rule 2", "rule 1"], []]


def test_positions_once_an_hour_and_not_while_stale() -> None:
    collector, initial = RecordCollector(), FlowState.initial()
    with_rows = tick()
    rows = getattr(with_rows.detail, "positions", ())
    assert rows
    moments = ((START, "stale"), (START, "live"), (START + SECOND, "live"), (START + HOUR, "live"))
    counts = [
        len(of_table(list(collector.collect(initial, tick(ts_ns, state=each))), POSITIONS.name))
        for ts_ns, each in moments
    ]
    assert counts == [0, len(rows), 0, len(rows)]


def test_score_of_the_last_tick_of_an_hour() -> None:
    collector, initial = RecordCollector(), FlowState.initial()
    book = BookState.initial()

    def scored(share: float) -> FlowState:
        coverage = (Coverage("outlook_1h", share, 9), Coverage("hedge_flow", None, 2))
        score = Score("2026-01-22T00:00:00.000Z", TapeVerdict(600, 0.9, 0.1, 0.0, 0.2, 0.05, None, 3), coverage)
        return replace(initial, books={"flow": replace(book, score=replace(book.score, score=score))})

    end = START // HOUR * HOUR + HOUR
    moments = ((end - SECOND, 0.5), (end, 0.75), (end + SECOND, 1.0), (end + HOUR, 0.0))
    found = [of_table(list(collector.collect(scored(share), tick(ts_ns))), SCORES.name) for ts_ns, share in moments]
    row = ("BTC", end - SECOND, "flow", 0.9, 0.1, 0.0, 0.2, 0.05, None, 3, 0.5, 9, None, 2, None, None, 0)
    assert found == [[], [row], [], [(*row[:1], end + SECOND, *row[2:10], 1.0, *row[11:])]]


def test_rows_are_stored_once_and_read_by_time(tmp_path: Path) -> None:
    with open_history(tmp_path / "h.db") as history:
        for _ in range(2):  # a restart yields the log again
            changed = state(FIRST, SECOND_CHANGE, alerts=(ALERT,), changes=(CHANGE,))
            history.append_records(RecordCollector().collect(changed, tick()))
        history.flush()
        with HistoryReader(tmp_path / "h.db") as reader:
            found = list(reader.records("transitions", "BTC"))
            assert [(cells[1], cells[4]) for cells in found] == [(START, "DAMP"), (START + SECOND, "SQUEEZE (armed)")]
            assert json.loads(found[0][5]) == ["no other rule"]
            assert json.loads(found[0][6]) == {"z": 0.5, "psi": None}
            assert list(reader.records("transitions", "BTC", START, START + SECOND)) == found[:1]
            assert list(reader.records("transitions", "ETH")) == []
            assert len(list(reader.records("alerts", "BTC"))) == len(list(reader.records("thresholds", "BTC"))) == 1
            assert reader.time_range("transitions", "BTC") == (START, START + SECOND)
            positions = list(reader.records("positions", "BTC"))
            assert len({cells[3] for cells in positions}) == len(positions) > 0


@pytest.mark.parametrize("table", RECORD_TABLES.values(), ids=lambda table: table.name)
def test_a_key_is_made_of_columns_and_begins_with_underlying_and_time(table: object) -> None:
    assert isinstance(table, type(TRANSITIONS))
    assert set(table.key) <= set(table.columns)
    assert table.key[:2] == tuple(table.columns)[:2] == ("underlying", "ts_ns")
