"""Dealer positions against true books, and their cost. `python benchmarks/bench_positions.py [worlds [flow worlds]]`

So many worlds of each of A to D, O and N, and half as many of the other families, with seeds that nothing was fitted
on, are watched for 25 days; flow of an earlier commit runs on all or the first few of them, where the history of the
repository has it. A folder as one more argument keeps worlds.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import pickle
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import earlier_flow
import numpy as np
import position_scores as score
from numpy.typing import NDArray
from position_snapshots import DAYS, DISTURBANCES, ROLL_UPS, Snapshot, many, snapshot, watch

from dfmon.core.positions.advance import advance
from dfmon.core.positions.compiled_filter import load_loops
from dfmon.core.positions.dealer_net import sign_decided
from dfmon.core.positions.estimate import PositionEstimate, estimate
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import Listing, PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.positions.replay import Replays, advanced, with_histories, with_replays
from dfmon.core.pricing.compiled import load_kernels, select_kernels
from dfmon.model.units import DAY, HOUR, SECOND
from dfmon.sim.populations import FAMILIES, simulate

FIRST_SEED: Final = 1001
TRAINED, OTHERS = ("A", "B", "C", "D", "O"), ("N", "H", "G", "W", "X", "Y", "P")
START_NS: Final = 1_770_000_000 * SECOND // HOUR * HOUR
Flow = Mapping[tuple[str, int], list[NDArray[np.float64]]]
Cells = Mapping[tuple[str, float], Sequence[Snapshot]]


def mark(met: bool) -> str:
    return "met" if met else "**MISSED**"


def flow_of_before(cells: Sequence[tuple[str, int]], folder: Path | None) -> Flow:
    """Positions of the earlier commit, by world; empty without its history."""
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(partial(_kept_flow, folder), cells))
    return {cell: days for cell, days in zip(cells, found) if days is not None}


def _kept_flow(folder: Path | None, cell: tuple[str, int]) -> list[NDArray[np.float64]] | None:
    kept = None if folder is None else folder / f"flow_{cell[0]}{cell[1]}.pickle"
    if kept is not None and kept.exists():
        stored: list[NDArray[np.float64]] = pickle.loads(kept.read_bytes())
        return stored
    found = _flow(cell)
    if kept is not None and found is not None:
        kept.write_bytes(pickle.dumps(found))
    return found


def _flow(cell: tuple[str, int]) -> list[NDArray[np.float64]] | None:
    world = simulate(FAMILIES[cell[0]], cell[1], days=max(DAYS))
    found = earlier_flow.positions((world.trades, world.open_interest, world.instruments, world.start_ms), DAYS)
    if found is None:
        return None
    expiry_ms = world.instruments["expiry_ms"]
    alive = (np.flatnonzero(expiry_ms > world.start_ms + day * 86_400_000) for day in DAYS)
    return [-dealers[rows] for rows, dealers in zip(alive, found)]


def flow_figures(shots: Sequence[Snapshot], flow: Flow, held_to_it: bool) -> str:
    """Sign and RMSE of the earlier commit on the worlds that it ran on, and whether the estimate is no worse there."""
    run = [shot for shot in shots if (shot.family, shot.seed) in flow]
    if not run:
        return "|"

    def of(shot: Snapshot) -> NDArray[np.float64]:
        customers = flow[shot.family, shot.seed][DAYS.index(shot.day)][shot.rows]
        return np.asarray(np.nan_to_num(customers / shot.interest))

    excess = score.pooled(lambda some: score.rmse(some) - score.rmse(some, of), run)
    verdict = f" {mark(excess.at_most(0.0))}" if held_to_it else ""
    count = "" if len(run) == len(shots) else f" ({len(run)}; here {score.rmse(run):.3f})"
    return f"{score.sign(run, of):.3f}, {score.rmse(run, of):.3f}{count}{verdict} |"


def accuracy_table(cells: Cells, flow: Flow) -> None:
    print(
        "| family, day | sign | target | RMSE / zero | target | RMSE | zero | half flow | slope | 90 % "
        "| flow before: sign, RMSE |"
    )
    print("| --- | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (family, day), shots in cells.items():
        sign, ratio = score.pooled(score.sign, shots), score.pooled(score.multiple, shots)
        slope, inside = score.pooled(score.slope, shots), score.pooled(score.coverage, shots)
        sign_target, ratio_target = score.SIGN_TARGETS.get((family, day)), score.MULTIPLE_TARGETS.get((family, day))
        if ratio_target is None and family in OTHERS:
            ratio_target = 1.02
        signs = "" if sign_target is None else f">= {sign_target} {mark(sign.at_least(sign_target))}"
        ratios = "" if ratio_target is None else f"<= {ratio_target} {mark(ratio.at_most(ratio_target))}"
        low, high = (0.85, 1.2) if family in TRAINED else (0.65, 1.3)
        slopes = "" if day < 5.0 or (slope.at_least(low) and slope.at_most(high)) else " **MISSED**"
        print(
            f"| {family} {day:.0f} | {sign} | {signs} | {ratio} | {ratios} | {score.rmse(shots):.3f} "
            f"| {score.zero(shots):.3f} | {score.half_flow(shots):.3f} | {slope}{slopes} | {inside} "
            f"| {flow_figures(shots, flow, family in OTHERS and day >= 5.0)}"
        )
    print()


def bands_table(cells: Cells) -> None:
    """Coverage and sharpness of the roll-ups, days from 5 on pooled."""
    every = [shot for shots in cells.values() for shot in shots]
    climatology = {
        name: np.array(
            [score.roll_up(shot, name).truth for shot in every if shot.family in TRAINED and shot.day >= 5.0]
        )
        for name in ROLL_UPS
    }
    print("| pool | positions | " + " | ".join(f"{name.upper()}: 90 %, CRPS" for name in ROLL_UPS) + " |")
    print("| --- | ---: |" + " ---: |" * len(ROLL_UPS))
    families = sorted({shot.family for shot in every})
    pools: dict[str, list[Snapshot]] = {
        "A-D, O from day 5": [s for s in every if s.family in TRAINED and s.day >= 5.0],
        "A-D, O day 1": [s for s in every if s.family in TRAINED and s.day < 5.0],
        "the others from day 5": [s for s in every if s.family not in TRAINED and s.day >= 5.0],
        **{f"{family} from day 5": [s for s in every if s.family == family and s.day >= 5.0] for family in families},
    }
    for name, shots in pools.items():
        if not shots:
            continue
        row = [f"{score.coverage(shots):.3f}"]
        for roll_up in ROLL_UPS:
            inside = score.roll_up_coverage(roll_up)(shots)
            ratio = score.crps_ratio(roll_up, climatology[roll_up])(shots)
            row.append(f"{inside:.2f} ± {_clustered(shots, roll_up):.2f}, {ratio:.2f}")
        print(f"| {name} | {' | '.join(row)} |")
    print()


def _clustered(shots: Sequence[Snapshot], name: str) -> float:
    """Standard error of a roll-up's coverage, worlds as clusters."""
    by_world: dict[tuple[str, int], list[float]] = {}
    for shot in shots:
        rolled = score.roll_up(shot, name)
        inside = float(rolled.low <= rolled.truth <= rolled.high)
        by_world.setdefault((shot.family, shot.seed), []).append(inside)
    means = np.array([np.mean(one) for one in by_world.values()])
    return float(means.std(ddof=1) / np.sqrt(means.size)) if means.size > 1 else float("nan")


