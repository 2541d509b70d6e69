"""Code knows a venue by name in the venue's package, in the simulator and in the registry, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfmon.venues.registry import VENUES
from tests.source_trees import nodes_of

PACKAGE = Path(__file__).parent.parent / "dfmon"

# The formats of foreign files, and the vendors that `dfmon compare` knows.
VENDORS = {"cli/compare.py", "cli/parser.py", "cli/import_file.py", "evidence/trade_csv.py", "evidence/venue_greeks.py"}
CAPTURES = {"store/capture_cryptofeed.py", "store/capture_messages.py"}
ALLOWED = {
    "deribit": {
        "api/board.py", "store/boards/events.py", "store/boards/layouts.py", "store/capture_frames.py",
        "store/position_names.py", "store/positions_file.py", *CAPTURES, *VENDORS,
    },
    "binance": {"store/capture_frames.py", *CAPTURES},
    "okx": {"store/boards/layouts.py", *CAPTURES, *VENDORS},
}  # fmt: skip


def _words(path: Path) -> Iterator[str]:
    """Every identifier and every text of a file, without comments and docstrings."""
    statements = {node.value for node in nodes_of(path) if isinstance(node, ast.Expr)}
    for node in nodes_of(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            if node not in statements:
                yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")
        else:
            yield from (value for _, value in ast.iter_fields(node) if isinstance(value, str))


@pytest.fixture(scope="module")
def words() -> dict[str, str]:
    """All words of each file of the package, in small letters."""
    return {
        path.relative_to(PACKAGE).as_posix(): "\n".join(_words(path)).lower() for path in sorted(PACKAGE.rglob("*.py"))
    }


@pytest.mark.parametrize("name", [spec.name for spec in VENUES])
def test_venue_is_named_in_its_own_rooms_only(name: str, words: dict[str, str]) -> None:
    own_rooms = (f"venues/{name}/", "sim/", "venues/registry.py")
    naming = {file for file, text in words.items() if name in text}
    assert {file for file in naming if not file.startswith(own_rooms)} <= ALLOWED[name]
