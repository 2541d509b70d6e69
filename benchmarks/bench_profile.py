"""Net-gamma profile of 2,500 options on 201 levels, and the polish of its zeros, against numpy's exp of all cells."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable

import numpy as np
from quant_chain import Chain, chain, interleaved, show
from scipy.stats import norm

from dfmon.core.flip.gamma_profile import StickyStrike
from dfmon.core.flip.roots import cubic_zero, polish
from dfmon.core.pricing.pairing import Pairing

LEVELS = np.linspace(-0.35, 0.35, 201)
FLOOR = "bare np.exp(n m), in tiles"


def broadcast(c: Chain, exposure: np.ndarray) -> np.ndarray:
    """What a first version looks like: the gamma formula over a spot axis and an option axis, scipy.stats for phi."""
    forward = np.exp(LEVELS)[:, None] * c.forward
    v = c.sigma * np.sqrt(c.tau)
    d1 = (np.log(forward / c.strike) + 0.5 * c.sigma**2 * c.tau) / v
    gamma = norm.pdf(d1) / (forward * v)
    net: np.ndarray = (exposure * gamma * forward**2 * 0.01).sum(axis=1)
    return net


def exp_of_all_cells(options: int) -> Callable[[], None]:
    """The floor: numpy's exponential of as many numbers as the profile has cells, in tiles that stay in the cache."""
    tile = np.random.default_rng(0).uniform(-50.0, 0.0, (128, LEVELS.shape[0]))
    buffers = np.empty_like(tile)
    full_tiles, last_tile = divmod(options, 128)

    def run() -> None:
        for _ in range(full_tiles):
            np.exp(tile, out=buffers)
        np.exp(tile[:last_tile], out=buffers[:last_tile])

    return run


def measure_profile() -> tuple[dict[str, float], tuple[str, ...]]:
    """Seconds by name, and the names: whole, pairs merged, polish, limit, naive."""
    c = chain()
    exposure = c.option_type * c.open_interest
    pairing = Pairing.from_listing(c.strike, c.tau, c.option_type)
    columns = (c.forward, c.strike, c.sigma, c.tau)
    book, exposure_column = StickyStrike.from_options(*columns), exposure[:, None]
    points = pairing.points(c.forward, c.sigma, c.tau)
    merged_book = StickyStrike.from_options(*(column[points.option] for column in columns))
    merged_exposure = points.sum_exposure(exposure_column)

    net = book.profile(LEVELS, exposure_column)[0]
    low = np.flatnonzero(np.sign(net[:-1]) * np.sign(net[1:]) < 0.0)
    ends = LEVELS[low], LEVELS[low + 1], net[low], net[low + 1]

    def polish_roots() -> object:
        return polish(book, exposure, *ends, start=cubic_zero(LEVELS, net, low, low + 1))

    runs = {
        "profile, 2,500 x 201": lambda: book.profile(LEVELS, exposure_column),
        "profile, calls and puts merged": lambda: merged_book.profile(LEVELS, merged_exposure),
        f"polish of {low.size} zeros, all options": polish_roots,
        FLOOR: exp_of_all_cells(c.strike.shape[0]),
        "naive broadcast": lambda: broadcast(c, exposure),
    }
    times = interleaved(runs, rounds=60, batch=0.005)
    return times, tuple(times)


def main() -> None:
    times, names = measure_profile()
    profile, merged_profile, roots, floor, naive = names
    budgets = {floor: ("at most", 2.2), naive: ("at least", 25.0)}
    show({name: times[name] for name in (profile, floor, naive)}, profile, budgets)
    show({name: times[name] for name in (merged_profile, floor)}, merged_profile, {floor: ("at most", 1.2)})
    show({name: times[name] for name in (roots, profile)}, roots, {profile: ("at most", 0.25)})


if __name__ == "__main__":
    main()
