"""The estimator against simulated lives whose true books are known: a short form of benchmarks/bench_positions.py."""

import numpy as np
import pytest
from positions_trial import TrialSample, TrialScore, flip_coverage, net_gamma, trial

from dfmon.sim.populations.classes import NOT_A_PRINT, simulate_population

DAYS = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def lasting() -> list[list[TrialSample]]:
    """Customers of an option keep their direction; shots of each day, all seeds."""
    return list(map(list, zip(*(trial(seed, shots=DAYS, flips=True) for seed in SEEDS))))


@pytest.mark.slow
def test_sign_of_the_position_is_right(lasting: list[list[TrialSample]]) -> None:
    assert TrialScore.of(lasting[2]).sign >= 0.90
    assert TrialScore.of(lasting[5]).sign >= 0.95


@pytest.mark.slow
def test_error_is_small_and_below_that_of_clipped_taker_flow(lasting: list[list[TrialSample]]) -> None:
    middle, end = TrialScore.of(lasting[2]), TrialScore.of(lasting[5])
    assert end.rmse <= 0.38
    assert middle.rmse <= 0.85 * middle.rmse_clipped


@pytest.mark.slow
def test_band_holds_the_truth_as_often_as_it_says(lasting: list[list[TrialSample]]) -> None:
    whole = [shot for day in lasting for shot in day]
    assert 0.80 <= TrialScore.of(whole).coverage <= 0.97


@pytest.mark.slow
def test_net_gamma_and_flip_follow_the_true_book(lasting: list[list[TrialSample]]) -> None:
    whole = [shot for day in lasting for shot in day]
    assert net_gamma(whole)[0] >= 0.93
    held, count = flip_coverage(whole)
    assert count >= 8
    assert held >= 0.80


@pytest.mark.slow
def test_customers_without_a_direction_cost_no_more_than_a_twentieth() -> None:
    middle = TrialScore.of([trial(seed, shots=(15.0,), every=0.5, persistent=False)[0] for seed in SEEDS])
    assert middle.rmse <= 1.05 * middle.rmse_clipped


@pytest.mark.slow
@pytest.mark.parametrize(("screen", "coverage"), [((0.5, 0.35), 0.4), ((0.9, 0.05), 0.6)])
def test_wrong_beliefs_about_the_classes_cost_part_of_the_band(screen: tuple[float, float], coverage: float) -> None:
    """Parties of this market close at random: where takers are hardly more often customers, nothing tells of it."""
    assert TrialScore.of(trial(3, shots=(15.0, 30.0), every=0.5, screen=screen)).coverage >= coverage


@pytest.mark.slow
def test_prints_lost_for_good_are_priced_in() -> None:
    clean, holed = (trial(4, shots=(30.0,), every=0.5, drop=drop) for drop in (0.0, 0.01))
    assert TrialScore.of(holed).coverage >= 0.8
    assert TrialScore.of(holed).rmse <= TrialScore.of(clean).rmse + 0.02


def test_the_true_books_add_up() -> None:
    life = simulate_population(9, options=40)
    assert (np.abs(life.customer_net) <= life.open_interest + 1e-9).all()
    rows = life.print_rows
    volume = life.size[rows]
    shares = [volume[np.isin(life.kind[rows], kinds)].sum() / volume.sum() for kinds in ([1, 2], [3])]
    assert 0.2 < shares[0] < 0.4
    assert 0.12 < shares[1] < 0.28
    assert (life.kind == NOT_A_PRINT).any()
    for option in range(40):
        seq = life.seq[rows][life.option[rows] == option]
        assert seq.tolist() == list(range(1, seq.size + 1))
