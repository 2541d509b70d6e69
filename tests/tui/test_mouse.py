"""The mouse: what each click and turn of the wheel does, as the key for it does."""

from __future__ import annotations

import pytest
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from dfmon.model.errors import UsageError
from dfmon.tui.mouse import MousePlace, click, turn_wheel
from dfmon.tui.render.box import Rect
from dfmon.tui.render.formatting import Row, link_at, linked, style_of
from dfmon.tui.screens.main import RENDERERS
from dfmon.tui.sheets import SHEETS
from dfmon.tui.view import View

from . import factory
from .conftest import AppHarness


async def _click(
    harness: AppHarness, pilot: Pilot[None], text: str, *, button: int = 1, line: int | None = None
) -> None:
    """Clicks on the first place of a text, as Textual reports a click."""
    lines = (await harness.text(pilot)).splitlines()
    y = next(i for i, row in enumerate(lines) if text in row and line in (None, i))
    await pilot.click(offset=(lines[y].index(text) + len(text) // 2, y))
    await pilot.pause()


@pytest.mark.slow
async def test_every_part_of_the_screen_is_reached_by_clicks() -> None:
    harness = AppHarness(factory.snapshot())
    harness.hub.publish(factory.snapshot(underlying="ETH", spot=3_512.25))
    view = harness.app.view
    async with harness.app.run_test(size=(160, 48)) as pilot:
        await _click(harness, pilot, "HEAT-MAP")
        assert view.panel == "heatmap"
        await _click(harness, pilot, " IV ")
        assert view.metric == "iv"
        await _click(harness, pilot, " 102,000 ")
        assert view.cursor_strike == 102_000.0
        await _click(harness, pilot, "7d")
        assert (view.span_name, view.panel) == ("7d", "chart")
        await _click(harness, pilot, "positions")
        assert view.sheet == "positions"
        await _click(harness, pilot, "positions")
        assert view.sheet == ""
        await _click(harness, pilot, "NGI ")
        assert (view.sheet, view.explained) == ("explain", "ngi")
        await _click(harness, pilot, "esc closes")
        assert view.sheet == ""
        await _click(harness, pilot, "SQUEEZE", line=0)
        assert (view.sheet, view.explained) == ("explain", "scenario")
        await _click(harness, pilot, "coins")
        await _click(harness, pilot, " 3,512.2")
        assert view.underlying == "ETH"


async def test_a_cell_is_selected_and_a_right_click_opens_it() -> None:
    harness = AppHarness(factory.snapshot())
    view = harness.app.view
    async with harness.app.run_test(size=(80, 24)) as pilot:
        lines = (await harness.text(pilot)).splitlines()
        y = next(i for i, row in enumerate(lines) if " 99,000 " in row)
        await pilot.click(offset=(18, y))
        assert (view.cursor_strike, view.cursor_column) == (99_000.0, 1)
        await pilot.click(offset=(24, y), button=3)
        assert (view.cursor_column, view.sheet) == (3, "detail")


async def test_a_double_click_zooms() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await harness.text(pilot)
        await pilot.double_click(offset=(20, 5))
        assert (harness.app.view.panel, harness.app.view.zoom) == ("chart", True)


async def test_the_wheel_scrolls_what_is_under_it() -> None:
    harness = AppHarness(factory.snapshot())
    view = harness.app.view
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await harness.text(pilot)
        for event, attribute, value in (
            (MouseScrollDown, "span_name", "1d"),
            (MouseScrollUp, "span_name", "4h"),
        ):
            harness.app._main.post_message(_wheel(event, 10, 5))
            await pilot.pause()
            assert getattr(view, attribute) == value
        harness.app._main.post_message(_wheel(MouseScrollUp, 10, 14))
        await pilot.pause()
        assert (view.panel, view.cursor_strike) == ("heatmap", 99_000.0)
        await pilot.press("?")
        harness.app._main.post_message(_wheel(MouseScrollDown, 10, 14))
        await pilot.pause()
        assert view.scroll == 3


def _wheel(event: type[MouseScrollUp] | type[MouseScrollDown], x: int, y: int) -> MouseScrollUp | MouseScrollDown:
    return event(
        None, x=x, y=y, delta_x=0, delta_y=0, button=0, shift=False, meta=False, ctrl=False, screen_x=x, screen_y=y
    )


def test_an_open_input_line_takes_no_click() -> None:
    frame = AppHarness(factory.snapshot()).app.frame()
    frame.view.prompt = ":"
    before = repr(frame.view)
    assert click(frame.view, frame, MousePlace("chart", "span 7d")) is None
    turn_wheel(frame.view, frame, MousePlace("chart"), 1)
    assert repr(frame.view) == before


SIZES = ((80, 24), (120, 40), (160, 48), (200, 60), (60, 20))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_every_link_on_every_sheet_is_a_command(size: tuple[int, int]) -> None:
    for name in RENDERERS:
        frame = AppHarness(factory.snapshot()).app.frame()
        frame.view.size = size
        frame.view.sheet = name if name in {spec.name for spec in SHEETS} else ""
        for command in {link for row in RENDERERS[name](frame, Rect(0, 0, *size, "rule")) for link in _links(row)}:
            view = View("BTC", size=size, sheet=frame.view.sheet)
            try:
                click(view, AppHarness(factory.snapshot()).app.frame(), MousePlace("", command))
            except UsageError as error:
                pytest.fail(f"{name}: {command}: {error}")


def _links(row: Row) -> set[str]:
    width = sum(len(text) for text, _ in row)
    return {link for x in range(width) if (link := link_at(row, x))}


def test_a_link_is_found_by_its_column_and_leaves_the_style() -> None:
    row = tuple(linked([("ab", "dim"), ("cd", "text")], "explain ngi"))
    assert [style_of(name) for _, name in row] == ["dim", "text"]
    assert [link_at((("x", "text"), *row), x) for x in range(6)] == ["", *["explain ngi"] * 4, ""]
    assert linked(row, "other") == list(row), "the inner link counts"
