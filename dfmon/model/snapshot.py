"""The output of the engine: a frozen, complete picture of one underlying at one tick.

Screen, Redis, REST, history and `dfmon snapshot --json` show this and nothing else. A missing number is None, with its
reason in `unavailable`; NaN never occurs. Field order is the order of the JSON object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from dfmon.model.flip import Flip, Quality, Regime, RegimeEdge
from dfmon.model.freshness import Freshness
from dfmon.model.hedging import OutlookRow, TenorBeta, Unwind, flat_limit
from dfmon.model.metrics import metric_fields, metrics_at
from dfmon.model.micro_structure import Micro
from dfmon.model.positions import Positions
from dfmon.model.scenario import Features, Scenario, ScenarioChange
from dfmon.model.score import Score
from dfmon.model.tables import (
    Changes,
    ExpiryRow,
    HeatMap,
    LargestChange,
    PositionRow,
    Profile,
    RollReport,
    StrikeRow,
    TapeRow,
)
from dfmon.model.units import NAN

State = Literal["live", "sim", "replay", "stale"]


class Metric(msgspec.Struct, frozen=True):
    """A number with its 5-95 % band, unit, meaning of its sign, quality, and the age of its oldest live input."""

    value: float | None
    lo: float | None
    hi: float | None
    unit: str
    sign: str
    quality: Quality
    age_s: float | None


class Hpp(Metric, frozen=True):
    """Hedge pressure with the scale factors in force and its three terms, which add up to the value.

    `alpha` is in points per 1 % of spot, `beta` in days per 1 %. `status` is "prior", or "measured n %" with the weight
    of the measurement, which rests on `hours` independent hours; `calibrated` is true where that is the larger part.
    Before the first volatility there is no prior either: both factors are None.
    `hedged` is the share of the gamma that the desks hedge at the move of the look-back.
    """

    alpha: float | None
    beta: float | None
    calibrated: bool
    ds_sign: int
    hedged: float = 1.0
    status: str = "prior"
    hours: float = 0.0
    gamma_term: float | None = None
    vanna_term: float | None = None
    charm_term: float | None = None


class HedgeFlow(Metric, frozen=True):
    """Dealer trade over the last `span_s` to re-hedge what was in the book, by full reprice: the sum of four parts.

    `settlement` is the hedge that the fixings lifted. `new_trades` hedges what was acquired on the way and is not in
    the sum; `residual` is gamma, vanna and charm less the linear form in NGI, VSS and CHL.
    """

    gamma: float | None
    vanna: float | None
    charm: float | None
    residual: float | None
    settlement: float | None = None
    new_trades: float | None = None
    span_s: float | None = None


@metric_fields(None, lambda spec: (Metric, Metric(None, None, None, spec.unit, spec.sign, "absent", None)))
class Metrics(msgspec.Struct, frozen=True):
    """All metrics of `model.metrics`."""

    ngi: Metric
    vss: Metric
    chl: Metric
    volg: Metric
    hpp: Hpp
    psi: Metric
    hedge_flow: HedgeFlow
    unwind: Metric
    vega: Metric
    theta: Metric


class Levels(msgspec.Struct, frozen=True):
    """Strikes of note, USD."""

    call_wall: float | None
    put_wall: float | None
    key_gamma: float | None
    oi_wall: float | None
    max_pain: float | None


class Liquidity(msgspec.Struct, frozen=True):
    """Depth within 1 % of mid (15-minute median) and 24 h volume of spot and perpetuals, USD.

    `*_markets` are the markets in each sum, `*_missing` those of connected venues without fresh data: they make it
    partial, and None where they are most of them.
    """

    depth_1pct_usd: float | None
    adv_usd: float | None
    markets: int
    depth_markets: tuple[str, ...] = ()
    depth_missing: tuple[str, ...] = ()
    depth_quality: Quality = "ok"
    adv_markets: tuple[str, ...] = ()
    adv_missing: tuple[str, ...] = ()
    adv_quality: Quality = "ok"

    @property
    def flat_usd(self) -> float:
        """The size up to which a hedge is called flat, USD."""
        return flat_limit(self.depth_1pct_usd)


class Context(msgspec.Struct, frozen=True):
    """Market context of the strip above the screen: fractions, not per cent; returns are log returns of spot."""

    dvol: float | None
    atm_iv: float | None
    funding: float | None
    basis: float | None
    next_expiry: str | None
    next_expiry_hours: float | None
    return_1h: float | None
    return_15m: float | None


class Feed(msgspec.Struct, frozen=True):
    """One connection: state in one word ("slow": live, but silent), age of its newest data, latency and clock offset.

    `clock_ms` is positive where our clock is ahead. `greeks_checked` are the options whose greeks the venue publishes
    and that were compared with ours, `greeks_differing` those of them that differ by more than rounding.
    """

    name: str
    state: str
    age_s: float | None
    lag_ms: float | None
    frames: int
    rejected: int
    reconnects: int
    note: str
    clock_ms: float | None = None
    greeks_checked: int = 0
    greeks_differing: int = 0


class Alert(msgspec.Struct, frozen=True):
    """A change that matters to a trader: kind is SCENE, FLIP, FEED, LIMIT, or RULE for a rule of the configuration.

    `cause` is "spot" or "book" for a flip: which of the two moved, and the name of a rule. `model` is "": all models.
    """

    ts_ns: int
    kind: str
    text: str
    underlying: str = ""
    model: str = ""
    cause: str = ""


@metric_fields("gauge", lambda spec: (float | None, None))
class ModelRow(msgspec.Struct, frozen=True):
    """The headline numbers of one position model, beside the others. As in `Metrics`; None where unknown."""

    model: str
    ngi: float | None
    vss: float | None
    chl: float | None
    volg: float | None
    flip: float | None
    flip_net: int  # the sign that holds throughout where there is no flip
    hpp: float | None = None
    psi: float | None = None
    bucket: int = 0
    coverage: float | None = None


class Views:
    """Detail of a snapshot and snapshots of the other position models at the same tick, built at the first look.

    `result` has all results of this model, and `inputs` the arguments of the tick, for what-if and explain; both are
    objects of `core`.
    """

    def __init__(
        self,
        builders: Mapping[str, Callable[[], FlowSnapshot]],
        result: object = None,
        build_detail: Callable[[], Detail] | None = None,
    ) -> None:
        self.result = result
        self.inputs: object = None
        self._builders = dict(builders)
        self._built: dict[str, FlowSnapshot] = {}
        self._build_detail = build_detail
        self._detail: Detail | UnsetType = UNSET

    @property
    def models(self) -> tuple[str, ...]:
        """The models that can be looked at."""
        return tuple(self._builders)

    def snapshot(self, model: str) -> FlowSnapshot | None:
        """The snapshot under `model`; None where it was not computed."""
        if model not in self._built and model in self._builders:
            self._built[model] = self._builders[model]()
        return self._built.get(model)

    @property
    def detail(self) -> Detail | UnsetType:
        """The tables of this model; unset where nothing builds them."""
        if self._detail is UNSET and self._build_detail is not None:
            self._detail = self._build_detail()
        return self._detail


class Detail(msgspec.Struct, frozen=True):
    """Tables for the screen; left out of the JSON unless requested.

    `transitions` are the last changes of the scenario, the newest first.
    """

    heatmap: HeatMap
    profile: Profile
    tape: tuple[TapeRow, ...]
    alerts: tuple[Alert, ...]
    positions: tuple[PositionRow, ...] = ()
    changes: Changes = Changes()
    transitions: tuple[ScenarioChange, ...] = ()


class FlowSnapshot(msgspec.Struct, frozen=True):
    """All results for one underlying at one tick. Equal inputs give equal bytes.

    `session` names the run of dfmon that published it: another one after a restart, and in a replay that of its
    recording. `rule_alerts` are the last alerts of the configured rules, newest first, unset where there are none. The
    engine knows neither.
    `tables` are the detail of a snapshot that was read or completed, "detail" in the JSON. `views` build it in the
    process that made the snapshot, and never leave it.
    """

    schema: int
    seq: int
    ts: str
    ts_ns: int
    state: State
    underlying: str
    spot: float | None
    instruments: int
    positions: Positions
    metrics: Metrics
    flip: Flip
    scenario: Scenario
    levels: Levels
    by_expiry: tuple[ExpiryRow, ...]
    by_strike: tuple[StrikeRow, ...]
    liquidity: Liquidity
    context: Context
    feeds: tuple[Feed, ...]
    unavailable: tuple[str, ...]
    models: tuple[ModelRow, ...] = ()
    regime: Regime = Regime()
    micro: Micro = Micro()
    numeraire: Literal["usd", "coin"] = "usd"
    stickiness: Literal["strike", "moneyness"] = "strike"
    largest_changes: tuple[LargestChange, ...] = ()
    roll: RollReport | None = None
    freshness: Freshness | None = None  # of a program that did not measure it
    features: Features = Features()
    outlook: tuple[OutlookRow, ...] = ()
    unwind: Unwind = Unwind()
    volatility_beta: tuple[TenorBeta, ...] = ()
    score: Score = Score()
    options_venue: str = ""  # as it is shown; unknown in a snapshot of an older program
    session: str | UnsetType = UNSET  # unset in a snapshot of an older program, of a board or a capture
    rule_alerts: tuple[Alert, ...] | UnsetType = UNSET
    tables: Detail | UnsetType = msgspec.field(default=UNSET, name="detail")
    views: Views | UnsetType = UNSET

    @property
    def detail(self) -> Detail | UnsetType:
        """The tables, built at the first look; unset in a snapshot that was published without them."""
        return self.tables if self.tables is not UNSET or self.views is UNSET else self.views.detail

    def view(self, model: str) -> FlowSnapshot:
        """The same tick under another position model; this one where it was not computed."""
        return (None if self.views is UNSET else self.views.snapshot(model)) or self

    def without_views(self) -> FlowSnapshot:
        """The snapshot alone with its detail, which does not retain the results of its tick."""
        return self if self.views is UNSET else msgspec.structs.replace(self, tables=self.detail, views=UNSET)

    def digest(self) -> str:
        """SHA-256 of the snapshot as the engine made it: equal for a session and its replay."""
        made = msgspec.structs.replace(self.without_views(), session=UNSET, rule_alerts=UNSET)
        return hashlib.sha256(msgspec.msgpack.encode(made)).hexdigest()


def to_json(snapshot: FlowSnapshot, mode: State, *, detail: bool = False) -> bytes:
    """The public JSON object, on one line.

    `mode` is the kind of session (live, sim, replay); a stale snapshot stays "stale". A NaN would be written as null.
    """
    state: State = "stale" if snapshot.state == "stale" else mode
    published = msgspec.structs.replace(snapshot, state=state, tables=snapshot.detail if detail else UNSET, views=UNSET)
    return msgspec.json.encode(published)


def from_json(data: bytes) -> FlowSnapshot:
    """The snapshot behind a JSON object of `to_json`. Raises msgspec.ValidationError on anything else."""
    return msgspec.json.decode(data, type=FlowSnapshot)


@metric_fields("history", lambda spec: (float, NAN))
class MetricRow(msgspec.Struct, frozen=True, gc=False):
    """One row of history, for charts and gauges. NaN where the snapshot had no value; a stale one makes a gap.

    `edge_below` and `edge_above` are the edges of the regime, USD.
    """

    ts_ns: int
    spot: float
    flip: float
    ngi: float
    vss: float
    chl: float
    volg: float
    hpp: float
    psi: float
    bucket: int
    coverage: float
    edge_below: float = NAN
    edge_above: float = NAN

    @classmethod
    def gap(cls, ts_ns: int) -> MetricRow:
        """A row without values."""
        return cls(ts_ns, NAN, NAN, bucket=0, coverage=NAN, **dict.fromkeys(metrics_at("history"), NAN))

    @classmethod
    def from_snapshot(cls, snapshot: FlowSnapshot) -> MetricRow:
        if snapshot.state == "stale":
            return cls.gap(snapshot.ts_ns)
        return cls(
            ts_ns=snapshot.ts_ns,
            spot=_nan_if_none(snapshot.spot),
            flip=_nan_if_none(snapshot.flip.level),
            bucket=snapshot.scenario.bucket or 0,
            coverage=_nan_if_none(snapshot.positions.coverage),
            edge_below=_level_or_nan(snapshot.regime.below),
            edge_above=_level_or_nan(snapshot.regime.above),
            **{name: _nan_if_none(getattr(snapshot.metrics, name).value) for name in metrics_at("history")},
        )

    @classmethod
    def from_model(cls, snapshot: FlowSnapshot, row: ModelRow) -> MetricRow:
        """The row of another position model of the same snapshot."""
        if snapshot.state == "stale":
            return cls.gap(snapshot.ts_ns)
        return cls(
            ts_ns=snapshot.ts_ns,
            spot=_nan_if_none(snapshot.spot),
            flip=_nan_if_none(row.flip),
            bucket=row.bucket,
            coverage=_nan_if_none(row.coverage),
            **{name: _nan_if_none(getattr(row, name, None)) for name in metrics_at("history")},
        )


def _level_or_nan(edge: RegimeEdge | None) -> float:
    return NAN if edge is None else edge.level


def _nan_if_none(value: float | None) -> float:
    return NAN if value is None else value
