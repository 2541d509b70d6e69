"""One refresh of 2,500 options: exposures, roll-ups, profile and flip; then the same with a band from 128 members."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from quant_chain import chain, interleaved

from dfmon.core.gamma_flip import find_flip, flip_band, flip_members
from dfmon.core.pairing import Pairing
from dfmon.core.settlement import settlement_terms
from dfmon.core.vanna_charm_volga import (
    ExposureBuffers,
    group_totals,
    member_totals,
    totals,
    unit_exposures,
)

MEMBERS = 128


def main() -> None:
    c = chain()
    size = c.strike.shape[0]
    position = c.option_type * c.open_interest
    draws = np.random.default_rng(1).normal(1.0, 0.35, (size, MEMBERS))
    members = position[:, None] * draws
    buffers = ExposureBuffers(size)
    pairing = Pairing.of(c.strike, c.tau, c.option_type)
    expiries, expiry = np.unique(c.tau, return_inverse=True)
    strikes, strike = np.unique(c.strike, return_inverse=True)

    def settled() -> tuple[tuple[np.ndarray, ...], np.ndarray, object]:
        terms = settlement_terms(c.forward, c.strike, c.tau)
        points = pairing.points(c.forward, c.sigma, c.tau)
        columns = (column[points.option] for column in (c.forward, terms.strike, c.sigma, terms.tau))
        return tuple(columns), terms.share, points

    def exposures() -> object:
        unit = unit_exposures(*c.columns, out=buffers)
        by_expiry = group_totals(unit, position, expiry, expiries.size)
        return unit, totals(unit, position), by_expiry, group_totals(unit, position, strike, strikes.size)

    def flip() -> object:
        columns, share, points = settled()
        return find_flip(c.spot, *columns, points.add(position * share))

    def flips_of_members() -> object:
        columns, share, points = settled()
        return flip_band(flip_members(c.spot, *columns, points.add(members * share[:, None])))

    def refresh() -> object:
        return exposures(), flip()

    def refresh_with_members() -> object:
        bands = np.quantile(member_totals(unit_exposures(*c.columns, out=buffers), members), (0.05, 0.95), axis=1)
        return refresh(), bands, flips_of_members()

    runs = {
        "exposures, totals, by expiry and strike": exposures,
        "profile and flip": flip,
        "whole refresh": refresh,
        f"flips of {MEMBERS} members": flips_of_members,
        f"whole refresh, {MEMBERS} members, bands": refresh_with_members,
    }
    budgets = {"whole refresh": 1e-3, f"whole refresh, {MEMBERS} members, bands": 12e-3}
    print(f"{size} options, one core, medians of interleaved runs")
    for name, seconds in interleaved(runs, rounds=25, batch=0.005).items():
        verdict = ""
        if name in budgets:
            verdict = f"   budget {budgets[name] * 1e3:g} ms: {'ok' if seconds <= budgets[name] else 'MISSED'}"
        print(f"{name:45s} {seconds * 1e3:8.3f} ms{verdict}")


if __name__ == "__main__":
    main()
