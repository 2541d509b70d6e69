"""ccxt on a simulated exchange: the three venues with their base URLs changed, and the calls that a strategy makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ccxt.pro

Addresses = dict[str, Any]  # of dfmon sim, by source
SYMBOLS = {
    "deribit": ("BTC/USD:BTC",),
    "binance": ("BTC/USDT", "BTC/USDT:USDT"),
    "okx": ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"),
}


def base_urls(addresses: Addresses) -> dict[str, Any]:
    """Each venue's `urls["api"]`."""
    at = {source: (address["rest"], address["ws"]) for source, address in addresses.items()}
    spot, spot_ws = at["binance.spot"]
    futures, futures_ws = at["binance.market"]
    okx, okx_ws = at["okx"]
    deribit, deribit_ws = at["deribit"]
    return {
        "deribit": {"rest": deribit.removesuffix("/api/v2"), "ws": deribit_ws},
        "binance": {
            "public": f"{spot}/api/v3",
            "fapiPublic": f"{futures}/fapi/v1",
            "dapiPublic": f"{futures}/dapi/v1",
            "ws": {"spot": f"{spot_ws}/ws/stream", "linear": f"{futures_ws}/ws"},  # ccxt knows spot by "/stream"
        },
        "okx": {"rest": okx, "ws": okx_ws.removesuffix("/public")},
    }


def open_exchange(venue: str, addresses: Addresses) -> Any:
    """The asynchronous client of a venue, with websockets."""
    exchange = getattr(ccxt.pro, venue)({"enableRateLimit": False})
    urls = exchange.urls["api"]
    for name, url in base_urls(addresses)[venue].items():
        urls[name] = urls.get(name, {}) | url if isinstance(url, dict) else url
    return exchange


async def run_all(addresses: Addresses, log: Callable[[str, object], None], timeout_s: float = 20.0) -> None:
    """Makes every call on every venue; `log` takes its name and what it brought. Raises the first error."""
    for venue in SYMBOLS:
        exchange = open_exchange(venue, addresses)
        try:
            await _run_venue(exchange, venue, log, timeout_s)
        finally:
            await exchange.close()


async def _run_venue(exchange: Any, venue: str, log: Callable[[str, object], None], timeout_s: float) -> None:
    async def call(method: str, *args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(timeout_s):
            result = await getattr(exchange, method)(*args, **kwargs)
        log(f"{venue}.{method}({', '.join(map(repr, args))})", result)
        return result

    markets = await call("load_markets")
    for symbol in SYMBOLS[venue]:
        await call("fetch_ticker", symbol)
        await call("fetch_order_book", symbol)
        await call("watch_trades", symbol)
        await call("fetch_trades", symbol)
        await call("fetch_ohlcv", symbol, "1m", limit=100)
        await call("watch_order_book", symbol)
        await call("watch_ticker", symbol)
    if venue != "deribit":
        await call("watch_tickers", list(SYMBOLS[venue][:1]))
        return
    await call("fetch_status")
    chain = await call("fetch_option_chain", "BTC")
    option = max(chain, key=lambda symbol: chain[symbol]["openInterest"] or 0.0)
    assert option in markets, option
    for method in ("fetch_greeks", "fetch_option", "fetch_ticker", "fetch_order_book", "fetch_trades"):
        await call(method, option)


def run(addresses: Addresses, log: Callable[[str, object], None]) -> None:
    asyncio.run(run_all(addresses, log))
