"""One tick of one underlying: previous state and two frames in, next state and a snapshot out.

The only place that knows the order of the kernels. Pure: it reads no clock and keeps nothing between calls, so a
replayed recording gives the same snapshots bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from dfmon.core.book_exposure import Exposure, flips_of_books, measure_exposure, price_board
from dfmon.core.columns import Columns, atm_sigma, first_of_group, priceable_columns
from dfmon.core.exposure.changes import BookChanges
from dfmon.core.exposure.desks import Desk, HedgeShares, hedge_shares, off_venue_sd
from dfmon.core.exposure.market_window import MarketWindow
from dfmon.core.flip.grid import Stickiness
from dfmon.core.freshness import FreshnessLimits, measure_freshness
from dfmon.core.positions.dealer_net import (
    POSITION_MODELS,
    DealerPositions,
    open_interest_check,
    positions_by_model,
)
from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.positions.provenance import provenance
from dfmon.core.pricing.compiled import kernels_for_step
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.scenario.alerts import newest_alerts
from dfmon.core.scenario.book_history import NO_FLOWS, BookHistory, measure_book_flows
from dfmon.core.scenario.book_scene import SceneState, update_scene
from dfmon.core.scenario.features import HourMarket
from dfmon.core.scenario.hour_state import HourState, update_hour
from dfmon.core.scenario.impact import ImpactLaw
from dfmon.core.scenario.liquidity import DepthHistory, market_view
from dfmon.core.scenario.live_score import ScoreState, update_score
from dfmon.core.scenario.lookback import empty_spot_path, measure_moves
from dfmon.core.scenario.market_moves import measure_market_moves
from dfmon.core.scenario.micro_structure import MicroState, update_micro
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.core.scenario.thresholds import Thresholds
from dfmon.core.scenario.tick_result import BoardTick, TickResult, fields_of
from dfmon.core.scenario.volatility import constant_horizon_sigma
from dfmon.core.scenario.volatility_beta import VolatilityBeta
from dfmon.core.snapshot import tables
from dfmon.core.snapshot.build import BookResult, with_views
from dfmon.core.snapshot.change_rows import book_sample
from dfmon.model.frames import F64, ChainFrame, FeedHealth, MarketFrame
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import TapeRow


class FlowParams(msgspec.Struct, frozen=True, rename={"priors": "position_priors"}):
    """Parameters of the model, which a user may change at run time; a change is a journal record.

    `iv_move_1h` is the mean absolute hourly move of volatility in points, and `thresholds` those of the scenarios,
    before they are measured. `venue_share` is the share of all open interest that the venue is taken to hold; shares of
    `desks` add up to 1, `risk_aversion` is 1/USD.
    `compiled` prices with the compiled kernels where they can be had: other last bits, the same numbers to 1e-12.
    """

    positions: str = "flow"
    file_positions: Mapping[str, float] | None = None
    numeraire: Numeraire = "usd"
    stickiness: Stickiness = "strike"
    warm_coverage: float = 0.6
    freshness: FreshnessLimits = FreshnessLimits()
    iv_move_1h: float = 0.6
    thresholds: Thresholds = Thresholds()
    priors: PositionPriors = PositionPriors()
    venue_share: float = 1.0
    desks: tuple[Desk, ...] = (Desk(1.0),)
    risk_aversion: float = 1e-6
    impact_law: ImpactLaw = "linear"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.positions not in POSITION_MODELS:
            raise ValueError(f"positions is {self.positions!r}, allowed: {', '.join(POSITION_MODELS)}")

    def with_positions(self, model: str) -> FlowParams:
        """The same parameters under another position model."""
        return msgspec.structs.replace(self, positions=model)


@dataclass(frozen=True, slots=True)
class BookState:
    """State of one position model, carried from tick to tick."""

    history: BookHistory
    scene: SceneState
    changes: BookChanges
    score: ScoreState

    @classmethod
    def initial(cls) -> BookState:
        return cls(BookHistory.empty(), SceneState.initial(), BookChanges.empty(), ScoreState.initial())


@dataclass(frozen=True, slots=True)
class FlowState:
    """State carried from tick to tick, `books` by position model. Immutable; a step returns the next one."""

    book: PositionBook
    options: MarketWindow
    beta: VolatilityBeta
    path: RollingWindow
    depth: DepthHistory
    micro: MicroState
    hour: HourState
    books: Mapping[str, BookState]
    tape: tuple[TapeRow, ...]

    @classmethod
    def initial(cls) -> FlowState:
        return cls(
            book=PositionBook.empty(),
            options=MarketWindow.empty(),
            beta=VolatilityBeta.initial(),
            path=empty_spot_path(),
            depth=DepthHistory.empty(),
            micro=MicroState.initial(),
            hour=HourState.initial(),
            books={},
            tape=(),
        )


def step(
    state: FlowState,
    chain: ChainFrame,
    market: MarketFrame,
    feeds: tuple[FeedHealth, ...],
    params: FlowParams,
    seq: int,
) -> tuple[FlowState, FlowSnapshot]:
    """Computes one tick with the kernels that `params` selects.

    Units: of the frames. Shapes: any board, also an empty one. Domain: total; what cannot be computed is None with a
    reason.
    """
    with kernels_for_step(params.compiled):
        return _compute(state, chain, market, feeds, params, seq)


def _compute(
    state: FlowState,
    chain: ChainFrame,
    market: MarketFrame,
    feeds: tuple[FeedHealth, ...],
    params: FlowParams,
    seq: int,
) -> tuple[FlowState, FlowSnapshot]:
    ts_ns = chain.ts_ns
    book = advance_book(state.book, chain, params.priors)
    positions = positions_by_model(book, chain, params.positions, params.file_positions)
    cols = priceable_columns(chain, *positions.values())
    board = price_board(chain, cols, params.numeraire)
    atm = atm_sigma(cols)
    sigma = daily_sigma(cols, atm)
    freshness = measure_freshness(chain, market, params.freshness)
    liquidity = market_view(market, state.depth, ts_ns, params.freshness)
    spot_moves = measure_moves(state.path, ts_ns, chain.spot, sigma)
    is_sample = not freshness.stale and chain.spot > 0.0 and sigma > 0.0
    path = state.path.push(ts_ns, (chain.spot, sigma)) if is_sample else state.path
    micro_state, micro = update_micro(state.micro, market, chain.spot, ts_ns)
    tape = tables.tape(chain, cols, board, state.tape)
    options, beta = state.options.push(chain, is_sample=not freshness.stale), state.beta.estimate(chain.underlying)
    moves = measure_market_moves(options, chain, cols, board.unit.vega, board.points, beta, sigma, params.numeraire)
    inputs = BoardTick(
        chain=chain,
        market=market,
        feeds=feeds,
        warm_coverage=params.warm_coverage,
        freshness=freshness,
        venue_share=params.venue_share,
        numeraire=params.numeraire,
        stickiness=params.stickiness,
        file_positions=params.file_positions,
        open_interest_check=open_interest_check(book),
        provenance=provenance(book, cols.rows),
        rates=book.state.rates,
        board=board,
        atm=atm,
        sigma=sigma,
        liquidity=liquidity,
        spot_moves=spot_moves,
        moves=moves,
        micro=micro,
        impact_law=params.impact_law,
    )
    carried = replace(state, book=book, options=options, path=path, micro=micro_state, tape=tape)
    shared, market_of_hour = _advance_market(carried, inputs, params)
    books, results = _step_books(state, shared, inputs, market_of_hour, cols, positions, params)
    return replace(shared, books=books), with_views(results, params.positions, tape, seq)


def _advance_market(state: FlowState, inputs: BoardTick, params: FlowParams) -> tuple[FlowState, HourMarket]:
    """The state with beta, depth and hour of this tick, and the market of the hour."""
    hour, market_of_hour = update_hour(state.hour, inputs, params.iv_move_1h, params.thresholds.liquidations_hi)
    beta = state.beta
    if not inputs.freshness.stale:
        beta = beta.push(inputs.chain.ts_ns, inputs.moves.quarter)
    return replace(state, beta=beta, depth=inputs.liquidity.depth_history, hour=hour), market_of_hour


def _step_books(
    state: FlowState,
    shared: FlowState,
    inputs: BoardTick,
    market_of_hour: HourMarket,
    cols: Columns,
    positions: Mapping[str, DealerPositions],
    params: FlowParams,
) -> tuple[dict[str, BookState], dict[str, BookResult]]:
    """The next state and the results of every position model; `shared` is what this tick made of `state` for all."""
    chain, hour, moves = inputs.chain, shared.hour, inputs.moves
    cols_of = {model: cols.with_book(book) for model, book in positions.items()}
    # the flip of unknown positions would be that of their prior
    known = {model: cols_of[model] for model, book in positions.items() if book.known}
    off_venue = off_venue_sd(params.venue_share)
    flips = flips_of_books(chain.spot, inputs.board, known, params.stickiness, off_venue)
    incidents = tuple(incident.alert(chain.ts_ns) for incident in hour.feeds.incidents)
    books: dict[str, BookState] = {}
    results: dict[str, BookResult] = {}
    for index, (model, book) in enumerate(positions.items()):
        previous = state.books.get(model) or BookState.initial()
        history = previous.history.push(shared.options, book)
        if moves.hedge is not None and book.members is not None:
            history = history.with_settled(moves.hedge.expired_key, state.options, state.book)
        exposure = measure_exposure(inputs.board, cols_of[model], flips.get(model), off_venue)
        tick = _book_tick(history, inputs, cols_of[model], book, exposure, hour, params)
        scene_state, scene = update_scene(
            previous.scene, tick, market_of_hour, hour.liquidations.levels, params.thresholds.phi, index
        )
        changes = previous.changes.push(book_sample(tick)) if tick.has_book else previous.changes
        score = update_score(previous.score, tick)
        books[model] = BookState(history, scene_state, changes, score)
        alerts = newest_alerts(scene_state.alerts, incidents)
        results[model] = BookResult(tick, scene, alerts, changes, scene_state.log, score.score)
    return books, results


def _book_tick(
    history: BookHistory,
    inputs: BoardTick,
    cols: Columns,
    positions: DealerPositions,
    exposure: Exposure,
    hour: HourState,
    params: FlowParams,
) -> TickResult:
    """The tick under one position model, before its scene."""
    chain, total, off_venue = inputs.chain, exposure.totals, off_venue_sd(params.venue_share)

    def shares(move: float) -> HedgeShares:
        return hedge_shares(params.desks, params.risk_aversion, total.ngi, chain.spot, max(chain.spot, 0.0) * move)

    flows = NO_FLOWS
    if cols.size and positions.known:
        flows = measure_book_flows(history, inputs.moves, cols, total, shares, off_venue)
    return TickResult(
        **fields_of(inputs),
        positions=positions,
        cols=cols,
        exposure=exposure,
        hedge_shares=shares(inputs.spot_moves.ret_15m or 0.0),
        flows=flows,
        scale=hour.scale,
        ds_sign=hour.ds_sign,
    )


def daily_sigma(cols: Columns, atm: F64) -> float:
    """ATM volatility of the next 24 hours; NaN for an empty board.

    Units: decimal per sqrt(year). Shapes: (k,) -> scalar.
    """
    return constant_horizon_sigma(first_of_group(cols.expiry_code, cols.tau, cols.expiries.size), atm)
