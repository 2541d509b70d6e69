"""Conventions found again from made figures, and the two vendors' published ones to every digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfmon.evidence.conventions import DFMON, MATCH, SIGNS, Convention, VendorChain, causes, find_convention, sums
from dfmon.evidence.vendors import read_r1quant, read_tera1oo4
from dfmon.evidence.venue_greeks import compare_deribit, compare_okx
from dfmon.model.errors import UsageError
from tests import shared_data

HEADER = "ts_utc,spot,expiry,total_resistance_musd,total_support_musd,net_balance_musd"


def made_chain(seed: int = 1) -> VendorChain:
    rng = np.random.default_rng(seed)
    n = 60
    forward = np.repeat([100_500.0, 102_000.0, 104_000.0], 20)
    return VendorChain(
        np.repeat(["A", "B", "C"], 20), 100_000.0 * (1.0 + 0.1 * rng.standard_normal(n)),
        np.resize([1.0, -1.0], n), np.round(2e-5 * rng.random(n), 5), 100.0 * rng.random(n),
        0.5 + 0.1 * rng.random(n), np.repeat([0.02, 0.1, 0.3], 20), forward, 100_000.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    "convention",
    [
        DFMON,
        Convention("printed", "spot", 2, 1e-6, SIGNS[0]),
        Convention("recomputed", "forward", 1, 100.0, SIGNS[2]),
        Convention("printed", "spot", 0, 1.0, SIGNS[1]),
    ],
)
def test_a_convention_is_found_from_its_figures(convention: Convention) -> None:
    chain = made_chain()
    exposure = chain.exposure(convention)
    figures = {figure: sums(chain, exposure, figure) for figure in ("net", "calls", "positive")}
    found = find_convention(chain, figures)
    assert found.convention == convention
    assert found.error < MATCH
    assert bool(causes(chain, found.convention)) == (convention != DFMON)


def test_exposure_is_gamma_interest_and_the_square_of_the_price() -> None:
    chain = made_chain()
    expected = chain.option_type * chain.gamma * chain.open_interest * chain.spot**2
    assert chain.exposure(Convention("printed", "spot", 2, 1.0, SIGNS[0])) == pytest.approx(expected)


def test_figures_of_no_convention_are_not_called_a_match() -> None:
    rng = np.random.default_rng(3)
    assert find_convention(made_chain(), {"net": dict(zip("ABC", rng.standard_normal(3).tolist()))}).error > 1e-3


@pytest.mark.slow
def test_r1quant_to_every_digit() -> None:
    folder = shared_data.published()
    published = read_r1quant(folder / "r1quant_gex_20260123T0200Z.csv", folder / "r1quant_chain_20260123T0200Z.csv.gz")
    found = find_convention(published.chain, published.figures)
    assert found.convention == Convention("printed", "spot", 2, 1e-6, "calls +, puts -")
    assert found.error < 1e-14
    assert any("leaves out the 1 %" in sentence for sentence in causes(published.chain, found.convention))


def test_tera1oo4_with_its_two_faults() -> None:
    published = read_tera1oo4(shared_data.published() / "tera1oo4_gex_btc_20251119T112113Z.json.gz", None)
    found = find_convention(published.chain, published.figures)
    assert found.error < 1e-14
    sentences = " | ".join(causes(published.chain, found.convention))
    assert "adds calls and puts" in sentences
    assert "multiplies by 100, the size of an equity contract" in sentences


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


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n", "has no column ts_utc, spot, expiry"),
        (
            "ts_utc,spot,expiry,total_resistance_musd,total_support_musd,net_balance_musd\nx,1,A,q,2,3\n",
            "'q', a number",
        ),
        ("", "is empty"),
    ],
)
def test_bad_vendor_files_are_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    figures, chain = tmp_path / "figures.csv", tmp_path / "chain.csv"
    figures.write_text(text)
    chain.write_text(
        "date,expiry_name,expiry_date,strike,type,open_interest,gamma,mark_iv\n2026-01-23,A,2026-01-30,1,call,1,1,50\n"
    )
    with pytest.raises(UsageError, match=sentence):
        read_r1quant(figures, chain)


def test_a_new_column_is_named_and_a_wrong_date_is_one_sentence(tmp_path: Path) -> None:
    figures, chain = tmp_path / "figures.csv", tmp_path / "chain.csv"
    figures.write_text(f"{HEADER},mood\nx,100,A,1,0,1,good\n")
    header = "date,expiry_name,expiry_date,strike,type,open_interest,gamma,mark_iv\n"
    chain.write_text(f"{header}2026-01-23,A,2026-01-30,100,call,1,0.01,50\n")
    assert "columns that are not read: mood" in read_r1quant(figures, chain).notes[0]
    chain.write_text(f"{header}23/01/26,A,2026-01-30,100,call,1,0.01,50\n")
    with pytest.raises(UsageError, match="'23/01/26' is no time, such as 2026-01-23"):
        read_r1quant(figures, chain)
    with pytest.raises(UsageError, match="--chain FILE is needed"):
        read_r1quant(figures, None)
