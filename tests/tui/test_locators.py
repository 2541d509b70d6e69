"""Locators on the screen: what is copied opens the same view, and its table has the numbers that are painted."""

from __future__ import annotations

import re

import pytest

from dfmon.engine.hub import Request, Runtime
from dfmon.engine.view_tables import TABLE_SCREENS, ViewTable, view_table
from dfmon.model.errors import UsageError
from dfmon.model.locator import SCREENS, Locator, parse_locator
from dfmon.tui.locator_opening import show_locator
from dfmon.tui.locators import locator_of
from dfmon.tui.render.formatting import format_coins, format_level, format_points, format_time, format_usd
from dfmon.tui.render.heatmap import format_cell
from dfmon.tui.settings import ScreenSettings
from dfmon.tui.sheets import PANELS, SHEETS
from dfmon.tui.view import View
from tests.engine.test_vol_surface import board
from tests.engine.test_vol_surface import snapshot as made_snapshot

from . import factory
from .conftest import AppHarness
from .test_render import frame, panels
from .test_what_if import snapshot_with_inputs

MADE = snapshot_with_inputs()

NOT_NAMED = {"help", "detail", "book"}  # what the first two stand over is; the own book is in no locator


def test_every_panel_and_sheet_has_a_locator_and_every_screen_a_table() -> None:
    names = {spec.name for spec in (*PANELS, *SHEETS)} - NOT_NAMED
    assert names | {"main", "smile"} == set(SCREENS)
    assert set(TABLE_SCREENS) | {"chart"} == set(SCREENS)


LOCATORS = (
    "dfmon://BTC/main",
    "dfmon://BTC/chart?span=7d",
    "dfmon://BTC/heatmap?layer=vss&expiry=27NOV26&strike=102000",
    "dfmon://BTC/gauges",
    "dfmon://BTC/positions?expiry=27NOV26",
    "dfmon://BTC/what-if?spot=-4&vol=6",
    "dfmon://BTC/explain?name=regime",
    "dfmon://BTC/forward",
    "dfmon://ETH/transitions",
)


@pytest.mark.parametrize("text", LOCATORS)
def test_what_is_opened_has_the_locator_that_opened_it(text: str) -> None:
    harness = AppHarness(MADE if "what-if" in text else factory.snapshot())
    harness.hub.publish(factory.snapshot(underlying="ETH"))
    app = harness.app
    assert show_locator(parse_locator(text), app.view, app.frame) == []
    found = locator_of(app.view, app.frame())
    assert str(found).partition("at=")[0].rstrip("?&") == text
    at_once = parse_locator(str(found))
    app.view = View("BTC")
    show_locator(at_once, app.view, app.frame)
    assert locator_of(app.view, app.frame()) == found


def test_a_view_that_is_not_there_changes_nothing() -> None:
    app = AppHarness(factory.snapshot()).app
    before = repr(app.view)
    for text in ("dfmon://SOL/heatmap", "dfmon://BTC/heatmap?layer=vss&strike=90000&expiry=1JAN31"):
        with pytest.raises(UsageError, match=r"unknown (coin|expiry)"):
            show_locator(parse_locator(text), app.view, app.frame)
        assert repr(app.view) == before


def test_a_replay_goes_to_the_time_and_a_live_market_says_what_was_then() -> None:
    locator = parse_locator("dfmon://BTC/gauges?at=2026-11-22T13:41:00Z")
    replay = AppHarness(factory.snapshot(), mode="replay", runtime=Runtime(replay_speed=1.0)).app
    assert show_locator(locator, replay.view, replay.frame) == [Request("replay.seek", "2026-11-22T13:41:00Z")]
    live = AppHarness(factory.snapshot()).app
    assert show_locator(locator, live.view, live.frame) == []
    assert re.search(r"as of now; at 2026-11-22T13:41:00Z: spot [\d,.]+, NGI [+-]", live.view.notice)
    show_locator(parse_locator("dfmon://BTC/gauges?at=2020-01-01T00:00:00Z"), live.view, live.frame)
    assert "is not in the history here" in live.view.notice


@pytest.mark.slow
async def test_it_is_copied_by_a_key_opened_by_a_line_and_at_the_start() -> None:
    settings = ScreenSettings(("BTC", "ETH"), locator="dfmon://BTC/heatmap?layer=vss")
    harness = AppHarness(factory.snapshot(), settings=settings)
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await harness.text(pilot)
        assert (harness.app.view.metric, harness.app.view.zoom) == ("vss", True)
        await pilot.press("y")
        copied = harness.app.clipboard
        assert copied.startswith("dfmon://BTC/heatmap?layer=vss&expiry=23NOV26&strike=98000&at=2026-11-22T14:03:07Z")
        await pilot.press("R", "S", ":", *f"open {copied}", "enter")
        assert (harness.app.view.sheet, harness.app.view.metric) == ("", "vss")
        await pilot.press(":", *"open dfmon://BTC/heat", "enter")
        assert 'the screen is "heat"' in await harness.text(pilot)


