"""Snapshots with plausible numbers for a market that never moves: equal calls give equal snapshots."""

from __future__ import annotations

import math
import random
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import replace

from dfmon.model.flip import Flip, FlipRoot, Regime, RegimeEdge
from dfmon.model.freshness import Freshness, InputAge
from dfmon.model.hedging import OutlookRow, Unwind
from dfmon.model.positions import Positions
from dfmon.model.scenario import Scenario
from dfmon.model.snapshot import (
    Alert,
    Context,
    Detail,
    Feed,
    FlowSnapshot,
    HedgeFlow,
    Hpp,
    Levels,
    Liquidity,
    Metric,
    MetricRow,
    Metrics,
    ModelRow,
)
from dfmon.model.tables import ExpiryRow, HeatMap, PositionRow, Profile, Sources, StrikeRow, TapeRow
from dfmon.model.units import HOUR, MINUTE, SECOND, expiry_label, iso
from tests.structs import empty

NOW = 1_795_356_187_000_000_000  # 2026-11-22T14:03:07Z
SPOT = 98_412.5
FLIP = 100_900.0
STRIKES = tuple(
    float(k)
    for k in (
        70_000, 75_000, 80_000, 82_000, 84_000, 86_000, 88_000, 90_000, 92_000, 94_000, 95_000, 96_000, 97_000,
        98_000, 99_000, 100_000, 101_000, 102_000, 103_000, 104_000, 105_000, 106_000, 108_000, 110_000, 112_000,
        115_000, 120_000, 125_000, 130_000, 140_000,
    )
)  # fmt: skip
DAYS = (1, 2, 5, 12, 33, 68, 124, 215)
EXPIRIES = tuple(expiry_label(NOW + d * 24 * HOUR - 6 * HOUR) for d in DAYS)


def metric(value: float | None, lo: float | None = None, hi: float | None = None) -> Metric:
    return Metric(value, lo, hi, unit="USD", sign="", quality="ok" if value is not None else "absent", age_s=0.4)


def metrics() -> Metrics:
    hpp = Hpp(41.3e6, 22e6, 60e6, "USD", "", "ok", 0.4, alpha=0.9, beta=1.4, calibrated=True, ds_sign=-1)
    flow = HedgeFlow(
        -9.1e6, -20e6, 3e6, "USD", "", "ok", 0.4,
        gamma=-7e6, vanna=-1.5e6, charm=-0.6e6, residual=0.1e6, settlement=0.0, new_trades=1.2e6,
    )  # fmt: skip
    return empty(
        Metrics,
        ngi=metric(-38.2e6, -52e6, -21e6),
        vss=metric(12.4e6, 7e6, 18e6),
        chl=metric(-3.1e6, -5e6, -1e6),
        volg=metric(0.4e6, 0.0, 1e6),
        hpp=hpp,
        psi=metric(-0.21),
        hedge_flow=flow,
        unwind=metric(-14.6e6),
        vega=metric(2.1e6),
        theta=metric(-0.8e6),
    )


@cache
def heatmap(seed: int = 7) -> HeatMap:
    rng = random.Random(seed)

    def table(size: float, pivot: float, plus: bool = False) -> tuple[tuple[float | None, ...], ...]:
        rows = []
        for k in STRIKES:
            bell = math.exp(-(((k / SPOT - 1) / 0.09) ** 2))
            row = [
                None
                if d < 3 and abs(k / SPOT - 1) > 0.2
                else size * bell * (0.4 + rng.random()) * (1 if plus or k > pivot else -1)
                for d in DAYS
            ]
            rows.append(tuple(row))
        return tuple(rows)

    smile = tuple(tuple(0.48 + 0.8 * (k / SPOT - 1) ** 2 + 0.02 / d for d in DAYS) for k in STRIKES)
    return HeatMap(
        STRIKES,
        EXPIRIES,
        table(6e6, 100_500),
        table(2e6, SPOT),
        table(1e6, SPOT),
        table(0.3e6, 0.0),
        table(2400, 0, True),
        smile,
    )


