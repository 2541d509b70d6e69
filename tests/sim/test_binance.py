from __future__ import annotations

import itertools
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed


async def open_streams(sim: Any, *names: str, route: str = "spot") -> Any:
    base = sim.addresses["binance.spot"].ws if route == "spot" else f"{sim.addresses['binance.market'].ws}{route}"
    return await sim.ws(f"{base}/stream?streams={'/'.join(names)}")


async def test_combined_frames_are_wrapped_and_raw_ones_are_not(exchange: Any) -> None:
    sim = await exchange()
    client = await open_streams(sim, "btcusdt@bookTicker")
    frame = await client.receive()
    assert frame.keys() == {"stream", "data"}
    assert frame["data"].keys() == {"u", "s", "b", "B", "a", "A"}, "spot has no event type and no time"
    raw = await sim.ws(f"{sim.addresses['binance.spot'].ws}/ws/btcusdt@bookTicker")
    touch = await raw.receive()
    assert float(touch["b"]) < float(touch["a"])
    assert all(isinstance(touch[key], str) for key in "bBaA")


async def test_subscriptions_are_acked_listed_and_removed(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.ws(f"{sim.addresses['binance.spot'].ws}/ws")
    names = ["btcusdt@aggTrade", "nosuch@thing"]
    await client.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
    assert await client.receive() == {"result": None, "id": 1}
    await client.send_json({"method": "LIST_SUBSCRIPTIONS", "id": "x"})
    assert (await client.receive_until(lambda m: m.get("id") == "x"))["result"] == names
    await client.send_json({"method": "UNSUBSCRIBE", "params": names, "id": 3})
    await client.receive_until(lambda m: m.get("id") == 3)
    await client.send_json("{")
    assert (await client.receive_until(lambda m: "code" in m))["code"] == 3
    await client.send_json({"method": "EXPLODE", "id": 4})
    assert (await client.receive_until(lambda m: "code" in m))["code"] == 2


async def test_agg_trade_says_who_was_maker(exchange: Any) -> None:
    sim = await exchange(speed=20.0)
    client = await open_streams(sim, "btcusdt@aggTrade")
    trades = [(await client.receive())["data"] for _ in range(40)]
    assert {t["m"] for t in trades} == {True, False}
    assert [t["a"] for t in trades] == list(range(trades[0]["a"], trades[0]["a"] + 40))
    market = sim.server.market.linear_markets("binance-spot")["BTCUSDT"]
    known = {t.trade_id: t for t in market.recent_trades}
    assert all((known[t["a"]].side < 0) == t["m"] for t in trades), "m: the buyer was the maker, so the taker sold"
    assert all(float(t["q"]) == pytest.approx(known[t["a"]].coins) for t in trades)


@pytest.mark.slow
async def test_spot_diffs_join_a_rest_snapshot(exchange: Any) -> None:
    sim = await exchange()
    client = await open_streams(sim, "btcusdt@depth@100ms")
    events = [(await client.receive())["data"] for _ in range(2)]
    snapshot = (
        await sim.get(f"{sim.addresses['binance.spot'].rest}/api/v3/depth", symbol="BTCUSDT", limit=5_000)
    ).json()
    last = snapshot["lastUpdateId"]
    events += [(await client.receive())["data"] for _ in range(5)]
    assert all(b["U"] == a["u"] + 1 for a, b in itertools.pairwise(events))
    live_events = [e for e in events if e["u"] > last]
    assert live_events[0]["U"] <= last + 1 <= live_events[0]["u"]
    book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
    for event in live_events:
        for side, key in (("bids", "b"), ("asks", "a")):
            book[side].update(dict(event[key]))
            book[side] = {price: size for price, size in book[side].items() if float(size)}
    assert max(map(float, book["bids"])) < min(map(float, book["asks"]))
    ladder = sim.server.market.linear_markets("binance-spot")["BTCUSDT"].book
    assert (len(book["bids"]), len(book["asks"])) == (len(ladder.bids), len(ladder.asks))
    prices = [float(p) for p, _ in snapshot["bids"]]
    assert prices[-1] < 0.99 * prices[0], "the book must reach beyond one per cent"


async def test_futures_diffs_chain_by_pu(exchange: Any) -> None:
    sim = await exchange()
    client = await open_streams(sim, "btcusdt@depth@100ms", route="/public")
    events = [(await client.receive())["data"] for _ in range(6)]
    assert all(b["pu"] == a["u"] for a, b in itertools.pairwise(events))
    assert events[0].keys() >= {"e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a", "st"}
    rest = (
        await sim.get(f"{sim.addresses['binance.market'].rest}/fapi/v1/depth", symbol="BTCUSDT", limit=1_000)
    ).json()
    assert rest.keys() == {"lastUpdateId", "E", "T", "bids", "asks"}
    window = (await (await open_streams(sim, "btcusdt@depth20@100ms", route="/public")).receive())["data"]
    assert (len(window["b"]), len(window["a"])) == (20, 20)
    spot = (await (await open_streams(sim, "btcusdt@depth20@100ms")).receive())["data"]
    assert spot.keys() == {"lastUpdateId", "bids", "asks"}


@pytest.mark.parametrize(
    ("route", "received"),
    [
        ("/market", {"btcusdt@aggTrade", "btcusdt@markPrice@1s"}),
        ("/public", {"btcusdt@bookTicker"}),
        ("", {"btcusdt@bookTicker"}),
    ],
)
async def test_a_stream_on_the_wrong_route_is_acked_and_silent(exchange: Any, route: str, received: set[str]) -> None:
    sim = await exchange(timer_speedup=10.0, speed=8.0)
    client = await sim.ws(f"{sim.addresses['binance.market'].ws}{route}/stream")
    names = ["btcusdt@aggTrade", "btcusdt@markPrice@1s", "btcusdt@bookTicker"]
    await client.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
    assert await client.receive() == {"result": None, "id": 1}
    assert {(await client.receive())["stream"] for _ in range(50)} == received


@pytest.mark.slow
async def test_marks_tickers_and_liquidations(exchange: Any) -> None:
    sim = await exchange(speed=80.0)
    client = await open_streams(sim, "btcusdt@markPrice@1s", "btcusdt@ticker", "btcusdt@forceOrder", route="/market")
    mark = (await client.receive_until(lambda m: m["stream"].endswith("@1s")))["data"]
    assert abs(float(mark["r"])) < 0.01
    assert mark["T"] % (8 * 3_600_000) == 0
    forced = (await client.receive_until(lambda m: m["stream"].endswith("forceOrder")))["data"]["o"]
    assert forced["S"] in {"BUY", "SELL"}
    assert float(forced["z"]) * float(forced["ap"]) > 10.0
    ticker = (await client.receive_until(lambda m: m["stream"].endswith("@ticker")))["data"]
    assert float(ticker["q"]) > 10e9, "a day's turnover of the BTC perpetual"
    assert "b" not in ticker


@pytest.mark.slow
async def test_rest_numbers_are_strings(exchange: Any) -> None:
    sim = await exchange()
    spot, futures = sim.addresses["binance.spot"].rest, sim.addresses["binance.market"].rest
    day = (await sim.get(f"{spot}/api/v3/ticker/24hr", symbol="BTCUSDT")).json()
    assert float(day["quoteVolume"]) > 1e9
    assert isinstance(day["lastPrice"], str)
    assert float((await sim.get(f"{futures}/fapi/v1/ticker/24hr", symbol="BTCUSDT")).json()["quoteVolume"]) > 10e9
    interest = (await sim.get(f"{futures}/fapi/v1/openInterest", symbol="BTCUSDT")).json()
    assert 10_000 < float(interest["openInterest"]) < 1_000_000
    premium = (await sim.get(f"{futures}/fapi/v1/premiumIndex", symbol="BTCUSDT")).json()
    assert float(premium["markPrice"]) == pytest.approx(float(premium["indexPrice"]), rel=2e-3)
    bad_response = await sim.get(f"{spot}/api/v3/depth", symbol="NOPE")
    assert (bad_response.status_code, bad_response.json()["code"]) == (400, -1121)
    assert (await sim.get(f"{spot}/fapi/v1/depth", symbol="BTCUSDT")).status_code == 404


async def test_funding_periods_are_told_where_they_are_not_eight_hours(exchange: Any) -> None:
    sim = await exchange(currencies=("BTC", "SOL"))
    futures = sim.addresses["binance.market"].rest
    (info,) = (await sim.get(f"{futures}/fapi/v1/fundingInfo")).json()
    assert (info["symbol"], info["fundingIntervalHours"]) == ("SOLUSDT", 4)
    next_funding_ms = (await sim.get(f"{futures}/fapi/v1/premiumIndex", symbol="SOLUSDT")).json()["nextFundingTime"]
    assert next_funding_ms % (4 * 3_600_000) == 0
    assert (await sim.get(f"{sim.addresses['binance.spot'].rest}/api/v3/fundingInfo")).status_code == 404


async def test_too_many_messages_are_1008(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.ws(f"{sim.addresses['binance.spot'].ws}/ws")
    with pytest.raises(ConnectionClosed):
        for n in range(50):
            await client.send_json({"method": "LIST_SUBSCRIPTIONS", "id": n})
            await client.receive()
    assert (await client.wait_until_closed())[0] == 1008


async def test_spot_pings_with_protocol_frames(exchange: Any) -> None:
    sim = await exchange()
    assert (sim.server.venue("binance.spot").ping_interval, sim.server.venue("binance.market").ping_interval) == (
        20.0,
        180.0,
    )
