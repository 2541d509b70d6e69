"""How the tests are spread over the cores."""

from __future__ import annotations

import pytest


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No worker processes for tests that are named one by one: they start at once, and their output is seen."""
    return 0 if config.args and all("::" in argument for argument in config.args) else None