@cache
def profile() -> Profile:
    spots = tuple(SPOT * math.exp(-0.2 + 0.4 * i / 80) for i in range(81))
    ngi = tuple(60e6 * math.tanh((s - FLIP) / 6000) * math.exp(-(((s - 98_000) / 14_000) ** 2)) + 1e5 for s in spots)
    return Profile(spots, ngi, tuple(v - 8e6 for v in ngi), tuple(v + 8e6 for v in ngi))


@cache
def tape(count: int = 60) -> tuple[TapeRow, ...]:
    rng = random.Random(3)
    rows = []
    for i in range(count):
        side, expiry = rng.choice((1, -1)), rng.choice(EXPIRIES)
        strike, kind = rng.choice(STRIKES[8:26]), rng.choice("CP")
        size = rng.choice((0.4, 12.5, 25.0, 40.0, 150.0))
        rows.append(
            TapeRow(
                ts_ns=NOW - i * 3 * SECOND - SECOND, side=side, name=f"BTC-{expiry}-{strike:.0f}-{kind}", expiry=expiry,
                strike=strike, option_type=kind, size=size, price=0.0495, iv=0.456, gamma=-side * size * 1.7e4,
                block=size >= 150, combo=i % 17 == 5,
            )
        )  # fmt: skip
    return tuple(rows)


def alerts() -> tuple[Alert, ...]:
    return (
        Alert(NOW - 16 * SECOND, "SCENE", "3 DRIFT -> 5 SQUEEZE  dealers SELL  conf 0.66"),
        Alert(NOW - 5 * MINUTE, "FEED", "okx reconnected after 12 s"),
        Alert(NOW - 22 * MINUTE, "FLIP", "spot crossed below flip 100,900"),
    )


def feeds() -> tuple[Feed, ...]:
    return (
        Feed("deribit.ticker", "live", 0.1, 42.0, 184_201, 0, 0, ""),
        Feed("deribit.trades", "live", 0.8, 40.0, 812, 0, 0, ""),
        Feed("binance.spot", "live", 0.0, 71.0, 42_118, 0, 1, ""),
        Feed("okx.swap", "slow", 6.2, 310.0, 9_301, 3, 2, "resubscribed 13:59Z"),
    )


def sources(net: float) -> Sources:
    """Origins that add up to a position."""
    shares = (0.5, 0.2, 0.05, -0.1, 0.0, 0.3, -0.02, 0.1)
    screen, block, rfq, combo, liquidation, openings, transfers, start = (round(net * share, 2) for share in shares)
    rest = round(net - (screen + block + rfq + combo + liquidation + openings + transfers + start), 2)
    return Sources(screen, block, rfq, combo, liquidation, openings, transfers, start, rest)


@cache
def positions() -> tuple[PositionRow, ...]:
    """Every kind of knowledge: sure, open, half seen, never printed, no band."""
    rng = random.Random(5)
    rows = []
    for expiry, day in zip(EXPIRIES, DAYS, strict=True):
        for strike in STRIKES[6:26]:
            for kind in "CP":
                oi = 2400 * math.exp(-(((strike / SPOT - 1) / 0.1) ** 2)) * (0.05 + rng.random())
                share, half = rng.uniform(-0.9, 0.7), rng.uniform(0.01, 0.3)
                low, high = max(-1.0, share - half), min(1.0, share + half)
                p_long = min(1.0, max(0.0, 0.5 + share / (2 * half)))
                never_printed = day > 100 and strike % 5000 != 0
                rows.append(
                    PositionRow(
                        name=f"BTC-{expiry}-{strike:.0f}-{kind}", expiry=expiry, strike=strike,
                        option_type="call" if kind == "C" else "put",
                        open_interest=round(oi, 1), net=round(oi * share, 2), lo=round(oi * low, 2),
                        hi=round(oi * high, 2), p_long=round(p_long, 3),
                        seen=0.0 if never_printed else rng.uniform(0.6, 1.0),
                        last_ns=None if never_printed else NOW - int(rng.expovariate(1 / 4000) * SECOND),
                        sources=sources(oi * share), full_history=day < 20, printed=round(3.1 * oi, 1),
                        lost=12.5 if never_printed else 0.0, change=round(1.7 * oi, 1),
                        unexplained=round(0.006 * oi, 2),
                    )
                )  # fmt: skip
    return tuple(rows)


