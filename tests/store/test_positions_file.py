"""Files of positions as people, Deribit and ccxt write them; everything else is a sentence with the line."""

from __future__ import annotations

import gzip
import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dfmon.model.errors import DfmonError, UsageError
from dfmon.store.position_names import is_future_name, option_name
from dfmon.store.positions_file import read_positions
from tests.shared_data import SHARED
from tests.store.layout_samples import xlsx

CASES = SHARED / "cases"
EXPECTED = {"BTC-27MAR26-100000-C": -2.5, "ETH-7JAN26-3000-P": 10.0, "XRP_USDC-21SEP26-1d325-C": 0.0}
FOLDER_FIXTURE = [HealthCheck.function_scoped_fixture]


def _read(folder: Path, text: str, encoding: str = "utf-8") -> dict[str, float]:
    path = folder / "held"
    path.write_bytes(text.encode(encoding))
    return read_positions(path)


@pytest.mark.parametrize("rows", [
    [{"instrument_name": name, "position": size} for name, size in EXPECTED.items()],
    [{"Instrument": name.lower(), "Size (BTC)": f"{size:.1f}".replace(".", ",")} for name, size in EXPECTED.items()],
])  # fmt: skip
def test_positions_as_a_workbook(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = tmp_path / "held.xlsx"
    path.write_bytes(xlsx(rows))
    assert read_positions(path) == EXPECTED


def test_a_workbook_that_is_wrong_is_a_sentence_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "held.xlsx"
    for rows, words in (
        ([{"instrument_name": "BTC-27MAR26-100000-C", "position": "many"}], "line 2: the position of BTC-27MAR26"),
        ([{"a": 1.0, "b": 2.0}], "line 1: the header instrument_name,position is expected"),
        ([{"instrument_name": "BTC-27MAR26-100000-C", "position": "1.234"}], "is a thousand or a fraction"),
    ):
        path.write_bytes(xlsx(rows))
        with pytest.raises(UsageError, match=re.escape(words)):
            read_positions(path)
    path.write_bytes(xlsx([{"a": 1.0}])[:-30])
    with pytest.raises(DfmonError, match=r"held\.xlsx is damaged"):
        read_positions(path)


def test_a_workbook_of_a_zip_from_the_future_is_a_sentence(tmp_path: Path) -> None:
    data = bytearray(xlsx([{"instrument_name": "BTC-27MAR26-100000-C", "position": 1.0}]))
    data[data.index(b"PK\x01\x02") + 6] = 106  # the version that is needed to unpack it
    path = tmp_path / "held.xlsx"
    path.write_bytes(data)
    with pytest.raises(DfmonError, match=r"held\.xlsx"):
        read_positions(path)


def _deribit_rows() -> list[dict[str, object]]:
    """Rows of get_positions: the size of a short is negative or not, futures are among them."""
    common = {"average_price": 0.05, "delta": -0.4, "floating_profit_loss": 0.1, "mark_price": 0.06, "theta": -3.0}
    return [
        common | {"instrument_name": "BTC-27MAR26-100000-C", "kind": "option", "direction": "sell", "size": -2.5},
        common | {"instrument_name": "BTC-PERPETUAL", "kind": "future", "direction": "buy", "size": 5000.0},
        common | {"instrument_name": "ETH-7JAN26-3000-P", "kind": "option", "direction": "buy", "size": 10.0},
        common | {"instrument_name": "XRP_USDC-21SEP26-1d325-C", "kind": "option", "direction": "zero", "size": 0.0},
    ]


def _ccxt_rows() -> list[dict[str, object]]:
    symbols = [
        "BTC/USD:BTC-260327-100000-C",
        "BTC/USD:BTC",
        "ETH/USD:ETH-260107-3000-P",
        "XRP/USDC:USDC-260921-1.325-C",
    ]
    sides = ["short", "long", "long", "short"]
    return [
        {"info": row, "id": None, "symbol": symbol, "contracts": row["size"], "contractSize": None, "side": side}
        for row, symbol, side in zip(_deribit_rows(), symbols, sides)
    ]


def _table(header: str, *rows: str) -> str:
    return "\n".join((header, *rows)) + "\n"


TEXTS = {
    "own": _table(
        "instrument_name,position", "BTC-27MAR26-100000-C,-2.5", "ETH-7JAN26-3000-P,1e1", "XRP_USDC-21SEP26-1d325-C,0"
    ),
    "any case, comments, blank lines": _table(
        "# our book",
        "Instrument_Name , Position",
        "",
        "btc-27mar26-100000-c, -2.5  # sold",
        "// hedges",
        '"Eth-07Jan26-3000-p",10',
        "xrp_usdc-21sep26-1D325-c,0",
    ),
    "no header": _table("BTC-27MAR26-100000-C,-2.5", "ETH-7JAN26-3000-P,10", "XRP_USDC-21SEP26-1.325-C,0"),
    "decimal comma": _table(
        "instrument;size;direction",
        "BTC-27MAR26-100000-C;2,5;SELL",
        "ETH-7JAN26-3000-P;10;Buy",
        "XRP_USDC-21SEP26-1D325-C;0,0;zero",
    ),
    "tabs": _table(
        "Instrument\tSize", "BTC-27MAR26-100000-C\t(2.5)", "ETH-7JAN26-3000-P\t10", "XRP_USDC-21SEP26-1d325-CALL\t0"
    ),
    "web page": _table(
        "Instrument,Size (BTC),Value,Avg. Price,Mark Price,PnL",
        'BTC-27MAR26-100000-C,\u22122.5 BTC,"-1,250",0.05,0.06,-0.1',
        "ETH-7JAN26-3000-P,10.0 ETH,1,1,1,1",
        "XRP_USDC-21SEP26-1d325-C,0,0,0,0,0",
        "BTC-PERPETUAL,5000,1,1,1,1",
    ),
    "Deribit": json.dumps({"jsonrpc": "2.0", "result": _deribit_rows()}),
    "Deribit, JSON lines": "\n".join(map(json.dumps, _deribit_rows())),
    "Deribit, sizes without a sign": json.dumps(
        [row | {"size": abs(float(str(row["size"])))} for row in _deribit_rows()]
    ),
    "ccxt": json.dumps(_ccxt_rows(), indent=1),
    "ccxt without contracts": json.dumps([row | {"contracts": None} for row in _ccxt_rows()]),
    "ccxt, table": _table(
        "symbol,contracts,side,info",
        *(f"{row['symbol']},{str(row['contracts']).strip('-')},{row['side']},\"{{'a': 1}}\"" for row in _ccxt_rows()),
    ),
    "names and numbers": json.dumps(EXPECTED),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_read(name: str, tmp_path: Path) -> None:
    assert _read(tmp_path, TEXTS[name]) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_in_any_encoding_and_packing(encoding: str, tmp_path: Path) -> None:
    text = TEXTS["own"].replace("\n", "\r\n")
    assert _read(tmp_path, text, encoding) == EXPECTED
    (tmp_path / "packed").write_bytes(gzip.compress(text.encode(encoding)))
    assert read_positions(tmp_path / "packed") == EXPECTED


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1e2", 100.0),
        ("\u221212", -12.0),
        ("(12)", -12.0),
        ('"1,250.5"', 1250.5),
        ('"-1,250,000"', -1.25e6),
        ("+3", 3.0),
        ("1_000", 1000.0),
        (" 7 ", 7.0),
        ("0.4 BTC", 0.4),
        ("1e9", 1e9),
    ],
)
def test_numbers_as_people_write_them(cell: str, value: float, tmp_path: Path) -> None:
    assert _read(tmp_path, f"instrument_name,position\nBTC-30JAN26-80000-C,{cell}\n") == {"BTC-30JAN26-80000-C": value}


