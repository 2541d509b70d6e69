"""One board written in every layout that is read, each by the conventions of its source."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from scipy.special import ndtr

from tests.store.store_samples import csv_text

NOW = datetime(2026, 1, 22, 12, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
EXPIRIES = {"30JAN26": datetime(2026, 1, 30, 8, tzinfo=UTC), "27MAR26": datetime(2026, 3, 27, 8, tzinfo=UTC)}


class Option(NamedTuple):
    """One option: forward and strike in USD, volatility as a fraction, open interest in coins."""

    day: str
    strike: int
    kind: str
    forward: float
    sigma: float
    interest: float
    spot: float

    @property
    def name(self) -> str:
        return f"BTC-{self.day}-{self.strike}-{self.letter}"

    @property
    def letter(self) -> str:
        return self.kind[0].upper()

    @property
    def expiry(self) -> datetime:
        return EXPIRIES[self.day]

    @property
    def expiry_ms(self) -> int:
        return int(self.expiry.timestamp() * 1000)

    @property
    def ymd(self) -> str:
        return f"{self.expiry:%y%m%d}"

    @property
    def d1(self) -> float:
        sd = self.sigma * math.sqrt((self.expiry - NOW).total_seconds() / (365 * 86_400))
        return math.log(self.forward / self.strike) / sd + sd / 2

    @property
    def delta(self) -> float:
        return float(ndtr(self.d1)) - (self.kind == "put")

    @property
    def mark(self) -> float:
        """Black-76 in coins, from the formula."""
        sd = self.sigma * math.sqrt((self.expiry - NOW).total_seconds() / (365 * 86_400))
        sign = 1 if self.kind == "call" else -1
        d2 = self.d1 - sd
        dollars = sign * (self.forward * ndtr(sign * self.d1) - self.strike * ndtr(sign * d2))
        return float(dollars) / self.forward


Board = Sequence[Option]
Rows = list[dict[str, Any]]


def book_summary(board: Board) -> Rows:
    return [
        {
            "instrument_name": o.name, "mark_iv": o.sigma * 100, "underlying_price": o.forward,
            "open_interest": o.interest, "estimated_delivery_price": o.spot, "creation_timestamp": NOW_MS,
            "base_currency": "BTC", "mark_price": o.mark, "bid_price": None, "volume": 0.0,
        }
        for o in board
    ]  # fmt: skip


def tickers(board: Board) -> Rows:
    return [
        {
            "instrument_name": o.name, "timestamp": NOW_MS, "mark_iv": o.sigma * 100, "underlying_price": o.forward,
            "index_price": o.spot, "open_interest": o.interest, "mark_price": o.mark, "best_bid_price": 0.0,
            "stats": {"volume": 1.0}, "greeks": {"delta": o.delta}, "bids": [], "asks": [[1.0, 2.0]], "state": "open",
        }
        for o in board
    ]  # fmt: skip


def ticker_board(board: Board) -> Rows:
    return [
        {
            **{k: v for k, v in row.items() if not isinstance(v, dict | list)}, "base_currency": "BTC",
            "option_type": o.kind, "strike": o.strike, "expiration_timestamp": o.expiry_ms, "kind": "option",
        }
        for o, row in zip(board, tickers(board))
    ]  # fmt: skip


def snapshot_rows(board: Board, now: datetime = NOW) -> Rows:
    return [
        {
            "timestamp": now.isoformat(), "instrument_name": o.name, "currency": "BTC", "option_type": o.kind,
            "strike": float(o.strike), "expiry_datetime": o.expiry.isoformat(), "implied_volatility": o.sigma,
            "underlying": o.forward, "index_price": o.spot, "open_interest": o.interest, "mark_price": o.mark,
        }
        for o in board
    ]  # fmt: skip


def _tardis(board: Board) -> Rows:
    return [
        {
            "exchange": "deribit", "symbol": o.name, "timestamp": NOW_MS * 1000, "local_timestamp": NOW_MS * 1000 + 7,
            "type": o.kind, "strike_price": o.strike, "expiration": o.expiry_ms * 1000,
            "open_interest": o.interest + surplus,
            "last_price": "", "bid_price": "", "bid_amount": "", "bid_iv": "", "ask_price": "", "ask_amount": "",
            "ask_iv": "", "mark_price": o.mark, "mark_iv": o.sigma * 100, "underlying_index": "SYN.BTC",
            "underlying_price": o.forward, "delta": o.delta, "gamma": 0, "vega": 0, "theta": 0, "rho": 0,
        }
        for surplus in (1.0, 0.0)  # the last update counts
        for o in board
    ]  # fmt: skip


def _daily(board: Board, venue: str) -> Rows:
    okx = venue == "okx"
    return [
        {
            "snapshot_utc": f"{NOW:%Y-%m-%d %H:%M:%S}", "exchange": venue, "underlying": "BTC",
            "instrument": f"BTC-USD-{o.ymd}-{o.strike}-{o.letter}" if okx else o.name, "expiry": f"{o.expiry:%Y-%m-%d}",
            "strike": o.strike, "type": o.kind, "mark_price": o.mark, "bid": "", "ask": "",
            "mark_iv": o.sigma if okx else o.sigma * 100, "open_interest": o.interest * 100 if okx else o.interest,
            "volume_24h": 0, "underlying_price": o.spot if okx else o.forward,
        }
        for o in board
    ]  # fmt: skip


def _hourly(board: Board) -> Rows:
    return [
        {
            "date": f"{NOW:%Y-%m-%dT%H:%M:%S}.000000", "instrument_name": o.name, "expiry_name": o.day,
            "expiry_date": f"{o.expiry:%Y-%m-%d}", "strike": float(o.strike), "type": o.kind, "volume": 0.0,
            "open_interest": o.interest, "delta": o.delta, "mark_iv": o.sigma * 100,
        }
        for o in board
    ]  # fmt: skip


def _openbb(board: Board) -> Rows:
    return [
        {
            "underlying_symbol": "BTC", "underlying_price": o.forward, "contract_symbol": o.name,
            "expiration": f"{o.expiry:%Y-%m-%d}", "dte": 8, "strike": o.strike, "option_type": o.kind,
            "open_interest": o.interest, "mark": o.mark * o.spot, "implied_volatility": o.sigma,
            "underlying_spot_price": o.spot, "timestamp": "2026-01-22T07:30:00-05:00",
        }
        for o in board
    ]  # fmt: skip


def _ccxt(board: Board) -> dict[str, Any]:
    return {
        f"BTC/USD:BTC-{o.ymd}-{o.strike}-{o.letter}": {
            "info": row, "currency": "BTC", "symbol": f"BTC/USD:BTC-{o.ymd}-{o.strike}-{o.letter}",
            "timestamp": NOW_MS, "datetime": "2026-01-22T12:30:00.000Z", "impliedVolatility": o.sigma * 100,
            "openInterest": o.interest, "bidPrice": None, "askPrice": 1.0, "markPrice": o.mark,
            "underlyingPrice": o.forward, "baseVolume": 0.0,
        }
        for o, row in zip(board, book_summary(board))
    }  # fmt: skip


def _bybit(board: Board) -> dict[str, Any]:
    listed = [
        {
            "symbol": f"{o.name}-USDT", "markIv": repr(o.sigma), "underlyingPrice": repr(o.forward),
            "indexPrice": repr(o.spot), "openInterest": repr(o.interest), "markPrice": repr(o.mark * o.forward),
            "bid1Price": "0", "ask1Price": "0", "bid1Iv": "0", "ask1Iv": "0", "delta": repr(o.delta),
        }
        for o in board
    ]  # fmt: skip
    return {"retCode": 0, "retMsg": "OK", "result": {"category": "option", "list": listed}, "time": NOW_MS}


def _okx(board: Board) -> dict[str, Any]:
    def answer(rows: Rows) -> dict[str, Any]:
        return {"code": "0", "msg": "", "data": rows}

    names = [f"BTC-USD-{o.ymd}-{o.strike}-{o.letter}" for o in board]
    ts = str(NOW_MS)
    return {
        "instruments": answer(
            [{"instId": n, "stk": str(o.strike), "optType": o.letter, "expTime": str(o.expiry_ms), "uly": "BTC-USD"}
             for n, o in zip(names, board)]
        ),
        "opt-summary": answer(
            [{"instId": n, "markVol": repr(o.sigma), "fwdPx": repr(o.forward), "ts": ts, "delta": "0.1"}
             for n, o in zip(names, board)]
        ),
        "open-interest": answer(
            [{"instId": n, "oi": repr(o.interest * 100), "oiCcy": repr(o.interest), "ts": ts}
             for n, o in zip(names, board)]
        ),
        "tickers": answer([{"instId": n, "bidPx": "", "askPx": "0.2", "ts": ts} for n in names]),
        "mark-price": answer([{"instId": n, "markPx": repr(o.mark), "ts": ts} for n, o in zip(names, board)]),
    }  # fmt: skip


def _named(board: Board) -> Rows:
    return [
        {"symbol": o.name, "iv": o.sigma, "oi": o.interest, "fwd": o.forward, "time": NOW.isoformat()} for o in board
    ]


def _nested(board: Board) -> dict[str, Any]:
    days = dict.fromkeys(o.day for o in board)
    return {
        "currency": "BTC",
        "as_of": "2026-01-22T12:30:00Z",
        "spot": board[0].spot,
        "forwards": {f"{EXPIRIES[day]:%Y-%m-%d}": next(o.forward for o in board if o.day == day) for day in days},
        "chains": {
            f"{EXPIRIES[day]:%Y-%m-%d}": {
                side + "s": [{"strike": o.strike, "iv": o.sigma, "oi": o.interest, "mark": o.mark}
                             for o in board if (o.day, o.kind) == (day, side)]
                for side in ("call", "put")
            }
            for day in days
        },
    }  # fmt: skip


def _columns(rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def xlsx(rows: Rows) -> bytes:
    """A workbook as a spreadsheet writes it: texts shared, numbers as they are."""
    texts: dict[str, int] = {}

    def cell(value: object) -> str:
        if isinstance(value, str):
            return f'<c t="s"><v>{texts.setdefault(value, len(texts))}</v></c>'
        return f"<c><v>{value!r}</v></c>" if value is not None else "<c/>"

    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    body = "".join(f"<row>{''.join(map(cell, line))}</row>" for line in lines)
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    shared = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", f"<workbook {space}/>")
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{shared}</sst>")
        archive.writestr("xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{body}</sheetData></worksheet>")
    return out.getvalue()


def parquet(rows: Iterable[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), out)
    return out.getvalue()


def _decimal_commas(rows: Rows) -> bytes:
    lines = [";".join(rows[0])]
    lines += [
        ";".join(repr(v).replace(".", ",") if isinstance(v, float) else str(v) for v in row.values()) for row in rows
    ]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8-sig")


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _lines(rows: Rows) -> bytes:
    return b"\n".join(_json(row) for row in rows)


LAYOUTS: dict[str, tuple[str, Callable[[Board], bytes]]] = {
    "ticker board": ("ticker board", lambda b: csv_text(ticker_board(b)).encode()),
    "ticker board, tabs": ("ticker board", lambda b: csv_text(ticker_board(b)).replace(",", "\t").encode()),
    "ticker board, decimal commas": ("ticker board", lambda b: _decimal_commas(ticker_board(b))),
    "ticker board, UTF-16": ("ticker board", lambda b: csv_text(ticker_board(b)).encode("utf-16")),
    "ticker board, xlsx": ("ticker board", lambda b: xlsx(ticker_board(b))),
    "ticker board, parquet": ("ticker board", lambda b: parquet(ticker_board(b))),
    "snapshot board": ("snapshot board", lambda b: csv_text(snapshot_rows(b)).encode()),
    "snapshot board, parquet": ("snapshot board", lambda b: parquet(snapshot_rows(b))),
    "snapshot board, JSON": ("snapshot board", lambda b: _json(snapshot_rows(b))),
    "book summary": ("book summary", lambda b: _json({"jsonrpc": "2.0", "result": book_summary(b), "usIn": 1})),
    "book summary by name": ("book summary", lambda b: _json({r["instrument_name"]: r for r in book_summary(b)})),
    "book summary by time": ("book summary", lambda b: _json({str(NOW_MS * 1000): book_summary(b)})),
    "book summary by column": ("book summary", lambda b: _json(_columns(book_summary(b)))),
    "tickers, each wrapped": ("ticker board", lambda b: _json([{"id": 1, "result": r} for r in tickers(b)])),
    "tickers, lines": ("ticker board", lambda b: _lines(tickers(b))),
    "tickers, data": ("ticker board", lambda b: _json({"data": tickers(b)})),
    "Tardis": ("Tardis options_chain", lambda b: csv_text(_tardis(b)).encode()),
    "daily chain of Deribit": ("daily chain", lambda b: csv_text(_daily(b, "deribit")).encode()),
    "daily chain of OKX": ("daily chain", lambda b: csv_text(_daily(b, "okx")).encode()),
    "daily chain, parquet": ("daily chain", lambda b: parquet(_daily(b, "okx"))),
    "hourly chain": ("hourly chain", lambda b: csv_text(_hourly(b)).encode()),
    "OpenBB": ("OpenBB options chain", lambda b: csv_text(_openbb(b)).encode()),
    "OpenBB by column": ("OpenBB options chain", lambda b: _json({"results": _columns(_openbb(b))})),
    "ccxt": ("ccxt option chain", lambda b: _json(_ccxt(b))),
    "Bybit": ("Bybit tickers", lambda b: _json(_bybit(b))),
    "OKX": ("OKX tickers", lambda b: _json(_okx(b))),
    "named options": ("named options", lambda b: csv_text(_named(b)).encode()),
    "nested": ("option rows", lambda b: _json(_nested(b))),
}
"""For each way to write a board the title of its layout, and the writer."""


def write(path: Path, layout: str, board: Board) -> Path:
    path.write_bytes(LAYOUTS[layout][1](board))
    return path
