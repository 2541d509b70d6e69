"""Draws and attribution tables against values worked out one at a time, and the generator against its published one."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from dfmon.core.positions.attribution import (
    BLOCK,
    BOTH_LIQUIDATED,
    COMBO,
    DIRECTION_NODES,
    INFORMATIVE_KINDS,
    MAKER_LIQUIDATED,
    PRINT_KINDS,
    RFQ,
    SCREEN,
    TAKER_LIQUIDATED,
    ClassShares,
    Priors,
    attribution_tables,
)
from dfmon.core.positions.counter_rng import (
    CLASSES,
    DIRECTION,
    KEEP_STREAM,
    MEMBERS,
    NEW_STREAM,
    START,
    STREAMS,
    common_normals,
    direction_quantiles,
    option_normals,
    stratified_normals,
    stratified_uniforms,
    stream_uniforms,
    uniforms,
)
from dfmon.core.positions.posterior import _draw_stream_and_node
from dfmon.core.positions.update import CHUNK_PRINTS, sum_print_flow
from dfmon.model.keys import stable_key

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
    for row in stratified_uniforms(keys, DIRECTION):
        np.testing.assert_array_equal(np.sort(row), MIDPOINTS)


def test_an_option_has_a_sample_for_its_streams_and_another_for_their_replacements() -> None:
    key = np.array([stable_key("A")], np.uint64)
    kept, new = stratified_uniforms(key, KEEP_STREAM)[0], stratified_uniforms(key, NEW_STREAM)[0]
    assert stream_uniforms(["A"])[0].tolist() == [*kept, *new]
    assert kept.tolist() != new.tolist()
    direction = stratified_uniforms(key, DIRECTION)[0]
    assert direction_quantiles(["A"])[0].tolist() == [*direction, *(1.0 - direction)]


@pytest.mark.parametrize("common", [0.0, 0.36, 1.0])
def test_option_normals_share_the_part_of_their_variance_that_is_stated(common: float) -> None:
    own = stratified_normals(np.array([stable_key("A")], np.uint64), START)[0]
    expected = np.sqrt(1.0 - common) * own + np.sqrt(common) * common_normals(START)[:STREAMS]
    np.testing.assert_allclose(option_normals(["A"], START, common)[0, :STREAMS], expected, rtol=1e-15)


def class_shares(shares: ClassShares, concentration: float, normals: np.ndarray) -> np.ndarray:
    """Dirichlet shares of one stream by Wilson & Hilferty's gamma quantiles, none below zero."""
    alpha = [concentration * share for share in shares]
    cubes = [1.0 - 1.0 / (9.0 * a) + z / (3.0 * a**0.5) for a, z in zip(alpha, normals.tolist(), strict=True)]
    gammas = np.array([a * max(cube, 0.0) ** 3 for a, cube in zip(alpha, cubes, strict=True)])
    return np.asarray(gammas / gammas.sum())


def kind_shares(priors: Priors) -> dict[int, ClassShares]:
    return {
        SCREEN: priors.screen,
        BLOCK: priors.block,
        RFQ: priors.rfq,
        COMBO: priors.combo,
        TAKER_LIQUIDATED: priors.taker_liquidated,
        MAKER_LIQUIDATED: priors.maker_liquidated,
        BOTH_LIQUIDATED: priors.both_liquidated,
    }


@pytest.mark.parametrize(("weight", "contrarian_streams"), [(0.05, 3), (0.055, 4)])
def test_attribution_tables_are_bayes_rule_for_each_kind_side_node_and_stream(
    weight: float, contrarian_streams: int
) -> None:
    priors = Priors(contrarian_prior_weight=weight, direction=3.0)
    tables = attribution_tables(priors)
    log_likelihood = tables.log_likelihood.reshape(PRINT_KINDS, 2, DIRECTION_NODES, STREAMS)
    for kind, held in kind_shares(priors).items():
        normals = stratified_normals(np.arange(4 * kind, 4 * kind + 4, dtype=np.uint64), CLASSES)
        for stream in (0, contrarian_streams - 1, contrarian_streams, 17, STREAMS - 1):
            is_contrarian = stream < contrarian_streams and kind < TAKER_LIQUIDATED
            shares = priors.contrarian_shares if is_contrarian else held
            p0, p1, p2, p3 = class_shares(shares, priors.dirichlet_concentration, normals[:, stream])
            for node in (0, 3, 6):
                buy = (node + 0.5) / DIRECTION_NODES
                for side, same in ((0, 1.0 - buy), (1, buy)):
                    if kind in INFORMATIVE_KINDS:
                        total = p0 * same + p1 * (1.0 - same) + (p2 + p3) / 2.0
                        expected = p0 * same / total, 1.0 - p1 * (1.0 - same) / total, np.log(total)
                    else:
                        expected = p0, 1.0 - p1, 0.0
                    at = kind, side, node, stream
                    found = tables.customer_taker_below[at], tables.customer_maker_from[at], log_likelihood[at]
                    assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)
    buys = (np.arange(DIRECTION_NODES) + 0.5) / DIRECTION_NODES
    np.testing.assert_allclose(tables.log_prior, 2.0 * np.log(buys * (1.0 - buys)), rtol=1e-13)


def test_stream_and_node_of_each_member_by_hand() -> None:
    priors = Priors(direction=2.0)
    tables = attribution_tables(priors)
    log_likelihood = tables.log_likelihood
    counts = np.zeros((1, 2 * PRINT_KINDS))
    counts[0, [2 * SCREEN, 2 * SCREEN + 1, 2 * BLOCK, 2 * RFQ + 1, 2 * COMBO + 1]] = 9.0, 4.0, 3.0, 2.0, 50.0
    draws, quantiles = stream_uniforms(["A"]), direction_quantiles(["A"])
    streams, nodes = _draw_stream_and_node(counts, quantiles, draws, tables)

    weight = np.exp(
        tables.log_prior[:, None]
        + sum(
            counts[0, 2 * kind + side] * log_likelihood[2 * kind + side]
            for kind in (SCREEN, BLOCK, RFQ)
            for side in (0, 1)
        )
    )
    by_stream = weight.sum(axis=0)
    moved = 0
    for member in range(MEMBERS):
        own = member % STREAMS
        stream = own
        if draws[0, own] >= by_stream[own] / by_stream.max():
            target = draws[0, STREAMS + own] * by_stream.sum()
            stream = next(i for i in range(STREAMS) if np.cumsum(by_stream)[i] >= target)
            moved += 1
        target = quantiles[0, member] * weight[:, stream].sum()
        node = next(i for i in range(DIRECTION_NODES) if np.cumsum(weight[:, stream])[i] >= target)
        assert (streams[0, member], nodes[0, member]) == (stream, node)
    assert 0 < moved < MEMBERS


@pytest.mark.parametrize("count", [CHUNK_PRINTS - 1, CHUNK_PRINTS, CHUNK_PRINTS + 1, 2 * CHUNK_PRINTS + 1])
def test_no_print_is_left_out_between_two_chunks(count: int) -> None:
    tables = attribution_tables(Priors())
    keys, sizes = np.arange(1, count + 1, dtype=np.uint64), np.ones(count)
    kinds, buys = np.full(count, SCREEN), np.ones(count, np.int64)
    below, above = tables.customer_taker_below[SCREEN, 1], tables.customer_maker_from[SCREEN, 1]
    drawn = uniforms(keys)
    for node in (0, 4):
        expected = (drawn < below[node]).sum(axis=0) - (drawn >= above[node]).sum(axis=0)
        assert sum_print_flow(tables, keys, kinds, buys, sizes)[node].tolist() == expected.tolist()
