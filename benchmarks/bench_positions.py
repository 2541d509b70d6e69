"""Dealer positions against true books, and what they cost. `python benchmarks/bench_positions.py [seeds [first seed]]`

With a first seed of your own only the accuracy is measured.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from positions_trial import START_NS, TrialSample, TrialScore, flip_coverage, frames_of, net_gamma, trades, trial

from dfmon.core.book_exposure import flips_of_books, measure_exposure, price_board
from dfmon.core.columns import priceable_columns
from dfmon.core.positions.attribution import Priors
from dfmon.core.positions.dealer_net import dealer_positions
from dfmon.core.positions.inventory import Inventory
from dfmon.core.positions.inventory_codec import encode_inventory
from dfmon.core.positions.update import update_inventory
from dfmon.model.frames import ChainFrame, TradeHistory
from dfmon.model.units import DAY, SECOND
from dfmon.sim.populations.classes import PopulationHistory, simulate_population

DAYS = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
GRID = ((0.9, 0.05), (0.8, 0.05), (0.7, 0.05), (0.6, 0.05), (0.5, 0.05), (0.8, 0.15), (0.7, 0.15), (0.6, 0.15),
        (0.5, 0.15), (0.7, 0.25), (0.6, 0.25), (0.5, 0.25), (0.6, 0.35), (0.5, 0.35))  # fmt: skip


def row(name: str, value: str, limit: str, met: bool) -> None:
    print(f"| {name} | {value} | {limit} | {'met' if met else '**MISSED**'} |")


FIRST_TUNED_SEED, FIRST_HELD_OUT_SEED = (
    1,
    21,
)  # first seeds: the priors were chosen on 1 to 6 and 11 to 16, on none from 21 on


def by_day(seeds: Sequence[int], **world: Any) -> list[list[TrialSample]]:
    return list(map(list, zip(*(trial(seed, shots=DAYS, **world) for seed in seeds))))


def days_table(title: str, shots: Sequence[Sequence[TrialSample]]) -> None:
    print(f"### {title}\n\n| day | RMSE / OI | of clipped taker flow | sign, weighted | 90 % band holds |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for day, day_shots in zip(DAYS, shots):
        f = TrialScore.of(day_shots)
        print(f"| {day:.0f} | {f.rmse:.3f} | {f.rmse_clipped:.3f} | {f.sign:.3f} | {f.coverage:.3f} |")
    print()


def accuracy(seeds: range) -> None:
    persistent_shots, changing_shots = by_day(seeds), by_day(seeds, persistent=False)
    daily_shots = [shot for seed in seeds for shot in trial(seed, shots=range(5, 31), flips=True)]  # every day
    d15, d30, f15 = (
        TrialScore.of(persistent_shots[2]),
        TrialScore.of(persistent_shots[5]),
        TrialScore.of(changing_shots[2]),
    )
    print(f"200 options, 30 days, {len(seeds)} seeds from {seeds[0]} on.\n")
    print("| figure | measured | limit | |\n| --- | ---: | --- | --- |")
    row("sign, weighted, day 30", f"{d30.sign:.3f}", ">= 0.95", d30.sign >= 0.95)
    row("sign, weighted, day 15", f"{d15.sign:.3f}", ">= 0.90", d15.sign >= 0.90)
    row("RMSE / OI, day 30", f"{d30.rmse:.3f}", "<= 0.38", d30.rmse <= 0.38)
    gain = 1.0 - d15.rmse / d15.rmse_clipped
    row("better than clipped taker flow, day 15, direction persists", f"{gain:+.1%}", ">= 15 %", gain >= 0.15)
    gain = 1.0 - f15.rmse / f15.rmse_clipped
    row("the same, direction does not persist", f"{gain:+.1%}", ">= -5 %", gain >= -0.05)
    for world, shots in (("direction persists", persistent_shots), ("it does not", changing_shots)):
        coverages = [TrialScore.of(day_shots).coverage for day_shots in shots]
        met = 0.80 <= min(coverages) <= max(coverages) <= 0.97
        row(f"90 % band holds the truth, {world}", f"{min(coverages):.3f} to {max(coverages):.3f}", "0.80 to 0.97", met)
    correlation, coverage = net_gamma(daily_shots)
    row("correlation of inferred and true NGI", f"{correlation:.3f}", ">= 0.93", correlation >= 0.93)
    print(f"| band of NGI holds the truth | {coverage:.3f} | | |")
    coverage, count = flip_coverage(daily_shots)
    row(
        f"band of the flip holds the true one, {count} snapshots",
        f"{coverage:.3f}",
        "0.80 to 0.97",
        0.80 <= coverage <= 0.97,
    )
    print()
    days_table("Customers keep their direction", persistent_shots)
    days_table("Customers have none", changing_shots)


def missing_prints(seeds: Sequence[int]) -> None:
    print("### Prints that go missing\n\n| 1 % of the prints, day 30 | RMSE / OI | 90 % band holds |")
    print("| --- | ---: | ---: |")
    for name, drop in (("none", 0.0), ("lost for good", 0.01)):
        f = TrialScore.of([trial(seed, shots=(30.0,), drop=drop)[0] for seed in seeds])
        print(f"| {name} | {f.rmse:.3f} | {f.coverage:.3f} |")
    repaired_equal = all(_repaired(seed) for seed in seeds)
    print(
        f"| dropped and refilled a tick late, in any order | "
        f"{'same to the bit' if repaired_equal else '**DIFFERS**'} | |\n"
    )


def _repaired(seed: int) -> bool:
    """Prints that a gap repair brings later and in another order leave the same sums."""
    life, rng = simulate_population(seed, options=50), np.random.default_rng(seed)
    undamaged = repaired = Inventory.empty()
    delayed = np.zeros(0, np.intp)
    done = 0
    rows = life.print_rows[life.time[life.print_rows] > 0.0]
    for day, frame in frames_of(life, seed):
        undamaged = update_inventory(undamaged, frame, Priors())
        end = int(np.searchsorted(life.time[rows], day, side="right"))
        batch, done = np.concatenate([delayed, rows[done:end]]), end
        missing = rng.random(batch.size) < (0.01 if day < life.time[-1] else 0.0)
        delayed, batch = batch[missing], rng.permutation(batch[~missing])
        repaired = update_inventory(repaired, replace(frame, trades=trades(life, batch)), Priors())
    repaired = update_inventory(repaired, replace(frame, trades=trades(life, delayed)), Priors())
    fields = ("volume", "sum_sq_size", "counts")
    repaired_equal = all(np.array_equal(undamaged.records[name], repaired.records[name]) for name in fields)
    return repaired_equal and all(np.array_equal(a, b) for a, b in zip(undamaged.flows, repaired.flows))


def grid(seeds: Sequence[int]) -> None:
    print("### True class shares that are not the believed ones\n")
    print("p0: a customer takes, p1: a dealer takes a customer's order; believed 0.74 and 0.12 for the screen.\n")
    print("| p0 | p1 | sign day 15 | day 30 | band holds day 15 | day 30 | limit | |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |")
    for screen in GRID:
        day = list(zip(*(trial(seed, shots=(15.0, 30.0), screen=screen) for seed in seeds)))
        a, b = TrialScore.of(day[0]), TrialScore.of(day[1])
        met = "met" if min(a.coverage, b.coverage) >= 0.6 else "**MISSED**"
        cells = [*screen, *(f"{x:.3f}" for x in (a.sign, b.sign, a.coverage, b.coverage)), ">= 0.6", met]
        print(f"| {' | '.join(map(str, cells))} |")
    print()


def timed(run: Callable[[int], object], rounds: int = 15) -> float:
    """Median seconds of a run."""
    seconds = []
    for i in range(rounds):
        start = time.perf_counter()
        run(i)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def cost() -> None:
    life = simulate_population(1, options=2000, days=3.0, listed_before_days=1.0)
    board: ChainFrame | None = None
    inventory = Inventory.empty()
    for _, board in frames_of(life, 1, every=1.0):
        inventory = update_inventory(inventory, board, Priors())
    assert board is not None
    rows = life.print_rows[life.time[life.print_rows] > 0.0]

    def observe_trades(count: int) -> Callable[[int], object]:
        def run(i: int) -> object:
            trade_rows = rows[1000 * i : 1000 * i + count]
            return update_inventory(
                inventory, replace(board, ts_ns=board.ts_ns + SECOND, trades=trades(life, trade_rows)), Priors()
            )

        return run

    one_trade_s, hundred_trades_s = timed(observe_trades(1)), timed(observe_trades(101))
    print("| 2,000 options x 128 members | measured | limit | |\n| --- | ---: | --- | --- |")
    row(
        "one more trade in a tick",
        f"{(hundred_trades_s - one_trade_s) / 100 * 1e6:.0f} us",
        "100 us",
        (hundred_trades_s - one_trade_s) / 100 <= 100e-6,
    )
    print(f"| a tick with one trade, all of it | {one_trade_s * 1e6:.0f} us | | |")

    def roll_up_with_bands(_: int) -> object:
        positions = dealer_positions("flow", inventory, board)
        cols = priceable_columns(board, positions)
        priced = price_board(board, cols, "usd")
        flips = flips_of_books(board.spot, priced, {"flow": cols}, "strike")
        exposure = measure_exposure(priced, cols, flips["flow"])
        return [exposure.band(np.eye(7)[i]) for i in range(7)]

    seconds = timed(roll_up_with_bands)
    row("positions, roll-ups and flip with bands", f"{seconds * 1e3:.1f} ms", "25 ms", seconds <= 25e-3)
    size = len(encode_inventory(inventory)) + inventory.member_draws.nbytes + sum(m.nbytes for m in inventory.members)
    row("state", f"{size / 1e6:.1f} MB", "50 MB", size <= 50e6)
    archive = [_trade_history(life, option) for option in range(100)]
    prints, start = 0, time.perf_counter()
    state, round_ns = inventory, 0
    while prints < 250_000:
        state = update_inventory(
            state, replace(board, ts_ns=START_NS + 4 * DAY + round_ns, trade_histories=tuple(archive)), Priors()
        )
        prints += sum(history.trades.uid.size for history in archive)
        round_ns += 1
    seconds_per_million = (time.perf_counter() - start) / prints * 1e6
    row(
        "a million archived trades replayed as lives",
        f"{seconds_per_million:.1f} s",
        "60 s",
        seconds_per_million <= 60.0,
    )
    print()


def _trade_history(life: PopulationHistory, option: int) -> TradeHistory:
    """2,500 prints of one option, made of those of all."""
    rows = life.print_rows[(25 * option) % 20_000 :][:2500]
    history_trades = trades(life, rows)
    return TradeHistory(
        option, replace(history_trades, uid=np.full(rows.size, option), seq=np.arange(1, rows.size + 1))
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    seeds = range(FIRST_TUNED_SEED, FIRST_TUNED_SEED + count)
    cost()
    accuracy(seeds)
    missing_prints(list(seeds)[:2])
    grid(list(seeds)[:2])
    print("### Out of sample\n")
    accuracy(range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + count))
    extra_seeds = range(
        FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + 4 * count
    )  # the days of one life are much alike: the flip wants many lives
    shots = [shot for seed in extra_seeds for shot in trial(seed, shots=DAYS, flips=True)]
    coverage, snapshots = flip_coverage(shots)
    print(f"| {len(extra_seeds)} lives | measured | limit | |\n| --- | ---: | --- | --- |")
    row(f"band of the flip, {snapshots} snapshots", f"{coverage:.3f}", "0.80 to 0.97", 0.80 <= coverage <= 0.97)
    print(f"| band of NGI holds the truth | {net_gamma(shots)[1]:.3f} | | |")


if __name__ == "__main__":
    main()
