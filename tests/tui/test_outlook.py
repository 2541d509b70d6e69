"""The outlook on the screen is as sure as its band, the sign of the positions and their coverage."""

from __future__ import annotations

import msgspec
import pytest

from dfmon.model.hedging import Unwind
from dfmon.model.snapshot import FlowSnapshot

from . import factory
from .test_render import frame, panels

CASES = ("spot +1%", "spot -1%", "+1 sd hour", "-1 sd hour", "stays, hour", "08:00 settle", "did, 15 min")


def verbs(snapshot: FlowSnapshot) -> dict[str, str]:
    """The verb of each row of the panel."""
    lines = panels(frame(snapshot), 160, 48)["gauges"].splitlines()
    return {
        case: line.split()[len(case.split()) + 1] for case in CASES for line in lines if line.startswith(f" {case}")
    }


def with_positions(**changes: object) -> FlowSnapshot:
    base = factory.snapshot()
    return msgspec.structs.replace(base, positions=msgspec.structs.replace(base.positions, **changes))


def test_each_case_has_its_verb() -> None:
    found = verbs(factory.snapshot())
    assert [found[case] for case in CASES] == ["BUY", "SELL", "BUY", "unsure", "flat", "SELL", "unsure"]


@pytest.mark.parametrize("decided", [False, None])
def test_without_a_sign_no_hedge_has_a_side_anywhere(decided: bool | None) -> None:
    s = with_positions(decided=decided)
    assert set(verbs(s).values()) <= {"unsure", "flat"}
    for size in ((80, 24), (120, 40), (160, 48)):
        shown = panels(frame(s), *size)
        first_lines = shown["headline"] + shown["context"]
        assert "SHORT? " in first_lines
        assert "buy " not in first_lines
        assert "sell " not in first_lines
        assert "+1%: unsure" in first_lines


def test_half_a_book_and_a_stale_market_expect_nothing() -> None:
    for s in (with_positions(warming=True, coverage=0.4), factory.snapshot(state="stale")):
        assert set(verbs(s).values()) == {"n/a"}
        shown = panels(frame(s), 160, 48)
        assert "+1%:" not in shown["headline"] + shown["context"]


def test_a_settlement_that_a_small_move_turns_is_unsure() -> None:
    turning = Unwind(14e6, 1e6, 26e6, at_window=-12e6, at_window_lo=-20e6, at_window_hi=-2e6)
    s = factory.snapshot(unwind=turning)
    assert verbs(s)["08:00 settle"] == "unsure"
    assert "08:00: unsure" in panels(frame(s), 160, 48)["headline"]


def test_the_band_on_the_screen_is_that_of_the_snapshot_whatever_the_verb() -> None:
    for s in (factory.snapshot(), with_positions(decided=None)):
        lines = panels(frame(s), 160, 48)["gauges"].splitlines()
        assert any("+18.0M..+49.0M" in line for line in lines if line.startswith(" spot +1%"))
        assert any("-19.2M..-9.1M" in line for line in lines if line.startswith(" 08:00 settle"))
