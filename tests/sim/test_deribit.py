from __future__ import annotations

from typing import Any

import pytest

from dfmon.sim.deribit.trades import block_rfq_record
from dfmon.sim.market.flow import Leg, Order
from dfmon.sim.transport import QUEUE_BYTES
from tests.sim.conftest import ManualClock

STAMPS = {"usIn", "usOut", "usDiff", "testnet"}


async def subscribe(client: Any, *channels: str) -> list[str]:
    accepted: list[str] = (await client.call("public/subscribe", channels=list(channels)))["result"]
    return accepted


async def test_replies_are_stamped_and_notifications_are_not(exchange: Any) -> None:
    client = await (await exchange()).deribit()
    reply = await client.call("public/get_time")
    assert reply.keys() >= STAMPS
    assert reply["usDiff"] == reply["usOut"] - reply["usIn"]
    assert reply["usIn"] - 1_000 < reply["result"] * 1_000 <= reply["usOut"]
    await subscribe(client, "deribit_price_index.btc_usd")
    frame = await client.receive_until(lambda m: "params" in m)
    assert frame.keys() == {"jsonrpc", "method", "params"}
    for method in ("public/hello", "public/test"):
        assert "version" in (await client.call(method))["result"]
    assert (await client.call("public/status"))["result"]["locked"] == "false"


async def test_unknown_channels_are_dropped_and_acks_come_in_another_order(exchange: Any) -> None:
    client = await (await exchange()).deribit()
    good = ["platform_state", "deribit_price_index.btc_usd", "trades.option.USDC.100ms", "trades.option.BTC.100ms"]
    accepted = await subscribe(client, good[0], "trades.option.DOGE.100ms", *good[1:], "nonsense", "ticker.BTC-1.agg2")
    assert accepted != good
    assert sorted(accepted) == sorted(good)
    assert await subscribe(client, "nonsense") == []


