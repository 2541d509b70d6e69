"""Screens under a fixed clock, and their comparison with text files next to the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from dfmon.engine.hub import Request, Runtime, SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, State
from dfmon.tui.app import DfmonApp
from dfmon.tui.settings import ScreenSettings

from . import factory

ScreenCheck = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="write the screens of tests/tui/screens anew")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's terminal settings do not change the picture."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_COLOR_SYSTEM", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def check_screen(request: pytest.FixtureRequest) -> ScreenCheck:
    """Compares text with tests/tui/screens/<name>.txt; `--accept` writes the file instead."""

    def check(text: str, name: str) -> None:
        path = Path(__file__).parent / "screens" / f"{name}.txt"
        if request.config.getoption("--accept", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no {path.name}: run with --accept and look at it"
        assert text == path.read_text(encoding="utf-8")

    return check


class FakeClock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = factory.NOW + 400_000_000

    def __call__(self) -> int:
        return self.now_ns


class AppHarness:
    """An app on a fixed hub; its requests are in `requests`."""

    def __init__(
        self,
        snapshot: FlowSnapshot | None = None,
        mode: State = "live",
        runtime: Runtime | None = None,
        settings: ScreenSettings | None = None,
        history: bool = True,
    ) -> None:
        self.clock, self.requests = FakeClock(), list[Request]()
        self.hub = SnapshotHub(mode=mode)
        self.hub.runtime = runtime or Runtime(step_ms=9.1, frames_per_s=1_900.0, recorded_bytes=41_000_000)
        if snapshot is not None:
            self.hub.publish(snapshot)
        self.app = DfmonApp(
            self.hub, settings or ScreenSettings(("BTC", "ETH")), self.requests.append, clock=self.clock
        )
        if history:
            self.app._seed_history("BTC", factory.history())

    async def text(self, pilot: Pilot[None]) -> str:
        await pilot.pause()
        self.app.draw()
        await pilot.pause()
        assert self.app._main.faults == {}
        return self.app.screen_text()
