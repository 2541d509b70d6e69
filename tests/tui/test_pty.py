"""On a real terminal: every way out leaves it as it was, and a changed cell costs a few hundred bytes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyte
import pytest

CHILD = Path(__file__).with_name("pty_child.py")
TIMEOUT_S = 60.0

pytestmark = pytest.mark.slow


class Terminal:
    """A pseudo terminal with the screen on it, and everything that was written to it."""

    def __init__(
        self,
        width: int = 80,
        height: int = 24,
        stderr: Path | None = None,
        command: Sequence[str] = (str(CHILD),),
        **env: str,
    ) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.initial_attributes = termios.tcgetattr(self.slave)
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        base = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLORTERM", "COLUMNS", "LINES"}}
        errors = self.slave if stderr is None else os.open(stderr, os.O_WRONLY | os.O_CREAT)
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=self.slave,
            stdout=self.slave,
            stderr=errors,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**base, "TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none", **env},
        )
        if errors != self.slave:
            os.close(errors)

    def read(self, timeout: float) -> int:
        """Bytes that arrive within `timeout`; returns after the first piece."""
        if not select.select([self.master], [], [], timeout)[0]:
            return 0
        data = os.read(self.master, 65536)
        self.written += data
        self._stream.feed(data)
        return len(data)

    def wait_until(self, done: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        end = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end, "\n".join(self.screen.display)
            self.read(0.05)

    def is_showing(self, text: str) -> bool:
        return any(text in line for line in self.screen.display)

    def settle(self, idle_s: float = 0.2) -> int:
        """Bytes written until nothing was for a while (longer than two frames) and no thread waits for a core."""
        total, end = 0, time.monotonic() + TIMEOUT_S
        while (count := self.read(idle_s)) or "R" in self.thread_states():
            total += count
            assert time.monotonic() < end, f"the screen never comes to rest: {self.written[-200:]!r}"
        return total

    def thread_states(self) -> list[str]:
        """The letters of their stat files."""
        stats = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return [stat.read_text().rpartition(")")[2].split()[0] for stat in stats]

    def has_exited(self) -> bool:
        return self.process.poll() is not None

    def check_restored(self) -> None:
        while self.read(0.05):
            pass
        assert self.written.rfind(b"\x1b[?1049l") > self.written.rfind(b"\x1b[?1049h")
        for shown in self.written.split(b"\x1b[?1049l")[:-1]:  # tmux brings rows back after a change of size
            assert b"\x1b[?1049h" in shown, "what is cleared is not the shell's"
            assert shown.endswith(b"\x1b[2J")
        assert self.written.rfind(b"\x1b[?25h") > self.written.rfind(b"\x1b[?25l")
        assert termios.tcgetattr(self.slave)[:4] == self.initial_attributes[:4]

    def close(self) -> None:
        if not self.has_exited():
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def make(**options: Any) -> Terminal:
        opened.append(Terminal(**options))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.close()


def _start(make: Callable[..., Terminal], **env: str) -> Terminal:
    terminal = make(**env)
    terminal.wait_until(lambda: terminal.is_showing("SQUEEZE") and terminal.is_showing("quit"))
    terminal.settle()
    return terminal


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x03", 130)], ids=["q", "ctrl-c"])
def test_keys_leave_a_clean_terminal(key: bytes, code: int, open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal)
    os.write(terminal.master, key)
    terminal.wait_until(terminal.has_exited)
    assert terminal.process.returncode == code
    terminal.check_restored()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda n: n.name)
def test_signals_leave_a_clean_terminal(signum: signal.Signals, open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal)
    terminal.process.send_signal(signum)
    terminal.wait_until(terminal.has_exited)
    assert terminal.process.returncode == 128 + signum
    terminal.check_restored()


def test_a_stuck_terminal_is_left_all_the_same(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal)
    termios.tcflow(terminal.slave, termios.TCOOFF)
    terminal.process.send_signal(signal.SIGUSR1)
    terminal.settle()
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(TIMEOUT_S) == 143
    assert termios.tcgetattr(terminal.slave)[:4] == terminal.initial_attributes[:4]
    termios.tcflow(terminal.slave, termios.TCOON)


@pytest.mark.parametrize("where", ["drawing", "ending"])
def test_a_program_that_hangs_leaves_a_clean_terminal(where: str, open_terminal: Callable[..., Terminal]) -> None:
    """While it draws, or with the terminal already left: then the shell's screen is not ours to clear."""
    terminal = _start(open_terminal, HANGS=where)
    os.write(terminal.master, b":")
    terminal.wait_until(lambda: b"publish" in terminal.written)
    os.write(terminal.master, b"publish naive\r")
    terminal.wait_until(lambda: b"hangs" in terminal.written or where == "ending")
    terminal.process.send_signal(signal.SIGTERM)
    terminal.wait_until(terminal.has_exited)
    assert terminal.process.returncode == 143
    terminal.check_restored()
    assert b"hangs" in terminal.written


