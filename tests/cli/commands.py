"""Commands of dfmon run in this process, each with streams and an environment of its own."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from dfmon.cli import main

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TERM": "xterm-256color"}


class Completed(NamedTuple):
    """Exit code of a command, and its output."""

    returncode: int
    stdout: str
    stderr: str


def run(*args: str | Path, encoding: str = "utf-8", **environ: str) -> Completed:
    """Runs `dfmon ARGS` without a terminal, with the variables of ENVIRON and those given."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace") for _ in range(2))
    with (
        mock.patch.dict(os.environ, ENVIRON | environ, clear=True),
        mock.patch("sys.stdin", io.StringIO()),
        mock.patch("sys.__stdin__", None),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = main.run(list(map(str, args)))
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return Completed(code, *texts)
