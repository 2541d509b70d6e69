"""The screen on a real terminal, for test_pty: a fixed market that moves only on a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from dfmon.engine.hub import Runtime, SnapshotHub  # noqa: E402
from dfmon.tui.settings import ScreenSettings  # noqa: E402
from dfmon.tui.terminal import check_terminal  # noqa: E402
from tests.tui import factory  # noqa: E402


def block_forever(where: str) -> None:
    """Blocks for ever where a test sets HANGS."""
    if os.environ.get("HANGS") == where:
        os.write(2, b"hangs")
        threading.Event().wait()


class QuickSettings(ScreenSettings):
    """Settings with more frames a second than are allowed: a test waits for some of them."""

    @property
    def frame_interval_s(self) -> float:
        return 0.05


def main() -> int:
    problem = check_terminal()
    if problem is not None:
        print(problem, file=sys.stderr)
        return 2
    assert "textual" not in sys.modules
    from dfmon.tui import job_control

    if "UNDER_A_SHELL" in os.environ:  # this process leads its session
        job_control.stop_wrappers = lambda: True
    from dfmon.tui.app import DfmonApp, run_screen

    hub = SnapshotHub()
    hub.runtime = Runtime(step_ms=9.1)
    states = [factory.snapshot(), factory.one_cell_changed(factory.snapshot())]

    def publish(signum: int, _frame: object) -> None:
        if signum == signal.SIGUSR1:
            states.reverse()
        hub.publish(states[0])

    signal.signal(signal.SIGUSR1, publish)
    signal.signal(signal.SIGUSR2, publish)
    hub.publish(states[0])
    settings = QuickSettings(("BTC",), forced_icons="FORCED_ICONS" in os.environ, mouse="NO_MOUSE" not in os.environ)
    app = DfmonApp(hub, settings, lambda request: block_forever("drawing"), clock=lambda: factory.NOW + 400_000_000)
    code = run_screen(app)
    block_forever("ending")
    return code


if __name__ == "__main__":
    sys.exit(main())
