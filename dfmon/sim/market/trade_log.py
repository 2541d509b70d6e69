"""The option prints of one currency since listing, numbered as Deribit numbers them.

`trade_seq` counts per instrument, `trade_id` per currency. Prints before the start are drawn from the same customers,
so the open interest on the board is the outcome of trades a client can fetch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from dfmon.model.units import DAY, HOUR, MILLISECOND, YEAR
from dfmon.sim.market.board import OptionBoard
from dfmon.sim.market.flow import CustomerFlow, Leg, Order
from dfmon.sim.market.ledger import Ledger
from dfmon.sim.market.listing import format_strike
from dfmon.sim.market.surface import FloatArray, Smile, black76

_MAX_TRADES: Final = 250_000
_TRIM: Final = 50_000


class OptionTrade(msgspec.Struct, frozen=True, gc=False):
    """One print of one leg. `price` and `mark` in coin, `iv` in percent; `side` is the taker's."""

    ts_ms: int
    number: int
    seq: int
    name: str
    side: int
    price: float
    mark: float
    iv: float
    index: float
    amount: float
    tick_direction: int
    combo: str = ""
    combo_number: int = 0
    block: int = 0
    legs: int = 0
    rfq: int = 0
    liquidation: str = ""
    open_interest: float = 0.0  # of the option after the print, coins; no tape of the venue has it


class TradeLog:
    """Prints in time order, and by instrument."""

    def __init__(self, currency: str, first_number: int) -> None:
        self.currency = currency
        self.last_number = first_number
        self.trades: list[OptionTrade] = []
        self._times: list[int] = []
        self._by_name: defaultdict[str, list[OptionTrade]] = defaultdict(list)

    def append_trade(self, trade: OptionTrade) -> None:
        """Appends one print; the oldest are dropped beyond a quarter of a million."""
        self.trades.append(trade)
        self._times.append(trade.ts_ms)
        self._by_name[trade.name].append(trade)
        if len(self.trades) > _MAX_TRADES:
            for dropped in self.trades[:_TRIM]:
                self._by_name[dropped.name].pop(0)
            del self.trades[:_TRIM], self._times[:_TRIM]

    def next_trade_number(self) -> int:
        """The next trade id; ids of other events leave gaps between them, as on the venue."""
        self.last_number += 1
        return self.last_number

    def trades_between(self, start_ms: int | None, end_ms: int | None) -> list[OptionTrade]:
        """Prints from `start_ms` to `end_ms`, both included."""
        first = 0 if start_ms is None else bisect_left(self._times, start_ms)
        last = len(self._times) if end_ms is None else bisect_right(self._times, end_ms)
        return self.trades[first:last]

    def instrument_trades(self, name: str) -> list[OptionTrade]:
        """Prints of one instrument, oldest first."""
        return self._by_name.get(name, [])

    def last_price(self, name: str) -> tuple[float, int]:
        """Price and tick direction of the instrument's last print, or NaN and 0."""
        prints = self._by_name.get(name)
        return (prints[-1].price, prints[-1].tick_direction) if prints else (float("nan"), 0)


def tick_direction(price: float, previous_price: float, direction: int) -> int:
    """0 plus, 1 zero-plus, 2 minus, 3 zero-minus."""
    if price > previous_price:
        return 0
    if price < previous_price:
        return 2
    return 1 if direction < 2 else 3


def generate_past_trades(
    trade_log: TradeLog, ledger: Ledger, board: OptionBoard, flow: CustomerFlow, *,
    count: int, now_ns: int, index_history: FloatArray, carry: float, smile: Smile, rng: np.random.Generator,
    book: Sequence[Order] = (),
) -> None:  # fmt: skip
    """Trade the listed contracts from their listing to now; `index_history` is the hourly index up to now.

    `book` are orders besides those that are drawn.
    """
    orders = [*(flow.draw_order(board, index_history[-1], scale=8.5) for _ in range(count)), *book]
    listed = np.array([max(board.contracts[leg.row].expiry.listed_ns for leg in o.legs) for o in orders])
    times = (listed + rng.random(len(orders)) * (now_ns - listed)).astype(np.int64) // MILLISECOND
    time_order = np.argsort(times, kind="stable")
    legs_in_order = [(int(times[n]), orders[n], leg) for n in time_order for leg in orders[n].legs]
    marks, vols, indices = _historical_marks(board, legs_in_order, now_ns, index_history, carry, smile)
    parent_ids: dict[int, int] = {}
    quotation = board.quotation
    for (ts_ms, order, leg), mark, vol, index in zip(legs_in_order, marks.tolist(), vols.tolist(), indices.tolist()):
        parent_id = parent_ids.get(id(order))
        if parent_id is None:
            parent_id = parent_ids[id(order)] = next_parent_id(trade_log, order)
        tick_size = quotation.tick_size(mark)
        price = max(
            round(round(mark / tick_size) * tick_size + leg.side * tick_size, quotation.digits), quotation.fine_tick
        )
        print_leg(trade_log, ledger, board, order, leg, ts_ms, (price, mark, vol), index, parent_id)
    _seed_day_stats(trade_log, ledger, board, now_ns)


