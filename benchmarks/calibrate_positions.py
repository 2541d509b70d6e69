"""Makes core/positions/calibration.py from simulated markets. `python calibrate_positions.py [FOLDER] [--write]`

Families A, B, C, D, O, V and N with six worlds, G and P with eight, W with twenty, every family with the same weight,
and with half of it the lives of day 15 as an archive has them; FOLDER keeps them. The penalty of the read-out is chosen
by leaving one family out. Worlds of the evaluation have other seeds.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray
from position_snapshots import ROLL_UPS, Snapshot, many
from scipy.optimize import minimize

from dfmon.core.positions import calibration
from dfmon.core.positions.bands import (
    NORMAL_95,
    SHARE_SCALE,
    correlated_draws,
    factor_draws,
    marginals,
    member_shares,
    own_draws,
)
from dfmon.core.positions.readout import (
    EXACT_SD,
    MAX_SHARE,
    error_sd,
    slope_terms,
    taught_features,
    weighted_sum,
    width_terms,
)

F64 = NDArray[np.float64]
TRAINING: Final = {
    **{family: range(1, 7) for family in "ABCDO"},
    "V": range(301, 307),
    "G": range(1, 9),
    "N": range(401, 407),
    "P": range(601, 609),
    "W": range(501, 521),
}
UNREADABLE: Final = "P"
ARCHIVE_DAYS: Final = (15.0,)
ARCHIVED_WEIGHT: Final = 0.5
TERMS, FEATURES = 7, 32  # regressors of the read-out: of the filter's mean, and of the sums of prints
PENALTIES: Final = (3.0, 0.3, 0.1, 0.03, 0.01, 0.003)
PENALTY: Final = 0.01  # 0.003 is better by 0.001 of open interest, with larger weights
TARGET: Final = Path(__file__).parent.parent / "dfmon" / "core" / "positions" / "calibration.py"


def regressors(shot: Snapshot) -> F64:
    """The filter's mean and the sums of the prints, times what the board shows: (TERMS + FEATURES, n)."""
    terms = slope_terms(shot.mean, shot.unpaired, shot.rates)
    return np.concatenate([terms, taught_features(shot.features, shot.rates)])


def weights_of(shots: Sequence[Snapshot]) -> dict[str, float]:
    """Weight of an option of each group: every family has the same, lives from an archive half of it."""
    count = Counter[str]()
    for shot in shots:
        count[shot.group] += shot.truth.size
    archived = {shot.group for shot in shots if shot.archived}
    return {group: (ARCHIVED_WEIGHT if group in archived else 1.0) / n for group, n in count.items()}


def fit(shots: Sequence[Snapshot], penalty: float) -> tuple[float, ...]:
    """Weighted least squares; the sums have a penalty, none of them where it is infinite."""
    size = TERMS + FEATURES if np.isfinite(penalty) else TERMS
    gram, target, weights = np.zeros((size, size)), np.zeros(size), weights_of(shots)
    for shot in shots:
        x, weight = regressors(shot)[:size], weights[shot.group]
        gram += weight * (x @ x.T)
        target += weight * (x @ shot.truth)
    penalised = np.arange(TERMS, size)
    gram[penalised, penalised] += penalty * gram[0, 0] if penalised.size else 0.0
    found = np.linalg.solve(gram, target)
    return tuple(float(round(weight, 4)) for weight in (*found, *np.zeros(TERMS + FEATURES - size)))


def taught(shot: Snapshot, weights: tuple[float, ...]) -> F64:
    """The read-out with these weights."""
    doubt = 1.0 - np.exp(-shot.sd / EXACT_SD)
    fitted = np.clip(weighted_sum(weights, regressors(shot)), -MAX_SHARE, MAX_SHARE)
    return np.asarray(shot.mean + (fitted - shot.mean) * doubt)


def rmse(shots: Sequence[Snapshot], weights: tuple[float, ...]) -> float:
    return float(np.sqrt(np.mean(np.concatenate([(taught(shot, weights) - shot.truth) ** 2 for shot in shots]))))


def leave_one_out(shots: Sequence[Snapshot]) -> None:
    """RMSE of each family from day 5, fitted on the others."""
    families = sorted({shot.family for shot in shots})
    print(f"| penalty | {' | '.join(families)} | mean |\n| --- |{' ---: |' * (len(families) + 1)}")
    for penalty in (np.inf, *PENALTIES):
        row = []
        for family in families:
            weights = fit([shot for shot in shots if shot.family != family], penalty)
            row.append(rmse([shot for shot in shots if shot.family == family and shot.day >= 5.0], weights))
        name = "filter and slope" if not np.isfinite(penalty) else f"{penalty:g}"
        print(f"| {name} | {' | '.join(f'{value:.4f}' for value in row)} | {np.mean(row):.4f} |")
    print()


