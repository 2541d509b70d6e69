"""What the documents promise is there."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import msgspec
from layout_table import PAGE as DATA_PAGE
from layout_table import layout_table, with_layouts
from metric_table import metric_table, with_table
from population_table import PAGE, with_tables

from dfmon.cli.parser import build_parser
from dfmon.config import Config
from dfmon.core.scenario.buckets import Bucket
from dfmon.core.scenario.rules import RuleThresholds, rule_table
from dfmon.venues import certificates, proxies
from tests.core.scenario.test_rules import QUIET

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _commands() -> dict[str, argparse.ArgumentParser]:
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("no commands")


def test_readme_shows_every_command() -> None:
    assert not [name for name in _commands() if f"`dfmon {name}" not in README]


def test_readme_promises_no_command_that_is_not_there() -> None:
    documented = set(re.findall(r"`dfmon ([a-z-]+)", README))
    assert documented <= set(_commands())


def test_every_option_has_help() -> None:
    for name, command in _commands().items():
        without_help = [a.option_strings for a in command._actions if not a.help]
        assert not without_help, name


def test_the_test_command_of_the_readme_is_the_one_that_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = re.search(r"test_command='(.*)'", script)
    assert command is not None
    assert command.group(1) in README


def test_the_shipped_configuration_explains_each_section() -> None:
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    assert not [field.name for field in msgspec.structs.fields(Config) if f"[{field.name}]" not in text]


def test_readme_lists_the_scenarios_in_the_order_in_which_they_are_tried() -> None:
    rows = re.findall(r"^\| (\d) ([A-Z-]+) \|", README, re.MULTILINE)
    tried = [rule.bucket for rule in rule_table(QUIET, RuleThresholds(), None) if not rule.armed]
    documented_order = [*tried, Bucket.DAMP]
    assert rows == [(str(int(bucket)), bucket.title) for bucket in documented_order]


def test_readme_has_the_table_of_metrics() -> None:
    assert metric_table() in README, "run: python docs/metric_table.py"
    assert with_table(README) == README


def test_positions_page_has_the_switches_of_the_simulated_families() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "<!-- switches -->" in page
    assert with_tables(page) == page, "run: python docs/population_table.py"


def test_the_picture_is_there() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_table_of_layouts_is_that_of_the_code() -> None:
    page = DATA_PAGE.read_text(encoding="utf-8")
    assert layout_table() in page
    assert page == with_layouts(page)


def test_readme_names_every_variable_of_proxies_and_certificates() -> None:
    for names in proxies.VARIABLES.values():
        assert all(f"`{name.upper()}`" in README for name in names if not name.startswith(("ws", "socks")))
    assert all(f"`{name}`" in README for name in (*certificates.FILE_VARIABLES, certificates.FOLDER_VARIABLE))
