"""Where recorded market data is, if it is: beside the project, or at $DFMON_REAL_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parent.parent.parent / "shared"


def chains() -> Path:
    """The folder of recorded boards; skips the test where it is absent."""
    return _folder("chains", "recorded boards")


def trades() -> Path:
    """The folder of recorded prints and block requests; skips the test where it is absent."""
    return _folder("trades", "recorded prints")


def tape() -> Path:
    """The folder of long recorded trade histories; skips the test where it is absent."""
    return _folder("tape", "long trade histories")


def published() -> Path:
    """The folder of figures that others published; skips the test where it is absent."""
    return _folder("published", "published figures")


def compat() -> Path:
    """The folder of files that earlier versions wrote; skips the test where it is absent."""
    return _folder("compat", "files of earlier versions")


def _folder(name: str, subject: str) -> Path:
    base = Path(os.environ["DFMON_REAL_DATA"]) if "DFMON_REAL_DATA" in os.environ else SHARED / "data"
    if not (base / name).is_dir():
        pytest.skip(f"{subject} are not at {base / name}; set DFMON_REAL_DATA to the folder that has {name}")
    return base / name