A = "BTC-30JAN26-80000-C"
HEADER = "instrument_name,position\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "the position file has no position, at least one option is expected"),
        (HEADER, "has no position"),
        (HEADER + "BTC-PERPETUAL,5\nBTC/USD:BTC,1\nBTC-27MAR26,1\n", "has 3 futures and no option"),
        (
            "a,b\n1,2\n",
            "line 1: the header instrument_name,position is expected, or that of Deribit's or ccxt's rows",
        ),
        (HEADER + f"{A},ten\n", f"line 2: the position of {A} is 'ten', a number of coins up to 1e+09 is expected"),
        (HEADER + f"{A},\n", f"line 2: the position of {A} is missing"),
        (HEADER + f"{A},1e400\n", "is '1e400', a number"),
        (HEADER + f"{A},1e308\n", "is '1e308', a number"),
        (HEADER + f"{A},nan\n", "is 'nan', a number"),
        (HEADER + f'# c\n{A},"1,25"\n', "line 3: the position of BTC-30JAN26-80000-C is '1,25'"),
        (HEADER.replace(",", ";") + f"{A};1,250\n", "is '1,250', a number"),
        (HEADER + f"{A},1\n{A.lower()},1\n", f"line 3: {A} is listed twice"),
        (HEADER + f"{A},1,2\n", "line 2: 3 columns, 2 are expected"),
        (HEADER + ",1\n", "line 2: the name is missing"),
        ("instrument,size,side\n" + f"{A},-1,buy\n", "the side of BTC-30JAN26-80000-C is 'buy' with a size of -1"),
        ("instrument,size,side\n" + f"{A},1,both\n", "the side of BTC-30JAN26-80000-C is 'both' with a size of 1"),
        ("instrument,size,side\n" + f"{A},1,zero\n", "'zero' with a size of 1"),
        (HEADER + f'"{A},1\n', "line 2: "),
        ("[1]", "row 1 is 1, an object is expected"),
        ("{", "the position file is not JSON"),
        ("[" * 100_000, "the position file is not JSON"),
        (json.dumps({A: True}), "is 'True', a number"),
        (json.dumps({A: [1]}), r"is '\[1\]', a number"),
        (HEADER + "\x00,1\n", "line 2: "),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(text: str, error: str, tmp_path: Path) -> None:
    if "\x00" in text:
        assert _read(tmp_path, text) == {"\x00": 1.0}  # a name that is listed nowhere
        return
    with pytest.raises(UsageError, match=error.replace("+", r"\+")) as caught:
        _read(tmp_path, text)
    assert len(str(caught.value).replace(str(tmp_path), "")) <= 200


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=FOLDER_FIXTURE)
@example(text='symbol\tsize\n"\n')
@given(text=st.one_of(
    st.text(max_size=200),
    st.builds(lambda text, at, cut: text[:at] + cut + text[at + 1:], st.sampled_from(list(TEXTS.values())),
              st.integers(0, 200), st.text(max_size=3)),
))  # fmt: skip
def test_any_text_is_positions_or_a_sentence(text: str, tmp_path: Path) -> None:
    try:
        found = _read(tmp_path, text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    except DfmonError:
        return
    assert found
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("BTC-7JAN26-100000-C", "BTC-7JAN26-100000-C"),
        (" btc-07jan26-100000-put ", "BTC-7JAN26-100000-P"),
        ("XRP_USDC-21SEP26-1D325-C", "XRP_USDC-21SEP26-1d325-C"),
        ("BTC/USDC:USDC-260107-90000-P", "BTC_USDC-7JAN26-90000-P"),
        ("BTC/USD:BTC-261307-90000-P", None),
        ("BTC-7JAN26-100000", None),
        ("BTC-PERPETUAL", None),
        ("", None),
    ],
)
def test_names(text: str, name: str | None) -> None:
    assert option_name(text) == name
    assert name is None or option_name(name) == name


