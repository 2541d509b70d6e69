"""The sheet of the score."""

from __future__ import annotations

import pytest

from dfmon.model.score import Coverage, Score, TakerFlow, TapeVerdict
from dfmon.tui.render.formatting import rows_to_text
from dfmon.tui.render.score import score_rows
from dfmon.tui.view import View

from . import factory
from .conftest import ScreenCheck
from .test_render import frame

SCORE = Score(
    "2026-01-22T00:00:00.000Z",
    TapeVerdict(842, 0.93, 0.041, 0.012, 0.07, 0.055, 0.71, 14),
    (Coverage("outlook_1h", 0.875, 40), Coverage("hedge_flow", None, 3)),
    TakerFlow(56, -12.4e6, -3.1e6, 0.22, None, 5),
)


@pytest.mark.parametrize("width", [60, 100])
def test_the_sheet(width: int, check_screen: ScreenCheck) -> None:
    shown = factory.snapshot(
        score=SCORE, unavailable=("score.coverage.1.share: 3 of 8 quarters of an hour with a band",)
    )
    text = rows_to_text(score_rows(frame(shown, View("BTC", sheet="score")), width))
    assert max(map(len, text.splitlines())) <= width
    check_screen(text, f"score_{width}")


def test_before_the_first_tick() -> None:
    text = rows_to_text(score_rows(frame(factory.snapshot()), 80))
    assert "nothing yet" in text
    assert "n/a" in text