async def test_foreign_text_is_cleaned_before_it_is_copied() -> None:
    harness = AppHarness(factory.hostile(), settings=ScreenSettings((factory.hostile().underlying,)))
    async with harness.app.run_test(size=(80, 24)) as pilot:
        for key in ("y", "Y"):
            await pilot.press(key)
            assert harness.app.clipboard.isprintable()


# ---- the tables against the painted cells ----------------------------------------------------------------------------


def _table(text: str) -> ViewTable:
    return view_table(factory.snapshot(), parse_locator(text))


def _lines(panel: str, **view: object) -> list[str]:
    shown = frame(factory.snapshot(), View("BTC", panel=panel, zoom=True, **view))  # type: ignore[arg-type]
    return panels(shown, 200, 60)[panel].splitlines()


@pytest.mark.parametrize("layer", ["ngi", "vss", "chl", "volg", "oi", "iv"])
def test_the_cells_of_the_heat_map_are_those_of_its_table(layer: str) -> None:
    lines = _lines("heatmap", metric=layer)
    table = _table(f"dfmon://BTC/heatmap?layer={layer}")
    scale = {"oi": 1.0, "iv": 100.0}.get(layer, 1e-3 if "$K" in lines[0] else 1e-6)
    painted = {line[1:9].strip(): line for line in lines[2:-2]}
    for strike in {row[0] for row in table.rows}:
        line = painted[format_level(float(strike or 0.0))]
        cells = {row[1]: float(row[2] or 0.0) * scale for row in table.rows if row[0] == strike}
        values = [format_cell(cells.get(expiry), layer, 6) for expiry in factory.EXPIRIES]
        found = re.sub(r"[\[\]*]", " ", line[9:]).split()[: len(factory.EXPIRIES)]
        under_cursor = "[" in line  # in brackets, which take a digit of the first
        assert values[under_cursor:] == found[under_cursor:], line


def test_the_gauges_are_those_of_their_table() -> None:
    text = "\n".join(_lines("gauges"))
    for name, value, _, _, _ in _table("dfmon://BTC/gauges").rows:
        if name in ("ngi", "vss", "chl", "volg"):
            assert re.search(rf"{str(name).upper()} +{re.escape(format_usd(float(value or 0.0)))} ", text)


def test_the_tape_is_that_of_its_table() -> None:
    lines = _lines("tape")[2:]
    table = _table("dfmon://BTC/tape")
    for line, row in zip(lines[:20], table.rows):
        cells = dict(zip(table.columns, row))
        assert str(cells["ts"])[11:19] in line
        assert f"{cells['size']:,.1f}" in line
        assert format_level(float(cells["strike"] or 0.0)) in line


def test_the_positions_are_those_of_their_table() -> None:
    shown = frame(factory.snapshot(), View("BTC", sheet="positions"))
    lines = [line for line in panels(shown, 80, 60)["positions"].splitlines() if re.search(r"\d[CP] ", line[:20])]
    table = _table("dfmon://BTC/positions")
    rows = {
        (f"{str(row[1])[:-2]:0>5}", format_level(float(row[2] or 0.0)) + str(row[3])[:1].upper()): row
        for row in table.rows
    }
    assert len(lines) > 20
    for line in lines:
        words = line.strip("▶ ").split()
        row = rows[words[0], words[1]]
        assert words[2:4] == [format_coins(float(row[4] or 0.0), plus=False), format_coins(float(row[5] or 0.0))]


def test_the_sheet_of_volatility_is_that_of_its_table() -> None:
    made = made_snapshot(board())
    table = view_table(made, Locator("BTC", "vol"))
    harness = AppHarness(made)
    app = harness.app
    show_locator(Locator("BTC", "vol"), app.view, app.frame)
    from dfmon.engine.vol_surface import vol_surface_of
    from dfmon.tui.computation import Computed

    app.view.computed["vol"] = Computed(("BTC", made.positions.model), vol_surface_of(made))
    text = panels(frame(made, app.view, now_ns=made.ts_ns, rows=()), 160, 48)["vol"]
    at = table.columns.index("atm")
    for row in table.rows:
        assert re.search(rf"{row[0]} .*{re.escape(format_points(float(row[at] or 0.0)))}", text)


def test_computed_tables_have_a_row_for_each_place() -> None:
    made = MADE
    for screen in ("forward", "vol", "smile", "what-if", "explain", "main", "coins", "score"):
        table = view_table(made, Locator("BTC", screen))
        assert table.rows, screen
        assert all(len(row) == len(table.columns) for row in table.rows), screen


def test_times_of_tables_are_those_of_the_screen() -> None:
    for screen in ("tape", "alerts"):
        table = _table(f"dfmon://BTC/{screen}")
        newest = max(str(row[0]) for row in table.rows)
        assert newest[11:19] in {format_time(factory.NOW - step * 1_000_000_000) for step in range(120)}
