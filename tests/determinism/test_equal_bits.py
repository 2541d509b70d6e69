"""Equal records give equal bytes: in another process, with other hash seeds and another order of imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SESSION = """
from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.units import SECOND
from tests.chains import NOW, SPOT, ToyVenue, listing

digests = []
decoders = {name: ToyVenue(name) for name in ("deribit", "binance", "okx")}
publish = lambda snapshot: digests.append(snapshot.digest())
driver = Driver(("BTC", "ETH"), FlowParams(), decoders, publish, options_sources=("deribit",))
for source in decoders:
    driver.connected(source, NOW)
for frame in ("board BTC", "board ETH", f"index {SPOT} {NOW}"):
    driver.frame("deribit", NOW, frame.encode())
names = [option.name for option in listing()]
for i in range(12):
    now = NOW + i * 90 * SECOND
    frames = [f"index {SPOT + 40.0 * i} {now}", f"trade {names[i]} {1 - i % 2 * 2} 3.5", f"delisted {names[-i - 1]}"]
    for frame in frames:
        driver.frame("deribit", now, frame.encode())
    for source in ("okx", "binance"):
        driver.frame(source, now, f"book {SPOT + i} 20".encode())
        driver.frame(source, now, b"volume 2e9")
    driver.request_tick(now)
print("\\n".join(digests))
"""


def digests(hash_seed: str) -> list[str]:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    completed = subprocess.run(
        [sys.executable, "-c", SESSION], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return completed.stdout.split()


@pytest.mark.slow
def test_processes_with_different_hash_seeds_give_equal_digests() -> None:
    first, second = digests("1"), digests("4242")
    assert len(first) == 24
    assert len(set(first)) == 24
    assert first == second
