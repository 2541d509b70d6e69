"""python-okx on the simulated exchange: market and public data, and its public websocket, which takes TLS only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import okx.MarketData
import okx.PublicData
from okx.websocket.WsPublicAsync import WsPublicAsync

Log = Callable[[str, object], None]
CHANNELS = {
    "public": ("trades", "tickers", "books", "books5", "mark-price", "funding-rate", "open-interest"),
    "business": ("candle1m",),
}
TIMEOUT_S = 30.0


def run_rest(addresses: dict[str, Any], log: Log) -> None:
    rest = addresses["okx"]["rest"]
    market, public = okx.MarketData.MarketAPI(domain=rest), okx.PublicData.PublicAPI(domain=rest)
    calls: tuple[tuple[Any, str, dict[str, str]], ...] = (
        (public, "get_system_time", {}),
        (public, "get_instruments", {"instType": "SPOT"}),
        (public, "get_instruments", {"instType": "SWAP"}),
        (public, "get_instruments", {"instType": "FUTURES"}),
        (public, "get_underlying", {"instType": "SWAP"}),
        (public, "get_funding_rate", {"instId": "BTC-USDT-SWAP"}),
        (public, "get_mark_price", {"instType": "SWAP"}),
        (public, "get_open_interest", {"instType": "SWAP"}),
        (public, "get_price_limit", {"instId": "BTC-USDT-SWAP"}),
        (market, "get_tickers", {"instType": "SWAP"}),
        (market, "get_ticker", {"instId": "BTC-USDT"}),
        (market, "get_index_tickers", {"quoteCcy": "USDT"}),
        (market, "get_orderbook", {"instId": "BTC-USDT", "sz": "5"}),
        (market, "get_trades", {"instId": "BTC-USDT"}),
        (market, "get_history_trades", {"instId": "BTC-USDT"}),
        (market, "get_candlesticks", {"instId": "BTC-USDT-SWAP", "bar": "5m"}),
        (market, "get_history_candlesticks", {"instId": "BTC-USD-SWAP", "bar": "1D"}),
    )
    for api, name, options in calls:
        answer = getattr(api, name)(**options)
        if answer["code"] != "0":
            raise RuntimeError(f"{name}: {answer}")
        log(f"{name}({', '.join(options.values())})", answer["data"])


async def run_websocket(addresses: dict[str, Any], log: Log, path: str) -> None:
    awaited = set(CHANNELS[path])
    spoken = asyncio.Event()

    def receive(message: str) -> None:
        frame = json.loads(message)
        channel = frame.get("arg", {}).get("channel")
        if "data" in frame and channel in awaited:
            awaited.discard(channel)
            log(f"{path} {channel}", frame["data"])
            if not awaited:
                spoken.set()

    client = WsPublicAsync(url=addresses["okx"]["ws"].replace("/public", f"/{path}"))
    consumer = await client.start()
    await client.subscribe([{"channel": c, "instId": "BTC-USDT-SWAP"} for c in CHANNELS[path]], receive)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await spoken.wait()
    finally:
        consumer.cancel()
        await client.stop()


def run(addresses: dict[str, Any], log: Log) -> None:
    run_rest(addresses, log)
    for path in CHANNELS:
        asyncio.run(run_websocket(addresses, log, path))
