"""The zoomed tape: prints with premium and the side inferred for dealers, the legs of a structure under its sum.

The parties of a print are not public: the inferred side is that of the class shares, which are assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.tables import TapeRow
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_level,
    format_time,
    format_usd,
    linked,
    short_expiry,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.what_if_controls import tick_of

HEADER: Final = " TIME     SIDE EXP      STRIKE     QTY   PREMIUM   GAMMA"
_WIDE_HEADER: Final = f"{HEADER}       PX    IV  DEALERS    STRUCTURE"
_WIDE: Final = 96


def structure_rows(frame: Frame, prints: Sequence[TapeRow], width: int) -> list[Row]:
    """Every line of the list: a structure has a line of its sums, then one for each leg."""
    tick = tick_of(frame)
    priors = tick.params.priors if tick is not None else PositionPriors()
    rows: list[Row] = [fit(((_WIDE_HEADER if width >= _WIDE else HEADER, "head"),), width)]
    for _, legs in groupby(enumerate(prints), key=lambda place: place[1].structure or place[0]):
        group = [row for _, row in legs]
        if len(group) > 1:
            rows.append(_sum_row(group, width))
        marks = [" "] if len(group) == 1 else ["├"] * (len(group) - 1) + ["└"]
        rows += [_print_row(row, mark, priors, width) for row, mark in zip(group, marks, strict=True)]
    return rows


def kind_of(row: TapeRow) -> str:
    """The kind of a print by its flags: rfq, block, combo or screen."""
    return "rfq" if row.block and row.rfq else "block" if row.block else "combo" if row.combo else "screen"


def dealer_side(row: TapeRow, priors: PositionPriors) -> Run:
    """`sold 70%`: what dealers did if they were in the print, and the assumed share of prints in which they did it."""
    taken, given, *_ = getattr(priors, kind_of(row))
    if not row.side or taken == given:
        return "unknown", "absent"
    bought = (row.side < 0) == (taken > given)
    return f"{'bought' if bought else 'sold':<6} {max(taken, given):.0%}", "buy" if bought else "sell"


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _sum_row(legs: Sequence[TapeRow], width: int) -> Row:
    """Premium that the taker pays, + , or receives, and the change of the dealers' gamma, over all legs."""
    premium = _sum([None if leg.premium is None else leg.side * leg.premium for leg in legs])
    gamma = _sum([leg.gamma for leg in legs])
    kind = kind_of(legs[0]).upper()
    runs: list[Run] = [
        (f" {format_time(legs[0].ts_ns)} ", "dim"),
        (f"{f'{kind} of {len(legs)} legs':<20}", "strong"),
        (f"{max(leg.size for leg in legs):>7,.1f} ", "strong"),
        (f"{format_usd(premium):>9} ", "text"),
        (f"{format_usd(gamma):>7}", "absent" if gamma is None else "pos" if gamma > 0 else "neg"),
        ("  net of the taker: + pays" if width >= _WIDE else "", "dim"),
    ]
    return fit(runs, width)


def _print_row(row: TapeRow, mark: str, priors: PositionPriors, width: int) -> Row:
    letter = cell_text(row.option_type, 4)[:1].upper()
    side, style = ("▲B", "buy") if row.side > 0 else ("▼S", "sell") if row.side < 0 else ("■ ", "dim")
    gamma_style = "absent" if row.gamma is None else "pos" if row.gamma > 0 else "neg"
    runs: list[Run] = [
        (f"{mark}{format_time(row.ts_ns)} ", "dim"),
        (f"{side}   ", style),
        (f"{short_expiry(row.expiry):<5} ", "text"),
        (f"{format_level(row.strike):>8}{letter:<1} ", "text"),
        (f"{row.size:>7,.1f} ", "strong" if row.block else "text"),
        (f"{format_usd(row.premium, plus=False):>9} ", "absent" if row.premium is None else "text"),
        (f"{format_usd(row.gamma):>7}", gamma_style),
    ]
    if width >= _WIDE:
        price = f"{row.price:>9.4f}" if row.price < 10 else f"{row.price:>9,.1f}"
        iv = "n/a" if row.iv is None else f"{100 * row.iv:.1f}"
        kind = kind_of(row)
        runs += [(price, "dim"), (f"{iv:>6}  ", "dim"), dealer_side(row, priors)]
        runs.append((f"   {kind.upper()}" if kind != "screen" else "", "warn"))
    return fit(linked(runs, f"filter {short_expiry(row.expiry)} {row.strike:.10g} {letter}"), width)
