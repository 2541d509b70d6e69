"""The table of strikes on the positions sheet: net and gross position, churn, and the class shares that are assumed."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from dfmon.core.positions.print_kinds import KIND_NAMES, PositionPriors
from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    fit,
    format_coins,
    format_level,
    format_usd,
    linked,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import visible_range
from dfmon.tui.what_if_controls import tick_of

_NAMES: Final = ("OI C", "OI P", "NET", "GROSS", "CHURN", "NGI")
_CELL: Final = 10


def strikes(frame: Frame, snapshot: FlowSnapshot, width: int, height: int) -> list[Row]:
    """Strikes around spot, the highest first; under them the shares of each kind of print."""
    shares = _share_rows(frame, width)
    names = _NAMES[: max(2, min(len(_NAMES), (width - 10) // _CELL))]
    head = f" {'STRIKE':<9}" + "".join(f"{name:>{_CELL}}" for name in names)
    out: list[Row] = [fit(((head, "head"),), width)]
    rows = sorted(snapshot.by_strike, key=lambda row: -row.strike)
    spot = snapshot.spot or 0.0
    at = min(range(len(rows)), key=lambda i: abs(rows[i].strike - spot), default=0)
    net, gross = defaultdict[float, float](float), defaultdict[float, float](float)
    for option in frame.detail.positions if frame.detail is not None else ():
        net[option.strike] += option.net
        gross[option.strike] += abs(option.net)
    for i in visible_range(len(rows), max(1, height - 1 - len(shares)), 0, at):
        row = rows[i]
        cells: list[Run] = [
            (format_coins(row.call_open_interest, plus=False), "dim"),
            (format_coins(row.put_open_interest, plus=False), "dim"),
            (format_coins(net[row.strike]), frame.dim_if_stale(sign_style(net[row.strike]))),
            (format_coins(gross[row.strike], plus=False), "text"),
            (NOT_AVAILABLE, "absent") if row.churn is None else (f"{row.churn:+.2f}", "text"),
            (format_usd(row.ngi), sign_style(row.ngi)),
        ]
        label = f"{'▶' if i == at else ' '}{format_level(row.strike):<9}"
        runs = [(label, "row.spot" if i == at else "label")]
        runs += [(f"{text:>{_CELL}}", style) for text, style in cells[: len(names)]]
        out.append(fit(linked(runs, f"filter {row.strike:.10g}"), width))
    out += [fit((), width)] * (height - len(out) - len(shares))
    return [*out, *shares]


def _share_rows(frame: Frame, width: int) -> list[Row]:
    """`screen 70 15 9 6`: the class shares in force of each kind, in per cent."""
    tick = tick_of(frame)
    if tick is None:
        return [fit(((" class shares: assumed by the dfmon that made these positions", "dim"),), width)]
    priors: PositionPriors = tick.params.priors
    text = "assumed %: customer took, dealer took, both customers, both dealers"
    lines, line = [f" {text}"], ""
    for kind in KIND_NAMES:
        part = (
            f"{kind.replace('liquidation', 'liq')} {' '.join(f'{100 * share:.0f}' for share in getattr(priors, kind))}"
        )
        if len(line) + len(part) + 3 > width:
            lines.append(line)
            line = ""
        line += f" {part}  "
    return [fit(((text, "dim"),), width) for text in (*lines, line)]
