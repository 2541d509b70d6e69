"""One snapshot as plain text, at most 100 columns: for pipes, mails and screen readers. No colour, no control codes."""

from __future__ import annotations

from dfmon.model.snapshot import FlowSnapshot, Metric, State
from dfmon.model.units import clean

WIDTH = 100


def as_text(snapshot: FlowSnapshot, mode: State) -> str:
    """The snapshot in the order in which a trader reads it; ends with a newline."""
    lines = [*_head(snapshot, mode), "", *_metrics(snapshot), "", *_expiries(snapshot), "", *_caveats(snapshot)]
    return "".join(f"{clean(line, WIDTH)}\n" for line in lines)


def _head(s: FlowSnapshot, mode: State) -> list[str]:
    scene, flip = s.scenario, s.flip
    word = "STALE" if s.state == "stale" else mode.upper()
    overlay = f"  {scene.overlay}" if scene.overlay else ""
    none = None if flip.p_none is None else flip.p_none * 100
    board = f"{s.instruments} options   positions {_positions(s)}"
    size = "material" if scene.material else "immaterial"
    band = f"{number(flip.lo)} .. {number(flip.hi)}"
    away = f"   spot is {number(flip.distance_pct, 2, '%')} ({number(flip.distance_sigma, 1, ' sd')}) from it"
    level = number(flip.level)
    if flip.level is None and flip.searched is not None:
        level, away = f"none from {number(flip.searched[0])} to {number(flip.searched[1])}", ""
    return [
        f"{s.underlying} {number(s.spot)}   {word} {s.ts}   {board}",
        f"{scene.bucket} {scene.name}   dealers {scene.side.upper()}   {size}   {scene.confidence:.0%} sure{overlay}",
        f"why: {'; '.join(scene.reasons)}",
        f"G-Flip {level}   band {band}   none {number(none, 0, '%')}{away}",
    ]


def _positions(s: FlowSnapshot) -> str:
    if s.positions.coverage is None:
        return s.positions.model
    return f"{s.positions.model}, cover {s.positions.coverage:.0%}{' warming' if s.positions.warming else ''}"


def _metrics(s: FlowSnapshot) -> list[str]:
    names = ("ngi", "vss", "chl", "volg", "hpp", "psi", "hedge_flow", "unwind")
    rows = [_metric(name, getattr(s.metrics, name)) for name in names]
    return [f"{'':10}{'value':>9}{'5 %':>10}{'95 %':>10}  {'unit':18} how to read it", *rows]


def _metric(name: str, metric: Metric) -> str:
    value, low, high = short(metric.value), short(metric.lo), short(metric.hi)
    mark = {"ok": " ", "partial": "!", "stale": "~", "absent": " "}[metric.quality]
    return f"{name.upper():10}{value:>9}{mark}{low:>9}{high:>10}  {metric.unit:18} {metric.sign}"


def _expiries(s: FlowSnapshot) -> list[str]:
    head = f"{'EXPIRY':9}{'HOURS':>8}{'FORWARD':>12}{'ATM IV':>8}{'NGI':>10}{'VSS':>10}{'CHL':>10}{'OI':>11}"
    rows = [
        f"{row.label:9}{row.hours:8.1f}{number(row.forward):>12}{number(_percent(row.atm_iv), 1, '%'):>8}"
        f"{short(row.ngi):>10}{short(row.vss):>10}{short(row.chl):>10}{row.open_interest:11,.0f}"
        for row in s.by_expiry
    ]
    return [head, *rows]


def _caveats(s: FlowSnapshot) -> list[str]:
    key = "! partial input   ~ stale   exposures in USD, + and - read as the last column says"
    model = "A model, not a measurement: Deribit book only, OTC and ETF options unseen, dealers as one desk."
    return [key, model, *(f"n/a: {reason}" for reason in s.unavailable)]


def _percent(value: float | None) -> float | None:
    return None if value is None else value * 100.0


def number(value: float | None, digits: int = 1, unit: str = "") -> str:
    """A plain number with thousands, or n/a.

    >>> number(98412.5), number(None), number(-2.5, 2, '%')
    ('98,412.5', 'n/a', '-2.50%')
    """
    return "n/a" if value is None else f"{value:,.{digits}f}{unit}"


def short(value: float | None) -> str:
    """A signed number with k, M or B, or n/a.

    >>> short(-38_200_000.0), short(126_032.0), short(0.21), short(None)
    ('-38.20M', '+126.03k', '+0.210', 'n/a')
    """
    if value is None:
        return "n/a"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:+.2f}{letter}"
    return f"{value:+.3f}"
