"""Hours with the right sign of net gamma, and minutes with the right scenario, on variations of the script `regimes`.

`python benchmarks/evidence_hours.py [WALKS]` drives the engine without sockets. The truth is that of `dfmon.sim.truth`,
read off the true book by formulas of its own; the engine has the true positions as the model `file` and infers them as
`flow`. An hour counts by the sign of its mean NGI; minutes within 30 minutes of a change of the true scenario are left
out of the comparison of scenarios. Wanted: 95 % and 80 % of hours, 80 % of minutes.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
from scenario_calibration import FIRST_SEED, TICK_NS, Walk, varied_script

from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, MINUTE
from dfmon.sim.truth import true_scenario
from tests.simulated_session import SimulatedSession

MODELS: Final = ("file", "flow")
SWITCH_MINUTES: Final = 30


@dataclass(frozen=True, slots=True)
class Minute:
    """The true NGI and scenario of a minute, and those of a model (None where it had none)."""

    ts_ns: int
    true_ngi: float
    true_name: str
    ngi: dict[str, float | None]
    name: dict[str, str | None]


class HourWalk(Walk):
    """A walk that keeps its minutes."""

    minutes_seen: list[Minute]

    def _compare(self, snapshot: FlowSnapshot) -> None:
        features = self.tracker.features()
        shown = {model: snapshot.view(model) for model in MODELS}
        usable = {model: view.positions.model == model and view.state != "stale" for model, view in shown.items()}
        self.minutes_seen.append(
            Minute(
                snapshot.ts_ns,
                features.ngi,
                true_scenario(features) or "",
                {m: v.metrics.ngi.value if usable[m] else None for m, v in shown.items()},
                {m: v.scenario.name if usable[m] and v.scenario.bucket else None for m, v in shown.items()},
            )
        )


def right_hours(minutes: list[Minute], model: str) -> tuple[int, int]:
    """Hours with the right sign of mean NGI, and all hours."""
    right = total = 0
    for hour in sorted({m.ts_ns // HOUR for m in minutes}):
        rows = [(m.true_ngi, m.ngi[model]) for m in minutes if m.ts_ns // HOUR == hour and m.ngi[model] is not None]
        if len(rows) >= 30:
            true, found = np.array(rows, float).mean(axis=0)
            total += 1
            right += bool(true * found > 0.0)
    return right, total


def right_minutes(minutes: list[Minute], model: str) -> tuple[int, int]:
    """Minutes with the right scenario, of those that are not within 30 minutes of a change of the true one."""
    names = [m.true_name for m in minutes]
    changes = [n for n in range(1, len(names)) if names[n] != names[n - 1]]
    right = total = 0
    for n, minute in enumerate(minutes):
        near_change = any(abs(n - c) <= SWITCH_MINUTES for c in changes)
        if not near_change and minute.true_name and minute.name[model] is not None:
            total += 1
            right += minute.name[model] == minute.true_name
    return right, total


def main() -> int:
    walks = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    sums = {model: np.zeros(4, int) for model in MODELS}
    for n in range(walks):
        seed = FIRST_SEED + 2 * n
        script = varied_script(seed)
        session = SimulatedSession(("BTC",), seed=seed, history=1.0, script=script, step_ns=TICK_NS, tick_ns=TICK_NS)
        walk = HourWalk(n, session, (script.end_ns - script.start_ns) / MINUTE - 1.0)
        walk.minutes_seen = []
        walk.run()
        for model in MODELS:
            sums[model] += (*right_hours(walk.minutes_seen, model), *right_minutes(walk.minutes_seen, model))
        print(f"walk {n}: {len(walk.minutes_seen)} minutes", flush=True)
    print("| positions | hours with the right sign | minutes with the right scenario |\n| --- | ---: | ---: |")
    for model, (right, hours, agreed, minutes) in sums.items():
        met = right >= (0.95 if model == "file" else 0.80) * hours, agreed >= 0.8 * minutes
        print(
            f"| {'true' if model == 'file' else 'inferred'} | {right} of {hours}: {'met' if met[0] else 'MISSED'} | "
            f"{agreed} of {minutes}: {'met' if met[1] else 'MISSED'} |"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
