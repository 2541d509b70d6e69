"""Every recorded frame and answer there is, of every venue and year: each becomes events or a refusal with a reason.

What a decoder may refuse is listed here with the reason; a damaged row or frame is on no list, since nothing in these
files is damaged. `test_recorded` follows single captures more closely.
"""

import gzip
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from dfmon.model.events import (
    Event,
    FeedStatus,
    Listed,
    MarketTrade,
    OptionTicker,
    OptionTrade,
    PrintsLost,
    Rejected,
)
from dfmon.venues.binance import protocol as binance
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.okx.protocol import OkxProtocol
from dfmon.venues.protocol import VenueProtocol
from tests.venues.test_recorded import DATA, capture
from tests.venues.venue_golden import NOW, assert_finite, body, read

P = TypeVar("P", bound=VenueProtocol)
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded market data at {DATA}")

REFUSED = {
    r"channel (book|quote|chart)\..*": "Deribit's books and quotes: depth is that of the hedging venues",
    r"channel trades\.[A-Z_]+-PERPETUAL\..*": "prints of Deribit's futures: only its options are followed",
    r"channel trades\.BTC-CS-.*": "a combo's own print: its legs are printed one by one",
    r"instrument BTC-(STRD|CSR12|FS)-.*": "a combo's own ticker: its legs have theirs",
    r"channel \w+@kline_1m": "candles: volumes come with the ticker",
    r"channel \w+@(depthSnapshot|openInterest)": "streams a recorder invented: the venue answers these by REST",
    r"channel (?!btcusdt@|ethusdt@)\w+@\w+(@\w+)?": "a symbol that was not asked for",
    r"channel none": "OKX's third version, switched off in 2022",
    r"channel (books-l2-tbt|bbo-tbt|trades-all|price-limit|index-tickers|opt-summary|liquidations)": "not subscribed",
    r"instrument (?!BTC-USDT(-SWAP)?$|ETH-USDT(-SWAP)?$)[A-Z]+-USDT?(-.+)?": "an instrument that was not asked for",
}  # fmt: skip


def expect(events: Sequence[Event], **counts: int) -> None:
    """These many events of each kind, refusals for a reason on the list, and nothing that a market cannot have."""
    assert_finite(events)
    for event in events:
        if isinstance(event, Rejected):
            description = f"{event.what} {event.detail}"
            assert any(re.fullmatch(pattern, description) for pattern in REFUSED), description
    found = Counter(type(event).__name__ for event in events if not isinstance(event, Rejected | FeedStatus))
    assert found == counts


# ---- a Deribit that lists what a file speaks of ----------------------------------------------------------------------

OPTION = re.compile(r'"?\b([A-Z]+(?:_USDC)?)-(\d{1,2}[A-Z]{3}\d\d)-([\dd]+)-([CP])\b')
FUTURE = re.compile(r"\b([A-Z]+(?:_USDC)?)-(PERPETUAL|\d{1,2}[A-Z]{3}\d\d)(?=[\".])")


def deribit(text: str) -> DeribitProtocol:
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for pair, expiry, strike, kind in OPTION.findall(text):
        record = _record(pair, f"{pair}-{expiry}-{strike}-{kind}", "option")
        record |= {"strike": float(strike.replace("d", ".")), "option_type": "call" if kind == "C" else "put"}
        rows[record["settlement_currency"], "option"][record["instrument_name"]] = record
    for pair, expiry in FUTURE.findall(text):
        record = _record(pair, f"{pair}-{expiry}", "future")
        record["settlement_period"] = "perpetual" if expiry == "PERPETUAL" else "week"
        rows[record["settlement_currency"], "future"][record["instrument_name"]] = record
    coins = {record["base_currency"] for group in rows.values() for record in group.values()} | {"BTC"}
    protocol = DeribitProtocol(tuple(sorted(coins)))
    protocol.connection_made(NOW)
    for (currency, kind), group in rows.items():
        answer = body({"result": list(group.values())})
        protocol.response_received(f"instruments:{currency}:{kind}", answer)
    return protocol


def _record(pair: str, name: str, kind: str) -> dict[str, Any]:
    base, _, linear = pair.partition("_")
    return {
        "kind": kind, "instrument_name": name, "base_currency": base, "settlement_currency": linear or base,
        "instrument_type": "linear" if linear else "reversed", "expiration_timestamp": 1_900_000_000_000,
    }  # fmt: skip


def frames(protocol: VenueProtocol, messages: Sequence[object]) -> list[Event]:
    events: list[Event] = []
    for message in messages:
        events += read(protocol.frame_received(body(message)))
    return events


def connected(protocol: P) -> P:
    protocol.connection_made(NOW)
    return protocol


# ---- single frames ---------------------------------------------------------------------------------------------------

