"""Overwrites passwords of the command line in the memory that lists of processes show."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dfmon.sinks.secret_urls import url_secrets

_STAT: Final = Path("/proc/self/stat")
_COMMAND_LINE: Final = Path("/proc/self/cmdline")
_ARG_START, _ARG_END = 47, 48  # fields of the stat file, counted from 0


def hide_secrets(arguments: Sequence[str]) -> None:
    """Writes asterisks over the passwords of URLs among the arguments of this process. Linux only, else nothing.

    `sys.argv` keeps them.
    """
    secrets = [secret for argument in arguments for secret in url_secrets(argument) if "://" in argument]
    if not secrets or not sys.platform.startswith("linux"):
        return
    try:
        fields = _STAT.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        start, end = (int(fields[number - 2]) for number in (_ARG_START, _ARG_END))
        shown = _COMMAND_LINE.read_bytes()
    except (OSError, ValueError, IndexError):  # no such file system, or not for us to read
        return
    if not 0 < start < end or end - start != len(shown):
        return
    for secret in secrets:
        letters = secret.encode("utf-8", "surrogateescape")
        at = shown.find(letters)
        while at >= 0:
            ctypes.memset(start + at, ord("*"), len(letters))
            at = shown.find(letters, at + len(letters))
