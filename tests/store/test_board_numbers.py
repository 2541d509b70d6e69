"""Numbers are what the whole file says: thousands and decimals by any hand, units that agree, or one sentence."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dfmon
from dfmon.store.boards import json_table
from dfmon.store.boards.cells import BadCell
from dfmon.store.boards.number_format import unify_numbers
from tests.store.layout_samples import Option, book_summary, snapshot_rows, ticker_board, xlsx
from tests.store.store_samples import csv_text

DAYS = {"30JAN26": 90_000.0, "27MAR26": 90_700.0}
BOARD = tuple(
    Option(day, strike, kind, forward, 0.4 + 0.1 * (strike - 90_000) ** 2 / 1e8, float(strike // 50), 90_000.0)
    for day, forward in DAYS.items()
    for strike in range(76_000, 106_000, 2_000)
    for kind in ("call", "put")
)


def german(value: object, digits: int | None = None) -> str:
    """A number as a spreadsheet in German writes it, with points between thousands."""
    text = f"{value:,}" if digits is None else f"{value:,.{digits}f}"
    return text.translate(str.maketrans(",.", ".,"))


def written(rows: list[dict[str, Any]], separator: str) -> str:
    return "\n".join(separator.join(map(str, cells)) for cells in (rows[0], *(row.values() for row in rows)))


def read(path: Path, text: str | bytes, **arguments: Any) -> dfmon.Board:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return dfmon.Board.from_file(path, **arguments)


def refused(path: Path, text: str | bytes) -> str:
    with pytest.raises(ValueError, match="source: ") as caught:
        read(path, text)
    assert len(str(caught.value)) <= 200
    return str(caught.value)


# ---- thousands and decimals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "\t"])
def test_points_between_thousands_beside_decimal_commas(tmp_path: Path, separator: str) -> None:
    rows = ticker_board(BOARD)
    for row in rows:
        row |= {"strike": german(row["strike"]), "open_interest": german(int(row["open_interest"]))}
        row |= {
            name: german(row[name], 5)
            for name in ("mark_iv", "mark_price", "index_price", "underlying_price", "best_bid_price")
        }
    board = read(tmp_path / "b.csv", written(rows, separator))
    assert board.strike.tolist() == [float(option.strike) for option in BOARD]
    assert board.open_interest.tolist() == [option.interest for option in BOARD]
    assert "decimal commas, points between thousands" in board.reading


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_commas_between_thousands_cost_no_large_row(tmp_path: Path, separator: str) -> None:
    rows = [row | {"open_interest": f"{int(row['open_interest']):,}"} for row in ticker_board(BOARD)]
    board = read(tmp_path / "b.csv", written(rows, separator))
    assert board.open_interest.tolist() == [option.interest for option in BOARD]


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f", "'", "’"])
def test_blanks_between_thousands(tmp_path: Path, blank: str) -> None:
    rows = [row | {"open_interest": f"{row['open_interest']:,}".replace(",", blank)} for row in ticker_board(BOARD)]
    assert read(tmp_path / "b.csv", csv_text(rows)).open_interest.tolist() == [option.interest for option in BOARD]


@pytest.mark.parametrize("mark", [",", "."])
def test_a_thousand_or_a_fraction_is_refused_where_nothing_decides(tmp_path: Path, mark: str) -> None:
    names = ("name", "timestamp", "iv", "forward", "oi")
    rows = [dict(zip(names, (o.name, "2026-01-22T12:30:00Z", 40, 90_000, f"1{mark}520"))) for o in BOARD]
    message = refused(tmp_path / "b.csv", written(rows, ";"))
    assert f"b.csv has 1{mark}520 as oi, a thousand or a fraction" in message


@pytest.mark.slow
@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=8),
    st.lists(st.integers(0, 10**7), min_size=1, max_size=8),
    st.sampled_from(";\t|,"),
    st.sampled_from((",.", ".,")),
)
def test_every_number_is_read_as_it_was_meant(whole: list[int], cents: list[int], separator: str, marks: str) -> None:
    """Numbers with two decimals decide how the whole ones beside them are grouped."""
    swap = str.maketrans(",.", marks)
    columns: dict[str, Any] = {
        "whole": [f"{n:,}".translate(swap) for n in whole],
        "decimal": [f"{n / 100:,.2f}".translate(swap) for n in cents],
    }
    unify_numbers(columns, separator)
    assert [float(cell) for cell in columns["whole"]] == whole
    assert [float(cell) for cell in columns["decimal"]] == pytest.approx([n / 100 for n in cents])


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.sampled_from(";\t"), st.sampled_from(",."))
def test_whole_numbers_alone_are_right_or_refused(whole: list[int], separator: str, mark: str) -> None:
    columns: dict[str, Any] = {"whole": [f"{n:,}".replace(",", mark) for n in whole]}
    try:
        unify_numbers(columns, separator)
    except BadCell:
        assert max(whole) >= 1000
    else:
        assert [float(cell) for cell in columns["whole"]] == whole


# ---- units -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.25, 0.45, 0.55, 0.75, 0.9])
@pytest.mark.parametrize("has_marks", [True, False])
def test_volatilities_of_two_units_are_refused(tmp_path: Path, share: float, has_marks: bool) -> None:
    rows = ticker_board(BOARD)
    for row, draw in zip(rows, itertools.cycle(np.random.default_rng(1).permutation(20) / 20.0)):
        row["mark_iv"] /= 100.0 if draw < share else 1.0
        row["mark_price"] = row["mark_price"] if has_marks else ""
    assert "has a column mark_iv that mixes fractions and per cents" in refused(tmp_path / "b.csv", csv_text(rows))


def test_a_stray_volatility_costs_its_row(tmp_path: Path) -> None:
    rows = ticker_board(BOARD)
    rows[7]["mark_iv"] /= 100.0
    board = read(tmp_path / "b.csv", csv_text(rows))
    assert board.size == len(BOARD) - 1
    assert "1 row left out" in board.reading


@pytest.mark.parametrize(
    ("field", "factor", "said"),
    [
        ("mark_iv", 2.0, "whose mark_price is .* times the price of its mark_iv in .* rows: correct one, or leave out"),
        ("underlying_price", 1.3, "whose mark_price is .* times the price of its mark_iv"),
        ("mark_price", 3.0, "whose mark_price is 2.9. times the price of its mark_iv in 60 of 60 rows"),
        ("underlying_price", 100.0, "whose underlying_price is 100 times index_price in 60 of 60 rows: one currency"),
        ("strike", 1e-3, "whose underlying_price is .* times the nearest strike in 60 of 60 rows: one currency"),
        ("index_price", 0.01, "whose underlying_price is 100 times index_price in 60 of 60 rows"),
    ],
)  # fmt: skip
def test_a_board_of_contradictions_is_refused_and_a_few_are_left_out(
    tmp_path: Path, field: str, factor: float, said: str
) -> None:
    good = ticker_board(BOARD)
    rows = [row | {field: row[field] * factor} for row in good]
    assert re.search(said, refused(tmp_path / "b.csv", csv_text(rows)))
    at_the_money = {14, 15, 44}
    few = [rows[n] if n in at_the_money else row for n, row in enumerate(good)]
    if field != "strike":  # of an option alone it is one of many
        board = read(tmp_path / "b.csv", csv_text(few))
        assert (board.size, "3 rows left out" in board.reading) == (len(BOARD) - 3, True)


def test_a_cell_of_many_digits_takes_no_time(tmp_path: Path) -> None:
    rows = ticker_board(BOARD)
    rows[0]["expiration_timestamp"] = "9" * 100_000 + "x"
    assert "1 row left out" in read(tmp_path / "b.csv", csv_text(rows)).reading


@pytest.mark.parametrize("days", [-8.0, 0.05])
def test_a_row_far_from_the_time_of_the_others_is_left_out(tmp_path: Path, days: float) -> None:
    rows = ticker_board(BOARD)
    rows[3]["timestamp"] += round(days * 86_400_000)
    assert "1 row left out" in read(tmp_path / "b.csv", csv_text(rows)).reading


@pytest.mark.parametrize("fraction", [1.05, 1.8, 4.9])
def test_a_fraction_above_one_among_per_cents_is_no_volatility(tmp_path: Path, fraction: float) -> None:
    rows = [row | {"mark_price": ""} for row in ticker_board(BOARD)]
    rows[3]["mark_iv"] = fraction
    board = read(tmp_path / "b.csv", csv_text(rows))
    assert (board.size, "1 row left out" in board.reading) == (len(BOARD) - 1, True)
    for row in rows[:12]:
        row["mark_iv"] = fraction
    assert "mixes fractions and per cents" in refused(tmp_path / "b.csv", csv_text(rows))


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_column_that_may_be_of_either_unit_is_refused(tmp_path: Path, factor: float) -> None:
    rows = [row | {"mark_price": "", "mark_iv": 3.5 + factor * n / 100.0} for n, row in enumerate(ticker_board(BOARD))]
    assert "per cent and fraction both fit" in refused(tmp_path / "b.csv", csv_text(rows))


def without_forwards(factor: float = 1.0, *, in_dollars: bool = False) -> str:
    dropped = ("underlying_price", "index_price")
    rows = [{k: v for k, v in row.items() if k not in dropped} for row in ticker_board(BOARD)]
    for row, option in zip(rows, BOARD):
        row["mark_price"] = option.mark * factor * (option.forward if in_dollars else 1.0)
    return csv_text(rows)


@pytest.mark.parametrize("in_dollars", [True, False])
def test_forwards_by_parity_of_marks_in_coins_or_dollars(tmp_path: Path, in_dollars: bool) -> None:
    board = read(tmp_path / "b.csv", without_forwards(in_dollars=in_dollars))
    assert board.forward.tolist() == pytest.approx([option.forward for option in BOARD], rel=1e-9)
    assert board.spot == pytest.approx(90_000.0)
    assert ("prices in dollars" in board.reading) == in_dollars


def test_forwards_far_from_every_strike_are_refused(tmp_path: Path) -> None:
    rows = [
        {"symbol": f"SOL_USDC-{o.day}-{o.strike}-{o.letter}", "iv": 0.5, "oi": 1.0, "time": "2026-01-22T12:30:00Z",
         "mark": 1e6 if o.kind == "call" else 1.0}
        for o in BOARD
    ]  # fmt: skip
    message = refused(tmp_path / "b.csv", csv_text(rows))
    assert "gives a forward of 1.08e+06 for strikes from 76,000 to 104,000" in message


def test_a_missing_forward_is_that_of_its_expiry(tmp_path: Path) -> None:
    rows = ticker_board(BOARD)
    for row in rows[1::2]:
        row["underlying_price"] = 0
    board = read(tmp_path / "b.csv", csv_text(rows))
    assert board.forward.tolist() == [option.forward for option in BOARD]
    assert "30 forwards from others of their expiry" in board.reading


def test_a_book_summary_without_forwards_has_its_time_and_spot(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "underlying_price"} for row in book_summary(BOARD)]
    board = read(tmp_path / "b.json", json.dumps(rows))
    assert board.forward.tolist() == pytest.approx([option.forward for option in BOARD], rel=1e-9)
    assert board.spot == 90_000.0


def test_options_without_a_number_or_expired_are_counted(tmp_path: Path) -> None:
    rows = ticker_board(BOARD)
    for row in rows[:7]:
        row["open_interest"] = ""
    rows[20] |= {"mark_iv": 0}
    rows[21] |= {"instrument_name": "BTC-21JAN26-96000-C", "expiration_timestamp": 1_768_982_400_000, "strike": 96_000}
    reading = read(tmp_path / "b.csv", csv_text(rows)).reading
    assert "60 options, 8 of them without volatility, forward or open interest, 1 of them expired" in reading


# ---- columns without a value, and what the caller gives ------------------------------------------------------------


def test_volatility_of_ccxt_is_in_info(tmp_path: Path) -> None:
    rows = [
        {"info": row, "symbol": f"BTC/USD:BTC-{o.ymd}-{o.strike}-{o.letter}", "timestamp": row["creation_timestamp"],
         "impliedVolatility": None, "openInterest": o.interest, "markPrice": o.mark, "underlyingPrice": o.forward}
        for o, row in zip(BOARD, book_summary(BOARD))
    ]  # fmt: skip
    board = read(tmp_path / "b.json", json.dumps({row["symbol"]: row for row in rows}))
    assert board.sigma.tolist() == pytest.approx([option.sigma for option in BOARD])
    assert "info.mark_iv as per cent" in board.reading


def ccxt_rows() -> list[dict[str, Any]]:
    """A chain of ccxt in which half of the rows have their volatility in `info` alone."""
    return [
        {"symbol": f"BTC/USD:BTC-{o.ymd}-{o.strike}-{o.letter}", "timestamp": row["creation_timestamp"],
         "impliedVolatility": None if n % 2 else o.sigma * 100.0, "openInterest": o.interest, "markPrice": o.mark,
         "underlyingPrice": o.forward, "info": {"mark_iv": str(o.sigma * 100.0), "estimated_delivery_price": o.spot}}
        for n, (o, row) in enumerate(zip(BOARD, book_summary(BOARD)))
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("container", ["json", "csv", "parquet", "flat.parquet"])
@pytest.mark.parametrize("is_all_empty", [False, True])
def test_volatilities_that_a_column_lacks_come_from_another_row_by_row(
    tmp_path: Path, container: str, is_all_empty: bool
) -> None:
    rows, path = ccxt_rows(), tmp_path / f"b.{container}"
    if is_all_empty:
        rows = [row | {"impliedVolatility": None} for row in rows]
    flat = [row | {f"info.{name}": value for name, value in row["info"].items()} for row in rows]
    if container == "json":
        path.write_text(json.dumps(rows))
    elif container == "csv":
        path.write_text(csv_text([{k: "" if v is None else v for k, v in row.items() if k != "info"} for row in flat]))
    else:
        frame = pytest.importorskip("pandas").DataFrame(flat if "flat" in container else rows)
        frame.drop(columns="info" if "flat" in container else []).to_parquet(path)
    board = dfmon.Board.from_file(path)
    assert board.sigma.tolist() == pytest.approx([option.sigma for option in BOARD])
    said = "info.mark_iv as per cent" if is_all_empty else "info.mark_iv where impliedVolatility is empty"
    assert said in board.reading


def test_a_column_that_comes_twice_is_named(tmp_path: Path) -> None:
    lines = csv_text(ticker_board(BOARD)).splitlines()
    text = "\n".join([lines[0] + ",Mark IV", *(line + ",99" for line in lines[1:])])
    assert "first of 2 columns mark_iv" in read(tmp_path / "b.csv", text).reading


def test_a_board_is_found_by_its_very_microsecond(tmp_path: Path) -> None:
    first, second = (datetime(2026, 1, 25, 21, 19, 33, us, tzinfo=UTC) for us in (16_038, 168_926))
    rows = [
        row | {"open_interest": number, "mark_price": ""}
        for number, at in enumerate((first, second), 1)
        for row in snapshot_rows(BOARD, at)
    ]
    for number, at in enumerate((first, second), 1):
        assert set(read(tmp_path / "b.csv", csv_text(rows), at=at).open_interest) == {number}


def test_times_that_a_spreadsheet_has_shortened_are_refused(tmp_path: Path) -> None:
    rows = [row | {"timestamp": "1.76908E+12"} for row in ticker_board(BOARD)]
    assert "'1.76908E+12', which lacks digits" in refused(tmp_path / "b.csv", csv_text(rows))


def test_what_encloses_rows_does_not_multiply_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"instrument_name": "BTC-27MAR26-90000-C", "mark_iv": 50}] * 10_000
    around = {f"k{n}": n for n in range(10_000)}
    assert "within more than 400 other values" in refused(tmp_path / "b.json", json.dumps(around | {"rows": rows}))
    monkeypatch.setattr(json_table, "_MAX_CELLS", 900)
    few = {f"k{n}": n for n in range(100)} | {"rows": rows[:10]}
    assert "has rows of more than 900 values" in refused(tmp_path / "b.json", json.dumps(few))


def test_an_answer_without_rows_is_quoted(tmp_path: Path) -> None:
    text = '{"code": 0, "msg": "Service unavailable from a restricted location"}'
    assert "says 'Service unavailable from a restricted location'" in refused(tmp_path / "b.json", text)


@pytest.mark.parametrize(("underlying", "is_read"), [("BTC", True), (90_050, False)])
def test_the_currency_may_be_named_underlying(tmp_path: Path, underlying: Any, is_read: bool) -> None:
    rows = [
        {"strike": o.strike, "type": o.kind, "expiry": f"{o.expiry:%Y-%m-%d}", "iv": o.sigma, "oi": o.interest,
         "forward": o.forward}
        for o in BOARD
    ]  # fmt: skip
    text = json.dumps({"timestamp": "2026-01-22T12:30:00Z", "underlying": underlying, "options": rows})
    if is_read:
        assert read(tmp_path / "b.json", text).size == len(BOARD)
    else:
        assert "underlying is 90050, a currency is expected" in refused(tmp_path / "b.json", text)


def test_a_file_with_two_columns_of_one_kind_says_which_it_takes(tmp_path: Path) -> None:
    rows = [{"IV": 0.9 * row["mark_iv"], "OI": 2.0 * row["open_interest"], **row} for row in ticker_board(BOARD)]
    rows = [{k: v for k, v in row.items() if k not in ("base_currency", "kind")} for row in rows]
    kept = ("IV", "mark_iv", "OI", "open_interest", "instrument_name", "underlying_price", "index_price", "date")
    generic = [{k: v for k, v in ({**row, "date": row["timestamp"]}).items() if k in kept} for row in rows]
    reading = read(tmp_path / "b.csv", csv_text(generic)).reading
    assert "mark_iv and not IV" in reading
    assert "open_interest and not OI" in reading
    same = [row | {"IV": row["mark_iv"], "OI": row["open_interest"]} for row in generic]
    assert "and not" not in read(tmp_path / "b.csv", csv_text(same)).reading


@pytest.mark.parametrize("container", ["json", "xlsx", "parquet"])
@pytest.mark.parametrize("mark", [",", "."])
def test_numbers_as_text_follow_the_rule_of_text_files(tmp_path: Path, container: str, mark: str) -> None:
    shown: list[dict[str, Any]] = []
    for row in ticker_board(BOARD):
        texts = {n: f"{row[n]:,.5f}" for n in ("strike", "open_interest", "mark_iv", "mark_price", "underlying_price")}
        shown.append(row | {n: german(float(row[n]), 5) if mark == "," else text for n, text in texts.items()})
    path = tmp_path / f"b.{container}"
    if container == "json":
        path.write_text(json.dumps(shown))
    elif container == "xlsx":
        path.write_bytes(xlsx(shown))
    else:
        pytest.importorskip("pandas").DataFrame(shown).to_parquet(path)
    board = dfmon.Board.from_file(path)
    assert board.strike.tolist() == [float(option.strike) for option in BOARD]
    assert board.open_interest.tolist() == [option.interest for option in BOARD]
    assert ("decimal commas" in board.reading) == (mark == ",")
    assert "between thousands" in board.reading


def test_text_of_a_workbook_that_may_be_a_thousand_or_a_fraction_is_refused(tmp_path: Path) -> None:
    rows = [row | {"open_interest": f"{n + 1}.234"} for n, row in enumerate(ticker_board(BOARD))]
    assert "a thousand or a fraction" in refused(tmp_path / "b.xlsx", xlsx(rows))


def test_a_workbook_with_a_password_is_a_sentence(tmp_path: Path) -> None:
    data = bytearray(xlsx(ticker_board(BOARD)))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + flags] |= 1  # encrypted
            at = data.find(signature, at + 1)
    assert "is a workbook with a password" in refused(tmp_path / "b.xlsx", bytes(data))


@pytest.mark.parametrize("names", ["instrument_name", "base_currency"])
def test_names_and_currencies_may_be_in_any_case(tmp_path: Path, names: str) -> None:
    rows = [row | {names: row[names].lower()} for row in ticker_board(BOARD)]
    board = read(tmp_path / "b.csv", csv_text(rows), currency="BTC")
    assert board.names == tuple(option.name for option in BOARD)


def test_columns_without_a_number_are_named(tmp_path: Path) -> None:
    rows = [row | {"open_interest": ""} for row in ticker_board(BOARD)]
    assert "no open_interest in any row" in read(tmp_path / "b.csv", csv_text(rows)).reading


@pytest.mark.parametrize(("time", "is_said"), [("2026-01-22", True), ("2026-01-22T00:30:00Z", False)])
def test_a_day_in_place_of_a_time_is_said(tmp_path: Path, time: str, is_said: bool) -> None:
    rows = [
        {"contract_symbol": o.name, "expiration": f"{o.expiry:%Y-%m-%d}", "strike": o.strike, "open_interest": 1.0,
         "implied_volatility": o.sigma, "underlying_price": o.forward, "eod_date": time}
        for o in BOARD
    ]  # fmt: skip
    assert ("time as 00:00 UTC of eod_date" in read(tmp_path / "b.csv", csv_text(rows)).reading) == is_said


def test_currency_of_rows_without_one(tmp_path: Path) -> None:
    rows = [
        {"Strike": o.strike, "Type": o.letter, "Expiry": f"{o.expiry:%Y-%m-%d}", "IV": o.sigma, "OI": o.interest,
         "Forward": o.forward, "Spot": o.spot, "Time": "2026-01-22T12:30:00Z"}
        for o in BOARD
    ]  # fmt: skip
    assert "one of them is expected in a column" in refused(tmp_path / "b.csv", csv_text(rows))
    board = read(tmp_path / "b.csv", csv_text(rows), currency="btc")
    assert board.names[0] == BOARD[0].name
    assert dfmon.Board.from_deribit(rows, currency="BTC").names == board.names


@pytest.mark.parametrize("at", ["2026-01-22T12:31:32", 1_769_085_092, float("nan"), date(2026, 1, 22)])
def test_a_moment_that_is_none(tmp_path: Path, at: Any) -> None:
    with pytest.raises(ValueError, match=r"^at: .* is no moment; a datetime such as"):
        read(tmp_path / "b.csv", csv_text(ticker_board(BOARD)), at=at)
