"""Both kinds of recorded board become the same events, in the same order."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.events import IndexPrice, Listed, ListingComplete, OptionTicker, Rejected
from dfmon.model.instrument import Instrument, Kind, OptionType, Settlement
from dfmon.store import boards
from tests.store.store_samples import (
    EXPIRY_MS,
    RUN_NS,
    RUN_TIME,
    TICKER_MS,
    csv_text,
    events_of_type,
    snapshot_row,
    ticker_row,
    write_board,
)

MS = 1_000_000


@pytest.mark.parametrize("name", ["board.csv", "board.csv.gz", "misnamed.dat"])
def test_ticker_board(tmp_path: Path, name: str) -> None:
    path = write_board(tmp_path / name, [ticker_row(), ticker_row("BTC-23JAN26-90000-P", timestamp=TICKER_MS + 5)])
    (board,) = boards.read_boards(path)
    assert (board.ts_ns, board.underlying) == ((TICKER_MS + 5) * MS, "BTC")
    assert [type(e) for e in board.events] == [
        Listed, Listed, ListingComplete, IndexPrice, OptionTicker, OptionTicker,
    ]  # fmt: skip
    assert board.events[0] == Listed(
        Instrument(
            "deribit", "BTC-23JAN26-90000-C", Kind.OPTION, "BTC", Settlement.INVERSE, EXPIRY_MS * MS, 90_000.0,
            OptionType.CALL, 1.0, "btc_usd", (TICKER_MS - 86_400_000) * MS,
        )
    )  # fmt: skip
    assert events_of_type(ListingComplete, board.events)[0].names == {"BTC-23JAN26-90000-C", "BTC-23JAN26-90000-P"}
    ticker = events_of_type(OptionTicker, board.events)[0]
    assert (ticker.mark_iv, ticker.bid_iv, ticker.ask_iv) == pytest.approx((0.485, 0.471, 0.499))
    assert (ticker.mark, ticker.bid, ticker.ask) == (0.0125, 0.012, 0.013)
    assert (ticker.forward, ticker.open_interest, ticker.volume) == (90_012.25, 12.5, 3.5)
    assert (ticker.exch_ns, math.isnan(ticker.index)) == (TICKER_MS * MS, True)


def test_spot_of_a_ticker_board_is_the_index_of_its_newest_row(tmp_path: Path) -> None:
    rows = [ticker_row(f"BTC-23JAN26-9000{n}-C", timestamp=TICKER_MS + n % 3, index_price=100 + n) for n in range(3)]
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", rows))
    assert events_of_type(IndexPrice, board.events) == [IndexPrice("deribit", "BTC", 102.0, (TICKER_MS + 2) * MS)]


def test_one_clock_far_ahead_does_not_date_the_board(tmp_path: Path) -> None:
    rows = [ticker_row(f"BTC-23JAN26-9000{n}-C") for n in range(3)]
    rows.append(ticker_row("BTC-23JAN26-90009-C", timestamp=TICKER_MS + 90 * 86_400_000))
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", rows))
    assert board.ts_ns == TICKER_MS * MS
    assert "line 5: timestamp is 2026-04-22" in events_of_type(Rejected, board.events)[0].detail


def test_linear_options_pay_dollars(tmp_path: Path) -> None:
    row = ticker_row("XRP_USDC-21SEP26-1d325-C", instrument_type="linear", base_currency="XRP", strike=1.325)
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", [row | {"contract_size": 1000}]))
    listed = events_of_type(Listed, board.events)[0].instrument
    assert (listed.settlement, listed.underlying, listed.strike) == (Settlement.LINEAR, "XRP", 1.325)
    assert events_of_type(OptionTicker, board.events)[0].open_interest == 12.5, "already coins: the size is not applied"


def test_snapshot_board_gives_one_board_a_currency(tmp_path: Path) -> None:
    rows = [
        snapshot_row(index_price=10.0),
        snapshot_row("ETH-27MAR26-2000-P", index_price=3.0, option_type="put"),
        snapshot_row("BTC-27MAR26-80000-C", index_price=30.0),
        snapshot_row("BTC-27MAR26-90000-C", index_price=20.0),
    ]
    path = write_board(tmp_path / "s.csv.gz", rows)
    btc, eth = boards.read_boards(path)
    assert (btc.ts_ns, btc.underlying, eth.underlying) == (RUN_NS, "BTC", "ETH")
    assert events_of_type(IndexPrice, btc.events)[0].price == 20.0
    ticker = events_of_type(OptionTicker, btc.events)[0]
    assert (ticker.mark_iv, ticker.exch_ns, ticker.forward) == (0.5988, RUN_NS, 64_195.9)
    assert math.isnan(ticker.bid_iv)
    assert boards.currencies(path) == ("BTC", "ETH")
    assert [b.underlying for b in boards.read_boards(path, {"eth"})] == ["ETH"]


def test_several_runs_come_in_order_of_time(tmp_path: Path) -> None:
    later_time = RUN_TIME.replace("T21", "T22")
    rows = [snapshot_row(timestamp=later_time), snapshot_row(), snapshot_row("ETH-27MAR26-2000-C")]
    found = [(b.ts_ns, b.underlying) for b in boards.read_boards(write_board(tmp_path / "s.csv", rows))]
    assert found == [(RUN_NS, "BTC"), (RUN_NS, "ETH"), (RUN_NS + 3_600_000_000_000, "BTC")]


def test_missing_values_are_nan_and_keep_the_row(tmp_path: Path) -> None:
    row = ticker_row(
        mark_iv="", underlying_price="null", open_interest="NaN", best_bid_price=0.0, best_ask_price="", bid_iv=0,
        stats_volume="None",
    )  # fmt: skip
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", [row]))
    (ticker,) = events_of_type(OptionTicker, board.events)
    missing_values = (ticker.mark_iv, ticker.forward, ticker.open_interest, ticker.bid, ticker.ask, ticker.bid_iv)
    assert all(map(math.isnan, (*missing_values, ticker.volume)))
    assert not events_of_type(Rejected, board.events)


def test_expired_options_stay_in(tmp_path: Path) -> None:
    row = ticker_row(expiration_timestamp=TICKER_MS - 3000)
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", [row]))
    assert len(events_of_type(Listed, board.events)) == 1


def test_board_without_any_index_has_no_spot(tmp_path: Path) -> None:
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", [ticker_row(index_price="")]))
    assert not events_of_type(IndexPrice, board.events)
    assert events_of_type(Rejected, board.events)[0].what == "index"


def test_the_content_and_not_the_name_makes_a_board(tmp_path: Path) -> None:
    assert boards.currencies(write_board(tmp_path / "x.dfj", [ticker_row()])) == ("BTC",)
    assert boards.currencies(write_board(tmp_path / "y.gz", [snapshot_row()])) == ("BTC",)
    (tmp_path / "n.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "noise.csv.gz").write_bytes(b"\x1f\x8b\xff\xff\xff\xff")
    for name in ("n.csv", "empty.csv", "noise.csv.gz", "none", ""):
        with pytest.raises(DfmonError):
            boards.currencies(tmp_path / name)


# ---- parquet -----------------------------------------------------------------------------------------------------


def write_parquet(path: Path, rows: list[dict[str, object]]) -> Path:
    pa = pytest.importorskip("pyarrow", reason="parquet boards need pyarrow (dfmon[parquet])")
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows)
    for column in ("timestamp", "expiry_datetime"):
        at = table.column_names.index(column)
        times = pc.cast(table.column(column), pa.timestamp("us", tz="UTC"))
        table = table.set_column(at, column, times)
    pq.write_table(table, path)
    return path


def test_parquet_gives_the_same_boards_as_csv(tmp_path: Path) -> None:
    rows = [
        snapshot_row(timestamp=RUN_TIME.replace("T21", "T22")),
        snapshot_row(bid_price=None, implied_volatility=None),
        snapshot_row("ETH-27MAR26-2000-P", index_price=3.0, volume=None),
        snapshot_row("BTC-27MAR26-80000-C", strike=-1.0),
        snapshot_row("BTC-27MAR26-81000-C", open_interest=math.inf),
        snapshot_row("BTC-27MAR26-82000-C", option_type="straddle"),
        snapshot_row("BTC-27MAR26-82000-C", expiry_datetime=None),
    ]
    csv_boards = list(boards.read_boards(write_board(tmp_path / "s.csv", rows)))
    parquet_boards = list(boards.read_boards(write_parquet(tmp_path / "s.parquet", rows)))
    assert [(b.ts_ns, b.underlying) for b in parquet_boards] == [(b.ts_ns, b.underlying) for b in csv_boards]
    for parquet_board, csv_board in zip(parquet_boards, csv_boards):
        valid = [[repr(e) for e in b.events if not isinstance(e, Rejected)] for b in (parquet_board, csv_board)]
        assert valid[0] == valid[1]
    details = [e.detail for b in parquet_boards for e in events_of_type(Rejected, b.events)]
    assert details == [
        "row 4: strike is -1, a number of at least 0 is expected",
        "row 5: open_interest is inf, a finite number is expected",
        "row 6: option_type is 'straddle', call or put is expected",
        "row 7: expiry_datetime is empty or out of range, a time between 2009 and 2100 is expected",
    ]


def test_parquet_row_without_time_goes_with_the_row_above(tmp_path: Path) -> None:
    rows = [snapshot_row(), snapshot_row("BTC-27MAR26-80000-C", timestamp=None)]
    (board,) = boards.read_boards(write_parquet(tmp_path / "s.parquet", rows))
    assert [e.detail[:26] for e in events_of_type(Rejected, board.events)] == ["row 2: timestamp is empty "]
    assert len(events_of_type(OptionTicker, board.events)) == 1


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "s.parquet", [snapshot_row()])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'dfmon\[parquet\]'"):
        boards.read_boards(path)


def test_spreadsheet_csv(tmp_path: Path) -> None:
    """A byte order mark and CRLF line ends, as a spreadsheet writes them, are no obstacle."""
    path = tmp_path / "b.csv"
    path.write_bytes(b"\xef\xbb\xbf" + csv_text([ticker_row()]).replace("\n", "\r\n").encode())
    (board,) = boards.read_boards(path)
    assert len(events_of_type(OptionTicker, board.events)) == 1
