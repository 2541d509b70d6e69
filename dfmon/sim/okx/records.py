"""OKX's records. Numbers and times are strings except `seqId`, `prevSeqId` and `checksum`; swaps count contracts."""

from __future__ import annotations

from typing import Any, Final

from dfmon.model.units import HOUR, MILLISECOND
from dfmon.sim.market.linear_market import LinearMarket, LinearTrade, Liquidation

Record = dict[str, Any]

CONTRACT_COINS: Final = {"BTC": 0.01, "ETH": 0.1, "SOL": 1.0, "XRP": 100.0}


def is_swap(market: LinearMarket) -> bool:
    """True for a perpetual swap, false for spot."""
    return market.spec.kind == "perpetual"


def inst_type(market: LinearMarket) -> str:
    """`SWAP` or `SPOT`."""
    return "SWAP" if is_swap(market) else "SPOT"


def size(market: LinearMarket, coins: float, usd: float) -> str:
    """Contracts of a swap, coins of spot. Inverse contracts are whole and count USD, at `usd` a coin."""
    if contract := market.spec.contract_usd:
        return str(max(round(coins * usd / contract), 1 if coins > 0.0 else 0))
    if is_swap(market):
        return f"{coins / CONTRACT_COINS[market.spec.currency]:.2f}"
    return f"{coins:.{market.spec.lot_digits}f}"


def price(market: LinearMarket, usd: float) -> str:
    """A price with the digits of the tick."""
    return f"{usd:.1f}" if market.spec.tick >= 0.1 else f"{usd:.{market.spec.digits}f}"


def level(market: LinearMarket, ticks: int, coins: float) -> list[str]:
    """`[price, size, "0", orders]`."""
    usd = ticks * market.spec.tick
    orders = "0" if coins == 0.0 else str(1 + int(coins) % 20)
    return [price(market, usd), size(market, coins, usd), "0", orders]


def book(market: LinearMarket, depth: int) -> Record:
    """Levels of both sides, best first."""
    return {
        "asks": [level(market, p, s) for p, s in market.book.top_asks(depth)],
        "bids": [level(market, p, s) for p, s in market.book.top_bids(depth)],
    }


def ticker(market: LinearMarket, ts: str) -> Record:
    """`tickers`: volCcy24h is coins for swaps and USD for spot."""
    b = market.book
    bid, ask = level(market, b.bid, b.bids[b.bid]), level(market, b.ask, b.asks[b.ask])
    turnover = market.volume if is_swap(market) else market.volume * market.index
    open_price = price(market, market.open_24h)
    return {
        "instType": inst_type(market),
        "instId": market.spec.symbol,
        "last": price(market, market.last),
        "lastSz": size(market, market.last_size, market.last),
        "askPx": ask[0],
        "askSz": ask[1],
        "bidPx": bid[0],
        "bidSz": bid[1],
        "open24h": open_price,
        "high24h": price(market, market.high),
        "low24h": price(market, market.low),
        "volCcy24h": f"{turnover:.4f}",
        "vol24h": size(market, market.volume, market.last),
        "sodUtc0": open_price,
        "sodUtc8": open_price,
        "ts": ts,
    }


