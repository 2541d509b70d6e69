"""`dfmon evidence` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfmon.cli.main import run


@pytest.mark.slow
def test_simulated_source_as_text_json_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger, page = ["--ledger", str(tmp_path / "l.jsonl")], tmp_path / "page.html"
    assert run(["evidence", "sim:1:4", *ledger]) == 0
    text = capsys.readouterr().out
    assert "too few blocks" in text
    assert all(len(line) <= 140 for line in text.splitlines())
    assert run(["evidence", "sim:1:4", "--json", *ledger]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1
    assert run(["evidence", "sim:1:4", "--html", str(page), *ledger]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sim:abc"], "sim:SEED:DAYS:null is expected"),
        (["no-such-file"], "no-such-file"),
        (["sim:1", "--positions", "naive"], "dfmon evidence takes no --positions"),
    ],
)
def test_bad_arguments_are_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evidence", *arguments, "--ledger", str(tmp_path / "l.jsonl")]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
