"""A report as text for terminals and files."""

from __future__ import annotations

from collections.abc import Iterator

from dfmon.evidence.findings import Finding, Forecasts, Placebo, Report
from dfmon.evidence.hypotheses import HYPOTHESES
from dfmon.evidence.regression import Estimate


def as_text(report: Report) -> str:
    """The page as lines of at most 120 columns."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"evidence of {report.source}, sha256 {report.digest[:16]}"
    for name, value in report.sample:
        yield f"  {name}: {value}"
    yield f"  hypotheses {report.hypotheses[:16]}, registered {report.registered}; trial {report.trials} of this ledger"
    for sentence in report.skipped:
        yield f"  left out: {sentence}"
    if report.findings:
        yield "\nestimates, nulls first, the worst stratum first (95 % interval; MDE: least effect at power 80 %)"
        for finding in report.findings:
            yield from _finding(finding)
    if report.placebos:
        yield "\nplacebos: a psi that must find nothing"
        for placebo in report.placebos:
            yield f"  {'fails as it should' if placebo.passes else 'NO WORSE THAN PSI':<19}{_placebo(placebo)}"
    if report.forecasts:
        yield "\nforecasts"
        for forecasts in report.forecasts:
            yield from _forecasts(forecasts)
    yield "\nhypotheses"
    for hypothesis in HYPOTHESES:
        yield f"  {hypothesis.name:<9}{hypothesis.claim} ({hypothesis.predicted})"


def _finding(finding: Finding) -> Iterator[str]:
    indent = "    " if finding.stratum else "  "
    name = finding.stratum or f"{finding.underlying} {finding.hypothesis}: {finding.title}"
    predicted = "" if finding.predicted is None or finding.stratum else f", theory {finding.predicted:g}"
    if not finding.stratum:
        yield ""
    if finding.controlled is None:
        yield f"{indent}{name}: not estimable"
        return
    if finding.stratum:
        yield f"{indent}{name:<32}{estimate_text(finding.controlled)}"
        return
    yield f"{indent}{name}{predicted}"
    yield f"{indent}  {estimate_text(finding.controlled)}"
    if finding.uncontrolled is not None:
        bare = finding.uncontrolled
        yield f"{indent}  (without controls {bare.value:+.3f}, t {bare.t:+.1f}; not a result)"
    if finding.left_out:
        yield f"{indent}  controls that this source does not have: {finding.left_out}"


def estimate_text(found: Estimate) -> str:
    """Estimate, interval, least detectable effect, blocks and verdict."""
    return (
        f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}] t {found.t:+.1f}, MDE {found.mde:.3f}, "
        f"{found.rows:,} rows, {found.days} days, {found.weeks} weeks: {found.verdict}"
    )


def _placebo(placebo: Placebo) -> str:
    head = f"{placebo.underlying} {placebo.title}"
    if placebo.as_good is not None:
        return f"{head}: as good as dfmon's in {100.0 * placebo.as_good:.1f} %"
    if placebo.estimate is None:
        return f"{head}: not estimable"
    return f"{head}: {placebo.estimate.value:+.3f} [{placebo.estimate.low:+.3f}, {placebo.estimate.high:+.3f}]"


def _forecasts(forecasts: Forecasts) -> Iterator[str]:
    yield f"  {forecasts.underlying} {forecasts.title}"
    stated = f"said {forecasts.probability:.3f}, came {forecasts.frequency:.3f}"
    yield f"    {stated}, difference [{forecasts.low:+.3f}, {forecasts.high:+.3f}]: {forecasts.verdict}"
    yield (
        f"    {forecasts.forecasts:,} forecasts, Brier score {forecasts.brier:.4f}, "
        f"{forecasts.brier_base:.4f} of the mean frequency"
    )
    cells = ", ".join(f"{b.probability:.2f}: {b.frequency:.2f} ({b.forecasts})" for b in forecasts.bins)
    yield f"    said: came (forecasts) {cells}"
