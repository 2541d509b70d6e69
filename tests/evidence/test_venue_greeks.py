"""Venues' own greeks beside those of dfmon."""

from __future__ import annotations

import pytest

from dfmon.evidence.venue_greeks import compare_deribit, compare_okx
from tests import shared_data


@pytest.mark.slow
def test_okx_prints_premium_adjusted_greeks() -> None:
    found = compare_okx(shared_data.chains() / "okx_chain_daily_202607.parquet")
    assert (found.rows, found.invalid) == (38_668, 0)
    assert found.delta_median <= 1e-4
    assert found.gamma_median <= 1e-3


def test_deribit_prints_gamma_with_five_decimals() -> None:
    found = compare_deribit(shared_data.chains() / "deribit_BTC_20260122_options_raw.csv.gz")
    assert found.invalid == 0
    assert found.delta_median < 1e-5
    assert 0.01 < found.gamma_median < 0.5
