"""Limits of the system for this process, open files and memory, in one sentence where they are too low."""

from __future__ import annotations

import resource
from typing import Final

from dfmon.model.errors import DfmonError

NEEDED_FILES: Final = 64  # connections, stores, recording, the loop's own
_TARGET_FILES: Final = 2048  # with 1,024 clients of the REST service


def prepare_open_files() -> None:
    """Raises the limit of open files as far as is useful and allowed. Raises DfmonError if it remains too low."""
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return
    target = _TARGET_FILES if highest == resource.RLIM_INFINITY else min(highest, _TARGET_FILES)
    if limit < target:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, highest))
            limit = target
        except (OSError, ValueError):
            pass
    if limit < NEEDED_FILES:
        raise DfmonError(
            f"the system allows this process {limit} open files, and {NEEDED_FILES} are needed: raise it with ulimit -n"
        )


def describe_exhaustion(exc: BaseException) -> str:
    """A sentence for an error that stands for a limit of the system; empty for any other error."""
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    if isinstance(exc, RuntimeError):
        return "the system allows no more threads (ulimit -u)" if "start new thread" in str(exc) else ""
    is_import = isinstance(exc, ImportError)  # a library that could not be mapped
    limit_mb = _memory_limit_mb()
    if not isinstance(exc, MemoryError) and not (is_import and limit_mb is not None and "map" in str(exc)):
        return ""
    if limit_mb is None:
        return "the memory of this machine is not enough for this"
    return f"the {limit_mb:,} MB of memory that this process is allowed (ulimit -v) are not enough for this"


def _memory_limit_mb() -> int | None:
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    finite = [limit for limit in limits if limit != resource.RLIM_INFINITY]
    return min(finite) >> 20 if finite else None
