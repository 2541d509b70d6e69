"""How the tests run: over the cores, and without a time limit for an example of a property."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# many tests start a process: what it and the workers import is compiled once
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

for name in list(os.environ):  # tests of proxies and certificates name their own
    if name.lower().endswith("_proxy") or name in (
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        del os.environ[name]

settings.register_profile("dfmon", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("dfmon")


@pytest.fixture(autouse=True)
def _unconfigured_log() -> Iterator[None]:
    """Undoes what a command that runs in this process does to the log: later tests look for its records."""
    log, raise_exceptions = logging.getLogger("dfmon"), logging.raiseExceptions
    before = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = before[0], before[2]
    log.setLevel(before[1])
    logging.raiseExceptions = raise_exceptions


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process more than cores, as slow tests wait for sockets and for processes of their own.

    None for tests that are named one by one: they start at once, and their output is seen.
    """
    if config.args and all("::" in argument for argument in config.args):
        return 0
    cores = os.cpu_count() or 1
    return cores if config.option.markexpr == "not slow" else cores + 1
