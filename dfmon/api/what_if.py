"""The what-if of the Python API: a board as one tick, moved and under other assumptions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np

from dfmon.api.board import Board
from dfmon.api.validation import Positions, check_choice
from dfmon.core.exposure.desks import Desk
from dfmon.core.flip.grid import Stickiness
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.scenario.impact import ImpactLaw
from dfmon.core.scenario.market_moves import LOOKBACK_NS
from dfmon.core.scenario.move_scale import MoveScale
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.what_if import TickInputs, what_if_of_tick
from dfmon.model.events import Market
from dfmon.model.frames import ChainFrame, MarketFrame, ReceiveTimes, TradeColumns, VenueMarket
from dfmon.model.units import DAY, NAN, YEAR
from dfmon.model.what_if import Shock, WhatIf

_NOW: Final = 20_000 * DAY  # a board has times to expiry and no date
MAX_HOURS: Final = 87_600.0
_ASSUMPTIONS: Final = ("positions", "numeraire", "stickiness", "venue_share", "desks", "risk_aversion", "impact_law")


def what_if(
    board: Board,
    positions: Positions = "naive",
    *,
    spot_pct: float = 0.0,
    vol_points: float = 0.0,
    hours: float = 0.0,
    numeraire: Numeraire = "usd",
    stickiness: Stickiness = "strike",
    venue_share: float = 1.0,
    desks: Sequence[tuple[float, float, float]] = ((1.0, 1.0, 0.0),),
    risk_aversion: float = 1e-6,
    impact_law: ImpactLaw = "linear",
    depth_usd: float | None = None,
    volume_usd: float | None = None,
    assume: Mapping[str, Any] | None = None,
) -> WhatIf:
    """Every metric and the flip before and after a move of the market, by the code of a live tick.

    The keywords hold before and after; `assume` replaces some of them after: "positions", "numeraire", "stickiness",
    "venue_share", "desks", "risk_aversion", "impact_law". Psi needs `depth_usd` (USD within 1 % of mid), and under the
    law "sqrt" also the 24 h volume. Each desk is (share, hedge ratio, cost).

    Units: per cent of spot, volatility points, hours; results as in the snapshot.
    Shapes: one row a metric.
    Errors: ValueError for arguments that do not fit.
    Source: see `dfmon.engine.what_if`.

    >>> board = Board(spot=1e5, strike=[9e4, 1e5], sigma=0.5, tau=7 / 365, option_type=["put", "call"], open_interest=9)
    >>> result = what_if(board, spot_pct=2.0, assume={"positions": "short-all"})
    >>> result["ngi"].before > 0.0 > result["ngi"].after, result["flip"].unit
    (True, 'USD')
    """
    if not isinstance(board, Board):
        raise ValueError(f"board: a dfmon.Board is expected, not {type(board).__name__}")
    base = {
        "positions": positions, "numeraire": numeraire, "stickiness": stickiness, "venue_share": venue_share,
        "desks": desks, "risk_aversion": risk_aversion, "impact_law": impact_law,
    }  # fmt: skip
    unknown = sorted(set(assume or {}) - set(_ASSUMPTIONS))
    if unknown:
        raise ValueError(f"assume: {unknown[0]!r} is not known; allowed: {', '.join(_ASSUMPTIONS)}")
    shock = _check_shock(spot_pct, vol_points, hours)
    market, params = _market(board, depth_usd, volume_usd), _params(board, base)
    # a quarter of an hour of standing market before the shock: hedge flow and the sign of the move need one
    state, _ = step(FlowState.initial(), board_frame(board, _NOW - LOOKBACK_NS), market, (), params, 1)
    state = replace(state, hour=replace(state.hour, scale=MoveScale.initial()))  # a and b are those of the board now
    tick = TickInputs(state, board_frame(board, _NOW), market, (), params, 2)
    result = what_if_of_tick(tick, shock, _params(board, {**base, **(assume or {})}))
    return msgspec.structs.replace(result, ts="")


def _check_shock(spot_pct: float, vol_points: float, hours: float) -> Shock:
    if not spot_pct > -100.0 or not np.isfinite([spot_pct, vol_points, hours]).all() or hours < 0.0:
        raise ValueError(
            "spot_pct, vol_points, hours: finite numbers, a spot above 0 and no hours below 0 are expected"
        )
    if hours > MAX_HOURS:
        raise ValueError(f"hours: {hours:g} is beyond {MAX_HOURS:,.0f}, ten years")
    return Shock(float(spot_pct), float(vol_points), float(hours))


def _params(board: Board, assumptions: Mapping[str, Any]) -> FlowParams:
    """The parameters of a tick; positions by hand are a file's."""
    positions = assumptions["positions"]
    conventional = isinstance(positions, str)
    by_name = None if conventional else dict(zip(board.names, board.held(positions).tolist()))
    if conventional:
        board.held(positions)  # raises for an unknown convention
    check_choice("numeraire", assumptions["numeraire"], ("usd", "coin"))
    check_choice("stickiness", assumptions["stickiness"], ("strike", "moneyness"))
    check_choice("impact_law", assumptions["impact_law"], ("linear", "sqrt"))
    if not 0.0 < assumptions["venue_share"] <= 1.0:
        raise ValueError(f"venue_share: {assumptions['venue_share']!r} is no share; above 0 and up to 1 is expected")
    if not 0.0 < assumptions["risk_aversion"] <= 1.0:
        raise ValueError(f"risk_aversion: {assumptions['risk_aversion']!r}, above 0 and up to 1 is expected")
    try:
        desks = tuple(Desk(*map(float, desk)) for desk in assumptions["desks"])
    except (TypeError, ValueError):
        raise ValueError("desks: a sequence of (share, hedge ratio, cost) is expected") from None
    if not all(desk.in_range for desk in desks):
        raise ValueError("desks: shares and costs from 0 to 1 and hedge ratios from 0 to 2 are expected")
    if not np.isclose(sum(desk.share for desk in desks), 1.0):
        raise ValueError(f"desks: shares add up to {sum(desk.share for desk in desks):g}, 1 is expected")
    return msgspec.structs.replace(
        FlowParams(positions if conventional else "file", by_name),
        **{
            name: assumptions[name]
            for name in ("numeraire", "stickiness", "venue_share", "risk_aversion", "impact_law")
        },
        desks=desks,
    )


