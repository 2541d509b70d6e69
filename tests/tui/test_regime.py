"""The regime on the screen: the first line, the edges on the chart, the flips by horizon."""

from __future__ import annotations

import msgspec
import pytest

from dfmon.model.flip import Flip, FlipRoot, HorizonFlip, Regime, RegimeEdge
from dfmon.model.snapshot import FlowSnapshot
from dfmon.sinks.plain_text import format_snapshot
from dfmon.tui.render.formatting import Row
from dfmon.tui.render.regime import edges_of, regime_runs
from dfmon.tui.view import View

from . import factory
from .test_render import frame, panels, screen


def text(runs: Row | list[tuple[str, str]]) -> str:
    return "".join(part for part, _ in runs)


def words(s: FlowSnapshot) -> list[tuple[str, str]]:
    return regime_runs(s, is_long=True, beyond=True)


def with_regime(spot: float = 81_500.0) -> FlowSnapshot:
    """Three flips, up, down, up, and spot between the first two."""
    roots = (FlipRoot(78_664.0, "up"), FlipRoot(82_284.0, "down"), FlipRoot(87_444.0, "up"))
    level = 82_284.0
    horizons = (
        HorizonFlip("today", 81_900.0, "down", 1),
        HorizonFlip("week", None, None, -1),
        HorizonFlip("all", level, "down", 1),
    )
    flip = Flip(
        level, 82_000.0, 82_600.0, 0.1, spot - level, (spot - level) / spot * 100, -0.4, roots,
        (65_000.0, 98_000.0), 1, "ok", 0.4, horizons,
    )  # fmt: skip
    below, above = RegimeEdge(78_664.0, 78_000.0, 79_000.0, "up", 0.98), RegimeEdge(level, None, None, "down", 0.4)
    return factory.snapshot(spot=spot, flip=flip, regime=Regime("long", 0.97, below, above))


def test_the_first_line_is_the_regime() -> None:
    s = with_regime()
    assert text(words(s)) == "LONG GAMMA 78,664..82,284, short outside"
    for size in ((160, 48), (120, 40)):
        assert "LONG GAMMA 78,664..82,284, short outside" in panels(frame(s), *size)["headline"]
    assert "LONG 78,664..82,284 " in panels(frame(s), 80, 24)["headline"]


def test_a_band_that_holds_zero_is_unsure() -> None:
    base = with_regime()
    ngi = msgspec.structs.replace(base.metrics.ngi, lo=-2e6, hi=5e6)
    s = msgspec.structs.replace(base, metrics=msgspec.structs.replace(base.metrics, ngi=ngi))
    assert text(words(s)) == "UNSURE edge 82,284"
    banded = msgspec.structs.replace(base.regime, above=RegimeEdge(82_284.0, 82_000.0, 82_600.0, "down", 0.9))
    assert text(words(msgspec.structs.replace(s, regime=banded))) == "UNSURE edge 82,284 [82,000..82,600]"


@pytest.mark.parametrize(
    ("side", "below", "above", "expected"),
    [
        ("short", True, False, "SHORT GAMMA above 78,664, long below"),
        ("short", False, True, "SHORT GAMMA below 82,284, long above"),
        ("long", False, False, "LONG GAMMA no edge 65,000..98,000"),
        (None, True, True, "GAMMA n/a"),
    ],
)
def test_a_missing_edge_or_side(side: str | None, below: bool, above: bool, expected: str) -> None:
    s = with_regime()
    regime = msgspec.structs.replace(
        s.regime, side=side, below=s.regime.below if below else None, above=s.regime.above if above else None
    )
    assert text(words(msgspec.structs.replace(s, regime=regime))) == expected


def test_both_edges_are_on_the_chart() -> None:
    s = with_regime()
    assert [edge.level for edge in edges_of(s)] == [78_664.0, 82_284.0]
    close = with_regime(spot=factory.SPOT)
    below, above = (
        RegimeEdge(factory.SPOT - 20.0, None, None, "up", 0.9),
        RegimeEdge(130_000.0, None, None, "down", 0.9),
    )
    drawn = panels(frame(msgspec.structs.replace(close, regime=Regime("long", 0.9, below, above))))["chart"]
    assert f" {factory.SPOT - 20.0:,.0f}" in drawn
    assert "↑130,000" in drawn  # out of sight, but named


def test_the_profile_names_flips_by_horizon_and_what_is_assumed() -> None:
    s = msgspec.structs.replace(with_regime(), numeraire="coin", stickiness="moneyness")
    shown = screen(frame(s, View("BTC", panel="profile", zoom=True)), 120, 40)
    assert "flip of 24 h 81,900 down" in shown
    assert "of a week none" in shown
    assert "flow model, coin, sticky moneyness" in shown


def test_plain_text_says_the_same() -> None:
    lines = format_snapshot(msgspec.structs.replace(with_regime(), numeraire="coin"), "live").splitlines()
    assert "long gamma 78,664 to 82,284, short above   97% of members agree" in lines
    assert "flips by expiry: today 81,900 down   week n/a   all 82,284 down" in lines
    assert "positions flow, coin, cover 93%" in lines[0]
    without = factory.snapshot(regime=Regime())
    assert not any("flips by expiry" in line for line in format_snapshot(without, "live").splitlines())