def print_leg(
    trade_log: TradeLog, ledger: Ledger, board: OptionBoard, order: Order, leg: Leg,
    ts_ms: int, quote: tuple[float, float, float], index: float, parent_id: int,
) -> OptionTrade:  # fmt: skip
    """Print one leg at `quote` (price, mark, iv), in the log and in the ledger."""
    price, mark, iv = quote
    name = board.names[leg.row]
    previous_price, direction = trade_log.last_price(name)
    ledger.apply_trade(
        leg.row, leg.side, leg.amount, leg.taker_closes, leg.maker_closes, order.party_class, order.desks
    )
    trade = OptionTrade(
        ts_ms=ts_ms,
        number=trade_log.next_trade_number(),
        seq=ledger.next_seq(leg.row),
        name=name,
        side=leg.side,
        price=price,
        mark=round(mark, 8),
        iv=iv,
        index=round(index, board.quotation.index_digits),
        amount=leg.amount,
        tick_direction=tick_direction(price, previous_price, direction),
        combo=combo_name(board, order),
        combo_number=parent_id if order.structure else 0,
        block=parent_id if order.block else 0,
        legs=len(order.legs) if order.block else 0,
        rfq=parent_id // 7 if order.rfq else 0,
        liquidation=order.liquidation,
        open_interest=ledger.open_interest_of(leg.row),
    )
    trade_log.append_trade(trade)
    return trade


def next_parent_id(trade_log: TradeLog, order: Order) -> int:
    """The id shared by the legs of a combo or block; a single screen trade has none."""
    return trade_log.next_trade_number() if order.structure or order.block else 0


def combo_name(board: OptionBoard, order: Order) -> str:
    """`BTC-CS-27NOV26-82000_85000`, or nothing for a single option."""
    if not order.structure:
        return ""
    contract = board.contracts[order.legs[0].row]
    strikes = sorted({board.contracts[leg.row].strike for leg in order.legs})
    return f"{contract.currency}-{order.structure}-{contract.expiry.label}-" + "_".join(map(format_strike, strikes))


def _seed_day_stats(trade_log: TradeLog, ledger: Ledger, board: OptionBoard, now_ns: int) -> None:
    for trade in trade_log.trades_between((now_ns - DAY) // MILLISECOND, None):
        rate = board.quotation.to_usd(1.0, trade.index)
        ledger.update_day_stats(board.rows[trade.name], trade.price, trade.amount, rate)


def _historical_marks(
    board: OptionBoard,
    legs_in_order: list[tuple[int, Order, Leg]],
    now_ns: int,
    index_history: FloatArray,
    carry: float,
    smile: Smile,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    ts = np.array([t for t, _, _ in legs_in_order]) * MILLISECOND
    rows = np.array([leg.row for _, _, leg in legs_in_order])
    hours = np.clip(len(index_history) - 1 - (now_ns - ts) // HOUR, 0, len(index_history) - 1)
    index = index_history[hours]
    expiry = np.array([c.expiry.expiry_ns for c in board.contracts])[rows]
    T = (expiry - ts) / YEAR
    F, K = index * np.exp(carry * T), board.strike[rows]
    vol = np.minimum(smile.volatility(np.log(K / F), T), 4.0)
    return board.quotation.from_usd(black76(F, K, T, vol, board.sign[rows]), F), np.round(100.0 * vol, 2), index
