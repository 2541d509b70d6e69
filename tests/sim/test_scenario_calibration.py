"""The tables of the calibration: every forecast in one bin, frequencies beside means, and the place on the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario_calibration import BEGIN, END, Forecast, table, varied_script, write_section

from dfmon.sim.market.scripts import REGIMES


def test_every_forecast_is_in_one_bin_beside_what_came_true() -> None:
    forecasts = [Forecast(0, 0.95, True), Forecast(1, 1.0, False), Forecast(1, 0.0, False), Forecast(1, 0.5, True)]
    rows = table("confidence", forecasts)
    assert rows[2] == "| 0.0 to 0.1 | 1 | 1 | 0.00 | 0.00 | too few |"
    assert rows[7] == "| 0.5 to 0.6 | 1 | 1 | 0.50 | 1.00 | too few |"
    assert rows[11] == "| 0.9 to 1.0 | 2 | 2 | 0.97 | 0.50 | too few |"
    assert sum(int(row.split("|")[2]) for row in rows[2:12]) == len(forecasts)
    assert rows[13] == "Mean forecast less share that came true: +0.112; Brier score 0.313."


def test_a_bin_of_fifty_says_whether_it_is_within_the_limit() -> None:
    near = [Forecast(n, 0.75, n % 10 < 7) for n in range(50)]
    far = [Forecast(n, 0.25, n % 2 == 0) for n in range(50)]
    rows = table("confidence", [*near, *far])
    assert rows[9].endswith("| 0.75 | 0.70 | met |")
    assert rows[4].endswith("| 0.25 | 0.50 | **MISSED** |")


def test_a_variation_keeps_the_phases_and_changes_book_and_levels() -> None:
    one, other = varied_script(1), varied_script(2)
    assert one == varied_script(1)
    assert one.book != other.book
    assert [phase.name for phase in one.phases] == [phase.name for phase in REGIMES.phases]
    assert all(abs(a.spot / b.spot - 1.0) < 0.02 for a, b in zip(one.phases, REGIMES.phases))
    assert not any(phase.feeds_lost for phase in one.phases)


def test_the_section_goes_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_section(page, "new")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match="markers"):
        write_section(page, "new")
