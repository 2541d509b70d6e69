"""A recorded session replays bit for bit in another process with another hash seed.

An hour of it: benchmarks/bench_replay_determinism.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulated_session import in_process


@pytest.mark.slow
def test_a_minute_of_everything_replays_equal_under_another_hash_seed(tmp_path: Path) -> None:
    """Five connections that break and come back, changes of the model, ticks passed over, several segments."""
    live = in_process("0", "record", str(tmp_path / "session"), "60", "BTC,ETH")
    assert 100 < len(live) < 120, "some ticks were passed over"
    assert len(set(live)) == len(live)
    assert len(list((tmp_path / "session").glob("*.dfj"))) > 1
    assert in_process("1", "replay", str(tmp_path / "session")) == live
