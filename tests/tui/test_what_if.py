import msgspec
import pytest
from textual.pilot import Pilot

from dfmon.core.exposure.desks import Desk
from dfmon.core.step import FlowParams, step
from dfmon.engine.explain import explain
from dfmon.engine.explain_terms import explain_term
from dfmon.engine.what_if import keep_inputs, what_if_of_tick
from dfmon.engine.what_if_arguments import parse_what_if
from dfmon.engine.what_if_results import WhatIfResult
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.what_if import Shock
from dfmon.tui.computation import Computed, Work, compute
from dfmon.tui.render.formatting import format_usd
from dfmon.tui.render.regime import regime_runs, side_run
from dfmon.tui.sheets import front_sheet
from dfmon.tui.view import View
from dfmon.tui.what_if_controls import CONTROLS, step_control
from tests.engine.test_what_if import tick

from . import factory
from .conftest import AppHarness, ScreenCheck
from .test_render import frame

pytestmark = pytest.mark.slow


PARAMS = FlowParams("naive")


def snapshot_with_inputs() -> FlowSnapshot:
    inputs = tick(PARAMS, warm=3)
    snapshot = step(*inputs)[1]
    keep_inputs(snapshot, inputs)
    return snapshot


def harness_with_inputs() -> AppHarness:
    """An app on a tick of its own process, at the time of that tick."""
    snapshot = snapshot_with_inputs()
    harness = AppHarness(snapshot, history=False)
    harness.clock.now_ns = snapshot.ts_ns + 400_000_000
    return harness


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


async def computed(harness: AppHarness, pilot: Pilot[None], *names: str) -> str:
    """The screen once these results are there and of what the view asks for."""
    for _ in range(1_000):
        harness.app.draw()
        work = {work.name: work.key for work in front_sheet(harness.app.view).work(harness.app.frame())}
        results = harness.app.view.computed
        if all(name in results and results[name].key == work[name] for name in names):
            return await harness.text(pilot)
        await pilot.pause(0.01)
    raise AssertionError(f"not computed: {names}")


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_command_and_keys_move_every_number(size: tuple[int, int], check_screen: ScreenCheck) -> None:
    inputs = tick(PARAMS, warm=3)
    harness = harness_with_inputs()
    async with harness.app.run_test(size=size) as pilot:
        await pilot.press("colon", *"what-if spot 2 vol 5", "enter")
        text = await computed(harness, pilot, "what-if", "what-if fan", "what-if grid")
        expected = what_if_of_tick(inputs, Shock(2.0, 5.0))
        for name in ("ngi", "vss", "chl", "volg"):
            row = expected[name]
            assert f"{format_usd(row.before):>9}{format_usd(row.after):>10}{format_usd(row.change):>10}" in text
        check_screen(text, f"what_if_{size[0]}")
        await pilot.press("h", "h")  # half a per cent each
        assert harness.app.view.what_if == {"vol": "5", "spot": "1"}
        moved = await computed(harness, pilot, "what-if")
        assert f"{format_usd(what_if_of_tick(inputs, Shock(1.0, 5.0))['ngi'].after):>10}" in moved
        await pilot.press("0")
        assert harness.app.view.what_if == {"vol": "5"}
        await pilot.press("k", "l", "R")
        assert harness.app.view.what_if == {}
        assert harness.requests == [], "a look publishes nothing"
        await pilot.press("escape")
        assert harness.app.view.sheet == ""


def test_numbers_beside_the_steps_go_to_the_next_one() -> None:
    view, shown = View("BTC", sheet="what-if"), frame(snapshot_with_inputs())
    view.what_if = {"spot": "-37.2%"}
    step_control(view, shown, 1)
    assert view.what_if == {"spot": "-10"}
    view.what_if = {"spot": "1.2"}
    step_control(view, shown, -1)
    assert view.what_if == {"spot": "1"}
    step_control(view, shown, -2)
    assert view.what_if == {}, "where it was"
    view.what_if_row = [control.name for control in CONTROLS].index("positions")
    step_control(view, shown, 2)
    assert view.what_if == {"positions": "flow"}, "no file is given, and the choices go round"


