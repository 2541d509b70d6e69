"""`python -m tests.worlds`: runs worlds, says what failed, and writes the smallest world that still fails.

Exit code 0: all held; 1: a world failed; 2: bad usage.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dfmon.model.errors import UsageError
from tests.worlds.coverage import Coverage
from tests.worlds.plan import MAX_SEED, MIN_MINUTES, TICK_RANGE_S, Plan, check_fault, plan_of_seed, read_plan
from tests.worlds.runs import run_all
from tests.worlds.shrink import report_failure
from tests.worlds.world import Outcome

_BAR = 24


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what the arguments say. Returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        if args.list:
            from tests.worlds.faults import FAULTS

            print("\n".join(FAULTS))
            return 0
        return _run(_plans(args), args)
    except UsageError as exc:
        print(f"tests.worlds: {exc}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--seeds", default="0..9", help="a seed, a range such as 0..999, or random:COUNT")
    parser.add_argument("--minutes", default="10", help=f"virtual minutes of each world, at least {MIN_MINUTES:g}")
    parser.add_argument("--tick", default="1", help="seconds between two snapshots")
    parser.add_argument("--faults", default="", help="kinds of faults, separated by commas (all)")
    parser.add_argument("--world", type=Path, help="runs the world of this file instead")
    parser.add_argument("--out", type=Path, default=Path("worlds"), help="folder of failing worlds and recordings")
    parser.add_argument("--jobs", default=str(os.cpu_count() or 1), help="worlds at a time")
    parser.add_argument("--seconds", default="inf", help="starts no world after these wall seconds")
    parser.add_argument("--no-shrink", action="store_true", help="leaves failing worlds as they are")
    parser.add_argument("--digests", action="store_true", help="prints the digest of all snapshots of each world")
    parser.add_argument("--list", action="store_true", help="lists the faults")
    return parser


def _plans(args: argparse.Namespace) -> list[Plan]:
    if args.world is not None:
        return [read_plan(args.world)]
    only = tuple(check_fault(name) for name in args.faults.split(",") if name)
    minutes, tick_s = _number(args, "minutes", MIN_MINUTES, 1440.0), _number(args, "tick", *TICK_RANGE_S)
    return [plan_of_seed(seed, minutes, only, tick_s) for seed in parse_seeds(args.seeds)]


def _number(args: argparse.Namespace, name: str, lowest: float, highest: float) -> float:
    text = getattr(args, name)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not lowest <= number <= highest:
        raise UsageError(f"--{name}: found {text!r}, allowed are numbers from {lowest:g} to {highest:g}")
    return number


def parse_seeds(text: str) -> list[int]:
    """The seeds of `7`, `0..999` or `random:20`. Raises UsageError."""
    problem = UsageError(f"--seeds: found {text!r}, allowed are a number, a range such as 0..999, or random:COUNT")
    kind, _, count = text.partition(":")
    first, dots, last = text.partition("..")
    try:
        if kind == "random":
            return [secrets.randbelow(10**9) for _ in range(int(count))]
        seeds = range(int(first), int(last if dots else first) + 1)
    except ValueError:
        raise problem from None
    if not seeds or seeds[0] < 0 or seeds[-1] > MAX_SEED or len(seeds) > 10**7:
        raise problem
    return list(seeds)


def _run(plans: list[Plan], args: argparse.Namespace) -> int:
    jobs, seconds = _number(args, "jobs", 1, 1000), _number(args, "seconds", 0.0, float("inf"))
    started, outcomes, failed = time.monotonic(), list[Outcome](), list[Outcome]()
    for outcome in run_all(plans, int(jobs), seconds):
        outcomes.append(outcome)
        if outcome.failures:
            failed.append(outcome)
            _clear_line()
            print(f"seed {outcome.plan.seed}: {outcome.failures[0]}", flush=True)
        if args.digests:
            print(f"digest of seed {outcome.plan.seed}: {outcome.digest} {outcome.trace}", flush=True)
        _draw_bar(len(outcomes), len(plans), len(failed), time.monotonic() - started)
    _clear_line()
    print(_summary(outcomes, time.monotonic() - started))
    for outcome in failed[:3]:
        print(report_failure(outcome, args.out, shrink=not args.no_shrink))
    return 1 if failed else 0


def _summary(outcomes: list[Outcome], wall_s: float) -> str:
    virtual_h, cpu_min = (sum(o.virtual_s for o in outcomes) / 3600, sum(o.cpu_s for o in outcomes) / 60)
    table = Coverage().merge(o.coverage for o in outcomes).table()
    failed = [str(o.plan.seed) for o in outcomes if o.failures]
    traces, resident_mb = {o.trace for o in outcomes}, max((o.resident_mb for o in outcomes), default=0.0)
    snapshots, seeds = sum(o.snapshots for o in outcomes), ", ".join(str(o.plan.seed) for o in outcomes[:20])
    rate = virtual_h / max(cpu_min, 1e-9)
    return f"""{table}
interleavings: {len(traces)} distinct of {len(outcomes)} worlds
{len(outcomes)} worlds, {snapshots:,} snapshots, at most {resident_mb:.0f} MB each
{virtual_h:.2f} virtual hours in {cpu_min:.1f} core-minutes ({rate:.2f} hours a core-minute), {wall_s:.0f} s in all
seeds: {seeds}{" …" if len(outcomes) > 20 else ""}
failed: {", ".join(failed) or "none"}"""


def _draw_bar(done: int, total: int, failed: int, seconds: float) -> None:
    if sys.stderr.isatty():
        full = _BAR * done // total
        rest_s = seconds / done * (total - done)
        text = f"[{'#' * full}{'.' * (_BAR - full)}] {done}/{total}, {failed} failed, {rest_s:.0f} s left"
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def _clear_line() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