def correlation_table(cells: Cells) -> None:
    print(
        "| family | NGI over gross, day 25: correlation | target | B | its error | signal | sign decided from day 5 |"
    )
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for (family, day), shots in cells.items():
        if day != max(DAYS):
            continue
        found = score.pooled(score.correlation, shots)
        target = score.CORRELATION_TARGETS.get(family)
        text = "" if target is None else f">= {target} {mark(found.at_least(target))}"
        slopes = np.array([shot.rates.slope for shot in shots])
        errors = np.mean([shot.rates.slope_error or np.nan for shot in shots])
        signal = np.mean([shot.rates.signal_sd for shot in shots])
        spread = f"{slopes.mean():.2f} ({slopes.min():.2f} to {slopes.max():.2f})"
        later = [
            sign_decided(shot.rates)
            for (name, at), cell in cells.items()
            if name == family and at >= 5.0
            for shot in cell
        ]
        decided = np.mean([bool(mark) for mark in later])
        print(f"| {family} | {found} | {text} | {spread} | {errors:.3f} | {signal:.3f} | {decided:.2f} |")
    print()


def decision_table(cells: Cells) -> None:
    """What positions and net gamma are worth where the sign is decided, and where it is not; days from 5 on."""
    print("| family | decided: worlds x days, sign, NGI correlation | undecided: the same |\n| --- | ---: | ---: |")
    for family in dict.fromkeys(family for family, _ in cells):
        shots = [shot for (name, day), cell in cells.items() if name == family and day >= 5.0 for shot in cell]
        parts = []
        for decided in (True, False):
            some = [shot for shot in shots if bool(sign_decided(shot.rates)) is decided]
            figures = "" if len(some) < 5 else f", {score.sign(some):.2f}, {score.correlation(some):.2f}"
            parts.append(f"{len(some)}{figures}")
        print(f"| {family} | {' | '.join(parts)} |")
    print()