def trade(linear_trade: LinearTrade, *, with_count: bool = True) -> Record:
    """`trades`; over REST without the number of fills."""
    market = linear_trade.market
    count = {"count": "1"} if with_count else {}
    return {
        "instId": market.spec.symbol,
        "tradeId": str(linear_trade.trade_id),
        "px": price(market, linear_trade.price),
        "sz": size(market, linear_trade.coins, linear_trade.price),
        "side": "buy" if linear_trade.side > 0 else "sell",
        "ts": str(linear_trade.ts_ns // MILLISECOND),
        **count,
        "source": "0",
        "seqId": market.book.version,
    }


def mark_price(market: LinearMarket, ts: str) -> Record:
    """`mark-price`."""
    return {
        "instType": inst_type(market),
        "instId": market.spec.symbol,
        "markPx": price(market, market.mark),
        "ts": ts,
    }


def funding(market: LinearMarket, ts: str) -> Record:
    """`funding-rate`."""
    funding_time_ns = market.next_funding_ns(int(ts) * MILLISECOND)
    return {
        "instType": "SWAP",
        "instId": market.spec.symbol,
        "method": "current_period",
        "formulaType": "withRate",
        "fundingRate": f"{market.funding:.10f}",
        "fundingTime": str(funding_time_ns // MILLISECOND),
        "nextFundingRate": "",
        "nextFundingTime": str((funding_time_ns + 8 * HOUR) // MILLISECOND),
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "interestRate": "0.0001",
        "impactValue": "20000",
        "settState": "settled",
        "settFundingRate": f"{market.funding:.10f}",
        "premium": f"{market.premium:.10f}",
        "ts": ts,
    }


def open_interest(market: LinearMarket, ts: str) -> Record:
    """`open-interest`: contracts, coins, USD."""
    coins = market.open_interest
    return {
        "instType": "SWAP",
        "instId": market.spec.symbol,
        "oi": size(market, coins, market.mark),
        "oiCcy": f"{coins:.4f}",
        "oiUsd": f"{coins * market.index:.2f}",
        "ts": ts,
    }


def liquidation(order: Liquidation) -> Record:
    """`liquidation-orders`."""
    market = order.market
    pair = market.spec.symbol.removesuffix("-SWAP")
    detail = {
        "side": "buy" if order.side > 0 else "sell",
        "posSide": "short" if order.side > 0 else "long",
        "bkPx": price(market, order.price),
        "sz": size(market, order.coins, order.price),
        "bkLoss": "0",
        "ccy": "",
        "ts": str(order.ts_ns // MILLISECOND),
    }
    return {
        "instType": "SWAP",
        "instId": market.spec.symbol,
        "instFamily": pair,
        "uly": pair,
        "details": [detail],
    }


def family(market: LinearMarket) -> str:
    """The pair of a market, such as BTC-USDT; the underlying of a swap."""
    return market.spec.symbol.removesuffix("-SWAP")


def price_limit(market: LinearMarket, ts: str) -> Record:
    """`GET /public/price-limit`: orders are taken within one per cent of the mark."""
    return {
        "instType": inst_type(market),
        "instId": market.spec.symbol,
        "buyLmt": price(market, 1.01 * market.mark),
        "sellLmt": price(market, 0.99 * market.mark),
        "ts": ts,
        "enabled": True,
    }


def index_tickers(markets: list[LinearMarket], query: dict[str, str], ts: str) -> list[Record]:
    """`GET /market/index-tickers`: one row per index, of `instId` or of `quoteCcy`."""
    indices = {family(market): market for market in markets}
    return [
        {
            "instId": name,
            "idxPx": price(market, market.index),
            "high24h": price(market, max(market.high, market.index)),
            "low24h": price(market, min(market.low, market.index)),
            "open24h": price(market, market.open_24h),
            "sodUtc0": price(market, market.open_24h),
            "sodUtc8": price(market, market.open_24h),
            "ts": ts,
        }
        for name, market in indices.items()
        if query.get("instId", name) == name and name.endswith(query.get("quoteCcy", ""))
    ]


def instrument(market: LinearMarket) -> Record:
    """`GET /public/instruments` row."""
    spec = market.spec
    lot = "1" if spec.contract_usd else "0.01" if is_swap(market) else f"{10.0**-spec.lot_digits:.{spec.lot_digits}f}"
    swap = is_swap(market)
    record = {
        "instType": inst_type(market),
        "instId": spec.symbol,
        "instIdCode": market.first_id // 1_000,
        "uly": family(market) if swap else "",
        "instFamily": family(market) if swap else "",
        "category": "1",
        "baseCcy": "" if swap else spec.currency,
        "quoteCcy": "" if swap else "USDT",
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "1" if swap else "",
        "ctValCcy": "",
        "ctType": "",
        "optType": "",
        "stk": "",
        "listTime": "1606468572000",
        "contTdSwTime": "",
        "expTime": "",
        "lever": "100" if swap else "10",
        "tickSz": price(market, spec.tick),
        "lotSz": lot,
        "minSz": lot,
        "alias": "",
        "state": "live",
        "ruleType": "normal",
        "tradeQuoteCcyList": [] if swap else ["USDT"],
        "groupId": "1",
        **dict.fromkeys(("maxLmtSz", "maxTwapSz", "maxIcebergSz", "maxTriggerSz"), "100000000"),
        **dict.fromkeys(("maxMktSz", "maxStopSz"), "1000000"),
    }
    if spec.contract_usd:
        return record | {
            "ctType": "inverse", "ctVal": f"{spec.contract_usd:g}", "ctValCcy": "USD", "settleCcy": spec.currency,
        }  # fmt: skip
    if swap:
        coins = f"{CONTRACT_COINS[spec.currency]:g}"
        return record | {"ctType": "linear", "ctVal": coins, "ctValCcy": spec.currency, "settleCcy": "USDT"}
    return record
