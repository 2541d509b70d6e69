"""The sheet of volatility and the smile of an expiry."""

from __future__ import annotations

import pytest

from dfmon.engine.vol_surface import vol_surface_of
from dfmon.tui.computation import Computed
from dfmon.tui.render.frame import Frame
from dfmon.tui.view import View
from dfmon.tui.view_actions import VIEW_ACTIONS
from tests.engine.test_vol_surface import board, snapshot

from . import factory
from .conftest import ScreenCheck
from .test_render import frame, panels

MADE = snapshot(board())
SURFACE = Computed(("BTC", "naive"), vol_surface_of(MADE))


def shown(**fields: object) -> Frame:
    view = View("BTC", sheet="vol", computed={"vol": SURFACE}, **fields)  # type: ignore[arg-type]
    return frame(MADE, view, now_ns=MADE.ts_ns, rows=())


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("smile", [False, True], ids=["expiries", "smile"])
def test_the_sheet(size: tuple[int, int], smile: bool, check_screen: ScreenCheck) -> None:
    text = panels(shown(smile=smile, expiry_row=1), *size)["vol"]
    assert max(map(len, text.splitlines())) <= size[0]
    check_screen(text, f"vol_{'smile' if smile else 'expiries'}_{size[0]}")


def test_keys_walk_through_expiries_and_strikes() -> None:
    at = shown()
    view = at.view
    for _ in range(5):
        VIEW_ACTIONS["cursor.down"](view, at)
    assert view.expiry_row == 2, "the last one"
    VIEW_ACTIONS["cell.detail"](view, at)
    VIEW_ACTIONS["cursor.up"](view, at)
    lines = panels(at, 120, 40)["vol"].splitlines()
    (row,) = [line for line in lines if line.startswith("▶")]
    assert row.split()[0] == "▶" or row.startswith("▶ 101,000")
    VIEW_ACTIONS["cursor.left"](view, at)
    assert (view.expiry_row, view.smile_row) == (1, 0)
    VIEW_ACTIONS["app.back"](view, at)
    assert (view.smile, view.sheet) == (False, "vol")
    VIEW_ACTIONS["app.back"](view, at)
    assert view.sheet == ""


def test_without_options_the_sheet_says_so() -> None:
    view = View("BTC", sheet="vol", computed={"vol": Computed(("BTC", "flow"), None)})
    assert "no options in this process" in panels(frame(factory.snapshot(), view), 80, 24)["vol"]
    stale = frame(factory.snapshot(state="stale"), View("BTC", sheet="vol"))
    assert "no volatilities while stale" in panels(stale, 80, 24)["vol"]
