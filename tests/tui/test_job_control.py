"""The parents of a process that can continue it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

_PRINT = [sys.executable, "-c", "from dfmon.tui.job_control import stop_wrappers; print(stop_wrappers())"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "found"),
    [({"process_group": 0}, "True"), ({"start_new_session": True}, "False")],
    ids=["a parent in a group of its own", "a session of its own"],
)
def test_a_shell_in_the_same_session_can_continue_its_jobs(options: dict[str, Any], found: str) -> None:
    completed = subprocess.run(_PRINT, capture_output=True, text=True, check=True, timeout=60, **options)
    assert completed.stdout.strip() == found
