"""A board has the same figures whichever layout carries it; each file says what it is."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfmon.model.events import IndexPrice, Listed, OptionTicker
from dfmon.model.instrument import Settlement
from dfmon.store.boards import BoardFile, RecordedBoard, report
from dfmon.store.boards.layouts import LAYOUTS as TABLE
from tests.store.layout_samples import EXPIRIES, LAYOUTS, NOW, Option, snapshot_rows, write
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
