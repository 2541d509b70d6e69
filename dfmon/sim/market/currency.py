"""Everything that trades on one coin: index, options with their true dealer book, futures, and the hedging venues."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dfmon.model.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, utc
from dfmon.sim.market import tape as prints
from dfmon.sim.market.board import IV_CAP, Board
from dfmon.sim.market.flow import CustomerFlow, Leg, Order
from dfmon.sim.market.ledger import Ledger
from dfmon.sim.market.linear import (
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
    base_of,
    contracts,
    expiries,
    is_linear,
    next_cut,
    strikes,
)
from dfmon.sim.market.specs import CurrencySpec
from dfmon.sim.market.spot import IndexPath, past_path
from dfmon.sim.market.surface import FloatArray
from dfmon.sim.market.tape import OptionTrade, Tape, parent_number

AVERAGING_NS: Final = 30 * MINUTE
_PAST_HOURS: Final = 366 * 24
_CASCADE_S: Final = 30
_CASCADE_DRIFT: Final = 0.6  # of a standard deviation, each step


@dataclass(slots=True)
class Happenings:
    """What happened since it was last taken; the venues turn it into frames."""

    option_trades: list[OptionTrade] = field(default_factory=list)
    combos: list[tuple[Order, list[OptionTrade]]] = field(default_factory=list)  # with the prints of their legs
    requests: list[tuple[Order, list[OptionTrade]]] = field(default_factory=list)  # executed block RFQs
    linear_trades: list[LinearTrade] = field(default_factory=list)
    liquidations: list[Liquidation] = field(default_factory=list)
    listed: list[OptionContract] = field(default_factory=list)
    delivered: list[OptionContract] = field(default_factory=list)
    states: list[tuple[str, OptionContract]] = field(default_factory=list)


class CurrencyMarket:
    """The markets of one board, stepped together. `path` is another board's index, which that one moves."""

    def __init__(
        self,
        spec: CurrencySpec,
        now_ns: int,
        step_ns: int,
        seed: np.random.SeedSequence,
        history: float = 1.0,
        path: IndexPath | None = None,
    ) -> None:
        self.spec, self.name, self.base = spec, spec.name, base_of(spec.name)
        streams = [np.random.default_rng(child) for child in seed.spawn(6)]
        rng_path, rng_flow, self._rng_board, self._rng_linear, self._rng_events, rng_past = streams
        self.now_ns, self._dt = now_ns, step_ns / SECOND
        self.path, self._leads = path or IndexPath(spec.path, step_ns, rng_path), path is None
        self.flow = CustomerFlow(spec.flow, rng_flow)
        self._cascade, self._cascade_left = 0, 0  # direction of the forced orders, seconds
        self._minute: deque[float] = deque([self.path.price], maxlen=61)
        self._window_sum, self._window_ticks = 0.0, 0
        self._next_id = 100_000
        self._states: list[tuple[int, str, OptionContract]] = []  # still to be said of delivered series, and when
        self.delivered: list[OptionContract] = []
        self.combos: dict[str, int] = {}  # traded since the start, with the number of trades
        self._open_board(now_ns)
        self._open_linear()
        past = past_path(self.path.price, spec.path.vol, _PAST_HOURS, rng_past)
        self.deliveries = _past_deliveries(past, now_ns)
        self.past = past
        prints.backfill(
            self.tape, self.ledger, self.board, self.flow,
            count=max(int(spec.past_trades * history), 1), now_ns=now_ns,
            past=past, carry=spec.carry, smile=self.path.smile, rng=rng_past,
        )  # fmt: skip

    # -- what the venues read -------------------------------------------------------------------------------------

    @property
    def index(self) -> float:
        """The index price as published, USD."""
        return round(self.path.price, self.spec.quotation.index_digits)

    @property
    def price_index(self) -> str:
        """`btc_usd`, `btc_usdc`."""
        return f"{self.base.lower()}_{'usdc' if is_linear(self.name) else 'usd'}"

    @property
    def perpetual(self) -> LinearMarket:
        """Deribit's perpetual."""
        return next(m for m in self.hedges if m.spec.venue == "deribit")

    @property
    def volatility_index(self) -> float:
        """DVOL: the 30-day level with a premium for the wings, percent."""
        one = np.array([30.0 / 365.0])
        return round(100.0 * float(self.path.smile.volatility(np.zeros(1), one)[0]) + 1.8, 2)

    @property
    def in_window(self) -> bool:
        """Whether the half-hour average before 08:00 UTC is running."""
        return next_cut(self.now_ns) - self.now_ns <= AVERAGING_NS

    @property
    def estimated_delivery(self) -> float:
        """The running average inside the window, the index outside."""
        digits = self.spec.quotation.index_digits
        return round(self._window_sum / self._window_ticks, digits) if self._window_ticks else self.index

    @property
    def delivery_clock(self) -> tuple[int, int, int]:
        """Seconds to the next delivery; samples taken and samples in all of its average."""
        return (next_cut(self.now_ns) - self.now_ns) // SECOND, self._window_ticks, AVERAGING_NS // SECOND

    def venue(self, name: str) -> list[LinearMarket]:
        """The hedging markets of one venue."""
        return [m for m in self.hedges if m.spec.venue == name]

    # -- time -----------------------------------------------------------------------------------------------------

    def step(self, now_ns: int, happened: Happenings) -> None:
        """One slice of market time; on whole seconds the board is repriced."""
        self.now_ns = now_ns
        if self._leads:
            self.path.step(self._cascade * _CASCADE_DRIFT if self._cascade_left else 0.0)
        if now_ns % SECOND == 0:
            self._second(happened)
        lean = math.tanh(0.7 * self.path.ret / self.path.step_sd)
        for market in self.hedges:
            happened.linear_trades += market.step(now_ns, self.path.price, lean, self._dt)
        for _ in range(self.flow.arrivals(self._dt)):
            self._execute(self.flow.order(self.board, self.path.price), happened)

    def _second(self, happened: Happenings) -> None:
        now_ns, price = self.now_ns, self.path.price
        if self.in_window:
            self._window_sum += price
            self._window_ticks += 1
        if self.board.slices[0].expiry.expiry_ns <= now_ns:
            self._roll(now_ns, happened)
        self.board.reprice(now_ns, self.index, self.spec.carry, self.path.smile)
        for label, market in self.futures.items():
            carry = math.exp(self.spec.carry * self._years[label])
            happened.linear_trades += market.step(now_ns, price, 0.0, 1.0, carry)
        self._liquidate(price, happened)
        happened.states += [(state, c) for due_ns, state, c in self._states if due_ns <= now_ns]
        self._states = [waiting for waiting in self._states if waiting[0] > now_ns]

    def _liquidate(self, price: float, happened: Happenings) -> None:
        self._minute.append(price)
        move = math.log(price / self._minute[0])
        sds = move / (self.path.step_sd * math.sqrt(60.0 / self._dt))
        rate, side = liquidation_rate(sds), 1 if move > 0.0 else -1
        if self._cascade_left:
            self._cascade_left -= 1
            rate, side = 1.0, self._cascade
        for market in self.hedges:
            if market.spec.kind == "perpetual" and self._rng_events.random() < rate:
                happened.liquidations.append(market.liquidate(self.now_ns, side))

    def _execute(self, order: Order, happened: Happenings) -> None:
        parent = parent_number(self.tape, order)
        done = [self._print(order, leg, parent) for leg in order.legs]
        happened.option_trades += done
        if order.structure:
            happened.combos.append((order, done))
            self.combos[done[0].combo] = self.combos.get(done[0].combo, 0) + 1
        if order.rfq:
            happened.requests.append((order, done))

    def _print(self, order: Order, leg: Leg, parent: int) -> OptionTrade:
        board, row = self.board, leg.row
        mark = float(board.mark[row])
        price = float(board.ask[row] if leg.side > 0 else board.bid[row])
        iv = float(board.ask_iv[row] if leg.side > 0 else board.bid_iv[row])
        if math.isnan(price):
            price = max(round(mark, board.quotation.digits), board.quotation.fine)
        if not 1.0 < iv < IV_CAP:  # the quote is outside what any volatility explains
            iv = float(board.iv[row])
        trade = prints.record(
            self.tape, self.ledger, board, order, leg,
            self.now_ns // MILLISECOND, (price, mark, iv), self.path.price, parent,
        )  # fmt: skip
        self.ledger.count(row, price, leg.amount, board.quotation.usd(1.0, self.path.price))
        return trade

    # -- blows ----------------------------------------------------------------------------------------------------

    def cascade(self, side: int) -> None:
        """Half a minute of forced orders on every perpetual; the price runs ahead of them. `side` +1 or -1."""
        self._cascade, self._cascade_left = side, _CASCADE_S

    def roll_now(self, happened: Happenings) -> None:
        """Deliver the nearest series before its time and list what the calendar adds then."""
        self._roll(self.board.slices[0].expiry.expiry_ns, happened)

    def list_strike(self, happened: Happenings) -> None:
        """One strike more in the nearest monthly series, above all others."""
        part = next(s for s in self.board.slices if s.expiry.period in {"month", "quarter"})
        added = self._contracts(part.expiry, [part.strikes[-1] + (part.strikes[-1] - part.strikes[-2])])
        self._relist(self.board.contracts + added, happened, added=added, gone=[])

    # -- listing --------------------------------------------------------------------------------------------------

    def _open_board(self, now_ns: int) -> None:
        listed = [c for expiry in expiries(now_ns) for c in self._list(expiry, now_ns)]
        self.board = Board(listed, now_ns, self.spec.flow.lot, self._rng_board, self.spec.quotation)
        self.ledger = Ledger(len(listed))
        self.tape = Tape(self.name, self.spec.first_trade)
        self.board.reprice(now_ns, self.index, self.spec.carry, self.path.smile)

    def _open_linear(self) -> None:
        price, rng = self.path.price, self._rng_linear
        self.hedges = [LinearMarket(s, price, rng, 7_000_000 * (n + 3)) for n, s in enumerate(hedge_specs(self.name))]
        for market in self.hedges:
            market.index = price
        self.futures: dict[str, LinearMarket] = {}
        self._list_futures()

    def _list_futures(self) -> None:
        """A future for every expiry but the dailies; the linear boards have none and go by the index."""
        self._years = {s.expiry.label: s.expiry.years(self.now_ns) for s in self.board.slices}
        if is_linear(self.name):
            return
        for part in self.board.slices:
            label = part.expiry.label
            if part.expiry.period != "day" and label not in self.futures:
                spec = future_spec(self.name, f"{self.name}-{label}", part.expiry.expiry_ns)
                price = self.path.price * math.exp(self.spec.carry * self._years[label])
                self.futures[label] = LinearMarket(spec, price, self._rng_linear, 1_000 * (len(self.futures) + 1))

    def _list(self, expiry: Expiry, now_ns: int) -> list[OptionContract]:
        days = (expiry.expiry_ns - now_ns) / DAY
        ladder = strikes(self.path.price, self.spec.flow.strike_step, self.spec.width, days)
        return self._contracts(expiry, ladder)

    def _contracts(self, expiry: Expiry, ladder: list[float]) -> list[OptionContract]:
        found = list(contracts(self.name, expiry, ladder, self._next_id))
        self._next_id += len(found)
        return found

    def _roll(self, cut_ns: int, happened: Happenings) -> None:
        """08:00 UTC: deliver what expires, list what the calendar adds."""
        old = self.board
        self.deliveries.insert(0, (f"{utc(cut_ns):%Y-%m-%d}", self.estimated_delivery))
        self._window_sum, self._window_ticks = 0.0, 0
        gone = [c for c in old.contracts if c.expiry.expiry_ns <= cut_ns]
        alive = {s.expiry.expiry_ns for s in old.slices}
        added = [c for e in expiries(cut_ns) if e.expiry_ns not in alive for c in self._list(e, self.now_ns)]
        self.delivered = (gone + self.delivered)[:5_000]
        for label in [k for k, m in self.futures.items() if m.spec.expiry_ns <= cut_ns]:
            del self.futures[label]
        kept = [c for c in old.contracts if c.expiry.expiry_ns > cut_ns]
        self._relist(kept + added, happened, added=added, gone=gone)
        self._list_futures()

    def _relist(
        self,
        listed: list[OptionContract],
        happened: Happenings,
        *,
        added: list[OptionContract],
        gone: list[OptionContract],
    ) -> None:
        """A new board of `listed`, with the books of those that were listed before."""
        ordered = sorted(listed, key=lambda c: (c.expiry.expiry_ns, c.strike, -c.sign))
        self.ledger = self.ledger.regrouped([self.board.rows.get(c.name, -1) for c in ordered])
        self.board = Board(ordered, self.now_ns, self.spec.flow.lot, self._rng_board, self.spec.quotation)
        self.board.reprice(self.now_ns, self.index, self.spec.carry, self.path.smile)
        happened.delivered += gone
        happened.listed += added
        happened.states += [("settlement", c) for c in gone] + [("open", c) for c in added]
        self._states += [(self.now_ns + SECOND, "delivered", c) for c in gone]
        self._states += [(self.now_ns + MINUTE, "archivized", c) for c in gone]


def _past_deliveries(past: FloatArray, now_ns: int) -> list[tuple[str, float]]:
    last = next_cut(now_ns) - DAY
    days = range(min(200, len(past) // 24 - 1))
    hours = [len(past) - 1 - (now_ns - last) // HOUR - 24 * n for n in days]
    return [(f"{utc(last - n * DAY):%Y-%m-%d}", round(float(past[h]), 2)) for n, h in zip(days, hours)]
