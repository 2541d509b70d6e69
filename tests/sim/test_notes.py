"""NOTES.md names modules and tests that exist."""

from pathlib import Path

import dfmon.sim

TESTS = Path(__file__).parent
SIM = Path(dfmon.sim.__file__).parent


def test_every_behaviour_names_its_modules_and_tests() -> None:
    rows = [line.strip("| ").split(" | ") for line in (SIM / "NOTES.md").read_text().splitlines() if line[:1] == "|"]
    behaviours = [row for row in rows if len(row) == 4 and row[0] not in ("Behaviour", "---")]
    assert len(behaviours) > 40
    for _, _, modules, tests in behaviours:
        assert all((SIM / f"{module}.py").exists() for module in modules.split(", ")), modules
        assert all((TESTS / f"{test}.py").exists() for test in tests.split(", ")), tests
