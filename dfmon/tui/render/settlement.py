"""The settlement monitor: the next delivery price, the hedge that it lifts strike by strike, and the odds of a pin."""

from __future__ import annotations

import math
from typing import Final

from dfmon.engine.next_settlement import PIN_WIDTHS, WINDOW_NS, Hedge, Settlement, SettlementStrike
from dfmon.model.hedging import with_doubt
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import MINUTE
from dfmon.tui.render.box import Rect, bordered_panel, divider, inner_size
from dfmon.tui.render.delivery_chart import chart_rows
from dfmon.tui.render.formatting import (
    Row,
    Run,
    fit,
    format_coins,
    format_duration,
    format_level,
    format_percent,
    format_time,
    format_usd,
    join_by_priority,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.hedge_text import hedge_run
from dfmon.tui.render.plot import bar_runs

_CHART_FROM_NS: Final = 60 * MINUTE  # before the expiry: from 07:00 on there is a chart
_WIDE: Final = 130
_MIN_ODDS: Final = 0.0005
_MIN_HEDGE: Final = 1_000.0  # USD: below it a strike has no verb


def settlement_sheet(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner_size(rect)
    snapshot, found = frame.snapshot, settlement(frame)
    title: list[Run] = [("SETTLEMENT", "title")]
    if snapshot is None or found is None or frame.stale:
        text = frame.missing_text("settlement", "settlement", "no book in this process to settle")
        return bordered_panel(rect, title, [(), ((f"  {text}", "dim"),)], focus=False)
    title.append((f" {found.label}", "strong"))
    ends, begins = format_time(found.expiry_ns, False), format_time(found.expiry_ns - WINDOW_NS, False)
    title.append((f"  delivers the average of the index {begins}-{ends} UTC", "dim"))
    rows = [fit(runs, width) for runs in _sentences(found, snapshot, width)]
    if found.seconds * 1e9 <= _CHART_FROM_NS and height >= 30:
        rows += chart_rows(frame, found, width, height // 3)
    rows.append(divider([("BY STRIKE", "title"), ("  hedge that the settlement lifts, USD", "dim")], (), width))
    if doubt := _doubt(snapshot):
        rows.append(fit(((f" no side and no bars: {doubt}", "warn"),), width))
    rows.append(_header_row(found, width))
    strikes = shown_strikes(found, snapshot.spot or found.forward, height - len(rows) - 1)
    largest = max((abs(row.hedge) for row in strikes), default=0.0)
    nearest = min(strikes, key=lambda row: abs(row.strike - found.delivered[0]))
    rows += [_strike_row(found, snapshot, row, row is nearest, largest, width) for row in reversed(strikes)]
    rows.append(_total_row(found, snapshot, len(strikes), width))
    return bordered_panel(rect, title, rows, focus=False)


def settlement(frame: Frame) -> Settlement | None:
    """The last result of the book on screen."""
    return frame.result("settlement", Settlement)


# ---- sentences -----------------------------------------------------------------------------------------------------


def _sentences(found: Settlement, snapshot: FlowSnapshot, width: int) -> list[list[Run]]:
    """The state of the window, and what it brings."""
    hedge, at_window = (_hedge(snapshot, hedge) for hedge in (found.hedge, found.at_window))
    expected: list[Run] = [
        (" expected delivery ", "dim"),
        (format_level(found.delivered[0]), "strong"),
        (f" [{format_level(found.delivered[1])}..{format_level(found.delivered[2])}]", "dim"),
    ]
    if found.left < 1.0:
        window = _window_runs(found, width)
        expected += [("   to lift ", "dim"), *hedge]
        expected += _per_minute(hedge, abs(found.hedge.value) / _minutes(found), "")
    else:
        until = found.seconds - WINDOW_NS / 1e9
        window = [(" window opens in ", "dim"), (format_duration(until), "strong")]
        window += [("   then dealers ", "dim"), *at_window]
        condition = ", if spot stays here" if width >= 100 else ""
        window += _per_minute(at_window, abs(found.at_window.value) / (WINDOW_NS / MINUTE), condition)
        expected += [("   held now ", "dim"), *hedge]
    after: list[Run] = [(" after it net gamma ", "dim"), (format_usd(found.rest_ngi), sign_style(found.rest_ngi))]
    after += [(" from ", "dim"), (format_usd(snapshot.metrics.ngi.value), sign_style(snapshot.metrics.ngi.value))]
    return [window, expected, after]


def _hedge(snapshot: FlowSnapshot, hedge: Hedge) -> list[Run]:
    """`sell 14.9M [-18.2M..-10.9M]`; no side where the board does not show its sign."""
    if snapshot.positions.warming:
        return [("no verdict while warming", "warn")]
    band = "" if hedge.lo is None or hedge.hi is None else f" [{format_usd(hedge.lo)}..{format_usd(hedge.hi)}]"
    return [hedge_run(*with_doubt(snapshot.positions, *hedge), snapshot.liquidity.flat_usd), (band, "dim")]


def _per_minute(hedge: list[Run], usd: float, condition: str) -> list[Run]:
    """` = 497K a minute` after a hedge that has a side, and the condition of it."""
    has_side = hedge[0][1] in {"buy", "sell"}
    return [(f" = {format_usd(usd, plus=False)} a minute{condition}" if has_side else condition, "dim")]


def _minutes(found: Settlement) -> float:
    return max(found.seconds / 60.0, 1.0 / 60.0)


def _window_runs(found: Settlement, width: int) -> list[Run]:
    """`window ████░░░░ 11m20s of 30m  average 90,021  left 62 %`."""
    cells = 40 if width >= 100 else 22
    done = round((1.0 - found.left) * cells)
    average = "n/a" if found.average is None else format_level(found.average)
    return [
        (" window ", "dim"),
        ("█" * done, "flip"),
        ("░" * (cells - done), "faint"),
        (f" {format_duration(WINDOW_NS / 1e9 - found.seconds)} of 30m", "text"),
        ("  average so far ", "dim"),
        (average, "flip"),
        ("  left ", "dim"),
        (format_percent(found.left, 0, plus=False), "strong"),
    ]


# ---- strikes -------------------------------------------------------------------------------------------------------


def shown_strikes(found: Settlement, spot: float, available: int) -> list[SettlementStrike]:
    """As many strikes as fit, ascending: those nearest to spot and the largest hedges beyond them."""
    if len(found.strikes) <= available:
        return list(found.strikes)
    ranked = sorted(found.strikes, key=lambda row: abs(row.strike - spot))
    count = max(1, available * 2 // 3)
    beyond = sorted(ranked[count:], key=lambda row: -abs(row.hedge))
    return sorted([*ranked[:count], *beyond[: max(0, available - count)]])


def _header_row(found: Settlement, width: int) -> Row:
    widths = "|".join(map(_pin_width, PIN_WIDTHS)) if width >= _WIDE else _pin_width(PIN_WIDTHS[1])
    left = "LEFT" if found.left < 1.0 else "HELD"
    wide = f"{'A MIN':>9}{'AT 07:30':>10}" if width >= _WIDE else ""
    net = f"{'DEALER NET':>12}" if width >= 100 else ""
    bar = f"{'◂ sell │ buy ▸':^{2 * _bar_half(width) + 1}}"
    return fit(
        ((f"  STRIKE{'OI C':>8}{'OI P':>8}{net}{'P(ABOVE)':>10}{left:>13}{wide}  {bar}  PIN ±{widths}%", "head"),),
        width,
    )


def _pin_width(width: float) -> str:
    """`.05`: a half-width in percent."""
    return f"{100.0 * width:.4f}".strip("0")


def _bar_half(width: int) -> int:
    return 20 if width >= _WIDE else 10 if width >= 100 else 8


def _doubt(snapshot: FlowSnapshot) -> str:
    """The reason for which no strike has a side; empty where they have one."""
    if snapshot.positions.warming:
        share = format_percent(snapshot.positions.coverage, 0, plus=False)
        return f"warming, the history of {share} of open interest is seen"
    return snapshot.positions.sign_doubt


def _strike_row(
    found: Settlement, snapshot: FlowSnapshot, row: SettlementStrike, is_nearest: bool, largest: float, width: int
) -> Row:
    """One strike, marked where it is nearest to the delivery; `largest` is the largest hedge of the table."""
    is_doubtful = bool(_doubt(snapshot))
    verb = "" if abs(row.hedge) < _MIN_HEDGE or is_doubtful else "buy" if row.hedge > 0.0 else "sell"
    amount = f"{verb.upper()} {format_usd(abs(row.hedge), plus=False)}" if verb else "·"
    runs: list[Run] = [
        (f"{'▶' if is_nearest else ' '}{format_level(row.strike):>7}", "row.spot" if is_nearest else "label"),
        (f"{_coins(row.calls):>8}{_coins(row.puts):>8}", "text"),
    ]
    if width >= 100:
        runs.append((f"{format_coins(row.net):>12}", sign_style(row.net)))
    runs += [(f"{format_percent(row.above, 0, plus=False):>10}", "text"), (f"{amount:>13}", verb or "faint")]
    if width >= _WIDE:
        a_minute = abs(row.hedge if found.left < 1.0 else row.at_window) / min(_minutes(found), 30.0)
        runs.append((f"{format_usd(a_minute, plus=False) if verb else '·':>9}", "dim"))
        glyph = "" if not verb else "▲" if row.at_window > 0.0 else "▼"
        runs.append((f"{glyph + format_usd(abs(row.at_window), plus=False) if glyph else '·':>10}", "dim"))
    bar = bar_runs(0.0 if is_doubtful else row.hedge, largest, _bar_half(width), ("bar.sell", "bar.buy"))
    runs += [("  ", "text"), *bar]
    odds = row.pin if width >= _WIDE else row.pin[1:2]
    text = " | ".join(f"{100 * p:.1f}" for p in odds) + " %" if max(odds) >= _MIN_ODDS else "·"
    return fit([*runs, (f"   {text}", "strong" if is_nearest else "dim")], width)


def _coins(value: float) -> str:
    return f"{value:,.0f}"


def _total_row(found: Settlement, snapshot: FlowSnapshot, shown: int, width: int) -> Row:
    hidden = len(found.strikes) - shown
    parts: list[tuple[int, tuple[Run, ...]]] = [(0, (("all ", "head"), *_hedge(snapshot, found.hedge)))]
    if hidden > 0:
        parts.append((0, ((f"{hidden} strikes without a line", "warn"),)))
    parts.append((2, (("max pain ", "dim"), (format_level(snapshot.levels.max_pain), "flip"))))
    likely = max(found.strikes, key=lambda row: row.pin[1])
    if not math.isclose(likely.pin[1], 0.0, abs_tol=_MIN_ODDS):
        odds, half_width = 100.0 * likely.pin[1], _pin_width(PIN_WIDTHS[1])
        text = f"likeliest pin {format_level(likely.strike)}, {odds:.0f} % in ±{half_width}%"
        parts.append((1, ((text, "dim"),)))
    return fit(((" ", "text"), *join_by_priority(parts, width - 1)), width)
