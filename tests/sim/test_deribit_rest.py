"""Deribit's methods that clients call at start, over GET and by POST: names, types, the market's own values."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest


@pytest.fixture
def sim(still_exchange: Any) -> Any:
    return still_exchange


async def post(sim: Any, body: Any, path: str = "") -> tuple[int, Any]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        response = await client.post(sim.addresses["deribit"].rest + path, **content)
    return response.status_code, response.json()


@pytest.mark.slow
async def test_json_rpc_by_post_answers_as_get_does(sim: Any) -> None:
    params = {"instrument_name": "BTC-PERPETUAL"}
    status, body = await post(sim, {"jsonrpc": "2.0", "id": 5, "method": "public/ticker", "params": params})
    assert (status, body["id"], body["jsonrpc"], body["testnet"]) == (200, 5, "2.0", False)
    assert body["usDiff"] == body["usOut"] - body["usIn"]
    assert body["result"] == await sim.result("ticker", **params)
    status, body = await post(sim, {"id": 6, "method": "public/get_time"}, "/public/get_time")
    assert (status, type(body["result"])) == (200, int)
    for refused, code in (
        ({"id": 1, "method": "public/nothing"}, -32601),
        ({"id": 1, "method": "public/ticker", "params": [1]}, -32602),
        ({"id": 1, "method": "private/get_positions", "params": {}}, 13009),
        ({"id": 1, "method": "public/subscribe", "params": {"channels": []}}, 10030),
        ({"id": 1}, -32600),
        ([], -32600),
        (b"{", 11050),
        (b"\xff", 11050),
        (b"", 11050),
        (b'{"method": "' + b"x" * 40_000 + b'"}', -32600),
        (b"x" * 200_000, -32600),
    ):
        status, body = await post(sim, refused)
        assert (status, body["error"]["code"]) == (400, code), refused
    assert body.get("id") is None


async def test_a_post_may_come_byte_by_byte(sim: Any) -> None:
    host, port = sim.addresses["deribit"].rest.removeprefix("http://").partition("/")[0].split(":")
    body = b'{"jsonrpc":"2.0","id":1,"method":"public/test","params":{}}'
    head = f"POST /api/v2 HTTP/1.1\r\nhost: x\r\ncontent-LENGTH: {len(body)}\r\nContent-Type: a/b\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    for byte in head + body:
        writer.write(bytes([byte]))
        await writer.drain()
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"version"' in answer


async def test_other_venues_refuse_post(sim: Any) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        binance = await client.post(f"{sim.addresses['binance.spot'].rest}/api/v3/order", content=b"x=1")
        okx = await client.post(f"{sim.addresses['okx'].rest}/api/v5/trade/order", json={})
    assert (binance.status_code, okx.status_code) == (404, 405)


@pytest.mark.slow
async def test_currencies_and_instruments(sim: Any) -> None:
    currencies = {row["currency"]: row for row in await sim.result("get_currencies")}
    assert currencies.keys() == {"BTC", "SOL", "USDC"}
    assert currencies["BTC"].keys() >= {
        "coin_type", "currency_long", "decimals", "min_confirmations", "min_withdrawal_fee", "withdrawal_fee",
        "withdrawal_priorities", "network_currency", "network_fee", "in_cross_collateral_pool",
    }  # fmt: skip
    everything = await sim.result("get_instruments")
    assert everything == await sim.result("get_instruments", currency="any")
    assert {row["settlement_currency"] for row in everything} == {"BTC", "USDC"}
    assert await sim.result("get_instruments", currency="SOL") == [], "nothing is settled in it"
    for name in ("BTC-PERPETUAL", everything[0]["instrument_name"]):
        row = await sim.result("get_instrument", instrument_name=name)
        assert row == next(r for r in everything if r["instrument_name"] == name)
        size = await sim.result("get_contract_size", instrument_name=name)
        assert size == {"contract_size": row["contract_size"]}
    assert await sim.result("get_index", currency="BTC") == {
        "BTC": sim.btc.index, "edp": sim.btc.estimated_delivery,
    }  # fmt: skip
    assert await sim.result("get_index_price_names") == ["btc_usd", "btc_usdc", "sol_usdc"]
    (summary,) = await sim.result("get_book_summary_by_instrument", instrument_name="BTC-PERPETUAL")
    assert summary in await sim.result("get_book_summary_by_currency", currency="BTC", kind="future")
    volumes = {row["currency_pair"]: row for row in await sim.result("get_trade_volumes")}
    ledger = sim.btc.ledger
    assert volumes["btc_usd"]["calls_volume"] + volumes["btc_usd"]["puts_volume"] == pytest.approx(ledger.volume.sum())


@pytest.mark.parametrize("resolution", ["1", "5", "1D"])
async def test_charts_of_the_perpetual_are_sums_of_its_tape(sim: Any, resolution: str) -> None:
    now_ms = sim.server.market.now_ns // 1_000_000
    span_ms = 3 * 86_400_000 if resolution == "1D" else 3_600_000
    window = {"start_timestamp": now_ms - span_ms, "end_timestamp": now_ms, "resolution": resolution}
    chart = await sim.result("get_tradingview_chart_data", instrument_name="BTC-PERPETUAL", **window)
    assert chart.keys() == {"ticks", "open", "high", "low", "close", "volume", "cost", "status"}
    assert chart["status"] == "ok"
    tape = list(sim.btc.perpetual.recent_trades)
    assert chart["close"][-1] == pytest.approx(tape[-1].price)
    if resolution == "1":
        minute = [t for t in tape if chart["ticks"][-2] <= t.ts_ns // 1_000_000 < chart["ticks"][-1]]
        assert chart["volume"][-2] == pytest.approx(sum(t.coins for t in minute), abs=1e-7)
        assert chart["cost"][-2] == pytest.approx(sum(t.coins * t.price for t in minute))
        assert len(chart["ticks"]) == 60
        assert all(round(price / 0.5, 6) % 1 == 0 for price in chart["open"])


async def test_charts_of_an_option_are_its_prints(sim: Any) -> None:
    log = sim.btc.trade_log
    name = max(sim.btc.board.names, key=lambda n: len(log.instrument_trades(n)))
    prints = log.instrument_trades(name)
    start = prints[0].ts_ms - prints[0].ts_ms % 86_400_000
    window = {"start_timestamp": start, "end_timestamp": prints[-1].ts_ms, "resolution": "1D"}
    chart = await sim.result("get_tradingview_chart_data", instrument_name=name, **window)
    assert sum(chart["volume"]) == pytest.approx(sum(t.amount for t in prints))
    assert (chart["open"][0], chart["close"][-1]) == (prints[0].price, prints[-1].price)
    empty = {"start_timestamp": 0, "end_timestamp": 60_000, "resolution": "1"}
    assert (await sim.result("get_tradingview_chart_data", instrument_name=name, **empty))["status"] == "no_data"


async def test_volatility_funding_and_futures_trades(sim: Any) -> None:
    rows = await sim.result("get_historical_volatility", currency="BTC")
    assert [b[0] - a[0] for a, b in pairwise(rows)] == [3_600_000] * (len(rows) - 1)
    assert all(20.0 < value < 120.0 for _, value in rows)
    hours = {"start_timestamp": 0, "end_timestamp": 4 * 3_600_000}
    rate = await sim.result("get_funding_rate_value", instrument_name="BTC-PERPETUAL", **hours)
    assert rate == pytest.approx(0.5 * sim.btc.perpetual.funding)
    now_ms = sim.server.market.now_ns // 1_000_000
    window = {"start_timestamp": now_ms - 10 * 3_600_000, "end_timestamp": now_ms}
    history = await sim.result("get_funding_rate_history", instrument_name="BTC-PERPETUAL", **window)
    assert [b["timestamp"] - a["timestamp"] for a, b in pairwise(history)] == [3_600_000] * 9
    assert all(b["prev_index_price"] == a["index_price"] for a, b in pairwise(history))
    assert history[0].keys() == {"timestamp", "index_price", "prev_index_price", "interest_8h", "interest_1h"}
    page = await sim.result("get_last_trades_by_currency", currency="BTC", kind="future", count=5)
    tape = [t for market in (sim.btc.perpetual, *sim.btc.futures.values()) for t in market.recent_trades]
    newest = sorted((t.ts_ns // 1_000_000 for t in tape), reverse=True)[:5]
    assert [row["timestamp"] for row in page["trades"]] == newest


@pytest.mark.slow
async def test_chart_channel_follows_the_tape(exchange: Any) -> None:
    sim = await exchange(speed=60.0)
    client = await sim.deribit()
    channel = "chart.trades.BTC-PERPETUAL.1"
    assert (await client.call("public/subscribe", channels=[channel]))["result"] == [channel]
    candles: dict[int, Any] = {}
    while len(candles) < 2:
        candle = await client.channel(channel)
        candles[candle["tick"]] = candle
    assert candle.keys() == {"tick", "open", "high", "low", "close", "volume", "cost"}
    closed = min(candles)
    minute = [t for t in sim.btc.perpetual.recent_trades if closed <= t.ts_ns // 1_000_000 < closed + 60_000]
    assert candles[closed]["volume"] == pytest.approx(sum(t.coins for t in minute), abs=1e-7)
    assert candles[closed]["close"] == pytest.approx(minute[-1].price)
