"""Findings of an evaluation, and their order: nulls first, the worst stratum first."""

from __future__ import annotations

import math

import msgspec

from dfmon.evidence.regression import INSUFFICIENT, Estimate

SCHEMA = 1


class Finding(msgspec.Struct, frozen=True):
    """A coefficient with and without controls; `sign` is that which speaks for dfmon, `predicted` the size if theory
    gives one.
    """

    hypothesis: str
    underlying: str
    title: str
    stratum: str
    sign: int
    predicted: float | None
    controlled: Estimate | None
    uncontrolled: Estimate | None
    left_out: str = ""
    """Controls that the source does not have."""

    @property
    def verdict(self) -> str:
        """Of the controlled estimate."""
        return "not estimable" if self.controlled is None else self.controlled.verdict

    @property
    def favour(self) -> float:
        """The t that speaks for dfmon: the smaller, the worse."""
        return -math.inf if self.controlled is None else self.sign * self.controlled.t


class Bin(msgspec.Struct, frozen=True):
    """Forecasts of about the same probability, and how often the event came."""

    forecasts: int
    probability: float
    frequency: float


class Forecasts(msgspec.Struct, frozen=True):
    """Probabilities against what followed. `brier_base` is the score of the mean frequency, known afterwards."""

    underlying: str
    title: str
    forecasts: int
    probability: float
    frequency: float
    low: float
    """The 95 % interval of frequency less probability, by days."""
    high: float
    brier: float
    brier_base: float
    bins: tuple[Bin, ...]
    weeks: int = 0

    @property
    def verdict(self) -> str:
        """A reliable forecast has a difference whose interval holds 0."""
        agrees = "agrees" if self.low <= 0.0 <= self.high else "differs"
        return f"{agrees} ({INSUFFICIENT})" if self.weeks < 20 else agrees


class Placebo(msgspec.Struct, frozen=True):
    """The primary endpoint with a psi that must find nothing. `as_good` is the share of draws whose |t| is no smaller
    than that of dfmon; `passes` where the placebo fails as it should.
    """

    underlying: str
    title: str
    estimate: Estimate | None
    as_good: float | None
    passes: bool


class Report(msgspec.Struct, frozen=True):
    """All of one evaluation. Two runs on the same source give the same bytes."""

    source: str
    digest: str
    sample: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]
    findings: tuple[Finding, ...]
    placebos: tuple[Placebo, ...]
    forecasts: tuple[Forecasts, ...]
    hypotheses: str
    registered: str
    trials: int
    schema: int = SCHEMA


def ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Overall findings, nulls and failures first; each followed by its strata, the worst first."""
    overall = sorted((f for f in findings if not f.stratum), key=_rank)
    strata = sorted((f for f in findings if f.stratum), key=lambda f: (f.favour, f.stratum))
    return tuple(
        row
        for head in overall
        for row in (head, *(s for s in strata if (s.title, s.underlying) == (head.title, head.underlying)))
    )


def _rank(finding: Finding) -> tuple[bool, float, str, str]:
    """Those whose interval holds 0 first, then by what speaks for dfmon."""
    found = finding.controlled is not None and finding.controlled.rejects_zero
    return found, finding.favour, finding.title, finding.underlying
