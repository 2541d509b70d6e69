"""The scan of the nodes: dips by their parabola, and what is known of a profile already."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from dfmon.core.flip.gamma_profile import StickyStrike
from dfmon.core.flip.scan import DIP_SHARE, _find_dips, extend_profile

gaps = st.floats(1e-3, 1e-2)


@given(gaps, gaps, st.floats(-0.9, 0.9), st.floats(0.01, 3.0), st.sampled_from([1.0, -1.0]))
def test_a_dip_is_looked_into_where_its_parabola_comes_down_to_a_share_of_its_node(
    before: float, after: float, place: float, lowest: float, sign: float
) -> None:
    y = np.array([-before, 0.0, after])
    bottom = place * (before if place < 0.0 else after)
    rise = (y - bottom) ** 2
    size = rise / rise.max() + lowest
    assume(size[1] < min(size[0], size[2]))
    assume(abs(lowest / size[1] - DIP_SHARE) > 1e-9)
    member, node = _find_dips(y, sign * size[None], np.full((1, 3), sign))
    assert member.size == node.size == (1 if lowest < DIP_SHARE * size[1] else 0)
    assert (node == 1).all()


def test_a_node_beside_one_of_the_other_sign_is_no_dip() -> None:
    y, net = np.arange(4.0), np.array([[3.0, 0.1, -0.2, -3.0], [3.0, 0.1, 0.2, 3.0]])
    member, node = _find_dips(y, net, np.sign(net))
    assert (member.tolist(), node.tolist()) == ([1], [1])


def book() -> tuple[StickyStrike, np.ndarray]:
    rng, one = np.random.default_rng(3), np.ones(40)
    strike = 100.0 * np.exp(rng.normal(0.0, 0.15, 40))
    return StickyStrike.from_options(100.0 * one, strike, 0.5 * one, 0.05 * one), rng.normal(0.0, 10.0, (40, 2))


def test_what_is_known_of_a_profile_is_not_summed_again_and_what_is_no_part_of_it_is_not_used() -> None:
    summed, held = book()
    y = np.linspace(-0.3, 0.3, 61)
    whole = summed.profile(y, held)
    marked = np.full((2, 21), 7.0)
    np.testing.assert_array_equal(extend_profile(summed, y, held, (y[20:41], marked))[:, 20:41], marked)
    within = extend_profile(summed, y, held, (y[20:41], whole[:, 20:41]))
    np.testing.assert_allclose(within, whole, rtol=0.0, atol=1e-13 * np.abs(whole).max())
    elsewhere = np.sort(np.append(y[20:40], 0.0055))
    np.testing.assert_array_equal(extend_profile(summed, y, held, (elsewhere, marked)), whole)
