"""The bodies of the routes that show a part of a snapshot. Field order is that of the JSON object."""

from __future__ import annotations

from typing import Literal

import msgspec

from dfmon.model.flip import Flip, Regime
from dfmon.model.hedging import OutlookRow, Unwind
from dfmon.model.positions import Positions
from dfmon.model.scenario import Features, Scenario, ScenarioChange
from dfmon.model.snapshot import Alert, State
from dfmon.model.tables import ExpiryRow, HeatMap, PositionRow, Profile

Status = Literal["ok", "degraded", "stale", "starting"]


class Error(msgspec.Struct, frozen=True):
    """A request that was not answered: one sentence with what was found and what is allowed."""

    detail: str


class UnderlyingHealth(msgspec.Struct, frozen=True):
    """One underlying: seconds since its last snapshot, `reason` where it is stale, and the sign of the positions."""

    age_s: float
    state: State
    reason: str
    sign_decided: bool | None
    warming: bool | None


class SinkHealth(msgspec.Struct, frozen=True):
    """One output, with counts of snapshots; `fault` is a trouble beside its state, such as a full spill."""

    name: str
    state: str
    sent: int
    dropped: int
    note: str
    fault: str = ""


class Health(msgspec.Struct, frozen=True):
    """The state of the service; without a token where one is needed, `status` alone."""

    status: Status
    version: str = ""
    underlyings: dict[str, UnderlyingHealth] = {}
    degraded: tuple[str, ...] = ()
    sinks: tuple[SinkHealth, ...] = ()


class Readiness(msgspec.Struct, frozen=True):
    """Freshness of every underlying, with the reasons of those that are stale."""

    status: Literal["ready", "not ready"]
    reasons: tuple[str, ...] = ()


class Dated(msgspec.Struct, frozen=True):
    """A part of a snapshot: its tick, position model, and the reasons for numbers that are missing."""

    underlying: str
    seq: int
    ts: str
    state: State
    model: str
    unavailable: tuple[str, ...]


class ProfileTable(Dated, frozen=True):
    """Net gamma against spot, with the flip."""

    spot: float | None
    unit: str
    sign: str
    profile: Profile
    flip: Flip


class HeatMapTable(Dated, frozen=True):
    """Every metric by strike and expiry; `units` and `signs` by layer, "oi" is in coins and "iv" decimal."""

    spot: float | None
    units: dict[str, str]
    signs: dict[str, str]
    smoothed: bool
    heatmap: HeatMap


class PositionTable(Dated, frozen=True):
    """Dealer positions in coins, + long: the sums, by expiry and by option."""

    unit: str
    sign: str
    positions: Positions
    by_expiry: tuple[ExpiryRow, ...]
    options: tuple[PositionRow, ...]


class ScenarioTable(Dated, frozen=True):
    """The scenario, the inputs of its rules, the gamma regime, and the hedges that it calls for."""

    scenario: Scenario
    features: Features
    regime: Regime
    outlook: tuple[OutlookRow, ...]
    unwind: Unwind


class TransitionTable(Dated, frozen=True):
    """The last changes of the scenario, newest first."""

    transitions: tuple[ScenarioChange, ...]


class AlertTable(Dated, frozen=True):
    """The last alerts, newest first."""

    alerts: tuple[Alert, ...]


class InstrumentRow(msgspec.Struct, frozen=True):
    """One listed option: forward USD, volatilities decimal, open interest in coins; None where there is no data."""

    name: str
    expiry: str
    strike: float
    option_type: Literal["call", "put"]
    inverse: bool
    forward: float | None
    mark_iv: float | None
    bid_iv: float | None
    ask_iv: float | None
    open_interest: float | None


class InstrumentTable(Dated, frozen=True):
    """The listed options of an underlying."""

    spot: float | None
    instruments: tuple[InstrumentRow, ...]


class HistoryTable(msgspec.Struct, frozen=True):
    """Columns of the history since a time, one value for each of `ts`; None where a snapshot had no value."""

    underlying: str
    since: str
    every_s: int
    units: dict[str, str]
    ts: tuple[str, ...]
    columns: dict[str, tuple[float | None, ...]]


class StreamMessage(msgspec.Struct, frozen=True):
    """A message of the websocket: `data` is a FlowSnapshot, ScenarioChange, Alert, Print or Gap."""

    topic: Literal["snapshot", "scenario", "alert", "print", "gap"]
    seq: int
    underlying: str
    data: dict[str, str | float | bool | None]
