"""Binance's REST routes: the venue's field names and types, and the simulated market's own values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SPOT, FUTURES = "/api/v3", "/fapi/v1"
KLINE_TYPES = [int, str, str, str, str, str, int, str, int, str, str, str]


class Rest:
    """Both products of one exchange, after some seconds of trading."""

    def __init__(self, sim: Any) -> None:
        self._sim = sim
        self.markets = {
            path: sim.server.market.linear_markets(f"binance-{product}")["BTCUSDT"]
            for path, product in ((SPOT, "spot"), (FUTURES, "futures"))
        }

    async def get(self, path: str, expected_status: int = 200, **params: Any) -> Any:
        source = "binance.spot" if path.startswith("/api") else "binance.market"
        response = await self._sim.get(self._sim.addresses[source].rest + path, **params)
        assert response.status_code == expected_status, response.text
        return response.json()


@pytest.fixture
def rest(still_exchange: Any) -> Rest:
    return Rest(still_exchange)


async def test_exchange_info_lists_the_markets_with_their_grids(rest: Rest) -> None:
    for path, name in ((SPOT, "binance-spot"), (FUTURES, "binance-futures")):
        market = rest.markets[path]
        info = await rest.get(f"{path}/exchangeInfo")
        assert info["timezone"] == "UTC"
        assert {limit["rateLimitType"] for limit in info["rateLimits"]} >= {"REQUEST_WEIGHT", "ORDERS"}
        row, other = info["symbols"]
        assert (await rest.get(f"{path}/exchangeInfo", symbol="SOLUSDT"))["symbols"] == [other]
        assert (row["symbol"], row["status"], row["baseAsset"], row["quoteAsset"]) == (
            "BTCUSDT", "TRADING", "BTC", "USDT",
        ), name  # fmt: skip
        filters = {f["filterType"]: f for f in row["filters"]}
        assert float(filters["PRICE_FILTER"]["tickSize"]) == market.spec.tick
        assert float(filters["LOT_SIZE"]["stepSize"]) == 10.0**-market.spec.lot_digits
        assert row["filters"][0]["filterType"] == "PRICE_FILTER", "clients read the first"
    assert (row["contractType"], row["deliveryDate"], row["marginAsset"]) == ("PERPETUAL", 4_133_404_800_000, "USDT")
    assert (await rest.get("/dapi/v1/exchangeInfo"))["symbols"] == []
    assert (await rest.get(f"{SPOT}/exchangeInfo", 400, symbol="NOPE"))["code"] == -1121


async def test_ping_and_time(rest: Rest) -> None:
    for path in (SPOT, FUTURES, "/dapi/v1"):
        assert await rest.get(f"{path}/ping") == {}
        assert (await rest.get(f"{path}/time")).keys() == {"serverTime"}


@pytest.mark.parametrize("path", [SPOT, FUTURES])
async def test_trades_are_those_of_the_tape(rest: Rest, path: str) -> None:
    tape = list(rest.markets[path].recent_trades)
    rows = await rest.get(f"{path}/trades", symbol="BTCUSDT", limit=20)
    assert [row["id"] for row in rows] == [t.trade_id for t in tape[-20:]]
    fields = {"id": int, "price": str, "qty": str, "quoteQty": str, "time": int, "isBuyerMaker": bool}
    fields |= {"isBestMatch": bool} if path == SPOT else {}
    for row, trade in zip(rows, tape[-20:]):
        assert {key: type(value) for key, value in row.items()} == fields
        assert row["isBuyerMaker"] is (trade.side < 0)
        assert float(row["price"]) == pytest.approx(trade.price)
        assert float(row["qty"]) == pytest.approx(trade.coins)
    first = tape[5].trade_id
    old = await rest.get(f"{path}/historicalTrades", symbol="BTCUSDT", fromId=first, limit=3)
    assert [row["id"] for row in old] == [first, first + 1, first + 2]
    aggregated = await rest.get(f"{path}/aggTrades", symbol="BTCUSDT", fromId=first, limit=2)
    assert [(row["a"], row["f"], row["l"]) for row in aggregated] == [(first, first, first), (first + 1,) * 3]
    assert aggregated[0].keys() == {"a", "p", "q", "f", "l", "T", "m", *(["M"] if path == SPOT else [])}
    times = {"startTime": tape[3].ts_ns // 1_000_000, "endTime": tape[9].ts_ns // 1_000_000}
    between = await rest.get(f"{path}/aggTrades", symbol="BTCUSDT", **times)
    assert [row["a"] for row in between] == [
        t.trade_id for t in tape if times["startTime"] <= t.ts_ns // 1_000_000 <= times["endTime"]
    ]


@pytest.mark.parametrize("path", [SPOT, FUTURES])
async def test_klines_are_sums_of_the_tape_and_reach_into_the_past(rest: Rest, path: str) -> None:
    market = rest.markets[path]
    rows = await rest.get(f"{path}/klines", symbol="BTCUSDT", interval="1m", limit=5)
    assert [[type(value) for value in row] for row in rows] == [KLINE_TYPES] * 5
    assert [b[0] - a[0] for a, b in pairwise(rows)] == [60_000] * 4
    assert all(row[6] == row[0] + 59_999 for row in rows)
    minute = [t for t in market.recent_trades if rows[-2][0] <= t.ts_ns // 1_000_000 <= rows[-2][6]]
    assert rows[-2][8] == len(minute)
    assert float(rows[-2][1]) == pytest.approx(minute[0].price)
    assert float(rows[-2][5]) == pytest.approx(sum(t.coins for t in minute), abs=1e-3)
    assert float(rows[-2][10]) == pytest.approx(sum(t.coins * t.price for t in minute if t.side > 0), abs=0.01)
    (first,) = await rest.get(f"{path}/klines", symbol="BTCUSDT", interval="1d", startTime=0, limit=1)
    ahead = await rest.get(f"{path}/klines", symbol="BTCUSDT", interval="1d", startTime=first[0], limit=1_000)
    assert ahead[0] == first
    assert 360 <= len(ahead) <= 367, "a year of history"
    day = await rest.get(f"{path}/ticker/24hr", symbol="BTCUSDT")
    hours = await rest.get(f"{path}/klines", symbol="BTCUSDT", interval="1h", limit=24)
    assert float(day["highPrice"]) >= max(float(row[2]) for row in hours[1:])
    assert (await rest.get(f"{path}/klines", 400, symbol="BTCUSDT", interval="7m"))["code"] == -1120
    assert (await rest.get(f"{path}/klines", 400, symbol="BTCUSDT"))["code"] == -1102


async def test_tickers_of_one_symbol_and_of_all(rest: Rest) -> None:
    for path in (SPOT, FUTURES):
        market = rest.markets[path]
        price = await rest.get(f"{path}/ticker/price", symbol="BTCUSDT")
        assert float(price["price"]) == pytest.approx(market.last)
        assert [row["symbol"] for row in await rest.get(f"{path}/ticker/price")] == ["BTCUSDT", "SOLUSDT"]
        touch = await rest.get(f"{path}/ticker/bookTicker", symbol="BTCUSDT")
        assert float(touch["bidPrice"]) == pytest.approx(market.book.bid * market.spec.tick)
        assert float(touch["askQty"]) == pytest.approx(market.book.asks[market.book.ask])
        assert len(await rest.get(f"{path}/ticker/24hr")) == 2
    assert len(await rest.get(f"{SPOT}/ticker/24hr", symbols='["BTCUSDT"]')) == 1
    assert (await rest.get(f"{SPOT}/ticker/24hr", 400, symbols="BTCUSDT"))["code"] == -1101
    average = await rest.get(f"{SPOT}/avgPrice", symbol="BTCUSDT")
    assert float(average["price"]) == pytest.approx(rest.markets[SPOT].last, rel=0.01)
    assert [row["symbol"] for row in await rest.get(f"{FUTURES}/premiumIndex")] == ["BTCUSDT", "SOLUSDT"]
    pair: dict[str, Any] = {"pair": "BTCUSDT", "contractType": "PERPETUAL", "interval": "1m", "limit": 2}
    assert len(await rest.get(f"{FUTURES}/continuousKlines", **pair)) == 2


async def test_funding_is_paid_every_period(rest: Rest) -> None:
    rows = await rest.get(f"{FUTURES}/fundingRate", symbol="BTCUSDT", limit=10)
    assert [b["fundingTime"] - a["fundingTime"] for a, b in pairwise(rows)] == [8 * 3_600_000] * 9
    assert {key: type(value) for key, value in rows[0].items()} == {
        "symbol": str, "fundingTime": int, "fundingRate": str, "markPrice": str,
    }  # fmt: skip
    every_four = await rest.get(f"{FUTURES}/fundingRate", symbol="SOLUSDT", startTime=rows[0]["fundingTime"], limit=3)
    assert [row["fundingTime"] - rows[0]["fundingTime"] for row in every_four] == [0, 4 * 3_600_000, 8 * 3_600_000]
    assert {row["symbol"] for row in await rest.get(f"{FUTURES}/fundingRate")} == {"BTCUSDT", "SOLUSDT"}


async def test_faulty_parameters_have_the_venues_codes(rest: Rest) -> None:
    assert (await rest.get(f"{SPOT}/trades", 400))["code"] == -1102
    assert (await rest.get(f"{SPOT}/trades", 400, symbol="BTCUSDT", limit="x"))["code"] == -1100
    assert (await rest.get(f"{FUTURES}/trades", 400, symbol="BTCUSDT", limit=5_000))["code"] == -1130
    assert len(await rest.get(f"{SPOT}/klines", symbol="BTCUSDT", interval="1m", limit=5_000)) == 1_000
    assert (await rest.get(f"{FUTURES}/nothing", 404))["code"] == -5000


async def test_all_market_and_trade_streams(exchange: Any) -> None:
    sim = await exchange(speed=20.0)
    spot = await sim.ws(
        f"{sim.addresses['binance.spot'].ws}/stream?streams=btcusdt@trade/btcusdt@miniTicker/!miniTicker@arr"
    )
    seen: dict[str, Any] = {}
    while len(seen) < 3:
        frame = await spot.receive()
        seen.setdefault(frame["stream"], frame["data"])
    trade = seen["btcusdt@trade"]
    assert trade.keys() == {"e", "E", "s", "t", "p", "q", "T", "m", "M"}
    tape = {t.trade_id: t for t in sim.server.market.linear_markets("binance-spot")["BTCUSDT"].recent_trades}
    assert trade["m"] is (tape[trade["t"]].side < 0)
    assert float(trade["q"]) == pytest.approx(tape[trade["t"]].coins)
    assert seen["btcusdt@miniTicker"].keys() == {"e", "E", "s", "c", "o", "h", "l", "v", "q"}
    assert [row["s"] for row in seen["!miniTicker@arr"]] == ["BTCUSDT"]
    market = await sim.ws(
        f"{sim.addresses['binance.market'].ws}/market/stream?streams=!markPrice@arr@1s/btcusdt@kline_5m"
    )
    seen = {}
    while len(seen) < 2:
        frame = await market.receive()
        seen.setdefault(frame["stream"], frame["data"])
    assert [row["e"] for row in seen["!markPrice@arr@1s"]] == ["markPriceUpdate"]
    candle = seen["btcusdt@kline_5m"]["k"]
    assert (candle["i"], candle["T"] - candle["t"], candle["t"] % 300_000) == ("5m", 299_999, 0)
