"""python-binance on the simulated exchange: REST of spot and futures, and the sockets of its manager."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.client import Client

Log = Callable[[str, object], None]


def point_at(client_type: Any, addresses: dict[str, Any]) -> Any:
    """The client's class with its base URLs changed."""
    spot, futures = addresses["binance.spot"]["rest"], addresses["binance.market"]["rest"]
    urls = {"API_URL": f"{spot}/api", "FUTURES_URL": f"{futures}/fapi", "FUTURES_COIN_URL": f"{futures}/dapi"}
    return type(client_type.__name__, (client_type,), urls)


def run_sync(addresses: dict[str, Any], log: Log) -> None:
    client = point_at(Client, addresses)()  # pings
    for name, options in (
        ("get_server_time", {}),
        ("get_exchange_info", {}),
        ("get_symbol_info", {"symbol": "BTCUSDT"}),
        ("get_all_tickers", {}),
        ("get_symbol_ticker", {"symbol": "BTCUSDT"}),
        ("get_ticker", {"symbol": "BTCUSDT"}),
        ("get_orderbook_ticker", {"symbol": "BTCUSDT"}),
        ("get_order_book", {"symbol": "BTCUSDT"}),
        ("get_recent_trades", {"symbol": "BTCUSDT"}),
        ("get_aggregate_trades", {"symbol": "BTCUSDT"}),
        ("get_avg_price", {"symbol": "BTCUSDT"}),
        ("get_klines", {"symbol": "BTCUSDT", "interval": "1m"}),
        ("get_historical_klines", {"symbol": "BTCUSDT", "interval": "1h", "start_str": "2 days ago UTC"}),
        ("futures_ping", {}),
        ("futures_exchange_info", {}),
        ("futures_klines", {"symbol": "BTCUSDT", "interval": "5m"}),
        ("futures_recent_trades", {"symbol": "BTCUSDT"}),
        ("futures_mark_price", {"symbol": "BTCUSDT"}),
        ("futures_open_interest", {"symbol": "BTCUSDT"}),
        ("futures_ticker", {}),
        ("futures_coin_exchange_info", {}),
    ):
        log(name, getattr(client, name)(**options))


async def run_sockets(addresses: dict[str, Any], log: Log) -> None:
    client = await point_at(AsyncClient, addresses).create()
    manager = BinanceSocketManager(client)
    manager.STREAM_URL = addresses["binance.spot"]["ws"] + "/"
    manager.FSTREAM_URL = addresses["binance.market"]["ws"] + "/"
    sockets = {
        "trade_socket": manager.trade_socket("BTCUSDT"),
        "aggtrade_socket": manager.aggtrade_socket("BTCUSDT"),
        "symbol_miniticker_socket": manager.symbol_miniticker_socket("BTCUSDT"),
        "miniticker_socket": manager.miniticker_socket(),
        "symbol_ticker_socket": manager.symbol_ticker_socket("BTCUSDT"),
        "kline_socket": manager.kline_socket("BTCUSDT"),
        "depth_socket": manager.depth_socket("BTCUSDT"),
        "multiplex_socket": manager.multiplex_socket(["btcusdt@trade", "ethusdt@bookTicker"]),
    }
    try:
        for name, socket in sockets.items():
            async with socket as stream:
                log(name, await asyncio.wait_for(stream.recv(), 10.0))
    finally:
        await client.close_connection()


def run(addresses: dict[str, Any], log: Log) -> None:
    run_sync(addresses, log)
    asyncio.run(run_sockets(addresses, log))
