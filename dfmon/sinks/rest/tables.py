"""The parts of a snapshot that have a route of their own: one function a table, run in the thread of the service."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from fastapi import HTTPException
from msgspec import UNSET, structs

from dfmon.core.snapshot.smoothing import smoothed
from dfmon.engine.what_if import inputs_of
from dfmon.model.metrics import METRICS, metrics_at
from dfmon.model.snapshot import Alert, Detail, FlowSnapshot, State
from dfmon.model.units import iso
from dfmon.sinks.rest import responses
from dfmon.sinks.rest.responses import Dated

NO_OPTIONS: Final = "This snapshot came without the options of its tick."
_LAYERS: Final = metrics_at("heatmap")


class Head(NamedTuple):
    """The fields that all tables have, in their order."""

    underlying: str
    seq: int
    ts: str
    state: State
    model: str
    unavailable: tuple[str, ...]


def head(snapshot: FlowSnapshot, mode: State) -> Head:
    return Head(
        snapshot.underlying,
        snapshot.seq,
        snapshot.ts,
        "stale" if snapshot.state == "stale" else mode,
        snapshot.positions.model,
        snapshot.unavailable,
    )


def profile(snapshot: FlowSnapshot, mode: State) -> responses.ProfileTable:
    spec, detail = METRICS["ngi"], _detail(snapshot)
    return responses.ProfileTable(
        *head(snapshot, mode), snapshot.spot, spec.unit, spec.sign, detail.profile, snapshot.flip
    )


def heat_map(snapshot: FlowSnapshot, mode: State) -> responses.HeatMapTable:
    units = {name: METRICS[name].unit for name in _LAYERS} | {"oi": "coins", "iv": "decimal"}
    signs = {name: METRICS[name].sign for name in _LAYERS}
    cells = _detail(snapshot).heatmap
    return responses.HeatMapTable(*head(snapshot, mode), snapshot.spot, units, signs, False, cells)


def smoothed_heat_map(snapshot: FlowSnapshot, mode: State) -> responses.HeatMapTable:
    """The table through the smoother of the screen: only the sum of all cells is kept."""
    table = heat_map(snapshot, mode)
    return structs.replace(table, smoothed=True, heatmap=smoothed(table.heatmap, snapshot.by_expiry))


def positions(snapshot: FlowSnapshot, mode: State) -> responses.PositionTable:
    sign = "+ dealers are long, - they are short"
    options = _detail(snapshot).positions
    return responses.PositionTable(
        *head(snapshot, mode), "coins", sign, snapshot.positions, snapshot.by_expiry, options
    )


def scenario(snapshot: FlowSnapshot, mode: State) -> responses.ScenarioTable:
    return responses.ScenarioTable(
        *head(snapshot, mode),
        snapshot.scenario,
        snapshot.features,
        snapshot.regime,
        snapshot.outlook,
        snapshot.unwind,
    )


def transitions(snapshot: FlowSnapshot, mode: State) -> responses.TransitionTable:
    return responses.TransitionTable(*head(snapshot, mode), _detail(snapshot).transitions)


def alerts(snapshot: FlowSnapshot, mode: State) -> responses.AlertTable:
    return responses.AlertTable(*head(snapshot, mode), alerts_of(snapshot))


def alerts_of(snapshot: FlowSnapshot) -> tuple[Alert, ...]:
    """Those of the market and of the rules, newest first."""
    of_rules = () if snapshot.rule_alerts is UNSET else snapshot.rule_alerts
    return tuple(sorted((*_detail(snapshot).alerts, *of_rules), key=lambda alert: -alert.ts_ns))


def instruments(snapshot: FlowSnapshot, mode: State) -> responses.InstrumentTable:
    """The board of the tick. Raises HTTPException 404 for a snapshot that came without it."""
    inputs = inputs_of(snapshot)
    if inputs is None:
        raise HTTPException(404, NO_OPTIONS)
    chain = inputs.chain
    columns: Sequence[Sequence[float]] = [
        column.tolist()
        for column in (chain.forward, chain.sigma, chain.bid_sigma, chain.ask_sigma, chain.open_interest)
    ]
    rows = tuple(
        responses.InstrumentRow(name, iso(expiry_ns), strike, "call" if kind > 0 else "put", bool(inverse), *numbers)
        for name, expiry_ns, strike, kind, inverse, *numbers in zip(
            chain.names,
            chain.expiry_ns.tolist(),
            chain.strike.tolist(),
            chain.option_type.tolist(),
            chain.inverse.tolist(),
            *([value if math.isfinite(value) else None for value in column] for column in columns),
        )
    )
    return responses.InstrumentTable(*head(snapshot, mode), snapshot.spot, rows)


class Table(NamedTuple):
    """One route of a part of the snapshot."""

    path: str
    summary: str
    body: type[Dated]
    build: Callable[[FlowSnapshot, State], Dated]


HEAT_MAP: Final = Table("/v1/heatmap", "Every metric by strike and expiry", responses.HeatMapTable, heat_map)
SMOOTHED_HEAT_MAP: Final = HEAT_MAP._replace(build=smoothed_heat_map)
TABLES: Final = (
    Table("/v1/profile", "Net gamma against spot", responses.ProfileTable, profile),
    HEAT_MAP,
    Table("/v1/positions", "Dealer positions by option and expiry", responses.PositionTable, positions),
    Table("/v1/scenario", "The scenario and what decides it", responses.ScenarioTable, scenario),
    Table("/v1/transitions", "The last changes of the scenario", responses.TransitionTable, transitions),
    Table("/v1/alerts", "The last alerts", responses.AlertTable, alerts),
    Table("/v1/instruments", "The listed options", responses.InstrumentTable, instruments),
)


def _detail(snapshot: FlowSnapshot) -> Detail:
    """The tables of the snapshot. Raises HTTPException 404 where it came without them."""
    detail = snapshot.detail
    if detail is UNSET:
        raise HTTPException(404, "This snapshot came without its tables.")
    return detail
