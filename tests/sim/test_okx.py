from __future__ import annotations

from typing import Any

import pytest


async def subscribe(client: Any, *args: tuple[str, str]) -> None:
    await client.send_json({"op": "subscribe", "args": [{"channel": c, "instId": i} for c, i in args]})


async def next_push(client: Any, channel: str) -> Any:
    return await client.receive_until(lambda m: "data" in m and m["arg"]["channel"] == channel)


def all_strings(value: Any, *exempt: str) -> bool:
    """Whether every number is a string, except the named fields."""
    if isinstance(value, dict):
        return all(key in exempt or all_strings(inner, *exempt) for key, inner in value.items())
    if isinstance(value, list):
        return all(all_strings(inner, *exempt) for inner in value)
    return isinstance(value, str)


async def test_every_argument_gets_its_own_ack(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.ws(sim.addresses["okx"].ws)
    args = [{"channel": "trades", "instId": "BTC-USDT-SWAP"}, {"channel": "trades", "instId": "BTC-USDT"}]
    await client.send_json({"id": "1512", "op": "subscribe", "args": args})
    acks = [await client.receive_until(lambda m: m.get("event") == "subscribe") for _ in args]
    assert [ack["arg"] for ack in acks] == args
    assert {ack["id"] for ack in acks} == {"1512"}
    assert len({ack["connId"] for ack in acks}) == 1
    await client.send_json({"op": "unsubscribe", "args": args[:1]})
    assert (await client.receive_until(lambda m: m.get("event") == "unsubscribe"))["arg"] == args[0]


async def test_ping_is_text(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.ws(sim.addresses["okx"].ws)
    await client.send_json("ping")
    assert await client.receive() == "pong"


async def test_errors(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.ws(sim.addresses["okx"].ws)
    for message in ("{", {"op": "explode", "args": []}, {"op": "subscribe"}):
        await client.send_json(message)
        assert (await client.receive())["code"] == "60012"
    await subscribe(client, ("trades", "DOGE-USDT"), ("nothing", "BTC-USDT"), ("funding-rate", "BTC-USDT"))
    for _ in range(3):
        error = await client.receive()
        assert (error["event"], error["code"]) == ("error", "60018")


async def test_books_chain_by_sequence_with_checksum_zero(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.ws(sim.addresses["okx"].ws)
    await subscribe(client, ("books", "BTC-USDT-SWAP"))
    frame = await next_push(client, "books")
    snapshot = frame["data"][0]
    assert (frame["action"], snapshot["prevSeqId"], snapshot["checksum"]) == ("snapshot", -1, 0)
    assert all_strings(snapshot, "seqId", "prevSeqId", "checksum")
    book = {side: {row[0]: row[1] for row in snapshot[side]} for side in ("bids", "asks")}
    last = snapshot["seqId"]
    for n in range(10):
        if n == 4:  # a second listener must not break the first one's chain
            other = await sim.ws(sim.addresses["okx"].ws)
            await subscribe(other, ("books", "BTC-USDT-SWAP"))
        frame = await next_push(client, "books")
        update = frame["data"][0]
        assert (frame["action"], update["prevSeqId"], update["checksum"]) == ("update", last, 0)
        last = update["seqId"]
        for side in book:
            for price, size, _, orders in update[side]:
                assert (float(size) == 0.0) == (orders == "0")
                book[side][price] = size
            book[side] = {price: size for price, size in book[side].items() if float(size)}
    best = max(map(float, book["bids"]))
    assert best < min(map(float, book["asks"]))
    assert min(map(float, book["bids"])) < 0.99 * best


async def test_every_channel_speaks_in_strings(exchange: Any) -> None:
    sim = await exchange(speed=20.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    channels = (
        "trades",
        "tickers",
        "books5",
        "bbo-tbt",
        "mark-price",
        "index-tickers",
        "funding-rate",
        "open-interest",
    )
    for channel in channels:
        await subscribe(client, (channel, "BTC-USDT-SWAP"))
        frame = await next_push(client, channel)
        assert frame["arg"] == {"channel": channel, "instId": "BTC-USDT-SWAP"}
        assert all_strings(frame["data"], "seqId")
        assert "ts" in frame["data"][0]


async def test_swaps_count_contracts_of_a_hundredth_bitcoin(exchange: Any) -> None:
    sim = await exchange(speed=10.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    await subscribe(client, ("trades", "BTC-USDT-SWAP"), ("open-interest", "BTC-USDT-SWAP"), ("tickers", "BTC-USDT"))
    trade = (await next_push(client, "trades"))["data"][0]
    market = sim.server.market.linear_markets("okx")["BTC-USDT-SWAP"]
    simulated_trade = next(t for t in market.recent_trades if str(t.trade_id) == trade["tradeId"])
    assert float(trade["sz"]) * 0.01 == pytest.approx(simulated_trade.coins)
    assert trade["side"] == ("buy" if simulated_trade.side > 0 else "sell")
    interest = (await next_push(client, "open-interest"))["data"][0]
    assert float(interest["oi"]) * 0.01 == pytest.approx(float(interest["oiCcy"]))
    spot = (await next_push(client, "tickers"))["data"][0]
    assert float(spot["volCcy24h"]) == pytest.approx(float(spot["vol24h"]) * float(spot["last"]), rel=0.02)


async def test_inverse_swaps_count_whole_contracts_of_dollars(exchange: Any) -> None:
    sim = await exchange(speed=20.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    name = "BTC-USD-SWAP"
    await subscribe(client, ("trades", name), ("tickers", name), ("open-interest", name), ("funding-rate", name))
    trade = (await next_push(client, "trades"))["data"][0]
    market = sim.server.market.linear_markets("okx")[name]
    simulated_trade = next(t for t in market.recent_trades if str(t.trade_id) == trade["tradeId"])
    assert trade["sz"].isdecimal()
    assert int(trade["sz"]) * 100 / float(trade["px"]) == pytest.approx(simulated_trade.coins)
    ticker = (await next_push(client, "tickers"))["data"][0]
    assert float(ticker["vol24h"]) * 100 / float(ticker["last"]) == pytest.approx(float(ticker["volCcy24h"]), rel=1e-4)
    interest = (await next_push(client, "open-interest"))["data"][0]
    assert float(interest["oi"]) * 100 == pytest.approx(float(interest["oiUsd"]), rel=0.01)


@pytest.mark.slow
async def test_liquidations_come_by_instrument_type(exchange: Any) -> None:
    sim = await exchange(speed=80.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    await client.send_json({"op": "subscribe", "args": [{"channel": "liquidation-orders", "instType": "SWAP"}]})
    order = (await next_push(client, "liquidation-orders"))["data"][0]
    assert order["instId"] in {"BTC-USDT-SWAP", "BTC-USD-SWAP"}
    assert order["instFamily"] == order["instId"].removesuffix("-SWAP")
    (detail,) = order["details"]
    assert (detail["side"], detail["posSide"]) in {("sell", "long"), ("buy", "short")}


async def test_a_silent_connection_is_closed_with_4004(exchange: Any) -> None:
    sim = await exchange(timer_speedup=60.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    assert (await client.wait_until_closed())[0] == 4004


@pytest.mark.slow
async def test_rest_is_in_the_envelope(exchange: Any) -> None:
    sim = await exchange(currencies=("BTC", "ETH"))
    base = f"{sim.addresses['okx'].rest}/api/v5"
    swaps = (await sim.get(f"{base}/public/instruments", instType="SWAP")).json()
    assert (swaps["code"], swaps["msg"]) == ("0", "")
    assert {r["instId"]: r["ctVal"] for r in swaps["data"]} == {
        "BTC-USDT-SWAP": "0.01", "ETH-USDT-SWAP": "0.1", "BTC-USD-SWAP": "100", "ETH-USD-SWAP": "10",
    }  # fmt: skip
    assert {r["ctType"] for r in swaps["data"] if r["ctValCcy"] == "USD"} == {"inverse"}
    ticker = (await sim.get(f"{base}/market/ticker", instId="ETH-USDT")).json()["data"][0]
    assert 2_000 < float(ticker["last"]) < 4_000
    interest = (await sim.get(f"{base}/public/open-interest", instType="SWAP", instId="BTC-USDT-SWAP")).json()["data"]
    assert len(interest) == 1
    marks = (await sim.get(f"{base}/public/mark-price", instType="SWAP")).json()["data"]
    assert {row["instId"] for row in marks} == {row["instId"] for row in swaps["data"]}
    funding = (await sim.get(f"{base}/public/funding-rate", instId="BTC-USDT-SWAP")).json()["data"]
    assert int(funding[0]["nextFundingTime"]) - int(funding[0]["fundingTime"]) == 8 * 3_600_000
    for call in ("public/mark-price", "public/open-interest", "public/funding-rate"):
        refused = await sim.get(f"{base}/{call}")
        assert (refused.status_code, refused.json()["code"]) == (400, "50014")
    book = (await sim.get(f"{base}/market/books", instId="BTC-USDT", sz="400")).json()["data"][0]
    assert len(book["bids"]) > 100
    assert (await sim.get(f"{base}/market/ticker", instId="NOPE")).json()["code"] == "51001"
    assert (await sim.get(f"{base}/nothing")).status_code == 404