def freshness() -> Freshness:
    spot, marks, forwards, open_interest, depth, volumes = (
        InputAge(0.3, limit, True) for limit in (5.0, 15.0, 75.0, 120.0, 10.0, 600.0)
    )
    return Freshness(spot, marks, forwards, open_interest, depth, volumes)


def unwind() -> Unwind:
    return Unwind(
        -11.0e6, -15.0e6, -6.0e6, at_window=-14.6e6, at_window_lo=-19.2e6, at_window_hi=-9.1e6,
        until_window=3.6e6, until_window_lo=1.1e6, until_window_hi=5.9e6,
    )  # fmt: skip


def outlook() -> tuple[OutlookRow, ...]:
    """Short gamma: dealers buy rises and sell falls; at rest too little to call."""
    return (
        OutlookRow("+1 %", 35.5e6, 18.0e6, 49.0e6, 38.2e6),
        OutlookRow("-1 %", -11.0e6, -19.0e6, -3.0e6, -14.1e6),
        OutlookRow("+1 sd", 14.2e6, 7.0e6, 20.0e6, 15.0e6),
        OutlookRow("-1 sd", -3.9e6, -9.0e6, 1.0e6, -4.2e6),
        OutlookRow("1 h", -0.05e6, -0.12e6, 0.05e6, 0.0),
    )


def models() -> tuple[ModelRow, ...]:
    """The four models, one of them with no flip."""
    return (
        ModelRow("flow", -38.2e6, 12.4e6, -3.1e6, 0.4e6, FLIP, -1),
        ModelRow("naive", 12.6e6, -4.0e6, 1.2e6, 0.1e6, 97_300.0, 1),
        ModelRow("short-all", -261.0e6, 48.0e6, -22.0e6, -3.1e6, None, -1),
        ModelRow("file", -30.1e6, 11.0e6, -2.9e6, None, 100_100.0, -1),
    )


def snapshot(**overrides: Any) -> FlowSnapshot:
    """The usual snapshot; any field can be replaced by name."""
    return msgspec.structs.replace(_usual_snapshot(), **overrides)


