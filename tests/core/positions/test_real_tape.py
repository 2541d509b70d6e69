"""Real prints of 2019 as whole lives: from pages of the venue through the store to positions. From ../shared/data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_tape import TAPE, events_of

from dfmon import dealer_positions
from dfmon.store.trades import OptionKey, TradeStore

OPTIONS, FIRST_DAYS = 25, 20
parquet = pytest.importorskip("pyarrow.parquet")


def rows() -> dict[str, list[dict[str, Any]]]:
    """Some options that are on the tape from their first print on, as the venue would send them."""
    if not TAPE.exists():
        pytest.skip("recorded tape of 2019 not found under ../shared/data")
    table = parquet.read_table(TAPE, columns=[
        "instrument", "tradeId", "tradeSeq", "timeStamp", "direction", "price", "quantity", "iv", "indexPrice",
    ])  # fmt: skip
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in table.slice(0, 12_000).to_pylist():
        by_name.setdefault(row["instrument"], []).append(
            {
                "trade_id": str(row["tradeId"]), "trade_seq": row["tradeSeq"], "timestamp": row["timeStamp"],
                "instrument_name": row["instrument"], "direction": row["direction"], "price": row["price"],
                "amount": round(row["quantity"], 6), "iv": row["iv"], "index_price": row["indexPrice"],
            }
        )  # fmt: skip
    whole = {}
    for name, group in sorted(by_name.items()):
        ordered = sorted(group, key=lambda row: int(row["trade_seq"]))
        if [row["trade_seq"] for row in ordered] == list(range(1, len(ordered) + 1)):
            whole[name] = ordered
    return dict(list(whole.items())[:OPTIONS])


@pytest.mark.slow
def test_whole_lives_of_the_real_tape_go_through_protocol_store_and_estimator(tmp_path: Path) -> None:
    sent = rows()
    events = [trade for is_whole, trade in events_of(sent) if is_whole]
    assert len(events) == sum(map(len, sent.values()))
    last_ms = max(row["timestamp"] for group in sent.values() for row in group)
    with TradeStore(tmp_path / "trades.sqlite", clock=lambda: last_ms * 10**6, flush_interval_s=None) as store:
        for name in sent:
            of = tuple(trade for trade in events if trade.name == name)
            store.append_trades(OptionKey(name, "BTC", (last_ms + 10**9) * 10**6), of, last_ms * 10**6)
        store.flush()
        assert {name: len(store.read_rows(name, 10**9)) for name in store.stored()} == {
            name: len(group) for name, group in sent.items()
        }
    strikes = [float(name.split("-")[2]) for name in sent]
    trades = {
        "ts_ms": [trade.exch_ns // 10**6 for trade in events],
        "instrument": [trade.name for trade in events],
        "side": [trade.side for trade in events],
        "amount": [trade.size for trade in events],
        "kind": ["screen"] * len(events),
        "event": list(range(len(events))),
        "seq": [trade.seq for trade in events],
    }
    instruments = {
        "name": list(sent),
        "strike": strikes,
        "expiry_ms": [last_ms + 10**9] * len(sent),
        "type": ["call" if name.endswith("C") else "put" for name in sent],
        "listed_ms": [group[0]["timestamp"] - 1 for group in sent.values()],
    }
    found = dealer_positions(trades, {"ts_ms": [], "instrument": [], "value": []}, instruments, last_ms + 10**7)
    printed = np.array([sum(row["amount"] for row in sent[name]) for name in found.names])
    assert np.isfinite(found.net).all()
    assert (np.abs(found.net) <= printed + 1e-9).all()
    assert (found.lo <= found.net + 1e-9).all()
    assert (found.net <= found.hi + 1e-9).all()
    parts = sum(found.provenance[name] for name in found.provenance if name not in ("change", "unexplained"))
    np.testing.assert_allclose(parts, found.net, atol=1e-9)
    takers = np.array(
        [sum(r["amount"] * (1 if r["direction"] == "buy" else -1) for r in sent[name]) for name in found.names]
    )
    assert np.corrcoef(takers, found.net)[0, 1] < -0.5, "takers are customers more often than not"
