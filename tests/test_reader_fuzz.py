"""A damaged file of any kind is read, or is one sentence. benchmarks/fuzz_readers.py tries many more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.reader_fuzz import damaged_file, mutate, read_damaged, samples

ROUNDS = 12
SLOW = {name for name in samples() if name.endswith("replayed")}


@pytest.mark.parametrize("name", samples())
def test_a_sample_is_valid(name: str, tmp_path: Path) -> None:
    sample = samples()[name]
    if name.startswith("meta"):
        return  # names a file that is not there
    assert read_damaged(sample, sample.pack(sample.content), tmp_path) == ""


@pytest.mark.parametrize("name", [name for name in samples() if name not in SLOW])
def test_a_damaged_file_is_read_or_one_sentence(name: str, tmp_path: Path) -> None:
    sample = samples()[name]
    for seed in range(ROUNDS):
        content = damaged_file(sample, random.Random(f"{name} {seed}"))
        try:
            read_damaged(sample, content, tmp_path)
        except Exception as exc:
            raise AssertionError(f"seed {seed}: {content[:300]!r}") from exc


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_damaged_file_is_replayed_or_one_sentence(name: str, tmp_path: Path) -> None:
    sample = samples()[name]
    for seed in range(6):
        read_damaged(sample, damaged_file(sample, random.Random(f"{name} {seed}")), tmp_path)


def test_damage_differs_and_repeats_by_its_seed() -> None:
    content = samples()["ticker board"].content
    found = {mutate(content, random.Random(seed)) for seed in range(50)}
    assert len(found) > 40
    assert mutate(content, random.Random(7)) == mutate(content, random.Random(7))
    assert mutate(b"", random.Random(1)) is not None
