"""Time to the first text on a real terminal, against an empty Textual app in the same run, and until panels have data.

`python benchmarks/bench_first_paint.py [ROUNDS]`. `dfmon demo` needs no network; the clock starts with the process.
"""

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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import pyte

ROOT = Path(__file__).resolve().parent.parent
SIZE = 120, 40
TIMEOUT_S = 60.0
LIMIT = 1.5  # times the empty app
FILLED_LIMIT_S = 2.0
EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("hello")
Empty().run()
"""
Lines = Sequence[str]


def has_text(lines: Lines) -> bool:
    return any(line.strip() for line in lines)


def is_the_app(lines: Lines) -> bool:
    """True once Textual has painted: the first frame has no panels."""
    return any("GAUGES" in line for line in lines)


def is_filled(lines: Lines) -> bool:
    """True once no panel waits."""
    waiting = ("waiting for data", "no options listed yet", "no profile yet", "no trades yet")
    return is_the_app(lines) and not any(text in line for line in lines for text in waiting)


def seconds_until(command: Sequence[str], marks: Mapping[str, Callable[[Lines], bool]]) -> dict[str, float]:
    """Seconds from the start of the process to each state of its screen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    screen = pyte.Screen(*SIZE)
    stream, found, start = pyte.ByteStream(screen), dict[str, float](), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(slave)
    try:
        while len(found) < len(marks) and time.perf_counter() - start < TIMEOUT_S:
            if select.select([master], [], [], 0.02)[0]:
                stream.feed(os.read(master, 65536))
                now = time.perf_counter() - start
                found |= {name: now for name, test in marks.items() if name not in found and test(screen.display)}
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
        os.close(master)
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    marks = {"first text": has_text, "panels": is_the_app, "every panel filled": is_filled}
    empty, demo = [], []
    for _ in range(rounds):
        empty.append(seconds_until(["-c", EMPTY_APP], {"first text": has_text})["first text"])
        demo.append(seconds_until(["-m", "dfmon", "demo"], marks))
    base = median(empty)
    print("| screen | s | x an empty app | limit | |\n| --- | ---: | ---: | --- | --- |")
    print(f"| empty Textual app, first text | {base:.2f} | 1.00 |  |  |")
    for name in marks:
        seconds = median(each.get(name, TIMEOUT_S) for each in demo)
        limit, met = {
            "first text": (f"{LIMIT} x", seconds <= LIMIT * base),
            "every panel filled": (f"{FILLED_LIMIT_S} s idle", seconds <= FILLED_LIMIT_S),
        }.get(name, ("", None))
        verdict = "" if met is None else "met" if met else "**missed**"
        print(f"| dfmon demo, {name} | {seconds:.2f} | {seconds / base:.2f} | {limit} | {verdict} |")
    print(f"\n{rounds} rounds, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
