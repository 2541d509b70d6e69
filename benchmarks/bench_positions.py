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

import numpy as np
from positions_trial import START_NS, Figures, Shot, flip_coverage, frames, net_gamma, trades, trial

from dfmon.core.book_exposure import measure
from dfmon.core.columns import columns
from dfmon.core.positions.attribution import Priors
from dfmon.core.positions.dealer_net import dealer_positions
from dfmon.core.positions.inventory import Inventory
from dfmon.core.positions.inventory_codec import to_bytes
from dfmon.core.positions.update import observe
from dfmon.model.frames import ChainFrame, Life
from dfmon.model.units import DAY, SECOND
from dfmon.sim.market.population import live

DAYS = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
GRID = ((0.9, 0.05), (0.8, 0.05), (0.7, 0.05), (0.6, 0.05), (0.5, 0.05), (0.8, 0.15), (0.7, 0.15), (0.6, 0.15),
        (0.5, 0.15), (0.7, 0.25), (0.6, 0.25), (0.5, 0.25), (0.6, 0.35), (0.5, 0.35))  # fmt: skip


def row(name: str, value: str, limit: str, good: bool) -> None:
    print(f"| {name} | {value} | {limit} | {'met' if good else '**MISSED**'} |")


TUNED_ON, HELD_OUT = 1, 21  # first seeds: the priors were chosen on 1 to 6 and 11 to 16, on none from 21 on


def by_day(seeds: Sequence[int], **world: object) -> list[list[Shot]]:
    return list(map(list, zip(*(trial(seed, shots=DAYS, **world) for seed in seeds))))  # type: ignore[arg-type]


