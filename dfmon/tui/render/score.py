"""The sheet of the score: what dfmon said against what followed, since midnight UTC."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from dfmon.model.score import NOMINAL, Score
from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.formatting import NOT_AVAILABLE, Row, Run, fit, format_percent, format_usd
from dfmon.tui.render.frame import Frame

_LABEL_WIDTH: Final = 31
_COVERAGE: Final = {
    "outlook_1h": "outlook of an hour before",
    "hedge_flow": "hedge trade of 15 minutes",
}


def score_rows(frame: Frame, width: int) -> list[Row]:
    """All lines of the sheet."""
    snapshot = frame.snapshot
    if snapshot is None:
        return [fit(((f" {frame.waiting_text()}", "dim"),), width)]
    score = snapshot.score
    since = f" since {score.since[:16]} UTC, model {snapshot.positions.model}" if score.since else " nothing yet"
    lines: list[tuple[Run, ...]] = [((since, "dim"),), ()]
    for title, rows in (
        ("DO RETURNS SHOW THE RE-HEDGING?", _tape_lines(score)),
        ("DO THE BANDS HOLD?", _coverage_lines(score)),
        ("DO TAKERS TRADE WHAT DEALERS MUST?", _taker_lines(score)),
    ):
        lines += [((f" {title}", "head"),), *(_line(label, text) for label, text in rows), ()]
    return [fit(line, width) for line in (*lines, *_reason_lines(snapshot, width))]


def _line(label: str, text: str) -> tuple[Run, ...]:
    style = "absent" if text.startswith(NOT_AVAILABLE) else "text"
    return (f"  {label:<{_LABEL_WIDTH}}", "dim"), (text, style)


def _number(value: float | None, digits: int = 2, *, plus: bool = False) -> str:
    return NOT_AVAILABLE if value is None else f"{value:{'+' if plus else ''}.{digits}f}"


def _tape_lines(score: Score) -> Iterator[tuple[str, str]]:
    tape = score.tape
    yield "variance, 5 min over 5 x 1 min", f"{_number(tape.variance_ratio)}  below 1: damped"
    interval = "" if tape.lo is None else f"  [{_number(tape.lo, 3, plus=True)}, {_number(tape.hi, 3, plus=True)}]"
    yield "minute taken back by the next", _number(tape.coefficient, 3, plus=True) + interval
    yield "psi, which it should be", _number(tape.modelled, 3, plus=True)
    agreed = format_percent(tape.agreement, 0, plus=False)
    yield "hours with the modelled sign", f"{agreed} of {tape.hours}  chance: 50%"


def _coverage_lines(score: Score) -> Iterator[tuple[str, str]]:
    for row in score.coverage:
        share = format_percent(row.share, 0, plus=False)
        yield (
            _COVERAGE.get(row.name, row.name),
            f"{share} of {row.cases}  nominal: {format_percent(NOMINAL, 0, plus=False)}",
        )
    if not score.coverage:
        yield "bands", NOT_AVAILABLE


def _taker_lines(score: Score) -> Iterator[tuple[str, str]]:
    taker = score.taker
    yield "net taker flow, hedge trade", f"{format_usd(taker.taker_usd)}, {format_usd(taker.hedge_usd)}"
    yield "correlation by quarters", f"{_number(taker.correlation, plus=True)} of {taker.quarters}"
    same = format_percent(taker.same_sign, 0, plus=False)
    yield "quarters with one sign", f"{same} of {taker.decided}  chance: 50%"


def _reason_lines(snapshot: FlowSnapshot, width: int) -> Iterator[tuple[Run, ...]]:
    """The reason for each number that is missing."""
    for sentence in snapshot.unavailable:
        if sentence.startswith("score."):
            for text in textwrap.wrap(sentence.removeprefix("score."), max(width - 3, 20)):
                yield ((f"  {text}", "dim"),)
