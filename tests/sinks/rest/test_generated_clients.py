"""Clients made from the OpenAPI document, a browser on `/docs`, and schemathesis over all routes."""

from __future__ import annotations

import gc
import importlib
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.sinks.rest.app import build_app
from dfmon.sinks.rest.context import RestContext
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings
from tests.sinks.rest.served_thread import served_in_thread

pytestmark = pytest.mark.slow

EXAMPLES = 12  # of each route
REFUSING = {"/v1/history", "/v1/view/{screen}", "/v1/whatif"}  # also values that are well-formed one by one
PATHS = sorted(set(build_app(RestContext(SnapshotHub()), "", RestSettings()).openapi()["paths"]) - {"/v1/stream"})


def history(_: str, since_ns: int, names: Sequence[str], __: int) -> Mapping[str, Any]:
    return {name: np.array([since_ns], np.int64 if name == "ts_ns" else np.float64) for name in ("ts_ns", *names)}


@pytest.fixture(autouse=True)
def _sessions_of_schemathesis_are_collected_here() -> Iterator[None]:
    """It leaves the session of each call to the collector, whose warning would fail a later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def served(computed: FlowSnapshot) -> Iterator[RestService]:
    with served_in_thread(computed, RestSettings(rate=1e5), history) as service:
        yield service


@pytest.fixture(scope="module")
def document(served: RestService) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{served.url}/openapi.json", trust_env=False, verify=False).json()
    return found


@pytest.mark.parametrize("path", PATHS)
def test_each_route_keeps_what_its_document_promises(served: RestService, document: dict[str, Any], path: str) -> None:
    import schemathesis  # takes a second to load, which collecting need not wait for
    from schemathesis.checks import CHECKS

    operation = schemathesis.openapi.from_dict(document)[path]["GET"]
    omitted = [CHECKS.get_one("positive_data_acceptance")] if path in REFUSING else []

    @given(case=operation.as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def keeps(case: Any) -> None:
        case.call_and_validate(base_url=served.url, excluded_checks=omitted)

    keeps()


def test_openapi_python_client_reads_a_snapshot(
    served: RestService,
    document: dict[str, Any],
    computed: FlowSnapshot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    config = tmp_path / "config.yml"
    config.write_text("post_hooks: []\nproject_name_override: made\npackage_name_override: made_client\n")
    command = ["openapi_python_client", "generate", "--path", "openapi.json", "--config", str(config), "--meta", "none"]
    made = subprocess.run(
        [sys.executable, "-m", *command, "--output-path", "made_client", "--fail-on-warning"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(str(tmp_path))
    client = importlib.import_module("made_client").Client(base_url=served.url)
    read = importlib.import_module("made_client.api.default.snapshot").sync(client=client, currency="BTC")
    assert (read.underlying, read.spot) == (computed.underlying, computed.spot)
    assert read.metrics.ngi.value == pytest.approx(computed.metrics.ngi.value)
    assert read.metrics.ngi.unit == "USD/+1%"
    changed = importlib.import_module("made_client.api.default.what_if").sync(client=client, spot=2.0)
    assert [row.name for row in changed.rows][:2] == ["ngi", "vss"]


def test_a_browser_without_a_network_draws_the_documentation(served: RestService, tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("Debian's chromium is not installed")
    drawn = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=20000",
            "--dump-dom", f"{served.url}/docs",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    assert 'class="opblock-summary-path"' in drawn
    for path in ("/v1/snapshot", "/v1/stream", "/v1/whatif"):
        assert f'data-path="{path}"' in drawn