def test_names_of_futures() -> None:
    assert all(map(is_future_name, ("btc-perpetual", "BTC-27MAR26", "BTC_USDC-PERPETUAL", "BTC-FS-30SEP22_PERP")))
    assert all(map(is_future_name, ("BTC/USD:BTC", "BTC/USDC:USDC", "BTC/USD:BTC-260327", "BTC/USDT")))
    assert not any(map(is_future_name, ("BTC-27MAR26-1-C", "BTC", "", "BTC/USD:BTC-260327-1-C")))


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES}")
def test_the_cases_beside_the_project(tmp_path: Path) -> None:
    files = {path.name: path for path in CASES.glob("*/pos_*.csv")}
    assert set(read_positions(files["pos_lower.csv"])) == {
        name.upper() for name in read_positions(files["pos_lower.csv"])
    }
    assert read_positions(files["pos_bom_crlf.csv"])["BTC-30JAN26-80000-P"] == 10.5
    assert read_positions(files["pos_minus.csv"]) == {"BTC-30JAN26-80000-C": -12.0}
    assert read_positions(files["pos_paren.csv"]) == {"BTC-30JAN26-80000-C": -12.0}
    assert read_positions(files["pos_thou.csv"]) == {"BTC-30JAN26-80000-C": 1250.5}
    for name in ("pos_dup.csv", "pos_huge.csv", "pos_inf.csv"):
        with pytest.raises(UsageError, match=r"line [23]: "):
            read_positions(files[name])


