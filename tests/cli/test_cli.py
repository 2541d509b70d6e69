"""The command line as a user meets it: exit codes, one sentence, no traceback."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from tests.board_files import HEADER, board_text, snapshot_text
from tests.cli.commands import run
from tests.store.layout_samples import NOW_MS, ticker_board
from tests.store.store_samples import csv_text
from tests.store.test_layouts import BOARD

READ_AS = "dfmon: read as "  # the line that says what a board file was taken for


def run_failing(code: int, *args: str | Path) -> str:
    """The one sentence of a run that must fail with `code`."""
    completed = run(*args)
    assert completed.returncode == code, completed.stderr
    lines = [line for line in completed.stderr.splitlines() if not line.startswith(READ_AS)]
    assert len(lines) == 1, completed.stderr
    assert lines[0].startswith("dfmon: ")
    assert completed.stdout == ""
    return lines[0]


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.csv.gz"
    path.write_bytes(gzip.compress(board_text().encode()))
    return path


def test_snapshot_of_a_board_as_json_and_as_text(board: Path) -> None:
    completed = run("snapshot", board, "--positions", "naive", "--json")
    assert completed.returncode == 0, completed.stderr
    snapshot = json.loads(completed.stdout)
    assert snapshot["schema"] == 2
    assert snapshot["underlying"] == "BTC"
    assert "detail" not in snapshot
    text = run("snapshot", board, "--positions", "naive")
    assert text.returncode == 0
    assert max(map(len, text.stdout.splitlines())) <= 100
    assert "positions naive" in text.stdout
    assert "A model, not a measurement" in text.stdout


def test_json_on_stdout_is_the_only_thing_there(board: Path) -> None:
    completed = run("snapshot", board, "--json")
    assert len(completed.stdout.splitlines()) == 1
    assert completed.stderr.startswith(READ_AS)
    assert len(completed.stderr.splitlines()) == 1


def test_a_missing_file() -> None:
    assert "/nowhere/board.csv.gz" in run_failing(2, "snapshot", "/nowhere/board.csv.gz")
    assert "/nowhere/board.csv.gz" in run_failing(2, "replay", "/nowhere/board.csv.gz", "--publish")


def test_a_file_of_neither_kind(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\nworld\n")
    assert "notes.txt is no option board" in run_failing(2, "snapshot", path)


def test_a_board_without_the_currency(board: Path) -> None:
    output = run_failing(2, "snapshot", board, "--currency", "ETH")
    assert "ETH" in output
    assert "BTC" in output


@pytest.mark.slow
def test_a_time_chooses_the_board_of_a_file_with_several(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text(two_polls())
    for at, expected in (("2026-01-22T12:45", "12:30:00"), ("+3600", "13:30:00"), ("-1", "12:30:00")):
        snapshot = json.loads(run("snapshot", path, f"--at={at}", "--json").stdout)
        assert snapshot["ts"][11:19] == expected
    assert "has no board at or before 2026-01-22T12:00:00" in run_failing(
        2, "snapshot", path, "--at", "2026-01-22T12:00"
    )
    assert "--at: 'noon' is not a time" in run_failing(2, "snapshot", path, "--at", "noon")
    assert "--at chooses a time of a file" in run_failing(2, "snapshot", "--at", "+1")
    assert "NGI" in run("explain", "ngi", path, "--at", "+0").stdout.upper()


def two_polls() -> str:
    """A ticker board and the same board an hour later."""
    boards = (ticker_board(BOARD), [{**row, "timestamp": NOW_MS + 3_600_000} for row in ticker_board(BOARD)])
    return csv_text([row for rows in boards for row in rows])


def test_a_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "board.csv.gz"
    compressed = gzip.compress(board_text(rows=400).encode())
    path.write_bytes(compressed[: len(compressed) // 2])
    assert str(path) in run_failing(1, "snapshot", path)


def test_a_bad_row_costs_that_row_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    board_csv = board_text()
    lines = board_csv.splitlines()
    bad_row = lines[1].replace("45.0", "abc", 1).replace("-C,", "X-C,", 1)
    path.write_text("\n".join([*lines, bad_row]) + "\n")
    completed = run("snapshot", path, "--positions", "naive", "--json")
    assert completed.returncode == 0, completed.stderr
    snapshot = json.loads(completed.stdout)
    assert snapshot["instruments"] == len(lines) - 1
    assert any("row" in reason for reason in snapshot["unavailable"])


def test_nulls_and_an_expired_instrument_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text(snapshot_text(null_iv=1, expired=2))
    completed = run("snapshot", path, "--currency", "BTC", "--positions", "naive", "--json")
    assert completed.returncode == 0, completed.stderr
    reasons = json.loads(completed.stdout)["unavailable"]
    assert "1 option: no mark volatility" in reasons
    assert any(reason.startswith("2 expired") for reason in reasons)


def test_an_empty_board_of_headers(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text(HEADER + "\n")
    assert "board.csv is a ticker board without rows" in run_failing(2, "snapshot", path)


def test_an_unknown_key_in_the_configuration(tmp_path: Path, board: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[screen]\nratehz = 1\n")
    output = run_failing(2, "snapshot", board, "--config", path)
    assert "screen.ratehz" in output
    assert "rate_hz" in output
    assert str(path) in output


@pytest.mark.parametrize(
    "args",
    [
        ("frobnicate",),
        ("--rate", "fast"),
        ("--currency", "btc"),
        ("replay",),
        ("snapshot", "ftp://host"),
        ("explain", "ngi", "http://127.0.0.1:1", "--numeraire", "coin"),
        ("snapshot", "--timeout", "-1"),
        ("--publish", "some"),
        ("sim", "--port", "99999"),
    ],
)
def test_wrong_words(args: tuple[str, ...]) -> None:
    run_failing(2, *args)


def test_no_terminal_and_a_dumb_one(board: Path) -> None:
    for command in (("demo",), (), ("replay", board)):
        assert "terminal" in run_failing(2, *command)


@pytest.mark.slow
def test_a_port_in_use(board: Path) -> None:
    import socket

    with socket.socket() as busy_socket:
        busy_socket.bind(("127.0.0.1", 0))
        busy_socket.listen()
        port = busy_socket.getsockname()[1]
        output = run_failing(1, "--publish", "--rest", f"127.0.0.1:{port}")
        assert str(port) in output
        assert str(port) in run_failing(1, "sim", "--port", str(port))


def test_a_position_file_that_is_wrong_is_named_with_its_line(tmp_path: Path, board: Path) -> None:
    path = tmp_path / "held.csv"
    path.write_text("instrument_name,position\nBTC-1,ten\n")
    output = run_failing(2, "snapshot", board, "--positions", f"file:{path}")
    assert "line 2" in output
    assert "'ten'" in output


def test_positions_from_a_file(tmp_path: Path, board: Path) -> None:
    first = board_text().splitlines()[1].split(",")[HEADER.split(",").index("instrument_name")]
    path = tmp_path / "held.csv"
    path.write_text(f"instrument_name,position\n{first},10\n")
    completed = run("snapshot", board, "--positions", f"file:{path}", "--json")
    positions = json.loads(completed.stdout)["positions"]
    assert (positions["model"], positions["coverage"], positions["warming"]) == ("file", None, False)
    assert positions["gross_coins"] == 10.0


def test_a_position_file_that_matches_nothing_is_an_error(tmp_path: Path, board: Path) -> None:
    path = tmp_path / "held.csv"
    path.write_text("instrument_name,position\nBTC-1JAN70-1-C,10\n")
    output = run_failing(2, "snapshot", board, "--positions", f"file:{path}", "--json")
    assert f"{path} names no option of " in output
    assert "it has BTC-1JAN70-1-C" in output


def test_a_dfmon_that_is_not_there() -> None:
    assert "127.0.0.1:9" in run_failing(1, "snapshot", "http://127.0.0.1:9")


def test_a_password_in_a_redis_url_is_not_printed() -> None:
    output = run_failing(1, "snapshot", "redis://:hunter2@127.0.0.1:9/0")
    assert "hunter2" not in output
    assert "hunter2" not in run_failing(2, "snapshot", "redis://:hunter2@127.0.0.1:port/0")


def test_a_password_in_any_other_url_is_not_printed() -> None:
    for url in ("http://desk:hunter2@127.0.0.1:9", "http://:hunter2@127.0.0.1:99999", "ftp://:hunter2@host"):
        for command in (("snapshot", url), ("explain", "ngi", url)):
            completed = run(*command)
            assert completed.returncode in (1, 2)
            assert "hunter2" not in completed.stderr
    assert "***@127.0.0.1:9: connection refused" in run_failing(1, "snapshot", "http://desk:hunter2@127.0.0.1:9")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/v1/snapshot?underlying=ETH", "unknown parameter 'underlying'; allowed: currency, detail"),
        ("http://127.0.0.1:9/healthz", "no snapshot is there; allowed: http://HOST:PORT"),
        ("http://", "no host and port that can be called"),
        ("http://[::1", "no host and port that can be called"),
    ],
)
def test_a_url_that_is_no_snapshot_is_a_sentence(url: str, words: str) -> None:
    assert words in run_failing(2, "snapshot", url)


def test_a_currency_is_given_once() -> None:
    assert "give one" in run_failing(2, "snapshot", "http://127.0.0.1:9/v1/snapshot?currency=ETH", "--currency", "BTC")


def test_help_and_version() -> None:
    assert run("--version").stdout.startswith("dfmon ")
    for args in ((), ("demo",), ("replay",), ("record",), ("snapshot",), ("sim",)):
        assert run(*args, "--help").returncode == 0


@pytest.mark.slow
def test_explanation_of_a_board_as_text_and_as_json(board: Path) -> None:
    snapshot = json.loads(run("snapshot", board, "--positions", "naive", "--json").stdout)
    completed = run("explain", "ngi", board, "--positions", "naive")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.startswith("ngi: net gamma impact of BTC at ")
    assert "positions short-all" in completed.stdout
    explained = json.loads(run("explain", "ngi", board, "--positions", "naive", "--json").stdout)
    assert explained["value"] == snapshot["metrics"]["ngi"]["value"]
    assert explained["contributors"]


def test_explain_names_the_metrics_and_asks_a_running_dfmon(board: Path) -> None:
    error = run_failing(2, "explain", "gamma", board)
    assert "allowed: ngi, vss" in error
    assert "regime" in error
    term = run("explain", "regime", board, "--positions", "naive")
    assert term.stdout.startswith("regime: side of net gamma at spot of BTC at ")
    assert json.loads(run("explain", "side", board, "--json").stdout)["term"] == "side"
    assert "connection refused" in run_failing(1, "explain", "ngi", "http://127.0.0.1:1")


def test_positions_as_csv_as_text_and_as_json(board: Path) -> None:
    completed = run("positions", board, "--csv")
    assert completed.returncode == 0, completed.stderr
    header, *lines = csv.reader(completed.stdout.splitlines())
    shown = json.loads(run("snapshot", board, "--json", "--detail").stdout)
    rows = shown["detail"]["positions"]
    assert [line[header.index("name")] for line in lines] == [row["name"] for row in rows]
    sources = header[header.index("screen") :]
    assert sources == list(rows[0]["sources"])
    for line, row in zip(lines, rows):
        assert float(line[header.index("net")]) == row["net"]
        assert sum(map(float, line[-len(sources) :])) == pytest.approx(row["net"])
    by_expiry = list(csv.DictReader(run("positions", board, "--csv", "--by", "expiry").stdout.splitlines()))
    assert [row["label"] for row in by_expiry] == [row["label"] for row in shown["by_expiry"]]
    said = json.loads(run("positions", board, "--json").stdout)
    assert said["rows"] == rows
    assert said["positions"] == shown["positions"]
    assert said["state"] == shown["state"] == "replay"
    text = run("positions", board).stdout
    assert " replay, model flow" in text
    assert "sign not measured yet" in text


def test_positions_of_a_convention_have_no_origins(board: Path) -> None:
    rows = list(csv.DictReader(run("positions", board, "--positions", "naive", "--csv").stdout.splitlines()))
    assert (
        {row["screen"] for row in rows} == {row["lo"] for row in rows} == {row["full_history"] for row in rows} == {""}
    )
    assert "/nowhere" in run_failing(2, "positions", "/nowhere/board.csv.gz")
    run_failing(2, "positions", board, "--csv", "--json")
