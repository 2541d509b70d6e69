"""The sheet of the forward map: cells, cursor, sentence, sizes."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest

from dfmon.core.exposure.forward_map import ForwardMap
from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.computation import Computed
from dfmon.tui.render.box import Rect
from dfmon.tui.render.clipboard import clipboard_text
from dfmon.tui.render.formatting import style_of
from dfmon.tui.render.forward_map import drawn_map, map_axes
from dfmon.tui.screens.main import RENDERERS
from dfmon.tui.view import View
from dfmon.tui.view_actions import VIEW_ACTIONS

from . import factory
from .test_render import frame, panels

SIZES = ((60, 20), (80, 24), (120, 40), (160, 48), (200, 60))


def opened(size: tuple[int, int]) -> View:
    """A sheet on which dealers sell rises and buy falls by 1M a point, unsure about the first row above spot."""
    moves, hours = (np.array(axis) for axis in map_axes(factory.snapshot(), *size))
    trade = -100e6 * moves[:, None] - 0.0 * hours
    width = np.where(np.arange(moves.size) == moves.size // 2 + 1, 2.0, 0.5)[:, None] * np.abs(trade)
    drawn = ForwardMap(moves, hours, trade, trade - width, trade + width)
    return View("BTC", sheet="forward", size=size, computed={"forward": Computed(("BTC", "flow"), drawn)})


@pytest.mark.parametrize("size", SIZES)
def test_the_sheet_fits_and_spot_is_in_its_middle(size: tuple[int, int]) -> None:
    lines = panels(frame(factory.snapshot(), opened(size)), *size)["forward"].splitlines()
    assert max(map(len, lines)) <= size[0]
    (at,) = [i for i, line in enumerate(lines) if line.startswith("▶")]
    rows = [line for line in lines if line[1:10].strip().replace(",", "").isdigit()]
    assert rows.index(lines[at]) == len(rows) // 2
    assert "98,412" in lines[at]
    head = (
        " 1h ahead, 15:03Z, spot 98,412 (0.0%): dealers flat"
        if size[0] >= 100
        else " +1h 15:03Z at 98,412 (0.0%): flat"
    )
    assert lines[-1].startswith(head)


def test_unsure_cells_are_marked_and_the_cursor_has_a_sentence() -> None:
    view = opened((120, 40))
    shown = frame(factory.snapshot(), view)
    VIEW_ACTIONS["cursor.up"](view, shown)
    lines = panels(shown, 120, 40)["forward"].splitlines()
    assert "dealers unsure" in lines[-1]
    for _ in range(2):
        VIEW_ACTIONS["cursor.up"](view, shown)
    VIEW_ACTIONS["cursor.right"](view, shown)
    sentence = panels(shown, 120, 40)["forward"].splitlines()[-1]
    drawn = drawn_map(shown)
    assert drawn is not None
    move = drawn.moves[len(drawn.moves) // 2 + 3]
    assert f"2h ahead, 16:03Z, spot {factory.SPOT * (1 + move):,.0f}" in sentence
    assert "dealers SELL" in sentence
    assert any("?" in line for line in lines)
    VIEW_ACTIONS["cursor.first"](view, shown)
    assert view.map_row == 0


@pytest.mark.parametrize("scale", [1.0, 40.0, 150.0])
def test_each_unsure_cell_says_so_whatever_its_width(scale: float) -> None:
    view = opened((120, 40))
    drawn = drawn_map(frame(factory.snapshot(), view))
    assert drawn is not None
    trade = scale * drawn.trade
    view.computed["forward"] = Computed(
        ("BTC", "flow"), ForwardMap(drawn.moves, drawn.hours, trade, -2.0 * abs(trade), 2.0 * abs(trade))
    )
    for line in panels(frame(factory.snapshot(), view), 120, 40)["forward"].splitlines()[3:-1]:
        for cell in re.findall("....", line[18:].ljust(100)):
            assert re.fullmatch(r" *(·|\d+[BM]?\?)|    ", cell), cell


def test_no_number_of_a_cell_is_cut() -> None:
    view = opened((120, 40))
    drawn = drawn_map(frame(factory.snapshot(), view))
    assert drawn is not None
    large = ForwardMap(drawn.moves, drawn.hours, 300.0 * drawn.trade, 300.0 * drawn.lo, 300.0 * drawn.hi)
    view.computed["forward"] = Computed(("BTC", "flow"), large)
    lines = panels(frame(factory.snapshot(), view), 120, 40)["forward"].splitlines()
    top = lines[3]
    assert f"{large.trade[-1, 0] / 1e9:+.0f}B" in top
    amounts = [int(text) for line in lines[3:-1] for text in re.findall(r"[+-]\d+(?=[+-]|$)", line[18:])]
    assert amounts
    assert max(map(abs, amounts)) < 1_000


def test_an_expiry_is_marked_over_the_hour_at_which_it_has_gone() -> None:
    view = opened((160, 48))
    lines = panels(frame(factory.snapshot(), view), 160, 48)["forward"].splitlines()
    marks, hours = lines[1], lines[2]
    at = marks.index("╷23NOV")
    assert hours[at : at + 4] == "+18h", "18 hours to the first expiry"


def test_what_has_expired_by_then_is_named() -> None:
    view = opened((160, 48))
    view.map_column = 24
    sentence = panels(frame(factory.snapshot(), view), 160, 48)["forward"].splitlines()[-1]
    assert "expired by then: 23NOV" in sentence


def test_without_a_book_the_sheet_says_why_it_is_empty() -> None:
    view = View("BTC", sheet="forward")
    assert "computing" in panels(frame(factory.snapshot(), view), 120, 40)["forward"]
    view.computed["forward"] = Computed(("BTC", "flow"), None)
    text = panels(frame(factory.snapshot(), view), 120, 40)["forward"]
    assert "no book in this process to look ahead with" in text


@pytest.mark.parametrize("size", SIZES)
def test_the_axes_are_symmetric_and_reach_three_sigmas(size: tuple[int, int]) -> None:
    s: FlowSnapshot = factory.snapshot()
    moves, hours = map_axes(s, *size)
    assert moves == pytest.approx([-m for m in reversed(moves)])
    assert moves[-1] >= 3.0 * 0.51 / 365**0.5
    assert hours == sorted(hours)
    assert hours[0] == 0.0


def test_a_stale_market_has_no_map() -> None:
    view = opened((120, 40))
    assert "no map while stale" in panels(frame(factory.snapshot(state="stale"), view), 120, 40)["forward"]


def test_without_a_sign_no_cell_has_a_side() -> None:
    base = factory.snapshot()
    undecided = msgspec.structs.replace(base, positions=msgspec.structs.replace(base.positions, decided=False))
    view = opened((120, 40))
    view.map_row = 5
    for snapshot, has_sides in ((base, True), (undecided, False)):
        drawn = RENDERERS["forward"](frame(snapshot, view), Rect(0, 0, 120, 36, "rule"))
        styles = {
            style_of(style).removesuffix(".cursor") for row in drawn for _, style in row if style.startswith("map")
        }
        assert bool(styles - {"map+0"}) == has_sides
        sentence = "".join(text for text, _ in drawn[-1])
        assert ("dealers SELL" in sentence) == has_sides
        assert ("dealers unsure" in sentence) != has_sides


def test_the_copied_numbers_are_those_of_the_cursor() -> None:
    shown = frame(factory.snapshot(), opened((120, 40)))
    shown.view.panel = "heatmap"
    assert "1h ahead, 15:03Z, spot 98,412 (0.0%): dealers flat" in clipboard_text(shown)
    other = frame(factory.snapshot(), View("BTC", sheet="settlement", panel="heatmap", size=(120, 40)))
    assert " NGI " in clipboard_text(other)
    assert " x " not in clipboard_text(other)
