"""Does the verdict mean what it says? Confidence, sign of net gamma and absence of a flip over the simulated families.

`python benchmarks/verdict_calibration.py [CACHE] [--worlds N] [--more N] [--write]`: worlds of calibrate_bands.py from
day 5, with seeds that nothing was fitted on. The truth is the true book in the place of a member: for the sign its net
gamma at spot, for the flip whether it has the edge nearest to spot by the rule that matches members, for the bucket the
rule table on the true positions, all on the same market. Markets are drawn by seed: three spots a board, volume and
depth against the gross gamma of the board, return, volatility move, liquidations and slow flow of the hour. The table
goes to stdout and, with `--write`, between the markers of docs/scenario.md. `--fit` prints the exponents and factors of
core/exposure/band_scales.py, from the worlds that taught the read-out, four more of each of their families, and eight
more of each but W and P.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from calibrate_bands import (
    CHECKED,
    FIRST_CHECKED_SEED,
    SIGMA,
    SPOTS,
    books,
    checked_books,
    profile_chain,
)  # fmt: skip
from calibrate_positions import TRAINING
from numpy.typing import NDArray
from population_books import WorldBook
from scenario_calibration import Forecast, table, write_section

from dfmon.core.book_exposure import SCALES
from dfmon.core.exposure.band_scales import ODDS
from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.flip.board_flips import BookFlips, find_board_flips
from dfmon.core.flip.matching import match_roots
from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.flip.regime import Calibration, calibrated
from dfmon.core.scenario.features import (
    BookSums,
    HourMarket,
    StrikeFeatures,
    book_features,
    flip_distances,
    strike_features,
)  # fmt: skip
from dfmon.core.scenario.rules import RuleThresholds, call_codes, call_scene, member_share, rule_table

F64 = NDArray[np.float64]
PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "scenario.md"
BEGIN, END = "<!-- verdict: begin -->", "<!-- verdict: end -->"
MORE_SEEDS: Final = range(2_001, 2_005)
OWN_SEEDS: Final = {family: range(2_005 + 8 * n, 2_013 + 8 * n) for n, family in enumerate("ABCDONVG")}
"""Seeds of one family alone: variants of A have the same draws under the same seed."""
MORE_CHECKED, MORE_WORLDS = "ABCDON", 10_000  # families, and the number of the first world of theirs
MARKETS: Final = 4  # a board and spot
MEAN_Z, MEAN_POINTS, HOURLY_VOL_MOVE = 0.8, 0.6, 0.75
DAILY: Final = SIGMA / math.sqrt(365.0)
MONITOR: Final = Calibration(SCALES["edges"], SCALES["ngi"], ODDS["sign"], ODDS["flip"])
QUANTITIES: Final = ("confidence", "P(sign of NGI)", "p_none of the flip")


def forecasts(book: WorldBook, world: int, calibration: Calibration = MONITOR) -> Iterator[tuple[str, Forecast]]:
    """Every probability of one board with what came true."""
    for number, move in enumerate(SPOTS):
        at = replace(book, spot=book.spot * math.exp(move))
        flips, true = _flips(at, calibration)
        regime, true_regime = flips.regime, true.regime
        if regime.agree is not None and regime.side:
            yield "P(sign of NGI)", Forecast(world, regime.agree, true_regime.side == regime.side)
        if regime.p_none is not None:
            yield "p_none of the flip", Forecast(world, regime.p_none, not _has_nearest(flips, true))
        for market in range(MARKETS):
            rng = np.random.default_rng([ord(book.family), book.seed, round(book.day), number, market])
            found = _confidence(at, flips, true, rng)
            if found is not None:
                yield "confidence", Forecast(world, *found)


def _flips(book: WorldBook, calibration: Calibration) -> tuple[BookFlips, BookFlips]:
    chain = profile_chain(book)
    found = find_board_flips(book.spot, chain, {"flow": book.position}, book.members, "strike", calibration)["flow"]
    true = find_board_flips(book.spot, chain, {"flow": book.truth}, None, "strike")["flow"]
    return found, true


def _has_nearest(found: BookFlips, true: BookFlips) -> bool:
    """The true book has the edge nearest to spot; where there is none, it has any edge at all."""
    roots = true.flip.roots
    regime = found.regime
    if regime.nearest is None:
        return bool(roots)
    of_truth = MemberRoots.from_rows(1, [0] * len(roots), [r.level for r in roots], [r.rising for r in roots])
    level, rising = np.array([e.level for e in regime.edges]), np.array([e.rising for e in regime.edges], bool)
    return not math.isnan(match_roots(level, rising, of_truth)[regime.edges.index(regime.nearest), 0])


# ---- the bucket ------------------------------------------------------------------------------------------------------


def _market(rng: np.random.Generator, gross: float) -> tuple[HourMarket, float, float]:
    """A market of the hour, then the sign and the share of the hour that slow flow and hedges had one sign."""
    hour = 100.0 * SIGMA / math.sqrt(365.0 * 24.0)
    volume = gross * hour / math.exp(rng.uniform(math.log(0.03), math.log(1.5)))
    up = math.exp(rng.normal(-4.5, 1.0)) * volume
    z = rng.standard_normal() * rng.choice([0.5, 1.0, 2.0])
    market = HourMarket(
        volume=volume,
        depth=gross / math.exp(rng.uniform(math.log(0.1), math.log(3.0))),
        sigma_pct=hour,
        z=z,
        points=rng.standard_normal() * HOURLY_VOL_MOVE,
        mean_z=MEAN_Z,
        mean_points=MEAN_POINTS,
        liquidated_up=up if z > 0.0 else 0.1 * up,
        liquidated_down=up if z <= 0.0 else 0.1 * up,
    )
    return market, rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.0)


def _confidence(
    book: WorldBook, flips: BookFlips, true: BookFlips, rng: np.random.Generator
) -> tuple[float, bool] | None:
    """Share of members in the bucket that the rules call for, and whether the true book is in it."""
    n = book.strike.size
    days = book.days_left - float(book.days_left.min()) + rng.uniform(0.1, 3.0)  # so that expiries are near
    unit = unit_exposures(np.full(n, book.spot), book.strike, np.full(n, SIGMA), days / 365.0, book.option_type)
    rows = {name: unit.column(name) for name in ("ngi", "vss", "chl_1h")}
    market, slow, _ = _market(rng, float(np.abs(rows["ngi"] * book.position).sum()))
    roots = flips.roots
    assert roots is not None
    distances = flip_distances(roots.level, roots.member, roots.size, book.spot, DAILY)
    ngi, vss, chl_1h = (rows[name] @ book.members for name in ("ngi", "vss", "chl_1h"))
    members = BookSums(ngi, vss, chl_1h, distances)
    mean = _sums(book.position, rows, flips, book.spot)
    of_truth = _sums(book.truth, rows, true, book.spot)
    found = book_features(
        market, mean, members, _strikes(book, book.position, rows["ngi"], days), *_slow(mean, market, slow)
    )
    truth = book_features(
        market, of_truth, None, _strikes(book, book.truth, rows["ngi"], days), *_slow(of_truth, market, slow)
    )
    scene = call_scene(found.inputs, RuleThresholds(), None).scene
    if scene is None or found.members is None:
        return None
    code = int(call_codes(rule_table(truth.inputs, RuleThresholds(), scene)))
    return member_share(found.members, RuleThresholds(), scene), code == int(scene.bucket)


def _sums(position: F64, rows: dict[str, F64], flips: BookFlips, spot: float) -> BookSums:
    level = flips.flip.level
    distance = math.inf if level is None else abs(level / spot - 1.0) / DAILY
    ngi, vss, chl_1h = (float(rows[name] @ position) for name in ("ngi", "vss", "chl_1h"))
    return BookSums(ngi, vss, chl_1h, distance)


def _slow(sums: BookSums, market: HourMarket, share: float) -> tuple[float, float]:
    """The hedge flow of the hour by the linear form, and the share of the hour with the sign of the slow flow."""
    hedge = -(float(sums.ngi) * market.z * market.sigma_pct + float(sums.vss) * market.points + float(sums.chl_1h))
    slow = float(sums.vss) * market.points + float(sums.chl_1h)
    return hedge, math.copysign(share, slow)


def _strikes(book: WorldBook, position: F64, ngi: F64, days: F64) -> StrikeFeatures:
    strikes, code = np.unique(book.strike, return_inverse=True)
    nearest = days == days.min()
    by_strike, of_nearest = (
        np.bincount(code, row, strikes.size).astype(np.float64) for row in (ngi * position, ngi * position * nearest)
    )
    sd = SIGMA * math.sqrt(float(days.min()) / 365.0)
    return strike_features(book.spot, by_strike, strikes, of_nearest, strikes, book.spot, sd, 24.0 * float(days.min()))


def fitted_odds(found: Sequence[tuple[str, str, Forecast]]) -> dict[str, tuple[float, float]]:
    """Exponent and factor of the odds with the best logarithmic score, every family with the same weight."""
    choices = [(a, f) for a in np.arange(0.5, 1.65, 0.05).tolist() for f in np.exp(np.arange(-1.0, 1.05, 0.1)).tolist()]
    fitted = {}
    for name, quantity in (("sign", QUANTITIES[1]), ("flip", QUANTITIES[2])):
        of = [(family, one) for family, kind, one in found if kind == quantity]
        count = Counter(family for family, _ in of)
        weight = np.array([1.0 / count[family] for family, _ in of])
        came_true = np.array([one.came_true for _, one in of])
        share = np.clip([one.probability for _, one in of], 1.0 / 256.0, 255.0 / 256.0)
        if name == "flip":
            share, came_true = 1.0 - share, ~came_true
        scores = []
        for exponent, factor in choices:
            chance = np.array([calibrated(one, exponent, factor) for one in share.tolist()])
            scores.append(float(weight @ np.log(np.where(came_true, chance, 1.0 - chance))))
        exponent, factor = choices[int(np.argmax(scores))]
        fitted[name] = round(exponent, 2), round(factor, 2)
    return fitted


def section(found: Sequence[tuple[str, Forecast]], worlds: int, more: int) -> str:
    lines = [
        f"`python benchmarks/verdict_calibration.py --worlds {worlds} --more {more} --write`: {worlds} worlds each of",
        f"{', '.join(CHECKED)} and {more} more of {', '.join(MORE_CHECKED)} from day 5,",
        f"seeds from {FIRST_CHECKED_SEED} on, which nothing was fitted on.",
        "",
    ]
    for quantity in QUANTITIES:
        lines += table(quantity, [forecast for name, forecast in found if name == quantity], limit=0.1)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cache", nargs="?", type=Path, help="a directory that keeps the worlds")
    parser.add_argument("--worlds", type=int, default=10, help="of each family")
    parser.add_argument("--more", type=int, default=0, help="further worlds of each of A to D, O and N")
    parser.add_argument("--write", action="store_true", help="also into docs/scenario.md")
    parser.add_argument("--fit", action="store_true", help="print the sharpness of chances by the training families")
    args = parser.parse_args()
    if args.fit:
        cells = [(f, seed) for f, seeds in TRAINING.items() for seed in (*seeds, *MORE_SEEDS, *OWN_SEEDS.get(f, ()))]
        plain = Calibration(SCALES["edges"], SCALES["ngi"])
        taught = [(book.family, *one) for n, book in books(cells, args.cache) for one in forecasts(book, n, plain)]
        print(fitted_odds(taught))
        return
    first = FIRST_CHECKED_SEED + args.worlds
    more = books([(f, seed) for f in MORE_CHECKED for seed in range(first, first + args.more)], args.cache)
    found = [one for n, book in checked_books(args.worlds, args.cache) for one in forecasts(book, n)]
    found += [one for n, book in more for one in forecasts(book, MORE_WORLDS + n)]
    text = section(found, args.worlds, args.more)
    print(text)
    if args.write:
        write_section(PAGE, text, BEGIN, END)


if __name__ == "__main__":
    main()
