from itertools import product

import pytest

from dfmon.core.scenario.flow_disagreement import flow_disagreement, flow_side
from dfmon.core.scenario.micro_structure import FlowWindow


def window(
    buy: float | None = 30e6, sell: float | None = 10e6, ofi: float | None = 5e6, covered: float = 1.0
) -> FlowWindow:
    return FlowWindow(15, covered, ofi, buy, sell, None, None, None, None)


def test_sentence_names_both_sides_and_the_net_flow() -> None:
    expected = "hedge pressure is to sell, order flow bought 20.0M net in 15 min"
    assert flow_disagreement(2.6e6, window()) == expected
    expected = "hedge pressure is to buy, order flow sold 20.0M net in 15 min"
    assert flow_disagreement(-2.6e6, window(10e6, 30e6, -5e6)) == expected


@pytest.mark.parametrize(("hpp", "net", "ofi"), product((-1e6, 0.0, 1e6), (-2e7, 0.0, 2e7), (-1e6, 0.0, 1e6)))
def test_only_opposite_directions_of_a_flow_that_agrees_with_itself_disagree(
    hpp: float, net: float, ofi: float
) -> None:
    """Truth table: dealers sell (HPP > 0) against buying flow, or buy against selling flow."""
    text = flow_disagreement(hpp, window(50e6 + net / 2, 50e6 - net / 2, ofi))
    opposed = (hpp > 0 and net > 0 and ofi > 0) or (hpp < 0 and net < 0 and ofi < 0)
    assert (text is not None) == opposed


@pytest.mark.parametrize(
    "undirected",
    [window(None), window(sell=None), window(ofi=None), window(covered=0.49), window(54.9e6, 45.1e6), window(0.0, 0.0)],
)
def test_flow_without_a_direction_disagrees_with_nothing(undirected: FlowWindow) -> None:
    assert flow_side(undirected) == 0
    assert flow_disagreement(1e6, undirected) is None


def test_tenth_of_the_gross_flow_is_a_direction() -> None:
    assert flow_side(window(55e6, 45e6)) == 1
    assert flow_side(window(45e6, 55e6, -1.0)) == -1


def test_pressure_that_may_be_zero_disagrees_with_nothing() -> None:
    assert flow_disagreement(1e6, window(), (-1.0, 3e6)) is None
    assert flow_disagreement(None, window()) is None
    assert flow_disagreement(1e6, window(), (1.0, 3e6)) is not None
