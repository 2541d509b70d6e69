"""Makes core/positions/calibration.py from simulated markets. `python calibrate_positions.py [FOLDER] [--write]`

Families A, B, C, D, O, V and N with twelve worlds, G with eight, every family with the same weight; FOLDER keeps them.
The penalty of the read-out is chosen by leaving one family out. Worlds of the evaluation have other seeds.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from position_snapshots import ROLL_UPS, Snapshot, many

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
    room_terms,
    slope_terms,
    taught_features,
    weighted_sum,
)

F64 = NDArray[np.float64]
TRAINING: Final = {
    **{family: range(1, 13) for family in "ABCDO"},
    "V": range(301, 313),
    "G": range(1, 9),
    "N": range(401, 413),
}
PENALTIES: Final = (3.0, 0.3, 0.1, 0.03, 0.01, 0.003)
PENALTY: Final = 0.01  # 0.003 is better by 0.001 of open interest, with larger weights
TARGET: Final = Path(__file__).parent.parent / "dfmon" / "core" / "positions" / "calibration.py"


def regressors(shot: Snapshot) -> F64:
    """The filter's mean and the sums of the prints, times what the board shows: (28, n)."""
    return np.concatenate([slope_terms(shot.mean, shot.rates), taught_features(shot.features, shot.rates)])


def fit(shots: Sequence[Snapshot], penalty: float) -> tuple[float, ...]:
    """Least squares with equal weight of the families; the sums have a penalty, none of them where it is infinite."""
    families = sorted({shot.family for shot in shots})
    size = 28 if np.isfinite(penalty) else 4
    gram, target = np.zeros((size, size)), np.zeros(size)
    for family in families:
        x = np.concatenate([regressors(shot)[:size] for shot in shots if shot.family == family], axis=1)
        y = np.concatenate([shot.truth for shot in shots if shot.family == family])
        gram += x @ x.T / y.size
        target += x @ y / y.size
    gram, target = gram / len(families), target / len(families)
    gram[np.arange(4, size), np.arange(4, size)] += penalty * gram[0, 0] if size > 4 else 0.0
    weights = np.linalg.solve(gram, target)
    return tuple(float(round(weight, 4)) for weight in (*weights, *np.zeros(28 - size)))


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
    """Squared errors as shares of the filter's variance and of 1 - x^2, none negative, families weighted alike."""
    gram, target = np.zeros((4, 4)), np.zeros(4)
    for family in {shot.family for shot in shots}:
        of = [shot for shot in shots if shot.family == family]
        count = sum(shot.truth.size for shot in of)
        for shot in of:
            x = taught(shot, weights)
            columns = np.concatenate([shot.sd[None] ** 2, room_terms(1.0 - x * x, shot.rates)])
            gram += columns @ columns.T / count
            target += columns @ (shot.truth - x) ** 2 / count
    free = list(range(4))
    found = np.linalg.solve(gram, target)
    while found.min() < 0.0:
        free.pop(int(np.argmin(found)))
        found = np.linalg.solve(gram[np.ix_(free, free)], target[free])
    shares = dict(zip(free, found.tolist()))
    return tuple(round(shares.get(index, 0.0), 4) for index in range(4))


def _sd(shot: Snapshot, share: F64) -> F64:
    return error_sd(share, shot.sd, shot.drift, shot.rates)


def fit_loadings(shots: Sequence[Snapshot], weights: tuple[float, ...]) -> tuple[float, ...]:
    """Standard deviations of the common factors: squares of their coefficients in each snapshot, less chance."""
    total, families = np.zeros(6), sorted({shot.family for shot in shots})
    for family in families:
        of = [shot for shot in shots if shot.family == family]
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
    ratios, family, mu_ratio, is_long = [], [], [], []
    for shot in shots:
        share = taught(shot, weights)
        marginal = marginals(share, _sd(shot, share))
        wide = marginal.sigma > 1e-6
        truth = np.arctanh(np.clip(shot.truth[wide], -0.999999, 0.999999))
        ratios.append(np.abs(truth - marginal.mu[wide]) / marginal.sigma[wide])
        mu_ratio.append(marginal.mu[wide] / marginal.sigma[wide])
        is_long.append(shot.truth[wide] > 0.0)
        family.append(np.full(int(wide.sum()), ord(shot.family)))
    families, values = np.concatenate(family), np.concatenate(ratios)
    scale = _weighted_quantile(values, _equal_weights(families), 0.9) / NORMAL_95
    ratio, outcome, weight = np.concatenate(mu_ratio), np.concatenate(is_long), _equal_weights(families)
    from statistics import NormalDist

    normal = np.vectorize(NormalDist().cdf)
    grid = np.arange(0.6, 1.6, 0.02)
    sample = np.random.default_rng(0).choice(ratio.size, min(ratio.size, 20_000), replace=False)
    brier = [np.average((normal(c * ratio[sample]) - outcome[sample]) ** 2, weights=weight[sample]) for c in grid]
    return float(round(scale, 3)), float(round(grid[int(np.argmin(brier))], 3))


def _equal_weights(codes: NDArray[np.int64]) -> F64:
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[inverse])


def _weighted_quantile(values: F64, weights: F64, quantile: float) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, quantile * cumulative[-1])])


def fit_roll_ups(shots: Sequence[Snapshot]) -> dict[str, float]:
    """The factor by which the members of each roll-up are spread about their mean, days from 5 on.

    Each family is read out with weights of the others: a roll-up adds up what an option's error hardly shows. A board
    is of one family, and some need more than the mean of them: one standard deviation over families is added.
    """
    needed: dict[str, list[float]] = {name: [] for name in ROLL_UPS}
    for family in sorted({shot.family for shot in shots}):
        weights = fit([shot for shot in shots if shot.family != family], PENALTY)
        of_family: dict[str, list[float]] = {name: [] for name in ROLL_UPS}
        for shot in shots:
            if shot.family != family or shot.day < 5.0:
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
    return [shot for world in many(cells, folder) for shot in world]


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
