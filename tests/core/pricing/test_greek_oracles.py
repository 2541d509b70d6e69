"""All 192 published reference values and all 600 high-precision rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dfmon.core.pricing.greek_buffers import Greeks
from dfmon.core.pricing.greek_calc import Numeraire, greeks
from tests.core.boards import oracle_rows

EPS = 2.0**-52
PARADEX_SPOT = 63653.90898322  # of the one row that converts a forward delta with it


def one(*values: float) -> list[np.ndarray]:
    return [np.array([value]) for value in values]


def test_every_published_value() -> None:
    rows = oracle_rows("greek_oracles.csv")
    assert len(rows) == 192
    for row in rows:
        value = fx_delta(row) if row["model"].startswith("FXDELTA") else generalised(row)
        assert value == pytest.approx(float(row["expected"]), abs=float(row["tolerance"])), row["id"]
        assert value == pytest.approx(float(row["mpmath_value"]), rel=2e-12, abs=1e-15), row["id"]


def fx_delta(row: dict[str, str]) -> float:
    """Spot or forward delta, plain or premium-adjusted; r and b hold the discount factors, sigma the total one."""
    th = 1.0 if row["cp"] == "C" else -1.0
    forward = float(row["S_or_F"]) * float(row["b"]) / float(row["r"])
    numeraire: Numeraire = "coin" if "Pa" in row["model"] else "usd"
    g = greeks(*one(forward, float(row["K"]), float(row["sigma"]), 1.0, th), numeraire=numeraire)
    return float(g.delta[0]) * (float(row["b"]) if row["model"].endswith("Spot") else 1.0)


def generalised(row: dict[str, str]) -> float:
    """Haug's cost-of-carry model from undiscounted Black-76 on F = S exp(bT)."""
    S, K, T, r, b, vol = (float(row[name]) for name in ("S_or_F", "K", "T_years", "r", "b", "sigma"))
    th = 1.0 if row["cp"] == "C" else -1.0
    F, d, growth = S * math.exp(b * T), math.exp(-r * T), math.exp(b * T)
    g: Greeks = greeks(*one(F, K, vol, T, th))
    price, delta, gamma, vega, theta, vanna, charm, volga = (float(column[0]) for column in g[:8])
    v = vol * math.sqrt(T)
    d1 = math.log(F / K) / v + v / 2
    d2 = d1 - v
    speed = -gamma / F * (1 + d1 / v)
    color = gamma * (1 - d1 * d2) / (2 * T)
    values = {
        "price": d * price,
        "coin_price": d * price / F,
        "delta": d * growth * delta,
        "elasticity": growth * delta * S / price,
        "gamma": d * growth**2 * gamma,
        "vega": d * vega,
        "vega_per_volpt": d * vega / 100,
        "theta": d * (r * price - b * F * delta + theta),
        "theta_day365": d * (r * price - b * F * delta + theta) / 365,
        "vanna": d * growth * vanna,
        "volga": d * volga,
        "charm": -d * growth * ((b - r) * delta + b * F * gamma - charm),
        "speed": d * growth**3 * speed,
        "zomma": d * growth**2 * gamma * (d1 * d2 - 1) / vol,
        "zomma_per_volpt": d * growth**2 * gamma * (d1 * d2 - 1) / vol / 100,
        "color": -d * growth**2 * ((2 * b - r) * gamma + b * F * speed - color),
        "rho": T * d * (F * delta - price),
        "rho_per_1pct": T * d * (F * delta - price) / 100,
        "rho_b0": -T * d * price,
        "rho_b0_per_1pct": -T * d * price / 100,
        "divrho": -T * d * F * delta,
        "delta_spot_prop": delta * F / PARADEX_SPOT,
    }
    return values[row["greek"]]


def grid() -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    rows = oracle_rows("greek_mpmath_grid.csv")
    assert len(rows) == 600
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name not in ("region", "cp")}
    th = np.array([1.0 if row["cp"] == "C" else -1.0 for row in rows])
    return [columns["F"], columns["K"], columns["sigma"], columns["T_years"], th], columns


def scaled_errors(inputs: list[np.ndarray], known: dict[str, np.ndarray], g: Greeks, name: str) -> np.ndarray:
    """Error over eps (1 + d1^2 + d2^2) x scale: what rounding of the inputs alone does to exp(-d^2/2) is 1."""
    F, K, vol, T, _ = inputs
    v = vol * np.sqrt(T)
    h, t = np.log(F / K) / v, v / 2
    size = np.abs(h) + t
    with np.errstate(under="ignore", invalid="ignore"):
        density = np.exp(-0.5 * (h + t) ** 2) / math.sqrt(2 * math.pi)
        scale = {
            "vanna": density * size / vol,
            "charm": density * size / (2 * T),
            "volga": known["vega"] * size**2 / vol,
        }.get(name, np.abs(known[name]))
        error = np.abs(getattr(g, name) - known[name])
        ratio = error / (EPS * (1 + (h + t) ** 2 + (h - t) ** 2) * scale)
    return np.where(scale > 1e-290, ratio, np.where(error <= 1e-290, 0.0, np.inf))


@pytest.mark.parametrize("name", ["price", "delta", "gamma", "vega", "theta", "vanna", "charm", "volga"])
def test_every_high_precision_row(name: str) -> None:
    inputs, known = grid()
    g = greeks(*inputs)
    assert g.invalid == 0
    assert scaled_errors(inputs, known, g, name).max() < 64.0


@pytest.mark.parametrize("name", ["delta", "gamma", "vega", "theta", "vanna", "charm", "volga"])
def test_the_one_pass_variant_is_as_exact(name: str) -> None:
    inputs, known = grid()
    near = inputs[0] > 0.021 * inputs[1]  # where it applies
    assert near.sum() > 550
    inputs = [np.ascontiguousarray(column[near]) for column in inputs]
    known = {key: column[near] for key, column in known.items()}
    g = greeks(*inputs, with_price=False)
    assert np.isnan(g.price).all()
    assert scaled_errors(inputs, known, g, name).max() < 64.0
