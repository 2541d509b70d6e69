"""A few pictures for what text cannot show: palette, emphasis, the cursor. Look at them when they change."""

from __future__ import annotations

from typing import Any

import pytest

from . import factory
from .conftest import AppHarness


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 48), (60, 20)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_main(size: tuple[int, int], snap_compare: Any) -> None:
    assert snap_compare(AppHarness(factory.snapshot()).app, terminal_size=size)


def test_stale(snap_compare: Any) -> None:
    harness = AppHarness(factory.snapshot())
    harness.clock.now_ns += 12_000_000_000
    assert snap_compare(harness.app, terminal_size=(80, 24))


def test_light_theme(snap_compare: Any) -> None:
    assert snap_compare(AppHarness(factory.snapshot()).app, terminal_size=(120, 40), press=["2", "p"])


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_positions(size: tuple[int, int], snap_compare: Any) -> None:
    assert snap_compare(AppHarness(factory.snapshot()).app, terminal_size=size, press=["d", "j"])
