"""The sheet of docs/howto/add-a-panel.md, built on a copy of the package: key, help, footer and command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.howto.guide import ROOT, follow_guide

pytestmark = pytest.mark.slow

USE_THE_SHEET = """
import asyncio
from pathlib import Path
import dfmon
assert Path(dfmon.__file__).is_relative_to(Path.cwd())
from tests.tui import factory
from tests.tui.conftest import AppHarness

async def main():
    harness = AppHarness(factory.snapshot())
    async with harness.app.run_test(size=(220, 48)) as pilot:
        for keys in (["w"], ["?"], ["escape", "escape", *":levels", "enter"]):
            await pilot.press(*keys)
            print(await harness.text(pilot), end="\\f")

asyncio.run(main())
"""


def test_a_sheet_is_one_file_and_one_row(tmp_path: Path) -> None:
    environ = follow_guide("add-a-panel.md", tmp_path)
    environ["PYTHONPATH"] += f"{os.pathsep}{ROOT}"  # for the factories of the tests
    command = [sys.executable, "-c", USE_THE_SHEET]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sheet, help_over_it, by_command = done.stdout.removesuffix("\f").split("\f")
    assert "─ LEVELS  esc closes ─" in sheet
    assert re.search(r"call wall +105,000 +\+6\.7%", sheet)
    assert "w levels" in sheet.splitlines()[-1]
    assert "Walls and key strikes, and their distance from spot." in help_over_it
    assert re.search(r"^ w +levels", help_over_it, re.MULTILINE)
    assert by_command == sheet
