"""Endpoints on boards: made panels whose answer is known, and the 359 recorded ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.evidence.board_findings import board_findings, flip_forecasts, score
from dfmon.evidence.board_panel import BoardPanel, read_panels
from dfmon.evidence.findings import ordered
from dfmon.model.units import HOUR
from tests import shared_data

START_NS = 1_767_225_600_000_000_000


def made_panel(boards: int = 800, effect: float = 0.0, seed: int = 3) -> BoardPanel:
    """Six-hourly boards of a diffusion; `effect` multiplies volatility where the convention is short gamma."""
    rng = np.random.default_rng(seed)
    ngi = rng.standard_normal(boards) * 1e7
    vol = 0.5 * np.exp(0.2 * rng.standard_normal(boards))
    sd = vol * np.sqrt(6.0 / 8_760.0)
    spot = 1e5 * np.exp(
        np.concatenate([[0.0], np.cumsum((sd * (1.0 + effect * (ngi < 0)) * rng.standard_normal(boards))[:-1])])
    )
    flip = spot * np.exp(1.5 * sd * rng.standard_normal(boards))
    ts_ns = START_NS + 6 * HOUR * np.arange(boards)
    return BoardPanel("BTC", ts_ns, spot, ngi, np.abs(ngi) + 5e7 * rng.random(boards), flip, vol)


@pytest.mark.slow
def test_no_effect_is_a_null_and_an_effect_is_found() -> None:
    null, found = board_findings(made_panel())[0], board_findings(made_panel(effect=0.5))[0]
    assert null.verdict == "null"
    assert found.verdict == "significant"
    assert found.favour > 2.0
    assert board_findings(made_panel(effect=0.5))[1].favour > 2.0, "NGI by its size has the opposite sign"


def test_spot_of_a_diffusion_ends_beyond_the_flip_as_often_as_it_says() -> None:
    forecasts = flip_forecasts(made_panel(2_000))
    assert forecasts is not None
    assert forecasts.verdict == "agrees"
    assert forecasts.brier < forecasts.brier_base
    assert all(abs(b.probability - b.frequency) < 0.06 for b in forecasts.bins)


def test_half_the_volatility_is_seen() -> None:
    panel = made_panel(2_000)
    forecasts = flip_forecasts(replace(panel, implied_vol=2.0 * panel.implied_vol))
    assert forecasts is not None
    assert forecasts.verdict == "differs"
    assert forecasts.frequency < forecasts.probability


def test_boards_too_far_apart_are_left_out() -> None:
    panel = made_panel(100)
    late = replace(panel, ts_ns=panel.ts_ns + np.where(np.arange(100) >= 50, 10 * HOUR, 0))
    assert np.isnan(late.hours[[49, 99]]).all()
    assert np.isfinite(np.delete(late.hours, [49, 99])).all()


@pytest.mark.slow
def test_worst_stratum_is_first() -> None:
    rows = [row for row in ordered(board_findings(made_panel())) if row.hypothesis == "B1"]
    assert not rows[0].stratum
    favours = [row.favour for row in rows[1:]]
    assert favours == sorted(favours)


def test_score_is_that_of_brier() -> None:
    said, came = np.array([0.1, 0.4, 0.8, 0.9, 0.2, 0.7]), np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    found = score("X", "t", said, came, np.arange(6))
    assert found.brier == pytest.approx(((said - came) ** 2).mean())
    assert found.brier_base == pytest.approx(0.25)
    assert sum(b.forecasts for b in found.bins) == 6


@pytest.mark.slow
def test_recorded_boards_are_a_null_after_controls() -> None:
    panels, skipped, digest = read_panels(
        shared_data.chains() / "deribit_chains_20251230_20260331.parquet", lambda _: None
    )
    assert not skipped
    assert len(digest) == 64
    for panel, came, said in zip(panels, (0.120, 0.060), (0.118, 0.079)):
        assert panel.ts_ns.size == 359
        found = board_findings(panel)[0]
        assert found.controlled is not None
        assert found.uncontrolled is not None
        assert found.uncontrolled.t > 2.0
        assert not found.controlled.rejects_zero
        assert found.verdict == "too few blocks"
        forecasts = flip_forecasts(panel)
        assert forecasts is not None
        assert (forecasts.frequency, forecasts.probability) == pytest.approx((came, said), abs=0.001)
        assert forecasts.verdict == "agrees (too few blocks)"
