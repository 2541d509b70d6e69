"""Locators on the command line: the table of a board, and the command that `dfmon open` becomes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from dfmon.cli import main
from dfmon.cli.locators import resolve_locator
from dfmon.cli.parser import build_parser
from dfmon.model.errors import UsageError
from tests.board_files import board_text


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.csv"
    path.write_text(board_text(), encoding="utf-8")
    return path


def test_the_table_of_a_locator_as_csv_and_as_json(board: Path, capfd: pytest.CaptureFixture[str]) -> None:
    locator = "dfmon://BTC/heatmap?layer=ngi&model=naive"
    assert main.run(["snapshot", locator, str(board)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "strike,expiry,ngi"
    assert main.run(["snapshot", locator, str(board), "--json"]) == 0
    body = json.loads(capfd.readouterr().out)
    assert (body["locator"], body["model"], body["columns"]) == (locator, "naive", ["strike", "expiry", "ngi"])
    assert len(body["rows"]) == len(lines) - 1
    assert float(lines[1].split(",")[2]) == body["rows"][0][2]


AT = "2026-11-22T14:03:07"


def _resolve(*argv: str) -> argparse.Namespace:
    return resolve_locator(build_parser().parse_args(argv), argv, build_parser().parse_args)


@pytest.mark.parametrize(
    ("argv", "command", "fields"),
    [
        (("open", "dfmon://BTC/vol"), None, {}),
        (("open", "dfmon://BTC/vol", "demo", "--plain"), "demo", {"plain": True}),
        (("open", "dfmon://BTC/vol", "http://host:8765"), "attach", {"urls": ["http://host:8765"]}),
        (
            ("open", "dfmon://BTC/vol?at=2026-11-22T14:03:07Z", "rec"),
            "replay",
            {"start": "2026-11-22T14:03:07", "paused": True},
        ),
    ],
)
def test_open_becomes_the_command_of_its_source(
    argv: tuple[str, ...], command: str | None, fields: dict[str, object]
) -> None:
    args = _resolve(*argv)
    assert args.command == command
    assert str(args.locator) == argv[1]
    assert {name: getattr(args, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("open", "dfmon://BTC/heat"), 'the screen is "heat", allowed: main, '),
        (("snapshot", "dfmon://BTC/vol?at=2026-11-22T14:03:07Z"), "is past; allowed: dfmon snapshot LOCATOR FILE"),
        (("snapshot", "a.csv", "b.csv"), "b.csv is a second SOURCE; allowed: one, or a locator and its source"),
    ],
)
def test_a_mistake_is_one_sentence(argv: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        _resolve(*argv)
    assert sentence in str(raised.value)
