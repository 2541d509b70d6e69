"""Keys of the configuration: what they change, and the sentence for each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from key_table import PAGE, key_table, with_keys

from dfmon import config
from dfmon.model.errors import UsageError
from dfmon.runtime.runner import screen_settings
from dfmon.tui.keymap import KeyChanges
from dfmon.tui.settings import ScreenSettings
from dfmon.tui.sheets import ACTIONS, key_map

from . import factory
from .conftest import AppHarness


def _load(path: Path, text: str) -> ScreenSettings:
    path.write_text(f"[keys]\n{text}", encoding="utf-8")
    source = config.ConfigSource(path, {"HOME": "/nowhere"}, {}, {}, ".env")
    return screen_settings(source.load(), ("BTC",), {"config_source": source})


@pytest.mark.parametrize(
    "text", ['"view.span" = "w"', 'view.span = "w"', '"view.span" = ["w"]', "[keys.view]\nspan = 'w'"]
)
def test_an_action_gets_another_key_in_every_way_of_writing_it(tmp_path: Path, text: str) -> None:
    settings = _load(tmp_path / "config.toml", text)
    assert settings.keys == (("view.span", ("w",)),)
    by_key = key_map(settings.keys).by_key
    assert by_key["w"].id == "view.span"
    assert "t" not in by_key


def test_two_actions_can_swap_their_keys() -> None:
    by_key = key_map((("view.span", ("T",)), ("view.span.prev", ("t",)))).by_key
    assert (by_key["t"].id, by_key["T"].id) == ("view.span.prev", "view.span")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"view.spam" = "w"', r"keys.view.spam is no action; did you mean view.span\?"),
        ('"frobnicate" = "w"', r"keys.frobnicate is no action; allowed: app.help, app.positions, "),
        (
            '"view.span" = "z"',
            r'keys.view.span is "z", the key of panel.zoom; allowed: another key for either, free are ',
        ),
        (
            '"view.span" = "ctrl+1"',
            r'keys.view.span is "ctrl\+1", allowed: a character such as w, ctrl\+a to ctrl\+z, f1 ',
        ),
        ('"view.span" = "ctrl+i"', r'keys.view.span is "ctrl\+i", which a terminal cannot tell from tab; allowed: '),
        ('"app.interrupt" = "x"', r"keys.app.interrupt cannot be changed, allowed: ctrl\+c"),
        ('"view.span" = 5', r"keys.view.span is 5, allowed: a key in quotes, a list of keys, or \[\] for none"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(str(tmp_path))}/config.toml: {message}") as raised:
        _load(tmp_path / "config.toml", text)
    assert "\n" not in str(raised.value)


def test_the_free_keys_of_the_sentence_are_free() -> None:
    with pytest.raises(UsageError) as raised:
        key_map((("view.span", ("z",)),))
    free = str(raised.value).rpartition("free are ")[2].split()
    assert free
    for key in free:
        assert key_map((("view.span", (key,)),)).by_key[key].id == "view.span"


CHANGES: KeyChanges = (("view.span", ("w",)), ("list.filter", ("f3",)), ("app.help", ("f1",)), ("cursor.down", ("J",)))


async def test_a_changed_key_is_that_of_footer_help_palette_and_hints() -> None:
    harness = AppHarness(factory.snapshot(), settings=ScreenSettings(("BTC",), keys=CHANGES))
    async with harness.app.run_test(size=(160, 48)) as pilot:
        assert "w T span" in await harness.text(pilot)
        await pilot.press("t")
        assert harness.app.view.span_name == "4h"
        await pilot.press("w")
        assert harness.app.view.span_name == "1d"
        await pilot.press("f1")
        text = await harness.text(pilot)
        assert re.search(r"w T +longer, shorter time span", text)
        assert re.search(r"f3 +filter a list, search lines", text)
        helps = {command.title: command.help for command in harness.app.get_system_commands(harness.app.screen)}
        assert helps["Help"] == "key f1"
        await pilot.resize_terminal(80, 24)
        assert re.search(r"1-\d+ of \d+, J k", await harness.text(pilot))


async def test_without_a_key_an_action_is_run_by_its_name() -> None:
    harness = AppHarness(factory.snapshot(), settings=ScreenSettings(("BTC",), keys=(("view.metric", ()),)))
    async with harness.app.run_test(size=(160, 48)) as pilot:
        assert "metric" not in (await harness.text(pilot)).splitlines()[-1]
        await pilot.press("m", ":", *"view.metric", "enter")
        assert harness.app.view.metric == "vss"


async def test_counts_pages_and_ends() -> None:
    harness = AppHarness(factory.snapshot())
    view = harness.app.view
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d", "1", "2", "j")
        names = [row.name for row in harness.app.frame().detail.positions]  # type: ignore[union-attr]
        assert view.selected_option in names
        assert "13 of 320" in await harness.text(pilot)
        await pilot.press("5", "k")
        assert "8 of 320" in await harness.text(pilot)
        await pilot.press("9")
        assert (await harness.text(pilot)).splitlines()[-1].startswith(" 9 ")
        await pilot.press("escape", "j")
        assert "9 of 320" in await harness.text(pilot)
        await pilot.press("pagedown", "ctrl+d", "end")
        assert "320 of 320" in await harness.text(pilot)
        await pilot.press("pageup", "ctrl+u", "home")
        assert "1 of 320" in await harness.text(pilot)
        await pilot.press("escape", "2")
        assert (view.sheet, view.panel) == ("", "heatmap")


async def test_lines_are_searched_and_matches_stepped_through() -> None:
    harness = AppHarness(factory.snapshot())
    view = harness.app.view
    async with harness.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("?", "/", *"span", "enter")
        assert '"span": 1 of 1' in await harness.text(pilot)
        assert any("span" in line for line in (await harness.text(pilot)).splitlines()[3:-2])
        await pilot.press("/", "ctrl+u", *"next", "enter", "n", "n", "N")
        assert '"next": 2 of ' in await harness.text(pilot)
        await pilot.press("/", "ctrl+u", *"xyzzy", "enter")
        assert 'no line has "xyzzy"' in await harness.text(pilot)
        await pilot.press("escape", "escape")
        assert (view.search, view.sheet) == ("", "help")


async def test_tab_goes_through_the_completions_and_up_through_earlier_input() -> None:
    harness = AppHarness(factory.snapshot())
    view = harness.app.view
    async with harness.app.run_test(size=(120, 40)) as pilot:
        await pilot.press(":", *"s", "tab")
        first = view.prompt_text
        await pilot.press("tab")
        second = view.prompt_text
        assert (first, second) == ("strike ", "span ")
        await pilot.press("shift+tab")
        assert view.prompt_text == first
        await pilot.press("ctrl+u", *"metric v", "tab")
        assert view.prompt_text == "metric vss"
        await pilot.press("tab", "enter")
        assert view.metric == "volg"
        await pilot.press(":", "up")
        assert view.prompt_text == "metric volg"
        await pilot.press("down")
        assert view.prompt_text == ""


def test_the_page_of_keys_is_that_of_the_actions() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert key_table() in page, "run: python docs/key_table.py"
    assert with_keys(page) == page
    assert all(f"`{action.id}`" in page for action in ACTIONS)
