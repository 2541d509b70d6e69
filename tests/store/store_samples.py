"""Small board files and journals of our own for the tests of the store."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from dfmon.engine.journal import Record, RecordKind
from dfmon.model.events import Event

E = TypeVar("E", bound=Event)

TICKER_MS = 1_769_085_000_000
EXPIRY_MS = 1_769_155_200_000
RUN_TIME = "2026-02-05T21:29:37.885165+00:00"
RUN_NS = 1_770_326_977_885_165_000


def ticker_row(name: str = "BTC-23JAN26-90000-C", **cells: object) -> dict[str, object]:
    row: dict[str, object] = {
        "state_x": "open", "price_index": "btc_usd", "kind": "option", "instrument_type": "reversed",
        "instrument_name": name, "expiration_timestamp": EXPIRY_MS, "creation_timestamp": TICKER_MS - 86_400_000,
        "contract_size": 1, "strike": 90_000, "option_type": "put" if name.endswith("P") else "call",
        "settlement_currency": "BTC", "base_currency": "BTC", "counter_currency": "USD", "timestamp": TICKER_MS,
        "state_y": "open", "index_price": 89_936.5, "open_interest": 12.5, "mark_price": 0.0125,
        "best_ask_price": 0.013, "best_bid_price": 0.012, "mark_iv": 48.5, "bid_iv": 47.1, "ask_iv": 49.9,
        "underlying_price": 90_012.25, "stats_volume": 3.5, "greeks_gamma": 0.00002,
    }  # fmt: skip
    return row | cells


def snapshot_row(name: str = "BTC-27MAR26-70000-C", **cells: object) -> dict[str, object]:
    row: dict[str, object] = {
        "timestamp": RUN_TIME, "instrument_name": name, "underlying": 64_195.9, "underlying_name": "SYN.BTC-27MAR26",
        "option_type": "put" if name.endswith("P") else "call", "strike": 70_000.0,
        "expiry_datetime": "2026-03-27T08:00:00+00:00", "bid_price": 0.0185, "ask_price": 0.02, "mark_price": 0.019,
        "implied_volatility": 0.5988, "open_interest": 226.4, "volume": 30.8, "currency": name.split("-")[0],
        "index_price": 63_718.97, "volume_usd": 100.0,
    }  # fmt: skip
    return row | cells


def csv_text(rows: Iterable[Mapping[str, object]]) -> str:
    rows = list(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_board(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """A board file; gzip where the name says so."""
    data = csv_text(rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def events_of_type(kind: type[E], events: Iterable[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def frame_records(count: int, first: int = 0) -> list[Record]:
    """Records as alike as ticker frames are."""
    return [
        Record(n, 1_769_085_000_000_000_000 + n, RecordKind.FRAME, "deribit", b'{"n":%d,"data":"%s"}' % (n, b"x" * 80))
        for n in range(first, first + count)
    ]
