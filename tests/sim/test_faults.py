"""The fault switches: what each of them does, in process and through the child's stdin."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx
import msgspec
import pytest

from dfmon.sim.faults import CloseConnection, Faults


async def subscribed_client(sim: Any, *channels: str) -> Any:
    client = await sim.deribit()
    await client.call("public/subscribe", channels=list(channels))
    return client


@pytest.mark.slow
async def test_a_lost_print_is_a_gap_that_rest_can_fill(exchange: Any) -> None:
    sim = await exchange(speed=80.0, faults=Faults(lose_prints=1))
    client = await subscribed_client(sim, "trades.option.BTC.100ms")
    trade_log = sim.btc.trade_log
    first = len(trade_log.trades)
    received: set[str] = set()
    while len(received) < 20:
        received |= {t["trade_id"] for t in await client.channel("trades.option.BTC.100ms")}
    assert sim.server.faults.lose_prints == 0
    missing = [
        t for t in trade_log.trades[first - 20 :] if str(t.number) not in received and t.number < int(max(received))
    ]
    lost = missing[-1]
    page = await sim.result(
        "get_last_trades_by_instrument", instrument_name=lost.name, start_seq=lost.seq, end_seq=lost.seq
    )
    assert [t["trade_id"] for t in page["trades"]] == [str(lost.number)]


async def test_a_lost_change_breaks_the_chain_of_every_venue(exchange: Any) -> None:
    sim = await exchange()
    deribit = await subscribed_client(sim, "book.BTC-PERPETUAL.100ms")
    last = (await deribit.channel("book.BTC-PERPETUAL.100ms"))["change_id"]
    futures = await sim.ws(f"{sim.addresses['binance.market'].ws}/public/stream?streams=btcusdt@depth@100ms")
    u = (await futures.receive())["data"]["u"]
    sim.server.faults.lose_books = 5
    while (frame := await deribit.channel("book.BTC-PERPETUAL.100ms"))["prev_change_id"] == last:
        last = frame["change_id"]
    assert frame["prev_change_id"] > last
    while (event := (await futures.receive())["data"])["pu"] == u:
        u = event["u"]
    assert event["pu"] > u


async def test_a_muted_channel_is_silent_while_heartbeats_go_on(exchange: Any) -> None:
    sim = await exchange(timer_speedup=25.0, faults=Faults(mute=("trades.", "deribit_price_index")))
    client = await subscribed_client(sim, "deribit_price_index.btc_usd", "platform_state")
    await client.call("public/set_heartbeat", interval=10)
    received: list[dict[str, Any]] = []
    while {"method": "heartbeat"}.items() - (received[-1].items() if received else set()):
        frame = await client.receive()
        received.append({"method": frame.get("method")})
        assert frame.get("params", {}).get("channel") != "deribit_price_index.btc_usd"
    sim.server.faults.mute = ()
    await client.channel("deribit_price_index.btc_usd")


async def test_refused_channels_are_left_out_without_a_word(exchange: Any) -> None:
    sim = await exchange(faults=Faults(refuse=("markprice",)))
    client = await sim.deribit()
    wanted = ["markprice.options.btc_usd", "platform_state"]
    assert (await client.call("public/subscribe", channels=wanted))["result"] == ["platform_state"]


async def test_maintenance_is_announced_refuses_and_drops(exchange: Any) -> None:
    sim = await exchange()
    client = await subscribed_client(sim, "platform_state")
    sim.server.faults.maintenance = True
    await client.receive_until(lambda m: m.get("params", {}).get("data") == {"maintenance": True})
    assert (await client.call("public/ticker", instrument_name="BTC-PERPETUAL"))["error"]["code"] == 11051
    assert "version" in (await client.call("public/test"))["result"]
    rest = await sim.get(f"{sim.addresses['deribit'].rest}/public/get_instruments", currency="BTC")
    assert (rest.status_code, rest.json()["error"]["code"]) == (400, 11051)
    sim.server.faults.maintenance = False
    assert (await client.wait_until_closed())[0] == 1006
    await sim.result("get_instruments", currency="BTC", kind="option")


@pytest.mark.slow
async def test_quotes_are_pulled_in_masses(exchange: Any) -> None:
    sim = await exchange()

    async def unbid_share() -> float:
        rows = await sim.result("get_book_summary_by_currency", currency="BTC", kind="option")
        return sum(not row["bid_price"] for row in rows) / len(rows)

    before = await unbid_share()
    sim.server.faults.pull_quotes = True
    client = await subscribed_client(sim, "deribit_price_index.btc_usd")
    while await unbid_share() < before + 0.15:
        await client.channel("deribit_price_index.btc_usd")
    assert not sim.server.faults.pull_quotes, "a blow clears itself"


async def test_a_roll_and_a_new_strike_on_demand(exchange: Any) -> None:
    sim = await exchange()
    client = await subscribed_client(sim, "instrument.state.option.BTC", "instrument.creation.option.BTC")
    front = sim.btc.board.slices[0].expiry.label
    sim.server.faults.roll = True
    state = await client.channel("instrument.state.option.BTC")
    assert (state["state"], state["instrument_name"].split("-")[1]) == ("settlement", front)
    assert front not in {s.expiry.label for s in sim.btc.board.slices}
    count = len(sim.btc.board.names)
    sim.server.faults.list_strike = True
    created = await client.channel("instrument.creation.option.BTC")
    assert created["instrument_name"] in sim.btc.board.rows
    assert len(sim.btc.board.names) == count + 2


@pytest.mark.slow
async def test_a_cascade_liquidates_one_way_and_moves_the_price(exchange: Any) -> None:
    sim = await exchange(speed=40.0)
    client = await sim.ws(sim.addresses["okx"].ws)
    await client.send_json({"op": "subscribe", "args": [{"channel": "liquidation-orders", "instType": "SWAP"}]})
    before = sim.btc.path.price
    sim.server.faults.cascade = -1
    sides: list[str] = []
    while len(sides) < 25:
        frame = await client.receive_until(lambda m: "data" in m)
        sides += [detail["side"] for row in frame["data"] for detail in row["details"]]
    assert sides.count("sell") >= 24
    assert sim.btc.path.price < before


@pytest.mark.parametrize("code", [1001, 4000, 1006])
async def test_connections_are_closed_as_asked(exchange: Any, code: int) -> None:
    sim = await exchange()
    clients = [
        await sim.deribit(),
        await sim.ws(f"{sim.addresses['binance.spot'].ws}/ws"),
        await sim.ws(sim.addresses["okx"].ws),
    ]
    sim.server.faults.close = CloseConnection(code, "because")
    assert {(await client.wait_until_closed())[0] for client in clients} == {code}


@pytest.mark.slow
async def test_rest_answers_late_and_with_errors(exchange: Any) -> None:
    sim = await exchange()
    sim.server.faults.rest_status, sim.server.faults.rest_retry_s = 503, 7.0
    for url in (
        f"{sim.addresses['deribit'].rest}/public/get_time",
        f"{sim.addresses['binance.spot'].rest}/api/v3/time",
    ):
        response = await sim.get(url)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
        assert response.text.startswith("<html>")
    assert (await sim.get(f"{sim.addresses['okx'].rest}/api/v5/public/time")).json()["code"] == "50001"
    sim.server.faults.rest_status = 429
    assert (await sim.get(f"{sim.addresses['okx'].rest}/api/v5/public/time")).json()["code"] == "50011"
    sim.server.faults.rest_status, sim.server.faults.rest_delay_s = 0, 1.0
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=0.2) as impatient_client:
        with pytest.raises(httpx.ReadTimeout):
            await impatient_client.get(f"{sim.addresses['deribit'].rest}/public/get_time")


async def test_the_exchanges_clock_can_be_wrong(exchange: Any) -> None:
    sim = await exchange(faults=Faults(skew_s=3.0), speed=1.0)
    right = sim.server.clock() - 3_000_000_000
    time_ms = await sim.result("get_time")
    assert time_ms - right / 1e6 == pytest.approx(3_000, abs=500)


def test_frozen_market_time_stands_still_while_books_speak(noon: int) -> None:
    from dfmon.sim.market.simulated_market import SimulatedMarket

    market = SimulatedMarket(7, noon, ("BTC",), 0.01)
    book = market.linear_markets("okx")["BTC-USDT"].book
    before, touch = book.version, (book.bid, dict(book.bids))
    market.refresh_books()
    assert market.now_ns == noon
    assert book.version == before + 1
    assert (book.bid, book.bids) == touch


def test_fields_are_set_from_a_line_and_nothing_else_is() -> None:
    faults = Faults(lose_prints=3)
    faults.apply_json(b'{"mute": ["trades."], "close": {"code": 1001}}')
    assert (faults.mute, faults.close, faults.lose_prints) == (("trades.",), CloseConnection(1001), 3)
    for payload in (b"{", b'{"mut": 1}', b'{"mute": 3}', b"[]"):
        with pytest.raises(msgspec.DecodeError):
            faults.apply_json(payload)
    assert faults.is_muted("trades.option.BTC.100ms")
    assert not faults.is_muted("book.X")
    one_shots = faults.pop_one_shots()
    assert one_shots.close == CloseConnection(1001)
    assert faults.close is None
    assert faults.mute == ("trades.",), "switches stay"


@pytest.mark.slow
def test_a_child_obeys_the_lines_of_its_parent() -> None:
    command = (
        "import sys; from dfmon.sim.child import run_child; from dfmon.sim.server import SimConfig;"
        "sys.exit(run_child(SimConfig(currencies=('BTC',), history=0.01)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        rest = json.loads(child.stdout.readline())["deribit"]["rest"]
        child.stdin.write(b'{"nonsense": 1}\n{"rest_status": 503}\n')
        child.stdin.flush()
        assert b"nonsense" in child.stderr.readline()
        assert httpx.get(f"{rest}/public/get_time", trust_env=False, verify=False).status_code == 503
        child.stdin.close()
        assert child.wait(60) == 0
