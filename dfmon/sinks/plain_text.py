"""One snapshot as plain text of at most 100 columns, without colours or control codes: for pipes and screen readers."""

from __future__ import annotations

from itertools import chain
from textwrap import wrap

from dfmon.model.hedging import OutlookRow, hedge_verb, settlement_hedge
from dfmon.model.metrics import metrics_at
from dfmon.model.regime_text import snapshot_regime, two_sided_text
from dfmon.model.scenario import Features
from dfmon.model.snapshot import FlowSnapshot, Metric, Metrics, ModelRow, State
from dfmon.model.units import sanitize

WIDTH = 100
_FLOW_PARTS = ("gamma", "vanna", "charm", "settlement")


def format_snapshot(snapshot: FlowSnapshot, mode: State) -> str:
    """The snapshot in a trader's reading order; ends with a newline."""
    metrics = [*_metrics(snapshot), *_hedge_flow(snapshot), *_outlook(snapshot), *_unwind(snapshot)]
    parts = _head(snapshot, mode), [""], metrics, [""], _models(snapshot), _expiries(snapshot), [""]
    lines = [*chain.from_iterable(parts), *_caveats(snapshot)]
    return "".join(f"{sanitize(line, WIDTH)}\n" for line in lines)


def _head(s: FlowSnapshot, mode: State) -> list[str]:
    scenario, flip = s.scenario, s.flip
    state_label = mode.upper()
    if s.state == "stale":
        state_label = "STALE" if s.freshness is None else f"STALE ({s.freshness.stale})"
    overlay = f"  {scenario.overlay}" if scenario.overlay else ""
    none_pct = None if flip.p_none is None else flip.p_none * 100
    counts = f"{s.instruments} options   positions {_positions(s)}"
    bucket = "" if scenario.bucket is None else f"{scenario.bucket} "
    materiality = {True: "material", False: "immaterial", None: "size unknown"}[scenario.material]
    confidence = "" if scenario.confidence is None else f"   {scenario.confidence:.0%} of members agree"
    band = f"{format_number(flip.lo)} .. {format_number(flip.hi)}"
    distance = (
        f"   spot is {format_number(flip.distance_pct, 2, '%')} "
        f"({format_number(flip.distance_sigma, 1, ' sd')}) from it"
    )
    level = format_number(flip.level)
    if flip.level is None and flip.searched is not None:
        level, distance = f"none from {format_number(flip.searched[0])} to {format_number(flip.searched[1])}", ""
    side = f"dealers {two_sided_text(s) if scenario.side == 'two-sided' else scenario.side.upper()}"
    return [
        *wrap(f"{s.underlying} {format_number(s.spot)}   {state_label} {s.ts}   {counts}", WIDTH),
        f"{bucket}{scenario.name}{' (armed)' if scenario.armed else ''}   {side}   {materiality}{confidence}{overlay}",
        *wrap(f"why: {'; '.join(scenario.reasons)}", WIDTH, subsequent_indent="     "),
        *_features(s.features),
        f"G-Flip {level}   band {band}   none {format_number(none_pct, 0, '%')}{distance}",
        *_regime(s),
    ]


def _features(f: Features) -> list[str]:
    """The inputs of the scenario rules that are known; a share of volume with its middle threshold."""
    shares = {"gamma": f.phi_gamma, "vanna": f.phi_vanna, "charm": f.phi_charm, "liquidations": f.liquidations}
    known = [
        f"{name} {format_number(_percent(share.value), 1, '%')} of {format_number(_percent(share.mid), 1, '%')}"
        for name, share in shares.items()
        if share.value is not None
    ]
    parts = [f"share of volume and threshold: {', '.join(known)}"] if known else []
    parts += [f"z {format_number(f.z.value, 2)}"] if f.z.value is not None else []
    parts += [f"psi up to {format_number(f.psi.value, 2)} in 90% of members"] if f.psi.value is not None else []
    return wrap("; ".join(parts), WIDTH, subsequent_indent="     ")


def _regime(s: FlowSnapshot) -> list[str]:
    """The regime and the flips by horizon; nothing where the snapshot has none."""
    sentence = snapshot_regime(s)
    if sentence is None:
        return []
    agree = "" if s.regime.agree is None else f"   {s.regime.agree:.0%} of members agree"
    flips = "   ".join(
        f"{row.horizon} {format_number(row.level, 0)} {row.direction or ''}".strip() for row in s.flip.by_horizon
    )
    return [f"{sentence}{agree}", f"flips by expiry: {flips}"]


def _positions(s: FlowSnapshot) -> str:
    model = f"{s.positions.model}{_assumptions(s)}"
    if s.positions.coverage is None:
        return model
    undecided = f", {s.positions.sign_caveat}" if s.positions.sign_caveat else ""
    return f"{model}, cover {s.positions.coverage:.0%}{' warming' if s.positions.warming else ''}{undecided}"


def _assumptions(s: FlowSnapshot) -> str:
    return f"{', coin' if s.numeraire == 'coin' else ''}{', sticky moneyness' if s.stickiness == 'moneyness' else ''}"


