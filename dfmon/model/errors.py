"""Errors with a message for the user: one sentence with the place, the value found, and what is allowed."""

from __future__ import annotations

from typing import Final

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_TIMEOUT: Final = 3
EXIT_STALE: Final = 4


class DfmonError(Exception):
    """An error reported to the user in one sentence; `exit_code` is that of the process."""

    exit_code: int = EXIT_FAILED


class UsageError(DfmonError):
    """A wrong argument, file or configuration; nothing was started."""

    exit_code = EXIT_USAGE


class SourceError(DfmonError):
    """A recording or board that was accepted and then could not be read to its end."""


class RefusedError(DfmonError):
    """A service that is there refuses, and would do so again soon."""


class NoSnapshotError(DfmonError):
    """No complete snapshot within the time allowed."""

    exit_code = EXIT_TIMEOUT
