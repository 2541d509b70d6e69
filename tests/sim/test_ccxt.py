"""ccxt and ccxt.pro, as published, on the simulated exchange: base URLs are all that is changed."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

pytestmark = pytest.mark.slow
TIMEOUT_S = 60.0
LISTED = {  # of the unified symbols, the market behind each
    "deribit": {"BTC/USD:BTC": ("deribit", "BTC-PERPETUAL")},
    "binance": {"BTC/USDT": ("binance-spot", "BTCUSDT"), "BTC/USDT:USDT": ("binance-futures", "BTCUSDT")},
    "okx": {
        "BTC/USDT": ("okx", "BTC-USDT"),
        "BTC/USDT:USDT": ("okx", "BTC-USDT-SWAP"),
        "BTC/USD:BTC": ("okx", "BTC-USD-SWAP"),
    },
}
SYMBOLS = [(venue, symbol) for venue, symbols in LISTED.items() for symbol in symbols]

Open = Callable[[str], Awaitable[tuple[Any, Any]]]


@pytest.fixture
async def open_client(exchange: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Starts the exchange and a client of one venue, with the markets loaded."""
    for proxy in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    clients = []

    async def start(venue: str) -> tuple[Any, Any]:
        sim = await exchange()
        stock = importlib.import_module("client_ccxt")  # takes a second, so only here
        addresses = {name: {"rest": a.rest, "ws": a.ws} for name, a in sim.addresses.items()}
        clients.append(stock.open_exchange(venue, addresses))
        async with asyncio.timeout(TIMEOUT_S):
            await clients[-1].load_markets()
        return sim, clients[-1]

    yield start
    for client in clients:
        await client.close()


def market_of(sim: Any, venue: str, symbol: str) -> Any:
    return sim.server.market.linear_markets(LISTED[venue][symbol][0])[LISTED[venue][symbol][1]]


@pytest.mark.parametrize("venue", LISTED)
async def test_load_markets_lists_what_is_simulated(open_client: Open, venue: str) -> None:
    sim, client = await open_client(venue)
    board = sim.btc.board
    expected = set(LISTED[venue])
    if venue == "deribit":
        assert {m["id"] for m in client.markets.values() if m["option"]} == set(board.names)
        assert {m["id"] for m in client.markets.values() if m["future"]} == {
            f"BTC-{label}" for label in sim.btc.futures
        }
        expected |= {symbol for symbol, m in client.markets.items() if m["option"] or m["future"]}
        option = client.market(client.markets_by_id[board.names[0]][0]["symbol"])
        assert (option["strike"], option["expiry"]) == (
            board.contracts[0].strike, board.contracts[0].expiry.expiry_ns // 1_000_000,
        )  # fmt: skip
    assert set(client.markets) == expected
    assert all(m["active"] for m in client.markets.values())
    for symbol in LISTED[venue]:
        spec = market_of(sim, venue, symbol).spec
        assert client.market(symbol)["precision"]["price"] == pytest.approx(spec.tick)
        assert client.market(symbol)["swap"] is (spec.kind == "perpetual")


@pytest.mark.parametrize(("venue", "symbol"), SYMBOLS)
async def test_fetches_bring_the_simulated_market(open_client: Open, venue: str, symbol: str) -> None:
    sim, client = await open_client(venue)
    market = market_of(sim, venue, symbol)
    async with asyncio.timeout(TIMEOUT_S):
        assert (await client.watch_trades(symbol))[-1]["symbol"] == symbol  # so that there is a tape
        trades = await client.fetch_trades(symbol)
        ticker = await client.fetch_ticker(symbol)
        book = await client.fetch_order_book(symbol)
        now_ms = sim.server.market.now_ns // 1_000_000  # which is not that of the wall clock
        candles = await client.fetch_ohlcv(symbol, "1m", since=now_ms - 40 * 60_000, limit=50)
        hours = await client.fetch_ohlcv(symbol, "1h", since=now_ms - 48 * 3_600_000, limit=20)
    tape = {t.trade_id: t for t in market.recent_trades}
    assert trades
    for trade in trades:
        own = tape[int(trade["id"])]
        assert trade["side"] == ("buy" if own.side > 0 else "sell")
        assert trade["price"] == pytest.approx(own.price, abs=0.051)
        assert trade["timestamp"] == own.ts_ns // 1_000_000
    assert ticker["last"] == pytest.approx(market.last, rel=2e-3)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    (bid, _, *_), (ask, _, *_) = book["bids"][0], book["asks"][0]
    assert 0.0 < ask - bid < 0.001 * bid
    assert bid == pytest.approx(market.book.mid, rel=2e-3)
    starts = [row[0] for row in candles]
    assert [b - a for a, b in pairwise(starts)] == [60_000] * (len(starts) - 1)
    assert len(candles) >= 40
    assert all(low <= min(opened, close) <= max(opened, close) <= high for _, opened, high, low, close, _ in candles)
    assert candles[-1][4] == pytest.approx(market.last, rel=2e-3)
    assert len(hours) == 20
    assert all(row[0] % 3_600_000 == 0 for row in hours)


