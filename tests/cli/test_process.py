"""The process around a command: its streams, a signal during imports, its arguments in the list of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.board_files import board_text

pytestmark = pytest.mark.slow
DFMON = [sys.executable, "-m", "dfmon"]
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(Path(__file__).parents[2])}


def shell(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    text = command.replace("dfmon", " ".join(DFMON), 1)
    command_line = ["bash", "-c", text]
    return subprocess.run(command_line, capture_output=True, text=True, check=False, env=ENVIRON | environ)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.csv"
    path.write_text(board_text())
    return path


@pytest.mark.parametrize("command", ["snapshot {} --positions naive --json", "replay {} --info", "explain ngi {}"])
def test_a_reader_that_leaves_ends_a_command_quietly(command: str, board: Path) -> None:
    completed = shell(f"dfmon {command.format(board)} | head -c 1; exit ${{PIPESTATUS[0]}}")
    assert "Traceback" not in completed.stderr
    assert "pipe" not in completed.stderr.lower()
    assert completed.returncode == 0


def test_closed_streams_are_no_traceback(board: Path) -> None:
    for redirection in (">&-", "2>&-", "<&- >&- 2>&-"):
        completed = shell(f"dfmon snapshot {board} --positions naive {redirection}")
        assert completed.returncode == 0, completed.stderr
        assert "Traceback" not in completed.stderr


def test_a_full_device_is_a_sentence(board: Path) -> None:
    completed = shell(f"dfmon snapshot {board} --positions naive > /dev/full")
    assert completed.returncode == 1
    assert completed.stderr.splitlines()[-1].startswith("dfmon: ")
    assert "No space left on device" in completed.stderr
    assert "Traceback" not in completed.stderr
    assert "Exception ignored" not in completed.stderr


def test_names_and_encodings_of_any_kind_are_no_traceback(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xc3\xa9.csv")
    Path(odd).write_text(board_text())
    for code, command, environ in (
        (0, ["snapshot", odd], {"LC_ALL": "C"}),
        (0, ["replay", odd, "--info"], {"PYTHONIOENCODING": "ascii:strict"}),
        (2, ["snapshot", odd + "x"], {"LC_ALL": "C"}),
        (2, ["snapshot", odd + "x"], {"PYTHONIOENCODING": "ascii:strict"}),
    ):
        done = subprocess.run([*DFMON, *command], capture_output=True, check=False, env=ENVIRON | environ)
        assert b"Traceback" not in done.stderr
        assert done.returncode == code, done.stderr


def test_an_interrupt_during_imports_is_no_traceback() -> None:
    """The interrupt comes as soon as our own code runs, then a little later each time; the address never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        codes = _interrupted([*DFMON, "snapshot", f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "60"])
    assert codes == {130}


def test_next_to_nothing_is_imported_before_interrupts_are_handled() -> None:
    """Until then an interrupt is a traceback; what the interpreter itself imports is not ours."""
    program = (
        "import sys, signal, atexit, contextlib; before = set(sys.modules)\n"
        "import dfmon.__main__; print(*sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env=ENVIRON
    )
    assert done.stdout.split() == ["__future__", "dfmon", "dfmon.__main__", "dfmon.version"]


def test_an_interrupt_at_the_end_leaves_the_code_of_the_command() -> None:
    """The signal arrives while the interpreter shuts down, after the last function registered for the exit."""
    program = (
        "import os, signal, sys, dfmon.__main__ as entry\n"
        "class Last:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT): kill(pid, number)\n"
        "sys.last_object = Last()\n"
        "sys.argv = ['dfmon', '--version']\n"
        "sys.exit(entry.main())\n"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=ENVIRON)
    assert completed.returncode == 0, completed.stderr


def test_an_interrupt_during_a_late_import_ends_the_process(tmp_path: Path) -> None:
    """Within a class body `__set_name__` would make a RuntimeError of it, and a callback of an import lock nothing."""
    (tmp_path / "late.py").write_text(
        "import os, signal\n"
        "class Field:\n"
        "    def __set_name__(self, owner, name): os.kill(os.getpid(), signal.SIGINT)\n"
        "class Late: field = Field()\n"
    )
    program = "import signal, dfmon.__main__ as entry\nsignal.signal(signal.SIGINT, entry._interrupt)\n{}"
    environ = ENVIRON | {"PYTHONPATH": f"{ENVIRON['PYTHONPATH']}:{tmp_path}"}
    for statement, code in (("import late", 130), ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT)):
        command = [sys.executable, "-c", program.format(statement)]
        done = subprocess.run(command, capture_output=True, check=False, env=environ)
        assert done.returncode == code, done.stderr
        assert (b"KeyboardInterrupt" in done.stderr) == (code < 0)


def _interrupted(command: list[str]) -> set[int]:
    """Exit codes of a command interrupted at several moments of its start."""
    codes = set()
    for delay_s in (0.0, 0.02, 0.05, 0.1, 0.2):
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=ENVIRON) as process:
            deadline = time.monotonic() + 60.0
            while not _runs_our_code(process.pid) and process.poll() is None and time.monotonic() < deadline:
                os.sched_yield()
            _signal_after(process, delay_s)
            _, errors = process.communicate(timeout=60)
            codes.add(process.returncode)
            assert b"Traceback" not in errors, errors.decode()
    return codes


def _signal_after(process: subprocess.Popen[bytes], delay_s: float) -> None:
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)


def _runs_our_code(pid: int) -> bool:
    """True once the first of our packages is being imported."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except OSError:
        return False
    return "msgspec" in maps


def test_a_password_is_gone_from_the_list_of_processes() -> None:
    """While the command runs; the address that it calls never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://desk:hunter2@127.0.0.1:{silent.getsockname()[1]}"
        command = [*DFMON, "snapshot", url, "--timeout", "60"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRON) as process:
            silent.settimeout(60)
            connection, _ = silent.accept()
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.send_signal(signal.SIGINT)
            connection.close()
            _, errors = process.communicate(timeout=60)
    assert b"hunter2" not in shown
    assert b"redis://desk:*******@127.0.0.1" in shown
    assert b"hunter2" not in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            "doctor --publish",
            "dfmon doctor takes no --publish; dfmon, dfmon demo, dfmon replay, ",
        ),
        ("snapshot --redis redis://h", "dfmon snapshot takes no --redis"),
        ("backfill --positions naive", "dfmon backfill takes no --positions: it computes no exposures"),
        ("snapshot --plain", "dfmon snapshot takes no --plain"),
        ("record x --low-bandwidth", "dfmon record takes no --low-bandwidth"),
        ("snapshot --book b.csv", "dfmon snapshot takes no --book"),
        ("demo --book b.csv --publish", "--book is for the screen, and --publish has none"),
        ("replay x --record y", "dfmon replay takes no --record; dfmon and dfmon demo do"),
        ("--every 5", "--every needs --publish"),
        ("replay x --info --publish", "replay --info publishes nothing"),
        ("replay x --publish all --redis redis://h", "for --redis give --publish, with --speed max"),
    ],
)
def test_an_option_without_a_meaning_is_refused(args: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    from dfmon.cli.main import run

    assert run(args.split()) == 2
    assert words in capsys.readouterr().err
