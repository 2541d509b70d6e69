"""The markets of one coin: index, options with their true dealer book, futures, and the hedging venues."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dfmon.model.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, utc
from dfmon.sim.market import trade_log
from dfmon.sim.market.board import IV_CAP, OptionBoard
from dfmon.sim.market.board_specs import CurrencySpec
from dfmon.sim.market.dealer_feedback import DealerFeedback, true_psi
from dfmon.sim.market.flow import CustomerFlow, Leg, Order, book_orders
from dfmon.sim.market.index_path import IndexPath, generate_index_history
from dfmon.sim.market.ledger import Ledger
from dfmon.sim.market.linear_market import (
    LinearMarket,
    LinearTrade,
    Liquidation,
    future_spec,
    hedge_specs,
    liquidation_rate,
)
from dfmon.sim.market.listing import (
    Expiry,
    OptionContract,
    base_coin,
    is_linear,
    listed_expiries,
    next_delivery_ns,
    option_contracts,
    strike_ladder,
)
from dfmon.sim.market.surface import FloatArray
from dfmon.sim.market.trade_log import OptionTrade, TradeLog, next_parent_id

AVERAGING_NS: Final = 30 * MINUTE
_HISTORY_HOURS: Final = 366 * 24
_UNPRINTED_SHARE: Final = 0.012  # changes of the books without a print, of the orders
_CASCADE_S: Final = 30
_CASCADE_DRIFT: Final = 0.6  # of a standard deviation, each step


@dataclass(slots=True)
class MarketEvents:
    """Events since the last drain; the venues turn them into frames."""

    option_trades: list[OptionTrade] = field(default_factory=list)
    combos: list[tuple[Order, list[OptionTrade]]] = field(default_factory=list)  # with the prints of their legs
    block_rfqs: list[tuple[Order, list[OptionTrade]]] = field(default_factory=list)  # executed block RFQs
    linear_trades: list[LinearTrade] = field(default_factory=list)
    liquidations: list[Liquidation] = field(default_factory=list)
    listed: list[OptionContract] = field(default_factory=list)
    delivered: list[OptionContract] = field(default_factory=list)
    state_changes: list[tuple[str, OptionContract]] = field(default_factory=list)


class CurrencyMarket:
    """The markets of one board, stepped together. `path` is another board's index, which that one moves.

    With `feedback` the hedges of the dealers, of this board alone, move the index that it owns.
    """

    def __init__(
        self,
        spec: CurrencySpec,
        now_ns: int,
        step_ns: int,
        seed: np.random.SeedSequence,
        history: float = 1.0,
        path: IndexPath | None = None,
        feedback: float = 0.0,
    ) -> None:
        self.spec, self.name, self.base = spec, spec.name, base_coin(spec.name)
        streams = [np.random.default_rng(child) for child in seed.spawn(6)]
        rng_path, rng_flow, self._rng_board, self._rng_linear, self._rng_events, rng_history = streams
        self.now_ns, self._step_s = now_ns, step_ns / SECOND
        self.path, self._owns_path = path or IndexPath(spec.path, step_ns, rng_path), path is None
        self._feedback = DealerFeedback(feedback, MINUTE / step_ns)
        self.flow = CustomerFlow(spec.flow, rng_flow)
        self._rng_books = self._rng_events.spawn(1)[0]  # apart, so that it changes no event
        self._cascade_side, self._cascade_left_s = 0, 0  # direction of the forced orders, seconds
        self._minute_prices: deque[float] = deque([self.path.price], maxlen=61)
        self._window_sum, self._window_ticks = 0.0, 0
        self._next_instrument_id = 100_000
        self._pending_states: list[
            tuple[int, str, OptionContract]
        ] = []  # states of delivered series still to be published, and when
        self.delivered: list[OptionContract] = []
        self.combo_trade_counts: dict[str, int] = {}  # traded since the start, with the number of trades
        self._create_board(now_ns)
        self._create_linear_markets()
        index_history = generate_index_history(self.path.price, spec.path.vol, _HISTORY_HOURS, rng_history)
        self.deliveries = _historical_deliveries(index_history, now_ns)
        self.index_history = index_history
        for market in (*self.hedges, *self.futures.values()):
            market.set_past(index_history, now_ns, spec.path.vol)
        trade_log.generate_past_trades(
            self.trade_log, self.ledger, self.board, self.flow,
            count=max(int(spec.history_trades * history), 1), now_ns=now_ns,
            index_history=index_history, carry=spec.carry, smile=self.path.smile, rng=rng_history,
            book=book_orders(self.board, spec.book, now_ns),
        )  # fmt: skip

    # -- what the venues read -------------------------------------------------------------------------------------

    @property
    def index(self) -> float:
        """The index price as published, USD."""
        return round(self.path.price, self.spec.quotation.index_digits)

    @property
    def price_index(self) -> str:
        """Name of the price index, such as btc_usd or btc_usdc."""
        return f"{self.base.lower()}_{'usdc' if is_linear(self.name) else 'usd'}"

    @property
    def perpetual(self) -> LinearMarket:
        """Deribit's perpetual."""
        return next(m for m in self.hedges if m.spec.venue == "deribit")

    @property
    def true_psi(self) -> float:
        """Psi of the true dealer book in the usual depth of the hedging markets."""
        depth_usd = sum(market.spec.depth_usd for market in self.hedges)
        return true_psi(self.ledger.dealer_position, self.board.greeks.gamma, self.board.underlying, depth_usd)

    @property
    def volatility_index(self) -> float:
        """DVOL: the 30-day level with a premium for the wings, percent."""
        tenor = np.array([30.0 / 365.0])
        return round(100.0 * float(self.path.smile.volatility(np.zeros(1), tenor)[0]) + 1.8, 2)

    @property
    def in_averaging_window(self) -> bool:
        """True during the half-hour average before 08:00 UTC."""
        return next_delivery_ns(self.now_ns) - self.now_ns <= AVERAGING_NS

    @property
    def estimated_delivery(self) -> float:
        """The running average inside the window, the index outside."""
        digits = self.spec.quotation.index_digits
        return round(self._window_sum / self._window_ticks, digits) if self._window_ticks else self.index

    @property
    def delivery_progress(self) -> tuple[int, int, int]:
        """Seconds to the next delivery; samples taken and samples in all of its average."""
        return (next_delivery_ns(self.now_ns) - self.now_ns) // SECOND, self._window_ticks, AVERAGING_NS // SECOND

    def venue(self, name: str) -> list[LinearMarket]:
        """The hedging markets of one venue."""
        return [m for m in self.hedges if m.spec.venue == name]

    # -- time -----------------------------------------------------------------------------------------------------

    def step(self, now_ns: int, events: MarketEvents) -> None:
        """Advances by one step; on whole seconds the board is repriced."""
        self.now_ns = now_ns
        if self._owns_path:
            drift_sd = self._cascade_side * _CASCADE_DRIFT if self._cascade_left_s else 0.0
            self.path.step_price(drift_sd, self._feedback.push)
        if now_ns % SECOND == 0:
            self._step_second(events)
        taker_imbalance = math.tanh(0.7 * self.path.log_return / self.path.step_sd)
        for market in self.hedges:
            events.linear_trades += market.step_market(now_ns, self.path.price, taker_imbalance, self._step_s)
        for _ in range(self.flow.draw_arrivals(self._step_s)):
            self.execute(self.flow.draw_order(self.board, self.path.price), events)

    def _step_second(self, events: MarketEvents) -> None:
        now_ns, price = self.now_ns, self.path.price
        if self.in_averaging_window:
            self._window_sum += price
            self._window_ticks += 1
        if self.board.slices[0].expiry.expiry_ns <= now_ns:
            self._roll(now_ns, events)
        self.board.reprice(now_ns, self.index, self.spec.carry, self.path.smile)
        if self._feedback.gain and now_ns % MINUTE == 0:
            self._feedback.end_minute(price, self.true_psi)
        for label, market in self.futures.items():
            carry = math.exp(self.spec.carry * self._years[label])
            events.linear_trades += market.step_market(now_ns, price, 0.0, 1.0, carry)
        self._liquidate(price, events)
        if self._rng_books.random() < _UNPRINTED_SHARE * self.spec.flow.rate:
            self.ledger.move_without_print(self._rng_books)
        events.state_changes += [
            (state, c) for effective_ns, state, c in self._pending_states if effective_ns <= now_ns
        ]
        self._pending_states = [pending for pending in self._pending_states if pending[0] > now_ns]

    def _liquidate(self, price: float, events: MarketEvents) -> None:
        self._minute_prices.append(price)
        log_move = math.log(price / self._minute_prices[0])
        move_sd = log_move / (self.path.step_sd * math.sqrt(60.0 / self._step_s))
        rate = liquidation_rate(move_sd) if self.path.target is None else 0.0  # a script has its own forced orders
        side = 1 if log_move > 0.0 else -1
        if self._cascade_left_s:
            self._cascade_left_s -= 1
            rate, side = 1.0, self._cascade_side
        for market in self.hedges:
            if market.spec.kind == "perpetual" and self._rng_events.random() < rate:
                events.liquidations.append(market.liquidate(self.now_ns, side))

    def execute(self, order: Order, events: MarketEvents) -> None:
        """Trade an order against the board."""
        parent_id = next_parent_id(self.trade_log, order)
        leg_trades = [self._print_leg(order, leg, parent_id) for leg in order.legs]
        events.option_trades += leg_trades
        if order.structure:
            events.combos.append((order, leg_trades))
            self.combo_trade_counts[leg_trades[0].combo] = self.combo_trade_counts.get(leg_trades[0].combo, 0) + 1
        if order.rfq:
            events.block_rfqs.append((order, leg_trades))

    def _print_leg(self, order: Order, leg: Leg, parent_id: int) -> OptionTrade:
        board, row = self.board, leg.row
        mark = float(board.mark[row])
        price = float(board.ask[row] if leg.side > 0 else board.bid[row])
        iv = float(board.ask_iv[row] if leg.side > 0 else board.bid_iv[row])
        if math.isnan(price):
            price = max(round(mark, board.quotation.digits), board.quotation.fine_tick)
        if not 1.0 < iv < IV_CAP:  # the quote is outside what any volatility explains
            iv = float(board.iv[row])
        trade = trade_log.print_leg(
            self.trade_log, self.ledger, board, order, leg,
            self.now_ns // MILLISECOND, (price, mark, iv), self.path.price, parent_id,
        )  # fmt: skip
        self.ledger.update_day_stats(row, price, leg.amount, board.quotation.to_usd(1.0, self.path.price))
        return trade

    # -- one-shots ------------------------------------------------------------------------------------------------

    def cascade(self, side: int) -> None:
        """Half a minute of forced orders on every perpetual; the price runs ahead of them. `side` +1 or -1."""
        self._cascade_side, self._cascade_left_s = side, _CASCADE_S

    def roll_now(self, events: MarketEvents) -> None:
        """Delivers the nearest series before its time and lists what the calendar adds then."""
        self._roll(self.board.slices[0].expiry.expiry_ns, events)

    def list_strike(self, events: MarketEvents) -> None:
        """List one more strike in the nearest monthly series, above all others."""
        expiry_slice = next(s for s in self.board.slices if s.expiry.period in {"month", "quarter"})
        added = self._new_contracts(
            expiry_slice.expiry, [expiry_slice.strikes[-1] + (expiry_slice.strikes[-1] - expiry_slice.strikes[-2])]
        )
        self._rebuild_board(self.board.contracts + added, events, added=added, expired=[])

    # -- listing --------------------------------------------------------------------------------------------------

    def _create_board(self, now_ns: int) -> None:
        listed = [c for expiry in listed_expiries(now_ns) for c in self._list_expiry(expiry, now_ns)]
        self.board = OptionBoard(listed, now_ns, self.spec.flow.lot, self._rng_board, self.spec.quotation)
        self.ledger = Ledger(len(listed))
        self.trade_log = TradeLog(self.name, self.spec.first_trade_number)
        self.board.reprice(now_ns, self.index, self.spec.carry, self.path.smile)

    def _create_linear_markets(self) -> None:
        price, rng = self.path.price, self._rng_linear
        scale = (self.name, self.spec.volume_scale, self.spec.depth_scale)
        self.hedges = [LinearMarket(s, price, rng, 7_000_000 * (n + 3)) for n, s in enumerate(hedge_specs(*scale))]
        for market in self.hedges:
            market.index = price
        self.futures: dict[str, LinearMarket] = {}
        self._list_futures()

    def _list_futures(self) -> None:
        """A future for every expiry but the dailies; the linear boards have none and go by the index."""
        self._years = {s.expiry.label: s.expiry.years(self.now_ns) for s in self.board.slices}
        if is_linear(self.name):
            return
        for expiry_slice in self.board.slices:
            label = expiry_slice.expiry.label
            if expiry_slice.expiry.period != "day" and label not in self.futures:
                spec = future_spec(self.name, f"{self.name}-{label}", expiry_slice.expiry.expiry_ns)
                price = self.path.price * math.exp(self.spec.carry * self._years[label])
                self.futures[label] = LinearMarket(spec, price, self._rng_linear, 1_000 * (len(self.futures) + 1))

    def _list_expiry(self, expiry: Expiry, now_ns: int) -> list[OptionContract]:
        days = (expiry.expiry_ns - now_ns) / DAY
        ladder = strike_ladder(self.path.price, self.spec.flow.strike_step, self.spec.ladder_width, days)
        return self._new_contracts(expiry, ladder)

    def _new_contracts(self, expiry: Expiry, ladder: list[float]) -> list[OptionContract]:
        new_contracts = list(option_contracts(self.name, expiry, ladder, self._next_instrument_id))
        self._next_instrument_id += len(new_contracts)
        return new_contracts

    def _roll(self, delivery_ns: int, events: MarketEvents) -> None:
        """08:00 UTC: deliver what expires, list what the calendar adds."""
        old_board = self.board
        self.deliveries.insert(0, (f"{utc(delivery_ns):%Y-%m-%d}", self.estimated_delivery))
        self._window_sum, self._window_ticks = 0.0, 0
        expired = [c for c in old_board.contracts if c.expiry.expiry_ns <= delivery_ns]
        known_expiries = {s.expiry.expiry_ns for s in old_board.slices}
        added = [
            c
            for e in listed_expiries(delivery_ns)
            if e.expiry_ns not in known_expiries
            for c in self._list_expiry(e, self.now_ns)
        ]
        self.delivered = (expired + self.delivered)[:5_000]
        for label in [k for k, m in self.futures.items() if m.spec.expiry_ns <= delivery_ns]:
            del self.futures[label]
        remaining = [c for c in old_board.contracts if c.expiry.expiry_ns > delivery_ns]
        self._rebuild_board(remaining + added, events, added=added, expired=expired)
        self._list_futures()

    def _rebuild_board(
        self,
        listed: list[OptionContract],
        events: MarketEvents,
        *,
        added: list[OptionContract],
        expired: list[OptionContract],
    ) -> None:
        """A new board of `listed`, with the books of those that were listed before."""
        ordered = sorted(listed, key=lambda c: (c.expiry.expiry_ns, c.strike, -c.sign))
        self.ledger = self.ledger.reindexed([self.board.rows.get(c.name, -1) for c in ordered])
        self.board = OptionBoard(ordered, self.now_ns, self.spec.flow.lot, self._rng_board, self.spec.quotation)
        self.board.reprice(self.now_ns, self.index, self.spec.carry, self.path.smile)
        events.delivered += expired
        events.listed += added
        events.state_changes += [("settlement", c) for c in expired] + [("open", c) for c in added]
        self._pending_states += [(self.now_ns + SECOND, "delivered", c) for c in expired]
        self._pending_states += [(self.now_ns + MINUTE, "archivized", c) for c in expired]


def _historical_deliveries(index_history: FloatArray, now_ns: int) -> list[tuple[str, float]]:
    last = next_delivery_ns(now_ns) - DAY
    days = range(min(200, len(index_history) // 24 - 1))
    hours = [len(index_history) - 1 - (now_ns - last) // HOUR - 24 * n for n in days]
    return [(f"{utc(last - n * DAY):%Y-%m-%d}", round(float(index_history[h]), 2)) for n, h in zip(days, hours)]
