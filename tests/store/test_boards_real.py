"""The boards recorded at the real venue: row counts, spots, times."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dfmon.model.errors import UsageError
from dfmon.model.events import IndexPrice, Listed, OptionTicker, Rejected
from dfmon.model.units import iso
from dfmon.store import boards
from tests.store.store_samples import events_of_type

DATA = Path(os.environ.get("DFMON_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data") / "chains"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no recorded boards in {DATA}: set DFMON_REAL_DATA to the directory that holds chains/"
)


@pytest.mark.parametrize(
    ("name", "options", "spots"),
    [
        ("deribit_BTC_20260114_options_raw.csv.gz", {"BTC": 656}, {"BTC": 96_726.86}),
        ("deribit_BTC_20260122_options_raw.csv.gz", {"BTC": 678}, {"BTC": 89_936.66}),
        (
            "deribit_options_snapshot_20251230T173115Z.csv.gz",
            {"BTC": 630, "ETH": 674},
            {"BTC": 88_524.21, "ETH": 2_978.74},
        ),
        ("deribit_options_snapshot_20260205T212937Z.csv.gz", {"BTC": 902, "ETH": 938}, {}),
        ("deribit_options_snapshot_20260402T160623Z.csv.gz", {"BTC": 888, "ETH": 748}, {}),
    ],
)
def test_recorded_board(name: str, options: dict[str, int], spots: dict[str, float]) -> None:
    found = {board.underlying: board for board in boards.read_boards(DATA / name)}
    assert {u: len(events_of_type(Listed, b.events)) for u, b in found.items()} == options
    assert {u: len(events_of_type(OptionTicker, b.events)) for u, b in found.items()} == options
    for underlying, spot in spots.items():
        assert events_of_type(IndexPrice, found[underlying].events)[0].price == pytest.approx(spot, rel=1e-6)
    assert not [e for b in found.values() for e in events_of_type(Rejected, b.events)]


def test_futures_files_are_no_boards() -> None:
    with pytest.raises(UsageError):
        boards.currencies(DATA / "deribit_BTC_20260114_futures_raw.csv.gz")


@pytest.mark.slow
def test_months_of_boards() -> None:
    pytest.importorskip("pyarrow", reason="parquet boards need pyarrow (dfmon[parquet])")
    path = DATA / "deribit_chains_20251230_20260331.parquet"
    started_s = time.process_time()
    source = boards.read_boards(path)
    first = next(source)
    first_s = time.process_time() - started_s
    count, rows, last = 1, len(events_of_type(OptionTicker, first.events)), first
    for board in source:
        assert (board.ts_ns, board.underlying) > (last.ts_ns, last.underlying)
        count, rows, last = count + 1, rows + len(events_of_type(OptionTicker, board.events)), board
    assert (count, rows) == (2 * 359, 568_354)
    assert (iso(first.ts_ns)[:16], iso(last.ts_ns)[:10]) == ("2025-12-30T17:31", "2026-03-31")
    assert first_s < 5.0, "the first board waits for a batch, not for the file"
    assert boards.currencies(path) == ("BTC", "ETH")
