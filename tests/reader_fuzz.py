"""Mutated inputs for every reader of files: small samples of each kind, ways to damage them, and how each is read.

A reader may return, or raise a DfmonError of one line; anything else is a finding. Used by the tests and by
benchmarks/fuzz_readers.py.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
import zstandard

from dfmon import config
from dfmon.core.step import FlowParams, FlowState
from dfmon.engine.checkpoint import VERSION, PositionsCheckpoint, encode_checkpoint
from dfmon.engine.journal import Record, RecordKind, encode, encode_rest
from dfmon.model.errors import DfmonError
from dfmon.replay import BoardSource, open_source, play_to_end
from dfmon.store import replayer, segment
from dfmon.store.history import History, HistoryReader
from dfmon.store.positions_file import read_positions
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import TradeStore
from tests import capture_files
from tests.board_files import board_text, snapshot_text
from tests.engine.test_checkpoint import book_of
from tests.store.layout_samples import xlsx
from tests.store.store_samples import frame_records
from tests.store.test_history import row as history_row
from tests.store.test_trades import CALL, prints

_SHEET = "xl/worksheets/sheet1.xml"
_STEPS = 400  # of a capture or a recording
_MAGIC = b"dfmon positions\n"
_DIGEST_SIZE = 16


class Sample(NamedTuple):
    """A valid input, how it is read, and how its plain content becomes the file."""

    content: bytes
    read: Callable[[Path], object]
    pack: Callable[[bytes], bytes] = bytes


# ---- reading -------------------------------------------------------------------------------------------------------


def read_source(path: Path) -> None:
    """What a replay does, without the engine: every event of a board, every record of a recording or capture."""
    source = open_source(path, None, FlowParams())
    if not isinstance(source, BoardSource):
        source.span()
    for step in islice(source.steps(), _STEPS):
        step.apply_to  # noqa: B018


def replay(path: Path) -> None:
    """What `dfmon snapshot FILE` does."""
    play_to_end(open_source(path, None, FlowParams(), across_gaps=True), lambda snapshot: None)


def read_state(path: Path) -> None:
    state = PositionsStateFile(path, "host", "x", persist=False)
    state.load()
    if state.error is not None and "\n" in state.error:
        raise AssertionError(state.error)


def read_history(path: Path) -> None:
    with closing(HistoryReader(path)) as history:
        for name in history.underlyings():
            history.rows_since(name, 0)
            history.columns(name, 0)


def open_history(path: Path) -> None:
    with closing(History(path, flush_interval_s=None)) as history:
        history.append_row("BTC", history_row(1))
        history.flush()


def open_trades(path: Path) -> None:
    with closing(TradeStore(path, flush_interval_s=None)) as trades:
        for name in trades.stored():
            trades.read_rows(name, 100)
        trades.newest_ms()
        trades.append_trades(CALL, prints(40, 44))
        trades.flush()


def read_config(path: Path) -> None:
    config.flow_params(config.load(path, {"HOME": "/nowhere"}, {}))


# ---- samples -------------------------------------------------------------------------------------------------------


@lru_cache(1)
def samples() -> dict[str, Sample]:
    """A small valid input of every kind, by name."""
    boards = {
        "ticker board": board_text(4).encode(),
        "snapshot board": snapshot_text(2, 1).encode(),
        "book summary": json.dumps({"jsonrpc": "2.0", "result": _summary_rows()}).encode(),
        "ticker rows": "\n".join(map(json.dumps, _ticker_rows())).encode(),
    }
    rows = capture_files.cryptofeed_rows()
    captures = {
        "cryptofeed 3": capture_files.pcap(rows),
        "cryptofeed lines": "\n".join(map(json.dumps, rows)).encode(),
        "cryptofeed 2": capture_files.text_files(rows)["BINANCE_FUTURES.ws.1.0"].encode(),
        "hftbacktest": "\n".join(capture_files.hftbacktest_lines()).encode(),
        "Tardis": "\n".join(capture_files.tardis_lines()).encode(),
        "meta": json.dumps({"cryptofeed_version": "3.0.0", "files": ["a"], "feeds": [{"exchange": "OKX"}]}).encode(),
    }
    found = {name: Sample(content, read_source) for name, content in (boards | captures | _parquets()).items()}
    found |= {f"{name}, replayed": Sample(content, replay) for name, content in (boards | captures).items()}
    found |= {
        "gzip": Sample(boards["ticker board"], read_source, gzip.compress),
        "zstd": Sample(captures["cryptofeed 3"], read_source, _zstd),
        "zip": Sample(boards["snapshot board"], read_source, _zip),
        "UTF-16": Sample(boards["snapshot board"].decode().encode("utf-16"), read_source),
        "positions table": Sample(
            b"instrument;size;side\nBTC-27MAR26-100000-C;2,5;sell\nETH-7JAN26-3000-P;1;buy\n", read_positions
        ),
        "positions JSON": Sample(
            b'{"result":[{"instrument_name":"BTC-27MAR26-100000-C","size":-2.5,"direction":"sell"}]}', read_positions
        ),
        "configuration": Sample((Path(__file__).parents[1] / "config.toml").read_bytes(), read_config),
    }
    return found | _workbooks() | _stores()


def _workbooks() -> dict[str, Sample]:
    """A board and positions as workbooks, damaged as a whole or in their sheet."""
    rows: list[dict[str, object]] = [
        {n: v for n, v in row.items() if not isinstance(v, dict)} for row in _ticker_rows()
    ]
    positions: list[dict[str, object]] = [
        {"instrument_name": row["instrument_name"], "position": size} for row, size in zip(rows, (2.5, -1, "1,5", "-3"))
    ]
    found = {}
    for name, content, read in (("board", xlsx(rows), read_source), ("positions", xlsx(positions), read_positions)):
        found[f"xlsx {name}"] = Sample(content, read)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sheet = archive.read(_SHEET)
        found[f"xlsx {name}, sheet"] = Sample(sheet, read, partial(_with_sheet, content))
    return found


def _with_sheet(workbook: bytes, sheet: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, sheet if part == _SHEET else old.read(part))
    return out.getvalue()


def _parquets() -> dict[str, bytes]:
    try:
        from pyarrow import csv, parquet
    except ImportError:
        return {}
    out = {}
    for name, text in (("ticker parquet", board_text(3)), ("snapshot parquet", snapshot_text())):
        buffer = io.BytesIO()
        parquet.write_table(csv.read_csv(io.BytesIO(text.encode())), buffer)
        out[name] = buffer.getvalue()
    return out


def _summary_rows() -> list[dict[str, object]]:
    names = [f"BTC-27MAR26-{strike}-{kind}" for strike in (90_000, 100_000) for kind in "CP"]
    common = {"base_currency": "BTC", "quote_currency": "BTC", "volume_usd": 10.0, "volume": 1.5, "mid_price": None}
    forward = {"underlying_index": "BTC-27MAR26", "underlying_price": 97_000.0, "interest_rate": 0.0, "mark_iv": 55.1}
    prices = {"bid_price": 0.04, "ask_price": 0.06, "mark_price": 0.05, "open_interest": 12.0, "last": None}
    times = {"creation_timestamp": 1_772_452_800_000, "estimated_delivery_price": 96_900.0}
    return [common | forward | prices | times | {"instrument_name": name} for name in names]


def _ticker_rows() -> list[dict[str, object]]:
    names = [f"BTC-27MAR26-{strike}-{kind}" for strike in (90_000, 100_000) for kind in "CP"]
    row = {
        "timestamp": 1_772_452_800_000,
        "mark_iv": 55.0,
        "bid_iv": 50.0,
        "ask_iv": 60.0,
        "underlying_price": 97_000.0,
        "underlying_index": "SYN.BTC-27MAR26",
        "index_price": 97_100.0,
        "open_interest": 12.0,
        "mark_price": 0.05,
        "best_bid_price": 0.04,
        "best_ask_price": 0.06,
        "state": "open",
        "stats": {"volume": 1.0},
        "greeks": {"delta": 0.5, "gamma": 1e-5, "vega": 90.0, "theta": -50.0, "rho": 1.0},
    }
    return [row | {"instrument_name": name} for name in names]


def _stores() -> dict[str, Sample]:
    session = {
        "mode": "live",
        "underlyings": ["BTC"],
        "sources": ["deribit"],
        "pace": {},
        "params": msgspec.to_builtins(FlowParams()),
    }
    states = {"BTC": replace(FlowState.initial(), book=book_of(1, 2, 3))}
    checkpoint = PositionsCheckpoint.from_states("host", "x", 2, states, None)
    state = encode_checkpoint(replace_rests_on(checkpoint))
    with TemporaryDirectory() as name:
        folder = Path(name)
        with Recorder(folder / "r", session) as recorder:
            for record in frame_records(200):
                recorder.offer(record)
        with closing(History(folder / "history.sqlite", flush_interval_s=None)) as history:
            for n in range(5):
                history.append_row("BTC", history_row(n))
            history.flush()
        with closing(TradeStore(folder / "trades.sqlite", flush_interval_s=None)) as trades:
            trades.append_trades(CALL, prints(1, 20))
            trades.flush()
        for file in (folder / "history.sqlite", folder / "trades.sqlite"):
            with closing(sqlite3.connect(file)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        recording, history_bytes, trade_bytes = (
            path.read_bytes() for path in (recorder.path, folder / "history.sqlite", folder / "trades.sqlite")
        )
    return {
        "recording": Sample(recording, read_source),
        "recording, signed": Sample(_records(json.dumps(session).encode(), state), replay, _signed_segment),
        "recording, read": Sample(recording, lambda path: list(replayer.records(path, allow_gaps=True))),
        "positions.state": Sample(state, read_state),
        "positions.state, signed": Sample(zlib.decompress(state[len(_MAGIC) + _DIGEST_SIZE :]), read_state, _signed),
        "history": Sample(history_bytes, read_history),
        "history, written": Sample(history_bytes, open_history),
        "trades": Sample(trade_bytes, open_trades),
    }


def _listing_row(name: str) -> dict[str, object]:
    expiry_ms, kind = 1_774_598_400_000, "call" if name.endswith("C") else "put"
    row = {"kind": "option", "base_currency": "BTC", "settlement_currency": "BTC", "instrument_type": "reversed"}
    return row | {"instrument_name": name, "option_type": kind, "strike": 9e4, "expiration_timestamp": expiry_ms}


def _records(session: bytes, state: bytes) -> bytes:
    """A record of every kind, as they are before packing."""
    listing = json.dumps({"result": [_listing_row(name) for name in ("BTC-27MAR26-90000-C", "BTC-27MAR26-90000-P")]})
    ticker = {
        "params": {"channel": "ticker.BTC-27MAR26-90000-C.raw", "data": _ticker_rows()[0]},
        "method": "subscription",
    }
    parts = [
        (RecordKind.SESSION, "", session),
        (RecordKind.STATE, "", state),
        (RecordKind.CONNECTED, "deribit", b""),
        (RecordKind.REST, "deribit", encode_rest("instruments:BTC:option", listing.encode())),
        (RecordKind.FRAME, "deribit", json.dumps(ticker).encode()),
        (RecordKind.TIMER, "deribit", b""),
        (RecordKind.TICK, "", b""),
        (RecordKind.PARAMS, "", msgspec.json.encode(FlowParams())),
        (RecordKind.GAP, "", b"5"),
        (RecordKind.LOST, "deribit", b"closed"),
        (RecordKind.TICK, "", b""),
    ]
    begin = 1_772_452_800_000_000_000
    return b"".join(
        encode(Record(seq, begin + seq * 10**9, kind, source, payload))
        for seq, (kind, source, payload) in enumerate(parts)
    )


def _signed_segment(raw: bytes) -> bytes:
    """A segment of one block of rows with right checksums, whatever the rows are."""
    packed = zlib.compress(raw)
    head = struct.pack("<4sIIIQI", b"DFJB", len(packed), len(raw), 11, 0, zlib.crc32(packed))
    begin = segment.pack_segment_header(0, 1_772_452_800_000_000_000)
    return begin + head + struct.pack("<I", zlib.crc32(head)) + packed


def replace_rests_on(checkpoint: PositionsCheckpoint) -> PositionsCheckpoint:
    return PositionsCheckpoint(VERSION, "host", "x", checkpoint.saved_ns, checkpoint.underlyings)


def _signed(body: bytes) -> bytes:
    packed = zlib.compress(body, 1)
    return _MAGIC + blake2b(packed, digest_size=_DIGEST_SIZE).digest() + packed


def _zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("board.csv", content)
    return out.getvalue()


# ---- damage --------------------------------------------------------------------------------------------------------

_WORDS = (
    b"",
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b'"',
    b",",
    b";",
    b"\t",
    b"{",
    b"}",
    b"[",
    b"]",
    b"-",
    b"0",
    b"null",
    b"NaN",
    b"inf",
    b"-1",
    b"1e308",
    b"1e400",
    b"99999999999999999999",
    b"9" * 5_000,
    b"[" * 2_000,
    b'{"a":' * 2_000,
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "\u2028\u202e\u0660".encode(),
    b"BTC-29FEB27-1-C",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59+99:99",
    struct.pack("<I", 0xFFFFFFFF),
    struct.pack("<q", -1),
    struct.pack("<d", float("nan")),
    b"\x1f\x8b",
    b"PAR1",
    b"PK\x03\x04",
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four damages: bytes, numbers and words replaced, parts cut, repeated or moved, the end torn off."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        size = max(len(content), 1)
        at = rng.randrange(size)
        end = min(at + rng.choice((1, 2, 4, 8, 64, 1_000)), size)
        match rng.randrange(8):
            case 0:
                content[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                content[at : at + 1] = bytes([content[at] ^ (1 << rng.randrange(8))]) if content else b""
            case 2:
                content[at:end] = rng.choice(_WORDS)
            case 3:
                content[at:at] = rng.choice(_WORDS)
            case 4:
                del content[at:end]
            case 5:
                content[at:at] = content[at:end] * rng.choice((1, 2, 50))
            case 6:
                del content[at:]
            case _:
                _replace_token(content, at, rng)
    return bytes(content)


def _replace_token(content: bytearray, at: int, rng: random.Random) -> None:
    """Replaces the number, name or word at a place as a whole."""
    word = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.+-:")
    begin = end = at
    while begin > 0 and content[begin - 1] in word:
        begin -= 1
    while end < len(content) and content[end] in word:
        end += 1
    content[begin:end] = rng.choice(_WORDS)


def damaged_file(sample: Sample, rng: random.Random) -> bytes:
    """A damaged file: its content, or what packs it."""
    if rng.random() < 0.7:
        return sample.pack(mutate(sample.content, rng))
    return mutate(sample.pack(sample.content), rng)


def read_damaged(sample: Sample, content: bytes, folder: Path) -> str:
    """Reads a damaged file. Returns the sentence, "" where it was read; raises what is a finding."""
    path = folder / "a"
    path.write_bytes(content)
    try:
        sample.read(path)
    except DfmonError as exc:
        if "\n" in str(exc) or len(str(exc)) > 1_000:
            raise AssertionError(f"not one sentence: {exc}") from exc
        return str(exc) or "(empty)"
    finally:
        for file in folder.iterdir():
            with suppress(OSError):
                file.unlink()
    return ""
