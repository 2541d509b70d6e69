"""Markets that draw psi: the autocorrelation that a constant psi must give, desks, and forced orders."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.sim.feedback import MinutePath, PsiSpec, simulate_psi
from dfmon.sim.feedback.cascades import CascadeSpec
from dfmon.sim.feedback.desks import Desk, HedgingDesks

CALM = {"psi_sd": 0.0, "vol_of_vol": 0.0, "jumps_per_day": 0.0}


def _path(days: int = 30, seed: int = 1, **spec: object) -> MinutePath:
    return simulate_psi(PsiSpec(**{**CALM, **spec}), [seed], days)[0]  # type: ignore[arg-type]


def _autocorrelation(path: MinutePath) -> float:
    return float(np.corrcoef(path.log_return[:-1], path.log_return[1:])[0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("psi", [-0.3, 0.15])
def test_constant_psi_is_a_first_order_autoregression(psi: float) -> None:
    path = _path(psi_path=(psi,))
    assert _autocorrelation(path) == pytest.approx(-psi, abs=0.02)
    unhedged = 0.5 / np.sqrt(365 * 1_440)
    assert float(path.log_return.std()) / unhedged == pytest.approx(1.0 / np.sqrt(1.0 - psi * psi), rel=0.01)
    slow = path.log_return.reshape(-1, 20).sum(axis=1).std() / np.sqrt(20.0)
    assert slow / unhedged == pytest.approx(1.0 / (1.0 + psi), rel=0.05)


@pytest.mark.slow
def test_without_response_psi_does_nothing() -> None:
    assert abs(_autocorrelation(_path(psi_path=(-0.3,), response=0.0))) < 0.02


def test_a_seed_is_the_same_market_whatever_stands_beside_it() -> None:
    alone, beside = simulate_psi(PsiSpec(), [5], 3)[0], simulate_psi(PsiSpec(), [4, 5], 3)[1]
    for name in MinutePath.__dataclass_fields__:
        assert np.array_equal(getattr(alone, name), getattr(beside, name), equal_nan=True)


@pytest.mark.slow
def test_a_late_desk_answers_later_and_a_partial_one_over_time() -> None:
    late = _path(psi_path=(0.3,), desks=(Desk(lag=3),)).log_return
    assert float(np.corrcoef(late[:-3], late[3:])[0, 1]) == pytest.approx(-0.3, abs=0.03)
    assert abs(float(np.corrcoef(late[:-1], late[1:])[0, 1])) < 0.02
    partial = HedgingDesks((Desk(fraction=0.5),), 1)
    partial.add(np.array([1.0]))
    first = partial.hedge()
    partial.add(np.zeros(1))
    assert (float(first[0]), float(partial.hedge()[0])) == (-0.5, -0.25)


def test_a_banded_desk_waits() -> None:
    desk = HedgingDesks((Desk(band=1.5),), 1)
    desk.add(np.array([1.0]))
    assert float(desk.hedge()[0]) == 0.0
    desk.add(np.array([1.0]))
    assert float(desk.hedge()[0]) == -2.0


@pytest.mark.slow
def test_forced_orders_tied_to_short_gamma_come_with_it_alone() -> None:
    spec = CascadeSpec(per_day_short=100.0)
    long, short = (_path(psi_path=(psi,), response=0.0, cascades=spec) for psi in (0.1, -0.1))
    assert not long.forced.any()
    assert 0.02 < np.count_nonzero(short.forced) / short.forced.size < 0.2


def test_script_of_psi_repeats_by_days() -> None:
    by_day = _path(4, psi_path=(0.2, -0.2)).psi.reshape(4, -1).mean(axis=1)
    assert by_day == pytest.approx([0.2, -0.2, 0.2, -0.2])
