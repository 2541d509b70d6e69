"""The pricing benchmarks as one page: peers, ours, limit. `python benchmarks/run.py > docs/benchmarks.md`."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import bench_greeks
import bench_profile
import bench_refresh
import bench_step
import numpy as np
import scipy
from quant_chain import chain, interleaved

from dfmon.core.pricing import compiled
from dfmon.core.pricing.greek_buffers import GreekBuffers
from dfmon.core.pricing.greek_calc import greeks

Run = Callable[[], object]


def table(times: Mapping[str, float], ours: str, limits: Mapping[str, tuple[str, float]]) -> None:
    """Markdown rows: microseconds, ratio to ours, and the limit where there is one."""
    print("| path | us | x ours | limit | |\n| --- | ---: | ---: | --- | --- |")
    for name, seconds in times.items():
        ratio, limit, verdict = seconds / times[ours], "", ""
        if name in limits:
            kind, bound = limits[name]
            value = ratio if kind == "at least" else 1.0 / ratio
            met = value >= bound if kind == "at least" else value <= bound
            verb = "takes" if kind == "at least" else "ours takes"
            limit, verdict = f"{verb} {kind} {bound:g} x", f"{value:.2f} x: {'met' if met else '**missed**'}"
        print(f"| {name} | {seconds * 1e6:,.1f} | {ratio:.3f} | {limit} | {verdict} |")
    print()


def greek_page() -> None:
    print("## Price and seven greeks of 2,500 options\n")
    print(
        "`dfmon.greeks(forward, strike, sigma, tau, option_type)`, called as anyone would: new arrays each time, and no"
    )
    print("state from the call before. The limits hold against it, with peers that give the same columns or fewer; the")
    print("monitor calls the same kernels. Rows in random order are priced one by one, the others in pairs.\n")
    greek_tables({bench_greeks.OPENGREEKS: ("at least", 8.0), bench_greeks.FAST_VOLLIB: ("at least", 4.0)})


def greek_tables(limits: Mapping[str, tuple[str, float]]) -> None:
    """The public function in each order of the rows against the peers, then all paths."""
    times = interleaved(bench_greeks.runs(chain()))
    ours, *others = bench_greeks.ORDERS
    table({ours: times[ours], **{k: v for k, v in times.items() if k not in bench_greeks.ORDERS}}, ours, limits)
    for order in others:
        table({order: times[order], **{name: times[name] for name in limits if name in times}}, order, limits)
    unmeasured = [name for name in limits if name not in times]
    if unmeasured:
        print(f"Not installed and not measured: {', '.join(unmeasured)}.\n")


def profile_page() -> None:
    times, names = bench_profile.measure_profile()
    profile, pairs, roots, floor, naive = names
    print("## Profile of 2,500 options on 201 levels, and the polish of its zeros\n")
    limits = {floor: ("at most", 2.2), naive: ("at least", 25.0)}
    table({name: times[name] for name in (profile, floor, naive)}, profile, limits)
    table({name: times[name] for name in (pairs, floor)}, pairs, {floor: ("at most", 1.2)})
    table({name: times[name] for name in (roots, profile)}, roots, {profile: ("at most", 0.25)})


def refresh_page() -> None:
    print("## One refresh of 2,500 options\n")
    refresh_rows(bench_refresh.BUDGETS)
    peak = bench_refresh.memory() / 1e6
    print(f"| memory of a refresh | {peak:.1f} MB | | 20 MB | {'met' if peak <= 20.0 else '**missed**'} |\n")


def refresh_rows(bounds: Mapping[str, float]) -> None:
    print("| path | ms | x np.exp(n m) | limit | |\n| --- | ---: | ---: | --- | --- |")
    floor = bench_profile.FLOOR
    runs: dict[str, Run] = {**bench_refresh.runs(), floor: bench_profile.exp_of_all_cells(chain().strike.shape[0])}
    times = interleaved(runs, rounds=60, batch=0.005)
    for name, seconds in times.items():
        bound = bounds.get(name)
        verdict = "" if bound is None else "met" if seconds <= bound else "**missed**"
        limit = "" if bound is None else f"{bound * 1e3:g} ms"
        print(f"| {name} | {seconds * 1e3:.3f} | {seconds / times[floor]:.2f} | {limit} | {verdict} |")


def compiled_page() -> None:
    print("## The same with compiled kernels (the extra `fast`)\n")
    if not compiled.select_kernels():
        print("Not installed and not measured: numba.\n")
        return
    try:
        greek_tables({bench_greeks.OPENGREEKS: ("at least", 25.0)})
        times, (profile, pairs, _, floor, naive) = bench_profile.measure_profile()
        table({name: times[name] for name in (profile, floor, naive)}, profile, {floor: ("at most", 0.25)})
        table({name: times[name] for name in (pairs, floor)}, pairs, {})
        refresh_rows(bench_refresh.COMPILED)
        print()
    finally:
        compiled.select_kernels(False)


def tick_page() -> None:
    print("## One tick of the live engine: BTC and ETH frames in, snapshots of all position models out\n")
    print("| path | ms | limit | |\n| --- | ---: | --- | --- |")
    ticks = {name: engine.tick for name, engine in bench_step.runs().items()}
    for name, seconds in interleaved(ticks, rounds=15, batch=0.02).items():
        budget = bench_step.BUDGETS.get(name)
        limit = "" if budget is None else f"{budget * 1e3:g} ms"
        verdict = "" if budget is None else "met" if seconds <= budget else "**missed**"
        print(f"| {name} | {seconds * 1e3:.2f} | {limit} | {verdict} |")
    print()


def _profile_and_roll_ups(refresh: bench_refresh.Refresh) -> None:
    refresh.merge()
    refresh.exposures()
    refresh.flip()


def scaling_page() -> None:
    print("## Scaling\n\nMicroseconds, and nanoseconds an option.\n")
    print("| options | seven greeks | ns | profile and roll-ups | ns |\n| ---: | ---: | ---: | ---: | ---: |")
    for size in (1_000, 2_500, 10_000, 30_000, 100_000):
        c = chain(size)
        n = c.strike.shape[0]
        out = GreekBuffers(n)
        refresh = bench_refresh.Refresh(c)
        refresh.full_refresh()
        runs: dict[str, Run] = {
            "greeks": partial(greeks, *c.columns, with_price=False, out=out),
            "refresh": partial(_profile_and_roll_ups, refresh),
        }
        times = interleaved(runs, rounds=40, batch=0.002)
        cells = [f"{times[name] * 1e6:,.0f} | {times[name] / n * 1e9:.0f}" for name in runs]
        print(f"| {n:,} | {' | '.join(cells)} |")
    print()


def main() -> None:
    now = datetime.now(UTC)
    cpu = next((line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")), "unknown")
    print("# Benchmarks of the pricing\n")
    print("Made by `python benchmarks/run.py`. The least CPU time of interleaved runs on one core: trust the ratios.")
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    print(f"\n{now:%d %B %Y}; {cpu}, {platform.system()}; {versions}.")
    print(f"{os.cpu_count()} processors, of which {os.getloadavg()[0]:.1f} were busy with other work at the start.\n")
    greek_page()
    profile_page()
    refresh_page()
    compiled_page()
    tick_page()
    scaling_page()


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
