"""The estimator on 463 real option prints of 21 February 2020, read from ../shared/data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dfmon.core.positions.book_codec import encode_book
from dfmon.core.positions.dealer_net import dealer_positions
from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.frames import TradeColumns, TradeHistory
from dfmon.model.keys import stable_key
from dfmon.model.units import DAY, MILLISECOND
from tests.chains import frame, trade_columns
from tests.core.boards import DATA


def rows() -> list[dict[str, Any]]:
    path = DATA / "trades" / "deribit_btc_option_trades_20200221.jsonl"
    if not path.exists():
        pytest.skip("recorded trades not found under ../shared/data or $DFMON_REAL_DATA")
    print_rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    distinct = {row["trade_id"]: row for row in print_rows}
    return sorted(distinct.values(), key=lambda row: (row["timestamp"], row["trade_seq"]))


def columns(print_rows: list[dict[str, Any]], uid: dict[str, int]) -> TradeColumns:
    return trade_columns(
        [uid[row["instrument_name"]] for row in print_rows],
        [1 if row["direction"] == "buy" else -1 for row in print_rows],
        [float(row["amount"]) for row in print_rows],
        seq=[row["trade_seq"] for row in print_rows],
        key=[stable_key(str(row["trade_id"])) for row in print_rows],
        exch_ns=[row["timestamp"] * MILLISECOND for row in print_rows],
        liquidation=[row.get("liquidation", "") for row in print_rows],
    )


def test_real_prints_go_through_in_any_cut_and_as_whole_lives() -> None:
    print_rows = rows()
    assert len(print_rows) == 463
    names = sorted({row["instrument_name"] for row in print_rows})
    uid = {name: at for at, name in enumerate(names)}
    start = print_rows[0]["timestamp"] * MILLISECOND - 1
    n = len(names)
    board = replace(
        frame(strikes=np.linspace(5e3, 5e4, (n + 1) // 2).tolist(), days=(9.0,), ts_ns=start),
        open_interest=np.full(n + n % 2, 500.0),
    )
    board = replace(board, expiry_ns=np.full(board.size, start + 9 * DAY))
    board = replace(board, names=(*names, *board.names[n:]), interest=board.open_interest)
    initial = advance_book(PositionBook.empty(), board, PositionPriors())
    last_ns = print_rows[-1]["timestamp"] * MILLISECOND + 1
    last_frame = replace(board, ts_ns=last_ns, interest_ns=np.full(board.size, last_ns))
    earlier = replace(last_frame, interest_ns=board.interest_ns)
    once = advance_book(initial, replace(last_frame, trades=columns(print_rows, uid)), PositionPriors())
    parts = initial
    for cut in range(0, 463, 50):
        parts = advance_book(
            parts, replace(earlier, ts_ns=start, trades=columns(print_rows[cut : cut + 50], uid)), PositionPriors()
        )
    parts = advance_book(parts, last_frame, PositionPriors())
    assert encode_book(once) == encode_book(parts)
    trade_histories = tuple(
        TradeHistory(uid[name], columns([row for row in print_rows if row["instrument_name"] == name], uid))
        for name in names
    )
    from_histories = advance_book(initial, replace(last_frame, trade_histories=trade_histories), PositionPriors())
    found = dealer_positions("flow", from_histories, last_frame)
    volume = sum(float(row["amount"]) for row in print_rows)
    assert float(from_histories.printed.sum()) == pytest.approx(volume)
    assert from_histories.full_history[:n].all()
    assert from_histories.seq[:n].all()
    assert found.members is not None
    assert (np.abs(found.members) <= 500.0).all()
    assert found.low is not None
    assert found.high is not None
    inside = (found.low[:n] <= found.position[:n]) & (found.position[:n] <= found.high[:n])
    assert inside.all()
