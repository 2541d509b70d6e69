"""The frame before the engine is imported: painted by little, left clean by every way out, taken over by the app."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from dfmon.tui import first_frame
from dfmon.tui.diff_driver import DiffingDriver, TerminalDiff

from .test_pty import Terminal

START = """
import sys
sys.path[:0] = [{root!r}]
from dfmon.cli.main import run
from dfmon.tui.first_frame import first_frame
assert not {{"numpy", "textual", "rich", "asyncio", "dfmon.config"}} & set(sys.modules), "imported too early"
with first_frame("dfmon demo"):
    {body}
"""
ROOT = str(first_frame.__file__).rsplit("/dfmon/", 1)[0]


@pytest.fixture
def start() -> Iterator[Callable[[str], Terminal]]:
    opened: list[Terminal] = []

    def make(body: str) -> Terminal:
        opened.append(Terminal(command=("-c", START.format(root=ROOT, body=body))))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.close()


def shown(terminal: Terminal) -> Terminal:
    terminal.wait_until(lambda: terminal.is_showing("ctrl+c quit"))
    first, second = (line.rstrip() for line in terminal.screen.display[:2])
    assert (first.split(), second.split()) == (["dfmon", "demo", "starting", "STARTING"], ["no", "verdict", "yet"])
    return terminal


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_while_starting_leaves_a_clean_terminal(
    number: signal.Signals, start: Callable[[str], Terminal]
) -> None:
    terminal = shown(start("import threading; threading.Event().wait()"))
    terminal.process.send_signal(number)
    terminal.wait_until(terminal.has_exited)
    assert terminal.process.returncode in (-number, 1)
    terminal.check_restored()


@pytest.mark.slow
def test_an_error_while_starting_is_on_the_screen_of_the_shell(start: Callable[[str], Terminal]) -> None:
    terminal = start("input(); raise SystemExit('dfmon: no such file')")
    os.write(shown(terminal).master, b"\n")
    terminal.wait_until(terminal.has_exited)
    terminal.check_restored()
    assert b"no such file" in terminal.written.rpartition(b"\x1b[?1049l")[2]


def test_the_app_takes_the_terminal_over_without_leaving_it(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(first_frame, "_shown", True)
    monkeypatch.setattr("textual.drivers.linux_driver.LinuxDriver.write", lambda self, data: written.append(data))
    driver = DiffingDriver.__new__(DiffingDriver)
    driver.diff = TerminalDiff()
    driver.write("\x1b[?1049h")
    driver.write("\x1b[1;1Hhello")
    driver.write("\x1b[?1049h")
    driver.write("\x1b[?1049l")
    first, entered, left = written
    assert "hello" in first
    assert "\x1b[?1049" not in first
    assert entered.startswith("\x1b[?1049h")  # after a suspension
    assert "\x1b[2J\x1b[?1049l" in left
    first_frame.leave()  # not shown any more: nothing is written
    assert not first_frame.take_over()


def test_without_a_terminal_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    with first_frame.first_frame("dfmon"):
        pass
    assert capfd.readouterr() == ("", "")
