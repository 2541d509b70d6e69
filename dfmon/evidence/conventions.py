"""The conventions behind a published gamma exposure, found by trying all of them, and what each does to the number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.greek_calc import greeks

SIGNS: Final = ("calls +, puts -", "calls -, puts +", "all +", "all -")
_FACTORS: Final = (1.0, 0.01, 100.0, 1e-6, 1e-8, 1e-4, 1e-9)
MATCH: Final = 1e-9


class Convention(NamedTuple):
    """Gamma x open interest x price^power x factor, with signs; gamma as printed, or recomputed from volatility."""

    gamma: str
    price: str
    power: int
    factor: float
    signs: str

    def __str__(self) -> str:
        power = {0: "", 1: f" x {self.price}", 2: f" x {self.price}^2"}[self.power]
        factor = "" if self.factor == 1.0 else f" x {self.factor:g}"
        return f"{self.gamma} gamma x open interest{power}{factor}, {self.signs}"


DFMON: Final = Convention("recomputed", "forward", 2, 0.01, SIGNS[0])
"""The `naive` model: USD of delta per 1 %."""


class VendorChain(NamedTuple):
    """Options behind published figures. `forward` is NaN where the vendor's file has none; sigma is decimal."""

    group: NDArray[np.str_]
    strike: F64
    option_type: F64
    gamma: F64
    open_interest: F64
    sigma: F64
    tau: F64
    forward: F64
    spot: float

    def exposure(self, convention: Convention) -> F64:
        """The exposure of each option."""
        forward = np.where(np.isfinite(self.forward), self.forward, self.spot)
        price = forward if convention.price == "forward" else np.full(forward.shape, self.spot)
        gamma = self.gamma
        if convention.gamma == "recomputed":
            gamma = np.nan_to_num(greeks(forward, self.strike, self.sigma, self.tau, self.option_type).gamma)
        signs = {SIGNS[0]: self.option_type, SIGNS[1]: -self.option_type, SIGNS[2]: 1.0, SIGNS[3]: -1.0}
        weight = gamma * self.open_interest * price**convention.power * convention.factor
        return np.asarray(np.nan_to_num(weight * signs[convention.signs]))


def sums(chain: VendorChain, exposure: F64, figure: str) -> dict[str, float]:
    """A figure of each group: `net`, `calls`, `puts`; `positive` or `negative` of the strikes netted first."""
    result = {}
    for name in dict.fromkeys(chain.group.tolist()):
        rows = chain.group == name
        part = exposure[rows]
        if figure in ("calls", "puts"):
            part = part[chain.option_type[rows] == (1.0 if figure == "calls" else -1.0)]
        elif figure in ("positive", "negative"):
            strikes, at = np.unique(chain.strike[rows], return_inverse=True)
            net = np.bincount(at, part, strikes.size)
            part = net[net > 0.0] if figure == "positive" else net[net < 0.0]
        result[name] = float(part.sum())
    return result


class Match(NamedTuple):
    """The convention that comes closest to all published figures, and its largest relative error."""

    convention: Convention
    error: float


def find_convention(chain: VendorChain, published: dict[str, dict[str, float]]) -> Match:
    """Tries every convention on every figure."""
    best = Match(DFMON, float("inf"))
    for convention in _candidates(chain):
        exposure = chain.exposure(convention)
        error = max(_error(sums(chain, exposure, figure), values) for figure, values in published.items())
        if error < best.error:
            best = Match(convention, error)
    return best


def _candidates(chain: VendorChain) -> Iterator[Convention]:
    gammas = ("printed", "recomputed") if np.isfinite(chain.gamma).any() else ("recomputed",)
    prices = ("spot", "forward") if np.isfinite(chain.forward).any() else ("spot",)
    for gamma, price, power, factor, signs in product(gammas, prices, (2, 1, 0), _FACTORS, SIGNS):
        if power or price == "spot":
            yield Convention(gamma, price, power, factor, signs)


def _error(found: dict[str, float], published: dict[str, float]) -> float:
    """The largest difference, relative to the largest figure."""
    scale = max(map(abs, published.values()), default=0.0) or 1.0
    return max((abs(found.get(name, 0.0) - value) for name, value in published.items()), default=0.0) / scale


def causes(chain: VendorChain, convention: Convention) -> list[str]:
    """A sentence for each choice in which a convention differs from dfmon's, with its effect on the whole sum."""
    own = float(chain.exposure(DFMON).sum())
    texts = {
        "gamma": "takes gamma as printed, rounded by the venue",
        "price": "takes spot in place of the forward of each expiry",
        "signs": {
            SIGNS[0]: "",
            SIGNS[1]: "has the opposite sign",
            SIGNS[2]: "adds calls and puts: a gross figure without a sign, from which no flip can follow",
            SIGNS[3]: "calls all open interest short",
        }[convention.signs],
    }
    sentences = []
    for name, text in texts.items():
        value = getattr(convention, name)
        if value == getattr(DFMON, name) or (name == "price" and not np.isfinite(chain.forward).any()):
            continue
        changed = float(chain.exposure(DFMON._replace(**{name: value})).sum())
        sentences.append(f"{text}; by itself it moves dfmon's {own / 1e6:+.2f} M to {changed / 1e6:+.2f} M USD")
    if convention.power != 2:
        times = "multiplies by spot once" if convention.power else "multiplies by no price"
        sentences.append(f"{times}, where USD of delta per 1 % needs the square")
    if convention.factor != DFMON.factor:
        sentences.append(_factor(convention))
    return sentences


def _factor(convention: Convention) -> str:
    if convention.power == 2 and convention.factor in (1.0, 1e-6):
        unit = "USD" if convention.factor == 1.0 else "millions of USD"
        return f"leaves out the 1 %: {unit} per 100 %, a hundred times dfmon's"
    if convention.factor == 100.0:
        return "multiplies by 100, the size of an equity contract; one option is on one coin"
    return f"multiplies by {convention.factor:g} where dfmon has 0.01"
