"""One refresh of a board: exposures, roll-ups, profile, flip, heat-map; then the same with a band from 128 members."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import tracemalloc
from collections.abc import Callable

import numpy as np
from quant_chain import Chain, chain, interleaved

from dfmon.core.gamma_flip import find_flip, flip_band, flip_members
from dfmon.core.pairing import Pairing
from dfmon.core.settlement import DAY, settlement_terms
from dfmon.core.surface_grid import gather, scatter, stencil
from dfmon.core.vanna_charm_volga import ExposureBuffers, group_totals, member_totals, totals, unit_exposures

MEMBERS = 128
BUDGETS = {"whole refresh": 1e-3, f"whole refresh, {MEMBERS} members, bands": 12e-3}


class Refresh:
    """What a tick does, on calls and puts merged where their columns agree (checked anew each time)."""

    def __init__(self, c: Chain, members: int = 0) -> None:
        self.c, size = c, c.strike.shape[0]
        self.position = c.option_type * c.open_interest
        draws = np.random.default_rng(1).normal(1.0, 0.35, (size, members))
        self.members = self.position[:, None] * draws
        self.pairing = Pairing.of(c.strike, c.tau, c.option_type)
        self.expiries, self.expiry = np.unique(c.tau, return_inverse=True)
        self.strikes, self.strike = np.unique(c.strike, return_inverse=True)
        self.first = np.unique(self.expiry, return_index=True)[1]
        self.buffers: dict[int, ExposureBuffers] = {}
        self.merge()

    def merge(self) -> None:
        c = self.c
        self.points = self.pairing.points(c.forward, c.sigma, c.tau, apart=c.tau <= DAY)
        at = self.points.option
        self.columns = tuple(column[at] for column in c.columns)
        self.held = self.points.add(self.position)
        if at.size not in self.buffers:
            self.buffers[at.size] = ExposureBuffers(at.size)

    def exposures(self) -> None:
        at = self.points.option
        self.unit = unit_exposures(*self.columns, out=self.buffers[at.size])
        self.totals = totals(self.unit, self.held)
        self.by_expiry = group_totals(self.unit, self.held, self.expiry[at], self.expiries.size)
        self.by_strike = group_totals(self.unit, self.held, self.strike[at], self.strikes.size)

    def flip(self) -> None:
        forward, strike, sigma, tau, _ = self.columns
        self.terms = terms = settlement_terms(forward, strike, tau)
        self.found = find_flip(self.c.spot, forward, terms.strike, sigma, terms.tau, self.held * terms.share)

    def heat_map(self) -> None:
        shape, at = (self.expiries.size, self.strikes.size), self.points.option
        code = (self.expiry * shape[1] + self.strike)[at]
        counts = np.bincount(code, minlength=shape[0] * shape[1]).reshape(shape)
        listed = counts > 0
        kernel = stencil(self.strikes, self.c.forward[self.first], self.expiries, self.c.sigma[self.first])
        cells = np.stack([np.bincount(code, row, counts.size) for row in self.unit.matrix[:4] * self.held])
        self.map = scatter(kernel, cells.reshape(4, *shape), listed)
        sigma = np.bincount(code, self.columns[2], counts.size).reshape(shape) / np.maximum(counts, 1)
        self.iv = gather(kernel, np.where(listed, sigma, np.nan), listed.astype(np.float64))

    def bands(self) -> None:
        forward, _, sigma, _, _ = self.columns
        books = self.points.add(self.members)
        self.quantiles = np.quantile(member_totals(self.unit, books), (0.05, 0.95), axis=1)
        books *= self.terms.share[:, None]
        levels = flip_members(self.c.spot, forward, self.terms.strike, sigma, self.terms.tau, books)
        self.band = flip_band(levels)

    def whole(self) -> None:
        self.merge()
        self.exposures()
        self.flip()
        self.heat_map()

    def with_members(self) -> None:
        self.whole()
        self.bands()


def runs() -> dict[str, Callable[[], None]]:
    r = Refresh(chain(), MEMBERS)
    r.with_members()
    return {
        "merge calls and puts": r.merge,
        "exposures, totals, by expiry and strike": r.exposures,
        "profile and flip": r.flip,
        "heat-map": r.heat_map,
        "whole refresh": r.whole,
        f"whole refresh, {MEMBERS} members, bands": r.with_members,
    }


def memory() -> float:
    """Most bytes that one refresh of 2,500 options holds beyond the board, buffers and first use included."""
    c = chain()
    tracemalloc.start()
    Refresh(c).whole()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(peak)


def main() -> None:
    print("2,500 options, one core, medians of interleaved runs")
    for name, seconds in interleaved(runs(), rounds=25, batch=0.005).items():
        verdict = ""
        if name in BUDGETS:
            verdict = f"   budget {BUDGETS[name] * 1e3:g} ms: {'ok' if seconds <= BUDGETS[name] else 'MISSED'}"
        print(f"{name:45s} {seconds * 1e3:8.3f} ms{verdict}")
    print(f"memory of a refresh: {memory() / 1e6:.1f} MB, budget 20 MB")


if __name__ == "__main__":
    main()
