"""A shell with too few open files or too little memory: one sentence, no traceback."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from dfmon.cli import process_limits
from dfmon.cli.process_limits import describe_exhaustion, prepare_open_files
from dfmon.model.errors import DfmonError


class Limits:
    """The limits of a process, soft and hard."""

    RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA = range(3)
    RLIM_INFINITY = resource.RLIM_INFINITY

    def __init__(self, files: tuple[int, int], memory: int = resource.RLIM_INFINITY) -> None:
        self.found = {0: files, 1: (memory, memory), 2: (self.RLIM_INFINITY, self.RLIM_INFINITY)}

    def getrlimit(self, kind: int) -> tuple[int, int]:
        return self.found[kind]

    def setrlimit(self, kind: int, limits: tuple[int, int]) -> None:
        self.found[kind] = limits


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((256, resource.RLIM_INFINITY), 2048),
        ((256, 512), 512),
        ((24, 4096), 2048),
        ((4096, 4096), 4096),
        ((64, 64), 64),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), resource.RLIM_INFINITY),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_allowed(
    before: tuple[int, int], after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(before)
    monkeypatch.setattr(process_limits, "resource", limits)
    prepare_open_files()
    assert limits.found[0] == (after, before[1])


def test_too_few_open_files_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_limits, "resource", Limits((63, 63)))
    with pytest.raises(DfmonError, match=r"^the system allows this process 63 open files, and 64 are needed"):
        prepare_open_files()


def test_exhaustion_is_told_from_other_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_limits, "resource", Limits((1, 1)))
    assert describe_exhaustion(MemoryError()) == "the memory of this machine is not enough for this"
    assert describe_exhaustion(ImportError("x.so: failed to map segment from shared object")) == ""
    monkeypatch.setattr(process_limits, "resource", Limits((1, 1), 120 << 20))
    sentence = "the 120 MB of memory that this process is allowed (ulimit -v) are not enough for this"
    for exc in (MemoryError(), ImportError("failed to map segment"), ExceptionGroup("", [MemoryError()])):
        assert describe_exhaustion(exc) == sentence
    assert "threads" in describe_exhaustion(RuntimeError("can't start new thread"))
    for other in (RuntimeError("no"), ImportError("No module named 'x'"), ValueError()):
        assert describe_exhaustion(other) == ""


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "words"), [("-n 24", "24 open files"), ("-v 60000", "58 MB of memory")])
def test_a_narrow_shell_gets_one_sentence(limit: str, words: str) -> None:
    command = f"ulimit {limit}; exec {sys.executable} -m dfmon demo --publish"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("dfmon: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