async def test_every_documented_channel_is_accepted(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.deribit()
    option, future = sim.btc.board.names[0], next(iter(sim.btc.futures.values())).spec.symbol
    wanted = [
        f"trades.{option}.100ms", f"trades.{future}.agg2", "trades.option.BTC.agg2", "trades.option.any.100ms",
        "markprice.options.btc_usd", "deribit_volatility_index.btc_usd", "estimated_expiration_price.btc_usd",
        f"incremental_ticker.{option}", f"ticker.{future}.100ms", f"ticker.{option}.agg2", f"quote.{future}",
        f"quote.{option}", "book.BTC-PERPETUAL.none.10.100ms", f"book.{future}.100ms", "block_rfq.trades.BTC",
        "instrument.creation.option.BTC", "instrument.state.option.any", "platform_state.public_methods_state",
    ]  # fmt: skip
    assert set(await subscribe(client, *wanted)) == set(wanted)


async def test_a_second_subscription_brings_no_second_snapshot(exchange: Any) -> None:
    client = await (await exchange()).deribit()
    channel = "markprice.options.btc_usd"
    await subscribe(client, channel)
    full = await client.channel(channel)
    assert await subscribe(client, channel) == [channel]
    assert len(await client.channel(channel)) < len(full)
    assert (await client.call("public/unsubscribe", channels=[channel]))["result"] == [channel]
    await subscribe(client, channel)
    assert len(await client.channel(channel)) == len(full)
    assert (await client.call("public/unsubscribe_all"))["result"] == "ok"


async def test_errors_are_deribits(exchange: Any) -> None:
    client = await (await exchange()).deribit()
    raw = await client.call("public/subscribe", channels=["platform_state", "trades.option.BTC.raw"])
    assert (raw["error"]["code"], raw["id"]) == (13778, 77)
    assert (await client.call("public/get_funding_rate"))["error"]["code"] == -32601
    assert (await client.call("private/subscribe", channels=[]))["error"]["code"] == 13009
    missing = await client.call("public/ticker", instrument_name="BTC-1JAN20-1-C")
    assert missing["error"] == {
        "code": -32602,
        "message": "Invalid params",
        "data": {"reason": "instrument not found", "param": "instrument_name"},
    }
    await client.send_json("{nonsense")
    broken = await client.receive()
    assert (broken["error"]["code"], broken["error"]["data"]) == (11050, "invalid json")
    assert "id" not in broken
    await client.send_json({"jsonrpc": "2.0", "id": 1, "method": "public/test", "params": {"x": "y" * 33_000}})
    large = await client.receive()
    assert large["error"] == {"code": -32600, "message": "Request entity too large"}


async def test_too_many_requests_end_the_session(exchange: Any) -> None:
    client = await (await exchange()).deribit()
    for n in range(130):
        await client.send_json({"jsonrpc": "2.0", "id": n, "method": "public/test", "params": {}})
    await client.wait_until_closed()
    assert client.ws.close_code == 1008


@pytest.mark.slow
async def test_heartbeat_asks_and_an_answer_keeps_the_session(exchange: Any) -> None:
    client = await (await exchange(timer_speedup=25.0)).deribit()
    refused = await client.call("public/set_heartbeat", interval=5)
    assert refused["error"]["code"] == -32602
    assert (await client.call("public/set_heartbeat", interval=10))["result"] == "ok"
    for _ in range(2):
        heartbeat = await client.receive_until(lambda m: m.get("method") == "heartbeat")
        assert heartbeat == {"params": {"type": "test_request"}, "method": "heartbeat", "jsonrpc": "2.0"}
        await client.call("public/test")
    assert await client.wait_until_closed() == (4000, "heartbeat close")


async def test_an_idle_session_is_dropped_without_a_word(exchange: Any) -> None:
    client = await (await exchange(timer_speedup=120.0)).deribit()
    assert (await client.wait_until_closed())[0] == 1006


async def test_a_client_that_does_not_read_is_closed(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.deribit()
    await client.call("public/test")
    (session,) = sim.server.venue("deribit").sessions
    for _ in range(3):
        session.send(b'"' + b"x" * (QUEUE_BYTES // 2) + b'"')
    assert (await client.wait_until_closed())[0] == 1008


async def test_markprice_iv_is_a_fraction_and_changes_are_rows(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.deribit()
    await subscribe(client, "markprice.options.btc_usd")
    chain = await client.channel("markprice.options.btc_usd")
    assert {row["instrument_name"] for row in chain} == set(sim.btc.board.names)
    assert all(0.1 < row["iv"] < 5.0 for row in chain)
    known = {row["instrument_name"]: (row["iv"], row["mark_price"]) for row in chain}
    changed = await client.channel("markprice.options.btc_usd")
    assert all(known[row["instrument_name"]] != (row["iv"], row["mark_price"]) for row in changed)


async def test_incremental_ticker_is_a_snapshot_then_changes(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.deribit()
    channel = "incremental_ticker.BTC-PERPETUAL"
    await subscribe(client, channel)
    merged = await client.channel(channel)
    assert merged["type"] == "snapshot"
    assert merged["open_interest"] > 1e8, "an inverse perpetual counts USD"
    for _ in range(2):
        change = await client.channel(channel)
        assert change["type"] == "change"
        assert {"instrument_name", "timestamp"} <= change.keys()
        assert len(change) < len(merged)
        merged |= change
    assert merged.keys() == {"type", *(await sim.result("ticker", instrument_name="BTC-PERPETUAL"))}


async def test_book_changes_chain_and_rebuild_the_book(exchange: Any) -> None:
    sim = await exchange()
    client = await sim.deribit()
    channel = "book.BTC-PERPETUAL.100ms"
    await subscribe(client, channel)
    frame = await client.channel(channel)
    assert frame["type"] == "snapshot"
    sides = {side: {price: size for _, price, size in frame[side]} for side in ("bids", "asks")}
    second_client = await sim.deribit()
    for n in range(15):
        if n == 5:  # a second listener must not break the first one's chain
            await subscribe(second_client, channel)
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
    second_frame = await second_client.channel(channel)
    while second_frame["type"] == "snapshot" or second_frame["change_id"] < frame["change_id"]:
        second_frame = await second_client.channel(channel)
    book = sim.btc.perpetual.book
    assert len(sides["bids"]) == len(book.bids)
    assert len(sides["asks"]) == len(book.asks)


@pytest.mark.slow
async def test_trades_are_legs_with_sequences(exchange: Any) -> None:
    sim = await exchange(speed=60.0, currencies=("BTC", "ETH"))
    before = {
        n: len(c.trade_log.instrument_trades(n)) for c in sim.server.market.currencies.values() for n in c.board.names
    }
    client = await sim.deribit()
    await subscribe(client, "trades.option.BTC.100ms", "trades.option.ETH.100ms", "block_rfq.trades.any")
    prints: list[Any] = []
    while not (any("combo_id" in t for t in prints) and any("block_trade_id" in t for t in prints)):
        frame = await client.receive_until(lambda m: m.get("params", {}).get("channel", "").startswith("trades."))
        prints += frame["params"]["data"]
    seen: dict[str, int] = {}
    for t in prints:
        name = t["instrument_name"]
        assert t["trade_seq"] == seen.get(name, t["trade_seq"] - 1) + 1
        assert t["trade_seq"] > before[name]
        seen[name] = t["trade_seq"]
        assert t["trade_id"].startswith("ETH-") == name.startswith("ETH-")
        assert t["direction"] in {"buy", "sell"}
        assert t["iv"] > 1.0
        assert "liquidation" not in t
        if "combo_id" in t:
            assert t["combo_id"].split("-")[1] in {"CS", "PS", "STRD"}
        if "block_trade_id" in t:
            assert t["block_trade_leg_count"] in {1, 2}
    combos = [t for t in prints if "combo_id" in t]
    assert len(combos) == 2 * len({t["combo_trade_id"] for t in combos})


@pytest.mark.slow
async def test_instruments_and_summaries_agree(exchange: Any) -> None:
    sim = await exchange()
    options = await sim.result("get_instruments", currency="BTC", kind="option")
    futures = await sim.result("get_instruments", currency="BTC", kind="future")
    assert await sim.result("get_instruments", currency="USDC", kind="option") == []
    rows = await sim.result("get_book_summary_by_currency", currency="BTC", kind="option")
    assert {r["instrument_name"] for r in rows} == {o["instrument_name"] for o in options}
    assert all(o["tick_size_steps"] == [{"above_price": 0.005, "tick_size": 0.0005}] for o in options)
    assert any(r["bid_price"] is None for r in rows)
    assert not {"greeks", "bid_iv", "ask_iv"} & rows[0].keys()
    names = {f["instrument_name"] for f in futures}
    forms = {r["underlying_index"] for r in rows}
    assert "index_price" in forms
    assert any(f.startswith("SYN.BTC-") for f in forms)
    assert forms & names
    assert (
        next(f for f in futures if f["settlement_period"] == "perpetual")["expiration_timestamp"] == 32_503_708_800_000
    )
    summary = await sim.result("get_book_summary_by_currency", currency="BTC", kind="future")
    assert {r["instrument_name"] for r in summary} == names


@pytest.mark.slow
async def test_tickers_round_as_deribit_does(exchange: Any) -> None:
    sim = await exchange()
    for name in sim.btc.board.names[::40]:
        ticker = await sim.result("ticker", instrument_name=name)
        assert all(round(value, 5) == value for value in ticker["greeks"].values())
        assert round(ticker["mark_iv"], 2) == ticker["mark_iv"]
        assert round(ticker["mark_price"], 4) == ticker["mark_price"]
    board = sim.btc.board
    unbid = board.names[int((board.bid != board.bid).nonzero()[0][0])]
    ticker = await sim.result("ticker", instrument_name=unbid)
    assert (ticker["best_bid_price"], ticker["best_bid_amount"], ticker["bid_iv"]) == (0.0, 0.0, 0.0)


@pytest.mark.slow
async def test_trade_pages_cover_the_tape_once(exchange: Any) -> None:
    sim = await exchange()
    trade_log = sim.btc.trade_log
    ids: list[str] = []
    start, end, has_more = trade_log.trades[0].ts_ms, trade_log.trades[-1].ts_ms, True
    while has_more:
        page = await sim.result(
            "get_last_trades_by_currency_and_time",
            currency="BTC", kind="option", start_timestamp=start, end_timestamp=end, count=1_000, sorting="asc",
        )  # fmt: skip
        ids += [t["trade_id"] for t in page["trades"]]
        start, has_more = page["trades"][-1]["timestamp"], page["has_more"]
    assert list(dict.fromkeys(ids)) == [str(t.number) for t in trade_log.trades if t.ts_ms <= end]
    name = max(sim.btc.board.names, key=lambda n: len(trade_log.instrument_trades(n)))
    trade_page = await sim.result(
        "get_last_trades_by_instrument", instrument_name=name, start_seq=3, end_seq=9, count=5
    )
    assert [t["trade_seq"] for t in trade_page["trades"]] == [3, 4, 5, 6, 7]
    assert trade_page["has_more"]
    newest = await sim.result("get_last_trades_by_currency", currency="BTC", kind="option")
    stamps = [t["timestamp"] for t in newest["trades"]]
    assert len(stamps) == 10
    assert stamps == sorted(stamps, reverse=True)
    by_start_id = await sim.result("get_last_trades_by_currency", currency="BTC", start_id=ids[4], count=2)
    assert [t["trade_id"] for t in by_start_id["trades"]] == ids[4:6]


@pytest.mark.slow
async def test_rest_errors_are_status_400(exchange: Any) -> None:
    sim = await exchange()
    base = f"{sim.addresses['deribit'].rest}/public"
    unknown = await sim.get(f"{base}/get_funding_rate")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, -32601)
    assert (await sim.get(f"{base}/set_heartbeat")).json()["error"]["code"] == 10030
    assert (await sim.get(f"{base}/get_instruments", currency="XXX")).json()["error"]["data"]["param"] == "currency"
    assert (await sim.get(f"{base}/get_order_book", instrument_name="BTC-PERPETUAL", depth="x")).status_code == 400
    index = await sim.result("get_index_price", index_name="btc_usd")
    assert index["index_price"] == pytest.approx(82_000.0, rel=0.02)
    prices = await sim.result("get_delivery_prices", index_name="btc_usd", count=3)
    assert [row["date"] for row in prices["data"]] == ["2026-11-22", "2026-11-21", "2026-11-20"]
    book = await sim.result("get_order_book", instrument_name="BTC-PERPETUAL", depth=1_000)
    assert book["bids"][-1][0] < 0.99 * book["bids"][0][0]


@pytest.mark.slow
async def test_eight_oclock_delivers_old_series_and_creates_new_ones(exchange: Any, before_delivery: int) -> None:
    clock = ManualClock()
    sim = await exchange(start_ns=before_delivery, speed=1.0, clock=clock)
    client = await sim.deribit()
    old = sim.btc.board.names[0]
    await subscribe(
        client, "instrument.state.option.BTC", "instrument.creation.option.BTC", "estimated_expiration_price.btc_usd"
    )
    estimate = await client.channel("estimated_expiration_price.btc_usd")
    assert estimate["total_ticks"] == 1_800
    clock.advance(6.5)
    states = [await client.channel("instrument.state.option.BTC") for _ in range(3)]
    assert {s["state"] for s in states} == {"settlement"}
    delivered = await client.receive_until(lambda m: m.get("params", {}).get("data", {}).get("state") == "delivered")
    assert delivered["params"]["data"]["instrument_name"].startswith(old.rsplit("-", 2)[0])
    refused = await client.call("public/ticker", instrument_name=old)
    assert refused["error"] == {"code": 10041, "message": "settlement_in_progress"}
    clock.advance(2.0)
    listed_names = {c["instrument_name"] for c in await sim.result("get_instruments", currency="BTC", kind="option")}
    assert any("-28NOV26-" in name for name in listed_names)
    assert old not in listed_names
    gone = await client.call("public/ticker", instrument_name=old)
    assert gone["error"]["data"]["reason"] == "instrument not found"
    expired = await sim.result("get_instruments", currency="BTC", kind="option", expired="true")
    assert old in {c["instrument_name"] for c in expired}


async def test_new_series_are_announced_with_their_record(exchange: Any, before_delivery: int) -> None:
    clock = ManualClock()
    sim = await exchange(start_ns=before_delivery, speed=1.0, clock=clock)
    client = await sim.deribit()
    await subscribe(client, "instrument.creation.option.BTC")
    clock.advance(10.0)
    record = await client.channel("instrument.creation.option.BTC")
    listed = await sim.result("get_instruments", currency="BTC", kind="option")
    assert record in listed


@pytest.mark.slow
def test_a_block_request_describes_the_structure(aged_market: Any) -> None:
    btc = aged_market.currencies["BTC"]
    order = Order((Leg(0, -1, 50.0, False, False), Leg(2, 1, 50.0, False, False)), -1, "CS", block=True, rfq=True)
    trades = [t for t in btc.trade_log.trades if t.rfq and t.legs == 2 and t.side < 0][:1]
    trades.append(next(t for t in btc.trade_log.trades if t.rfq == trades[0].rfq and t is not trades[0]))
    record = block_rfq_record(order, trades)
    assert record["direction"] == "sell"
    assert record["legs"][0]["direction"] == "buy", "the structure's own side, not the taker's"


@pytest.mark.slow
async def test_the_volatility_index_has_candles_for_those_who_ask_well(exchange: Any) -> None:
    sim = await exchange(currencies=("BTC", "SOL"))
    now_ms = sim.server.clock() // 1_000_000
    params = {
        "currency": "BTC",
        "start_timestamp": now_ms - 300_000,
        "end_timestamp": now_ms + 60_000,
        "resolution": 60,
    }
    candles = await sim.result("get_volatility_index_data", **params)
    ((begun, *values),) = candles["data"]
    assert begun % 60_000 == 0
    assert all(10.0 < value < 300.0 for value in values)
    assert candles["continuation"] is None
    for bad_params in ({"currency": "SOL"}, {"resolution": 61}, {"end_timestamp": ""}):
        refused = (
            await sim.get(f"{sim.addresses['deribit'].rest}/public/get_volatility_index_data", **params | bad_params)
        ).json()
        assert refused["error"]["code"] == -32602
