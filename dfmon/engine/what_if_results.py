"""Results beside a what-if: the trade on the way there, NGI under each convention, and NGI by spot and volatility.

Each number is that of `step` on a changed board or under changed parameters, so it means what it means live.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from dfmon.core.exposure.bands import bands_of_sums
from dfmon.core.exposure.reprice import MarketState, Options, open_share, unit_deltas
from dfmon.core.pricing.settlement import HOUR as HOUR_YEARS
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot.build import BookResult
from dfmon.core.step import FlowParams, step
from dfmon.engine.explain import other_params
from dfmon.engine.what_if import TickInputs, before_and_after, expired_options, shocked_chain
from dfmon.model.flip import RegimeEdge
from dfmon.model.frames import F64, ChainFrame
from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.model.units import expiry_label
from dfmon.model.what_if import Shock

OTHER_SHARE: Final = 0.8
"""The share of all open interest on this venue that the fan tries."""
GRID_MOVES: Final = tuple(x / 100.0 for x in (-10, -8, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8))
GRID_POINTS: Final = (10.0, 6.0, 3.0, 0.0, -3.0, -6.0)
_CONVENTIONS: Final = ("naive", "short-all")  # position models without an ensemble


class HedgeOnTheWay(NamedTuple):
    """Trade of dealers from the present to the what-if, USD, + = they buy, and the part of spot alone."""

    value: float
    lo: float | None
    hi: float | None
    spot: float


@dataclass(frozen=True, slots=True)
class WhatIfResult:
    """The snapshots before and after, and the hedge between them; `scenario` is what the rules call there.

    `expired` counts the options that are over by then; `hedge` is None without known positions.
    """

    before: FlowSnapshot
    after: FlowSnapshot
    expired: int
    hedge: HedgeOnTheWay | None
    scenario: tuple[int, str] | None


class FanRow(NamedTuple):
    """NGI and the edges of the regime under one convention; `has_band` is false for a convention of positions."""

    name: str
    ngi: float | None
    lo: float | None
    hi: float | None
    side: str | None
    below: float | None
    above: float | None
    has_band: bool


class NgiGrid(NamedTuple):
    """NGI by volatility points (rows, falling) and moves of spot (columns, fractions), USD per +1 %; NaN for none."""

    points: tuple[float, ...]
    moves: tuple[float, ...]
    ngi: F64


def what_if_result(tick: TickInputs, shock: Shock, params: FlowParams) -> WhatIfResult:
    """The tick before and after. Raises ValueError for a shock that cannot be priced.

    Units: of the snapshot.
    """
    chain = shocked_chain(tick.chain, shock, params.stickiness)
    before, after = before_and_after(tick, chain, params)
    then = _book_result(after)
    call = None if then is None else then.scene.call.scene
    return WhatIfResult(
        before=before,
        after=after,
        expired=expired_options(tick.chain, chain),
        hedge=None if then is None else _hedge_on_the_way(then.tick, tick.chain, chain, shock),
        scenario=None if call is None else (int(call.bucket), call.title),
    )


def _book_result(snapshot: FlowSnapshot) -> BookResult | None:
    result = None if snapshot.views is UNSET else snapshot.views.result
    return result if isinstance(result, BookResult) and result.tick.has_book else None


def _hedge_on_the_way(then: TickResult, before: ChainFrame, after: ChainFrame, shock: Shock) -> HedgeOnTheWay:
    """Of the options that are still alive then, by full reprice; what expires on the way is not in it."""
    cols = then.cols
    rows, average = cols.rows, np.full(cols.size, np.nan) if cols.average is None else cols.average
    options = Options(cols.strike, cols.option_type, before.inverse[rows], then.numeraire)
    now = MarketState(before.forward[rows], before.sigma[rows], cols.tau + shock.hours * HOUR_YEARS, average)
    forward = np.array([now.forward, after.forward[rows], after.forward[rows]])
    sigma, tau = np.array([now.sigma, now.sigma, cols.sigma]), np.array([now.tau, now.tau, cols.tau])
    delta = open_share(tau) * unit_deltas(options, forward, sigma, tau, average)
    unit = np.nan_to_num(-forward[1:] * (delta[1:] - delta[0]))
    spot, value = (unit @ cols.position).tolist()
    low, high = bands_of_sums(unit[1:], cols.position, cols.members, np.array([value]), np.zeros(1))
    return HedgeOnTheWay(value, low[0], high[0], spot)


# ---- conventions and grid ------------------------------------------------------------------------------------------


def convention_fan(tick: TickInputs) -> tuple[FanRow, ...]:
    """NGI and edges of the tick as it is, and with one convention changed at a time."""
    shown = step(*tick)[1]
    return (_fan_row(f"{shown.positions.model} (shown)", shown), *_other_conventions(tick, shown))


def _other_conventions(tick: TickInputs, shown: FlowSnapshot) -> Iterator[FanRow]:
    models = () if shown.views is UNSET else shown.views.models
    for name, params in other_params(tick.params):
        if name.startswith(("numeraire", "stickiness")):
            yield _fan_row(name, step(*tick._replace(params=params))[1])
    share = msgspec.structs.replace(tick.params, venue_share=OTHER_SHARE)
    if tick.params.venue_share == 1.0:
        yield _fan_row(f"venue share {OTHER_SHARE:g}", step(*tick._replace(params=share))[1])
    live = tick.chain.expiry_ns[tick.chain.expiry_ns > tick.chain.venue_ns]
    if live.size:
        first = int(live.min())
        forward = np.where(tick.chain.expiry_ns == first, np.nan, tick.chain.forward)
        rest = tick._replace(chain=replace(tick.chain, forward=forward))
        yield _fan_row(f"without {expiry_label(first)}", step(*rest)[1])
    for model in models:
        yield _fan_row(f"positions {model}", shown.view(model))
    naive = shown if shown.positions.model == "naive" else shown.view("naive") if "naive" in models else None
    if naive is not None:
        yield _reversed(_fan_row("naive reversed", naive))


def _fan_row(name: str, snapshot: FlowSnapshot) -> FanRow:
    ngi, regime = snapshot.metrics.ngi, snapshot.regime
    has_band = snapshot.positions.model not in _CONVENTIONS
    return FanRow(name, ngi.value, ngi.lo, ngi.hi, regime.side, _level(regime.below), _level(regime.above), has_band)


def _level(edge: RegimeEdge | None) -> float | None:
    return None if edge is None else edge.level


def _reversed(row: FanRow) -> FanRow:
    """The same book with the signs turned: other side, same edges."""
    side = {"long": "short", "short": "long", None: None}[row.side]
    return row._replace(ngi=None if row.ngi is None else -row.ngi, side=side)


def ngi_grid(tick: TickInputs, shock: Shock, params: FlowParams) -> NgiGrid:
    """NGI with the hours and assumptions of a what-if, at other spots and volatilities, its own among them.

    Units: as `NgiGrid`. Domain: a volatility that cannot be priced has no row.
    """
    moves = tuple(sorted({*GRID_MOVES, shock.spot_pct / 100.0}))
    rows: dict[float, F64] = {}
    for points in sorted({*GRID_POINTS, shock.vol_points}, reverse=True):
        try:
            chain = shocked_chain(tick.chain, Shock(0.0, points, shock.hours), params.stickiness)
        except ValueError:
            continue
        snapshot = step(*tick._replace(chain=chain, params=params))[1]
        rows[points] = _ngi_at(snapshot, tick.chain.spot * (1.0 + np.array(moves)))
    if shock.vol_points in rows:  # the what-if itself, not read off a profile
        shocked = step(*tick._replace(chain=shocked_chain(tick.chain, shock, params.stickiness), params=params))[1]
        ngi = shocked.metrics.ngi.value
        rows[shock.vol_points][moves.index(shock.spot_pct / 100.0)] = np.nan if ngi is None else ngi
    return NgiGrid(tuple(rows), moves, np.array(list(rows.values())).reshape(len(rows), len(moves)))


def _ngi_at(snapshot: FlowSnapshot, spots: F64) -> F64:
    """NGI at some spots, by the profile."""
    detail = snapshot.detail
    if not isinstance(detail, Detail) or not detail.profile.spots:
        return np.full(spots.shape, np.nan)
    return np.interp(spots, detail.profile.spots, detail.profile.ngi, left=np.nan, right=np.nan)
