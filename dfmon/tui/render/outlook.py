"""Hedges of dealers if spot moves, if it stays, at the settlement, and those of the last minutes; then hedge pressure.

One row for each case, with its band and a bar on one scale: to the left dealers sell, to the right they buy.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from dfmon.model.hedging import Hedge, hedge_verb, settlement_hedge, with_doubt
from dfmon.model.snapshot import FlowSnapshot, Hpp
from dfmon.tui.render.box import divider
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_band,
    format_usd,
    join_by_priority,
    linked,
    quality_mark,
    quality_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import bar_runs

_CASES: Final = (
    ("+1 %", "spot +1%"), ("-1 %", "spot -1%"), ("+1 sd", "+1 sd hour"), ("-1 sd", "-1 sd hour"), ("1 h", "stays, hour")
)  # fmt: skip
_UNTIL: Final = "until 07:30"
_NARROW_CASES: Final = ("+1 sd hour", "-1 sd hour", "did")  # the first line has the others
_BARS: Final = ("bar.sell", "bar.buy")
_GLYPHS: Final = {"buy": "▲", "sell": "▼"}
_PAST: Final = {"buy": "BOUGHT", "sell": "SOLD"}


class HedgeRow(NamedTuple):
    """A hedge trade of dealers, USD, + = dealers buy, with its band; `done` for one of the past.

    `verb` is as sure as the sign of the positions, and for a settlement as that of the hedge held now.
    """

    label: str
    value: float | None
    lo: float | None
    hi: float | None
    verb: str
    done: bool = False


def hedge_rows(snapshot: FlowSnapshot) -> list[HedgeRow]:
    """The rows in the order of the screen."""
    unwind, flow = snapshot.unwind, snapshot.metrics.hedge_flow
    has_trades = not snapshot.positions.warming and snapshot.state != "stale"

    def row(label: str, trade: Hedge, deciding: Hedge | None = None) -> HedgeRow:
        if not has_trades:
            return HedgeRow(label, None, None, None, "n/a")
        verb = hedge_verb(*with_doubt(snapshot.positions, *(deciding or trade)), snapshot.liquidity.flat_usd)
        return HedgeRow(label, *trade, verb)

    found = {case.case: case for case in snapshot.outlook}
    rows = [row(label, (found[case].value, found[case].lo, found[case].hi)) for case, label in _CASES if case in found]
    if unwind.minutes_left:
        rows.append(row("08:00 left", (unwind.left, None, None)))
    elif unwind.at_window is not None:
        rows.append(row(_UNTIL, (unwind.until_window, unwind.until_window_lo, unwind.until_window_hi)))
        band = unwind.at_window, unwind.at_window_lo, unwind.at_window_hi
        rows.append(row("08:00 settle", band, settlement_hedge(unwind)))
    past = row(f"did, {(flow.span_s or 900.0) / 60:.0f} min", (flow.value, flow.lo, flow.hi))
    return [*rows, past._replace(done=True)]


def outlook_rows(frame: Frame, snapshot: FlowSnapshot, width: int, height: int) -> list[Row]:
    """The rows that fit."""
    rows, flat_usd = hedge_rows(snapshot), snapshot.liquidity.flat_usd
    if width < 42:
        rows = [row for row in rows if row.label.startswith(_NARROW_CASES)]
        return [_hedge_row(frame, row, width, 0.0, flat_usd) for row in rows[:height]]
    pressure = _pressure_rows(frame, snapshot, width)
    if len(rows) + len(pressure) >= height:
        rows = [row for row in rows if row.label != _UNTIL]
    scale = max((abs(row.value) for row in rows if row.value is not None), default=0.0)
    title: list[Run] = [("OUTLOOK", "title"), ("  what dealers do if .." if width >= 56 else "  dealers, if ..", "dim")]
    tail: list[Run] = [("◂", "dim"), ("sell", "sell"), ("│", "axis"), ("buy", "buy"), ("▸", "dim")]
    out = [divider(title, tail, width), *(_hedge_row(frame, row, width, scale, flat_usd) for row in rows)]
    if len(out) + len(pressure) < height:
        out.append(_part_row(snapshot, width))
    return [*out, *pressure][:height]


def _hedge_row(frame: Frame, row: HedgeRow, width: int, scale: float, flat_usd: float) -> Row:
    """` spot +1%     ▼ SELL  15.8M -19.6M..-10.7M ····▐██│····`."""
    verb = row.verb
    text = _PAST.get(verb, verb) if row.done else verb.upper() if verb in _GLYPHS else verb
    style = frame.dim_if_stale(verb if verb in _GLYPHS else "absent" if row.value is None else "dim")
    amount = "" if row.value is None else format_usd(abs(row.value), plus=False)
    if verb == "flat":
        amount = f"< {format_usd(flat_usd, plus=False)}"
    runs: list[Run] = [
        (f" {row.label:<12.12}", "text" if not row.done else "label"),
        (f" {_GLYPHS.get(verb, '■')} {text:<6}", style),
        (f"{amount:>7}", frame.dim_if_stale("strong" if verb in _GLYPHS else "dim")),
    ]
    if width >= 42:
        has_band = width >= 56
        if has_band:
            band = "" if row.lo is None or row.hi is None else f"{format_usd(row.lo)}..{format_usd(row.hi)}"
            runs.append((f" {band:>15}", "dim"))
        half = max(1, (width - (46 if has_band else 30)) // 2)
        styles = _BARS if verb in _GLYPHS and not frame.stale else ("dim", "dim")
        runs += [(" ", "text"), *bar_runs(0.0 if verb == "flat" else row.value, scale, half, styles, (row.lo, row.hi))]
    name = "hedge_flow" if row.done else "unwind" if row.label.startswith("08:00") else "outlook"
    return fit(linked(runs, f"explain {name}"), width)


def _part_row(snapshot: FlowSnapshot, width: int) -> Row:
    """` of it gamma +0.1M  vanna ..   new trades +1.2M`: parts of what dealers did, and what is not in it."""
    flow = snapshot.metrics.hedge_flow
    names = ("gamma", "vanna", "charm", "settlement")
    parts: list[tuple[int, tuple[Run, ...]]] = [(0, ((" of it", "dim"),))]
    parts += [(2 + i, ((f"{name} ", "dim"), (format_usd(getattr(flow, name)), "text"))) for i, name in enumerate(names)]
    parts.append((1, (("besides new trades ", "dim"), (format_usd(flow.new_trades), "text"))))
    return fit(linked(join_by_priority(parts, width, gap=1), "explain hedge_flow"), width)


def _pressure_rows(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Row]:
    """HPP with its terms where it has them, then the hedges against the volume."""
    hpp = snapshot.metrics.hpp
    terms = [] if hpp.gamma_term is None else [_term_row(hpp, width)]
    return [_pressure_row(frame, hpp, width), *terms, _share_row(snapshot, width)]


def _pressure_row(frame: Frame, hpp: Hpp, width: int) -> Row:
    """`HPP -20.7M + sell, - buy   a 1.22  b 0.13  prior`."""
    number = format_usd(hpp.value) + quality_mark(hpp, frame.stale).strip()
    status = (cell_text(hpp.status, 20), "dim" if hpp.calibrated else "warn")
    factors: tuple[Run, ...] = ()
    if hpp.value is not None and hpp.alpha is not None and hpp.beta is not None:
        factors = ((f"a {hpp.alpha:.2g}  b {hpp.beta:.2g}", "dim"),)
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((" HPP ", "label"), (number, quality_style(hpp, frame.stale)), (" + sell, - buy", "dim"))),
        (1, factors),
        (2, (status,) if hpp.value is not None else ()),
        (3, ((format_band(hpp.lo, hpp.hi), "dim"),)),
    ]
    return fit(linked(join_by_priority(parts, width), "explain hpp"), width)


def _term_row(hpp: Hpp, width: int) -> Row:
    """The three terms of HPP."""
    terms = (("gamma", hpp.gamma_term), ("vanna", hpp.vanna_term), ("charm", hpp.charm_term))
    parts: list[tuple[int, tuple[Run, ...]]] = [(0, ((" of it", "dim"),))]
    parts += [(1 + i, ((f"{name} ", "dim"), (format_usd(term), "text"))) for i, (name, term) in enumerate(terms)]
    return fit(linked(join_by_priority(parts, width, gap=1), "explain hpp"), width)


def _share_row(snapshot: FlowSnapshot, width: int) -> Row:
    """`phi g .0033 > mid .0021  v .0046  c .0000   material`: hedges against the volume of the hour."""
    features = snapshot.features
    gamma, mid = features.phi_gamma.value, features.phi_gamma.mid
    against = "" if gamma is None or mid is None else f" {'>' if gamma >= mid else '<'} mid {_share(mid)}"
    materiality = {True: "material", False: "immaterial", None: "size unknown"}[snapshot.scenario.material]
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((" phi ", "label"), (f"g {_share(gamma)}{against}", "text"))),
        (1, ((f"v {_share(features.phi_vanna.value)}  c {_share(features.phi_charm.value)}", "text"),)),
        (2, ((materiality, "text" if snapshot.scenario.material else "dim"),)),
    ]
    return fit(linked(join_by_priority(parts, width), "explain material"), width)


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}".removeprefix("0")
