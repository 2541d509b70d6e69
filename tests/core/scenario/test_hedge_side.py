import pytest

from dfmon.core.scenario.hedge_side import Amount, hedge_side


@pytest.mark.parametrize(
    ("up", "down", "side"),
    [
        ((-2.0, -3.0, -1.0), (-1.0, -2.0, -0.5), "sell"),
        ((2.0, 1.0, 3.0), (1.0, 0.5, 2.0), "buy"),
        ((-2.0, -3.0, -1.0), (2.0, 1.0, 3.0), "two-sided"),
        ((-2.0, -3.0, 0.0), (-2.0, -3.0, -1.0), "unsure"),
        ((-2.0, -3.0, -1.0), (2.0, -0.1, 3.0), "unsure"),
        ((-2.0, None, None), (2.0, None, None), "two-sided"),
        ((-2.0, None, None), (-1.0, None, None), "sell"),
        ((0.0, None, None), (1.0, None, None), "unsure"),
    ],
)
def test_a_verb_only_where_it_is_certain_and_both_ways_agree(up: Amount, down: Amount, side: str) -> None:
    assert hedge_side(up, down) == side
