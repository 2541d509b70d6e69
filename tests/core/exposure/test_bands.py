from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.exposure.bands import BAND_QUANTILES, band_quantiles


@pytest.mark.parametrize("size", [1, 2, 3, 20, 21, 128])
def test_quantiles_of_members_are_those_of_definition_seven(size: int) -> None:
    values = np.random.default_rng(size).normal(1e8, 1e7, size)
    expected = np.quantile(values, BAND_QUANTILES, method="linear")
    assert band_quantiles(values) == pytest.approx(tuple(expected), rel=1e-15)
    assert values[0] == np.random.default_rng(size).normal(1e8, 1e7, size)[0]  # the members keep their order