TARDIS: dict[str, tuple[Callable[[str], VenueProtocol], dict[str, int]]] = {
    "deribit": (deribit, {"OptionTicker": 5, "FutureTicker": 2}),
    "binance_spot": (lambda _: connected(binance.spot()), {"MarketTicker": 1}),
    "binance_usdm": (lambda _: connected(binance.market()), {"MarketTicker": 5, "MarketTrade": 3, "Liquidation": 1}),
    "binance_coinm": (lambda _: connected(binance.market()), {}),
    "okx_spot": (lambda _: connected(OkxProtocol()), {}),
    "okx_swap": (lambda _: connected(OkxProtocol()), {"MarketTrade": 1}),
    "okx_futures": (lambda _: connected(OkxProtocol()), {}),
    "okx_options": (lambda _: connected(OkxProtocol()), {}),
}


@pytest.mark.parametrize("venue", TARDIS)
def test_messages_of_many_years(venue: str) -> None:
    lines = map(json.loads, (DATA / "messages" / "tardis_node_mapper_messages.jsonl").read_text().splitlines())
    venue_messages = [line["msg"] for line in lines if line["venue"] == venue]
    assert venue_messages
    build, counts = TARDIS[venue]
    expect(frames(build(json.dumps(venue_messages)), venue_messages), **counts)


SINGLE: dict[str, dict[str, int]] = {
    "nautilus_captured/deribit_ws_book_grouped_snapshot.json": {},
    "nautilus_captured/deribit_ws_chart.json": {},
    "nautilus_captured/deribit_ws_quote.json": {},
    "nautilus_captured/deribit_ws_test_request.json": {},
    "nautilus_captured/deribit_ws_ticker.json": {"FutureTicker": 1},
    "nautilus_captured/deribit_ws_trades.json": {},
    "nautilus_captured/deribit_ws_trades_option_combo.json": {},
    "nautilus_handmade/deribit_ws_book_delta.json": {},
    "nautilus_handmade/deribit_ws_book_snapshot.json": {},
    "nautilus_handmade/deribit_ws_error.json": {},
    "nautilus_handmade/deribit_ws_subscribe_response.json": {},
    "nautilus_handmade/deribit_ws_volatility_index.json": {"VolIndex": 1},
    "nautilus_handmade/okx_ws_bbo_tbt.json": {},
    "nautilus_handmade/okx_ws_books_snapshot.json": {"BookSnapshot": 1},
    "nautilus_handmade/okx_ws_books_update.json": {},
    "nautilus_handmade/okx_ws_funding_rate.json": {"MarketTicker": 1},
    "nautilus_handmade/okx_ws_opt_summary.json": {},
    "nautilus_handmade/okx_ws_tickers.json": {"MarketTicker": 1},
    "nautilus_handmade/okx_ws_trades.json": {},
}


def test_no_file_of_frames_is_forgotten() -> None:
    there = {f"{path.parent.name}/{path.name}" for path in (DATA / "messages").glob("*/*_ws_*.json")}
    assert there == set(SINGLE)


@pytest.mark.parametrize("name", SINGLE)
def test_single_frames(name: str) -> None:
    text = (DATA / "messages" / name).read_text()
    payload = json.loads(text)
    protocol = connected(OkxProtocol()) if "okx" in name else deribit(text)
    expect(frames(protocol, payload if isinstance(payload, list) else [payload]), **SINGLE[name])


def test_transcribed_frames() -> None:
    lines = (DATA / "messages" / "deribit_transcribed.jsonl").read_text().splitlines()
    messages = [json.loads(line)["msg"] for line in lines]
    rows = [message for message in messages if "trade_id" in message]  # one is a print without its frame
    messages = [message for message in messages if "trade_id" not in message]
    messages.append({"params": {"channel": "trades.option.BTC.100ms", "data": rows}})
    events = frames(deribit("\n".join(lines)), messages)
    expect(events, OptionMarks=2, IndexPrice=1, OptionTicker=2, OptionTrade=1)


# ---- answers ---------------------------------------------------------------------------------------------------------


def records(name: str) -> list[dict[str, Any]]:
    path = DATA / "instruments" / name
    data = path.read_bytes()
    payload = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    rows: list[dict[str, Any]] = payload["result"] if isinstance(payload, dict) and "result" in payload else payload
    return rows


@pytest.mark.parametrize(
    ("name", "currency", "coin", "options"),
    [
        ("deribit_get_instruments_BTC_202107.json.gz", "BTC", "BTC", None),
        ("deribit_get_instruments_ETH_202107.json.gz", "ETH", "ETH", None),
        ("deribit_get_instruments_SOL_202205.json.gz", "SOL", "SOL", None),
        ("openbb_instruments_option_20260920.json", "USDC", "XRP", 80),
        ("openbb_instruments_option_20260920.json", "BTC", "BTC", None),
    ],
)
def test_listings_of_every_schema(name: str, currency: str, coin: str, options: int | None) -> None:
    rows = [row for row in records(name) if row["kind"] == "option" and row["is_active"]]
    rows = [row for row in rows if row.get("settlement_currency", currency) == currency]
    protocol = connected(DeribitProtocol((coin,), linear=currency == "USDC"))
    events = protocol.response_received(f"instruments:{currency}:option", body({"result": rows}))
    made = [event.instrument for event in events if isinstance(event, Listed)]
    assert not [event for event in events if isinstance(event, Rejected)]
    assert {(item.name, item.strike) for item in made} == {(row["instrument_name"], row["strike"]) for row in rows}
    assert len(made) == (options or len(rows))
    assert all((item.option_type == 1) == item.name.endswith("C") for item in made)


