"""`dfmon snapshot LOCATOR URL`: the table that the REST service of another dfmon computes."""

from __future__ import annotations

import json

import httpx
import pytest

from dfmon.cli import main
from dfmon.model.snapshot import FlowSnapshot
from dfmon.sinks.rest.settings import RestSettings
from tests.sinks.rest.served_thread import served_in_thread

pytestmark = pytest.mark.slow


def test_screens_that_need_options_come_from_the_service(
    computed: FlowSnapshot, capfd: pytest.CaptureFixture[str]
) -> None:
    with served_in_thread(computed, RestSettings(rate=1e5)) as service:
        for screen in ("forward", "settlement", "vol", "smile", "what-if?spot=-4", "explain?name=ngi", "heatmap"):
            assert main.run(["snapshot", f"dfmon://BTC/{screen}", service.url, "--json"]) == 0
            expected = httpx.get(f"{service.url}/v1/view/{screen}", trust_env=False).json()
            assert json.loads(capfd.readouterr().out) == expected
        assert main.run(["snapshot", "dfmon://BTC/smile?expiry=1JAN31", service.url]) == 1
        assert "no expiry 1JAN31, allowed: " in capfd.readouterr().err
