"""Makes core.exposure.band_scales.py: how far members are spread, by roll-up, for bands that mean what they say.

`python benchmarks/calibrate_bands.py [CACHE] [--worlds N] [--write] [--check]`: simulation-based calibration over the
worlds that taught the read-out but those of P, from day 5. Scales of NGI, VSS, CHL and VOLG are made by
calibrate_positions.py, which reads each family out with weights of the others. `--check` measures the coverage of the
nominal 90 % on the worlds of bench_positions.py, whose seeds are never used for choosing; nor are X and Y at all.
Every board stands in the middle of its market at a volatility of 50 %; for what happens near an expiry it is moved to
half a day before the next one.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from calibrate_positions import TRAINING, UNREADABLE
from numpy.typing import NDArray
from population_books import WorldBook, many_books

from dfmon.core.book_exposure import SCALES
from dfmon.core.exposure.outlook import outlook_cases, outlook_units
from dfmon.core.exposure.reprice import MarketState, Options, unit_deltas
from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.flip.board_flips import ProfileChain, find_board_flips
from dfmon.core.flip.matching import match_roots
from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.pricing.settlement import settlement_terms
from dfmon.core.scenario.volatility_beta import VolatilityBeta

F64 = NDArray[np.float64]
TAUGHT, CHECKED, OTHERS = "ABCDO", "ABCDONHGWXYP", "NHGWXY"
FIRST_CHECKED_SEED = 1_001
SIGMA: Final = 0.5
HOUR_PCT: Final = 100.0 * SIGMA / math.sqrt(365.0 * 24.0)
ALPHA, BETA = 0.75 / HOUR_PCT, 1.0 / 24.0 / HOUR_PCT  # of hedge pressure before it is measured
QUARTER: Final = 0.25 / (365.0 * 24.0)
SPOTS: Final = (-0.04, 0.0, 0.04)  # log moves of a board's spot
NAMES: Final = ("ngi", "vss", "chl", "volg", "hpp", "hedge_flow", "outlook", "unwind", "edges")
TARGET: Final = Path(__file__).parent.parent / "dfmon" / "core" / "exposure" / "band_scales.py"


class Sum(NamedTuple):
    """A roll-up of one book: by how much its half-band must be multiplied to reach the truth."""

    family: str
    world: int
    name: str
    needed: float


def units_of(book: WorldBook) -> dict[str, list[F64]]:
    """What each option adds per coin, by roll-up; several sums of one name are several cases."""
    n = book.strike.size
    spot, sigma = np.full(n, book.spot), np.full(n, SIGMA)
    tau = book.days_left / 365.0
    unit = unit_exposures(spot, book.strike, sigma, tau, book.option_type)
    near = unit_exposures(spot, book.strike, sigma, tau - float(tau.min()) + 0.5 / 365.0, book.option_type)
    options = Options(book.strike, book.option_type, np.zeros(n, np.bool_))
    state = MarketState(spot, sigma, tau, np.full(n, np.nan))
    outlook = outlook_units(options, state, outlook_cases(SIGMA), VolatilityBeta.initial().estimate("BTC"))
    ngi, vss, chl = unit.ngi, unit.column("vss"), unit.column("chl")
    return {
        "ngi": [ngi],
        "vss": [vss],
        "chl": [chl],
        "volg": [unit.column("volg")],
        "hpp": [sign * ngi + ALPHA * vss + BETA * chl for sign in (-1.0, 1.0)],
        "hedge_flow": [_hedge_flow(options, state, move) for move in (-1.0, 1.0)],
        "outlook": list(outlook.full),
        "unwind": [near.column("unwind")],
    }


def _hedge_flow(options: Options, state: MarketState, move: float) -> F64:
    """Trade over a quarter of an hour in which spot moved by a standard deviation, and volatility against it."""
    moved = state.forward * math.exp(move * SIGMA * math.sqrt(QUARTER))
    sigma = state.sigma - 0.003 * move
    delta = unit_deltas(
        options, np.array([state.forward, moved]), np.array([state.sigma, sigma]),
        np.array([state.tau, state.tau - QUARTER]), state.average,
    )  # fmt: skip
    return np.asarray(-moved * (delta[1] - delta[0]))


def sums(book: WorldBook, world: int) -> Iterator[Sum]:
    """The multiple of the half-band that each truth needs, about the mean position, as the monitor widens bands."""
    for name, cases in units_of(book).items():
        for unit in cases:
            members, value, truth = unit @ book.members, float(unit @ book.position), float(unit @ book.truth)
            low, high = np.quantile(members, (0.05, 0.95))
            half = high - value if truth > value else value - low
            yield Sum(book.family, world, name, abs(truth - value) / max(half, 1e-9))


def profile_chain(book: WorldBook) -> ProfileChain:
    n = book.strike.size
    spot, tau = np.full(n, book.spot), book.days_left / 365.0
    return ProfileChain(spot, np.full(n, SIGMA), tau, settlement_terms(spot, book.strike, tau), tau, None)


def edges(book: WorldBook, world: int) -> Iterator[Sum]:
    """The same for the edges below and above spot that have a band, in log distance, where the true book has them."""
    for move in SPOTS:
        at = replace(book, spot=book.spot * math.exp(move))
        chain = profile_chain(at)
        true = find_board_flips(at.spot, chain, {"flow": at.truth}, None, "strike")["flow"].flip
        rising = [root.rising for root in true.roots]
        of_truth = MemberRoots.from_rows(1, [0] * len(rising), [root.level for root in true.roots], rising)
        regime = find_board_flips(at.spot, chain, {"flow": at.position}, at.members, "strike")["flow"].regime
        level, rises = np.array([edge.level for edge in regime.edges]), [edge.rising for edge in regime.edges]
        matched = match_roots(level, np.array(rises, bool), of_truth)
        for edge, found in zip(regime.edges, matched[:, 0].tolist()):
            if edge in (regime.below, regime.above) and edge.low is not None and edge.high is not None:
                bound = edge.high if found > edge.level else edge.low
                if not math.isnan(found):
                    needed = math.log(found / edge.level) / (math.log(bound / edge.level) or 1e-12)
                    yield Sum(book.family, world, "edges", abs(needed))


# ---- scales ----------------------------------------------------------------------------------------------------------


def fitted_scales(found: Sequence[Sum]) -> dict[str, float]:
    """The 90 % quantile of what was needed; so many worlds narrow no band."""
    needed = {name: [one.needed for one in found if one.name == name] for name in NAMES[4:]}
    return {name: round(max(float(np.quantile(values, 0.9)), 1.0), 3) for name, values in needed.items()}


# ---- coverage --------------------------------------------------------------------------------------------------------


def coverage(worlds: Sequence[int], inside: Sequence[bool]) -> tuple[float, float]:
    """Share inside, and its standard error by leaving out one world."""
    codes, hits = np.array(worlds), np.array(inside, np.float64)
    unique = np.unique(codes)
    without = np.array([hits[codes != one].mean() for one in unique])
    return float(hits.mean()), float(np.sqrt((unique.size - 1) / unique.size * ((without - without.mean()) ** 2).sum()))


def check_table(found: Sequence[Sum], scales: Mapping[str, float]) -> list[str]:
    """Rows of Markdown: coverage of the nominal 90 % by roll-up, of all families and of two parts of them."""
    rows = [
        "| roll-up | scale | nominal 90 % from day 5 | within 0.86 to 0.95 | A to D, O | N, H, G, W, X, Y |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for name in NAMES:
        cells = []
        for families in (TAUGHT + OTHERS, TAUGHT, OTHERS):
            of = [one for one in found if one.name == name and one.family in families]
            cells.append(coverage([one.world for one in of], [one.needed <= scales[name] for one in of]))
        met = "met" if cells[0][0] + cells[0][1] >= 0.86 and cells[0][0] - cells[0][1] <= 0.95 else "**MISSED**"
        shown = [f"{value:.3f} ± {error:.3f}" for value, error in cells]
        rows.append(f"| {name} | {scales[name]:.2f} | {shown[0]} | {met} | {shown[1]} | {shown[2]} |")
    return rows


def family_table(found: Sequence[Sum], scales: Mapping[str, float]) -> list[str]:
    """Rows of Markdown: coverage by family, marked where 0.90 lies outside the 99 % interval clustered by world."""
    rows = [f"| family | {' | '.join(NAMES)} |", f"| --- |{' ---: |' * len(NAMES)}"]
    for family in CHECKED:
        cells = []
        for name in NAMES:
            of = [one for one in found if one.name == name and one.family == family]
            value, error = coverage([one.world for one in of], [one.needed <= scales[name] for one in of])
            cells.append(f"{value:.2f}{'' if abs(value - 0.9) <= 2.58 * max(error, 0.02) else ' **MISSED**'}")
        rows.append(f"| {family} | {' | '.join(cells)} |")
    return rows


def write(scales: Mapping[str, float]) -> None:
    body = "".join(f'    "{name}": {scale},\n' for name, scale in scales.items())
    text = TARGET.read_text(encoding="utf-8")
    head, _, rest = text.partition("= {\n")
    _, _, tail = rest.partition("}\n")
    TARGET.write_text(f"{head}= {{\n{body}}}\n{tail}", encoding="utf-8")


def books(cells: Sequence[tuple[str, int]], cache: Path | None) -> list[tuple[int, WorldBook]]:
    """Books from day 5 on, each with the number of its world (family, seed)."""
    return [(n, book) for n, of in enumerate(many_books(cells, cache)) for book in of if book.day >= 5.0]


def training_books(cache: Path | None) -> list[tuple[int, WorldBook]]:
    return books([(f, seed) for f, seeds in TRAINING.items() for seed in seeds if f != UNREADABLE], cache)


def checked_books(worlds: int, cache: Path | None) -> list[tuple[int, WorldBook]]:
    seeds = range(FIRST_CHECKED_SEED, FIRST_CHECKED_SEED + worlds)
    return books([(family, seed) for seed in seeds for family in CHECKED], cache)


def sums_of(found: Sequence[tuple[int, WorldBook]]) -> list[Sum]:
    return [one for n, book in found for one in (*sums(book, n), *edges(book, n))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cache", nargs="?", type=Path, help="a directory that keeps the worlds")
    parser.add_argument("--worlds", type=int, default=10, help="checked, of each family")
    parser.add_argument("--write", action="store_true", help="the module of the scales")
    parser.add_argument("--check", action="store_true", help="coverage on new seeds instead")
    args = parser.parse_args()
    if not args.check:
        scales = fitted_scales(sums_of(training_books(args.cache)))
        print(scales)
        if args.write:
            write(scales)
        return
    found = sums_of(checked_books(args.worlds, args.cache))
    print("\n".join([*check_table(found, SCALES), "", *family_table(found, SCALES)]))


if __name__ == "__main__":
    main()
