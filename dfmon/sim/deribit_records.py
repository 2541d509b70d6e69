"""Deribit's records: how instruments, tickers and summaries look on the wire.

Percent volatilities, coin prices, option amounts in coins, inverse futures' amounts in USD. Empty sides are null in
book summaries and 0.0 in tickers, as the venue has it.
"""

from __future__ import annotations

import math
from typing import Any, Final

from dfmon.model.units import DAY, MILLISECOND
from dfmon.sim.board import Slice
from dfmon.sim.currency import CurrencyMarket
from dfmon.sim.linear import LinearMarket, LinearSpec
from dfmon.sim.listing import PERPETUAL_MS, OptionContract, base_of, is_linear, settlement_of
from dfmon.sim.specs import SPECS

Record = dict[str, Any]

_PERIODS: Final = {"quarter": "month"}  # Deribit knows no quarter


def or_none(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if math.isnan(value) else value


def option_instrument(contract: OptionContract, state: str = "open") -> Record:
    """A `get_instruments` row of an option."""
    currency, spec = contract.currency, SPECS[contract.currency]
    base, settled, linear = base_of(currency), settlement_of(currency), is_linear(currency)
    quotation = spec.quotation
    return {
        "kind": "option",
        "instrument_name": contract.name,
        "instrument_id": contract.instrument_id,
        "instrument_type": "linear" if linear else "reversed",
        "base_currency": base,
        "quote_currency": settled,
        "counter_currency": "USDC" if linear else "USD",
        "settlement_currency": settled,
        "settlement_period": _PERIODS.get(contract.expiry.period, contract.expiry.period),
        "option_type": "call" if contract.sign > 0 else "put",
        "strike": contract.strike,
        "expiration_timestamp": contract.expiry.expiry_ns // MILLISECOND,
        "creation_timestamp": contract.expiry.listed_ns // MILLISECOND,
        "is_active": state == "open",
        "state": state,
        "price_index": f"{base.lower()}_{'usdc' if linear else 'usd'}",
        "tick_size": quotation.fine,
        "tick_size_steps": [{"above_price": quotation.step_at, "tick_size": quotation.coarse}],
        "min_trade_amount": spec.flow.lot,
        "contract_size": spec.contract,
        "maker_commission": 0.0003,
        "taker_commission": 0.0003,
        "block_trade_commission": 0.0003,
        "block_trade_min_trade_amount": spec.flow.block_min,
        "block_trade_tick_size": quotation.fine,
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
        "settlement_period": "perpetual" if perpetual else _PERIODS.get(period, period),
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
    slice_ = board.slices[board.forward_index(row)]
    bid, ask = float(board.bid[row]), float(board.ask[row])
    mark, quotation = float(board.mark[row]), board.quotation
    digits = max(quotation.digits, 4)  # a mark is finer than the ticks
    band = 500.0 * quotation.fine
    return {
        "instrument_name": board.names[row],
        "timestamp": market.now_ns // MILLISECOND,
        "state": "open",
        "stats": {
            "volume": round(float(ledger.volume[row]), 4),
            "volume_usd": round(float(ledger.volume_usd[row]), 2),
            "high": or_none(float(ledger.high[row])),
            "low": or_none(float(ledger.low[row])),
            "price_change": None,
        },
        "open_interest": round(float(ledger.open_interest[row]), 4),
        "best_bid_price": 0.0 if math.isnan(bid) else bid,
        "best_ask_price": 0.0 if math.isnan(ask) else ask,
        "best_bid_amount": 0.0 if math.isnan(bid) else float(board.bid_size[row]),
        "best_ask_amount": 0.0 if math.isnan(ask) else float(board.ask_size[row]),
        "mark_price": round(mark, digits),
        "last_price": or_none(float(ledger.last[row])),
        "mark_iv": float(board.iv[row]),
        "bid_iv": float(board.bid_iv[row]),
        "ask_iv": float(board.ask_iv[row]),
        "greeks": {
            "delta": round(float(board.delta[row]), 5),
            "gamma": round(float(g.gamma[row]), 5),
            "vega": round(float(g.vega[row]), 5),
            "theta": round(float(g.theta[row]), 5),
            "rho": round(float(g.rho[row]), 5),
        },
        "index_price": index,
        "underlying_price": round(float(board.underlying[row]), quotation.index_digits),
        "underlying_index": underlying_index(market, slice_),
        "interest_rate": 0.0,
        "min_price": max(round(mark - band, digits), quotation.fine),
        "max_price": round(mark + band, digits),
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
        "open_interest": usd_amount(market, market.open_interest),
        "best_bid_price": price_of(market, book.bid),
        "best_ask_price": price_of(market, book.ask),
        "best_bid_amount": usd_amount(market, book.bids[book.bid]),
        "best_ask_amount": usd_amount(market, book.asks[book.ask]),
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
            "current_funding": market.funding,
            "funding_8h": market.funding,
            "interest_value": round(market.funding * 28.2, 12),
        }
    return record


def option_summaries(market: CurrencyMarket) -> list[Record]:
    """`get_book_summary_by_currency kind=option`: whole columns at once."""
    board, ledger = market.board, market.ledger
    stamp, estimate = market.now_ns // MILLISECOND, market.estimated_delivery
    names = [underlying_index(market, s) for s in board.slices]
    columns = zip(
        board.names,
        board.bid.tolist(),
        board.ask.tolist(),
        board.mark.round(4).tolist(),
        board.iv.tolist(),
        ledger.open_interest.round(4).tolist(),
        ledger.volume.round(4).tolist(),
        ledger.volume_usd.round(2).tolist(),
        ledger.last.tolist(),
        ledger.high.tolist(),
        ledger.low.tolist(),
        board.underlying.round(board.quotation.index_digits).tolist(),
    )
    return [
        {
            "instrument_name": name,
            "base_currency": market.base,
            "quote_currency": settlement_of(market.name),
            "volume": volume,
            "volume_usd": volume_usd,
            "high": or_none(high),
            "low": or_none(low),
            "last": or_none(last),
            "bid_price": or_none(bid),
            "ask_price": or_none(ask),
            "mid_price": or_none(round(0.5 * (bid + ask), 8)),
            "price_change": None,
            "mark_price": mark,
            "mark_iv": iv,
            "open_interest": interest,
            "underlying_price": forward,
            "underlying_index": names[board.forward_index(row)],
            "interest_rate": 0.0,
            "estimated_delivery_price": estimate,
            "creation_timestamp": stamp,
        }
        for row, (name, bid, ask, mark, iv, interest, volume, volume_usd, last, high, low, forward) in enumerate(
            columns
        )
    ]


def future_summary(currency: CurrencyMarket, market: LinearMarket) -> Record:
    """`get_book_summary_by_currency kind=future` row."""
    ticker = future_ticker(currency, market)
    stats = ticker["stats"]
    bid, ask = ticker["best_bid_price"], ticker["best_ask_price"]
    kept = (
        "instrument_name",
        "open_interest",
        "mark_price",
        "estimated_delivery_price",
        "current_funding",
        "funding_8h",
    )
    return {
        **{key: ticker[key] for key in kept if key in ticker},
        **{key: stats[key] for key in ("volume", "volume_usd", "volume_notional", "high", "low", "price_change")},
        "last": ticker["last_price"],
        "bid_price": bid,
        "ask_price": ask,
        "mid_price": 0.5 * (bid + ask),
        "base_currency": currency.base,
        "quote_currency": "USDC" if market.spec.in_coins else "USD",
        "creation_timestamp": ticker["timestamp"],
    }


def underlying_index(market: CurrencyMarket, part: Slice) -> str:
    """The future of the same expiry, a synthetic one where none is listed, the index for the last day."""
    if part.expiry.expiry_ns - market.now_ns <= DAY:
        return "index_price"
    label = part.expiry.label
    return f"{market.name}-{label}" if label in market.futures else f"SYN.{market.name}-{label}"


def price_of(market: LinearMarket, ticks: int) -> float:
    """A ladder price in USD."""
    return round(ticks * market.spec.tick, market.spec.digits)


def usd_amount(market: LinearMarket, coins: float) -> float:
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
