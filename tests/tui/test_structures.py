"""The zoomed tape with structures, and the strikes of the positions sheet with the shares that are assumed."""

from __future__ import annotations

import re

import msgspec
import pytest

from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.model.tables import TapeRow
from dfmon.tui.render.formatting import format_coins
from dfmon.tui.render.structures import dealer_side, kind_of
from dfmon.tui.view import View

from . import factory
from .test_render import frame, panels
from .test_what_if import snapshot_with_inputs


def _leg(seconds: int, side: int, strike: float, **fields: object) -> TapeRow:
    leg = TapeRow(
        factory.NOW - seconds * 1_000_000_000, side, f"BTC-27NOV26-{strike:.0f}-C", "27NOV26", strike, "C", 10.0, 0.02,
        0.5, -side * 1e6, True, False,
    )  # fmt: skip
    return msgspec.structs.replace(leg, **fields)


LEGS = (
    _leg(1, 1, 98_000.0, structure="a", premium=20_000.0),
    _leg(1, -1, 102_000.0, structure="a", premium=8_000.0, gamma=0.4e6),
    _leg(2, 1, 105_000.0, structure="b", premium=None),
    _leg(3, 1, 96_000.0, block=False, premium=3_000.0),
)


def _shown(**view: object) -> FlowSnapshot:
    detail = factory.snapshot().detail
    assert isinstance(detail, Detail)
    return factory.snapshot(tables=msgspec.structs.replace(detail, tape=LEGS))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_the_legs_of_a_structure_stand_under_its_sum(size: tuple[int, int]) -> None:
    text = panels(frame(_shown(), View("BTC", panel="tape", zoom=True)), *size)["tape"]
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "BLOCK of 2 legs" in line)
    assert re.search(r"BLOCK of 2 legs +10.0 +\+12.0K +-600K", lines[at]), "premium and gamma of the taker's legs"
    assert [line[0] for line in lines[at + 1 : at + 5]] == ["├", "└", " ", " "]
    assert max(map(len, lines)) <= size[0]


def test_a_sum_with_an_unknown_leg_is_unknown() -> None:
    legs = (LEGS[0], msgspec.structs.replace(LEGS[1], premium=None))
    detail = factory.snapshot().detail
    assert isinstance(detail, Detail)
    made = factory.snapshot(tables=msgspec.structs.replace(detail, tape=legs))
    text = panels(frame(made, View("BTC", panel="tape", zoom=True)), 120, 40)["tape"]
    assert re.search(r"BLOCK of 2 legs +10.0 +n/a +-600K", text)


def test_the_side_of_dealers_is_that_of_the_assumed_shares() -> None:
    priors = PositionPriors()
    assert dealer_side(LEGS[0], priors) == ("sold   50%", "sell")
    assert dealer_side(LEGS[3], priors) == ("sold   70%", "sell")
    assert dealer_side(msgspec.structs.replace(LEGS[3], side=-1), priors) == ("bought 70%", "buy")
    even = PositionPriors(screen=(0.4, 0.4, 0.1, 0.1))
    assert dealer_side(LEGS[3], even) == ("unknown", "absent")
    assert [kind_of(msgspec.structs.replace(LEGS[0], rfq=rfq)) for rfq in (False, True)] == ["block", "rfq"]


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (60, 20)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_strikes_have_net_gross_and_churn(size: tuple[int, int]) -> None:
    text = panels(frame(factory.snapshot(), View("BTC", sheet="positions", table="strikes")), *size)["positions"]
    assert max(map(len, text.splitlines())) <= size[0]
    assert "class shares: assumed by the dfmon" in text
    detail = factory.snapshot().detail
    assert isinstance(detail, Detail)
    nets = [row.net for row in detail.positions if row.strike == 98_000.0]
    (line,) = re.findall(r"▶98,000 .*", text)
    assert line.split()[3] == format_coins(sum(nets))
    if size[0] >= 80:
        assert line.split()[4] == format_coins(sum(map(abs, nets)), plus=False)


def test_the_class_shares_in_force_are_called_assumed() -> None:
    made = snapshot_with_inputs()
    view = View("BTC", sheet="positions", table="strikes")
    text = panels(frame(made, view, now_ns=made.ts_ns + 1, rows=()), 80, 24)["positions"]
    assert "assumed %: customer took, dealer took, both customers, both dealers" in text
    assert "screen 70 15 9 6" in text
