"""The chain and the clock shared by the pricing benchmarks: 2,500 listed options, interleaved runs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
HOURS = np.array([9.0, 33.0, 57.0, 81.0, 216.0, 384.0, 720.0, 1392.0, 2064.0, 4248.0, 6432.0, 8760.0])
STEPS = np.array([25, 25, 25, 25, 50, 50, 100, 100, 100, 100, 100, 100]) * 1e-4
STRIKES = np.array([50, 60, 60, 70, 90, 100, 130, 130, 140, 140, 140, 140])


@dataclass(frozen=True)
class Chain:
    spot: float
    forward: F64
    strike: F64
    sigma: F64
    tau: F64
    option_type: F64
    open_interest: F64

    @property
    def columns(self) -> tuple[F64, F64, F64, F64, F64]:
        return self.forward, self.strike, self.sigma, self.tau, self.option_type


def chain(size: int = 2500, spot: float = 100_000.0, seed: int = 7) -> Chain:
    """A listed board: 12 expiries from 9 hours to a year, strikes on a grid, a smile with a skew, call and put."""
    rng = np.random.default_rng(seed)
    counts = np.round(STRIKES * size / (2 * STRIKES.sum())).astype(int)
    tau = np.repeat(HOURS, counts) / 8760.0
    base = 0.45 + 0.25 * np.exp(-20.0 * tau)
    forward = spot * np.exp(0.06 * tau)
    step = np.repeat(STEPS, counts) * spot * 2500 / size
    rank = np.concatenate([np.arange(count) - count // 2 for count in counts])
    strike = (np.round(forward / step) + rank) * step
    moneyness = np.log(strike / forward) / np.maximum(np.sqrt(tau), 0.05)
    sigma = np.clip(base + 0.10 * moneyness**2 - 0.05 * moneyness, 0.3, 3.0)
    forward, strike, sigma, tau = (np.repeat(column, 2) for column in (forward, strike, sigma, tau))
    option_type = np.tile([1.0, -1.0], tau.size // 2)
    out_of_the_money = np.where(option_type > 0, strike > 1.01 * spot, strike < 0.99 * spot)
    open_interest = np.round(rng.lognormal(3.0, 1.5, option_type.size) * np.where(out_of_the_money, 2.0, 0.5), 1)
    return Chain(spot, forward, strike, sigma, tau, option_type, open_interest)


def interleaved(runs: Mapping[str, Callable[[], object]], rounds: int = 200, batch: float = 0.002) -> dict[str, float]:
    """Least CPU seconds per call; each round times every run once, so that drift of the clock hits all alike.

    The least, not the median: what else runs on the machine adds to a time and takes nothing off it.
    """
    counts = {name: max(1, int(batch / _best_of_few(run))) for name, run in runs.items()}
    samples: dict[str, list[float]] = {name: [] for name in runs}
    gc.disable()
    try:
        for _ in range(rounds):
            for name, run in runs.items():
                run()  # the run before has left its own data in the caches
                start = time.process_time()
                for _ in range(counts[name]):
                    run()
                samples[name].append((time.process_time() - start) / counts[name])
    finally:
        gc.enable()
    return {name: min(times) for name, times in samples.items()}


def _best_of_few(run: Callable[[], object]) -> float:
    """Seconds of the best of a few calls: a first call still pays for loading, and would make its batches too short."""
    samples = []
    for _ in range(6):
        start = time.process_time()
        run()
        samples.append(time.process_time() - start)
    return max(min(samples), 1e-7)


def show(times: Mapping[str, float], ours: str, bounds: Mapping[str, tuple[str, float]]) -> None:
    """One line a run: microseconds, its ratio to ours, and the budget where there is one ("at least", "at most")."""
    for name, seconds in times.items():
        ratio = seconds / times[ours]
        line = f"{name:52s} {seconds * 1e6:10.1f} us  {ratio:9.3f} x ours"
        if name in bounds:
            kind, bound = bounds[name]
            value = ratio if kind == "at least" else 1.0 / ratio
            met = value >= bound if kind == "at least" else value <= bound
            verb = "it takes" if kind == "at least" else "ours takes"
            line += f"   {verb} {value:.2f} x, budget {kind} {bound:g}: {'ok' if met else 'MISSED'}"
        print(line)
