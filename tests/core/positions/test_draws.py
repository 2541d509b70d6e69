"""Draws and attribution tables against values worked out one at a time, and the generator against its published one."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from dfmon.core.positions.counter_rng import (
    OFF_VENUE,
    STREAMS,
    common_normals,
    stratified_normals,
    stratified_uniforms,
    uniforms,
)

MASK: Final = 2**64 - 1
MIDPOINTS: Final = (np.arange(STREAMS) + 0.5) / STREAMS


def splitmix64_outputs(count: int) -> list[int]:
    """The first outputs of the reference generator from seed 0 (Steele, Lea & Flood, 2014)."""
    state, outputs = 0, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        outputs.append(mix(state))
    return outputs


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@pytest.mark.parametrize("purpose", range(8))
def test_draws_are_those_of_splitmix64_and_no_two_purposes_share_one(purpose: int) -> None:
    outputs = splitmix64_outputs(STREAMS * 8)
    assert outputs[0] == 0xE220A8397B1DCDAF  # the published first output
    salts = outputs[STREAMS * purpose : STREAMS * (purpose + 1)]
    expected = [(mix(7 ^ salt) >> 11) / 2**53 for salt in salts]
    assert uniforms(np.array([7], np.uint64), purpose)[0].tolist() == expected


def test_stratified_draws_are_the_midpoints_each_once() -> None:
    keys = np.arange(1, 6, dtype=np.uint64)
    for row in stratified_uniforms(keys, OFF_VENUE):
        np.testing.assert_array_equal(np.sort(row), MIDPOINTS)


def test_common_normals_are_the_strata_and_their_mirror() -> None:
    half = stratified_normals(np.zeros(1, np.uint64), OFF_VENUE)[0]
    assert common_normals(OFF_VENUE).tolist() == [*half, *(-half)]
