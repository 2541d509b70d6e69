"""A report as one HTML page that loads nothing: text, tables and plots in SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from dfmon.evidence.findings import Finding, Forecasts, Report
from dfmon.evidence.hypotheses import HYPOTHESES
from dfmon.evidence.regression import Estimate

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #17212b;
       background: #fbfcfd }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; font-size: .86rem } td, th { padding: .2rem .6rem; text-align: right }
td:first-child, th:first-child { text-align: left } tr { border-bottom: 1px solid #dde3e8 }
small, .small { color: #66727e; font-size: .8rem } code { font-size: .85rem }
svg text { font: 11px system-ui, sans-serif; fill: #44505c }
"""
_WIDTH, _ROW, _LEFT, _PLOT = 860, 22, 330, 480
_SQUARE: Final = 240
_BARS: Final = "Bars are 95 % intervals by the wider of the errors by day and by week; the dashed line is theory."


def as_html(report: Report) -> str:
    """The page. Equal reports give equal bytes."""
    title = f"Evidence of {escape(report.source)}"
    summary = (
        ("source", report.digest),
        ("hypotheses", f"{report.hypotheses}, {report.registered}"),
        ("trials in this ledger", str(report.trials)),
    )
    parts = [
        "<!doctype html>", '<html lang="en"><meta charset="utf-8">', f"<title>{title}</title>",
        f"<style>{_STYLE}</style>", f"<h1>{title}</h1>", _table(("sample", ""), [*report.sample, *summary]),
        *_skipped(report.skipped), *_findings(report.findings), *_placebos(report), *map(_forecasts, report.forecasts),
        "<h2>Hypotheses</h2>",
        _table(("", "claim", "theory"), ((h.name, h.claim, h.predicted) for h in HYPOTHESES)), "</html>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _skipped(sentences: Sequence[str]) -> Iterable[str]:
    if sentences:
        yield "<h2>Left out</h2><ul>" + "".join(f"<li>{escape(s)}</li>" for s in sentences) + "</ul>"


def _findings(findings: Sequence[Finding]) -> Iterable[str]:
    if not findings:
        return
    yield "<h2>Estimates: nulls first, the worst stratum first</h2>"
    yield f'<p class="small">{_BARS}</p>'
    heads = [finding for finding in findings if not finding.stratum]
    for head in heads:
        rows = [f for f in findings if (f.title, f.underlying) == (head.title, head.underlying)]
        yield f"<h3>{escape(f'{head.underlying} {head.hypothesis}: {head.title}')}</h3>"
        known = [row for row in rows if row.controlled is not None]
        if known:
            yield _intervals(known, head.predicted)
        yield _table(
            ("", "estimate", "95 % interval", "t", "MDE", "rows", "days", "weeks", "verdict", "without controls"),
            (_cells(row) for row in rows),
        )
        if head.left_out:
            yield f"<small>controls that this source does not have: {escape(head.left_out)}</small>"


def _cells(finding: Finding) -> tuple[str, ...]:
    found, name = finding.controlled, finding.stratum or "all"
    if found is None:
        return (name, *[""] * 7, finding.verdict, "")
    bare = finding.uncontrolled
    uncontrolled = "" if bare is None else f"({bare.value:+.3f}, t {bare.t:+.1f})"
    interval = f"{found.low:+.3f} .. {found.high:+.3f}"
    numbers = (f"{found.value:+.3f}", interval, f"{found.t:+.1f}", f"{found.mde:.3f}")
    return (name, *numbers, f"{found.rows:,}", str(found.days), str(found.weeks), found.verdict, uncontrolled)


def _intervals(findings: Sequence[Finding], predicted: float | None) -> str:
    """A bar for each estimate, on one scale, with 0 and theory as lines."""
    estimates: list[Estimate] = [f.controlled for f in findings if f.controlled is not None]
    marks = [0.0] if predicted is None else [0.0, predicted]
    low = min([e.low for e in estimates] + marks)
    high = max([e.high for e in estimates] + marks)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return _LEFT + (value - low) / span * _PLOT

    height = _ROW * len(estimates) + 26
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img">']
    for mark in marks:
        dash = ' stroke-dasharray="4 3"' if mark else ""
        parts.append(f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="0" y2="{height - 18}" stroke="#8a97a5"{dash}/>')
        parts.append(f'<text x="{x(mark):.1f}" y="{height - 5}" text-anchor="middle">{mark:g}</text>')
    for n, (finding, found) in enumerate(zip(findings, estimates)):
        y = _ROW * n + 12
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(finding.stratum or "all")}</text>')
        bar = f'x1="{x(found.low):.1f}" x2="{x(found.high):.1f}" y1="{y}" y2="{y}"'
        parts.append(f'<line {bar} stroke="#2f6690" stroke-width="3"/>')
        parts.append(f'<circle cx="{x(found.value):.1f}" cy="{y}" r="4" fill="#17212b"/>')
    return "".join([*parts, "</svg>"])


def _placebos(report: Report) -> Iterable[str]:
    if not report.placebos:
        return
    yield "<h2>Placebos: a psi that must find nothing</h2>"
    rows = []
    for placebo in report.placebos:
        found = placebo.estimate
        value = "" if found is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        as_good = "" if placebo.as_good is None else f"{100.0 * placebo.as_good:.1f} %"
        verdict = "fails as it should" if placebo.passes else "no worse than psi"
        rows.append((f"{placebo.underlying} {placebo.title}", value, as_good, verdict))
    yield _table(("placebo", "estimate", "draws as good as dfmon", ""), rows)


def _forecasts(forecasts: Forecasts) -> str:
    """A reliability diagram and its figures."""
    top = max([b.probability for b in forecasts.bins] + [b.frequency for b in forecasts.bins] + [1e-9])

    def at(value: float) -> float:
        return value / top * (_SQUARE - 30)

    dots = "".join(
        f'<circle cx="{25 + at(b.probability):.1f}" cy="{_SQUARE - 25 - at(b.frequency):.1f}" r="4" fill="#2f6690"/>'
        for b in forecasts.bins
    )
    end = at(top)
    plot = (
        f'<svg viewBox="0 0 {_SQUARE} {_SQUARE}" width="{_SQUARE}" height="{_SQUARE}" role="img">'
        f'<line x1="25" y1="{_SQUARE - 25}" x2="{25 + end:.1f}" y2="{_SQUARE - 25 - end:.1f}" stroke="#8a97a5"/>{dots}'
        f'<text x="{_SQUARE / 2}" y="{_SQUARE - 6}" text-anchor="middle">said, up to {top:.2f}</text></svg>'
    )
    figures = (
        ("forecasts", f"{forecasts.forecasts:,}"),
        ("said", f"{forecasts.probability:.3f}"),
        ("came", f"{forecasts.frequency:.3f}"),
        ("difference, 95 %", f"{forecasts.low:+.3f} .. {forecasts.high:+.3f}"),
        ("Brier score", f"{forecasts.brier:.4f}"),
        ("of the mean frequency", f"{forecasts.brier_base:.4f}"),
        ("verdict", forecasts.verdict),
    )
    return f"<h2>{escape(f'{forecasts.underlying} {forecasts.title}')}</h2>{plot}{_table(('', ''), figures)}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
