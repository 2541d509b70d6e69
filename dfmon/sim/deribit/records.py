"""Deribit's wire records of instruments and tickers.

Percent volatilities, coin prices, option amounts in coins, inverse futures' amounts in USD. Empty sides are null in
book summaries and 0.0 in tickers, as the venue has it.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

import msgspec

from dfmon.model.units import DAY, MILLISECOND, MINUTE
from dfmon.sim.market.board import ExpirySlice
from dfmon.sim.market.board_specs import SPECS
from dfmon.sim.market.currency_market import CurrencyMarket
from dfmon.sim.market.linear_market import LinearMarket, LinearSpec
from dfmon.sim.market.listing import (
    PERPETUAL_MS,
    OptionContract,
    base_coin,
    is_linear,
    settlement_currency,
)

Record = dict[str, Any]

_FINAL_MINUTES_NS: Final = 5 * MINUTE
_SETTLEMENT_PERIODS: Final = {"quarter": "month"}  # Deribit has no period "quarter"


def scientific_number(value: float) -> msgspec.Raw:
    """A number in scientific notation, as the venue may send any since December 2024."""
    return msgspec.Raw(f"{Decimal(repr(value)):e}".encode())


def none_if_nan(value: float) -> float | None:
    """None for NaN, which JSON lacks."""
    return None if math.isnan(value) else value


def option_instrument(contract: OptionContract, state: str = "open") -> Record:
    """A `get_instruments` row of an option."""
    currency, spec = contract.currency, SPECS[contract.currency]
    base, settlement, linear = base_coin(currency), settlement_currency(currency), is_linear(currency)
    quotation = spec.quotation
    return {
        "kind": "option",
        "instrument_name": contract.name,
        "instrument_id": contract.instrument_id,
        "instrument_type": "linear" if linear else "reversed",
        "base_currency": base,
        "quote_currency": settlement,
        "counter_currency": "USDC" if linear else "USD",
        "settlement_currency": settlement,
        "settlement_period": _SETTLEMENT_PERIODS.get(contract.expiry.period, contract.expiry.period),
        "option_type": "call" if contract.sign > 0 else "put",
        "strike": contract.strike,
        "expiration_timestamp": contract.expiry.expiry_ns // MILLISECOND,
        "creation_timestamp": contract.expiry.listed_ns // MILLISECOND,
        "is_active": state == "open",
        "state": state,
        "price_index": f"{base.lower()}_{'usdc' if linear else 'usd'}",
        "tick_size": quotation.fine_tick,
        "tick_size_steps": [{"above_price": quotation.tick_step_price, "tick_size": quotation.coarse_tick}],
        "min_trade_amount": spec.flow.lot,
        "contract_size": spec.contract_coins,
        "maker_commission": 0.0003,
        "taker_commission": 0.0003,
        "block_trade_commission": 0.0003,
        "block_trade_min_trade_amount": spec.flow.block_min,
        "block_trade_tick_size": quotation.fine_tick,
        "rfq": False,
    }


def future_instrument(market: LinearMarket, period: str) -> Record:
    """A `get_instruments` row of the perpetual or a dated future."""
    spec = market.spec
    unit = contract_size(spec)
    linear, perpetual = spec.in_coins, spec.kind == "perpetual"
    return {
        "kind": "future",
        "instrument_name": spec.symbol,
        "instrument_id": market.first_id,
        "instrument_type": "linear" if linear else "reversed",
        "future_type": "linear" if linear else "reversed",
        "base_currency": spec.currency,
        "quote_currency": "USDC" if linear else "USD",
        "counter_currency": "USDC" if linear else "USD",
        "settlement_currency": "USDC" if linear else spec.currency,
        "settlement_period": "perpetual" if perpetual else _SETTLEMENT_PERIODS.get(period, period),
        "expiration_timestamp": PERPETUAL_MS if perpetual else spec.expiry_ns // MILLISECOND,
        "creation_timestamp": 1_534_242_287_000 if perpetual else (spec.expiry_ns - 365 * DAY) // MILLISECOND,
        "is_active": True,
        "state": "open",
        "price_index": f"{spec.currency.lower()}_{'usdc' if linear else 'usd'}",
        "tick_size": spec.tick,
        "tick_size_steps": [],
        "min_trade_amount": unit,
        "contract_size": unit,
        "maker_commission": 0.0,
        "taker_commission": 0.0005,
        "max_leverage": 50,
        "rfq": False,
    }


def option_ticker(market: CurrencyMarket, row: int) -> Record:
    """The full ticker of one option."""
    board, ledger, index = market.board, market.ledger, market.index
    g = board.greeks
    expiry_slice = board.slices[board.slice_index(row)]
    bid, ask = float(board.bid[row]), float(board.ask[row])
    mark, quotation = float(board.mark[row]), board.quotation
    digits = max(quotation.digits, 4)  # a mark is finer than the ticks
    price_band = 500.0 * quotation.fine_tick
    return {
        "instrument_name": board.names[row],
        "timestamp": market.now_ns // MILLISECOND,
        "state": "open",
        "stats": {
            "volume": round(float(ledger.volume[row]), 4),
            "volume_usd": round(float(ledger.volume_usd[row]), 2),
            "high": none_if_nan(float(ledger.high[row])),
            "low": none_if_nan(float(ledger.low[row])),
            "price_change": None,
        },
        "open_interest": round(float(ledger.open_interest[row]), 4),
        "best_bid_price": 0.0 if math.isnan(bid) else bid,
        "best_ask_price": 0.0 if math.isnan(ask) else ask,
        "best_bid_amount": 0.0 if math.isnan(bid) else float(board.bid_size[row]),
        "best_ask_amount": 0.0 if math.isnan(ask) else float(board.ask_size[row]),
        "mark_price": round(mark, digits),
        "last_price": none_if_nan(float(ledger.last[row])),
        "mark_iv": float(board.iv[row]),
        "bid_iv": float(board.bid_iv[row]),
        "ask_iv": float(board.ask_iv[row]),
        "greeks": {
            "delta": round(float(board.delta[row]), 5),
            "gamma": scientific_number(round(float(g.gamma[row]), 5)),
            "vega": round(float(g.vega[row]), 5),
            "theta": round(float(g.theta[row]), 5),
            "rho": round(float(g.rho[row]), 5),
        },
        "index_price": index,
        "underlying_price": round(float(board.underlying[row]), quotation.index_digits),
        "underlying_index": underlying_index(market, expiry_slice),
        "interest_rate": 0.0,
        "min_price": max(round(mark - price_band, digits), quotation.fine_tick),
        "max_price": round(mark + price_band, digits),
        "settlement_price": round(mark, 8),
        "estimated_delivery_price": market.estimated_delivery,
    }


def future_ticker(currency: CurrencyMarket, market: LinearMarket) -> Record:
    """The full ticker of the perpetual or a dated future."""
    spec, book, digits = market.spec, market.book, market.spec.digits
    record = {
        "instrument_name": spec.symbol,
        "timestamp": currency.now_ns // MILLISECOND,
        "state": "open",
        "stats": _future_stats(market),
        "open_interest": scientific_number(contract_amount(market, market.open_interest)),
        "best_bid_price": ladder_price(market, book.bid),
        "best_ask_price": ladder_price(market, book.ask),
        "best_bid_amount": contract_amount(market, book.bids[book.bid]),
        "best_ask_amount": contract_amount(market, book.asks[book.ask]),
        "mark_price": round(market.mark, digits),
        "last_price": round(market.last, digits),
        "index_price": currency.index,
        "min_price": round(market.mark * 0.985, digits),
        "max_price": round(market.mark * 1.015, digits),
        "settlement_price": round(market.open_24h, digits),
        "estimated_delivery_price": currency.estimated_delivery,
    }
    if spec.kind == "perpetual":
        record |= {
            "current_funding": scientific_number(market.funding),
            "funding_8h": market.funding,
            "interest_value": round(market.funding * 28.2, 12),
        }
    return record


# the ticker of an option within seconds after its delivery
EXPIRED_FIELDS: Final[Record] = {
    "estimated_delivery_price": "expired",
    "mark_iv": 250.0,
    "greeks": dict.fromkeys(("delta", "gamma", "vega", "theta", "rho"), 0.0),
    "underlying_index": "SYN.EXPIRY",
}


def underlying_index(market: CurrencyMarket, expiry_slice: ExpirySlice) -> str:
    """The future of the same expiry, a synthetic one where none is listed, the index for the last day.

    In the last minutes the venue names it "SYN.EXPIRY".
    """
    remaining_ns = expiry_slice.expiry.expiry_ns - market.now_ns
    if remaining_ns <= DAY:
        return "SYN.EXPIRY" if remaining_ns <= _FINAL_MINUTES_NS else "index_price"
    label = expiry_slice.expiry.label
    return f"{market.name}-{label}" if label in market.futures else f"SYN.{market.name}-{label}"


def ladder_price(market: LinearMarket, ticks: int) -> float:
    """A ladder price in USD."""
    return round(ticks * market.spec.tick, market.spec.digits)


def contract_amount(market: LinearMarket, coins: float) -> float:
    """Inverse futures count USD, in whole contracts; at a fixed price, so that a resting order keeps its size.

    Linear ones count coins.
    """
    if market.spec.in_coins:
        return round(coins, market.spec.lot_digits)
    unit = contract_size(market.spec)
    return float(max(round(coins * market.open_24h / unit), 1) * unit)


def contract_size(spec: LinearSpec) -> float:
    """USD per contract of the inverse futures, coins of the linear ones."""
    if spec.in_coins:
        return float(10.0**-spec.lot_digits)
    return 10.0 if spec.currency == "BTC" else 1.0


def _future_stats(market: LinearMarket) -> Record:
    volume_usd, digits = round(market.volume * market.index, 1), market.spec.digits
    return {
        "high": round(market.high, digits),
        "low": round(market.low, digits),
        "price_change": round(100.0 * (market.last / market.open_24h - 1.0), 4),
        "volume": round(market.volume, 8),
        "volume_usd": volume_usd,
        "volume_notional": volume_usd,
    }