@pytest.mark.parametrize("size", [0.01, "0.01"])
def test_contracts_count_by_their_size(tmp_path: Path, size: object) -> None:
    """As ccxt's fetch_positions has them of OKX; where the size is empty, contracts are coins."""
    row = {"symbol": "BTC/USD:BTC-260130-100000-C", "contracts": 10_000.0, "side": "short", "info": {}}
    path = tmp_path / "positions.json"
    path.write_text(json.dumps([row | {"contractSize": size}]))
    assert list(read_positions(path).values()) == [-100.0]
    path.write_text(json.dumps([row | {"contractSize": None}]))
    assert list(read_positions(path).values()) == [-10_000.0]
    path.write_text(json.dumps([row | {"contractSize": 0}]))
    with pytest.raises(UsageError, match=r"row 1: the contract size of .* is '0', a number of coins above 0"):
        read_positions(path)


def test_a_contract_size_beside_coins_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "positions.csv"
    path.write_text("instrument_name,size,contract_size\nBTC-30JAN26-100000-C,3,0.01\n")
    assert list(read_positions(path).values()) == [3.0]


def test_a_thousand_or_a_fraction_is_refused_where_nothing_decides(tmp_path: Path) -> None:
    path = tmp_path / "positions.csv"
    path.write_text("instrument_name;position\nBTC-30JAN26-100000-C;1.000\nBTC-30JAN26-90000-C;-2.000\n")
    with pytest.raises(UsageError, match=r"positions\.csv: -2\.000 is a thousand or a fraction, and no number of the"):
        read_positions(path)
    path.write_text("instrument_name;position\nBTC-30JAN26-100000-C;1.000\nBTC-30JAN26-90000-C;-2.5\n")
    assert list(read_positions(path).values()) == [1.0, -2.5]


@pytest.mark.parametrize("text", ['[{"symbol": "%s", "contracts": 3, "side": null}]', "symbol,contracts,side\n%s,3,\n"])
def test_a_size_without_its_side_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "positions"
    path.write_text(text % "BTC-27MAR26-90000-C")
    with pytest.raises(UsageError, match=r"the side of BTC-27MAR26-90000-C is missing, buy or sell is expected"):
        read_positions(path)


def test_an_error_of_the_venue_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "positions"
    path.write_text('{"jsonrpc": "2.0", "error": {"code": 13009, "message": "unauthorized"}}')
    with pytest.raises(UsageError, match=r"an error response of the venue: .*unauthorized"):
        read_positions(path)
