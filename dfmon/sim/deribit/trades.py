"""Deribit's wire records of option legs, futures trades and executed block RFQs.

Combos and blocks appear leg by leg; `direction` is the taker's on that very instrument.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.units import HOUR, MILLISECOND
from dfmon.sim.deribit.records import Record, contract_amount, contract_size
from dfmon.sim.market.board_specs import SPECS
from dfmon.sim.market.flow import Order
from dfmon.sim.market.linear_market import LinearTrade
from dfmon.sim.market.trade_log import OptionTrade

LIQUIDATION_DELAY_MS: Final = HOUR // MILLISECOND


def option_trade(trade: OptionTrade, currency: str, now_ms: int | None = None) -> Record:
    """One leg as it appears in `trades.option.*`, or over REST at `now_ms`, which alone tells of liquidations, late."""
    record: Record = {
        "trade_seq": trade.seq,
        "trade_id": trade_id(currency, trade.number),
        "timestamp": trade.ts_ms,
        "tick_direction": trade.tick_direction,
        "price": trade.price,
        "mark_price": trade.mark,
        "iv": trade.iv,
        "instrument_name": trade.name,
        "index_price": trade.index,
        "direction": direction(trade.side),
        "amount": trade.amount,
        "contracts": round(trade.amount / SPECS[currency].contract_coins, 4),
    }
    if trade.combo:
        record["combo_id"] = trade.combo
        record["combo_trade_id"] = trade_id(currency, trade.combo_number)
    if trade.block:
        record["block_trade_id"] = f"BLOCK-{trade.block % 1_000_000}"
        record["block_trade_leg_count"] = trade.legs
    if trade.rfq:
        record["block_rfq_id"] = trade.rfq % 1_000_000
    if trade.liquidation and now_ms is not None and now_ms - trade.ts_ms >= LIQUIDATION_DELAY_MS:
        record["liquidation"] = trade.liquidation
    return record


def future_trade(trade: LinearTrade) -> Record:
    """One print of the perpetual or a dated future."""
    market = trade.market
    amount = contract_amount(market, trade.coins)
    return {
        "trade_seq": trade.trade_id - market.first_id,
        "trade_id": trade_id(market.spec.currency, trade.trade_id),
        "timestamp": trade.ts_ns // MILLISECOND,
        "tick_direction": 1 if trade.side > 0 else 3,
        "price": round(trade.price, market.spec.digits),
        "mark_price": round(trade.mark, market.spec.digits),
        "instrument_name": market.spec.symbol,
        "index_price": round(trade.index, market.spec.digits),
        "direction": direction(trade.side),
        "amount": amount,
        "contracts": round(amount / contract_size(market.spec), 4),
    }


def combo_trade(order: Order, trades: list[OptionTrade], currency: str, seq: int) -> Record:
    """The parent of a combo's legs: the structure's own price and side, with the leg prints inside."""
    first_leg = trades[0]
    signs = [t.side * order.side for t in trades]
    return {
        "trade_seq": seq,
        "trade_id": trade_id(currency, first_leg.combo_number),
        "timestamp": first_leg.ts_ms - 1,  # the legs follow a millisecond later
        "tick_direction": 0,
        "price": round(sum(sign * t.price for sign, t in zip(signs, trades)), 8),
        "mark_price": round(sum(sign * t.mark for sign, t in zip(signs, trades)), 8),
        "instrument_name": first_leg.combo,
        "index_price": first_leg.index,
        "direction": direction(order.side),
        "amount": first_leg.amount,
        "contracts": round(first_leg.amount / SPECS[currency].contract_coins, 4),
        "legs": [option_trade(t, currency) for t in trades],
    }


def block_rfq_record(order: Order, trades: list[OptionTrade]) -> Record:
    """One executed block RFQ.

    Leg directions describe the structure (a call spread is always buy and sell); `direction` is the taker's.
    """
    first_leg = trades[0]
    return {
        "id": first_leg.rfq % 1_000_000,
        "timestamp": first_leg.ts_ms,
        "direction": direction(order.side),
        "amount": first_leg.amount,
        "mark_price": round(sum(t.side * order.side * t.mark for t in trades), 8),
        "combo_id": first_leg.combo or None,
        "index_prices": {f"{first_leg.name.partition('-')[0].lower()}_usd": first_leg.index},
        "legs": [
            {"instrument_name": t.name, "direction": direction(t.side * order.side), "price": t.price, "ratio": 1}
            for t in trades
        ],
        "trades": [
            {
                "direction": direction(order.side),
                "price": first_leg.price,
                "amount": first_leg.amount,
                "hedge_amount": 0.0,
            }
        ],
    }


def trade_id(currency: str, number: int) -> str:
    """Bare for BTC, prefixed elsewhere."""
    return str(number) if currency == "BTC" else f"{currency}-{number}"


def direction(side: int) -> str:
    """The taker's side, "buy" or "sell"."""
    return "buy" if side > 0 else "sell"
