"""A recorded session replays bit for bit in other processes, whatever their hash seeds; an hour: benchmarks/hour.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulated_session import in_process


@pytest.mark.slow
def test_two_minutes_of_everything_replay_equal_under_two_hash_seeds(tmp_path: Path) -> None:
    """Five connections that break and come back, changes of the model, ticks passed over, several segments."""
    live = in_process("0", "record", str(tmp_path / "session"), "120", "BTC,ETH")
    assert 200 < len(live) < 240, "some ticks were passed over"
    assert len(set(live)) == len(live)
    for hash_seed in ("0", "1"):
        assert in_process(hash_seed, "replay", str(tmp_path / "session")) == live