def fit_width(shots: Sequence[Snapshot], weights: tuple[float, ...]) -> tuple[float, ...]:
    """Parts of the squared error, none negative, by the interval score of the nominal 90 %: it is proper, and a board
    that nobody can read costs it no more than its width. Source: Gneiting & Raftery (2007).
    """
    group_weights = weights_of(shots)
    every = [(shot, taught(shot, weights)) for shot in shots]
    data = np.concatenate([np.stack([x, s.truth, s.sd, s.drift]) for s, x in every], axis=1)
    weight = np.concatenate([np.full(shot.truth.size, group_weights[shot.group]) for shot in shots])
    sample = np.random.default_rng(0).choice(weight.size, min(weight.size, 20_000), replace=False)
    share, truth, sd, drift = data[:, sample]
    terms = np.concatenate([width_terms(s.sd, 1.0 - x * x, s.unpaired, s.rates) for s, x in every], axis=1)[:, sample]
    doubt, room = 1.0 - np.exp(-sd / EXACT_SD), np.maximum(1.0 - share * share, 0.0)

    def score(roots: F64) -> float:
        parts = roots * roots
        variance = parts[:2] @ terms[:2] + (parts[2:] @ terms[2:]) * doubt + drift * (1.0 - doubt)
        marginal = marginals(share, np.sqrt(np.minimum(variance, 0.81 * room)))
        low, high = (np.tanh(marginal.mu + sign * NORMAL_95 * marginal.sigma) for sign in (-1.0, 1.0))
        outside = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
        return float(np.average(high - low + 20.0 * outside, weights=weight[sample]))

    found = minimize(score, np.sqrt([0.7, 0.1, 0.3, 0.1, 0.1]), method="Nelder-Mead", options={"maxfev": 1500})
    return tuple(float(round(root * root, 4)) for root in found.x)


def _sd(shot: Snapshot, share: F64) -> F64:
    return error_sd(share, shot.sd, shot.unpaired, shot.drift, shot.rates)


def fit_loadings(shots: Sequence[Snapshot], weights: tuple[float, ...]) -> tuple[float, ...]:
    """Standard deviations of the common factors: squares of their coefficients in each snapshot, less chance."""
    total, families = np.zeros(6), sorted({shot.family for shot in shots})
    for family in families:
        of = [shot for shot in shots if shot.family == family and not shot.archived]
        for shot in of:
            share = taught(shot, weights)
            factors = shot.factors.copy()
            factors[5] = share / SHARE_SCALE
            z = (shot.truth - share) / np.maximum(_sd(shot, share), 1e-6)
            gram = np.linalg.inv(factors @ factors.T + 1e-9 * np.eye(6))
            coefficients = gram @ (factors @ z)
            noise = float(np.mean((z - coefficients @ factors) ** 2))
            total += (coefficients**2 - noise * np.diag(gram)) / len(of) / len(families)
    return tuple(float(round(value, 4)) for value in np.sqrt(np.maximum(total, 0.0)))


def fit_scales(shots: Sequence[Snapshot], weights: tuple[float, ...]) -> tuple[float, float]:
    """The scale of the members (90 % of the truths inside) and the factor of the chance of being long (by Brier)."""
    ratios, weights_all, mu_ratio, is_long, group_weights = [], [], [], [], weights_of(shots)
    for shot in shots:
        share = taught(shot, weights)
        marginal = marginals(share, _sd(shot, share))
        wide = marginal.sigma > 1e-6
        truth = np.arctanh(np.clip(shot.truth[wide], -0.999999, 0.999999))
        ratios.append(np.abs(truth - marginal.mu[wide]) / marginal.sigma[wide])
        mu_ratio.append(marginal.mu[wide] / marginal.sigma[wide])
        is_long.append(shot.truth[wide] > 0.0)
        weights_all.append(np.full(int(wide.sum()), group_weights[shot.group]))
    weight = np.concatenate(weights_all)
    scale = _weighted_quantile(np.concatenate(ratios), weight, 0.9) / NORMAL_95
    ratio, outcome = np.concatenate(mu_ratio), np.concatenate(is_long)
    normal = np.vectorize(NormalDist().cdf)
    grid = np.arange(0.6, 1.6, 0.02)
    sample = np.random.default_rng(0).choice(ratio.size, min(ratio.size, 20_000), replace=False)
    brier = [np.average((normal(c * ratio[sample]) - outcome[sample]) ** 2, weights=weight[sample]) for c in grid]
    return float(round(scale, 3)), float(round(min(grid[int(np.argmin(brier))], 1.0), 3))  # made no surer by so many


