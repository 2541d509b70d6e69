"""What the venues refuse and how they end things: limits, close codes, notices; sources in `dfmon/sim/NOTES.md`."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dfmon.sim.deribit.client_session import RequestCredits
from dfmon.sim.faults import Faults
from tests.sim.test_okx import next_push
from tests.sim.test_okx import subscribe as okx_subscribe

pytestmark = pytest.mark.slow

PERPETUAL = "book.BTC-PERPETUAL.100ms"


# ---- Deribit ---------------------------------------------------------------------------------------------------------


async def test_more_than_500_channels_in_a_call_are_refused(exchange: Any) -> None:
    client = await (await exchange()).deribit()
    channels = [f"ticker.BTC-{n}.agg2" for n in range(501)]
    refused = await client.call("public/subscribe", channels=channels)
    assert refused["error"]["data"]["param"] == "channels"
    assert (await client.call("public/subscribe", channels=channels[:500]))["result"] == []


def test_credits_are_the_documented_pools() -> None:
    def burst(method: str, *, websocket: bool = True) -> int:
        request_credits = RequestCredits(0.0, 1.0, websocket=websocket)
        return next(n for n in itertools.count() if not request_credits.consume(method, 0.0))

    assert burst("public/ticker") == 100
    assert burst("public/subscribe") == 10
    assert (burst("public/get_instruments"), burst("public/get_instruments", websocket=False)) == (5, 50)
    request_credits = RequestCredits(0.0, 1.0, websocket=True)
    assert all(request_credits.consume("public/ticker", second / 20) for second in range(1, 2000)), (
        "20 a second for ever"
    )
    assert not all(request_credits.consume("public/ticker", 100.0) for _ in range(101))


async def test_the_eleventh_subscribe_call_ends_the_session_with_10028(exchange: Any) -> None:
    client = await (await exchange(timer_speedup=1.0)).deribit()
    for number in range(12):
        await client.send_json({"id": number, "method": "public/subscribe", "params": {"channels": ["platform_state"]}})
    error = await client.receive_until(lambda m: "error" in m)
    assert error["error"] == {"code": 10028, "message": "too_many_requests"}
    assert (await client.wait_until_closed())[0] == 1008


async def test_rest_without_credits_is_429_with_10028(exchange: Any) -> None:
    sim = await exchange(timer_speedup=1.0)
    url = f"{sim.addresses['deribit'].rest}/public/get_instruments"
    responses = [await sim.get(url, currency="ETH")]
    while responses[-1].status_code == 200:
        assert len(responses) < 90, "a call a second comes back"
        responses.append(await sim.get(url, currency="ETH"))
    assert len(responses) > 50
    assert (responses[-1].status_code, responses[-1].json()["error"]["code"]) == (429, 10028)


async def test_the_33rd_connection_is_429(exchange: Any) -> None:
    sim = await exchange()
    for _ in range(32):
        await sim.deribit()
    with pytest.raises(InvalidStatus, match="429"):
        await sim.deribit()


async def test_some_numbers_come_in_scientific_notation(exchange: Any) -> None:
    sim = await exchange()
    text = (await sim.get(f"{sim.addresses['deribit'].rest}/public/ticker", instrument_name="BTC-PERPETUAL")).text
    raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])["result"]
    interest = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])["open_interest"]
    assert b"e+" in bytes(interest)
    assert float(bytes(interest)) > 1e8


async def test_empty_sides_of_tickers_are_zero(exchange: Any) -> None:
    sim = await exchange()
    board = sim.btc.board
    unbid = [int(row) for row in (board.bid != board.bid).nonzero()[0]]
    chosen = [next(row for row in unbid if row % 2 == odd) for odd in (0, 1)]
    tickers = [await sim.result("ticker", instrument_name=board.names[row]) for row in chosen]
    assert {(t["best_bid_price"], t["best_bid_amount"], t["bid_iv"]) for t in tickers} == {(0.0, 0.0, 0.0)}
    unoffered = await sim.result("ticker", instrument_name=board.names[int((board.ask != board.ask).nonzero()[0][0])])
    assert (unoffered["best_ask_price"], unoffered["best_ask_amount"], unoffered["ask_iv"]) == (0.0, 0.0, 500.0)


async def test_book_summaries_are_made_every_two_seconds(exchange: Any) -> None:
    sim = await exchange(speed=1.0, timer_speedup=1.0)
    stamps = set()
    client = await sim.deribit()
    await client.call("public/subscribe", channels=["deribit_price_index.btc_usd"])
    for _ in range(4):
        rows = await sim.result("get_book_summary_by_currency", currency="BTC", kind="option")
        stamps.add(rows[0]["creation_timestamp"])
        await client.channel("deribit_price_index.btc_usd")
    assert len(stamps) <= 3
    assert len({row["creation_timestamp"] for row in rows}) == 1


async def test_a_combo_is_printed_leg_by_leg_and_once_as_a_whole(exchange: Any) -> None:
    sim = await exchange(speed=80.0)
    client = await sim.deribit()
    channel = "trades.option_combo.BTC.100ms"
    assert (await client.call("public/subscribe", channels=[channel, "trades.option.BTC.100ms"]))["result"]
    parents, legs = list[Any](), list[Any]()
    while not parents or not {leg["trade_id"] for leg in parents[0]["legs"]} <= {leg["trade_id"] for leg in legs}:
        frame = await client.receive_until(lambda m: m.get("params", {}).get("channel", "").startswith("trades."))
        (parents if frame["params"]["channel"] == channel else legs).extend(frame["params"]["data"])
    parent = parents[0]
    own_legs = [leg for leg in legs if leg.get("combo_trade_id") == parent["trade_id"]]
    assert len(own_legs) == len(parent["legs"]) == 2
    assert {leg["combo_id"] for leg in own_legs} == {parent["instrument_name"]}
    sign = 1 if parent["direction"] == "buy" else -1
    signed = [leg["price"] * (1 if leg["direction"] == "buy" else -1) * sign for leg in own_legs]
    assert parent["price"] == pytest.approx(sum(signed), abs=1e-9)
    assert (await client.call("public/subscribe", channels=[f"trades.{parent['instrument_name']}.100ms"]))["result"]


async def test_an_options_book_is_chained_and_agrees_with_its_ticker(exchange: Any) -> None:
    sim = await exchange(speed=30.0)
    client = await sim.deribit()
    expiry_slice = sim.btc.board.slices[2]
    name = sim.btc.board.names[expiry_slice.nearest_row(expiry_slice.strikes[len(expiry_slice.strikes) // 2], 1)]
    channel = f"book.{name}.100ms"
    await client.call("public/subscribe", channels=[channel, f"book.{name}.none.20.agg2"])
    frame = await client.channel(channel)
    assert frame["type"] == "snapshot"
    sides = {side: {price: size for _, price, size in frame[side]} for side in ("bids", "asks")}
    for _ in range(5):
        last, frame = frame["change_id"], await client.channel(channel)
        assert (frame["type"], frame["prev_change_id"]) == ("change", last)
        for side, book in sides.items():
            for action, price, size in frame[side]:
                assert (action == "new") == (price not in book)
                if action == "delete":
                    del book[price]
                else:
                    book[price] = size
    assert max(sides["bids"]) < min(sides["asks"])
    window = await client.channel(f"book.{name}.none.20.agg2")
    assert "type" not in window
    assert all(len(level) == 2 for level in window["bids"] + window["asks"])


async def test_the_last_word_of_an_expired_ticker_is_odd(exchange: Any, before_delivery: int) -> None:
    sim = await exchange(start_ns=before_delivery, speed=10.0, faults=Faults(frozen=True))
    client = await sim.deribit()
    old = sim.btc.board.names[0]
    channel = f"ticker.{old}.agg2"
    await client.call("public/subscribe", channels=[channel])
    first = await client.channel(channel)
    sim.server.faults.frozen = False
    assert first["underlying_index"] == "SYN.EXPIRY"
    last = await client.receive_until(lambda m: m["params"]["data"]["estimated_delivery_price"] == "expired")
    assert (last["params"]["data"]["state"], last["params"]["data"]["mark_iv"]) == ("open", 250.0)


async def test_a_delivered_series_passes_through_its_states(exchange: Any, before_delivery: int) -> None:
    sim = await exchange(start_ns=before_delivery, speed=60.0, faults=Faults(frozen=True))
    client = await sim.deribit()
    old = sim.btc.board.names[0]
    await client.call("public/subscribe", channels=["instrument.state.option.BTC"])
    sim.server.faults.frozen = False
    seen: list[str] = []
    while "archivized" not in seen:
        row = await client.channel("instrument.state.option.BTC")
        if row["instrument_name"] == old:
            seen.append(row["state"])
    assert seen == ["settlement", "delivered", "archivized"]


# ---- Binance ---------------------------------------------------------------------------------------------------------


async def test_weight_is_counted_and_ends_in_429_and_418(exchange: Any) -> None:
    sim = await exchange(timer_speedup=1.0)
    url = f"{sim.addresses['binance.spot'].rest}/api/v3/depth"
    responses = [await sim.get(url, symbol="BTCUSDT", limit=5000) for _ in range(46)]
    assert [a.headers["X-MBX-USED-WEIGHT-1M"] for a in responses[:2]] == ["250", "500"]
    assert [a.status_code for a in responses[:24]] == [200] * 24
    assert responses[24].status_code == 429
    assert responses[24].json()["code"] == -1003
    assert 0 < int(responses[24].headers["Retry-After"]) <= 60
    assert responses[-1].status_code == 418
    assert int(responses[-1].headers["Retry-After"]) > 60


async def test_connections_end_after_their_life(exchange: Any) -> None:
    sim = await exchange(binance_connection_lifetime_s=4.0)
    client = await sim.ws(f"{sim.addresses['binance.spot'].ws}/ws/btcusdt@aggTrade")
    assert (await client.wait_until_closed())[0] == 1001


async def test_shutdown_is_announced_raw_and_wrapped(exchange: Any) -> None:
    sim = await exchange()
    raw = await sim.ws(f"{sim.addresses['binance.spot'].ws}/ws/btcusdt@aggTrade")
    wrapped = await sim.ws(f"{sim.addresses['binance.spot'].ws}/stream?streams=btcusdt@aggTrade")
    await raw.receive()
    await wrapped.receive()
    sim.server.faults.shutdown = True
    assert (await raw.receive_until(lambda m: m["e"] == "serverShutdown")).keys() == {"e", "E"}
    assert (await wrapped.receive_until(lambda m: m["stream"] == "!serverShutdown"))["data"]["e"] == "serverShutdown"


async def test_futures_trades_are_buckets_and_forced_orders_a_sample(exchange: Any) -> None:
    sim = await exchange(speed=80.0, timer_speedup=8.0)
    sim.server.faults.cascade = -1
    client = await sim.ws(
        f"{sim.addresses['binance.market'].ws}/market/stream?streams=btcusdt@aggTrade/btcusdt@forceOrder"
    )
    trades, forced = list[Any](), list[Any]()
    while not any(t["f"] < t["l"] for t in trades) or len(forced) < 5:
        frame = await client.receive()
        (forced if "forceOrder" in frame["stream"] else trades).append(frame["data"])
    stamps = [order["o"]["T"] for order in forced]
    assert all(later - sooner >= 1_000 for sooner, later in itertools.pairwise(stamps))
    assert {order["o"]["S"] for order in forced[:3]} == {"SELL"}, "the cascade sells longs out"
    assert all({"st", "nq"} <= t.keys() for t in trades)


async def test_klines_close_once_a_minute(exchange: Any) -> None:
    sim = await exchange(speed=80.0, timer_speedup=8.0)
    client = await sim.ws(f"{sim.addresses['binance.spot'].ws}/stream?streams=btcusdt@kline_1m")
    candles: list[Any] = []
    while sum(k["x"] for k in candles) < 3:
        candles.append((await client.receive())["data"]["k"])
    closed = [k for k in candles if k["x"]]
    assert all(k["t"] % 60_000 == 0 and k["T"] - k["t"] == 59_999 for k in closed)
    # of minutes that last 0.75 s a busy machine may pass over one
    assert all(a["t"] < b["t"] for a, b in itertools.pairwise(closed))
    assert all(float(k["l"]) <= min(float(k["o"]), float(k["c"])) <= float(k["h"]) for k in candles)


async def test_1025_streams_are_refused(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.ws(f"{sim.addresses['binance.spot'].ws}/ws")
    await client.send_json({"method": "SUBSCRIBE", "params": [f"x{n}@aggTrade" for n in range(1_025)], "id": 1})
    assert (await client.receive())["code"] == 2


# ---- OKX -------------------------------------------------------------------------------------------------------------


async def test_the_481st_operation_of_an_hour_is_60014(exchange: Any) -> None:
    sim = await exchange(timer_speedup=1.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    await okx_subscribe(client, *[("trades", "BTC-USDT")] * 481)
    responses = [await client.receive_until(lambda m: "event" in m) for _ in range(481)]
    assert [a["event"] for a in responses] == ["subscribe"] * 480 + ["error"]
    assert responses[-1]["code"] == "60014"


async def test_a_notice_comes_a_minute_before_the_close(exchange: Any) -> None:
    sim = await exchange(timer_speedup=60.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    await okx_subscribe(client, ("books5", "BTC-USDT"))
    await next_push(client, "books5")
    sim.server.faults.shutdown = True
    notice = await client.receive_until(lambda m: m.get("event") == "notice")
    assert notice["code"] == "64008"
    with pytest.raises(ConnectionClosed):
        while True:
            await client.receive()
    assert client.ws.close_code == 1001


async def test_a_quiet_book_says_so_and_ids_may_fall(exchange: Any) -> None:
    sim = await exchange(timer_speedup=60.0, speed=4.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    await okx_subscribe(client, ("books", "BTC-USDT"), ("books5", "BTC-USDT-SWAP"))
    frame = await next_push(client, "books")
    book = sim.server.market.linear_markets("okx")["BTC-USDT"].book
    book.move_to = lambda mid: None  # nothing happens any more
    update: dict[str, Any] = {"seqId": 0, "prevSeqId": -1}
    while update["seqId"] != update["prevSeqId"]:
        update = (await next_push(client, "books"))["data"][0]
    assert (update["asks"], update["bids"], update["checksum"]) == ([], [], 0)
    sim.server.faults.reset_sequences = True
    reset_update = update
    while reset_update["seqId"] >= reset_update["prevSeqId"]:
        last, reset_update = reset_update["seqId"], (await next_push(client, "books"))["data"][0]
        assert reset_update["prevSeqId"] == last, "the link holds"
    assert frame["action"] == "snapshot"