def test_a_closed_terminal_ends_the_program(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal)
    os.close(terminal.slave)
    os.close(terminal.master)
    terminal.slave = terminal.master = -1
    assert terminal.process.wait(TIMEOUT_S) == 129


@pytest.mark.parametrize("way", ["key", "key in a prompt", "signal"])
def test_a_suspension_gives_the_terminal_back_and_fg_redraws(way: str, open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal, UNDER_A_SHELL="1")
    before = [line.rstrip() for line in terminal.screen.display[:20]]
    if way == "key in a prompt":
        os.write(terminal.master, b"/")
        terminal.wait_until(lambda: terminal.is_showing("enter applies"))
    terminal.process.send_signal(signal.SIGTSTP) if way == "signal" else os.write(terminal.master, b"\x1a")
    terminal.wait_until(lambda: set(terminal.thread_states()) == {"T"})
    terminal.check_restored()
    terminal.screen.reset()
    assert not terminal.is_showing("SQUEEZE")
    terminal.process.send_signal(signal.SIGCONT)
    terminal.wait_until(lambda: [line.rstrip() for line in terminal.screen.display[:20]] == before)
    if way == "key in a prompt":
        terminal.wait_until(lambda: terminal.is_showing("enter applies"))
        os.write(terminal.master, b"\x1b")
        terminal.wait_until(lambda: not terminal.is_showing("enter applies"))
    os.write(terminal.master, b"q")
    terminal.wait_until(terminal.has_exited)
    assert terminal.process.returncode == 0
    terminal.check_restored()


def test_without_a_shell_nothing_is_suspended(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal)
    os.write(terminal.master, b"\x1a")
    terminal.wait_until(lambda: terminal.is_showing("no shell to suspend to"))


def test_a_paste_of_the_terminal_stands_in_the_field(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal)
    os.write(terminal.master, b"/")
    terminal.wait_until(lambda: terminal.is_showing("enter applies"))
    os.write(terminal.master, b"\x1b[200~qty>=10 buy\n\x1b[201~")
    terminal.wait_until(lambda: terminal.is_showing("/qty>=10 buy"))


def test_a_locale_without_box_characters_gets_ascii(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal, PYTHONIOENCODING="iso-8859-1")
    assert b"\\u" not in terminal.written
    assert all(byte < 0x80 for byte in terminal.written), "and nothing else either"
    forced = _start(open_terminal, PYTHONIOENCODING="iso-8859-1", FORCED_ICONS="1")
    assert "─".encode() in forced.written


def test_the_locale_c_gets_ascii_although_python_writes_utf_8(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal, LANG="C", LC_CTYPE="", LC_ALL="")
    assert all(byte < 0x80 for byte in terminal.written)


