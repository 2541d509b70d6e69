"""A board has the same figures whichever layout carries it; each file says what it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfmon.model.errors import UsageError
from dfmon.model.events import IndexPrice, Listed, OptionTicker, Rejected
from dfmon.model.instrument import Settlement
from dfmon.model.units import DAY, HOUR, SECOND
from dfmon.store.boards import BoardFile, RecordedBoard, report
from dfmon.store.boards.cells import TimeNotes, _at_delivery
from dfmon.store.boards.layouts import LAYOUTS as TABLE
from tests.store.layout_samples import (
    EXPIRIES,
    LAYOUTS,
    NOW,
    NOW_MS,
    Option,
    book_summary,
    snapshot_rows,
    ticker_board,
    tickers,
    write,
)
from tests.store.store_samples import csv_text, events_of_type

Figures = dict[tuple[int, float, int], tuple[float, float, float]]


@st.composite
def boards(draw: Callable[..., float]) -> tuple[Option, ...]:
    """Calls and puts of two expiries with a smile; the spot is the forward of the nearer one."""
    spot = draw(st.floats(80_000.0, 100_000.0))
    forwards = dict(zip(EXPIRIES, (spot, spot * draw(st.floats(1.002, 1.1)))))
    level, slope = draw(st.floats(0.2, 1.2)), draw(st.floats(-0.5, 0.5))
    interests = st.floats(0.1, 5_000.0)
    return tuple(
        Option(day, strike, kind, forwards[day], level + slope * (strike / spot - 1.0) ** 2, draw(interests), spot)
        for day in EXPIRIES
        for strike in (80_000, 85_000, 90_000, 95_000, 100_000)
        for kind in ("call", "put")
    )


BOARD = tuple(
    Option(day, strike, kind, forward, 0.4 + 0.1 * (strike - 90_000) ** 2 / 1e8, 10.0 + strike / 1e3, 90_000.0)
    for day, forward in zip(EXPIRIES, (90_000.0, 90_700.0))
    for strike in (80_000, 85_000, 90_000, 95_000, 100_000)
    for kind in ("call", "put")
)


def figures(board: RecordedBoard) -> Figures:
    """Forward, volatility and open interest by expiry, strike and type."""
    listed = {e.instrument.name: e.instrument for e in events_of_type(Listed, board.events)}
    found = {}
    for ticker in events_of_type(OptionTicker, board.events):
        option = listed[ticker.name]
        key = (option.expiry_ns, option.strike, int(option.option_type or 0))
        found[key] = (ticker.forward, ticker.mark_iv, ticker.open_interest)
    return found


def expected(options: tuple[Option, ...]) -> Figures:
    return {
        (o.expiry_ms * 1_000_000, float(o.strike), 1 if o.kind == "call" else -1): (o.forward, o.sigma, o.interest)
        for o in options
    }


@pytest.mark.slow
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(options=boards())
@pytest.mark.parametrize("layout", LAYOUTS)
def test_figures_are_equal_whichever_layout_carries_them(
    tmp_path: Path, layout: str, options: tuple[Option, ...]
) -> None:
    if "parquet" in layout:
        pytest.importorskip("pyarrow", reason="parquet boards need pyarrow (dfmon[parquet])")
    (board,) = BoardFile(write(tmp_path / "board", layout, options)).boards()
    assert (board.ts_ns, board.underlying) == (int(NOW.timestamp()) * 10**9, "BTC")
    (index,) = events_of_type(IndexPrice, board.events)
    assert index.price == pytest.approx(options[0].spot, rel=1e-9)
    found, wanted = figures(board), expected(options)
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert found[key] == pytest.approx(values, rel=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_says_what_it_is(tmp_path: Path, layout: str) -> None:
    file = BoardFile(write(tmp_path / "board", layout, BOARD))
    (board,) = file.boards()
    title = LAYOUTS[layout][0]
    line = report.summary(file.findings)
    assert file.findings.matched.layout.title == title
    assert line.startswith("read as ")
    assert title in line
    assert "20 options" in line
    assert "left out" not in line
    linear = {e.instrument.settlement for e in events_of_type(Listed, board.events)}
    assert linear == {Settlement.LINEAR if title == "Bybit tickers" else Settlement.INVERSE}


def test_every_layout_of_the_table_has_a_sample() -> None:
    assert {row.title for row in TABLE if not row.refusal} == {title for title, _ in LAYOUTS.values()}


def test_packed_files_are_read_by_content(tmp_path: Path) -> None:
    path = tmp_path / "board.txt"
    path.write_bytes(gzip.compress(LAYOUTS["book summary"][1](BOARD)))
    assert BoardFile(path).currencies == ("BTC",)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_snapshot_takes_the_newest_of_several_runs(tmp_path: Path, kind: str) -> None:
    later = NOW.replace(hour=18)
    rows = snapshot_rows(BOARD, later) + snapshot_rows(BOARD)
    path = tmp_path / "runs"
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="parquet boards need pyarrow (dfmon[parquet])")
        from tests.store.layout_samples import parquet

        path.write_bytes(parquet(rows))
    else:
        path.write_text(csv_text(rows))
    file = BoardFile(path)
    assert [b.ts_ns for b in file.boards()] == [int(t.timestamp()) * 10**9 for t in (NOW, later)]
    (last,) = file.last_boards()
    assert last.ts_ns == int(later.timestamp()) * 10**9
    assert "20 options" in report.summary(file.findings)


def _of(write_rows: str, **changes: Any) -> list[dict[str, Any]]:
    """Rows of the sample board with changed fields, each a value or a function of the row."""
    rows = {"ticker": ticker_board, "snapshot": snapshot_rows, "summary": book_summary}[write_rows](BOARD)
    return [row | {k: v(row) if callable(v) else v for k, v in changes.items()} for row in rows]


def _text(rows: list[dict[str, Any]]) -> str:
    return csv_text(rows)


def _json_text(value: object) -> str:
    return json.dumps(value)


WRITTEN_OTHERWISE = {
    "per cent signs": _text(_of("ticker", mark_iv=lambda r: f"{r['mark_iv']}%")),
    "a header in words": _text(_of("ticker")).replace("mark_iv", "Mark IV", 1),
    "a title above the header": "My board\n" + _text(_of("ticker")),
    "a comment above the header": "# 22 January\n" + _text(_of("ticker")),
    "the separator declared": "sep=;\n" + _text(_of("ticker")).replace(",", ";"),
    "thousands in quotes": _text(_of("ticker")).replace("90700.0", '"90,700.0"'),
    "a column twice": _text(_of("ticker")).replace("kind", "mark_iv", 1),
    "epochs with a point": _text(_of("ticker", timestamp=lambda r: f"{r['timestamp']:.1f}")),
    "forwards empty": _text(_of("ticker", underlying_price="")),
    "slashes": _text(_of("snapshot", timestamp="2026/01/22 12:30:00")),
    "nanoseconds": _text(_of("snapshot", timestamp="2026-01-22T12:30:00.000000000Z")),
    "a zone in words": _text(_of("snapshot", timestamp="2026-01-22 12:30:00 UTC")),
    "expiries as named days": _text(
        _of("snapshot", expiry_datetime=lambda r: str(r["instrument_name"]).split("-")[1].title())
    ),
    "expiries at midnight": _text(_of("snapshot", expiry_datetime=lambda r: f"{str(r['expiry_datetime'])[:10]}T00:00")),
    "days of a spreadsheet": _text(
        _of("snapshot", expiry_datetime=lambda r: 46_052 if "30JAN" in str(r["instrument_name"]) else 46_108)
    ),
    "by currency": _json_text({"BTC": _of("summary")}),
    "by ISO time": _json_text({"2026-01-22T12:30:00Z": _of("summary")}),
    "numbers as text": _json_text(_of("summary", mark_iv=lambda r: str(r["mark_iv"]), volume="1.0")),
    "notifications": "\n".join(
        _json_text({"method": "subscription", "params": {"channel": "ticker", "data": row}}) for row in tickers(BOARD)
    ),
    "frame split": _json_text(
        {"columns": list(_of("snapshot")[0]), "index": [], "data": [list(r.values()) for r in _of("snapshot")]}
    ),
    "frame by column": _json_text(
        {k: {str(n): r[k] for n, r in enumerate(_of("snapshot"))} for k in _of("snapshot")[0]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("variant", WRITTEN_OTHERWISE)
def test_a_board_written_otherwise_is_the_same_board(tmp_path: Path, variant: str) -> None:
    path = tmp_path / "board"
    path.write_text(WRITTEN_OTHERWISE[variant])
    (board,) = BoardFile(path).boards()
    found = figures(board)
    assert found.keys() == expected(BOARD).keys()
    assert all(found[key] == pytest.approx(values, rel=1e-9) for key, values in expected(BOARD).items())


UNDECIDED = {
    "both units": (_json_text(
        _of("summary", mark_price=None, mark_iv=lambda r: r["mark_iv"] / (100 if "-C" in r["instrument_name"] else 1))
    ), "has a column mark_iv that mixes fractions and per cents"),
    "months first": (_text(_of("snapshot", expiry_datetime="01/30/2026")), "expiry_datetime is '01/30/2026', a time"),
    "an error": ('{"error": {"code": 10028, "message": "too_many_requests"}}', "an error response of the venue"),
    "an error of Bybit": ('{"retCode": 10001, "retMsg": "params error", "result": {}}', "params error"),
    "a page": ("<html><body>502 Bad Gateway</body></html>", "is an HTML page and no option board"),
    "nothing": ("[]", "is JSON without rows of options: a list of 0 items"),
    "depth": ("[" * 50_000, "nested too deeply"),
    "no time": (_json_text(_of("summary", creation_timestamp=None)), "has no time in"),
}  # fmt: skip


@pytest.mark.parametrize("variant", UNDECIDED)
def test_what_cannot_be_decided_is_one_short_sentence(tmp_path: Path, variant: str) -> None:
    text, message = UNDECIDED[variant]
    path = tmp_path / "board.txt"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        BoardFile(path)
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


def test_a_damaged_line_of_json_costs_that_line(tmp_path: Path) -> None:
    path = tmp_path / "board"
    lines = [_json_text(row) for row in tickers(BOARD)]
    path.write_text("\n".join([*lines[:3], lines[3][:40], *lines[4:]]))
    file = BoardFile(path)
    (board,) = file.boards()
    assert len(figures(board)) == 19
    assert "1 row left out" in report.summary(file.findings)
    assert any("row 4: the line is no JSON" in line for line in report.explanation(file.findings))


@pytest.mark.parametrize(("gap_ms", "boards"), [(900_000, 2), (1_000, 2), (999, 1)])
def test_polls_of_one_file_are_boards_of_their_own(tmp_path: Path, gap_ms: int, boards: int) -> None:
    path = tmp_path / "board.csv"
    path.write_text(_text(_of("ticker", timestamp=NOW_MS + gap_ms) + _of("ticker")))
    times = [board.ts_ns // 10**6 for board in BoardFile(path).boards()]
    assert times == [NOW_MS, NOW_MS + gap_ms][-boards:]


@pytest.mark.parametrize("kind", ["polls", "runs", "parquet"])
def test_the_newest_board_until_a_time_can_be_chosen(tmp_path: Path, kind: str) -> None:
    hours = [NOW + timedelta(hours=hour) for hour in range(3)]
    path = tmp_path / "b"
    if kind == "polls":
        rows = [{**row, "timestamp": int(now.timestamp() * 1000)} for now in hours for row in ticker_board(BOARD)]
        path.write_text(csv_text(rows))
    else:
        rows = [row for now in hours for row in snapshot_rows(BOARD, now)]
        if kind == "runs":
            path.write_text(csv_text(rows))
        else:
            pytest.importorskip("pandas").DataFrame(rows).to_parquet(path)
    ns = [int(now.timestamp()) * SECOND for now in hours]
    for until_ns, expected in ((ns[0], ns[0]), (ns[2] - 1, ns[1]), (ns[2] + DAY, ns[2]), (None, ns[2])):
        (board,) = BoardFile(path).last_boards(until_ns=until_ns)
        assert board.ts_ns == expected
    with pytest.raises(UsageError, match=r"b has no board at or before 2026-01-22T12:29:59\.999Z"):
        BoardFile(path).last_boards(until_ns=ns[0] - 1)


@pytest.mark.slow
def test_updates_of_single_options_are_one_board(tmp_path: Path) -> None:
    """A stream of tickers is no series of polls: no board lacks options that it did not hear of."""
    path = tmp_path / "stream.jsonl"
    order = (*range(20), *(3, 5, 3, 5) * 20)
    rows = [tickers(BOARD)[n] | {"timestamp": NOW_MS + 700 * at} for at, n in enumerate(order)]
    path.write_text("\n".join(map(_json_text, rows)))
    (board,) = BoardFile(path).boards()
    assert len(figures(board)) == 20


@pytest.mark.slow
def test_a_long_text_is_the_same_board(tmp_path: Path) -> None:
    """Columns of a long file are kept as numbers; a cell that is none still costs its row, as it is written."""
    path = tmp_path / "long.csv"
    rows = _of("snapshot") * 900
    rows[17_000] = rows[17_000] | {"open_interest": "abc"}
    path.write_text(_text(rows))
    (board,) = BoardFile(path).boards()
    assert figures(board) == pytest.approx(expected(BOARD), rel=1e-9)
    details = [e.detail for e in events_of_type(Rejected, board.events) if e.what == "row"]
    assert details == ["line 17002: open_interest is 'abc', a number is expected"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,iv\n" + "x\n" * 100_002, "is no option board"),
        ("\n" * 100_002, "blank lines: it is no board"),
        ("[" + "{}," * 300_001 + "{}]", "more than 300,000 objects"),
    ],
    ids=["columns", "blank", "objects"],
)
def test_a_file_of_little_else_than_noise_ends_early(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "noise"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        BoardFile(path)


def test_expiries_are_taken_as_days_only_where_all_are_at_midnight() -> None:
    days = np.array([20_000 * DAY, 20_007 * DAY])
    assert _at_delivery(days, TimeNotes(set())).tolist() == (days + 8 * HOUR).tolist()
    mixed = days + np.array([0, 8 * HOUR])
    assert _at_delivery(mixed, TimeNotes(set())).tolist() == mixed.tolist()
