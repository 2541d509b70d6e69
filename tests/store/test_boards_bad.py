"""A bad row costs that row; a bad file is one clear sentence. Nothing else escapes from reading a board."""

from __future__ import annotations

import gzip
import os
import random
import struct
from pathlib import Path

import pytest

from dfmon.model.errors import DfmonError, SourceError, UsageError
from dfmon.model.events import ListingComplete, OptionTicker, Rejected
from dfmon.store import boards
from dfmon.store.boards import parquet_table
from tests.store.store_samples import csv_text, events_of_type, snapshot_row, ticker_row, write_board
from tests.store.test_boards import write_parquet

GOOD = "BTC-23JAN26-95000-C"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"mark_iv": "abc"}, "line 2: mark_iv is 'abc', a number is expected"),
        ({"mark_iv": "inf"}, "line 2: mark_iv is 'inf', a finite number is expected"),
        ({"mark_iv": "1e400"}, "line 2: mark_iv is '1e400', a finite number is expected"),
        ({"mark_iv": -5}, "line 2: mark_iv is '-5', a number of at least 0 is expected"),
        ({"mark_iv": 1e7}, "line 2: mark_iv is '10000000.0', a number up to 2000 is expected"),
        ({"open_interest": "1_000"}, "line 2: open_interest is '1_000', a number is expected"),
        ({"open_interest": "٣"}, "line 2: open_interest is '٣', a number is expected"),
        ({"underlying_price": "0x10"}, "line 2: underlying_price is '0x10', a number is expected"),
        ({"best_bid_price": "--"}, "line 2: best_bid_price is '--', a number is expected"),
        ({"strike": ""}, "line 2: strike is '', a number above 0 is expected"),
        ({"strike": "nan"}, "line 2: strike is 'nan', a number above 0 is expected"),
        ({"strike": 0}, "line 2: strike is '0', a number above 0 is expected"),
        ({"strike": "-90000"}, "line 2: strike is '-90000', a number of at least 0 is expected"),
        ({"instrument_name": ""}, "line 2: instrument_name is ''"),
        ({"instrument_name": "BTC\x1b[2J"}, "line 2: instrument_name is 'BTC?[2J'"),
        ({"instrument_name": "B" * 90}, "a name of 1 to 64 printable characters is expected"),
        ({"option_type": ""}, "line 2: option_type is '', call or put is expected"),
        ({"option_type": "future"}, "line 2: option_type is 'future', call or put is expected"),
        ({"expiration_timestamp": ""}, "line 2: expiration_timestamp is ''"),
        ({"expiration_timestamp": "soon"}, "a time such as 2026-01-30T08:00:00Z is expected"),
        ({"expiration_timestamp": 1e300}, "a time between 2009 and 2100 is expected"),
        ({"expiration_timestamp": "inf"}, "a time between 2009 and 2100 is expected"),
        ({"timestamp": "-7"}, "line 2: timestamp is '-7'"),
        ({"instrument_type": "quanto"}, "line 2: instrument_type is 'quanto', reversed or linear is expected"),
        ({"kind": "option_combo"}, "line 2: kind is 'option_combo', option is expected"),
        ({"base_currency": ""}, "line 2: base_currency is ''"),
    ],
)
def test_bad_row_of_a_ticker_board(tmp_path: Path, cells: dict[str, object], message: str) -> None:
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", [ticker_row() | cells, ticker_row(GOOD)]))
    (rejected,) = events_of_type(Rejected, board.events)
    assert (rejected.source, rejected.what) == ("board", "row")
    assert message in rejected.detail
    assert [e.name for e in events_of_type(OptionTicker, board.events)] == [GOOD]
    assert events_of_type(ListingComplete, board.events)[0].names == {GOOD}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"timestamp": "yesterday"}, "line 3: timestamp is 'yesterday', a time such as"),
        ({"timestamp": ""}, "line 3: timestamp is ''"),
        ({"timestamp": "9999-12-31T23:59:59-14:00"}, "a time between 2009 and 2100 is expected"),
        ({"expiry_datetime": ""}, "line 3: expiry_datetime is ''"),
        ({"expiry_datetime": "0001-01-01T00:00:00+14:00"}, "line 3: expiry_datetime is"),
        ({"implied_volatility": "40%"}, "line 3: implied_volatility is '40%', a number is expected"),
        ({"implied_volatility": 3000}, "line 3: implied_volatility is '3000', a number up to 2000 is expected"),
    ],
)
def test_bad_row_of_a_snapshot_board(tmp_path: Path, cells: dict[str, object], message: str) -> None:
    rows = [snapshot_row(), snapshot_row("BTC-27MAR26-80000-C", **cells)]
    (board,) = boards.read_boards(write_board(tmp_path / "s.csv", rows))
    assert message in events_of_type(Rejected, board.events)[0].detail
    assert len(events_of_type(OptionTicker, board.events)) == 1


