"""Counter-based random draws, keyed by what they are for: an event, or an option by its name.

A draw never depends on the order of arrival, on tick boundaries or on the numbering of options, so a replay, a
restart and a backfill see the same ensemble. One stream of draws serves two members, the second mirrored
(antithetic): exchanging buys and sells negates the ensemble exactly.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np

from dfmon.model.frames import F64, I64, U64

STREAMS: Final = 64
MEMBERS: Final = 2 * STREAMS
EVENT, DIRECTION, START, DRIFT, OFF_VENUE, CLASSES, KEEP_STREAM, NEW_STREAM = range(8)  # purposes of a draw

_STRATUM_MIDPOINTS: Final = (np.arange(STREAMS) + 0.5) / STREAMS
_STRATUM_NORMALS: Final = np.array([NormalDist().inv_cdf(midpoint) for midpoint in _STRATUM_MIDPOINTS.tolist()])


def _splitmix64(x: U64) -> U64:
    """Finaliser of splitmix64: every bit of the result depends on every bit of `x`."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _salts(purpose: int) -> U64:
    steps = np.arange(1, STREAMS + 1, dtype=np.uint64) + np.uint64(STREAMS * purpose)
    return _splitmix64(steps * np.uint64(0x9E3779B97F4A7C15))


_SALTS: Final = [_salts(purpose) for purpose in range(8)]


def uniforms(keys: U64, purpose: int = EVENT) -> F64:
    """Independent uniform numbers in [0, 1), one per stream, for each key.

    Shapes: (k,) -> (k, STREAMS). Source: splitmix64, Steele, Lea & Flood, OOPSLA 2014, as a counter-based generator.

    >>> uniforms(np.array([7], np.uint64)).shape, bool((uniforms(np.arange(9, dtype=np.uint64)) < 1.0).all())
    ((1, 64), True)
    """
    bits = _splitmix64(keys[:, None] ^ _SALTS[purpose])
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53, np.float64)


def stratified_uniforms(keys: U64, purpose: int) -> F64:
    """Midpoints of STREAMS equal parts of [0, 1], in an order drawn for each key.

    Shapes: (k,) -> (k, STREAMS). Source: stratified sampling, Cochran (1977).
    """
    return np.asarray(_STRATUM_MIDPOINTS[_stratum_order(keys, purpose)])


def stratified_normals(keys: U64, purpose: int) -> F64:
    """The standard normal quantiles of `stratified_uniforms`.

    Units: standard deviations.
    Shapes: (k,) -> (k, STREAMS).
    Source: Wichura (1988), AS 241, in the standard library.
    """
    return np.asarray(_STRATUM_NORMALS[_stratum_order(keys, purpose)])


def _stratum_order(keys: U64, purpose: int) -> I64:
    return np.argsort(uniforms(keys, purpose), axis=1)


def common_normals(purpose: int) -> F64:
    """Standard normal draws common to all options, one per member, mirrored.

    Units: standard deviations. Shapes: (MEMBERS,).
    """
    half = stratified_normals(np.zeros(1, np.uint64), purpose)[0]
    return np.asarray(np.concatenate([half, -half]))
