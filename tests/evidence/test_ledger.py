"""The chain of a ledger: appended lines follow, changed ones are found."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from dfmon.evidence.hypotheses import HYPOTHESES, registry_digest
from dfmon.evidence.ledger import Ledger
from dfmon.model.errors import DfmonError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path, clock = tmp_path / "state" / "evidence.jsonl", count(1_800_000_000_000_000_000, 1_000_000_000)
    ledger = Ledger(path, lambda: next(clock))
    ledger.register("h1")
    ledger.enter_run("h1", "boards", "d1", "r1")
    ledger.enter_run("h1", "boards", "d1", "r1")
    ledger.enter_run("h1", "others", "d2", "r2")
    return path


def test_hypotheses_are_entered_once_with_their_first_time(path: Path) -> None:
    first = Ledger(path, lambda: 0).register("h1")
    assert first == "2027-01-15T08:00:00.000Z"
    assert len(path.read_bytes().splitlines()) == 4
    assert Ledger(path, lambda: 0).register("h2") != first


def test_trials_count_different_pairs(path: Path) -> None:
    ledger = Ledger(path, lambda: 0)
    assert ledger.trials("h1", "d1") == 2
    assert ledger.trials("h1", "d3") == 3


@pytest.mark.parametrize("line", range(4))
def test_a_changed_line_is_found(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines()
    lines[line] = lines[line].replace(b"h1", b"h9")
    path.write_bytes(b"\n".join(lines) + b"\n")
    if line == 3:  # nothing follows that could disagree yet
        Ledger(path, lambda: 0)
        return
    with pytest.raises(DfmonError, match=f"line {line + 2} does not follow from the line before"):
        Ledger(path, lambda: 0)


def test_a_removed_line_and_text_that_is_no_ledger_are_found(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join(lines[1:]))
    with pytest.raises(DfmonError, match="line 1 does not follow"):
        Ledger(path, lambda: 0)
    path.write_text("spot,psi\n")
    with pytest.raises(DfmonError, match="the ledger was changed, and a new one is needed"):
        Ledger(path, lambda: 0)


def test_a_folder_in_place_of_a_ledger_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DfmonError, match="the ledger cannot be read: "):
        Ledger(tmp_path, lambda: 0)


def test_digest_is_that_of_the_text() -> None:
    assert len(registry_digest()) == 64
    assert len({hypothesis.name for hypothesis in HYPOTHESES}) == len(HYPOTHESES)


def test_two_processes_share_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first, second = Ledger(path, lambda: 0), Ledger(path, lambda: 0)
    first.register("h1")
    second.enter_run("h1", "a.csv", "d1", "r1")
    first.enter_run("h1", "b.csv", "d2", "r2")
    assert Ledger(path, lambda: 0).trials("h1", "d2") == 2
    assert first.trials("h1", "d2") == 2


def test_what_a_killed_process_left_of_a_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path, lambda: 0).register("h1")
    with path.open("ab") as file:
        file.write(b'{"prev": "ab')
    Ledger(path, lambda: 0).enter_run("h1", "a.csv", "d1", "r1")
    assert Ledger(path, lambda: 0).trials("h1", "d1") == 1
    assert len(path.read_bytes().splitlines()) == 2