def board_frame(board: Board, ts_ns: int) -> ChainFrame:
    """The board as the input of a tick at or before _NOW, when its times to expiry hold."""
    n = board.size
    unset, zeros, now = np.full(n, NAN), np.zeros(n), np.full(n, ts_ns)
    tau = np.nan_to_num(board.tau, nan=-1.0)
    return ChainFrame(
        ts_ns=ts_ns,
        underlying="board",
        spot=board.spot,
        spot_ns=ts_ns,
        vol_index=NAN,
        delivery_average=NAN,
        uid=np.arange(n),
        names=board.names,
        expiry_ns=_NOW + np.rint(tau * YEAR).astype(np.int64),
        strike=board.strike,
        option_type=board.option_type.astype(np.int8),
        inverse=board.inverse,
        forward=board.forward,
        sigma=board.sigma,
        bid_sigma=unset,
        ask_sigma=unset,
        mark=unset,
        bid=unset,
        ask=unset,
        open_interest=np.nan_to_num(board.open_interest),
        volume=unset,
        data_ns=now,
        first_seen_ns=now,
        full_history=np.zeros(n, bool),
        listed_ns=np.zeros(n, np.int64),
        interest=np.nan_to_num(board.open_interest),
        interest_ns=now,
        lost_prints=zeros,
        trades=_no_trades(),
        received=ReceiveTimes(ts_ns, ts_ns, ts_ns, ts_ns),
    )


def _no_trades() -> TradeColumns:
    integers, floats, flags = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool)
    return TradeColumns(
        uid=integers,
        seq=integers,
        key=np.zeros(0, np.uint64),
        exch_ns=integers,
        side=np.zeros(0, np.int8),
        size=floats,
        price=floats,
        sigma=floats,
        block=flags,
        rfq=flags,
        combo=flags,
        liquidation=(),
    )


def _market(board: Board, depth_usd: float | None, volume_usd: float | None) -> MarketFrame:
    if depth_usd is None and volume_usd is None:
        return MarketFrame((), 0.0, 0.0)
    for name, amount in (("depth_usd", depth_usd), ("volume_usd", volume_usd)):
        if amount is not None and not 0.0 < amount < math.inf:
            raise ValueError(f"{name}: {amount!r}, an amount above 0 is expected")
    depth, volume = NAN if depth_usd is None else float(depth_usd), NAN if volume_usd is None else float(volume_usd)
    row = VenueMarket("board", Market.PERP, board.spot, depth, volume, NAN, NAN, board.spot, 0.0, 0.0, 0.0)
    return MarketFrame((row,), 0.0, 0.0)
