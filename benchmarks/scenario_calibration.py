"""Does a probability mean what it says? Confidence, sign of net gamma and absence of a flip against the true books.

`python benchmarks/scenario_calibration.py` walks simulated markets through variations of the script `regimes` and
through markets without a script, and drives the whole engine without sockets. The truth of a bucket is that of
`dfmon.sim.truth`, the rule table read off the true book at the same minute without hysteresis and dwell; sign and flip
of the true book come from the engine, which has the true positions as a second model and matches flips as it does
those of a member. The table goes to stdout and,
with `--write`, between the markers of docs/scenario.md.

No prior, threshold or script was chosen on these seeds. Samples of one walk depend on one another: `walks` says how
many independent ones a row rests on.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dfmon.core.flip.matching import match_roots  # noqa: E402
from dfmon.core.flip.member_roots import MemberRoots  # noqa: E402
from dfmon.core.step import FlowParams  # noqa: E402
from dfmon.engine.driver import Driver  # noqa: E402
from dfmon.model.flip import Flip  # noqa: E402
from dfmon.model.snapshot import FlowSnapshot  # noqa: E402
from dfmon.model.units import MINUTE, SECOND  # noqa: E402
from dfmon.sim.market.script import BookLine, Script  # noqa: E402
from dfmon.sim.market.scripts import REGIMES  # noqa: E402
from dfmon.sim.truth import TruthTracker, true_scenario  # noqa: E402
from tests.simulated_session import SimulatedSession  # noqa: E402

FIRST_SEED: Final = 9_101
TICK_NS: Final = 30 * SECOND
PLAIN_HOURS: Final = 4.0
BOOK_LOG_SD: Final = 0.35  # of a line of the script's book
SPOT_LOG_SD: Final = 0.003  # of a phase's level
BINS: Final = 10
LIMIT: Final = 0.1  # of the difference of a bin with enough forecasts
MIN_FORECASTS: Final = 50
PAGE: Final = ROOT / "docs" / "scenario.md"
BEGIN, END = "<!-- calibration: begin -->", "<!-- calibration: end -->"
QUANTITIES: Final = ("confidence", "P(sign of NGI)", "p_none of the flip")


@dataclass(frozen=True, slots=True)
class Forecast:
    """A probability of one tick of one walk, and whether it came true."""

    walk: int
    probability: float
    came_true: bool


@dataclass
class Walk:
    """One simulated market under the engine; the true book is the model `file`."""

    number: int
    session: SimulatedSession
    minutes: float
    forecasts: dict[str, list[Forecast]] = field(default_factory=lambda: {name: [] for name in QUANTITIES})
    tracker: TruthTracker = field(init=False)

    def __post_init__(self) -> None:
        market = self.session.market
        self.tracker = TruthTracker(market.currencies[self.session.currencies[0]])
        self.session.on_events = self.tracker.add_events

    def run(self) -> None:
        latest: list[FlowSnapshot] = []
        driver = Driver(
            self.session.currencies,
            FlowParams(),
            self.session.decoders(),
            lambda snapshot: latest.append(snapshot),
            options_sources=("deribit",),
        )
        ticks = 0

        def after_tick(now_ns: int) -> None:
            nonlocal ticks
            ticks += 1
            if ticks == 3:
                self.session.read_archive(driver)
            positions = self.session.market.true_dealer_positions(self.session.currencies[0])
            driver.set_params(msgspec.structs.replace(driver.params, file_positions=positions), now_ns)
            if now_ns % MINUTE == 0:
                self.tracker.sample()
                if ticks > 6 and latest:
                    self._compare(latest[-1])
            latest.clear()

        asyncio.run(self.session.run(driver, self.minutes * 60.0, after_tick))

    def _compare(self, snapshot: FlowSnapshot) -> None:
        truth = snapshot.view("file")
        if snapshot.state == "stale" or truth is snapshot or snapshot.positions.warming:
            return
        called = snapshot.scenario
        is_called = called.bucket and called.confidence is not None and not called.overlay
        if is_called and (true_name := true_scenario(self.tracker.features())):
            self._add("confidence", called.confidence or 0.0, called.name == true_name)
        true_side = truth.regime.side
        if snapshot.regime.agree is not None and true_side is not None:
            self._add("P(sign of NGI)", snapshot.regime.agree, snapshot.regime.side == true_side)
        if snapshot.flip.p_none is not None:
            self._add("p_none of the flip", snapshot.flip.p_none, not has_nearest_flip(snapshot.flip, truth.flip))

    def _add(self, quantity: str, probability: float, came_true: bool) -> None:
        self.forecasts[quantity].append(Forecast(self.number, float(probability), came_true))


def has_nearest_flip(found: Flip, true: Flip) -> bool:
    """True where the true book has the flip nearest to spot, matched as that of a member; without one, any flip."""
    if found.level is None:
        return bool(true.roots)
    rising = [root.direction == "up" for root in true.roots]
    of_truth = MemberRoots.from_rows(1, [0] * len(rising), [root.level for root in true.roots], rising)
    levels = [root.level for root in found.roots]
    matched = match_roots(np.array(levels), np.array([root.direction == "up" for root in found.roots], bool), of_truth)
    return not np.isnan(matched[levels.index(found.level), 0])


def varied_script(seed: int) -> Script:
    """The script `regimes` with another book and other levels of spot, faster to compute and without lost feeds."""
    rng = np.random.default_rng(seed)

    def varied(lines: Sequence[BookLine]) -> tuple[BookLine, ...]:
        return tuple(
            replace(line, coins=line.coins * float(np.exp(BOOK_LOG_SD * rng.standard_normal()))) for line in lines
        )

    phases = tuple(
        replace(
            phase,
            spot=phase.spot * float(np.exp(SPOT_LOG_SD * rng.standard_normal())),
            orders=varied(phase.orders),
            feeds_lost=False,
        )
        for phase in REGIMES.phases
    )
    return replace(REGIMES, book=varied(REGIMES.book), phases=phases, history=4.0 * REGIMES.history)


def walks(count: int) -> list[Walk]:
    """Half of them by a script, half without."""
    made = []
    for n in range(count):
        seed, script = FIRST_SEED + n, varied_script(FIRST_SEED + n) if n % 2 == 0 else None
        session = SimulatedSession(("BTC",), seed=seed, history=1.0, script=script, step_ns=TICK_NS, tick_ns=TICK_NS)
        minutes = PLAIN_HOURS * 60.0 if script is None else (script.end_ns - script.start_ns) / MINUTE - 1.0
        made.append(Walk(n, session, minutes))
    return made


def table(quantity: str, forecasts: Sequence[Forecast], limit: float = LIMIT) -> list[str]:
    """Rows of Markdown: bin, forecasts, walks, mean probability, share that came true, and whether within the limit."""
    rows = [
        f"| {quantity} | forecasts | walks | mean | came true | within {limit:g} |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for n in range(BINS):
        low, high = n / BINS, (n + 1) / BINS
        inside = [f for f in forecasts if low <= f.probability < high or (n == BINS - 1 and f.probability == 1.0)]
        if not inside:
            rows.append(f"| {low:.1f} to {high:.1f} | 0 | 0 | | | |")
            continue
        mean = sum(f.probability for f in inside) / len(inside)
        share = sum(f.came_true for f in inside) / len(inside)
        met = "met" if abs(mean - share) <= limit else "**MISSED**"
        rows.append(
            f"| {low:.1f} to {high:.1f} | {len(inside)} | {len({f.walk for f in inside})} | {mean:.2f} | {share:.2f} | "
            f"{met if len(inside) >= MIN_FORECASTS else 'too few'} |"
        )
    gap = sum(f.probability - f.came_true for f in forecasts) / max(len(forecasts), 1)
    brier = sum((f.probability - f.came_true) ** 2 for f in forecasts) / max(len(forecasts), 1)
    return [*rows, "", f"Mean forecast less share that came true: {gap:+.3f}; Brier score {brier:.3f}.", ""]


def section(done: Sequence[Walk]) -> str:
    """The section of the page."""
    lines = [
        f"`python benchmarks/scenario_calibration.py --walks {len(done)} --write`, seeds from {FIRST_SEED}: half are",
        "variations of the script `regimes`, half markets without a script. Samples are a minute apart, so those of",
        "one walk depend on one another.",
        "",
    ]
    for quantity in QUANTITIES:
        lines += table(quantity, [f for walk in done for f in walk.forecasts[quantity]])
    return "\n".join(lines)


def write_section(page: Path, text: str, first: str = BEGIN, last: str = END) -> None:
    """Replaces what stands between the markers."""
    old = page.read_text(encoding="utf-8")
    head, begin, rest = old.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise SystemExit(f"{page}: the markers {first} and {last} are missing")
    page.write_text(f"{head}{first}\n\n{text}\n{last}{tail}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--walks", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="also into docs/scenario.md")
    args = parser.parse_args()
    done = []
    for walk in walks(args.walks):
        walk.run()
        done.append(walk)
        print(f"walk {walk.number}: {sum(map(len, walk.forecasts.values()))} forecasts", flush=True)
    text = section(done)
    print(text)
    if args.write:
        write_section(PAGE, text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
