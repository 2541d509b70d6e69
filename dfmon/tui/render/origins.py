"""Origins of the selected option's position and of its expiry's: the reasons for its sign, and how sure it is.

Coins, + where dealers are long; the sources add up to the position.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import astuple

from dfmon.model.positions import Positions
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import ExpiryRow, PositionRow, Sources
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    cell_text,
    fit,
    format_coins,
    format_level,
    format_percent,
    short_expiry,
    sign_style,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.options import cursor_index, filtered_options, format_probability
from dfmon.tui.render.plot import bar_runs

_LABELS: Final = {
    "screen": "screen prints", "block": "blocks", "rfq": "RFQs", "combo": "combos", "liquidation": "liquidations",
    "openings": "openings", "transfers": "no print/bound", "start": "before, prior", "read_out": "calibration",
}  # fmt: skip
_LABEL_WIDTH: Final = 15
_MAX_CELL_WIDTH: Final = 20
_MIN_BAR_WIDTH: Final = 9
ORIGIN_ROWS: Final = 21  # all of them
FLOOR: Final = "0.2-0.6%"  # of all changes: what no print explains on recorded boards of the venue


def origins(frame: Frame, snapshot: FlowSnapshot, width: int, height: int) -> list[Row]:
    """Sources, history and certainty side by side, then the sign of the board. A short table leaves out zeros."""
    rows = filtered_options(frame)
    option = rows[cursor_index(rows, frame.view)] if rows else None
    expiry = _expiry_of(frame, snapshot, option)
    is_short = height < ORIGIN_ROWS
    board = _board_rows(snapshot.positions, width, is_short=is_short)
    cell_width = max(8, min(_MAX_CELL_WIDTH, (width - _LABEL_WIDTH) // 2))
    facts = _source_rows(frame, option, expiry, cell_width, width, is_short=is_short)
    facts += _certainty_rows(option, expiry, cell_width, width)
    out = [_head(option, expiry, cell_width, width), *facts[: max(0, height - 1 - len(board))], *board][:height]
    return [*out, *[fit((), width)] * (height - len(out))]


def _expiry_of(frame: Frame, snapshot: FlowSnapshot, option: PositionRow | None) -> ExpiryRow | None:
    label = option.expiry if option is not None else frame.view.expiry_filter
    return next((row for row in snapshot.by_expiry if row.label == label), None)


def _head(option: PositionRow | None, expiry: ExpiryRow | None, cell_width: int, width: int) -> Row:
    of_option = of_expiry = NOT_AVAILABLE
    if option is not None:
        letter = cell_text(option.option_type, 4)[:1].upper()
        of_option = f"{short_expiry(option.expiry)} {format_level(option.strike)}{letter}"
    if expiry is not None:
        of_expiry = f"all {short_expiry(expiry.label)}"
    return fit(((f" {'WHY':<{_LABEL_WIDTH - 1}}{of_option:>{cell_width}}{of_expiry:>{cell_width}}", "head"),), width)


def _line(label: str, cells: tuple[Run, Run], cell_width: int, width: int, tail: tuple[Run, ...] = ()) -> Row:
    shown = ((f"{text:>{cell_width}}", style) for text, style in cells)
    return fit(((f" {label:<{_LABEL_WIDTH - 1}}", "dim"), *shown, *tail), width)


# ---- sources ---------------------------------------------------------------------------------------------------------


def _source_rows(
    frame: Frame, option: PositionRow | None, expiry: ExpiryRow | None, cell_width: int, width: int, *, is_short: bool
) -> list[Row]:
    """A row a source with a bar of the option's, then the sum."""
    parts = [_parts(None if row is None else row.sources) for row in (option, expiry)]
    scale = max((abs(value) for value in parts[0] if value is not None), default=0.0)
    half = (width - _LABEL_WIDTH - 2 * cell_width - 2) // 2
    out = []
    for name, of_option, of_expiry in zip(Sources.__struct_fields__, *parts):
        if is_short and of_option == of_expiry == 0.0:
            continue
        tail: tuple[Run, ...] = ()
        if of_option is not None and 2 * half + 1 >= _MIN_BAR_WIDTH:
            styles = (frame.dim_if_stale("bar.neg"), frame.dim_if_stale("bar.pos"))
            tail = ((" ", "text"), *bar_runs(of_option, scale, half, styles))
        out.append(_line(_LABELS[name], (_coins(frame, of_option), _coins(frame, of_expiry)), cell_width, width, tail))
    nets = (None if option is None else option.net, None if expiry is None else expiry.net)
    out.append(_line("= NET", (_coins(frame, nets[0]), _coins(frame, nets[1])), cell_width, width))
    return out


