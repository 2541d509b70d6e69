"""Where recorded market data is, if it is: beside the project, or at $DFMON_REAL_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parent.parent.parent / "shared"


def chains() -> Path:
    """The folder of recorded boards; skips the test where it is absent."""
    base = Path(os.environ["DFMON_REAL_DATA"]) if "DFMON_REAL_DATA" in os.environ else SHARED / "data"
    if not (base / "chains").is_dir():
        pytest.skip(f"recorded boards are not at {base / 'chains'}; set DFMON_REAL_DATA to the folder that has them")
    return base / "chains"
