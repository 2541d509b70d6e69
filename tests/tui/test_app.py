"""The running app, headless: the screens as text, every key of the table, pause, zoom, resize, history."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.events import Key, Paste
from textual.keys import _character_to_key

from dfmon.engine.hub import BackfillProgress, Request, Runtime
from dfmon.model.snapshot import Detail, FlowSnapshot, MetricRow, State, Views
from dfmon.model.tables import PositionRow
from dfmon.model.units import SECOND
from dfmon.tui import app as app_module
from dfmon.tui import prompt
from dfmon.tui.actions import Action
from dfmon.tui.app import DfmonApp, writer_backlog
from dfmon.tui.app_actions import APP_ACTIONS
from dfmon.tui.render.explanation import EXPLAINABLE
from dfmon.tui.render.options import filtered_options
from dfmon.tui.request_actions import REQUEST_ACTIONS
from dfmon.tui.settings import ScreenSettings, SettingsChange
from dfmon.tui.sheets import ACTIONS, ACTIONS_BY_ID, key_map
from dfmon.tui.view import SORT_KEYS, View
from dfmon.tui.view_actions import VIEW_ACTIONS

from . import factory
from .conftest import AppHarness, ScreenCheck

SIZES = [(80, 24), (120, 40), (160, 48), (200, 60), (60, 20)]


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_main_screen(size: tuple[int, int], check_screen: ScreenCheck) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=size) as pilot:
        check_screen(await harness.text(pilot), f"main_{size[0]}x{size[1]}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("help", ["question_mark"]),
        ("feeds", ["f"]),
        ("alerts", ["a"]),
        ("positions", ["d", "j", "j"]),
        ("positions_expiries", ["d", "tab", "e", "e"]),
        ("positions_origins", ["d", "j", "tab", "tab"]),
        ("positions_origins_ascii", ["i", "d", "tab", "tab"]),
        ("positions_filtered", ["d", "o", "e", "slash", *"put net<-200", "enter"]),
        ("filter_wrong", ["d", "slash", *"strik>9", "enter"]),
        ("tape_filtered", ["slash", *"call block", "enter"]),
        ("zoom_chart", ["z"]),
        ("zoom_heatmap", ["2", "2", "j", "l"]),
        ("zoom_gauges", ["3", "3"]),
        ("zoom_tape", ["4", "4"]),
        ("profile", ["5"]),
        ("zoom_profile", ["5", "5"]),
        ("detail", ["2", "enter"]),
        ("ascii", ["i"]),
        ("braille", ["i", "i"]),
        ("paused", ["space"]),
        ("oi", ["m", "m", "m", "m"]),
        ("merged", ["plus", "plus"]),
    ],
)
async def test_other_screens(name: str, keys: list[str], check_screen: ScreenCheck) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await harness.text(pilot)
        await pilot.press(*keys)
        harness.app.view.notice = ""
        check_screen(await harness.text(pilot), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no_flip", "several_flips", "absent", "mixed_quality", "hostile"])
async def test_states(name: str, check_screen: ScreenCheck) -> None:
    make: Callable[[], object] = getattr(factory, name)
    snapshot = make()
    assert isinstance(snapshot, FlowSnapshot)
    settings = ScreenSettings((snapshot.underlying,))
    harness = AppHarness(snapshot, settings=settings)
    for size in ((80, 24), (160, 48)):
        async with AppHarness(snapshot, settings=settings).app.run_test(size=size) as pilot:
            app = pilot.app
            assert isinstance(app, DfmonApp)
            harness.app = app
            check_screen(await harness.text(pilot), f"{name}_{size[0]}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["snapshot", "absent", "conventional", "hostile"])
async def test_positions(name: str, check_screen: ScreenCheck) -> None:
    make: Callable[[], FlowSnapshot] = getattr(factory, name)
    snapshot = make()
    settings = ScreenSettings((snapshot.underlying,))
    for width, height in ((60, 20), (80, 24), (120, 40), (160, 48)):
        harness = AppHarness(snapshot, settings=settings)
        async with harness.app.run_test(size=(width, height)) as pilot:
            await pilot.press("d")
            check_screen(await harness.text(pilot), f"positions_{name}_{width}")


async def test_waiting_for_the_first_snapshot(check_screen: ScreenCheck) -> None:
    harness = AppHarness(history=False)
    async with harness.app.run_test(size=(80, 24)) as pilot:
        harness.clock.now_ns += 7 * SECOND
        check_screen(await harness.text(pilot), "waiting")
        harness.hub.publish(factory.snapshot())
        assert "waiting" not in await harness.text(pilot)


async def test_stale(check_screen: ScreenCheck) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        harness.clock.now_ns = factory.NOW + 12 * SECOND
        check_screen(await harness.text(pilot), "stale")


async def test_replay(check_screen: ScreenCheck) -> None:
    runtime = Runtime(replay_position=0.4, replay_speed=8.0)
    harness = AppHarness(factory.snapshot(), mode="replay", runtime=runtime)
    async with harness.app.run_test(size=(80, 24)) as pilot:
        check_screen(await harness.text(pilot), "replay")
        await pilot.press("space", "full_stop", "comma", "greater_than_sign", "less_than_sign")
        assert harness.requests == [
            Request("replay.pause"),
            Request("replay.step", "1"),
            Request("replay.step", "-1"),
            Request("replay.speed", "16"),
            Request("replay.speed", "4"),
        ]


@pytest.mark.slow
async def test_replay_by_time(check_screen: ScreenCheck) -> None:
    runtime = Runtime(replay_position=0.4, replay_speed=8.0)
    harness = AppHarness(factory.snapshot(), mode="replay", runtime=runtime)
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("right_square_bracket", "left_square_bracket", "right_curly_bracket", "left_curly_bracket")
        assert "replay by -3600 s" in await harness.text(pilot)
        await pilot.press("r", *"13:41", "enter", "r", *"-90m", "enter", "colon", *"goto 2026-11-21 08:00", "enter")
        kinds, values = zip(*((request.kind, request.value) for request in harness.requests), strict=True)
        assert set(kinds) == {"replay.seek"}
        assert values == ("+60", "-60", "+3600", "-3600", "2026-11-22T13:41:00Z", "-5400", "2026-11-21T08:00:00Z")
        await pilot.press("r", *"25:99", "enter")
        check_screen(await harness.text(pilot), "goto_wrong")
        assert len(harness.requests) == 7
        await pilot.press("escape")
        assert harness.app.view.prompt == ""


async def test_a_live_market_cannot_be_moved_in_time() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("left_square_bracket", "r", "colon", *"goto 13:41", "enter")
        assert 'unknown command "goto"' in await harness.text(pilot)
        assert harness.requests == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("strike 105k", "105,000 [+"),
        ("exp 4DEC", "[-5.3]"),
        ("metric vss", "2 VSS $M per +1pt"),
        ("span 7d", "REGIME  7d"),
        ("size 40", ">=40 BTC"),
        ("filter call block", "/call block"),
        ("order oi", "[o] by open interest"),
        ("feeds", "FEEDS AND HEALTH"),
        ("pos", "DEALER POSITIONS"),
        ("panel.zoom", "▸1 SPOT AND REGIME  5m 1h [4h] 1d 7d"),
    ],
)
async def test_commands(text: str, expected: str) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon", *text, "enter")
        harness.app.view.notice = ""
        assert expected in await harness.text(pilot)
        assert harness.app.view.prompt == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strike high", 'invalid strike "high": 98000, 98k or spot'),
        ("strike", "usage: strike 98000 | 98k | spot"),
        ("metric gex", 'unknown metric "gex": ngi, vss, chl, volg, oi, iv'),
        ("exp 31FEB", 'unknown expiry "31FEB": 23NOV26, '),
        ("model bull", 'unknown position model "bull": flow, naive, short-all, file'),
        ("size -1", 'invalid print size "-1"'),
        ("size nan", 'invalid print size "nan"'),
        ("frobnicate", 'unknown command "frobnicate"'),
        ("s", 'ambiguous command "s": strike, span, size'),
    ],
)
async def test_a_wrong_command_gets_a_sentence_and_changes_nothing(text: str, message: str) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *text, "enter")
        assert message in await harness.text(pilot)
        assert harness.app.view.prompt_text == text
        await pilot.press("escape")
        assert harness.app.view == View("BTC", size=(120, 40))
        assert harness.requests == []


async def test_a_command_is_completed_and_hinted(check_screen: ScreenCheck) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon")
        check_screen(await harness.text(pilot), "command")
        await pilot.press("p", "a", "l", "tab")
        assert ":palette █" in await harness.text(pilot)
        assert "dark | light | colour-blind | green-red | mono" in await harness.text(pilot)
        await pilot.press(*"mono", "enter")
        assert harness.app.view.palette == "mono"


async def test_reset_is_the_layout_of_the_start() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        first = await harness.text(pilot)
        await pilot.press("2", "m", "j", "l", "plus", "t", "slash", *"put", "enter", "d", "o", "e", "R")
        harness.app.view.notice = ""
        assert await harness.text(pilot) == first


def test_every_action_is_carried_out_somewhere() -> None:
    for action in ACTIONS:
        tables = (VIEW_ACTIONS, REQUEST_ACTIONS, APP_ACTIONS)
        assert sum(action.id in table for table in tables) == 1, action.id
    assert len({a.id for a in ACTIONS}) == len(ACTIONS) == len(ACTIONS_BY_ID)
    assert sum(len(action.keys) for action in ACTIONS) == len(key_map(()).by_key), "no key has two actions"


def _fingerprint(harness: AppHarness) -> tuple[object, ...]:
    app = harness.app
    return (
        repr(app.view),
        tuple(harness.requests),
        app._paused_snapshots is None,
        app.return_code,
        len(app.screen_stack),
    )


# what has to be done first so that a key has something to do
SETUP_KEYS = {
    "app.back": ["z"],
    "panel.focus.1": ["2"],
    "cursor.left": ["l"],
    "cursor.up": ["j"],
    "cursor.half.up": ["G"],
    "cursor.page.up": ["G"],
    "cursor.first": ["j"],
    "panel.reset": ["2"],
    "view.order": ["d"],
    "what-if.reset": ["u"],
    "view.order.prev": ["d"],
    "view.only": ["d"],
    "view.only.prev": ["d"],
    "view.less": ["+"],
}
TESTED_ELSEWHERE = ("app.snapshot", "app.suspend")
IN_THE_APP = [action for action in ACTIONS if action.id not in {*VIEW_ACTIONS, *REQUEST_ACTIONS, *TESTED_ELSEWHERE}]


def _harness_for(action: Action) -> AppHarness:
    mode: State = "replay" if action.available_in == "replay" else "live"
    return AppHarness(factory.snapshot(), mode=mode, runtime=Runtime(replay_speed=4.0))


@pytest.mark.parametrize("action", [a for a in ACTIONS if a not in IN_THE_APP], ids=lambda a: a.id)
def test_every_key_does_something(action: Action) -> None:
    if action.id in TESTED_ELSEWHERE:
        return
    for key in action.keys:
        harness = _harness_for(action)
        for earlier in (*SETUP_KEYS.get(action.id, []), key):
            before = _fingerprint(harness)
            assert harness.app._handle_key(earlier, None)
        assert _fingerprint(harness) != before, key


@pytest.mark.parametrize("action", IN_THE_APP, ids=lambda a: a.id)
async def test_every_key_of_the_app_does_something(action: Action) -> None:
    for key in action.keys:
        harness = _harness_for(action)
        async with harness.app.run_test(size=(80, 24)) as pilot:
            before = _fingerprint(harness)
            await pilot.press(key)
            await pilot.pause()
            assert _fingerprint(harness) != before, key


@pytest.mark.slow
@pytest.mark.parametrize("key", ["slash", "colon"])
async def test_a_paste_goes_into_the_open_field(key: str) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        harness.app.post_message(Paste("q"))
        await pilot.pause()
        assert harness.app.is_running, "letters of a paste are no keys"
        await pilot.press(key, "x")
        harness.app.post_message(Paste("qty>=10\tbuy\r\n\x1b[2J"))
        await pilot.pause()
        assert harness.app.view.prompt_text == "xqty>=10 buy [2J"
        harness.app.post_message(Paste("9" * 500))
        await pilot.pause()
        assert len(harness.app.view.prompt_text) == prompt.MAX_PROMPT_LENGTH


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+c", 130)])
async def test_leaving(key: str, code: int) -> None:
    for size in ((80, 24), (30, 5)):
        harness = AppHarness(factory.snapshot())
        async with harness.app.run_test(size=size) as pilot:
            await pilot.press(key)
        assert harness.app.return_code == code


@pytest.mark.slow
async def test_resize_and_back() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        first = await harness.text(pilot)
        for size in ((160, 48), (60, 20), (1, 1), (200, 24), (80, 24)):
            await pilot.resize_terminal(*size)
            text = await harness.text(pilot)
            assert len(text.splitlines()) <= size[1]
        assert text == first


async def test_pause_freezes_the_panels_and_not_the_feeds() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        feed_down = msgspec.structs.replace(factory.feeds()[0], state="down")
        for i in range(3):
            harness.hub.publish(factory.snapshot(spot=90_000.0 + i, ts_ns=factory.NOW + i + 1, feeds=(feed_down,)))
        text = await harness.text(pilot)
        assert "PAUSED +3" in text
        assert "98,412.5" in text
        assert "deribit ○ down" in text
        await pilot.press("space")
        assert "90,002.0" in await harness.text(pilot)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_backfill_on_the_state_line(size: tuple[int, int], check_screen: ScreenCheck) -> None:
    """The positions step from warming to covered as the prints come in, and the progress goes when it is done."""
    harness = AppHarness(factory.mixed_quality())
    width = size[0]
    async with harness.app.run_test(size=size) as pilot:
        harness.hub.runtime = Runtime(backfill=BackfillProgress(412, 1_852, 31_204, 118.0, 184.0))
        check_screen(await harness.text(pilot), f"backfill_{width}")
        failing_backfill = BackfillProgress(412, 1_852, 31_204, 0.0, None, "archive answered 429, next try in 8 s")
        harness.hub.runtime = Runtime(backfill=failing_backfill)
        check_screen(await harness.text(pilot), f"backfill_trouble_{width}")
        assert "warming 62%" in await harness.text(pilot)
        harness.hub.runtime = Runtime(backfill=BackfillProgress(1_852, 1_852, 140_000, 90.0, 0.0))
        harness.hub.publish(factory.snapshot(ts_ns=factory.NOW + 1))
        text = await harness.text(pilot)
        assert "backfill" not in text
        assert {80: "flow 93%", 160: "flow Deribit only cover 93%"}[width] in text


async def test_esc_takes_the_filter_before_the_sheet() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d", "slash", *"27NOV C", "enter")
        assert "/27NOV C" in await harness.text(pilot)
        assert {(r.expiry, r.option_type) for r in filtered_options(harness.app.frame())} == {("27NOV26", "call")}
        await pilot.press("escape")
        assert "no filter" in await harness.text(pilot)
        await pilot.press("escape")
        assert harness.app.view.sheet == ""


async def test_what_is_typed_into_the_prompt_is_no_command() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d", "slash", *"qcb", "backspace", "ctrl+u", *"zz", "enter")
        text = await harness.text(pilot)
        assert 'unknown filter "zz"' in text
        assert harness.requests == []
        assert harness.app.return_code is None
        await pilot.press("escape")
        assert harness.app.view.prompt == ""
        assert harness.app.view.sheet == "positions"
        await pilot.press("slash", "backspace", "o")
        assert harness.app.view.sort_key == "band"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "metric"),
    [
        ((":", *"metric vss", "enter"), "vss"),
        (("c", ":", *"metric chl", "enter"), "chl"),
        (("/", *"c ", "escape"), "ngi"),
    ],
)
async def test_keys_that_arrive_in_one_burst_are_handled_in_their_order(keys: tuple[str, ...], metric: str) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await harness.text(pilot)
        for key in keys:
            is_character = len(key) == 1
            harness.app.post_message(
                Key(_character_to_key(key) if is_character else key, key if is_character else None)
            )
        await harness.text(pilot)
        assert harness.app.view.metric == metric
        assert harness.app.view.underlying == ("ETH" if keys[0] == "c" else "BTC")
        assert (harness.app.view.prompt, harness.app.frame().paused) == ("", False)


async def test_options_are_walked_by_name_and_keep_the_cursor() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d", "j", "j", "j")
        chosen = harness.app.view.selected_option
        assert filtered_options(harness.app.frame())[3].name == chosen
        detail = factory.snapshot().detail
        assert isinstance(detail, Detail)
        fewer = msgspec.structs.replace(detail, positions=tuple(r for r in detail.positions if r.name == chosen))
        harness.hub.publish(factory.snapshot(tables=fewer, ts_ns=factory.NOW + 1))
        assert "▶" in await harness.text(pilot)
        assert "1 of 1 " in await harness.text(pilot)
        harness.hub.publish(factory.snapshot(ts_ns=factory.NOW + 2))
        assert "4 of 320" in await harness.text(pilot)
        await pilot.press("G")
        assert "320 of 320" in await harness.text(pilot)
        await pilot.press("g", "k", "l")
        assert harness.app.view.expiry_filter == factory.EXPIRIES[0]


async def test_every_order_is_an_order() -> None:
    frame = AppHarness(factory.snapshot()).app.frame()
    keys: dict[str, Callable[[PositionRow], Any]] = {
        "size": lambda r: -abs(r.net),
        "band": lambda r: -((r.hi or 0.0) - (r.lo or 0.0)),
        "oi": lambda r: -r.open_interest,
        "expiry": lambda r: (factory.EXPIRIES.index(r.expiry), r.strike),
    }
    assert tuple(keys) == SORT_KEYS
    for frame.view.sort_key in SORT_KEYS:
        values = [keys[frame.view.sort_key](row) for row in filtered_options(frame)]
        assert values == sorted(values)


@pytest.mark.slow
async def test_long_notes_are_readable_and_the_last_reason_is_reached() -> None:
    note = "no data on trades.option.BTC for 42 s, which sends one in 5 s; resubscribed twice, " * 3 + "END OF NOTE"
    feed_with_long_note = msgspec.structs.replace(factory.feeds()[1], note=note)
    reasons = tuple(f"reason {i}: " + "a long sentence about what is missing " * 4 for i in range(9))
    harness = AppHarness(
        factory.snapshot(feeds=(factory.feeds()[0], feed_with_long_note), unavailable=(*reasons, "the very last"))
    )
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f")
        text = await harness.text(pilot)
        assert "END OF NOTE" in text
        assert "the very last" not in text
        await pilot.press("G")
        assert "the very last" in await harness.text(pilot)
        await pilot.press("k")
        assert "the very last" not in await harness.text(pilot)
        await pilot.press(*"j" * 99)
        assert "the very last" in await harness.text(pilot)


async def test_currency_changes_everything() -> None:
    harness = AppHarness(factory.snapshot())
    harness.hub.publish(factory.snapshot(underlying="ETH", spot=3_512.25))
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        assert "ETH 3,512.2" in await harness.text(pilot)
        await pilot.press("c")
        assert "BTC 98,412.5" in await harness.text(pilot)


async def test_looking_at_the_models_in_turn_sends_nothing_to_the_market() -> None:
    published = factory.snapshot()
    positions = published.positions
    views = Views({
        model: partial(msgspec.structs.replace, published, positions=msgspec.structs.replace(positions, model=model))
        for model in ("naive", "short-all", "file")
    })  # fmt: skip
    harness = AppHarness(msgspec.structs.replace(published, views=views))
    async with harness.app.run_test(size=(80, 24)) as pilot:
        for model in ("naive", "short-all", "file", "flow"):
            await pilot.press("b")
            shown = await harness.text(pilot)
            assert "flow 93%" in shown if model == "flow" else f"viewing {model}, published flow" in shown
        assert harness.requests == []
        assert harness.app.view.model == ""


async def test_publishing_another_model_is_a_request() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b", "colon", *"publish nai", "enter")
        assert harness.requests == [Request("positions", "naive")]
        assert harness.app.view.model == ""


async def test_save_writes_a_picture_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await harness.text(pilot)
        await pilot.press("s")
        files = sorted(p.name for p in tmp_path.iterdir())
        assert files == ["dfmon-20261122T140307Z.svg", "dfmon-20261122T140307Z.txt"]
        assert "SQUEEZE" in (tmp_path / files[1]).read_text(encoding="utf-8")
        assert "saved" in await harness.text(pilot)


async def test_copy_gives_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("Y")
        assert "flip 100,900" in harness.app.clipboard
        await pilot.press("2", "Y")
        assert "98,000 x 23NOV26  NGI -3.45M" in harness.app.clipboard


async def test_alerts_are_read_one_by_one() -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        for left in (2, 1):
            await pilot.press("n")
            assert f"[n] {left} !" in await harness.text(pilot)
        await pilot.press("n", "n")
        assert "no new alerts" in await harness.text(pilot)


async def test_history_is_read_beside_the_screen() -> None:
    release, loaded = threading.Event(), []

    def slow(name: str, start_ns: int) -> list[MetricRow]:
        release.wait(60)
        loaded.append(name)
        return factory.history() if name == "BTC" else []

    harness = AppHarness(factory.snapshot(), history=False)
    harness.app.history = slow
    async with harness.app.run_test(size=(80, 24)) as pilot:
        assert "so far" in await harness.text(pilot)
        release.set()
        for _ in range(200):
            if "so far" not in await harness.text(pilot):
                break
        assert "so far" not in await harness.text(pilot)
        assert sorted(loaded) == ["BTC", "ETH"]


async def test_a_broken_history_is_told_and_survived() -> None:
    def failing(name: str, start_ns: int) -> list[MetricRow]:
        raise OSError("disk on fire")

    harness = AppHarness(factory.snapshot(), history=False)
    harness.app.history = failing
    async with harness.app.run_test(size=(80, 24)) as pilot:
        for _ in range(200):
            if "disk on fire" in await harness.text(pilot):
                break
        assert "disk on fire" in await harness.text(pilot)


@pytest.mark.slow
async def test_a_panel_that_fails_does_not_take_the_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    from dfmon.tui.screens import main

    def failing(*_: object) -> list[object]:
        raise ValueError("no")

    monkeypatch.setitem(main.RENDERERS, "tape", failing)
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = harness.app.screen_text()
        assert "tape failed, see feeds (f)" in text
        assert "SQUEEZE" in text
        await pilot.press("f")
        await pilot.pause()
        assert "screen error in tape: ValueError: no" in harness.app.screen_text()


async def test_a_full_writer_skips_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await harness.text(pilot)
        assert writer_backlog(harness.app) == 0
        monkeypatch.setattr(app_module, "writer_backlog", lambda app: 3)
        harness.app.draw()
        monkeypatch.undo()
        assert "screen slow, 1 skipped" in await harness.text(pilot)


async def test_plain_has_no_glyph_and_no_colour() -> None:
    harness = AppHarness(factory.snapshot(), settings=ScreenSettings(("BTC",), plain=True))
    async with harness.app.run_test(size=(160, 48)) as pilot:
        assert (await harness.text(pilot)).isascii()
        assert not harness.app.colour


def test_low_bandwidth_draws_less_often() -> None:
    assert ScreenSettings(("BTC",), low_bandwidth=True).frame_interval_s == 2.0
    assert ScreenSettings(("BTC",), low_bandwidth=True).chart_interval_s == 10.0
    assert ScreenSettings(("BTC",), rate_hz=50.0).frame_interval_s == 0.25


async def test_an_edited_configuration_is_taken_over_and_a_broken_one_named() -> None:
    harness = AppHarness(factory.snapshot())
    app, changes = harness.app, list[SettingsChange | None]()
    app.poll_config = lambda: changes.pop(0) if changes else None
    async with app.run_test(size=(160, 48)) as pilot:
        app.view.icons = "ascii"
        edited = ScreenSettings(("BTC", "ETH"), palette="light", rate_hz=4.0, keys=(("view.span", ("w",)),))
        changes.append(
            SettingsChange(edited, ("screen.palette", "screen.rate_hz", "keys.view.span"), ("market.tick_s",))
        )
        app.reread_config()
        assert "config: screen.palette, screen.rate_hz, keys.view.span in force" in await harness.text(pilot)
        assert (app.view.palette, app.view.icons) == ("light", "ascii"), "what keys have chosen stays"
        await pilot.press("w")
        assert app.view.span_name == "1d"
        changes.append(SettingsChange(error="config.toml: line 3: screen.palette is 'pink', allowed: dark"))
        app.reread_config()
        assert "line 3: screen.palette is 'pink'" in await harness.text(pilot)
        app.view.notice = ""
        assert "config: broken edit, see feeds" in await harness.text(pilot)
        await pilot.press("f")
        assert "configuration: config.toml: line 3" in await harness.text(pilot)
        changes.append(SettingsChange(edited))
        app.reread_config()
        app.view.notice = ""
        assert "broken edit" not in await harness.text(pilot)


@pytest.mark.parametrize("key", ["C", "F", "S", "H", "f", "u", "K"])
def test_enter_explains_the_number_of_every_sheet_and_closing_returns_to_it(key: str) -> None:
    app = AppHarness(factory.snapshot()).app
    app._handle_key(key, key)
    sheet = app.view.sheet
    app._handle_key("enter", None)
    assert (app.view.sheet, app.view.sheet_under_help) == ("explain", sheet)
    assert app.view.explained in EXPLAINABLE
    app._handle_key("escape", None)
    assert (app.view.sheet, app.view.sheet_under_help) == (sheet, "")
