"""Deribit's book summaries: one row per instrument, computed by column.

Percent volatilities, no greeks, no sizes; an empty side is null, and in a rare row 0.0.
"""

from __future__ import annotations

import math
from typing import Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.deribit.records import Record, future_ticker, none_if_nan, underlying_index
from dfmon.sim.market.currency_market import CurrencyMarket
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.listing import settlement_currency

_ZERO_BID_EVERY: Final = 499


def option_summaries(market: CurrencyMarket) -> list[Record]:
    """Rows of `get_book_summary_by_currency kind=option`."""
    board, ledger = market.board, market.ledger
    now_ms, estimate = market.now_ns // MILLISECOND, market.estimated_delivery
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
            "quote_currency": settlement_currency(market.name),
            "volume": volume,
            "volume_usd": volume_usd,
            "high": none_if_nan(high),
            "low": none_if_nan(low),
            "last": none_if_nan(last),
            "bid_price": none_if_nan(bid)
            if row % _ZERO_BID_EVERY
            else (0.0 if math.isnan(bid) else bid),  # seen on the venue
            "ask_price": none_if_nan(ask),
            "mid_price": none_if_nan(round(0.5 * (bid + ask), 8)),
            "price_change": None,
            "mark_price": mark,
            "mark_iv": iv,
            "open_interest": open_interest,
            "underlying_price": forward,
            "underlying_index": names[board.slice_index(row)],
            "interest_rate": 0.0,
            "estimated_delivery_price": estimate,
            "creation_timestamp": now_ms,
        }
        for row, (name, bid, ask, mark, iv, open_interest, volume, volume_usd, last, high, low, forward) in enumerate(
            columns
        )
    ]


def future_summary(currency: CurrencyMarket, market: LinearMarket) -> Record:
    """A row of `get_book_summary_by_currency kind=future`."""
    ticker = future_ticker(currency, market)
    stats = ticker["stats"]
    bid, ask = ticker["best_bid_price"], ticker["best_ask_price"]
    copied_keys = (
        "instrument_name",
        "open_interest",
        "mark_price",
        "estimated_delivery_price",
        "current_funding",
        "funding_8h",
    )
    return {
        **{key: ticker[key] for key in copied_keys if key in ticker},
        **{key: stats[key] for key in ("volume", "volume_usd", "volume_notional", "high", "low", "price_change")},
        "last": ticker["last_price"],
        "bid_price": bid,
        "ask_price": ask,
        "mid_price": 0.5 * (bid + ask),
        "base_currency": currency.base,
        "quote_currency": "USDC" if market.spec.in_coins else "USD",
        "creation_timestamp": ticker["timestamp"],
    }
