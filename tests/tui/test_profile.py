"""The profile on the whole screen: area, levels, horizons, cursor."""

from __future__ import annotations

import pytest

from dfmon.engine.profile_horizons import HorizonProfile
from dfmon.tui.computation import Computed
from dfmon.tui.render.frame import Frame
from dfmon.tui.view import PROFILE_HORIZONS, View
from dfmon.tui.view_actions import VIEW_ACTIONS

from . import factory
from .conftest import ScreenCheck
from .test_render import frame, panels


def shown(**fields: object) -> Frame:
    profile = factory.profile()
    half = tuple(value / 2.0 for value in profile.ngi)
    horizons = tuple(
        HorizonProfile(name, -20e6, None, 101_000.0, type(profile)(profile.spots, half, None, None))
        for name in PROFILE_HORIZONS[1:]
    )
    computed = {"profile": Computed(("BTC", "flow"), horizons)}
    view = View("BTC", panel="profile", zoom=True, computed=computed, **fields)  # type: ignore[arg-type]
    view.size = 120, 40
    return frame(factory.snapshot(), view)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_the_screen(size: tuple[int, int], check_screen: ScreenCheck) -> None:
    text = panels(shown(), *size)["profile"]
    assert max(map(len, text.splitlines())) <= size[0]
    check_screen(text, f"profile_horizons_{size[0]}")


def test_levels_and_horizons_are_named() -> None:
    text = panels(shown(), 160, 48)["profile"]
    assert "edge 100,900 up [100,200..101,600]" in text
    assert "spot 98,412" in text
    assert "⠤ after next expiry -20.0M none..101,000" in text
    assert "█ now -38.2M none..100,900" in text


def test_keys_change_horizon_range_and_cursor() -> None:
    at = shown()
    view = at.view
    VIEW_ACTIONS["view.span"](view, at)
    assert PROFILE_HORIZONS[view.profile_horizon] == "+48 h"
    VIEW_ACTIONS["view.more"](view, at)
    assert view.profile_range == 2
    for _ in range(12):
        VIEW_ACTIONS["cursor.right"](view, at)
    sentence = panels(at, 120, 40)["profile"].splitlines()[-1]
    assert "dealers LONG gamma" in sentence
    assert "1% down they buy" in sentence
    VIEW_ACTIONS["cursor.first"](view, at)
    assert view.profile_column == 0
    at_spot = panels(at, 120, 40)["profile"].splitlines()[-1]
    assert at_spot.startswith(" 98,4")
    assert "dealers SHORT gamma" in at_spot
    assert "1% down they sell" in at_spot