def _weighted_quantile(values: F64, weights: F64, quantile: float) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, quantile * cumulative[-1])])


def fit_roll_ups(shots: Sequence[Snapshot]) -> dict[str, float]:
    """The factor by which the members of each roll-up are spread about their mean, days from 5 on.

    Each family is read out with weights of the others: a roll-up adds up what an option's error hardly shows. A board
    is of one family, and some need more than the mean of them: one standard deviation over families is added. P, on
    whose boards nothing tells a sign and VSS and CHL would need bands of two and a half times the width, is left out.
    """
    needed: dict[str, list[float]] = {name: [] for name in ROLL_UPS}
    for family in sorted({shot.family for shot in shots} - {UNREADABLE}):
        weights = fit([shot for shot in shots if shot.family != family], PENALTY)
        of_family: dict[str, list[float]] = {name: [] for name in ROLL_UPS}
        for shot in shots:
            if shot.family != family or shot.day < 5.0 or shot.archived:
                continue
            members = members_of(shot, weights)
            units = shot.units * shot.interest
            for name, total, true in zip(ROLL_UPS, units @ members, units @ shot.truth):
                centre, (low, high) = total.mean(), np.quantile(total, (0.05, 0.95))
                of_family[name].append(max((true - centre) / (high - centre), (centre - true) / (centre - low)))
        for name, values in of_family.items():
            needed[name].append(float(np.quantile(values, 0.9)))
    found = {name: float(np.mean(values) + np.std(values)) for name, values in needed.items()}
    print({name: [round(value, 2) for value in values] for name, values in needed.items()}, "of the families")
    return {name: round(max(scale, 1.0), 3) for name, scale in found.items()}  # so many worlds narrow no band


def members_of(shot: Snapshot, weights: tuple[float, ...]) -> F64:
    """Members of the snapshot's options under the calibration of the module."""
    share = taught(shot, weights)
    sd = _sd(shot, share)
    factors = shot.factors.copy()
    factors[5] = share / SHARE_SCALE
    names = tuple(shot.found.names[row] for row in shot.rows.tolist())
    underlying = min(names).split("-")[0]
    draws = correlated_draws(own_draws(names, 128, shot.seed), factor_draws(underlying, 128, shot.seed), factors)
    return member_shares(share, sd, marginals(share, sd), draws)


def _set(name: str, value: object) -> None:
    setattr(calibration, name, value)


def training(folder: Path | None) -> list[Snapshot]:
    cells = [(family, seed) for family, seeds in TRAINING.items() for seed in seeds]
    return [shot for world in many(cells, folder, archive_days=ARCHIVE_DAYS) for shot in world if shot.rows.size]


def write(values: dict[str, object]) -> None:
    """Replaces the values in the module, whose documentation stays."""
    text = TARGET.read_text(encoding="utf-8")
    for name, value in values.items():
        start = text.index(f"\n{name}: ") + 1
        equals = text.index(" = ", start)
        depth, end = 0, equals + 3
        while depth or text[end] != "\n":
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(text[end], 0)
            end += 1
        text = text[:equals] + f" = {value!r}" + text[end:]
    TARGET.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    shots = training(next((Path(argument) for argument in arguments if not argument.startswith("--")), None))
    leave_one_out(shots)
    weights = fit(shots, PENALTY)
    values: dict[str, object] = {"RIDGE": weights}
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("WIDTH", lambda: fit_width(shots, weights)),
        ("LOADINGS", lambda: fit_loadings(shots, weights)),
    )
    for name, step in steps:
        values[name] = step()
        _set(name, values[name])
    values["MEMBER_SCALE"], values["LONG_FACTOR"] = fit_scales(shots, weights)
    _set("MEMBER_SCALE", values["MEMBER_SCALE"])
    scales = fit_roll_ups(shots)
    values["ROLL_UP_SCALES"] = {**scales, "hpp": scales["ngi"]}
    for name, value in values.items():
        print(f"{name} = {value}")
    if "--write" in arguments:
        write(values)


if __name__ == "__main__":
    main(sys.argv[1:])