def long_table(cells: Cells) -> None:
    shots = [s for (family, day), cell in cells.items() if family in TRAINED and day >= 5.0 for s in cell]
    print("| chance that dealers are long | it was so | options | within 0.08 |\n| ---: | ---: | ---: | --- |")
    for stated, outcome, count in score.long_table(shots):
        print(f"| {stated:.2f} | {outcome:.2f} | {count} | {mark(abs(stated - outcome) <= 0.08)} |")
    print()


def timed(run: Callable[[], object], rounds: int = 31) -> float:
    """Least seconds of this process in a run: other processes only add to it."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def board(count: int = 2000) -> tuple[PositionState, PrintColumns, InterestColumns]:
    """A state of so many options, with a thousand prints of distinct ones and their open interest a second later."""
    rows, rng = np.arange(count), np.random.default_rng(0)
    listing = Listing(
        tuple(f"BTC-{row}" for row in rows.tolist()), np.linspace(5e4, 2e5, count), np.full(count, START_NS + 60 * DAY),
        np.where(rows % 2, 1.0, -1.0), np.zeros(count, np.int64),
    )  # fmt: skip
    first = InterestColumns(rows, np.full(count, START_NS + 1), np.full(count, 500.0))
    start = with_options(PositionState.empty(), listing)
    state = advance(start, PrintColumns.empty(), first, START_NS + 2, PositionPriors())
    row, ts = rng.permutation(count)[:1000], np.full(1000, START_NS + SECOND)
    size = rng.uniform(1.0, 5.0, 1000)
    prints = PrintColumns(row, ts, rng.choice([-1.0, 1.0], 1000), size, rng.integers(0, 4, 1000), np.arange(1000))
    return state, prints, InterestColumns(row, ts, 500.0 + rng.uniform(-1.0, 1.0, 1000))


def cost_table() -> None:
    """Cost with numpy alone, and with the extra `fast` where it is installed."""
    state, prints, shown = board()
    priors, empty = PositionPriors(), PositionEstimate.initial("BTC", 128)

    def tick(count: int) -> Callable[[], object]:
        values = InterestColumns(shown.row[:count], shown.ts_ns[:count], shown.value[:count])
        part = prints.take(np.arange(count))
        return lambda: advance(state, part, values, START_NS + SECOND, priors)

    print("| 2,000 options x 128 members, one core | measured | limit | |\n| --- | ---: | --- | --- |")
    for path in ("numpy", "fast") if load_kernels() and load_loops() else ("numpy",):
        select_kernels(path == "fast")
        one, ten, hundred = (timed(tick(count), 201) for count in (1, 10, 100))
        for name, seconds, limit in (
            ("a print in a tick of ten", ten / 10, 30e-6),
            ("a print in a tick of a hundred", hundred / 100, 30e-6),
            ("one more print in a tick that has some", (hundred - one) / 99, 30e-6),
            ("a tick with one print", one, 100e-6),
        ):
            print(f"| {path}: {name} | {seconds * 1e6:.0f} us | {limit * 1e6:.0f} us | {mark(seconds <= limit)} |")
        seconds, limit = _archive_seconds(state, 100_000) * 10.0, 10.0 if path == "fast" else 40.0
        name = f"{path}: a million archived prints as histories"
        print(f"| {name} | {seconds:.0f} s | {limit:.0f} s | {mark(seconds <= limit)} |")
        for options in (1, 200):
            name = f"{path}: a tick that replays whole lives, {options} option{'s' * (options > 1)}"
            print(f"| {name} | {_replay_seconds(state, options) * 1e3:.0f} ms | | |")
    select_kernels(False)
    current = estimate(state, empty)
    changed = replace(state, revision=state.revision + 1)
    seconds = timed(lambda: estimate(changed, current), 11)
    print(f"| positions and bands of all options | {seconds * 1e3:.1f} ms | 20 ms | {mark(seconds <= 20e-3)} |")
    size = len(pickle.dumps(state)) + len(pickle.dumps(current))
    print(f"| state and members | {size / 1e6:.1f} MB | 30 MB | {mark(size <= 30e6)} |\n")


def disturbance_table(seeds: Sequence[int]) -> None:
    """RMSE at day 25 where the tape is not as it should be, over that of the same worlds undisturbed."""
    print(f"| RMSE, day 25 | {' | '.join(DISTURBANCES)} | within 0.02 |")
    print("| --- |" + " ---: |" * len(DISTURBANCES) + " --- |")
    for family in ("A", "B", "O"):
        found = {
            name: score.rmse([snapshot(watch(family, seed, (25.0,), name)[0]) for seed in seeds])
            for name in DISTURBANCES
        }
        worst = max(found.values()) - found["as it is"]
        print(f"| {family} | {' | '.join(f'{value:.3f}' for value in found.values())} | {mark(worst <= 0.02)} |")
    print()


def _archive(count: int, options: int) -> PrintColumns:
    """So many prints over some options and 30 days."""
    rng = np.random.default_rng(1)
    ts = np.sort(rng.integers(START_NS - 30 * DAY, START_NS, count))
    return PrintColumns(
        rng.integers(0, options, count), ts, rng.choice([-1.0, 1.0], count), rng.uniform(0.1, 5.0, count),
        np.zeros(count, np.int64), np.arange(count),
    )  # fmt: skip


def _archive_seconds(state: PositionState, count: int) -> float:
    """Seconds for histories of `count` prints."""
    prints = _archive(count, 200)
    return timed(lambda: with_histories(state, prints, PositionPriors()), 1)


def _replay_seconds(state: PositionState, options: int) -> float:
    """Seconds of a tick's part of lives of 5,000 prints each."""
    replays = with_replays(Replays.empty(), state, _archive(5_000 * options, options), PositionPriors())
    return timed(lambda: advanced(replays, PositionPriors()), 5)