def test_the_screen_is_drawn_where_stderr_is_a_file(open_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = open_terminal(stderr=tmp_path / "err.log", width=100, height=30)
    terminal.wait_until(lambda: terminal.is_showing("SQUEEZE") and terminal.is_showing("quit"))
    assert any(len(line.rstrip()) > 90 for line in terminal.screen.display), "its size is that of the terminal"
    os.write(terminal.master, b"q")
    terminal.wait_until(terminal.has_exited)
    assert terminal.process.returncode == 0
    terminal.check_restored()
    assert (tmp_path / "err.log").read_bytes() == b""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_without_a_cursor_is_refused(term: str, open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(TERM=term)
    terminal.wait_until(terminal.has_exited)
    while terminal.read(0.1):
        pass
    assert terminal.process.returncode == 2
    assert b"dfmon snapshot" in terminal.written
    assert b"\x1b" not in terminal.written


def test_no_color_is_respected(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal, NO_COLOR="1")
    os.write(terminal.master, b"2pz")
    terminal.settle()
    assert b"[38;" not in terminal.written
    assert b"[48;" not in terminal.written
    assert terminal.is_showing("2 HEAT-MAP  [NGI]")


def test_a_changed_cell_costs_little_and_no_change_nothing(open_terminal: Callable[..., Terminal]) -> None:
    terminal = _start(open_terminal)
    terminal.process.send_signal(signal.SIGUSR1)
    changed = terminal.settle()
    assert 50 < changed <= 700
    terminal.process.send_signal(signal.SIGUSR2)
    assert terminal.settle() <= 20


def _equals(picture: Callable[[], list[list[str]]], expected: list[list[str]]) -> bool:
    return picture() == expected


def _settle_as(terminal: Terminal, condition: Callable[[], bool]) -> None:
    """Reads until the screen is at rest and the condition holds, or for TIMEOUT_S."""
    end = time.monotonic() + TIMEOUT_S
    terminal.settle()
    while not condition() and time.monotonic() < end:
        terminal.read(0.5)


def test_the_picture_is_the_same_when_every_cell_is_sent_again(open_terminal: Callable[..., Terminal]) -> None:
    """What was left out as unchanged really was: over panels, sheets, a prompt and a change of size."""
    terminal = _start(open_terminal)

    def picture() -> list[list[str]]:
        cells = terminal.screen.buffer
        return [[f"{cells[y][x].data}{cells[y][x].bg}" for x in range(80)] for y in range(22)]

    for keys in (b"d", b"j\t", b"?", b"?d2z", b"p5", b"4/put\r", b"R"):
        os.write(terminal.master, keys)
        terminal.settle()
        before = picture()
        os.write(terminal.master, b"\x0c")  # ctrl+l
        _settle_as(terminal, partial(_equals, picture, before))
        assert picture() == before, keys
    for width, height in ((100, 30), (80, 24)):
        terminal.screen.resize(height, width)
        fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        terminal.process.send_signal(signal.SIGWINCH)
        end = time.monotonic() + TIMEOUT_S
        while "BTC 98," not in terminal.screen.display[0] or "q quit" not in terminal.screen.display[height - 1]:
            terminal.read(0.2)
            assert time.monotonic() < end, "the new size is not laid out"
        terminal.settle()
    before = picture()
    os.write(terminal.master, b"\x0c")
    _settle_as(terminal, partial(_equals, picture, before))
    assert picture() == before


def test_clicks_and_the_wheel_arrive_as_a_terminal_sends_them(open_terminal: Callable[..., Terminal]) -> None:
    """SGR reports, without those of mere motion; leaving takes them back, and `--no-mouse` never asks for them."""
    terminal = _start(open_terminal)
    assert b"\x1b[?1000h\x1b[?1006h" in terminal.written
    assert b"\x1b[?1003h" not in terminal.written

    def report(text: str, button: int) -> None:
        terminal.settle()  # a click goes to where the text is when the screen is at rest
        y = next(i for i, line in enumerate(terminal.screen.display) if text in line)
        place = f"{button};{terminal.screen.display[y].index(text) + 1};{y + 1}"
        os.write(terminal.master, f"\x1b[<{place}M".encode() + (f"\x1b[<{place}m".encode() if button < 64 else b""))

    report("d positions", 0)
    terminal.wait_until(lambda: terminal.is_showing("DEALER POSITIONS"))
    report("d positions", 0)
    terminal.wait_until(lambda: not terminal.is_showing("DEALER POSITIONS"))
    report("HEAT-MAP" if terminal.is_showing("HEAT-MAP") else "2 NGI", 64)
    terminal.wait_until(lambda: terminal.is_showing("▸2 "))
    os.write(terminal.master, b"q")
    terminal.wait_until(terminal.has_exited)
    terminal.check_restored()
    assert terminal.written.rfind(b"\x1b[?1000l") > terminal.written.rfind(b"\x1b[?1000h")
    silent = _start(open_terminal, NO_MOUSE="1")
    assert b"\x1b[?1000h" not in silent.written
