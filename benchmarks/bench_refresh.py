"""One refresh of a board: exposures, roll-ups, profile, flip, heat-map; then the same with a band from 128 members."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import tracemalloc
from collections.abc import Callable

import numpy as np
from quant_chain import Chain, chain, interleaved

from dfmon.core.exposure.surface_grid import gather, scatter, stencil
from dfmon.core.exposure.unit_exposure import ExposureBuffers, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import member_totals, roll_up
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.regime import find_regime
from dfmon.core.pricing.pairing import Pairing
from dfmon.core.pricing.settlement import DAY, settlement_terms

MEMBERS = 128
BUDGETS = {"whole refresh": 1e-3, f"whole refresh, {MEMBERS} members, bands": 12e-3}
COMPILED = {"whole refresh": 0.25e-3}
"""The same where the compiled kernels price."""


class Refresh:
    """What a tick does, on calls and puts merged where their columns agree (checked anew each time)."""

    def __init__(self, c: Chain, members: int = 0) -> None:
        self.c, size = c, c.strike.shape[0]
        self.position = c.option_type * c.open_interest
        draws = np.random.default_rng(1).normal(1.0, 0.35, (size, members))
        self.members = self.position[:, None] * draws
        # within a day settlement lifts other hedges of a call than of a put: there they are no pairs
        listed_apart = np.where((c.tau <= DAY) & (c.option_type < 0.0), -c.tau, c.tau)
        self.pairing = Pairing.from_listing(c.strike, listed_apart, c.option_type)
        self.expiries, self.expiry = np.unique(c.tau, return_inverse=True)
        self.strikes, self.strike = np.unique(c.strike, return_inverse=True)
        self.cell = self.expiry * self.strikes.size + self.strike
        self.first = np.unique(self.expiry, return_index=True)[1]
        self.points = self.pairing.all_merged
        self.list_points()
        self.merge()

    def list_points(self) -> None:
        """What the listing tells of the points: anew only where other pairs agree than before."""
        c, at, shape = self.c, self.points.option, (self.expiries.size, self.strikes.size)
        self.listed = c.strike[at], c.option_type[at]
        self.code = self.cell[at]
        self.counts = np.bincount(self.code, minlength=shape[0] * shape[1]).reshape(shape)
        self.buffers = ExposureBuffers(at.size)

    def merge(self) -> None:
        c, before = self.c, self.points
        self.points = self.pairing.points(c.forward, c.sigma, c.tau)
        if self.points is not before:
            self.list_points()
        at, (strike, option_type) = self.points.option, self.listed
        self.columns = c.forward[at], strike, c.sigma[at], c.tau[at], option_type
        self.merged_position = self.points.sum_exposure(self.position)

    def exposures(self) -> None:
        self.unit = unit_exposures(*self.columns, out=self.buffers)
        self.sums = roll_up(self.unit, self.merged_position, self.code, *self.counts.shape)

    def flip(self) -> None:
        forward, strike, sigma, tau, _ = self.columns
        self.terms = terms = settlement_terms(forward, strike, tau)
        self.flip_result = find_flip(
            self.c.spot, forward, terms.strike, sigma, terms.tau, self.merged_position * terms.share
        )

    def heat_map(self) -> None:
        self.kernel = stencil(self.strikes, self.c.forward[self.first], self.expiries, self.c.sigma[self.first])
        self.map = scatter(self.kernel, self.sums.cells[:4], self.counts > 0)

    def volatilities(self) -> None:
        counts, sigma = self.counts, self.columns[2]
        mean = np.bincount(self.code, sigma, counts.size).reshape(counts.shape) / np.maximum(counts, 1)
        listed = counts > 0
        self.iv = gather(self.kernel, np.where(listed, mean, np.nan), listed.astype(np.float64))

    def bands(self) -> None:
        forward, _, sigma, _, _ = self.columns
        books = self.points.sum_exposure(self.members)
        self.quantiles = np.quantile(member_totals(self.unit, books), (0.05, 0.95), axis=1)
        books *= self.terms.share[:, None]
        position = (self.merged_position * self.terms.share)[:, None]
        found = find_flips(self.c.spot, forward, self.terms.strike, sigma, self.terms.tau, position, books)
        self.regime = find_regime(self.c.spot, found.flips[0], found.roots, found.profiles)

    def full_refresh(self) -> None:
        self.merge()
        self.exposures()
        self.flip()
        self.heat_map()

    def with_volatilities(self) -> None:
        self.full_refresh()
        self.volatilities()

    def with_members(self) -> None:
        self.with_volatilities()
        self.bands()


def runs() -> dict[str, Callable[[], None]]:
    r = Refresh(chain(), MEMBERS)
    r.with_members()
    return {
        "merge calls and puts": r.merge,
        "exposures, totals, by expiry and strike": r.exposures,
        "profile and flip": r.flip,
        "heat-map of four exposures": r.heat_map,
        "its volatilities, holes filled": r.volatilities,
        "whole refresh": r.full_refresh,
        "whole refresh and volatilities": r.with_volatilities,
        f"whole refresh, {MEMBERS} members, bands": r.with_members,
    }


def memory() -> float:
    """Most bytes that one refresh of 2,500 options holds beyond the board, buffers and first use included."""
    c = chain()
    tracemalloc.start()
    Refresh(c).full_refresh()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(peak)


def main() -> None:
    print("2,500 options, one core, least of interleaved runs")
    for name, seconds in interleaved(runs(), rounds=25, batch=0.005).items():
        verdict = ""
        if name in BUDGETS:
            verdict = f"   budget {BUDGETS[name] * 1e3:g} ms: {'ok' if seconds <= BUDGETS[name] else 'MISSED'}"
        print(f"{name:45s} {seconds * 1e3:8.3f} ms{verdict}")
    print(f"memory of a refresh: {memory() / 1e6:.1f} MB, budget 20 MB")


if __name__ == "__main__":
    main()