@cache
def _usual_snapshot() -> FlowSnapshot:
    hours = [24.0 * d - 6 for d in DAYS]
    return empty(
        FlowSnapshot,
        options_venue="Deribit",
        schema=1,
        seq=18_442,
        ts=iso(NOW),
        ts_ns=NOW,
        state="live",
        underlying="BTC",
        spot=SPOT,
        instruments=1_142,
        positions=Positions(
            "flow", 0.93, False, 182_000.0, churn=0.21, residual=0.031, venue_share=0.4,
            requests_checked=41, requests_differing=2, signal=0.12, signal_error=0.02, opening_slope=0.31,
            opening_slope_error=0.02, decided=True, residual_of_change=0.004, faults={"open interest jumps": 3},
        ),
        metrics=metrics(),
        models=models(),
        flip=Flip(
            FLIP, 100_200.0, 101_600.0, 0.02, 2487.5, 2.5, 1.2,
            (FlipRoot(FLIP, "up"),), (78_730.0, 118_095.0), -1, "ok", 0.4,
        ),
        scenario=Scenario(
            5, "SQUEEZE", "sell", True, 1_260.0, iso(NOW - 21 * MINUTE), 0.72,
            ("NGI < 0", "phi_g 0.81 >= mid", "z -0.9 toward short strikes 95,000-98,000"), "",
        ),
        levels=Levels(105_000.0, 95_000.0, 98_000.0, 100_000.0, 97_000.0),
        by_expiry=tuple(
            ExpiryRow(
                iso(NOW + int(h * HOUR)), label, h, SPOT * (1 + h / 1e5), 0.51, -4e6, 1e6, -3e5, 4e4, 0.0, 24_000.0,
                140, net=-9_400.0 + 2_600.0 * i, coverage=0.99 - 0.03 * i, churn=0.6 - 0.15 * i, residual=0.004 * i,
                sources=sources(-9_400.0 + 2_600.0 * i), full_history_net=-3_100.0, change=61_000.0, unexplained=210.0,
            )
            for i, (h, label) in enumerate(zip(hours, EXPIRIES, strict=True))
        ),
        by_strike=tuple(StrikeRow(k, -2e6, 1e6, -2e5, 3e4, 2_140.0, 3_880.0) for k in STRIKES),
        liquidity=Liquidity(182e6, 31.2e9, 4),
        context=Context(0.523, 0.51, 0.00008, 0.061, EXPIRIES[0], 17.93, 0.0042, 0.001),
        feeds=feeds(),
        unavailable=("theta: not asked for",),
        regime=Regime("short", 0.97, None, RegimeEdge(FLIP, 100_200.0, 101_600.0, "up", 0.98)),
        outlook=outlook(),
        unwind=unwind(),
        freshness=freshness(),
        tables=Detail(heatmap(), profile(), tape(), alerts(), positions()),
    )  # fmt: skip


def history(minutes: int = 240, step_s: int = 60, end_ns: int = NOW) -> list[MetricRow]:
    """A walk that ends at the usual snapshot."""
    return list(_walk(minutes, step_s, end_ns))


