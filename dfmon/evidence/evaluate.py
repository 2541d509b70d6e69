"""Evaluation of a source: recorded boards, a history or a simulated market. Hypotheses are registered first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from dfmon.evidence.band_forecasts import band_forecasts
from dfmon.evidence.board_findings import board_findings, flip_forecasts
from dfmon.evidence.board_panel import BoardPanel, read_panels
from dfmon.evidence.findings import Finding, Forecasts, Placebo, Report, ordered
from dfmon.evidence.history_series import is_history, long_series
from dfmon.evidence.hypotheses import registry_digest
from dfmon.evidence.ledger import Ledger
from dfmon.evidence.minute_findings import minute_findings, placebos
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.evidence.recording_series import read_recording
from dfmon.evidence.regression import INSUFFICIENT, MIN_WEEKS
from dfmon.model.errors import UsageError
from dfmon.model.units import iso, sanitize
from dfmon.store.history import HistoryReader
from dfmon.store.history_interface import HistorySource
from dfmon.store.replayer import is_recording

_SIMULATED: Final = re.compile(r"sim:(\d+)(?::(\d+))?(?::(null))?")
_DEFAULT_DAYS: Final = 150
MAX_DAYS: Final = 400
CONFIGURED: Final = "history"
"""The source that is the history of the configuration, embedded or in ClickHouse."""
Progress = Callable[[str], None]


class _Parts(NamedTuple):
    """Content of a report before it is put in order."""

    digest: str
    sample: list[tuple[str, str]]
    skipped: list[str]
    findings: list[Finding]
    placebos: list[Placebo]
    forecasts: list[Forecasts]


def evaluate(
    source: str, ledger: Ledger, progress: Progress, open_history: Callable[[], HistorySource] | None = None
) -> Report:
    """The report of a source; `open_history` opens that which is named "history".

    Raises UsageError for a source that cannot be evaluated.
    """
    hypotheses = registry_digest()
    registered = ledger.register(hypotheses)
    parts = _evaluate(source, progress, open_history)
    report = Report(
        source=sanitize(source if source.startswith("sim:") else Path(source).name),
        digest=parts.digest,
        sample=tuple(parts.sample),
        skipped=tuple(parts.skipped),
        findings=ordered(parts.findings),
        placebos=tuple(parts.placebos),
        forecasts=tuple(parts.forecasts),
        hypotheses=hypotheses,
        registered=registered,
        trials=ledger.trials(hypotheses, parts.digest),
    )
    result = hashlib.sha256(msgspec.json.encode(report)).hexdigest()
    ledger.enter_run(hypotheses, report.source, parts.digest, result)
    return report


def _evaluate(source: str, progress: Progress, open_history: Callable[[], HistorySource] | None) -> _Parts:
    if source.startswith("sim:"):
        return _simulated(source, progress)
    path = Path(source)
    if source == CONFIGURED and open_history is not None and not path.exists():
        with open_history() as reader:
            return _history(reader, "the configured history", progress)
    if is_recording(path):
        return _minutes(*read_recording(path, progress), progress)
    if is_history(path):
        with HistoryReader(path) as reader:
            return _history(reader, str(path), progress)
    return _boards(path, progress)


def _history(reader: HistorySource, shown: str, progress: Progress) -> _Parts:
    """The minutes of a history, and the bands that it scored while it ran."""
    found, skipped = long_series(reader, shown)
    parts = _minutes(found, skipped, progress)
    return parts._replace(forecasts=[f for name in found for f in band_forecasts(reader, name)])


def _simulated(source: str, progress: Progress) -> _Parts:
    """`sim:SEED[:DAYS][:null]`: a market with an option book."""
    from dfmon.evidence.simulated import minute_series
    from dfmon.sim.feedback import BookSpec, simulate_book

    match = _SIMULATED.fullmatch(source)
    days = int(match[2] or _DEFAULT_DAYS) if match else 0
    if match is None or not 2 <= days <= MAX_DAYS:
        raise UsageError(
            f"source: found {sanitize(source, 40)!r}, sim:SEED, sim:SEED:DAYS or sim:SEED:DAYS:null is expected, with "
            f"2 to {MAX_DAYS} days"
        )
    progress("simulating")
    path = simulate_book(BookSpec(response=0.0 if match[3] else 1.0), int(match[1]), days)
    return _minutes({"SIM": minute_series(path)}, [], progress)


def _minutes(found: dict[str, MinuteSeries], skipped: list[str], progress: Progress) -> _Parts:
    findings: list[Finding] = []
    tests: list[Placebo] = []
    sample: list[tuple[str, str]] = []
    digest = hashlib.sha256()
    for name, series in found.items():
        digest.update(series.ts_ns.tobytes() + series.log_return.tobytes() + series.psi.tobytes())
        known = np.isfinite(series.log_return) & np.isfinite(series.psi)
        weeks = np.unique(series.day[known] // 7).size
        sample.append((name, f"{_span(series.ts_ns)}, {np.count_nonzero(known):,} minutes, {_blocks(weeks)}"))
        if missing := np.count_nonzero(~known):
            skipped.append(f"{name}: {missing:,} of {known.size:,} minutes have no spot or no psi")
        findings += minute_findings(series, name, partial(progress, name))
        other = next((s.psi for n, s in found.items() if n != name and s.psi.size == series.psi.size), None)
        tests += placebos(series, name, other, partial(progress, name))
    return _Parts(digest.hexdigest(), sample, skipped, findings, tests, [])


def _boards(path: Path, progress: Progress) -> _Parts:
    panels, skipped, digest = read_panels(path, lambda number: progress(f"board {number}"))
    if not panels:
        raise UsageError(f"{path}: one board is no sample: two boards of an underlying are needed at least")
    sample = [_board_sample(panel) for panel in panels]
    for panel in panels:
        used = np.isfinite(panel.hours[:-1])
        if not used.all():
            skipped.append(
                f"{panel.underlying}: {np.count_nonzero(~used)} boards whose next one is not 4 to 9 hours later"
            )
    findings = [finding for panel in panels for finding in board_findings(panel)]
    forecasts = [f for f in map(flip_forecasts, panels) if f is not None]
    return _Parts(digest, sample, skipped, findings, [], forecasts)


def _board_sample(panel: BoardPanel) -> tuple[str, str]:
    weeks = np.unique(panel.day // 7).size
    return panel.underlying, f"{panel.ts_ns.size} boards, {_span(panel.ts_ns)}, {_blocks(weeks)}"


def _blocks(weeks: int) -> str:
    return f"{weeks} weekly blocks" + (f", {INSUFFICIENT} ({MIN_WEEKS} are needed)" if weeks < MIN_WEEKS else "")


def _span(ts_ns: Iterable[int]) -> str:
    times = np.asarray(ts_ns)
    return f"{iso(int(times[0]))[:16]} to {iso(int(times[-1]))[:16]}"