def test_duplicate_rows_last_wins(tmp_path: Path) -> None:
    rows = [ticker_row(open_interest=1), ticker_row(GOOD), ticker_row(open_interest=2)]
    (board,) = boards.read_boards(write_board(tmp_path / "b.csv", rows))
    assert [t.open_interest for t in events_of_type(OptionTicker, board.events)] == [2.0, 12.5]
    (rejected,) = events_of_type(Rejected, board.events)
    assert rejected.what == "duplicate"
    assert "line 4: BTC-23JAN26-90000-C repeats line 2" in rejected.detail


def test_ragged_lines_and_stray_quotes_cost_their_line(tmp_path: Path) -> None:
    lines = csv_text([ticker_row(), ticker_row(GOOD)]).splitlines()
    path = tmp_path / "b.csv"
    path.write_text("\n".join([lines[0], lines[1] + ",1", '"' + lines[1], "", "x", lines[2]]) + "\n")
    (board,) = boards.read_boards(path)
    assert len(events_of_type(Rejected, board.events)) == 3
    assert [e.name for e in events_of_type(OptionTicker, board.events)] == [GOOD]


def test_other_currencies_are_skipped_silently(tmp_path: Path) -> None:
    rows = [snapshot_row(), snapshot_row("ETH-27MAR26-2000-C"), snapshot_row("ETH-27MAR26-2100-C", strike="x")]
    (board,) = boards.read_boards(write_board(tmp_path / "s.csv", rows), ["BTC"])
    assert board.underlying == "BTC"
    assert not events_of_type(Rejected, board.events)


# ---- files -------------------------------------------------------------------------------------------------------


