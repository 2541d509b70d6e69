import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dfmon
from dfmon.core.step import FlowParams
from dfmon.engine.hub import SnapshotHub
from dfmon.model.metrics import EXPOSURE_NAMES
from dfmon.model.units import YEAR
from dfmon.replay import BoardSource, play_to_end
from tests.board_files import board_text

RNG = np.random.default_rng(2)
STRIKES = np.tile(np.arange(70_000.0, 131_000.0, 5_000.0), 4)
TAU = np.repeat((0.4, 3.0, 17.0, 80.0), 13) / 365.0
TYPES = RNG.choice((-1.0, 1.0), 52)
INTEREST = RNG.uniform(10.0, 900.0, 52)
SIGMA = 0.5 + 0.4 * np.log(STRIKES / 1e5) ** 2


def board(spot: float = 1e5, points: float = 0.0, hours: float = 0.0) -> dfmon.Board:
    left = TAU - hours / 8760.0
    return dfmon.Board(
        spot=spot, strike=STRIKES, sigma=SIGMA + points / 100.0, tau=np.rint(left * YEAR) / YEAR, option_type=TYPES,
        forward=spot * (1.0 + 0.05 * TAU), open_interest=INTEREST,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("numeraire", ["usd", "coin"])
@pytest.mark.parametrize("positions", ["naive", "short-all", list(RNG.normal(0.0, 300.0, 52))])
@pytest.mark.parametrize("shock", [(0.0, 0.0, 0.0), (2.0, 5.0, 6.0), (-7.5, -3.0, 0.0)])
def test_before_and_after_are_the_exposures_and_the_flip_of_the_boards(
    positions: Any, numeraire: Any, shock: tuple[float, float, float]
) -> None:
    spot_pct, points, hours = shock
    result = dfmon.what_if(board(), positions, spot_pct=spot_pct, vol_points=points, hours=hours, numeraire=numeraire)
    moved = board(1e5 * (1.0 + spot_pct / 100.0), points, hours)
    for name in EXPOSURE_NAMES:
        row = result[name]
        for shown, of_board in ((row.before, board()), (row.after, moved)):
            expected = getattr(dfmon.exposures(of_board, positions, numeraire=numeraire).totals, name)
            assert shown == pytest.approx(expected, rel=1e-9, abs=1e-6), name
        assert row.before is not None
        assert row.after is not None
        assert row.change == row.after - row.before
    for shown, of_board in ((result["flip"].before, board()), (result["flip"].after, moved)):
        expected = dfmon.flip(of_board, positions, numeraire=numeraire).level
        assert shown == (None if expected is None else pytest.approx(expected, rel=1e-8))


def test_assumptions_change_the_numbers_after_only() -> None:
    result = dfmon.what_if(board(), "naive", assume={"positions": "short-all"})
    assert result.assumed == {"positions": "short-all"}
    assert result["ngi"].before == pytest.approx(dfmon.exposures(board(), "naive").totals.ngi)
    assert result["ngi"].after == pytest.approx(dfmon.exposures(board(), "short-all").totals.ngi)


def test_psi_needs_depth_and_follows_the_impact_law() -> None:
    assert dfmon.what_if(board())["psi"].before is None
    result = dfmon.what_if(board(), depth_usd=3e8, volume_usd=2e10, assume={"impact_law": "sqrt"})
    ngi = result["ngi"].before
    assert ngi is not None
    assert result["psi"].before == pytest.approx(ngi / 3e8)
    sigma = 0.5  # at the money
    after = math.copysign(100.0 * sigma / math.sqrt(365.0) * math.sqrt(abs(ngi) / 2e10), ngi)
    assert result["psi"].after == pytest.approx(after, rel=2e-3)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"positions": "long"}, "positions"),
        ({"spot_pct": -100.0}, "spot_pct"),
        ({"hours": -1.0}, "hours"),
        ({"vol_points": float("nan")}, "vol_points"),
        ({"numeraire": "eur"}, "numeraire"),
        ({"stickiness": "delta"}, "stickiness"),
        ({"impact_law": "cubic"}, "impact_law"),
        ({"venue_share": 0.0}, "venue_share"),
        ({"desks": [(0.5, 1.0, 0.0)]}, "desks"),
        ({"desks": [(1.0, "x", 0.0)]}, "desks"),
        ({"desks": [(1.0, math.nan, 0.0)]}, "desks"),
        ({"desks": [(-1.0, 1.0, 0.0), (2.0, 1.0, 0.0)]}, "desks"),
        ({"risk_aversion": -1.0}, "risk_aversion"),
        ({"risk_aversion": math.nan}, "risk_aversion"),
        ({"depth_usd": 0.0}, "depth_usd"),
        ({"depth_usd": math.nan}, "depth_usd"),
        ({"volume_usd": -1.0}, "volume_usd"),
        ({"assume": {"sign": "short"}}, "assume"),
        ({"assume": {"numeraire": "eur"}}, "numeraire"),
    ],
)
def test_mistakes_are_named(bad: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        dfmon.what_if(board(), **bad)
    with pytest.raises(ValueError, match="board"):
        dfmon.what_if(object())  # type: ignore[arg-type]


def test_hedge_pressure_after_a_shock_has_the_sign_of_the_move_and_the_factors_of_before() -> None:
    """HPP is linear in the roll-ups: a and b follow from two of three shocks, and hold in the third."""
    options = dfmon.Board(
        spot=1e5, strike=[9e4, 1e5, 1.1e5] * 2, sigma=0.5, tau=[0.02] * 3 + [0.2] * 3,
        option_type=["put", "call", "call"] * 2, open_interest=[90, 100, 40, 300, 70, 10],
    )  # fmt: skip

    def after(spot_pct: float, vol_points: float = 0.0) -> dict[str, float]:
        rows = dfmon.what_if(options, spot_pct=spot_pct, vol_points=vol_points).rows
        return {row.name: row.after for row in rows if row.after is not None}

    up, down, calm = after(2.0), after(-2.0), after(2.0, -30.0)
    rows = np.array([[up["vss"], up["chl"]], [down["vss"], down["chl"]]])
    a, b = np.linalg.solve(rows, [up["hpp"] - up["ngi"], down["hpp"] + down["ngi"]])
    assert calm["hpp"] == pytest.approx(calm["ngi"] + a * calm["vss"] + b * calm["chl"], rel=1e-9)
    assert a > 0.0
    assert b > 0.0


def test_the_numbers_before_are_those_of_the_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text(board_text())
    hub = SnapshotHub()
    play_to_end(BoardSource(path, ("BTC",), FlowParams(positions="naive")), hub.publish)
    snapshot = hub.latest("BTC")
    assert snapshot is not None
    result = dfmon.what_if(dfmon.Board.from_file(path), "naive", spot_pct=2.0)
    for name in ("ngi", "vss", "chl", "hpp"):
        assert result[name].before == getattr(snapshot.metrics, name).value, name


def test_hours_beyond_ten_years_are_refused() -> None:
    options = dfmon.Board(spot=1e5, strike=[1e5], sigma=0.5, tau=0.02, option_type="call", open_interest=1)
    with pytest.raises(ValueError, match="hours: 1e\\+09 is beyond 87,600, ten years"):
        dfmon.what_if(options, hours=1e9)
    assert dfmon.what_if(options, hours=1.0).ts == ""
