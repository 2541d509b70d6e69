"""`dfmon config`: what a user does before the first start."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from dfmon.cli import main
from dfmon.config.sections import section_types


@pytest.fixture
def config_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a configuration file that does not exist yet."""
    for name in [name for name in os.environ if name.startswith("DFMON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "dfmon" / "config.toml"


def test_path_is_that_of_the_xdg_folder_or_of_the_option(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["config", "path"]) == 0
    assert main.run(["config", "path", "--config", "desk.toml"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(config_path), "desk.toml"]


def test_the_first_file_has_every_key_as_a_comment_and_nobody_elses_eyes(config_path: Path) -> None:
    assert main.run(["config", "init"]) == 0
    text = config_path.read_text(encoding="utf-8")
    assert all(not keys for keys in tomllib.loads(text).values())
    for section in section_types().values():
        for key in msgspec.structs.fields(section):
            assert f"\n# {key.name} = " in text or f"\n# {key.name}=" in text, key.name
    assert config_path.stat().st_mode & 0o777 == 0o600


def test_the_first_file_without_its_comment_signs_is_the_default_configuration(
    config_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main.run(["config", "show"])
    defaults = capsys.readouterr().out
    main.run(["config", "init"])
    lines = config_path.read_text(encoding="utf-8").splitlines()
    config_path.write_text(
        "\n".join(line[2:] if re.match(r"# \w+ *= ", line) else line for line in lines), encoding="utf-8"
    )
    capsys.readouterr()
    assert main.run(["config", "show"]) == 0
    shown = [line.split("  # ")[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == defaults.splitlines()


def test_an_existing_file_is_left_alone(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_path.parent.mkdir()
    config_path.write_text("[market]\n", encoding="utf-8")
    assert main.run(["config", "init"]) == 2
    assert "exists; edit it" in capsys.readouterr().err
    assert config_path.read_text(encoding="utf-8") == "[market]\n"


def test_show_names_the_origin_of_what_is_set_and_masks_passwords(
    config_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config_path.parent.mkdir()
    config_path.write_text("[market]\ntick_s = 2.0\n", encoding="utf-8")
    monkeypatch.setenv("DFMON_PUBLISH_REDIS", "redis://desk:hunter2@10.0.0.7/2")
    monkeypatch.setenv("DFMON_PUBLISH_REST_TOKEN", "hunter2-and-more")
    assert main.run(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert f"tick_s = 2.0  # {config_path}" in shown
    assert "environment variable DFMON_PUBLISH_REDIS" in shown
    assert "hunter2" not in shown
    values = tomllib.loads(shown)
    assert values["market"]["tick_s"] == 2.0
    assert values["market"]["currencies"] == ["BTC", "ETH"]


def test_check_counts_nothing_it_does_not_accept(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["config", "check"]) == 0
    assert capsys.readouterr().out == f"{config_path}: absent, defaults in force\n"
    config_path.parent.mkdir()
    config_path.write_text("[market]\ntick_s = 100.0\n", encoding="utf-8")
    assert main.run(["config", "check"]) == 2
    assert capsys.readouterr().err == (
        f"dfmon: {config_path}: market.tick_s is 100.0, allowed: seconds from 0.1 to 60\n"
    )