def usage_error(path: Path, underlyings: list[str] | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        boards.read_boards(path, underlyings)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return caught.value


def test_missing_file_and_directory(tmp_path: Path) -> None:
    assert "none.csv does not exist" in str(usage_error(tmp_path / "none.csv"))
    assert "is a directory" in str(usage_error(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in str(usage_error(tmp_path / "pipe"))
    assert "cannot read a?b" in str(usage_error(Path("a\0b")))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_board(tmp_path / "b.csv", [ticker_row()])

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    assert str(usage_error(path)).endswith("b.csv: permission denied")


def test_futures_are_named(tmp_path: Path) -> None:
    row = {"kind": "future", "instrument_name": "BTC-16JAN26", "future_type": "reversed", "timestamp": 1}
    message = str(usage_error(write_board(tmp_path / "f.csv.gz", [row])))
    assert message == "f.csv.gz contains futures, not options: an option board is expected"


def test_no_kind_names_what_is_missing(tmp_path: Path) -> None:
    row = snapshot_row()
    del row["open_interest"]
    message = str(usage_error(write_board(tmp_path / "n.csv", [row])))
    assert message == "n.csv seems to be a snapshot board without open interest, which is expected in a column"
    del row["implied_volatility"], row["currency"]
    message = str(usage_error(write_board(tmp_path / "n.csv", [row])))
    assert message.startswith("n.csv is no option board, its columns are timestamp, instrument_name, ")
    assert message.endswith("; a snapshot board would have implied_volatility too")
    assert len(message) <= 200


@pytest.mark.parametrize("data", [b"", b"\n", gzip.compress(b"", mtime=0)], ids=["nothing", "a line", "gzip"])
def test_empty_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "e.csv"
    path.write_bytes(data)
    assert "is empty" in str(usage_error(path))


def test_header_only(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    path.write_text(csv_text([ticker_row()]).splitlines()[0] + "\n")
    assert "is a ticker board without rows" in str(usage_error(path))


def test_no_usable_row(tmp_path: Path) -> None:
    message = str(usage_error(write_board(tmp_path / "b.csv", [ticker_row(strike="x")] * 3)))
    assert "without a usable row: line 2: strike is 'x'" in message


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(csv_text([ticker_row()]).encode() + b"a,b\n\xff\xfe\n")
    assert "is not text: line 4, byte" in str(usage_error(path))
    path.write_bytes(b"x" * (3 << 20))
    assert "line 1 is longer than 1,048,576 characters" in str(usage_error(path))


def test_utf_16_is_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(csv_text([ticker_row()]).encode("utf-16"))
    assert boards.currencies(path) == ("BTC",)


def test_currency_that_is_not_there(tmp_path: Path) -> None:
    path = write_board(tmp_path / "b.csv", [ticker_row()])
    assert str(usage_error(path, ["SOL", "BTC"])).endswith("b.csv has no options on SOL; available: BTC")


def test_control_characters_do_not_reach_the_message(tmp_path: Path) -> None:
    path = tmp_path / "x\x1b[31m.csv"
    path.write_text("a\x1b[2J,b\n1,2\n")
    assert "\x1b" not in str(usage_error(path))


def test_truncated_and_corrupt_gzip(tmp_path: Path) -> None:
    path = write_board(
        tmp_path / "b.csv.gz", [ticker_row(f"BTC-23JAN26-{n}-C", index_price=n * 7) for n in range(1, 900)]
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match=r"b\.csv\.gz is damaged: its gzip data end after [\d,]+ unpacked") as caught:
        boards.read_boards(path)
    assert caught.value.exit_code == 1
    path.write_bytes(data[:-8] + b"\0" * 8)
    with pytest.raises(SourceError, match="is damaged: its gzip data end after"):
        boards.read_boards(path)


def test_damaged_or_foreign_parquet(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "s.parquet", [snapshot_row()])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match="footer is unreadable"):
        boards.read_boards(path)
    without_interest = {k: v for k, v in snapshot_row().items() if k != "open_interest"}
    message = str(usage_error(write_parquet(tmp_path / "l.parquet", [without_interest])))
    assert message == "l.parquet seems to be a snapshot board without open interest, which is expected in a column"
    (board,) = boards.read_boards(write_parquet(tmp_path / "w.parquet", [snapshot_row(strike="high")]))
    assert [e.detail for e in events_of_type(Rejected, board.events)] == [
        "row 1: strike is 'high', a number is expected"
    ]


def test_parquet_with_a_changed_page_is_damaged_where_it_has_checksums(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    arrow, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [snapshot_row(f"BTC-27MAR26-{strike}-C") for strike in range(80_000, 90_000, 1_000)]
    table = arrow.Table.from_pylist(rows)
    pq.write_table(
        table, path, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
    )
    data = bytearray(path.read_bytes())
    data[data.index(struct.pack("<d", rows[0]["open_interest"])) + 6] ^= 1
    path.write_bytes(data)
    assert pq.ParquetFile(path).read().num_rows == len(rows), "it opens, with another number"
    with pytest.raises(SourceError, match="is damaged: "):
        list(boards.read_boards(path))


def error_of(path: Path) -> str | None:
    """None where boards came out, else what the error says."""
    try:
        return None if all(board.events for board in boards.read_boards(path)) else "a board without events"
    except DfmonError as exc:
        return str(exc)


@pytest.mark.slow
def test_mutated_files_give_boards_or_one_sentence(tmp_path: Path) -> None:
    """Seeded mutations of good files, text and parquet: nothing but DfmonError ever comes out."""
    rng = random.Random(7)
    sources = [
        write_board(tmp_path / "a.csv", [ticker_row(), ticker_row(GOOD)]),
        write_board(tmp_path / "b.csv.gz", [snapshot_row(), snapshot_row("ETH-27MAR26-2000-C")]),
        write_parquet(tmp_path / "c.parquet", [snapshot_row(), snapshot_row("ETH-27MAR26-2000-C")]),
    ]
    target = tmp_path / "mutant"
    for iteration in range(300):
        data = bytearray(sources[iteration % 3].read_bytes())
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        target.write_bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.2 else data)
        message = error_of(target)
        assert message is None or "\n" not in message


@pytest.mark.slow
def test_a_text_of_too_many_rows_is_refused(tmp_path: Path) -> None:
    head, row = csv_text([snapshot_row()]).splitlines()
    path = tmp_path / "b.csv"
    path.write_text("\n".join([head, *[row] * 130_000, "x"]) + "\n")
    assert "rows and 0 other lines, the limit of a text; as parquet it is read a run at a time" in str(
        usage_error(path)
    )
    path.write_text(f"{head}\n" + "x\n" * 100_002)
    assert "has more than 0 rows and 100,001 other lines" in str(usage_error(path))
    path.write_bytes(b"[" + b" " * 10_000_000 + b"]")
    assert "is larger than 10 MB, which is the limit" in str(usage_error(path))


def test_parquet_of_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [snapshot_row(f"BTC-27MAR26-{strike}-C", strike=strike) for strike in (70_000, 80_000, 90_000)]
    path = write_parquet(tmp_path / "b.parquet", rows)
    monkeypatch.setattr(parquet_table, "_MAX_RUN_ROWS", 2)
    with pytest.raises(UsageError, match="has 3 rows of one time, at most 2 are read: split it by time"):
        list(boards.read_boards(path))
    monkeypatch.setattr(parquet_table, "_MAX_ROWS", 2)
    with pytest.raises(UsageError, match="has 3 rows, at most 2 are read"):
        list(boards.read_boards(path))
