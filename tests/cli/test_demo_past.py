"""The past of the demo's charts comes from a child process."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from dfmon.cli import demo
from dfmon.cli.demo_past import _called_bucket
from dfmon.config import Config
from dfmon.core.scenario.buckets import Bucket, BucketState, Scene
from dfmon.model.errors import DfmonError


def test_a_child_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with demo._child_past(7, Config()) as load, pytest.raises(DfmonError, match="could not be computed"):
        load("BTC", 0)


def test_private_positions_are_in_no_list_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "book.csv").write_text("instrument_name,position\nBTC-25DEC26-90000-C,-12345\n")
    config = Config()
    config = replace(config, market=replace(config.market, positions=f"file:{tmp_path / 'book.csv'}"))
    commands, start = [], subprocess.Popen

    def record_command(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        commands.append(" ".join(command))
        return start(["/bin/false"], **options)

    monkeypatch.setattr(subprocess, "Popen", record_command)
    with demo._child_past(7, config):
        pass
    assert commands
    assert "12345" not in commands[0]


@pytest.mark.parametrize("candidate", [None, Bucket.SQUEEZE])
def test_the_bucket_of_a_past_board_is_the_newest_call(candidate: Bucket | None) -> None:
    call = None if candidate is None else Scene(candidate)
    buckets = BucketState(Scene(Bucket.PIN), 0, call, 0, 0)
    books = {"flow": SimpleNamespace(scene=SimpleNamespace(buckets=buckets))}
    driver: Any = SimpleNamespace(
        flow_states=lambda: {"BTC": SimpleNamespace(books=books)}, params=SimpleNamespace(positions="flow")
    )
    assert _called_bucket(driver) is (candidate or Bucket.PIN)
