"""An edited configuration beside a running screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfmon import config
from dfmon.runtime.config_watch import LIVE_KEYS, ConfigWatch
from dfmon.runtime.runner import screen_settings
from dfmon.tui.settings import SettingsChange


class EditedFile:
    """A watched configuration file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.path.write_text(text, encoding="utf-8")
        source = config.ConfigSource(path, {"HOME": "/nowhere"}, {}, {}, ".env")
        self._watch = ConfigWatch(source, lambda c: screen_settings(c, ("BTC",), {"config_source": source}))

    def edit(self, text: str) -> SettingsChange | None:
        self.path.write_text(text, encoding="utf-8")
        return self._watch.poll()

    def poll(self) -> SettingsChange | None:
        return self._watch.poll()


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
