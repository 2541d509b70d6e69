"""The profile as an area about zero: net gamma by spot with its band, the levels, and another horizon as a line.

The scale is of square roots, so that the edges are as clear as the extremes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from dfmon.engine.profile_horizons import HorizonProfile
from dfmon.model.hedging import holds_zero
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import Profile
from dfmon.tui.render.formatting import (
    Row,
    Run,
    fit,
    format_band,
    format_level,
    format_percent,
    format_usd,
    join_by_priority,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import Canvas, nice_number
from dfmon.tui.view import PROFILE_HORIZONS, PROFILE_RANGES

_AXIS_WIDTH: Final = 7
_RISING: Final = " ▁▂▃▄▅▆▇█"
_EXPIRING: Final = {"today": "flip of 24 h", "week": "of a week", "all": "of all"}
_TICKS: Final = (-1.0, -0.25, 0.0, 0.25, 1.0)  # shares of the largest


def horizon_rows(frame: Frame, snapshot: FlowSnapshot, profile: Profile, width: int, height: int) -> list[Row]:
    """The picture, prices, horizons, levels and the sentence of the cursor."""
    spot = snapshot.spot or profile.spots[len(profile.spots) // 2]
    share = PROFILE_RANGES[frame.view.profile_range]
    low, high = max(profile.spots[0], spot * (1.0 - share)), min(profile.spots[-1], spot * (1.0 + share))
    columns = width - _AXIS_WIDTH - 2
    notes = 3 if height >= 12 else 1
    picture = _Picture(frame, snapshot, profile, (low, high), columns, height - 1 - notes)
    below = [
        _horizon_row(frame, snapshot, width),
        _level_row(snapshot, width),
        fit(_sentence(frame, snapshot, profile, picture.cursor_price, width), width),
    ]
    return [*picture.rows(width), _price_row(low, high, columns, width), *below[:notes]]


def chosen_horizon(frame: Frame) -> HorizonProfile | None:
    """The horizon drawn as a line; None for none, or while it is computed."""
    name = PROFILE_HORIZONS[frame.view.profile_horizon]
    return next((row for row in _horizons(frame) if row.name == name), None)


def _horizons(frame: Frame) -> Sequence[HorizonProfile]:
    """All horizons of the book on screen; none while they are computed."""
    return frame.result("profile", tuple) or ()


def _root(value: float) -> float:
    return math.copysign(math.sqrt(abs(value)), value)


class _Picture:
    """The area with its lines, a column a price."""

    def __init__(
        self,
        frame: Frame,
        snapshot: FlowSnapshot,
        profile: Profile,
        bounds: tuple[float, float],
        columns: int,
        height: int,
    ) -> None:
        self.frame, self.snapshot, self.profile = frame, snapshot, profile
        self.low, self.high = bounds
        self.columns = columns
        self.values = [profile.at(self.price_at(x)) for x in range(columns)]
        horizon = chosen_horizon(frame)
        self.line = None if horizon is None else horizon.profile
        shown = [v for v in self.values if v is not None]
        if self.line is not None:
            shown += [v for x in range(columns) if (v := self.line.at(self.price_at(x))) is not None]
        self.limit = max((abs(v) for v in shown), default=1.0) or 1.0
        top, bottom = max(0.0, *shown, 0.0) if shown else 1.0, min(0.0, *shown, 0.0) if shown else -1.0
        room = 0.04 * (_root(top) - _root(bottom)) or 1.0
        self.canvas = Canvas(columns, max(5, height), _root(bottom) - room, _root(top) + room)
        middle = self.column_of(snapshot.spot)
        self.cursor = min(max(0, (columns // 2 if middle is None else middle) + frame.view.profile_column), columns - 1)

    @property
    def cursor_price(self) -> float:
        """Spot itself until the cursor is moved."""
        spot = self.snapshot.spot
        return spot if spot is not None and not self.frame.view.profile_column else self.price_at(self.cursor)

    def price_at(self, x: int) -> float:
        return self.low + (self.high - self.low) * x / max(1, self.columns - 1)

    def column_of(self, price: float | None) -> int | None:
        if price is None or not self.low <= price <= self.high:
            return None
        return round((price - self.low) / (self.high - self.low) * (self.columns - 1))

    def rows(self, width: int) -> list[Row]:
        self._draw_area()
        self._draw_band()
        self._draw_levels()
        self._draw_line()
        zero = self.canvas.row_of(0.0)
        self.canvas.draw_level(0.0, "─", "axis")
        labels = {self.canvas.row_of(_root(share * self.limit)): share * self.limit for share in _TICKS[::2]}
        labels |= {
            y: v for share in _TICKS[1::2] if (y := self.canvas.row_of(_root(v := share * self.limit))) not in labels
        }
        labels[zero] = 0.0
        out = []
        for y, cells in enumerate(self.canvas.rows()):
            value = labels.get(y)
            inside = value is not None and self.canvas.lo <= _root(value) <= self.canvas.hi
            text = "" if value is None or not inside else "0" if not value else format_usd(value)
            out.append(fit(((" ", "text"), *cells, (f"{text:>{_AXIS_WIDTH}}", "axis")), width))
        return out

    def _draw_area(self) -> None:
        canvas, zero = self.canvas, self.canvas.row_of(0.0, 8)
        stale = self.frame.stale
        for x, value in enumerate(self.values):
            if value is None:
                continue
            end = canvas.row_of(_root(value), 8)
            style = "dim" if stale else "bar.pos" if value > 0.0 else "bar.neg"
            first, last = sorted((end, zero))
            for y in range(first // 8, last // 8 + 1):
                top, bottom = max(first, 8 * y), min(last, 8 * y + 8)
                filled = bottom - top
                if filled <= 0:
                    continue
                char = _RISING[filled] if value > 0.0 else "█" if filled == 8 else "▀" if filled >= 3 else "▔"
                canvas.set_cell(x, y, char, style)

    def _draw_band(self) -> None:
        for x in range(0, self.columns, 2):
            for bound in self.profile.band_at(self.price_at(x)):
                if bound is not None and self.canvas.contains(_root(bound)):
                    self.canvas.set_cell(x, self.canvas.row_of(_root(bound)), "┈", "dim")

    def _draw_levels(self) -> None:
        """Upright lines at the edges, spot and the cursor; walls as marks on the lowest row."""
        regime, levels, spot = self.snapshot.regime, self.snapshot.levels, self.snapshot.spot
        uprights: list[tuple[float | None, str, str, int]] = [(spot, f"spot {format_level(spot)}", "strong", 1)]
        for row, edge in enumerate((regime.below, regime.above)):
            if edge is not None:
                band = (
                    "" if edge.lo is None or edge.hi is None else f" [{format_level(edge.lo)}..{format_level(edge.hi)}]"
                )
                uprights.append(
                    (edge.level, f"edge {format_level(edge.level)} {edge.direction}{band}", "flip", 2 * row)
                )
        for level, _, style, _ in uprights:
            self._upright(level, style)
        for level, text, style, row in uprights:
            if (x := self.column_of(level)) is not None:
                self._write(x, row, text, style)
        for name, level in (("call wall", levels.call_wall), ("put wall", levels.put_wall)):
            if (x := self.column_of(level)) is not None:
                self.canvas.set_cell(x, self.canvas.height - 1, "▲", "flip")
                self._write(x, self.canvas.height - 1, name, "flip")
        if self.frame.view.profile_column:
            for y in range(self.canvas.height):
                self.canvas.set_cell(self.cursor, y, "┆", "key")

    def _upright(self, level: float | None, style: str) -> None:
        if (x := self.column_of(level)) is not None:
            for y in range(self.canvas.height):
                self.canvas.set_cell(x, y, "╎", style)

    def _write(self, x: int, y: int, text: str, style: str) -> None:
        """Beside the line, to its right where there is room."""
        start = x + 2 if x + 2 + len(text) <= self.columns else x - 1 - len(text)
        self.canvas.write_text(max(0, start), y, text, style)

    def _draw_line(self) -> None:
        if self.line is None:
            return
        steps = 2 * self.columns
        prices = [self.low + (self.high - self.low) * i / max(1, steps - 1) for i in range(steps)]
        values = [self.line.at(price) for price in prices]
        roots = [None if v is None else _root(v) for v in values]
        if self.frame.view.icons == "braille":
            self.canvas.draw_braille(roots, "spot")
        else:
            self.canvas.draw_dashes(roots[::2], "-", "spot")


def _price_row(low: float, high: float, columns: int, width: int) -> Row:
    cells, step = [" "] * columns, nice_number((high - low) / max(1, columns // 12))
    price = math.ceil(low / step) * step
    while price <= high:
        text = format_level(price)
        x = round((price - low) / (high - low) * (columns - 1)) - len(text) // 2
        if 0 <= x <= columns - len(text):
            cells[x : x + len(text)] = text
        price += step
    return fit(((" ", "text"), ("".join(cells), "axis")), width)


def _horizon_row(frame: Frame, snapshot: FlowSnapshot, width: int) -> Row:
    """`█ now +12.0M 87,802..91,187   today +22.9M ..`: net gamma at spot and edges at each horizon."""
    edges = (snapshot.regime.below, snapshot.regime.above)
    levels = ["none" if edge is None else format_level(edge.level) for edge in edges]
    ngi = snapshot.metrics.ngi.value
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, (("█ now ", "dim"), (f"{format_usd(ngi)} ", sign_style(ngi)), ("..".join(levels), "flip")))
    ]
    horizons = _horizons(frame)
    chosen = PROFILE_HORIZONS[frame.view.profile_horizon]
    for flip in snapshot.flip.by_horizon if not horizons else ():
        level = "none" if flip.level is None else f"{format_level(flip.level)} {flip.direction}"
        parts.append((2, ((f"{_EXPIRING[flip.horizon]} ", "dim"), (level, "flip"))))
    for row in horizons:
        is_drawn = row.name == chosen
        runs: list[Run] = [(f"{'⠤ ' if is_drawn else ''}{row.name} ", "strong" if is_drawn else "dim")]
        runs.append((format_usd(row.ngi), sign_style(row.ngi)))
        if row.ngi is not None and width >= 100:
            text = "..".join("none" if level is None else format_level(level) for level in (row.below, row.above))
            runs.append((f" {text}", "flip"))
        parts.append((1 if is_drawn else 2, tuple(runs)))
    return fit(((" ", "text"), *join_by_priority(parts, width - 1, 3 if width >= 120 else 2)), width)


def _level_row(snapshot: FlowSnapshot, width: int) -> Row:
    levels, flip = snapshot.levels, snapshot.flip
    parts: list[tuple[int, tuple[Run, ...]]] = []
    named = (("call wall", levels.call_wall), ("put wall", levels.put_wall), ("key gamma", levels.key_gamma))
    for name, level in (*named, ("OI wall", levels.oi_wall), ("max pain", levels.max_pain)):
        parts.append((1, ((f"{name} ", "dim"), (format_level(level), "flip" if level is not None else "absent"))))
    if flip.searched is not None:
        text = f"searched {format_level(flip.searched[0])}..{format_level(flip.searched[1])}"
        parts.append((2, ((text, "dim"),)))
    if snapshot.regime.agree is not None:
        agree = format_percent(snapshot.regime.agree, 0, plus=False)
        parts.append((3, ((f"sign agrees in {agree} of members", "dim"),)))
    return fit(((" ", "text"), *join_by_priority(parts, width - 1)), width)


def _sentence(frame: Frame, snapshot: FlowSnapshot, profile: Profile, price: float, width: int) -> list[Run]:
    """`88,500 (-1.6 %, -0.8 sd): dealers LONG gamma +5.9M: 1 % down from there they buy 5.9M, 1 % up sell`."""
    value, spot = profile.at(price), snapshot.spot
    if value is None or spot is None:
        return [(" no profile at this price", "dim")]
    volatility, move = snapshot.context.atm_iv or snapshot.context.dvol, price / spot - 1.0
    deviations = f", {move / (volatility / 365.0**0.5):+.1f} sd" if volatility else ""
    bounds = profile.band_at(price)
    band = format_band(*bounds)
    band = f" {band}" if band else ""
    out: list[Run] = [(f" {format_level(price)} ({format_percent(move)}{deviations}): dealers ", "text")]
    if snapshot.positions.sign_caveat or holds_zero(*bounds):
        return [*out, ("unsure", "dim"), (f", gamma {format_usd(value)}{band}", "text")]
    side, down, up = ("LONG", "buy", "sell") if value > 0.0 else ("SHORT", "sell", "buy")
    out += [(side, "pos" if value > 0.0 else "neg"), (f" gamma {format_usd(value)}{band}", "text")]
    if width < 100:
        return out
    out.append((": there 1% down they ", "text"))
    amount = format_usd(abs(value), plus=False)
    out += [(f"{down} {amount}", down), (", 1% up ", "text"), (up, up)]
    if (horizon := chosen_horizon(frame)) is not None and (later := horizon.profile.at(price)) is not None:
        out += [(f"; {horizon.name} ", "dim"), (format_usd(later), sign_style(later))]
    return out