async def test_model_on_screen_is_the_one_that_is_moved() -> None:
    harness = harness_with_inputs()
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *"model short", "enter", "colon", *"what-if spot 2", "enter")
        await computed(harness, pilot, "what-if")
        result = harness.app.view.computed["what-if"].value
        assert isinstance(result, WhatIfResult)
        assert result.after.positions.model == "short-all"


async def test_a_shock_that_cannot_be_priced_is_a_sentence() -> None:
    harness = harness_with_inputs()
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *"what-if vol -60", "enter")
        assert "cannot fall by 60 points" in await computed(harness, pilot, "what-if")


async def test_screen_of_another_process_says_that_it_has_no_options() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *"what-if spot 2", "enter")
        assert "what-if needs the options of a market in this process" in await harness.text(pilot)
        await pilot.press("escape", "u")
        assert "a what-if needs the options of a market here" in await harness.text(pilot)


async def test_the_forward_map_is_computed_beside_the_screen() -> None:
    harness = harness_with_inputs()
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("F")
        assert "1h ahead" in await computed(harness, pilot, "forward")


async def test_the_first_result_of_each_part_comes_before_the_second_of_another() -> None:
    """A clock that runs faster than the work is done leaves no part of a sheet empty."""
    harness = harness_with_inputs()
    async with harness.app.run_test(size=(160, 48)) as pilot:
        await pilot.press("u")
        for _ in range(3_000):
            await pilot.pause(0.01)
            snapshot = harness.hub.latest("BTC")
            assert snapshot is not None
            moved = msgspec.structs.replace(snapshot, ts_ns=snapshot.ts_ns + 11 * 10**9)
            harness.hub.publish(moved)
            harness.clock.now_ns = moved.ts_ns
            harness.app.draw()
            if {"what-if", "what-if fan", "what-if grid"} <= harness.app.view.computed.keys():
                return
        raise AssertionError(f"only {list(harness.app.view.computed)}")


def test_a_failure_of_a_work_is_its_result() -> None:
    def fail() -> object:
        raise KeyError("no such expiry")

    assert compute(Work("a", ("BTC", "flow"), fail)) == Computed(("BTC", "flow"), None, "KeyError: 'no such expiry'")


async def test_enter_explains_as_the_command_does() -> None:
    harness, inputs = harness_with_inputs(), tick(PARAMS, warm=3)
    async with harness.app.run_test(size=(160, 48)) as pilot:
        await pilot.press("3", "enter")
        text = await computed(harness, pilot, "explain")
        for line in str(explain(inputs, "ngi")).splitlines():
            assert line[:150].rstrip() in text
        await pilot.press("colon", *"explain reg", "enter")
        text = await computed(harness, pilot, "explain")
        assert str(explain_term(inputs, "regime")).splitlines()[0][:150] in text
        await pilot.press("l")
        assert harness.app.view.explained == "edges"
        await pilot.press("escape")
        assert harness.app.view.sheet == ""


async def test_an_explanation_needs_the_tick() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        assert "REGIME" in await harness.text(pilot)
        assert "an explanation needs the options of a market in this process" in await harness.text(pilot)


@pytest.mark.parametrize(
    ("band", "decided", "text"),
    [
        ((1e6, 3e6), True, "LONG"),
        ((1e6, 3e6), False, "LONG?"),
        ((-1e6, 3e6), True, "UNSURE"),
        ((-1e6, 3e6), False, "UNSURE"),
    ],
)
def test_the_side_is_no_surer_than_that_of_the_first_line(band: tuple[float, float], decided: bool, text: str) -> None:
    base = factory.snapshot()
    made = msgspec.structs.replace(
        base,
        regime=msgspec.structs.replace(base.regime, side="long"),
        metrics=msgspec.structs.replace(
            base.metrics, ngi=msgspec.structs.replace(base.metrics.ngi, lo=band[0], hi=band[1])
        ),
        positions=msgspec.structs.replace(base.positions, decided=decided),
    )
    assert side_run(made)[0] == text
    assert regime_runs(made, is_long=False, beyond=False)[0][0].strip() == text