@pytest.mark.parametrize(("venue", "symbol"), SYMBOLS)
async def test_watches_follow_the_simulated_market(open_client: Open, venue: str, symbol: str) -> None:
    sim, client = await open_client(venue)
    market = market_of(sim, venue, symbol)
    async with asyncio.timeout(TIMEOUT_S):
        trades = await client.watch_trades(symbol)
        ticker = await client.watch_ticker(symbol)
        for _ in range(3):
            book = await client.watch_order_book(symbol)
        candles = await client.watch_ohlcv(symbol, "1m") if client.has["watchOHLCV"] else []
    assert int(trades[-1]["id"]) in {t.trade_id for t in market.recent_trades}
    assert ticker["last"] == pytest.approx(market.last, rel=2e-3)
    bids, asks = [level[0] for level in book["bids"]], [level[0] for level in book["asks"]]
    assert (bids, asks) == (sorted(bids, reverse=True), sorted(asks))
    assert bids[0] < asks[0]
    assert bids[0] == pytest.approx(market.book.mid, rel=2e-3)
    for row in candles:
        assert row[0] % 60_000 == 0
        assert row[4] == pytest.approx(market.last, rel=2e-3)


async def test_option_chain_and_greeks_are_those_of_the_board(open_client: Open) -> None:
    sim, client = await open_client("deribit")
    board, ledger = sim.btc.board, sim.btc.ledger
    async with asyncio.timeout(TIMEOUT_S):
        chain = await client.fetch_option_chain("BTC")
    ids = {client.market(symbol)["id"]: row for symbol, row in chain.items()}
    assert ids.keys() == set(board.names)
    for row, name in enumerate(board.names[:60]):
        assert ids[name]["openInterest"] == pytest.approx(float(ledger.open_interest[row]), abs=50.0)
        assert ids[name]["markPrice"] == pytest.approx(float(board.mark[row]), abs=0.003)
        assert ids[name]["underlyingPrice"] == pytest.approx(float(board.underlying[row]), rel=2e-3)
    row = int((ledger.last == ledger.last).nonzero()[0][0])  # traded within a day
    symbol = client.markets_by_id[board.names[row]][0]["symbol"]
    async with asyncio.timeout(TIMEOUT_S):
        greeks = await client.fetch_greeks(symbol)
        option = await client.fetch_option(symbol)
        ticker = await client.fetch_ticker(symbol)
        trades = await client.fetch_trades(symbol)
    assert greeks["delta"] == pytest.approx(float(board.delta[row]), abs=0.02)
    assert greeks["markImpliedVolatility"] == pytest.approx(float(board.iv[row]), abs=1.0)
    assert greeks["underlyingPrice"] == pytest.approx(float(board.underlying[row]), rel=2e-3)
    assert option["markPrice"] == pytest.approx(float(board.mark[row]), abs=0.002)
    assert ticker["last"] == pytest.approx(float(ledger.last[row]), abs=0.002)
    known = {t.number for t in sim.btc.trade_log.instrument_trades(board.names[row])}
    assert {int(trade["id"]) for trade in trades} <= known
    unbid = board.names[int((board.bid != board.bid).nonzero()[0][0])]
    empty = await client.fetch_ticker(client.markets_by_id[unbid][0]["symbol"])
    assert empty["info"]["best_bid_price"] == 0.0
