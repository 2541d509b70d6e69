"""An edited configuration beside a running screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dfmon import config
from dfmon.engine.hub import SnapshotHub
from dfmon.runtime.config_watch import LIVE_KEYS, ConfigWatch
from dfmon.runtime.rule_runner import RuleRunner
from dfmon.runtime.runner import screen_settings
from dfmon.tui.settings import SettingsChange
from tests.sinks.factory import snapshot, wait_until


class EditedFile:
    """A watched configuration file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.path.write_text(text, encoding="utf-8")
        self.hub = SnapshotHub(rules=RuleRunner(()))
        source = config.ConfigSource(path, {"HOME": "/nowhere"}, {}, {}, ".env")
        self.watch = ConfigWatch(source, self.hub, lambda c: screen_settings(c, ("BTC",), {"config_source": source}))

    def edit(self, text: str) -> SettingsChange | None:
        self.path.write_text(text, encoding="utf-8")
        return self.watch.poll()

    def poll(self) -> SettingsChange | None:
        return self.watch.poll()


@pytest.fixture
def file(tmp_path: Path) -> EditedFile:
    return EditedFile(tmp_path / "config.toml", "[screen]\npalette = 'dark'\n")


def test_without_an_edit_nothing_is_read(file: EditedFile) -> None:
    assert file.poll() is None


def test_what_can_change_at_once_does_and_the_rest_is_named(file: EditedFile) -> None:
    change = file.edit("[screen]\npalette = 'light'\n[market]\ntick_s = 2.0\n[keys]\n'view.span' = 'w'\n")
    assert change is not None
    assert change.settings is not None
    assert (change.settings.palette, change.settings.keys) == ("light", (("view.span", ("w",)),))
    assert change.in_force == ("screen.palette", "keys.view.span")
    assert str(change) == "screen.palette, keys.view.span in force; market.tick_s after a restart"
    assert file.poll() is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[screen]\n\npalette = 'pink'\n", "line 3: screen.palette is 'pink', allowed: dark, light, "),
        ("[screen]\nrate_hz = 1.0\npalettes = 'dark'\n", "line 3: unknown key screen.palettes; did you mean palette?"),
        ("[screen]\n[keys]\n'view.span' = 'z'\n", 'line 3: keys.view.span is "z", the key of panel.zoom; allowed: '),
        ("[screen]\nrate_hz = 1..0\n", "not TOML: Expected newline or end of document after a statement (at line 2, "),
    ],
)
def test_a_broken_edit_is_named_with_its_line_and_changes_nothing(file: EditedFile, text: str, sentence: str) -> None:
    change = file.edit(text)
    assert change is not None
    assert change.settings is None
    assert change.error.startswith(f"{file.path}: {sentence}"), change.error
    mended = file.edit("[screen]\npalette = 'mono'\n")
    assert mended is not None
    assert mended.in_force == ("screen.palette",)


RULE = "[[alert]]\nname = 'high'\nwhen = 'spot > 1'\n"


def test_edited_alert_rules_are_in_force_with_the_next_snapshot(file: EditedFile) -> None:
    change = file.edit(RULE)
    assert change is not None
    assert (change.in_force, change.after_restart) == (("alert",), ())
    file.hub.publish(snapshot(1))
    [alert] = file.hub.latest("BTC").rule_alerts  # type: ignore[union-attr, misc]
    assert alert.cause == "high"
    hook = file.edit(RULE + "command = ['true']\n")
    assert hook is not None
    assert (hook.in_force, hook.after_restart) == (("alert",), ("commands and webhooks of alerts",))


def test_a_broken_rule_is_a_condition_of_the_session_until_it_is_mended(file: EditedFile) -> None:
    file.edit(RULE)
    change = file.edit("[screen]\n\n" + RULE + RULE.replace("high", "low").replace("spot", "spto"))
    sentence = f"{file.path}: line 6: [[alert]] 2, 'low': `when`, column 1: there is no field spto; nearest: spot"
    assert change is not None
    assert change.error.startswith(sentence)
    assert file.hub.degraded == (f"configuration: {change.error}",)
    file.hub.publish(snapshot(1))
    [alert] = file.hub.latest("BTC").rule_alerts  # type: ignore[union-attr, misc]
    assert alert.cause == "high"
    file.edit(RULE)
    assert not file.hub.degraded


async def test_a_headless_run_takes_edits_over(file: EditedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfmon.runtime.config_watch._POLL_S", 0.0)
    stop = asyncio.Event()
    run = asyncio.create_task(file.watch.run(stop))
    file.path.write_text("[screen]\nrate_hz = 9\n", encoding="utf-8")
    await wait_until(lambda: file.hub.config_error)
    assert "line 2: screen.rate_hz is 9" in file.hub.config_error
    stop.set()
    await run


def test_a_removed_file_leaves_the_defaults_or_is_an_error(file: EditedFile) -> None:
    file.path.unlink()
    change = file.poll()
    assert change is not None
    assert "no such configuration file" in change.error


def test_live_keys_are_keys() -> None:
    sections = config.sections.section_types()
    for key in LIVE_KEYS:
        section, _, name = key.partition(".")
        assert name in sections[section].__struct_fields__
