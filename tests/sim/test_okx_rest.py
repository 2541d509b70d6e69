"""OKX's REST routes and candle channels: field names, strings, order, and the simulated market's own values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.sim.test_okx import all_strings, next_push

pytestmark = pytest.mark.slow


class Rest:
    """The REST side of an exchange after some seconds of trading."""

    def __init__(self, sim: Any) -> None:
        self._sim = sim
        self.markets = sim.server.market.linear_markets("okx")

    async def get(self, endpoint: str, code: str = "0", **params: Any) -> Any:
        url = f"{self._sim.addresses['okx'].rest}/api/v5/{endpoint}"
        body = (await self._sim.get(url, **params)).json()
        assert body["code"] == code, body
        return body["data"]


@pytest.fixture
def rest(still_exchange: Any) -> Rest:
    return Rest(still_exchange)


async def test_instruments_of_every_type(rest: Rest) -> None:
    swaps = {row["instId"]: row for row in await rest.get("public/instruments", instType="SWAP")}
    assert (swaps["BTC-USDT-SWAP"]["settleCcy"], swaps["BTC-USD-SWAP"]["settleCcy"]) == ("USDT", "BTC")
    spot, _ = await rest.get("public/instruments", instType="SPOT")
    assert (spot["baseCcy"], spot["quoteCcy"], spot["uly"]) == ("BTC", "USDT", "")
    assert spot.keys() == swaps["BTC-USDT-SWAP"].keys()
    assert all_strings(spot, "instIdCode")
    assert float(spot["tickSz"]) == rest.markets["BTC-USDT"].spec.tick
    assert await rest.get("public/instruments", instType="FUTURES") == []
    assert await rest.get("public/instruments", instType="OPTION", uly="BTC-USD") == []
    assert await rest.get("public/instruments", "51000", instType="THINGS") == []
    assert await rest.get("public/instruments", "51001", instType="SWAP", instId="NOPE") == []
    assert await rest.get("public/underlying", instType="SWAP") == [["BTC-USD", "BTC-USDT", "SOL-USDT"]]
    assert await rest.get("public/underlying", instType="OPTION") == [[]]
    (inverse,) = await rest.get("market/tickers", instType="SWAP", uly="BTC-USD")
    assert inverse["instId"] == "BTC-USD-SWAP"


async def test_trades_are_those_of_the_tape_newest_first(rest: Rest) -> None:
    tape = list(rest.markets["BTC-USDT"].recent_trades)
    rows = await rest.get("market/trades", instId="BTC-USDT", limit=10)
    assert [row["tradeId"] for row in rows] == [str(t.trade_id) for t in tape[-1:-11:-1]]
    assert rows[0].keys() == {"instId", "tradeId", "px", "sz", "side", "ts", "source", "seqId"}
    assert all_strings(rows, "seqId")
    assert float(rows[0]["px"]) == pytest.approx(tape[-1].price)
    older = await rest.get("market/history-trades", instId="BTC-USDT", after=rows[4]["tradeId"], limit=3)
    assert older == rows[5:8]
    by_time = await rest.get("market/history-trades", instId="BTC-USDT", type=2, after=rows[0]["ts"], limit=1)
    assert int(by_time[0]["ts"]) < int(rows[0]["ts"])


@pytest.mark.parametrize("name", ["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"])
async def test_candles_are_sums_of_the_tape_newest_first(rest: Rest, name: str) -> None:
    market = rest.markets[name]
    rows = await rest.get("market/candles", instId=name)
    assert len(rows) == 100
    assert all(len(row) == 9 for row in rows)
    assert all_strings(rows)
    assert [int(a[0]) - int(b[0]) for a, b in pairwise(rows)] == [60_000] * 99
    assert [row[8] for row in rows[:3]] == ["0", "1", "1"]
    start = int(rows[1][0])
    minute = [t for t in market.recent_trades if start <= t.ts_ns // 1_000_000 < start + 60_000]
    coins, usd = sum(t.coins for t in minute), sum(t.coins * t.price for t in minute)
    assert [float(row) for row in rows[1][1:5]] == pytest.approx(
        [minute[0].price, max(t.price for t in minute), min(t.price for t in minute), minute[-1].price], abs=0.051
    )
    assert float(rows[1][7]) == pytest.approx(usd, abs=0.01)
    assert float(rows[1][6]) == pytest.approx(usd if name == "BTC-USDT" else coins, rel=1e-3)
    units = {"BTC-USDT": coins, "BTC-USDT-SWAP": 100.0 * coins, "BTC-USD-SWAP": usd / 100.0}
    assert float(rows[1][5]) == pytest.approx(units[name], rel=1e-2)
    page = await rest.get("market/history-candles", instId=name, after=rows[9][0], limit=5)
    assert page == rows[10:15]
    newer = await rest.get("market/candles", instId=name, before=rows[3][0])
    assert newer == rows[:3]
    (day, *_) = await rest.get("market/candles", instId=name, bar="1D", limit=2)
    (utc_day, *_) = await rest.get("market/candles", instId=name, bar="1Dutc", limit=2)
    assert (int(day[0]) % 86_400_000, int(utc_day[0]) % 86_400_000) == (57_600_000, 0), "days begin in Hong Kong"
    assert await rest.get("market/candles", "51000", instId=name, bar="7m") == []


async def test_prices_beside_the_books(rest: Rest) -> None:
    market = rest.markets["BTC-USDT-SWAP"]
    (limit,) = await rest.get("public/price-limit", instId="BTC-USDT-SWAP")
    assert float(limit["sellLmt"]) < market.mark < float(limit["buyLmt"])
    indices = {row["instId"]: row for row in await rest.get("market/index-tickers", quoteCcy="USDT")}
    assert indices.keys() == {"BTC-USDT", "SOL-USDT"}
    assert float(indices["BTC-USDT"]["idxPx"]) == pytest.approx(market.index, abs=0.1)
    assert len((await rest.get("market/books-full", instId="BTC-USDT", sz="5000"))[0]["bids"]) > 100
    assert await rest.get("system/status") == []


async def test_funding_newest_first_and_of_every_swap(rest: Rest) -> None:
    rows = await rest.get("public/funding-rate-history", instId="BTC-USDT-SWAP", limit=5)
    assert [int(a["fundingTime"]) - int(b["fundingTime"]) for a, b in pairwise(rows)] == [8 * 3_600_000] * 4
    assert all_strings(rows)
    assert rows[0].keys() >= {"instType", "instId", "fundingRate", "realizedRate", "fundingTime", "method"}
    older = await rest.get(
        "public/funding-rate-history", instId="BTC-USDT-SWAP", after=rows[1]["fundingTime"], limit=3
    )  # fmt: skip
    assert older == rows[2:5]
    swaps = {row["instId"] for row in await rest.get("public/funding-rate", instId="ANY")}
    assert swaps == {"BTC-USDT-SWAP", "BTC-USD-SWAP", "SOL-USDT-SWAP"}
    (mark,) = await rest.get("public/mark-price", instId="BTC-USDT-SWAP")
    assert float(mark["markPx"]) == pytest.approx(rest.markets["BTC-USDT-SWAP"].mark, abs=0.1)


async def test_candle_channels_are_on_the_business_path(exchange: Any) -> None:
    sim = await exchange(speed=60.0)
    arg = {"channel": "candle1m", "instId": "BTC-USDT"}
    public = await sim.ws(sim.addresses["okx"].ws)
    await public.send_json({"op": "subscribe", "args": [arg]})
    assert (await public.receive())["code"] == "60018"
    business = await sim.ws(sim.addresses["okx"].ws.replace("/public", "/business"))
    await business.send_json({"op": "subscribe", "args": [arg, {"channel": "trades", "instId": "BTC-USDT"}]})
    rows: dict[str, list[str]] = {}
    while not any(row[8] == "1" for row in rows.values()):
        frame = await next_push(business, "candle1m")
        for row in frame["data"]:
            rows[row[0]] = row
    starts = sorted(map(int, rows))
    assert [b - a for a, b in pairwise(starts)] == [60_000] * (len(starts) - 1)
    closed = next(row for row in rows.values() if row[8] == "1")
    rest = Rest(sim)
    assert closed in await rest.get("market/candles", instId="BTC-USDT")