def _metrics(s: FlowSnapshot) -> list[str]:
    shown = frozenset(metrics_at("text"))
    names = [name for name in Metrics.__struct_fields__ if name in shown]
    rows = [_metric(name, getattr(s.metrics, name)) for name in names]
    doubt = [s.positions.sign_doubt] if s.positions.sign_doubt else []
    return [*doubt, f"{'':10}{'value':>9}{'5 %':>10}{'95 %':>10}  {'unit':18} how to read it", *rows]


def _metric(name: str, metric: Metric) -> str:
    value, low, high = format_signed(metric.value), format_signed(metric.lo), format_signed(metric.hi)
    quality_mark = {"ok": " ", "partial": "!", "stale": "~", "absent": " "}[metric.quality]
    return f"{name.upper():10}{value:>9}{quality_mark}{low:>9}{high:>10}  {metric.unit:18} {metric.sign}"


def _models(s: FlowSnapshot) -> list[str]:
    """The position models side by side; the published one is marked."""
    if len(s.models) < 2:
        return []
    names = metrics_at("gauge")
    header = f"  {'POSITIONS':10}" + "".join(f"{name.upper():>10}" for name in names) + f"{'FLIP':>11}"
    rows = []
    for row in s.models:
        mark = "*" if row.model == s.positions.model else " "
        values = "".join(f"{format_signed(getattr(row, name)):>10}" for name in names)
        rows.append(f"{mark} {row.model:10}{values}{_flip_level(row):>11}")
    return [header, *rows, ""]


def _flip_level(row: ModelRow) -> str:
    return "none" if row.flip is None and row.ngi is not None else format_number(row.flip)


def _hedge_flow(s: FlowSnapshot) -> list[str]:
    flow = s.metrics.hedge_flow
    if flow.value is None:
        return []
    parts = "  ".join(f"{name} {format_signed(getattr(flow, name))}" for name in _FLOW_PARTS)
    return [f"of which: {parts};  new trades {format_signed(flow.new_trades)}"]


def _outlook(s: FlowSnapshot) -> list[str]:
    trades = (f"{row.case}: {format_trade(row.value)}{_unsure(row)}" for row in s.outlook)
    return [f"outlook: {', '.join(trades)}"] if s.outlook else []


def _unsure(row: OutlookRow) -> str:
    """A mark where the band of the trade holds 0."""
    return " (unsure)" if row.lo is not None and row.hi is not None and row.lo <= 0.0 <= row.hi else ""


def _unwind(s: FlowSnapshot) -> list[str]:
    unwind = s.unwind
    if not unwind.value:
        return []
    if unwind.left:
        return [f"settlement: {format_trade(unwind.left)} left, {format_trade(unwind.per_minute)} a minute"]
    until = format_trade(unwind.until_window)
    value, low, high = settlement_hedge(unwind)
    at_window = format_trade(value)
    if hedge_verb(value, low, high, s.liquidity.flat_usd) == "unsure":
        at_window = f"unsure, {format_trade(low)} to {format_trade(high)},"
    return [f"next settlement: {at_window} from 07:30 to 08:00 UTC, until then {until}"]


def _expiries(s: FlowSnapshot) -> list[str]:
    header = f"{'EXPIRY':9}{'HOURS':>8}{'FORWARD':>12}{'ATM IV':>8}{'NGI':>10}{'VSS':>10}{'CHL':>10}{'OI':>11}"
    rows = [
        f"{row.label:9}{row.hours:8.1f}{format_number(row.forward):>12}{format_number(_percent(row.atm_iv), 1, '%'):>8}"
        f"{format_signed(row.ngi):>10}{format_signed(row.vss):>10}{format_signed(row.chl):>10}{row.open_interest:11,.0f}"
        for row in s.by_expiry
    ]
    return [header, *rows]


def _caveats(s: FlowSnapshot) -> list[str]:
    legend = "! partial input   ~ stale   exposures in USD, + and - read as the last column says"
    book = f"{s.options_venue} book" if s.options_venue else "book of one venue"
    model = f"A model, not a measurement: {book} only, OTC and ETF options unseen, dealers as one desk."
    reasons = (line for reason in s.unavailable for line in wrap(f"n/a: {reason}", WIDTH, subsequent_indent="     "))
    return [legend, model, *reasons]


def _percent(value: float | None) -> float | None:
    return None if value is None else value * 100.0


def format_number(value: float | None, digits: int = 1, unit: str = "") -> str:
    """A plain number with thousands, or n/a.

    >>> format_number(98412.5), format_number(None), format_number(-2.5, 2, '%')
    ('98,412.5', 'n/a', '-2.50%')
    """
    return "n/a" if value is None else f"{value:,.{digits}f}{unit}"


def format_trade(value: float | None) -> str:
    """A trade of dealers in words, or n/a.

    >>> format_trade(2_600_000.0), format_trade(-400_000.0), format_trade(None)
    ('buy 2.60M', 'sell 400.00k', 'n/a')
    """
    return "n/a" if value is None else f"{'sell' if value < 0.0 else 'buy'} {format_signed(abs(value))[1:]}"


def format_signed(value: float | None) -> str:
    """A signed number with k, M or B, or n/a.

    >>> format_signed(-38_200_000.0), format_signed(126_032.0), format_signed(0.21), format_signed(None)
    ('-38.20M', '+126.03k', '+0.210', 'n/a')
    """
    if value is None:
        return "n/a"
    for materiality, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= materiality:
            return f"{value / materiality:+.2f}{letter}"
    return f"{value:+.3f}"