def test_futures_of_2026() -> None:
    rows = records("openbb_instruments_future_20260920.json")
    protocol = connected(DeribitProtocol(("BTC",), linear=False))
    assert not protocol.response_received("instruments:BTC:future", body({"result": rows}))
    live = {row["instrument_name"] for row in rows if row["base_currency"] == "BTC" and row["kind"] == "future"}
    assert set(protocol.listings.futures) == live


def test_contracts_of_okx() -> None:
    text = gzip.decompress((DATA / "instruments" / "okx_instruments_SWAP_202205.json.gz").read_bytes())
    protocol = OkxProtocol(("BTC", "ETH", "SOL", "XRP"))
    protocol.connection_made(NOW)
    assert protocol.response_received("instruments", text) == []
    trades = [
        {"instId": f"{coin}-USDT-SWAP", "tradeId": "1", "px": "10", "sz": "2", "side": "buy", "ts": "5"}
        for coin in ("BTC", "ETH", "SOL", "XRP")
    ]
    trades += [{**trade, "instId": f"{coin}-USD-SWAP"} for coin, trade in zip(("BTC", "ETH"), trades)]
    events = frames(protocol, [{"arg": {"channel": "trades", "instId": "BTC-USDT-SWAP"}, "data": trades}])
    sizes = [event.size for event in events if isinstance(event, MarketTrade)]
    assert sizes == [0.02, 0.2, 2.0, 200.0, 2 * 100 / 10, 2 * 10 / 10]


def test_the_prints_of_a_day_in_2020() -> None:
    lines = (DATA / "trades" / "deribit_btc_option_trades_20200221.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    protocol = deribit("\n".join(lines))
    frame = {"params": {"channel": "trades.option.BTC.100ms", "data": rows}}
    events = [event for event in frames(protocol, [frame]) if not isinstance(event, PrintsLost)]
    prints = [event for event in events if isinstance(event, OptionTrade)]
    assert not [event for event in events if isinstance(event, Rejected)]
    assert {event.trade_id for event in prints} <= {row["trade_id"] for row in rows}
    assert len(prints) == len({event.trade_id for event in prints})


def test_tickers_of_2026() -> None:
    tickers = json.loads((DATA / "messages" / "openbb_rest" / "option_tickers_20260920.json").read_text())
    protocol = deribit(json.dumps(tickers))
    messages = [
        {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": f"ticker.{name}.100ms", "data": data}}
        for name, data in tickers.items()
    ]
    events = frames(protocol, messages)
    expect(events, OptionTicker=len(tickers))
    compared = 0
    for event in events:
        assert isinstance(event, OptionTicker)
        assert event.greeks is not None
        assert event.greeks.delta is not None
        _, day, strike, kind = event.name.split("-")
        expiry = datetime.strptime(f"{day} +0000", "%d%b%y %z") + timedelta(hours=8)
        years = (expiry.timestamp() - event.exch_ns / 1e9) / (365 * 86_400)
        width = event.mark_iv * math.sqrt(years)
        d1 = math.log(event.forward / float(strike.replace("d", "."))) / width + width / 2
        delta = (1 + math.erf(d1 / math.sqrt(2))) / 2 - (kind == "P")
        assert event.greeks.delta == pytest.approx(delta, abs=2e-4), "the venue's greek is that of the decoded numbers"
        compared += 0.01 < abs(delta) < 0.99
    assert compared >= 4


# ---- captures --------------------------------------------------------------------------------------------------------


def received(protocol: VenueProtocol, name: str) -> list[Event]:
    return frames(protocol, [json.loads(line["data"]) for line in capture(name) if line["t"] == "recv"])


def test_binance_spot_of_2021() -> None:
    protocol = connected(binance.spot(["NKN"]))
    events = received(protocol, "cryptofeed_BINANCE.jsonl.zst")
    expect(events, MarketTicker=74, MarketTrade=1)  # its differences wait for a book nobody read


def test_binance_futures_of_2021() -> None:
    protocol = connected(binance.public(["SUSHI", "AKRO", "KEEP", "CTK"]))
    events = received(protocol, "cryptofeed_BINANCE_FUTURES.jsonl.zst")
    expect(events, MarketTicker=613, MarketTrade=91)


def test_okx_of_2022() -> None:
    protocol = connected(OkxProtocol(["BTC"]))
    events = received(protocol, "cryptofeed_OKX.jsonl.zst")
    expect(events, BookSnapshot=1, BookUpdate=97, MarketTrade=69, MarketTicker=25)
