"""The conventions behind published sums of gamma, found by trying all of them, and what each does to the number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.greek_calc import greeks

SIGNS: Final = ("calls +, puts -", "calls -, puts +", "all +", "all -")
_FACTORS: Final = (1.0, 0.01, 100.0, 1e-6, 1e-8, 1e-4, 1e-9)
_DIGITS: Final = 1e-12  # of the gross sum, the rounding of sums in another order
_MIN_CELLS: Final = 3  # that agree on a factor before it is taken from them
_FORMS: Final = {"gamma": "{} gamma", "price": "{} as price", "power": "price^{}", "factor": "x {:g}", "signs": "{}"}


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

    def against(self, other: Convention) -> str:
        """The choices in which this one differs from another, as words."""
        pairs = zip(self._fields, self, other)
        return ", ".join(_FORMS[name].format(own) for name, own, theirs in pairs if own != theirs)


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

    def where(self, rows: Mask) -> VendorChain:
        """These options alone."""
        columns = {name: getattr(self, name)[rows] for name in self._fields if name != "spot"}
        return self._replace(**columns)

    def forwards(self) -> F64:
        """Forwards, spot where the file has none."""
        return np.where(np.isfinite(self.forward), self.forward, self.spot)

    def recomputed_gamma(self) -> F64:
        """Gamma of Black-76; 0 where an option cannot be priced."""
        found = greeks(self.forwards(), self.strike, self.sigma, self.tau, self.option_type)
        return np.asarray(np.nan_to_num(found.gamma))

    def exposure(self, convention: Convention) -> F64:
        """The exposure of each option."""
        price = self.forwards() if convention.price == "forward" else np.full(self.strike.shape, self.spot)
        gamma = self.gamma if convention.gamma == "printed" else self.recomputed_gamma()
        one = np.ones(self.strike.size)
        signs = {SIGNS[0]: self.option_type, SIGNS[1]: -self.option_type, SIGNS[2]: one, SIGNS[3]: -one}
        weight = gamma * self.open_interest * price**convention.power * convention.factor
        return np.asarray(np.nan_to_num(weight * signs[convention.signs]))


class Column(NamedTuple):
    """Published sums by group: `net`, `calls`, `puts`; `positive` or `negative` of the strikes netted first.

    `rounding` is half a unit of the last decimal that they are printed with.
    """

    kind: str
    values: Mapping[str, float]
    rounding: float

    @staticmethod
    def of(kind: str, values: Mapping[str, float]) -> Column:
        """The column with the rounding of its values."""
        exponents = [Decimal(repr(value)).as_tuple().exponent for value in values.values()]
        return Column(kind, values, 0.5 * 10.0 ** min((e for e in exponents if isinstance(e, int)), default=0))


class Match(NamedTuple):
    """Results of a convention for a column, and the cells that are equal to the last digit printed."""

    convention: Convention
    reproduced: dict[str, float]
    hits: list[bool]

    @property
    def is_exact(self) -> bool:
        """True where it gives every cell."""
        return all(self.hits)


def sums(chain: VendorChain, exposure: F64, kind: str) -> dict[str, float]:
    """The sum of each group."""
    groups, at = np.unique(chain.group, return_inverse=True)
    if kind in ("calls", "puts"):
        exposure = np.where(chain.option_type == (1.0 if kind == "calls" else -1.0), exposure, 0.0)
    elif kind in ("positive", "negative"):
        strikes, by_strike = np.unique(chain.strike, return_inverse=True)
        net = np.bincount(at * strikes.size + by_strike, exposure, groups.size * strikes.size)
        exposure = np.maximum(net, 0.0) if kind == "positive" else np.minimum(net, 0.0)
        at = np.repeat(np.arange(groups.size), strikes.size)
    return dict(zip(groups.tolist(), np.bincount(at, exposure, groups.size).tolist(), strict=True))


def find_conventions(chain: VendorChain, columns: Mapping[str, Column]) -> dict[str, Match]:
    """The convention of each column: one for as many columns as it gives, then others for the rest. Of a column that
    none gives whole, the one with the most cells, or without any the one that comes closest.
    """
    matches = {name: list(_matches(chain, column)) for name, column in columns.items()}
    found: dict[str, Match] = {}
    joint: list[int] = []
    while rest := [name for name in columns if name not in found]:
        hits = np.sum([[sum(match.hits) for match in matches[name]] for name in rest], axis=0)
        joint.append(int(np.argmax(hits)))
        exact = {name: match for name in rest if (match := matches[name][joint[-1]]).is_exact}
        if not exact:
            found |= {name: _best(chain, matches[name], joint, columns[name]) for name in rest}
        found |= exact
    return {name: found[name] for name in columns}


def _best(chain: VendorChain, matches: list[Match], joint: Sequence[int], column: Column) -> Match:
    """The convention of the most cells, of equals one of other columns; a factor of no known unit is taken from the
    cells where three of them agree on it.
    """
    own = (_with_own_factor(chain, match, column) for match in matches if match.convention.factor == 1.0)
    candidates = [*(matches[at] for at in joint), *matches, *(match for match in own if match)]
    best = max(candidates, key=lambda match: sum(match.hits))
    if any(best.hits):
        return best
    return min(matches, key=lambda match: _distance(match.reproduced, column.values))


def _matches(chain: VendorChain, column: Column) -> Iterator[Match]:
    """Every convention on a column, in one order."""
    gammas = ("printed", "recomputed") if np.isfinite(chain.gamma).any() else ("recomputed",)
    prices = ("spot", "forward") if np.isfinite(chain.forward).any() else ("spot",)
    for gamma, price, power, signs in product(gammas, prices, (2, 1, 0), SIGNS):
        if power or price == "spot":
            yield from _scaled(chain, Convention(gamma, price, power, 1.0, signs), _FACTORS, column)


def _scaled(chain: VendorChain, base: Convention, factors: Sequence[float], column: Column) -> Iterator[Match]:
    exposure = chain.exposure(base)
    unscaled, gross = sums(chain, exposure, column.kind), sums(chain, np.abs(exposure), "net")
    for factor in factors:
        hits = [
            name in unscaled
            and abs(unscaled[name] * factor - value) <= _DIGITS * gross[name] * factor + column.rounding
            for name, value in column.values.items()
        ]
        yield Match(base._replace(factor=factor), {name: value * factor for name, value in unscaled.items()}, hits)


def _with_own_factor(chain: VendorChain, base: Match, column: Column) -> Match | None:
    ratios = [value / base.reproduced[name] for name, value in column.values.items() if base.reproduced.get(name)]
    factor = float(f"{np.median(ratios):.9g}") if len(ratios) >= _MIN_CELLS else 0.0
    if factor <= 0.0:
        return None
    (found,) = _scaled(chain, base.convention, [factor], column)
    return found if sum(found.hits) >= _MIN_CELLS else None


def _distance(found: Mapping[str, float], published: Mapping[str, float]) -> float:
    """The largest difference, relative to the largest figure."""
    scale = max(map(abs, published.values()), default=0.0) or 1.0
    return max((abs(found.get(name, 0.0) - value) for name, value in published.items()), default=0.0) / scale


def cell_cause(chain: VendorChain, match: Match, column: Column, name: str) -> str:
    """The cause of one cell that does not follow its column: another convention, or the ratio that is left."""
    if name not in match.reproduced:
        return "the chain has no option of it"
    part, cell = chain.where(chain.group == name), column._replace(values={name: column.values[name]})
    for found in _matches(part, cell):
        if found.is_exact and abs(found.reproduced[name]) > cell.rounding:
            return f"it follows {found.convention.against(match.convention)}"
    expected = match.reproduced[name]
    times = f", it is {cell.values[name] / expected:.6g} times what the column follows" if expected else ""
    return f"no convention gives it{times}"


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
    known = "" if convention.factor in _FACTORS else ", which is no unit"
    return f"multiplies by {convention.factor:g} where dfmon has 0.01{known}"
