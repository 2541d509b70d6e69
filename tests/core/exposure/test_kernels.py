"""Every row of the table of exposures: it has a kernel, and it states rightly where a call and its put agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.exposure.kernels import KERNELS, kernels_by_name
from dfmon.core.exposure.unit_exposure import UnitExposure, unit_exposures
from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.settlement import DAY, WINDOW
from dfmon.model.metrics import EXPOSURE_NAMES, EXPOSURES, MetricSpec

FORWARD = 100.0
ROWS = pytest.mark.parametrize("spec", EXPOSURES, ids=EXPOSURE_NAMES)


def call_and_put(strike: F64, sigma: F64, tau: F64) -> tuple[UnitExposure, UnitExposure]:
    forward, call = np.full(strike.shape, FORWARD), np.ones(strike.shape)
    calls, puts = (unit_exposures(forward, strike, sigma, tau, side * call) for side in (1.0, -1.0))
    return calls, puts


def differing(spec: MetricSpec, calls: UnitExposure, puts: UnitExposure) -> Mask:
    call, put = calls.column(spec.name), puts.column(spec.name)
    return np.abs(call - put) > 1e-12 * FORWARD + 1e-9 * np.abs(call)


def test_every_row_has_its_kernel() -> None:
    assert tuple(KERNELS) == EXPOSURE_NAMES
    with pytest.raises(LookupError, match=r"'rho' has no kernel: dfmon\.core\.exposure\.kernels\.rho is missing"):
        kernels_by_name(["ngi", "rho"])


@pytest.mark.slow
@ROWS
@given(
    log_moneyness=st.floats(-0.3, 0.3),
    sigma=st.floats(0.05, 2.0),
    tau=st.one_of(st.floats(60.0 / 31_536_000, 2 * DAY), st.floats(DAY, 3.0), st.floats(DAY, DAY + WINDOW)),
)
def test_a_call_and_its_put_agree_where_the_row_states_it(
    spec: MetricSpec, log_moneyness: float, sigma: float, tau: float
) -> None:
    calls, puts = call_and_put(FORWARD * np.exp([log_moneyness]), np.array([sigma]), np.array([tau]))
    stated = {"always": True, "beyond a day": tau > DAY, "never": False}[spec.same_for_call_and_put]
    assert not (stated and differing(spec, calls, puts).any())


@ROWS
def test_no_row_has_options_priced_apart_for_nothing(spec: MetricSpec) -> None:
    tau = np.array([DAY / 2, WINDOW / 2, 9 * DAY])
    differ = differing(spec, *call_and_put(np.full(3, 101.0), np.full(3, 0.5), tau))
    assert differ[:2].any() == (spec.same_for_call_and_put != "always")
    assert differ[2] == (spec.same_for_call_and_put == "never")
