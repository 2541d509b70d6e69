"""Makes a failing world small: fewer faults, then a shorter time, as long as it still fails.

The result is a file that `python -m tests.worlds --world FILE` runs, and the recordings of its sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from tests.worlds.plan import HEALING_S, MIN_MINUTES, SETTLING_S, Plan, write_plan
from tests.worlds.runs import run_one
from tests.worlds.world import Outcome

_MAX_TRIES: Final = 24


def shrink(outcome: Outcome, tries: int = _MAX_TRIES) -> Outcome:
    """The smallest failing world found within so many tries."""
    progress = True
    while progress and tries:
        progress = False
        for smaller in _smaller(outcome.plan):
            if not tries:
                break
            tries -= 1
            attempt = run_one(smaller)
            if attempt.failures:
                outcome, progress = attempt, True
                break
    return outcome


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with half the faults, one fault less, and less time after or before them."""
    faults = plan.injections
    half = len(faults) // 2
    if half:
        yield replace(plan, injections=faults[:half])
        yield replace(plan, injections=faults[half:])
    if len(faults) > 2:
        for at in range(len(faults)):
            yield replace(plan, injections=faults[:at] + faults[at + 1 :])
    if faults:
        early_s = min(fault.at_s for fault in faults) - SETTLING_S
        if early_s > 1.0:
            moved = tuple(replace(fault, at_s=fault.at_s - early_s) for fault in faults)
            yield replace(plan, injections=moved)
    last_s = max((fault.at_s + fault.duration_s for fault in faults), default=0.0)
    minutes = max((last_s + HEALING_S) / 60.0, MIN_MINUTES)
    if minutes < plan.minutes - 0.1:
        yield replace(plan, minutes=round(minutes, 2))


def report_failure(outcome: Outcome, folder: Path, *, shrink: bool) -> str:
    """Shrinks, writes the world and its recordings, and says how to look at them."""
    small = _shrink(outcome) if shrink else outcome
    folder.mkdir(parents=True, exist_ok=True)
    world, files = folder / f"seed-{small.plan.seed}.json", folder / f"seed-{small.plan.seed}"
    write_plan(small.plan, world)
    files.mkdir(exist_ok=True)
    run_one(small.plan, files)
    recordings = sorted(files.glob("run-*/recording-*"))
    lines = [f"seed {small.plan.seed}, {len(small.plan.injections)} faults, {small.plan.minutes:g} minutes:"]
    lines += [
        f"  {fault.at_s:7.1f} s for {fault.duration_s:.1f} s: {fault.fault} {fault.host}"
        for fault in small.plan.injections
    ]
    lines += [f"  {failure}" for failure in small.failures]
    lines += [f"  again: python -m tests.worlds --world {world}"]
    lines += [f"  its recording: dfmon replay {recording}" for recording in recordings[-1:]]
    return "\n".join(lines)


_shrink = shrink
