"""`[[alert]]` in a configuration: what is refused, where it is shown, and `dfmon alerts try` on recorded boards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfmon.cli.main import run
from tests.board_files import snapshot_text

RULE = """
[[alert]]
name = "high"
when = "BTC.spot > 1"
"""


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "board.csv"
    path.write_text(snapshot_text())
    return path


def rules(board: Path, text: str) -> Path:
    path = board.parent / "rules.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("alert = 3", "rules.toml: alert is 3, allowed: tables [[alert]]"),
        ("[alert]", "allowed: tables [[alert]]"),
        ('[[alert]]\nname = "x"', "rules.toml: line 1: [[alert]] 1: when is missing"),
        (RULE + "for = 30", "[[alert]] 1: alert.for is 30, allowed: a duration such as 30s, 5m or 1h"),
        (RULE + 'for = "30"', "[[alert]] 1: alert.for is '30', allowed: a duration"),
        (RULE + 'fro = "30s"', "[[alert]] 1: unknown key alert.fro; did you mean for?"),
        (RULE + 'to = ["line", "mail"]', "[[alert]] 1: alert.to is"),
        (RULE + 'to = ["webhook"]', "[[alert]] 1, 'high': `to` has webhook, and `webhook` is not set"),
        (RULE + 'webhook = "ftp://x"', "[[alert]] 1: alert.webhook is"),
        (RULE + RULE, "[[alert]] 2, 'high' is there twice"),
        (RULE.replace("spot", "spto"), "[[alert]] 1, 'high': `when`, column 1: there is no field BTC.spto"),
    ],
)
def test_mistakes_are_refused_by_the_check(
    board: Path, text: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "check", "--config", str(rules(board, text))]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_rules_are_shown_and_the_path_of_a_webhook_is_not(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(board, RULE + 'for = "30s"\nwebhook = "https://hooks.example/T0/SECRET"')
    assert run(["config", "show", "--config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert '[[alert]]\nname = "high"\nwhen = "BTC.spot > 1"\nfor = "30s"\n' in shown
    assert 'webhook = "https://…"' in shown
    assert run(["config", "check", "--config", str(path)]) == 0


def test_a_trial_on_boards(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(board, RULE + '[[alert]]\nname = "edge"\nwhen = "spot < 1"')
    assert run(["alerts", "try", str(path), str(board), "--positions", "naive"]) == 0
    out = capsys.readouterr().out
    assert f"2 rules on {board}: 1 snapshots" in out
    assert "BTC high: BTC.spot " in out
    assert "edge (BTC): fired 0 times" in out
    assert "why not: it was never true" in out
    assert run(["alerts", "try", str(rules(board, "")), str(board)]) == 2
    assert "has no tables [[alert]]" in capsys.readouterr().err


def test_a_replay_has_the_alerts_in_its_snapshots(board: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = rules(board, RULE)
    assert run(["replay", str(board), "--publish", "all", "--positions", "naive", "--config", str(path)]) == 0
    [line] = capfdbinary.readouterr().out.splitlines()
    [alert] = json.loads(line)["rule_alerts"]
    assert (alert["kind"], alert["cause"]) == ("RULE", "high")
