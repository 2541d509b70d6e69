"""The own book: its greeks beside those of the dealers, and what a move of spot does to it and asks of them."""

from __future__ import annotations

from typing import Final

from dfmon.engine.own_book import MOVES, OwnBook, OwnMove, OwnOption
from dfmon.model.hedging import Hedge, hedge_verb, with_doubt
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import PositionRow
from dfmon.tui.render.box import Rect, bordered_panel, divider, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_band,
    format_coins,
    format_level,
    format_percent,
    format_usd,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.hedge_text import hedge_run

_TITLES: Final = {
    "delta": "delta $",
    "ngi": "NGI $/1%",
    "vega": "vega $/pt",
    "vss": "VSS $/pt",
    "volg": "VOLG $/pt",
    "chl": "CHL 24h $",
    "theta": "theta $/d",
}
_WIDE: Final = 145
_MAIN_MOVES: Final = (0.05, 0.02, 0.01, -0.01, -0.02, -0.05)
_ALL_MOVES_FROM: Final = 26  # rows of the sheet
_MIN_OPTION_ROWS: Final = 4
_HOW: Final = ":book FILE, or start with --book FILE; instrument_name,position or an export of the venue"


def own_book_sheet(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner_size(rect)
    snapshot, found = frame.snapshot, shown_book(frame)
    title: list[Run] = [("B OWN BOOK", "title")]
    if not frame.view.book_file:
        return bordered_panel(rect, title, [(), ((f"  no file: {_HOW}", "dim"),)], focus=False)
    name = frame.view.book_file.rpartition("/")[2]
    title.append((f" {cell_text(name, 40)}", "strong"))
    if snapshot is None or found is None or frame.stale:
        text = frame.missing_text("book", "book", "no board in this process to price it on")
        return bordered_panel(rect, title, [(), ((f"  {text}", "dim"),)], focus=False)
    title.append((f"  {_count_text(snapshot, found, width >= _WIDE)}", "dim"))
    moves = shown_moves(found, height)
    at = cursor_move(frame, moves)
    rows = _greek_rows(found, snapshot, width)
    rows.append(divider([("IF SPOT MOVES NOW", "title"), ("  vol moves with it", "dim")], (), width))
    rows.append(fit(((_header(width), "head"),), width))
    rows += [_move_row(frame, snapshot, move, move is at, width) for move in moves]
    rows += [fit(runs, width) for runs in _sentences(frame, snapshot, at, width)]
    if (left := height - len(rows)) >= _MIN_OPTION_ROWS:
        rows += _option_rows(frame, found, width, left)
    return bordered_panel(rect, title, rows, focus=False)


def shown_book(frame: Frame) -> OwnBook | None:
    """The last result for the book on screen."""
    return frame.result("book", OwnBook)


def _count_text(snapshot: FlowSnapshot, found: OwnBook, has_room: bool) -> str:
    options = f"{len(found.options)} {snapshot.underlying} option{'' if len(found.options) == 1 else 's'}"
    for names, reason in ((found.missing, "not on the board"), (found.others, f"no {snapshot.underlying} option")):
        if names:
            first = ", ".join(cell_text(name, 24) for name in names[:2])
            options += f", {len(names)} {reason}"
            options += f" ({first}{' ..' if len(names) > 2 else ''})" if has_room else ""
    if not has_room and (found.missing or found.others):
        return options
    return f"{options}; options only, stays in this process"


# ---- greeks --------------------------------------------------------------------------------------------------------


def _greek_rows(found: OwnBook, snapshot: FlowSnapshot, width: int) -> list[Row]:
    rows = [fit(((f" {'':<12}{'MINE':>10}{'DEALERS':>11}   MINE TO DEALERS", "head"),), width)]
    for name, title in _TITLES.items():
        mine, dealers = found.mine[name], found.dealers[name]
        runs: list[Run] = [(f" {title:<12}", "label"), (f"{format_usd(mine):>10}", sign_style(mine))]
        if snapshot.positions.warming:
            runs.append((f"{'warming':>11}", "warn"))
        else:
            runs += [(f"{format_usd(dealers):>11}", sign_style(dealers)), (f"   {_relation(mine, dealers)}", "dim")]
        rows.append(fit(runs, width))
    return rows


def _relation(mine: float, dealers: float) -> str:
    """`against  4.4%`: whether the two have one sign, and my size as a share of theirs."""
    if not mine or not dealers:
        return ""
    share = abs(mine / dealers)
    size = f"{100.0 * share:.1f}%" if share < 10.0 else f"{share:,.0f}x"
    return f"{'same' if mine * dealers > 0.0 else 'against':<8}{size:>6}"


# ---- moves ---------------------------------------------------------------------------------------------------------


def shown_moves(found: OwnBook, height: int) -> list[OwnMove]:
    """The moves that have a line, from the highest spot down."""
    is_short = height < _ALL_MOVES_FROM
    return sorted(
        (move for move in found.moves if not is_short or move.move in _MAIN_MOVES), key=lambda move: -move.move
    )


def cursor_move(frame: Frame, moves: list[OwnMove]) -> OwnMove:
    """The move of the cursor; one without a line is that of the nearest."""
    chosen = MOVES[frame.view.book_row]
    return min(moves, key=lambda move: abs(move.move - chosen))


def _header(width: int) -> str:
    if width >= _WIDE:
        columns = f"{'MY P&L':>10}{'MY DELTA':>11}{'MY HEDGE':>14}{'DEALERS':>16}{'5-95 %':>20}"
        return f"{'MOVE':>7}{'SPOT':>10}{columns}   {'THEIR FLOW IS':<16}{'OF 1 % DEPTH':>12}   THERE"
    return f"{'MOVE':>6}{'SPOT':>9}{'MY P&L':>9}{'MY HEDGE':>12}{'DEALERS':>14}   THERE"


def _move_row(frame: Frame, snapshot: FlowSnapshot, move: OwnMove, is_cursor: bool, width: int) -> Row:
    wide, style = width >= _WIDE, "strong" if is_cursor else "label"
    spot = (snapshot.spot or 0.0) * (1.0 + move.move)
    label = f"{'▶' if is_cursor else ' '}{100.0 * move.move:+.0f}%".replace("+0%", "0%")
    runs: list[Run] = [
        (f"{label:>{7 if wide else 6}}", style),
        (f"{format_level(spot):>{10 if wide else 9}}", style),
        (f"{format_usd(move.pnl):>{10 if wide else 9}}", sign_style(move.pnl)),
    ]
    if wide:
        runs.append((f"{format_usd(move.delta):>11}", sign_style(move.delta)))
    mine = hedge_run(move.hedge, None, None, 0.0)
    runs.append((f"{mine[0]:>{14 if wide else 12}}", mine[1]))
    text, side = _dealers_run(snapshot, move)
    runs.append((f"{text:>{16 if wide else 14}}", side))
    if wide:
        runs.append((f"{format_band(*move.dealers[1:]).strip('[]'):>20}", "dim"))
        runs.append((f"   {_direction(snapshot, move):<16}{_depth_share(snapshot, move):>12}", "dim"))
    return fit([*runs, ("   ", "text"), _regime_run(frame, spot)], width)


def _hedge(snapshot: FlowSnapshot, move: OwnMove) -> Hedge:
    return with_doubt(snapshot.positions, *move.dealers)


def _dealers_run(snapshot: FlowSnapshot, move: OwnMove) -> Run:
    if snapshot.positions.warming:
        return "warming", "warn"
    return hedge_run(*_hedge(snapshot, move), snapshot.liquidity.flat_usd)


def _direction(snapshot: FlowSnapshot, move: OwnMove) -> str:
    """The direction of the dealers' hedge against that of spot; empty where it has no side."""
    verb = _verb(snapshot, move)
    if verb not in {"buy", "sell"} or not move.move:
        return ""
    return "with the move" if (verb == "buy") == (move.move > 0.0) else "against it"


def _verb(snapshot: FlowSnapshot, move: OwnMove) -> str:
    if snapshot.positions.warming:
        return ""
    return hedge_verb(*_hedge(snapshot, move), snapshot.liquidity.flat_usd)


def _depth_share(snapshot: FlowSnapshot, move: OwnMove) -> str:
    depth = snapshot.liquidity.depth_1pct_usd
    if not depth or move.dealers[0] is None or not _direction(snapshot, move):
        return ""
    return format_percent(abs(move.dealers[0]) / depth, 0, plus=False)


def _gamma_at(frame: Frame, spot: float) -> float | None:
    is_unknown = frame.snapshot is None or frame.snapshot.positions.warming or frame.detail is None
    return None if is_unknown or frame.detail is None else frame.detail.profile.at(spot)


def _regime_run(frame: Frame, spot: float) -> Run:
    gamma = _gamma_at(frame, spot)
    if gamma is None:
        return "n/a", "absent"
    doubt = "?" if frame.snapshot is not None and frame.snapshot.positions.sign_caveat else ""
    return (f"LONG{doubt}, damps", "pos") if gamma > 0.0 else (f"SHORT{doubt}, amplifies", "neg")


def _sentences(frame: Frame, snapshot: FlowSnapshot, move: OwnMove, width: int) -> list[list[Run]]:
    """The row of the cursor in words, on two lines below 120 columns."""
    spot = (snapshot.spot or 0.0) * (1.0 + move.move)
    outcome = f"you {'gain' if move.pnl >= 0.0 else 'lose'} {format_usd(abs(move.pnl), plus=False)}"
    first: list[Run] = [(f" at {100.0 * move.move:+.0f} % ({format_level(spot)}): ", "text"), (outcome, "strong")]
    if move.hedge:
        first += [(", to hedge it ", "dim"), hedge_run(move.hedge, None, None, 0.0)]
    second: list[Run] = [("dealers ", "dim"), _dealers_run(snapshot, move)]
    second.append((f" {format_band(*move.dealers[1:])}" if move.dealers[1] is not None else "", "dim"))
    if direction := _direction(snapshot, move):
        second.append((f", {direction}", "text"))
    gamma = _gamma_at(frame, spot)
    if gamma is not None and move.move:
        kind = "fall" if move.move < 0.0 else "rise"
        effect = "damped" if gamma > 0.0 else "amplified"
        second.append((f"; gamma {format_usd(gamma)} there: the {kind} is {effect}", "dim"))
    if width >= _WIDE:
        return [[*first, ("; ", "dim"), *second]]
    return [first, [(" ", "text"), *second]]


# ---- options -------------------------------------------------------------------------------------------------------


def _option_rows(frame: Frame, found: OwnBook, width: int, available: int) -> list[Row]:
    """The options of the book by the size of their delta, with the dealers' position in each."""
    by_name = {row.name: row for row in frame.detail.positions} if frame.detail is not None else {}
    ranked = sorted(found.options, key=lambda option: -abs(option.exposures["delta"]))
    shown = ranked if len(ranked) <= available - 2 else ranked[: available - 3]
    header = f" {'INSTRUMENT':<23}{'QTY':>9}{'PRICE $':>10}{'DELTA $':>10}{'NGI':>9}{'VEGA':>9}{'THETA':>9}"
    rows = [
        divider([("POSITIONS", "title")], (), width),
        fit(((f"{header}   DEALERS HOLD IN THIS OPTION", "head"),), width),
        *(_option_row(option, by_name.get(option.name), width) for option in shown),
    ]
    if len(shown) < len(ranked):
        rest = sum(option.exposures["delta"] for option in ranked[len(shown) :])
        rows.append(fit(((f" {len(ranked) - len(shown)} more, delta {format_usd(rest)}", "warn"),), width))
    return rows


def _option_row(option: OwnOption, dealers: PositionRow | None, width: int) -> Row:
    runs: list[Run] = [
        (f" {cell_text(option.name, 22):<23}", "label"),
        (f"{format_coins(option.position):>9}", sign_style(option.position)),
        (f"{format_level(round(option.price, 2)):>10}", "text"),
    ]
    for name, column in (("delta", 10), ("ngi", 9), ("vega", 9), ("theta", 9)):
        value = option.exposures[name]
        runs.append((f"{format_usd(value):>{column}}", sign_style(value)))
    if dealers is not None:
        band = "" if dealers.lo is None else f" [{format_coins(dealers.lo)},{format_coins(dealers.hi)}]"
        runs += [(f"   {format_coins(dealers.net)}", sign_style(dealers.net)), (band, "dim")]
    return fit(runs, width)
