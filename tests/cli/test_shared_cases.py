"""Boards as people send them: each gives the figures of the plain board, or one sentence that helps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dfmon.cli.main import run as main
from dfmon.model.errors import EXIT_STALE
from dfmon.store.boards import BoardFile
from tests.shared_data import SHARED

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases in {CASES}")

SAME = (  # 12 options in two expiries, written in many ways
    "03-mark-iv-fraction/iv_fraction_ticker.csv", "03-mark-iv-fraction/j_fraction.json",
    "05-option-type-capitals/j_rpc.json", "08-json-epoch-units/j_s.json", "08-json-epoch-units/j_us.json",
    "13-naive-datetime-local-zone/j_rpc.json", "27-parquet-ticker-columns/p_tickercols.parquet",
    "28-semicolon-csv/semi.csv", "28-semicolon-csv/semi_decimalcomma.csv", "28-semicolon-csv/tab.csv",
    "30-iv-percent-in-fraction-column/iv_percent_snapshot.csv", "31-json-any-kind/j_anykind.json",
    "32-json-wrapped-otherwise/j_bykey.json", "33-json-nan-bom/j_bom.json",
    "40-bom-crlf-quoted-reordered/bom_crlf.csv", "40-bom-crlf-quoted-reordered/nested.csv",
    "40-bom-crlf-quoted-reordered/pandas_index.csv", "40-bom-crlf-quoted-reordered/quoted.csv",
    "40-bom-crlf-quoted-reordered/reordered.csv", "41-csv-epoch-units/ns.csv", "41-csv-epoch-units/us.csv",
    "41-csv-epoch-units/sec.csv", "45-combo-rows-csv/combo_t.csv", "53-parquet-types/p_dict.parquet",
    "53-parquet-types/p_epochms.parquet", "53-parquet-types/p_expdate.parquet", "53-parquet-types/p_f32.parquet",
    "53-parquet-types/p_ny.parquet", "53-parquet-types/p_strtime.parquet", "55-utf16-csv/utf16.csv",
)  # fmt: skip
REFUSED = {
    "32-json-wrapped-otherwise/j_bybit.json": "has no time in any row",
    "32-json-wrapped-otherwise/j_okxname.json": "seems to be OKX tickers: open interest",
    "34-impossible-date-nameless/j_29feb26.json": "BTC-29FEB26-90000-C names a day that does not exist",
    "54-web-page-export/web_export.csv": "seems to be Deribit's web-page export",
}
BASE = "14-positions-all-unmatched/base_t.csv"


def snapshot(case: str, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    """Exit code, JSON and stderr of `dfmon snapshot` on a case."""
    if case.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="parquet boards need pyarrow (dfmon[parquet])")
    code = main(["snapshot", str(CASES / case), "--json", "--positions", "naive", *options])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def ngi(text: str) -> float:
    value = json.loads(text)["metrics"]["ngi"]["value"]
    assert value is not None
    return float(value)


@pytest.fixture(scope="module")
def base() -> dict[str, float]:
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("case", SAME)
def test_a_board_written_otherwise_has_the_same_figures(
    case: str, capsys: pytest.CaptureFixture[str], base: dict[str, float]
) -> None:
    if not base:
        base["ngi"] = ngi(snapshot(BASE, capsys)[1])
    code, out, err = snapshot(case, capsys)
    assert code in (0, EXIT_STALE)
    # float32 has seven digits, and seconds lose the milliseconds of the time
    tolerance = 1e-6 if "f32" in case else 1e-4 if case.endswith(("sec.csv", "j_s.json")) else 1e-9
    assert ngi(out) == pytest.approx(base["ngi"], rel=tolerance)
    assert re.fullmatch(r"dfmon: read as .*12 options.*\n", err)


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_board_gets_one_sentence(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = snapshot(case, capsys)
    assert (code, out) == (2, "")
    assert REFUSED[case] in err
    assert err.count("\n") == 1
    assert len(err.strip().removeprefix("dfmon: ")) <= 200
    assert Path(case).name in err


def test_units_that_differ_from_the_layout_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "mark_iv as a fraction although" in snapshot("03-mark-iv-fraction/iv_fraction_ticker.csv", capsys)[2]
    case = "30-iv-percent-in-fraction-column/iv_percent_snapshot.csv"
    assert "implied_volatility as per cent although" in snapshot(case, capsys)[2]


@pytest.mark.parametrize(
    ("case", "left_out"),
    [("31-json-any-kind/j_anykind.json", 5), ("45-combo-rows-csv/combo_t.csv", 1), ("51-huge-numbers/huge.csv", 3)],
)
def test_rows_left_out_are_counted(case: str, left_out: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(rf"{left_out} rows? left out", snapshot(case, capsys)[2])
    assert main(["snapshot", str(CASES / case), "--explain-format"]) == 0
    assert capsys.readouterr().out.count("left out: ") == left_out


def test_polls_by_time_replay_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["replay", str(CASES / "32-json-wrapped-otherwise/j_polls.json"), "--publish", "all"])
    times = [json.loads(line)["ts"] for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert times == ["2026-01-22T12:30:43.793Z", "2026-01-22T12:45:43.793Z"]


def test_offsets_across_the_spring_change_are_instants(capsys: pytest.CaptureFixture[str]) -> None:
    main(["replay", str(CASES / "46-dst-offsets/dst.csv"), "--publish", "all"])
    times = [json.loads(line)["ts"] for line in capsys.readouterr().out.splitlines()]
    assert [time[11:16] for time in times] == ["06:30", "07:30"]


def test_nan_is_a_missing_number(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = snapshot("33-json-nan-bom/j_nan.json", capsys)
    assert code in (0, EXIT_STALE)
    assert "NaN" not in out
    assert "12 options" in err


@pytest.mark.parametrize("name", ["expired.csv", "roll_at8.csv"])
def test_expired_options_are_not_priced(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = json.loads(snapshot(f"44-expired-and-0800/{name}", capsys)[1])
    assert out["metrics"]["ngi"]["value"] is not None


@pytest.mark.parametrize("case", ["49-usdc-and-coin-books/j_usdcbook.json", "49-usdc-and-coin-books/mixed.csv"])
def test_a_reply_of_several_coins_is_chosen_by_currency(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = snapshot(case, capsys, "--currency", "BTC")
    assert code in (0, EXIT_STALE)
    assert json.loads(out)["underlying"] == "BTC"


def test_the_name_says_the_coin_of_an_option() -> None:
    assert BoardFile(CASES / "49-usdc-and-coin-books" / "j_usdcbook.json").currencies == ("BTC", "SOL", "XRP")


def test_a_repeated_file_name_of_any_case_reads_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "board.XYZ"
    copy.write_bytes((CASES / "08-json-epoch-units" / "j_us.json").read_bytes())
    assert main(["snapshot", str(copy), "--positions", "naive"]) in (0, EXIT_STALE)
    assert "read as a book summary" in capsys.readouterr().err
