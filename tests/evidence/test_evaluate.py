"""Whole reports: simulated markets and histories, as text, JSON and a page; two runs give the same bytes."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest

from dfmon.evidence.evaluate import CONFIGURED, evaluate
from dfmon.evidence.findings import Report
from dfmon.evidence.history_series import minutes
from dfmon.evidence.ledger import Ledger
from dfmon.evidence.report_html import as_html
from dfmon.evidence.report_text import as_text
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import MINUTE
from dfmon.sim.feedback import PsiSpec, simulate_psi
from dfmon.store.history import History, HistoryReader


def run(source: str, folder: Path) -> Report:
    clock = count(1_800_000_000_000_000_000, 1_000_000_000)
    return evaluate(source, Ledger(folder / "ledger.jsonl", lambda: next(clock)), lambda _: None)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history whose market has feedback: a row a minute for 12 days, with a gap of an hour."""
    path = tmp_path_factory.mktemp("history") / "history.sqlite"
    market = simulate_psi(PsiSpec(psi_sd=0.1), [7], 12)[0]
    end_ns = int(market.ts_ns[-1])
    with History(path, clock=lambda: end_ns, flush_interval_s=None, retention_days=100.0) as writer:
        for n, (ts_ns, spot, psi) in enumerate(zip(market.ts_ns.tolist(), market.spot.tolist(), market.psi.tolist())):
            if not 6_000 <= n < 6_060:
                row = MetricRow.gap(ts_ns - 1)
                writer.append_row("BTC", msgspec.structs.replace(row, spot=spot, psi=psi))
            if n % 5_000 == 0:
                writer.flush()
        writer.flush()
    return path


@pytest.fixture(scope="module")
def report(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run(str(history), tmp_path_factory.mktemp("first"))


@pytest.mark.slow
def test_history_has_its_coefficient_and_its_gap(report: Report) -> None:
    first = next(f for f in report.findings if f.hypothesis == "P1" and not f.stratum)
    assert first.controlled is not None
    assert first.controlled.low < -1.0 < first.controlled.high < -0.3
    assert first.verdict == "too few blocks"
    assert first.left_out == "gross, forced, imbalance, implied_vol"
    assert report.skipped == ("BTC: 62 of 17,280 minutes have no spot or no psi",)


@pytest.mark.slow
def test_two_runs_are_equal_bytes(report: Report, history: Path, tmp_path: Path) -> None:
    again = run(str(history), tmp_path)
    assert as_text(report) == as_text(again)
    assert as_html(report) == as_html(again)
    assert msgspec.json.encode(report) == msgspec.json.encode(again)
    assert len((tmp_path / "ledger.jsonl").read_bytes().splitlines()) == 2


@pytest.mark.slow
def test_configured_history_is_read_like_its_file(report: Report, history: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", lambda: 1_800_000_000_000_000_000)
    found = evaluate(CONFIGURED, ledger, lambda _: None, lambda: HistoryReader(history))
    assert found.findings == report.findings
    assert found.digest == report.digest


@pytest.mark.slow
def test_page_is_whole_and_loads_nothing(report: Report) -> None:
    page = as_html(report)

    class Elements(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[tuple[str, dict[str, str | None]]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.append((tag, dict(attrs)))

    parser = Elements()
    parser.feed(page)
    tags = {tag for tag, _ in parser.found}
    assert {"svg", "table", "h1"} <= tags
    assert not tags & {"script", "link", "img", "iframe"}
    assert not any({"src", "href"} & attributes.keys() for _, attributes in parser.found)


@pytest.mark.slow
def test_simulated_market_answers_and_its_null_does_not(tmp_path: Path) -> None:
    report, null = run("sim:5:10", tmp_path), run("sim:5:10:null", tmp_path)
    found, nothing = (next(f.controlled for f in r.findings if f.hypothesis == "P1") for r in (report, null))
    assert found is not None
    assert nothing is not None
    assert found.low < -1.0 < found.high
    assert found.value < -0.5
    assert nothing.low < 0.0 < nothing.high
    assert (report.trials, null.trials) == (1, 2)
    shuffled = next(p for p in report.placebos if p.as_good is not None)
    assert shuffled.passes
    assert next(p for p in report.placebos if p.title == "psi with the opposite sign").passes


@pytest.mark.parametrize("source", ["sim:", "sim:x", "sim:1:1", "sim:1:9999", "sim:1:20:loud"])
def test_bad_simulated_source_is_one_sentence(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sim:SEED, sim:SEED:DAYS or sim:SEED:DAYS:null is expected"):
        run(source, tmp_path)


def test_short_history_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "short.sqlite"
    with History(path, clock=lambda: 0, flush_interval_s=None) as writer:
        writer.append_row("BTC", MetricRow.gap(1_800_000_000_000_000_000))
        writer.flush()
    with pytest.raises(UsageError, match=r"BTC: 0 minutes with spot and psi, 2,880 are needed"):
        run(str(path), tmp_path)


def test_last_row_of_a_minute_counts() -> None:
    ts_ns = np.array([0, 30, 61, 180]) * (MINUTE // 60)
    series = minutes(ts_ns, np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.1, 0.2, 0.3, 0.4]))
    assert series.psi.tolist() == pytest.approx([0.2, 0.3, np.nan, 0.4], nan_ok=True)
    assert np.exp(series.log_return).tolist() == pytest.approx([np.nan, 2.0, np.nan, np.nan], nan_ok=True)
