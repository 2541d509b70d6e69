"""A sentence for each number of the score that is missing."""

from __future__ import annotations

from collections.abc import Iterator

from dfmon.core.scenario.live_score import MIN_CASES, MIN_MINUTES
from dfmon.model.score import Score

_CASES = {"outlook_1h": "hours with a band", "hedge_flow": "quarters of an hour with a band"}


def missing_score_reasons(score: Score) -> Iterator[str]:
    """A sentence for each null below `score`."""
    tape, taker = score.tape, score.taker
    if tape.minutes < MIN_MINUTES:
        yield f"score.tape: {tape.minutes} of {MIN_MINUTES} minutes since midnight"
    else:
        if tape.coefficient is None:
            yield "score.tape.coefficient, score.tape.lo, score.tape.hi: spot stood still, or no two minutes in a row"
        if tape.variance_ratio is None:
            yield "score.tape.variance_ratio: spot stood still, or no five minutes in a row"
        if tape.modelled is None:
            yield "score.tape.modelled: psi was unknown"
        if tape.agreement is None:
            yield f"score.tape.agreement: {tape.hours} of {MIN_CASES} hours since midnight"
    for at, row in enumerate(score.coverage):
        if row.share is None:
            yield f"score.coverage.{at}.share: {row.cases} of {MIN_CASES} {_CASES[row.name]} since midnight"
    if taker.quarters < MIN_CASES:
        yield f"score.taker: {taker.quarters} of {MIN_CASES} quarters of an hour with taker flow since midnight"
    else:
        if taker.correlation is None:
            yield "score.taker.correlation: one of the flows is constant"
        if taker.same_sign is None:
            yield f"score.taker.same_sign: {taker.decided} of {MIN_CASES} quarters whose band leaves out 0"