def days_table(title: str, shots: Sequence[Sequence[Shot]]) -> None:
    print(f"### {title}\n\n| day | RMSE / OI | of clipped taker flow | sign, weighted | 90 % band holds |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for day, taken in zip(DAYS, shots):
        f = Figures.of(taken)
        print(f"| {day:.0f} | {f.rmse:.3f} | {f.rmse_clipped:.3f} | {f.sign:.3f} | {f.coverage:.3f} |")
    print()


def accuracy(seeds: range) -> None:
    lasting, fickle = by_day(seeds), by_day(seeds, persistent=False)
    whole = [shot for seed in seeds for shot in trial(seed, shots=range(5, 31), flips=True)]  # every day
    d15, d30, f15 = Figures.of(lasting[2]), Figures.of(lasting[5]), Figures.of(fickle[2])
    print(f"200 options, 30 days, {len(seeds)} seeds from {seeds[0]} on.\n")
    print("| figure | measured | limit | |\n| --- | ---: | --- | --- |")
    row("sign, weighted, day 30", f"{d30.sign:.3f}", ">= 0.95", d30.sign >= 0.95)
    row("sign, weighted, day 15", f"{d15.sign:.3f}", ">= 0.90", d15.sign >= 0.90)
    row("RMSE / OI, day 30", f"{d30.rmse:.3f}", "<= 0.38", d30.rmse <= 0.38)
    gain = 1.0 - d15.rmse / d15.rmse_clipped
    row("better than clipped taker flow, day 15, direction persists", f"{gain:+.1%}", ">= 15 %", gain >= 0.15)
    gain = 1.0 - f15.rmse / f15.rmse_clipped
    row("the same, direction does not persist", f"{gain:+.1%}", ">= -5 %", gain >= -0.05)
    for world, shots in (("direction persists", lasting), ("it does not", fickle)):
        held = [Figures.of(taken).coverage for taken in shots]
        good = 0.80 <= min(held) <= max(held) <= 0.97
        row(f"90 % band holds the truth, {world}", f"{min(held):.3f} to {max(held):.3f}", "0.80 to 0.97", good)
    correlation, held = net_gamma(whole)
    row("correlation of inferred and true NGI", f"{correlation:.3f}", ">= 0.93", correlation >= 0.93)
    print(f"| band of NGI holds the truth | {held:.3f} | | |")
    held, count = flip_coverage(whole)
    row(f"band of the flip holds the true one, {count} snapshots", f"{held:.3f}", "0.80 to 0.97", 0.80 <= held <= 0.97)
    print()
    days_table("Customers keep their direction", lasting)
    days_table("Customers have none", fickle)


def faults(seeds: Sequence[int]) -> None:
    print("### Prints that go missing\n\n| 1 % of the prints, day 30 | RMSE / OI | 90 % band holds |")
    print("| --- | ---: | ---: |")
    for name, drop in (("none", 0.0), ("lost for good", 0.01)):
        f = Figures.of([trial(seed, shots=(30.0,), drop=drop)[0] for seed in seeds])
        print(f"| {name} | {f.rmse:.3f} | {f.coverage:.3f} |")
    same = all(_repaired(seed) for seed in seeds)
    print(f"| dropped and refilled a tick late, in any order | {'same to the bit' if same else '**DIFFERS**'} | |\n")


def _repaired(seed: int) -> bool:
    """Prints that a gap repair brings later and in another order leave the same sums."""
    life, rng = live(seed, options=50), np.random.default_rng(seed)
    plain = late = Inventory.empty()
    owed = np.zeros(0, np.intp)
    done = 0
    rows = life.prints[life.time[life.prints] > 0.0]
    for day, frame in frames(life, seed):
        plain = observe(plain, frame, Priors())
        upto = int(np.searchsorted(life.time[rows], day, side="right"))
        now, done = np.concatenate([owed, rows[done:upto]]), upto
        missing = rng.random(now.size) < (0.01 if day < life.time[-1] else 0.0)
        owed, now = now[missing], rng.permutation(now[~missing])
        late = observe(late, replace(frame, trades=trades(life, now)), Priors())
    late = observe(late, replace(frame, trades=trades(life, owed)), Priors())
    fields = ("volume", "squares", "tally")
    same = all(np.array_equal(plain.book[name], late.book[name]) for name in fields)
    return same and all(np.array_equal(a, b) for a, b in zip(plain.flows, late.flows))


def grid(seeds: Sequence[int]) -> None:
    print("### True class shares that are not the believed ones\n")
    print("p0: a customer takes, p1: a dealer takes a customer's order; believed 0.74 and 0.12 for the screen.\n")
    print("| p0 | p1 | sign day 15 | day 30 | band holds day 15 | day 30 | limit | |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |")
    for screen in GRID:
        day = list(zip(*(trial(seed, shots=(15.0, 30.0), screen=screen) for seed in seeds)))
        a, b = Figures.of(day[0]), Figures.of(day[1])
        good = "met" if min(a.coverage, b.coverage) >= 0.6 else "**MISSED**"
        cells = [*screen, *(f"{x:.3f}" for x in (a.sign, b.sign, a.coverage, b.coverage)), ">= 0.6", good]
        print(f"| {' | '.join(map(str, cells))} |")
    print()


def timed(run: Callable[[int], object], rounds: int = 15) -> float:
    """Median seconds of a run."""
    taken = []
    for i in range(rounds):
        start = time.perf_counter()
        run(i)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def cost() -> None:
    life = live(1, options=2000, days=3.0, before=1.0)
    board: ChainFrame | None = None
    inventory = Inventory.empty()
    for _, board in frames(life, 1, every=1.0):
        inventory = observe(inventory, board, Priors())
    assert board is not None
    rows = life.prints[life.time[life.prints] > 0.0]

    def ticked(count: int) -> Callable[[int], object]:
        def run(i: int) -> object:
            part = rows[1000 * i : 1000 * i + count]
            return observe(inventory, replace(board, ts_ns=board.ts_ns + SECOND, trades=trades(life, part)), Priors())

        return run

    alone, many = timed(ticked(1)), timed(ticked(101))
    print("| 2,000 options x 128 members | measured | limit | |\n| --- | ---: | --- | --- |")
    row("one more trade in a tick", f"{(many - alone) / 100 * 1e6:.0f} us", "100 us", (many - alone) / 100 <= 100e-6)
    print(f"| a tick with one trade, all of it | {alone * 1e6:.0f} us | | |")

    def rolled(_: int) -> object:
        found = dealer_positions("flow", inventory, board)
        exposure = measure(board, columns(board, found), "usd", "strike")
        return [exposure.band(np.eye(7)[i]) for i in range(7)]

    taken = timed(rolled)
    row("positions, roll-ups and flip with bands", f"{taken * 1e3:.1f} ms", "25 ms", taken <= 25e-3)
    size = len(to_bytes(inventory)) + inventory.drawn.nbytes + sum(m.nbytes for m in inventory.members)
    row("state", f"{size / 1e6:.1f} MB", "50 MB", size <= 50e6)
    archive = [_life(life, option) for option in range(100)]
    prints, start = 0, time.perf_counter()
    state, again = inventory, 0
    while prints < 250_000:
        state = observe(state, replace(board, ts_ns=START_NS + 4 * DAY + again, lives=tuple(archive)), Priors())
        prints += sum(one.trades.uid.size for one in archive)
        again += 1
    million = (time.perf_counter() - start) / prints * 1e6
    row("a million archived trades replayed as lives", f"{million:.1f} s", "60 s", million <= 60.0)
    print()


def _life(life: object, option: int) -> Life:
    """2,500 prints of one option, made of those of all."""
    rows = life.prints[(25 * option) % 20_000 :][:2500]  # type: ignore[attr-defined]
    told = trades(life, rows)  # type: ignore[arg-type]
    return Life(option, replace(told, uid=np.full(rows.size, option), seq=np.arange(1, rows.size + 1)))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    seeds = range(TUNED_ON, TUNED_ON + count)
    cost()
    accuracy(seeds)
    faults(list(seeds)[:2])
    grid(list(seeds)[:2])
    print("### Seeds that nothing was chosen on\n")
    accuracy(range(HELD_OUT, HELD_OUT + count))
    many = range(HELD_OUT, HELD_OUT + 4 * count)  # the days of one life are much alike: the flip wants many lives
    shots = [shot for seed in many for shot in trial(seed, shots=DAYS, flips=True)]
    held, snapshots = flip_coverage(shots)
    print(f"| {len(many)} lives | measured | limit | |\n| --- | ---: | --- | --- |")
    row(f"band of the flip, {snapshots} snapshots", f"{held:.3f}", "0.80 to 0.97", 0.80 <= held <= 0.97)
    print(f"| band of NGI holds the truth | {net_gamma(shots)[1]:.3f} | | |")


if __name__ == "__main__":
    main()
