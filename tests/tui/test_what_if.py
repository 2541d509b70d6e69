import msgspec
import pytest

from dfmon.core.exposure.desks import Desk
from dfmon.core.step import FlowParams, step
from dfmon.engine.what_if import keep_inputs, what_if_of_tick
from dfmon.engine.what_if_arguments import parse_what_if
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.what_if import Shock
from tests.engine.test_what_if import tick

from . import factory
from .conftest import AppHarness

PARAMS = FlowParams("naive")


def snapshot_with_inputs() -> FlowSnapshot:
    inputs = tick(PARAMS, warm=3)
    snapshot = step(*inputs)[1]
    keep_inputs(snapshot, inputs)
    return snapshot


def test_words_are_shocks_and_assumptions() -> None:
    text = "spot -2 vol=5 hours 24 positions short-all numeraire coin stickiness moneyness share 0.4 law sqrt"
    shock, params = parse_what_if(f"{text} desks 0.5:1:0,0.5:0:0", PARAMS)
    assert shock == Shock(-2.0, 5.0, 24.0)
    assert params == msgspec.structs.replace(
        PARAMS, positions="short-all", numeraire="coin", stickiness="moneyness", venue_share=0.4, impact_law="sqrt",
        desks=(Desk(0.5), Desk(0.5, 0.0)),
    )  # fmt: skip
    assert parse_what_if("spot 2%", PARAMS) == (Shock(2.0), PARAMS)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "usage: what-if spot"),
        ("spot", "usage: what-if spot"),
        ("strike 5", 'unknown word "strike": spot, vol'),
        ("spot up", 'invalid spot "up": per cent from -95 to 1000'),
        ("spot -100", "per cent from -95"),
        ("vol nan", "points from -500"),
        ("hours -1", "hours from 0"),
        ("law cubic", "linear or sqrt"),
        ("share 2", "a share from 0.01 to 1"),
        ("desks 0.5:1:0", "shares that add up to 1"),
        ("positions file", "no file of positions"),
    ],
)
def test_mistakes_get_a_sentence(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_what_if(text, PARAMS)


async def test_command_shows_every_metric_before_and_after() -> None:
    snapshot = snapshot_with_inputs()
    harness = AppHarness(snapshot)
    expected = what_if_of_tick(tick(PARAMS, warm=3), Shock(2.0, 5.0, 24.0))
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *"what-if spot 2 vol 5 hours 24", "enter")
        text = await harness.text(pilot)
        assert harness.app.view.what_if == expected
        assert "spot +2 %, volatility +5 points, 24 h later" in text
        for row in expected.rows:
            assert f" {row.name} " in text
        await pilot.press("escape")
        assert harness.app.view.sheet == ""


async def test_model_on_screen_is_the_one_that_is_moved() -> None:
    harness = AppHarness(snapshot_with_inputs())
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *"model short", "enter", "colon", *"what-if spot 2", "enter")
        assert harness.app.view.what_if is not None
        assert harness.app.view.what_if.model == "short-all"
        assert harness.requests == [], "a look changes nothing"


async def test_screen_of_another_process_says_that_it_has_no_options() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *"what-if spot 2", "enter")
        assert "what-if needs the options of a market in this process" in await harness.text(pilot)
