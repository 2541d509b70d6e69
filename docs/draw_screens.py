"""Makes the pictures of the README from the demo, as a user gets them: `python docs/draw_screens.py [SECONDS]`.

Runs `dfmon demo --script regimes` in a terminal of its own, presses the keys of each picture, and saves the screen by
the key of the user for it.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent
PICTURES: Final = {"screen": "", "positions": "d"}
"""Name of each picture, and the key that opens what it shows."""

_SIZE: Final = (48, 160)
_SAVE_WAIT_S: Final = 60.0
_NOTICE_S: Final = 10.0


def draw_screens(folder: Path, seconds: float) -> dict[str, str]:
    """SVG of each picture, taken `seconds` after the start of the demo."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        environ = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "XDG_STATE_HOME": str(folder)}
        command = [sys.executable, "-m", "dfmon", "demo", "--seed", "11", "--script", "regimes", "--palette", "dark"]
        os.execvpe(sys.executable, command, environ)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
    os.kill(pid, signal.SIGWINCH)
    threading.Thread(target=_drain, args=(terminal,), daemon=True).start()
    try:
        time.sleep(seconds)
        return {name: _save(terminal, folder, key) for name, key in PICTURES.items()}
    finally:
        os.write(terminal, b"q")
        os.waitpid(pid, 0)


def _save(terminal: int, folder: Path, key: str) -> str:
    """Opens the sheet of `key`, saves the screen and closes the sheet."""
    time.sleep(_NOTICE_S)  # of the picture before, which names its folder
    for pressed in (key, "s"):
        os.write(terminal, pressed.encode())
        time.sleep(2.0)
    deadline = time.monotonic() + _SAVE_WAIT_S
    while not (saved := sorted(folder.glob("dfmon-*.svg"))):
        if time.monotonic() > deadline:
            raise SystemExit("the screen was not saved")
        time.sleep(0.1)
    text = saved[-1].read_text(encoding="utf-8")
    for path in folder.glob("dfmon-*.*"):
        path.unlink()
    if key:
        os.write(terminal, key.encode())
        time.sleep(1.0)
    return text


def _drain(terminal: int) -> None:
    """Reads what the screen writes, until it ends."""
    while True:
        try:
            if not os.read(terminal, 65_536):
                return
        except OSError:
            return


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        for name, svg in draw_screens(Path(work), float(sys.argv[1]) if len(sys.argv) > 1 else 240.0).items():
            (DOCS / f"{name}.svg").write_text(svg, encoding="utf-8")
