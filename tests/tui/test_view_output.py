"""Exports of the view in front: whole tables, in every kind of file, with the numbers that are painted."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dfmon.engine.own_book import MOVES, own_book
from dfmon.model.errors import UsageError
from dfmon.tui.commands import run_command
from dfmon.tui.computation import Computed
from dfmon.tui.render.formatting import format_level, format_usd
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import format_cell
from dfmon.tui.render.heatmap_grid import current_grid
from dfmon.tui.view import View
from dfmon.tui.view_output import MAX_CLIPBOARD_BYTES, ScreenOutput, encode, shown_table

from . import factory
from .conftest import AppHarness
from .test_own_book import BOOK
from .test_own_book import shown as book_frame
from .test_render import frame, panels


def records(at: Frame) -> list[dict[str, Any]]:
    """The rows as a reader of the JSON has them."""
    document = json.loads(encode(at, ".json"))
    assert (document["underlying"], document["model"]) == ("BTC", at.snapshot and at.snapshot.positions.model)
    return [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]


def test_every_cell_of_the_heat_map_is_exported_as_it_is_painted() -> None:
    at = frame(factory.snapshot(), View("BTC", panel="heatmap", cursor_column=2))
    grid = current_grid(at)
    assert grid is not None
    exported = {(row["strike"], row["expiry"]): row["ngi"] for row in records(at)}
    painted = {line[:9].strip("▶↑↓ "): line[9:].split() for line in panels(at, 300, 90)["heatmap"].splitlines()}
    compared = 0
    for strike in grid.strikes:
        for expiry, text in zip(grid.expiries, painted[format_level(strike)]):
            value = exported.get((strike, expiry))
            width = 5 if text.startswith("[") else 6
            assert text.strip("[]*▲▼") == format_cell(None if value is None else value / 1e6, "ngi", width)
            compared += 1
    assert compared == len(grid.strikes) * len(grid.expiries)


def test_the_own_book_and_the_chart_have_tables_here_alone() -> None:
    base = book_frame().snapshot
    assert base is not None
    view = View("BTC", sheet="book", book_file="mine.csv")
    at = frame(base, view, now_ns=base.ts_ns)
    with pytest.raises(UsageError, match="no numbers yet"):
        encode(at, ".csv")
    view.computed["book"] = Computed(("BTC", base.positions.model), own_book(base, BOOK))
    text = panels(at, 160, 48)["book"]
    rows = records(at)
    assert [row["move"] for row in rows] == list(MOVES)
    assert all(format_usd(row["pnl"]) in text for row in rows)
    assert b"mine.csv" not in encode(at, ".json")
    chart = shown_table(frame(factory.snapshot(), View("BTC", panel="chart"), rows=factory.history()))
    assert chart.columns[:2] == ("ts", "spot")
    assert len(chart.rows) > 100


def test_csv_and_parquet_have_the_numbers_of_the_json() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    at = frame(factory.snapshot(), View("BTC", panel="tape"))
    plain, rows = list(csv.DictReader(io.StringIO(encode(at, ".csv").decode()))), records(at)
    stored = parquet.read_table(io.BytesIO(encode(at, ".parquet")))
    assert [float(row["size"]) for row in plain] == [row["size"] for row in rows]
    assert stored.column("size").to_pylist() == [row["size"] for row in rows]
    assert stored.column("block").to_pylist() == [str(row["block"]).lower() for row in rows]
    assert stored.schema.metadata[b"underlying"] == b"BTC"


def test_commands_refuse_other_kinds_files_that_exist_and_copies_that_are_too_long(tmp_path: Path) -> None:
    view = View("BTC", panel="tape")
    at = frame(factory.snapshot(), view)
    existing = tmp_path / "x.csv"
    existing.write_text("mine")
    for text, reason in (
        (f"export {tmp_path / 'x.doc'}", "ends in none of .csv, .json, .parquet, .txt, .svg"),
        (f"export {existing}", "exists"),
        ("copy parquet", "kind of copy"),
    ):
        with pytest.raises(UsageError, match=reason):
            run_command(view, at, text)
    assert run_command(view, at, "copy csv") == ScreenOutput(".csv", None, encode(at, ".csv"))
    assert at.detail is not None
    long_tape = at.detail.tape * (MAX_CLIPBOARD_BYTES // 1_000)
    long = msgspec.structs.replace(factory.snapshot(), tables=msgspec.structs.replace(at.detail, tape=long_tape))
    with pytest.raises(UsageError, match=r"too many for a terminal: :export FILE\.json"):
        run_command(view, frame(long, view), "copy json")
    with pytest.raises(UsageError, match="no numbers yet"):
        run_command(view, frame(None, view), "copy csv")


async def test_the_app_writes_the_screen_without_its_command_line_and_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, copied = AppHarness(factory.snapshot()), list[str]()
    async with harness.app.run_test(size=(120, 40)) as pilot:
        monkeypatch.setattr(harness.app, "copy_to_clipboard", copied.append)
        for suffix in ("txt", "svg", "csv"):
            await enter(pilot, f"export {tmp_path}/view.{suffix}")
        await enter(pilot, "copy txt")
    text = (tmp_path / "view.txt").read_text()
    assert "HEAT-MAP" in text
    assert ":export" not in text
    assert "<svg" in (tmp_path / "view.svg").read_text()
    assert (tmp_path / "view.csv").read_text().startswith("ts,spot,")
    assert "HEAT-MAP" in copied[0]


async def enter(pilot: Any, text: str) -> None:
    """Types a command line."""
    pilot.app._handle_key("colon", ":")
    for character in text:
        pilot.app._handle_key(character, character)
    pilot.app._handle_key("enter", None)
    await pilot.pause()
    await pilot.pause()
