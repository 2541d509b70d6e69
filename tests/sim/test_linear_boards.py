"""USDC-settled boards (venues.md 1.7): `d` in names, amounts in coins, prices in USDC, their own listing."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import numpy as np
import pytest

from dfmon.core.pricing.normal import cdf
from dfmon.engine.greek_drift import GreekDrift
from dfmon.sim.deribit import records
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.venues.deribit import decode
from tests.sim.conftest import ManualClock

pytestmark = pytest.mark.slow

BOARDS = ("BTC", "BTC_USDC", "SOL", "XRP")


@pytest.fixture(scope="module")
def market(noon: int) -> SimulatedMarket:
    simulated = SimulatedMarket(7, noon, BOARDS, 0.1)
    simulated.advance(noon + 60_000_000_000)
    return simulated


def test_a_linear_board_of_btc_follows_the_index_of_btc(market: SimulatedMarket, noon: int) -> None:
    assert market.currencies["BTC_USDC"].path is market.currencies["BTC"].path
    assert market.currencies["BTC_USDC"].board.forwards[-1] == market.currencies["BTC"].board.forwards[-1]
    alone = SimulatedMarket(7, noon, ("BTC",), 0.1)
    alone.advance(noon + 60_000_000_000)
    assert alone.currencies["BTC"].path.price == market.currencies["BTC"].path.price, "and moves it not"


@pytest.mark.parametrize("name", ["BTC_USDC", "SOL_USDC", "XRP_USDC"])
def test_quotes_are_usdc_on_the_grid_and_marks_are_black76(market: SimulatedMarket, name: str) -> None:
    board = market.currencies[name].board
    q = board.quotation
    for price in [*board.bid[board.bid == board.bid].tolist(), *board.ask[board.ask == board.ask].tolist()]:
        tick_size = q.tick_size(price)
        assert price / tick_size == pytest.approx(round(price / tick_size), abs=1e-6)
    nearest_row = board.slices[3].nearest_row(board.forwards[3], 1)
    F, K = board.forwards[3], board.strike[nearest_row]
    v = board.iv[nearest_row] / 100.0 * (board.slices[3].expiry.years(market.now_ns)) ** 0.5
    d1 = math.log(F / K) / v + 0.5 * v
    value = F * float(cdf(d1)) - K * float(cdf(d1 - v))
    assert board.mark[nearest_row] == pytest.approx(value, rel=2e-3), "USDC, not coin"
    assert (board.ask[board.ask == board.ask] > 0).all()


def test_strikes_below_a_dollar_grid_are_spelled_with_d(market: SimulatedMarket) -> None:
    names = market.currencies["XRP_USDC"].board.names
    assert all(re.fullmatch(r"XRP_USDC-\d+[A-Z]{3}\d\d-\d+(d\d+)?-[CP]", name) for name in names)
    assert any("d" in name.split("-")[2] for name in names)
    assert not any("d" in name.split("-")[2] for name in market.currencies["SOL_USDC"].board.names)


async def test_everything_linear_is_asked_for_as_usdc(exchange: Any) -> None:
    clock = ManualClock()
    sim = await exchange(currencies=BOARDS, speed=1.0, clock=clock)
    rows = await sim.result("get_instruments", currency="USDC", kind="option")
    assert {row["base_currency"] for row in rows} == {"BTC", "SOL", "XRP"}
    assert {(row["instrument_type"], row["quote_currency"], row["settlement_currency"]) for row in rows} == {
        ("linear", "USDC", "USDC")
    }
    assert {row["base_currency"]: row["contract_size"] for row in rows} == {"BTC": 1.0, "SOL": 10.0, "XRP": 1000.0}
    btc = next(row for row in rows if row["base_currency"] == "BTC")
    assert (btc["tick_size"], btc["tick_size_steps"]) == (5.0, [{"above_price": 1000.0, "tick_size": 20.0}])
    assert btc["price_index"] == "btc_usdc"
    strikes = {row["instrument_name"]: row["strike"] for row in rows}
    assert all(float(name.split("-")[2].replace("d", ".")) == strike for name, strike in strikes.items())
    assert {r["base_currency"] for r in await sim.result("get_instruments", currency="BTC", kind="option")} == {"BTC"}
    futures = await sim.result("get_instruments", currency="USDC", kind="future")
    assert {"BTC_USDC-PERPETUAL", "SOL_USDC-PERPETUAL"} <= {row["instrument_name"] for row in futures}
    summaries = await sim.result("get_book_summary_by_currency", currency="USDC", kind="option")
    assert {row["instrument_name"] for row in summaries} == strikes.keys()
    client = await sim.deribit()
    wanted = ["markprice.options.btc_usdc", "deribit_price_index.sol_usdc", "trades.option.USDC.100ms"]
    assert set((await client.call("public/subscribe", channels=wanted))["result"]) == set(wanted)
    chain = await client.channel(wanted[0])
    assert {row["instrument_name"] for row in chain} == {name for name in strikes if name.startswith("BTC_USDC")}
    assert max(row["mark_price"] for row in chain) > 1_000.0
    assert 50.0 < (await client.channel(wanted[1]))["price"] < 500.0
    clock.advance(60.0)
    (trade, *_) = await client.channel(wanted[2])
    assert trade["instrument_name"] in strikes
    size = next(row["contract_size"] for row in rows if row["instrument_name"] == trade["instrument_name"])
    assert trade["contracts"] == pytest.approx(trade["amount"] / size)
    page = await sim.result("get_last_trades_by_currency", currency="USDC", kind="option", count=1000, sorting="asc")
    assert {t["instrument_name"].split("-")[0] for t in page["trades"]} == {"BTC_USDC", "SOL_USDC", "XRP_USDC"}
    stamps = [t["timestamp"] for t in page["trades"]]
    assert stamps == sorted(stamps)


async def test_hedging_venues_trade_the_other_coins_too(exchange: Any) -> None:
    sim = await exchange(currencies=("XRP",))
    rest = sim.addresses["binance.market"].rest
    book = (await sim.get(f"{rest}/fapi/v1/depth", symbol="XRPUSDT", limit=5)).json()
    assert 0 < float(book["asks"][0][0]) - float(book["bids"][0][0]) < 0.001, "four decimals"
    swaps = (await sim.get(f"{sim.addresses['okx'].rest}/api/v5/public/instruments", instType="SWAP")).json()["data"]
    assert {row["instId"]: row["ctVal"] for row in swaps} == {"XRP-USDT-SWAP": "100"}


def test_the_greeks_told_of_every_board_are_ours(market: SimulatedMarket) -> None:
    for currency in market.currencies.values():
        board = currency.board
        bodies = [msgspec.json.encode(records.option_ticker(currency, row)) for row in range(len(board.names))]
        tickers = [decode.ticker_response.decode(body).to_option_ticker() for body in bodies]
        expiry_ns = np.array([contract.expiry.expiry_ns for contract in board.contracts])
        for first in range(0, len(tickers), 200):
            chunk, drift = slice(first, first + 200), GreekDrift()
            rows = np.arange(len(tickers))[chunk]
            drift.compare(
                tickers[chunk], rows, board.strike[chunk], expiry_ns[chunk], board.sign[chunk].astype(np.int8)
            )
            assert drift.status_text() == ""
            assert drift.counts[0] == len(rows)
