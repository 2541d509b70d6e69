"""The assignment of members' roots against every assignment there is, and the bands."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.flip.matching import match_roots, root_bands
from dfmon.core.flip.member_roots import MemberRoots

RootList: TypeAlias = tuple[list[float], list[bool]]

levels = st.lists(st.floats(50.0, 200.0), min_size=0, max_size=4, unique=True).map(sorted)


@st.composite
def root_lists(draw: st.DrawFn) -> RootList:
    found = draw(levels)
    return found, draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found)))


def best_assignment(
    level: list[float], rising: list[bool], member_level: list[float], member_rising: list[bool]
) -> tuple[int, float]:
    """Number of pairs and sum of log distances of the best one of all order-keeping assignments."""
    best = 0, 0.0
    for size in range(1, min(len(level), len(member_level)) + 1):
        for own, other in product(combinations(range(len(level)), size), combinations(range(len(member_level)), size)):
            if all(rising[i] == member_rising[j] for i, j in zip(own, other)):
                cost = sum(abs(math.log(level[i] / member_level[j])) for i, j in zip(own, other))
                best = min(best, (-size, cost))
    return best


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(root_lists(), st.lists(root_lists(), min_size=1, max_size=4))
def test_no_assignment_is_better(headline: RootList, each_member: list[RootList]) -> None:
    level, rising = headline
    rows = [(m, at, up) for m, found in enumerate(each_member) for at, up in zip(*found)]
    members = MemberRoots.from_rows(
        len(each_member), [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    )
    matched = match_roots(np.array(level), np.array(rising, bool), members)
    assert matched.shape == (len(level), len(each_member))
    for m, (member_level, member_rising) in enumerate(each_member):
        pairs = [(i, member_level.index(at)) for i, at in enumerate(matched[:, m]) if not np.isnan(at)]
        assert [j for _, j in pairs] == sorted({j for _, j in pairs})  # keeps the order, none taken twice
        assert all(rising[i] == member_rising[j] for i, j in pairs)
        cost = sum(abs(math.log(level[i] / member_level[j])) for i, j in pairs)
        count, least_cost = best_assignment(level, rising, member_level, member_rising)
        assert len(pairs) == -count
        assert cost == pytest.approx(least_cost, abs=1e-9)


def test_a_root_is_not_matched_to_one_of_the_other_direction_however_close() -> None:
    members = MemberRoots.from_rows(1, [0, 0], [100.0, 140.0], [False, True])
    matched = match_roots(np.array([100.1, 150.0]), np.array([True, False]), members)
    assert matched[0, 0] == 140.0
    assert np.isnan(matched[1, 0])


def test_two_matches_far_away_win_over_a_close_one() -> None:
    members = MemberRoots.from_rows(1, [0, 0, 0], [80.0, 100.0, 101.0], [True, False, True])
    matched = match_roots(np.array([99.0, 130.0]), np.array([True, False]), members)
    assert matched[:, 0].tolist() == [80.0, 100.0]


@pytest.mark.slow
@given(st.lists(st.lists(st.one_of(st.just(np.nan), st.floats(10.0, 1e5)), min_size=7, max_size=7), min_size=1))
def test_bands_are_quantiles_of_the_members_that_have_the_root(rows: list[list[float]]) -> None:
    matched = np.array(rows)
    bands = root_bands(matched)
    for i, row in enumerate(matched):
        found = row[~np.isnan(row)]
        assert bands.p[i] == found.size / 7
        if found.size >= 4:
            assert (bands.low[i], bands.high[i]) == pytest.approx(tuple(np.quantile(found, (0.05, 0.95))), rel=1e-12)
        else:
            assert np.isnan(bands.low[i])
            assert np.isnan(bands.high[i])


@pytest.mark.parametrize(("found", "has_band"), [(63, False), (64, True)])
def test_a_band_needs_half_of_the_members(found: int, has_band: bool) -> None:
    matched = np.full((1, 128), np.nan)
    matched[0, :found] = 100.0
    bands = root_bands(matched)
    assert np.isfinite(bands.low[0]) == np.isfinite(bands.high[0]) == has_band


def test_no_headline_root_and_no_member_root() -> None:
    none = MemberRoots.from_rows(3, (), (), ())
    assert match_roots(np.empty(0), np.empty(0, bool), none).shape == (0, 3)
    assert np.isnan(match_roots(np.array([100.0]), np.array([True]), none)).all()
    assert root_bands(np.full((1, 3), np.nan)).p.tolist() == [0.0]
