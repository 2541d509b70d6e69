"""The conventions behind published flips and walls of each expiry, found by trying all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from dfmon.core.exposure.levels import levels
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.pricing.black import F64, Mask
from dfmon.evidence.conventions import VendorChain

_TOLERANCE: Final = 1e-12  # of the level
_WINDOWS: Final = (1, 3, 5)
_GAMMAS: Final = ("printed", "recomputed")
_CHOICES: Final = ("nearest to spot", "lowest", "highest")
_PLACES: Final = ("interpolated", "the strike below", "the strike above")
DFMON_LEVELS: Final = {
    "flip": "the spot at which net gamma, recomputed for it, is zero; nearest to spot",
    "call wall": "the strike with the largest net gamma, recomputed, calls less puts",
    "put wall": "the strike with the most negative net gamma, recomputed, calls less puts",
}


class LevelMatch(NamedTuple):
    """A convention in words, the levels that it gives, and the groups where they are the published ones."""

    convention: str
    reproduced: dict[str, float]
    hits: list[bool]

    @property
    def is_exact(self) -> bool:
        """True where it gives every level."""
        return all(self.hits)


_Level = Callable[[VendorChain], float]


def find_level(chain: VendorChain, kind: str, values: Mapping[str, float]) -> LevelMatch:
    """The convention that gives the most levels of a column; of those the first, from plain to odd."""
    parts = {name: part for name in values if (part := chain.where(chain.group == name)).strike.size}
    found = [
        _level_match(text, parts, level, values)
        for text, level in (_flips() if kind == "flip" else _walls(1.0 if kind == "call wall" else -1.0))
    ]
    return max(found, key=lambda match: sum(match.hits))


def _level_match(text: str, parts: Mapping[str, VendorChain], level: _Level, values: Mapping[str, float]) -> LevelMatch:
    reproduced = {name: level(part) for name, part in parts.items()}
    hits = [abs(reproduced.get(name, np.inf) - value) <= _TOLERANCE * abs(value) for name, value in values.items()]
    return LevelMatch(text, reproduced, hits)


def _flips() -> Iterator[tuple[str, _Level]]:
    for gamma, running, window, choice, place in product(_GAMMAS, (False, True), _WINDOWS, _CHOICES, _PLACES):
        what = "running sum over strikes" if running else "net gamma by strike"
        mean = "" if window == 1 else f", mean of {window} strikes"
        text = f"zero of {gamma} {what}{mean}, with spot where it is; {choice}; {place}"
        yield text, partial(_flip, gamma=gamma, running=running, window=window, choice=choice, place=place)


def _flip(chain: VendorChain, gamma: str, running: bool, window: int, choice: str, place: str) -> float:
    strikes, net = _by_strike(chain, gamma, chain.option_type)
    curve = np.cumsum(net) if running else net
    if curve.size < window + 1:
        return np.nan
    half = window // 2
    curve = np.convolve(curve, np.ones(window) / window, "valid")
    at = np.flatnonzero(curve[:-1] * curve[1:] < 0.0)
    if not at.size:
        return np.nan
    below, above = strikes[at + half], strikes[at + half + 1]
    zeros = below + (above - below) * curve[at] / (curve[at] - curve[at + 1])
    chosen = {"nearest to spot": int(np.argmin(np.abs(zeros - chain.spot))), "lowest": 0, "highest": -1}[choice]
    return float({"interpolated": zeros, "the strike below": below, "the strike above": above}[place][chosen])


def _walls(sign: float) -> Iterator[tuple[str, _Level]]:
    side = "calls" if sign > 0.0 else "puts"
    for gamma in _GAMMAS:
        yield f"strike with the most {gamma} net gamma of {side}' sign", partial(_net_wall, gamma=gamma, sign=sign)
        yield f"strike with the most {gamma} gamma of {side} alone", partial(_side_wall, gamma=gamma, sign=sign)
    yield f"strike with the most open interest of {side}", partial(_side_wall, gamma="", sign=sign)


def _net_wall(chain: VendorChain, gamma: str, sign: float) -> float:
    strikes, net = _by_strike(chain, gamma, sign * chain.option_type)
    return float(strikes[int(np.argmax(net))])


def _side_wall(chain: VendorChain, gamma: str, sign: float) -> float:
    strikes, sizes = _by_strike(chain, gamma, chain.option_type == sign)
    return float(strikes[int(np.argmax(sizes))])


def _by_strike(chain: VendorChain, gamma: str, weight: F64 | Mask) -> tuple[F64, F64]:
    """Strikes and sums of gamma x open interest x weight; without a gamma, of open interest x weight."""
    sizes = {"printed": chain.gamma, "recomputed": chain.recomputed_gamma()}.get(gamma, np.ones(chain.strike.size))
    strikes, at = np.unique(chain.strike, return_inverse=True)
    exposure = np.asarray(sizes * chain.open_interest * weight, np.float64)
    return strikes, np.bincount(at, np.nan_to_num(exposure), strikes.size).astype(np.float64)


def own_level(chain: VendorChain, kind: str) -> float | None:
    """Dfmon's level of the options of one expiry by the naive convention; None where there is none."""
    position = chain.option_type * chain.open_interest
    if kind == "flip":
        return find_flip(chain.spot, chain.forwards(), chain.strike, chain.sigma, chain.tau, position).level
    strikes, net = _by_strike(chain, "recomputed", chain.option_type)
    found = levels(strikes, net, np.zeros(strikes.size), None)
    return found.call_wall if kind == "call wall" else found.put_wall


def level_cause(chain: VendorChain, match: LevelMatch, kind: str, name: str, value: float) -> str:
    """The cause of one level that does not follow its column."""
    part = chain.where(chain.group == name)
    if not part.strike.size:
        return "the chain has no option of it"
    found = find_level(part, kind, {name: value})
    if found.is_exact:
        return f"it is the {found.convention}"
    return f"no convention gives it: it is {value - match.reproduced[name]:+,.2f} from that of its column"
