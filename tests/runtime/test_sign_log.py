"""Log of the sign of the positions: once at the first undecided measurement, then at each change."""

from __future__ import annotations

import logging

import msgspec
import pytest

from dfmon.model.snapshot import FlowSnapshot
from dfmon.runtime.sign_log import SignLog
from tests.chains import frame, shot


def with_sign(base: FlowSnapshot, decided: bool | None) -> FlowSnapshot:
    positions = msgspec.structs.replace(base.positions, decided=decided, opening_slope=0.01, opening_slope_error=0.02)
    return msgspec.structs.replace(base, positions=positions)


def test_only_changes_and_the_first_undecided_sign_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    base, listener = shot(frame()), SignLog()
    with caplog.at_level(logging.INFO, "dfmon"):
        for decided in (None, True, False, False, None, False, True, True):
            listener.on_snapshot(with_sign(base, decided))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.records[0].getMessage() == (
        "BTC: sign undecided, B 0.010 +- 0.020: open interest tells too little of who opens and who closes"
    )
