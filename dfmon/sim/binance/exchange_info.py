"""Binance's listing: `exchangeInfo` of spot and of USD-M futures, with the grids of each symbol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dfmon.sim.binance.records import Record
from dfmon.sim.market.linear_market import LinearMarket

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
_ONBOARD_MS: Final = 1_569_398_400_000
_PREVENTION_MODES: Final = ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]
_MAX_PRICE_FACTOR: Final = 50
_MAX_LOT: Final = 9_000


def exchange_info(markets: Iterable[LinearMarket], now_ms: int, *, futures: bool) -> Record:
    """The whole response; COIN-M, which lists nothing here, has the form of USD-M."""
    rows = [future_symbol(m) if futures else spot_symbol(m) for m in markets]
    head: Record = {"timezone": "UTC", "serverTime": now_ms}
    if not futures:
        return {**head, "rateLimits": _spot_limits(), "exchangeFilters": [], "symbols": rows}
    assets = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
    limits = [_rate_limit("REQUEST_WEIGHT", "MINUTE", 1, 2_400), _rate_limit("ORDERS", "MINUTE", 1, 1_200)]
    return {**head, "futuresType": "U_MARGINED", "rateLimits": limits, "exchangeFilters": [], "assets": assets,
            "symbols": rows}  # fmt: skip


def _spot_limits() -> list[Record]:
    return [
        _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
        _rate_limit("ORDERS", "SECOND", 10, 100),
        _rate_limit("ORDERS", "DAY", 1, 200_000),
        _rate_limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
    ]


def _rate_limit(kind: str, interval: str, count: int, limit: int) -> Record:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _filters(market: LinearMarket, digits: int | None) -> list[Record]:
    """The grids of price and size, with `digits` decimals or those of the grid itself."""
    spec = market.spec
    price_digits, lot_digits = (spec.digits, spec.lot_digits) if digits is None else (digits, digits)
    tick, lot = f"{spec.tick:.{price_digits}f}", f"{10.0**-spec.lot_digits:.{lot_digits}f}"
    highest = f"{round(market.open_24h * _MAX_PRICE_FACTOR):.{price_digits}f}"
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": highest, "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": f"{_MAX_LOT:.{lot_digits}f}", "stepSize": lot},
    ]


def spot_symbol(market: LinearMarket) -> Record:
    """A row of `symbols` of spot."""
    spec = market.spec
    return {
        "symbol": spec.symbol,
        "status": "TRADING",
        "baseAsset": spec.currency,
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
                       "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            *_filters(market, 8),
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "120.00000000",
             "stepSize": "0.00000000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
             "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": _PREVENTION_MODES,
    }  # fmt: skip


def future_symbol(market: LinearMarket) -> Record:
    """A row of `symbols` of USD-M futures."""
    spec = market.spec
    grid, lots = _filters(market, None)
    return {
        "symbol": spec.symbol,
        "pair": spec.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": _ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.currency,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": spec.digits,
        "quantityPrecision": spec.lot_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            grid,
            lots,
            {**lots, "filterType": "MARKET_LOT_SIZE"},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500",
             "multiplierDecimal": "4"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET",
                       "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }  # fmt: skip