def _parts(sources: Sources | None) -> tuple[float | None, ...]:
    return (None,) * len(_LABELS) if sources is None else astuple(sources)


def _coins(frame: Frame, value: float | None) -> Run:
    if value is None:
        return NOT_AVAILABLE, "absent"
    return format_coins(value), frame.dim_if_stale(sign_style(value))


# ---- certainty -------------------------------------------------------------------------------------------------------


def _certainty_rows(option: PositionRow | None, expiry: ExpiryRow | None, cell_width: int, width: int) -> list[Row]:
    missing: Run = NOT_AVAILABLE, "absent"
    band, chance, complete, seen, lost = (missing,) * 5
    if option is not None:
        if option.lo is not None and option.hi is not None:
            band = f"{format_coins(option.lo)}..{format_coins(option.hi)}", "text"
        if option.p_long is not None:
            chance = format_probability(option.p_long), "text"
        if option.full_history is not None:
            complete = "all known" if option.full_history else "not all", "text"
        if option.seen is not None:
            seen = format_percent(option.seen, 0, plus=False), "text"
        if option.lost is not None:
            lost = format_coins(option.lost, plus=False), "warn" if option.lost else "text"
    of_expiry, covered = missing, missing
    if expiry is not None and expiry.full_history_net is not None:
        of_expiry = format_coins(expiry.full_history_net), "text"
    if expiry is not None and expiry.coverage is not None:
        covered = format_percent(expiry.coverage, 0, plus=False), "text"
    blank: Run = "", "text"
    return [
        _line("5% .. 95%", (band, blank), cell_width, width),
        _line("P(long)", (chance, blank), cell_width, width),
        _line("whole life", (complete, of_expiry), cell_width, width),
        _line("OI seen", (seen, covered), cell_width, width),
        _line("unexplained", (_unexplained(option), _unexplained(expiry)), cell_width, width),
        _line("lost coins", (lost, blank), cell_width, width),
    ]


def _unexplained(row: PositionRow | ExpiryRow | None) -> Run:
    """Coins that moved without a print, and their share of all changes of open interest."""
    if row is None or row.unexplained is None or row.change is None:
        return NOT_AVAILABLE, "absent"
    share = f" {format_percent(row.unexplained / row.change, 1, plus=False)}" if row.change > 0.0 else ""
    return f"{format_coins(row.unexplained, plus=False)}{share}", "text"


def _board_rows(p: Positions, width: int, *, is_short: bool) -> list[Row]:
    """The sign of the board, what is assumed, and the faults found."""
    sign = p.sign_sentence
    style = "text" if p.decided else "warn" if p.decided is False else "absent"
    residual = format_percent(p.residual_of_change, 1, plus=False)
    venue = NOT_AVAILABLE if p.venue_share is None else format_percent(p.venue_share, 0, plus=False)
    faults = ", ".join(f"{count} {cell_text(name, 40)}" for name, count in p.faults.items()) or "none"
    texts = [
        (sign, style),
        (f"board: {residual} of OI changes without a print, usual {FLOOR}", "dim"),
        (f"assumed: class shares, venue share {venue}", "dim"),
    ]
    if p.faults or not is_short:
        texts.append((f"faults of the input: {faults}", "warn" if p.faults else "dim"))
    return [fit(((f" {truncate(text, width - 2)}", name),), width) for text, name in texts]