def main() -> None:
    numbers = [argument for argument in sys.argv[1:] if argument.isdigit()]
    worlds = int(numbers[0]) if numbers else 32
    flow_worlds = int(numbers[1]) if len(numbers) > 1 else worlds
    folder = next((Path(argument) for argument in sys.argv[1:] if not argument.isdigit()), None)
    cost_table()
    select_kernels()
    disturbance_table(range(FIRST_SEED, FIRST_SEED + min(worlds, 4)))
    seeds = range(FIRST_SEED, FIRST_SEED + worlds)
    families = (*TRAINED, *OTHERS)
    few = seeds[: max(worlds // 2, min(worlds, 8))]
    worlds_of = [(f, seed) for f in families for seed in (seeds if f in (*TRAINED, "N") else few)]
    found = many(worlds_of, folder)
    flow = flow_of_before([cell for cell in worlds_of if cell[1] < FIRST_SEED + flow_worlds], folder)
    cells: dict[tuple[str, float], list[Snapshot]] = {}
    for family in families:
        for index, day in enumerate(DAYS):
            cells[family, day] = [world[index] for world in found if world[0].family == family]
    counts = f"{worlds} worlds of {', '.join(TRAINED)} and N, {len(few)} of the others"
    print(f"{counts}, seeds from {FIRST_SEED} on; ± one standard error over worlds.\n")
    accuracy_table(cells, flow)
    bands_table(cells)
    correlation_table(cells)
    decision_table(cells)
    long_table(cells)


if __name__ == "__main__":
    main()