@cache
def _walk(minutes: int, step_s: int, end_ns: int) -> tuple[MetricRow, ...]:
    rng = random.Random(11)
    last = MetricRow.from_snapshot(snapshot())
    rows, spot, flip = [], SPOT, FLIP
    for i in range(minutes * 60 // step_s):
        rows.append(
            replace(
                last,
                ts_ns=end_ns - i * step_s * SECOND,
                spot=spot,
                flip=flip,
                ngi=last.ngi * (1 + 0.3 * math.sin(i / 17)),
                vss=last.vss * (1 + 0.4 * math.sin(i / 23)),
                chl=last.chl * (1 + 0.2 * math.cos(i / 31)),
                volg=last.volg * (1 + 0.5 * math.sin(i / 11)),
                hpp=last.hpp * (1 + 0.3 * math.sin(i / 13)),
            )
        )
        spot += rng.gauss(4.0, 28.0)
        flip += rng.gauss(0.0, 12.0)
    return tuple(reversed(rows))


def one_cell_changed(s: FlowSnapshot) -> FlowSnapshot:
    """The next snapshot, where only one cell of the spot row differs."""
    assert isinstance(s.detail, Detail)
    rows = [list(row) for row in s.detail.heatmap.ngi]
    spot_row = STRIKES.index(98_000.0)
    rows[spot_row][2], rows[spot_row][3] = (
        (rows[spot_row][2] or 0.0) - 2.1e6,
        (rows[spot_row][3] or 0.0) + 2.1e6,
    )  # the sum stays
    changed = msgspec.structs.replace(s.detail.heatmap, ngi=tuple(tuple(row) for row in rows))
    detail = msgspec.structs.replace(s.detail, heatmap=changed)
    return msgspec.structs.replace(s, seq=s.seq + 1, tables=detail)


def no_flip() -> FlowSnapshot:
    flip = Flip(None, None, None, 0.97, None, None, None, (), (49_206.0, 147_618.0), 1, "ok", 0.4)
    return snapshot(flip=flip, regime=Regime("long", 0.97))


def several_flips() -> FlowSnapshot:
    roots = (FlipRoot(91_200.0, "down"), FlipRoot(FLIP, "up"), FlipRoot(112_000.0, "down"))
    return snapshot(flip=msgspec.structs.replace(snapshot().flip, roots=roots))


def absent() -> FlowSnapshot:
    """Nothing could be computed."""
    return empty(
        FlowSnapshot,
        seq=18_442,
        ts=iso(NOW),
        ts_ns=NOW,
        underlying="BTC",
        positions=empty(Positions, model="flow", warming=True),
        metrics=empty(Metrics, hpp=empty(Hpp, alpha=1.0, beta=1.0)),
        scenario=empty(Scenario, name="UNKNOWN", side="none", overlay="UNKNOWN"),
        feeds=(empty(Feed, name="deribit.ticker", state="connecting"),),
        unavailable=("spot: no index price yet", "ngi: no option has a mark price"),
        tables=empty(Detail),
    )


def mixed_quality() -> FlowSnapshot:
    """One metric partial, one stale, one absent; coverage still warming."""
    m = metrics()
    change = msgspec.structs.replace
    mixed = change(m, ngi=change(m.ngi, quality="partial"), vss=change(m.vss, quality="stale"), chl=metric(None))
    return snapshot(metrics=mixed, positions=Positions("flow", 0.62, True, 90_000.0))


def conventional() -> FlowSnapshot:
    """A model that is a convention: no band, no history, nothing to reconcile."""
    base, change = snapshot(), msgspec.structs.replace
    assert isinstance(base.detail, Detail)
    without: dict[str, Any] = dict.fromkeys(("sources", "change", "unexplained"))
    rows_without_bands = tuple(
        change(r, lo=None, hi=None, p_long=None, seen=None, full_history=None, printed=None, lost=None, **without)
        for r in base.detail.positions
    )
    rows = tuple(
        change(r, coverage=None, churn=None, residual=None, full_history_net=None, **without) for r in base.by_expiry
    )
    unavailable = (
        "positions.coverage: positions naive do not rest on history",
        "by_expiry: positions naive are not reconciled",
    )
    return snapshot(
        positions=Positions("naive", None, False, 182_000.0),
        by_expiry=rows,
        models=models()[:3],
        unavailable=unavailable,
        tables=change(base.detail, positions=rows_without_bands),
    )


HOSTILE = "\x1b]0;owned\x07[red]x[/red][/]\x9b2J\u202e漢字"


def hostile() -> FlowSnapshot:
    """Foreign text that wants to be more than text."""
    base = snapshot()
    assert isinstance(base.detail, Detail)
    change = msgspec.structs.replace
    detail = change(
        base.detail,
        alerts=(Alert(NOW - SECOND, "FEED", HOSTILE),),
        tape=tuple(change(r, expiry=HOSTILE, name=HOSTILE, option_type=HOSTILE) for r in base.detail.tape),
        positions=tuple(change(r, expiry=HOSTILE, name=HOSTILE, option_type=HOSTILE) for r in base.detail.positions),
        heatmap=change(base.detail.heatmap, expiries=(HOSTILE,) * len(EXPIRIES)),
    )
    return snapshot(
        tables=detail,
        underlying=HOSTILE,
        scenario=change(base.scenario, name=HOSTILE, reasons=(HOSTILE,), overlay=HOSTILE),
        positions=change(base.positions, model=HOSTILE),
        models=tuple(change(r, model=HOSTILE) for r in base.models),
        by_expiry=tuple(change(r, label=HOSTILE, expiry=HOSTILE) for r in base.by_expiry),
        feeds=(Feed(HOSTILE, HOSTILE, 0.1, 1.0, 1, 0, 0, HOSTILE),),
        unavailable=(HOSTILE,),
    )
