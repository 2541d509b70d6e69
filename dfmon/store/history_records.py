"""Rows of scenario changes, threshold changes, alerts and positions, taken from the state and snapshot of a tick."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, Final

import msgspec

from dfmon.core.scenario.thresholds import PhiThresholds, ThresholdSeries
from dfmon.core.scenario.transitions import Transition
from dfmon.core.step import FlowState
from dfmon.model.scenario import ScenarioChange
from dfmon.model.score import Score
from dfmon.model.snapshot import Alert, Detail, FlowSnapshot
from dfmon.model.tables import PositionRow
from dfmon.model.units import HOUR, iso
from dfmon.store.history_tables import ALERTS, POSITIONS, SCORES, THRESHOLDS, TRANSITIONS

Record = tuple[str, tuple[Any, ...]]  # the name of a table and a row of it
_LIQUIDATIONS: Final = "liquidations"
_PHI_SERIES: Final = tuple(field.name for field in fields(PhiThresholds))


class RecordCollector:
    """Collects the new rows of each tick. The first tick after a restart yields what its state was restored with."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], object] = {}
        self._positions_hour: dict[str, int] = {}
        self._scores: dict[str, tuple[int, dict[str, Score]]] = {}  # time and score by model of the tick before

    def collect(self, state: FlowState, snapshot: FlowSnapshot) -> Iterator[Record]:
        """Rows of the logs that have changed, and the positions once an hour."""
        underlying = snapshot.underlying
        for model, book in state.books.items():
            scene = book.scene
            if self._has_changed((underlying, model, TRANSITIONS.name), scene.log):
                yield from _transition_rows(underlying, scene.log)
            if self._has_changed((underlying, model, ALERTS.name), scene.alerts):
                yield from _alert_rows(underlying, scene.alerts)
            for name in _PHI_SERIES:
                yield from self._threshold_rows(underlying, model, name, getattr(scene.thresholds, name))
        yield from self._threshold_rows(underlying, "", _LIQUIDATIONS, state.hour.liquidations)
        incidents = state.hour.feeds.incidents
        if self._has_changed((underlying, "feeds", ALERTS.name), incidents):
            yield from _alert_rows(underlying, [incident.alert(snapshot.ts_ns) for incident in incidents])
        if self._has_changed((underlying, "rules"), snapshot.rule_alerts or ()):
            yield from _alert_rows(underlying, snapshot.rule_alerts or ())
        yield from self._position_rows(snapshot)
        yield from self._score_rows(state, snapshot)

    def _has_changed(self, key: tuple[str, ...], log: object) -> bool:
        """Logs are immutable, so that one which is the same object has nothing new."""
        before, self._seen[key] = self._seen.get(key), log
        return before is not log and bool(log)

    def _threshold_rows(self, underlying: str, model: str, feature: str, series: ThresholdSeries) -> Iterator[Record]:
        if self._has_changed((underlying, model, feature), series.changes):
            for change in series.changes:
                levels = (*change.before, *change.after)
                yield THRESHOLDS.name, (underlying, change.ts_ns, model, feature, *levels, int(change.bound))

    def _score_rows(self, state: FlowState, snapshot: FlowSnapshot) -> Iterator[Record]:
        """The scores of the last tick of an hour, at the first tick of the next one."""
        underlying = snapshot.underlying
        ts_ns, scores = self._scores.get(underlying, (snapshot.ts_ns, {}))
        if snapshot.ts_ns // HOUR != ts_ns // HOUR:
            for model, score in scores.items():
                if score.since:
                    yield SCORES.name, (underlying, ts_ns, model, *_score_cells(score))
        self._scores[underlying] = snapshot.ts_ns, {model: book.score.score for model, book in state.books.items()}

    def _position_rows(self, snapshot: FlowSnapshot) -> Iterator[Record]:
        underlying, model, hour = snapshot.underlying, snapshot.positions.model, snapshot.ts_ns // HOUR
        is_unknown = snapshot.state == "stale" or snapshot.positions.warming  # what is learned would look like trades
        if is_unknown or self._positions_hour.get(underlying) == hour:
            return
        rows = snapshot.detail.positions if isinstance(snapshot.detail, Detail) else ()
        if rows:
            self._positions_hour[underlying] = hour
        for row in rows:
            yield POSITIONS.name, (underlying, snapshot.ts_ns, model, *_position_cells(row))


def _score_cells(score: Score) -> tuple[Any, ...]:
    tape, taker = score.tape, score.taker
    bands = {row.name: (row.share, row.cases) for row in score.coverage}
    return (
        tape.variance_ratio, tape.coefficient, tape.lo, tape.hi, tape.modelled, tape.agreement, tape.hours,
        *bands.get("outlook_1h", (None, 0)), *bands.get("hedge_flow", (None, 0)),
        taker.correlation, taker.same_sign, taker.quarters,
    )  # fmt: skip


def _transition_rows(underlying: str, log: Iterable[Transition]) -> Iterator[Record]:
    for change in log:
        previous = "" if change.before is None else change.before.title
        reasons, features = msgspec.json.encode(change.reasons), msgspec.json.encode(dict(change.features))
        cells = (change.model, previous, change.after.title, reasons.decode(), features.decode())
        yield TRANSITIONS.name, (underlying, change.ts_ns, *cells)


def _alert_rows(underlying: str, alerts: Iterable[Alert]) -> Iterator[Record]:
    for alert in alerts:
        yield ALERTS.name, (underlying, alert.ts_ns, alert.kind, alert.model, alert.cause, alert.text)


def stored_change(row: tuple[Any, ...]) -> ScenarioChange:
    """The change of the scenario that a row of `transitions` has."""
    _, ts_ns, model, previous, scenario, reasons, features = row
    return ScenarioChange(
        ts=iso(ts_ns),
        model=model,
        before=previous or None,
        after=scenario,
        reasons=msgspec.json.decode(reasons, type=tuple[str, ...]),
        features=msgspec.json.decode(features, type=dict[str, float | None]),
    )


def stored_alert(row: tuple[Any, ...]) -> Alert:
    """The alert that a row of `alerts` has."""
    underlying, ts_ns, kind, model, cause, text = row
    return Alert(ts_ns, kind, text, underlying, model, cause)


def _position_cells(row: PositionRow) -> tuple[Any, ...]:
    return (
        row.name, row.expiry, row.strike, row.option_type, row.open_interest, row.net, row.lo, row.hi, row.p_long,
        row.seen,
    )  # fmt: skip
