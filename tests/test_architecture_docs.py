"""The architecture page is true: its drawings are those of the code, and the functions that it names exist."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest
from draw_architecture import DRAWINGS, Rooms, draw

DOCS = Path(__file__).parent.parent / "docs"
PAGES = (DOCS / "architecture.md", DOCS.parent / "CONTRIBUTING.md", *sorted((DOCS / "adr").glob("*.md")))
NAMED = re.compile(r"`(dfmon[\w.]*):([\w.]+)`")


@pytest.fixture(scope="module")
def rooms() -> dict[str, Rooms]:
    return {package: Rooms.from_code(package) for package in DRAWINGS.values()}


@pytest.mark.slow
@pytest.mark.parametrize(("file", "package"), DRAWINGS.items())
def test_drawing_is_that_of_the_code(file: str, package: str, rooms: dict[str, Rooms]) -> None:
    assert draw(rooms[package]) == (DOCS / file).read_text(encoding="utf-8"), "run: python docs/draw_architecture.py"


def test_top_of_the_package_stays_small(rooms: dict[str, Rooms]) -> None:
    top = rooms["dfmon"]
    assert len(top.names) <= 18
    assert len(set(top.floors.values())) <= 9
    assert len(top.imports) <= 75
    assert len(rooms["dfmon.core"].names) <= 10


def test_circle_of_imports_is_an_error() -> None:
    circle = Rooms("p", frozenset("abc"), frozenset({("a", "b"), ("b", "c"), ("c", "b")}))
    with pytest.raises(ValueError, match=r"a circle of imports among \['a', 'b', 'c'\]"):
        _ = circle.floors


def test_arrow_is_left_out_where_a_path_implies_it() -> None:
    chain = Rooms("p", frozenset("abc"), frozenset({("a", "b"), ("b", "c"), ("a", "c")}))
    assert chain.arrows == [("a", "b"), ("b", "c")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_named_functions_exist(page: Path) -> None:
    for module, name in NAMED.findall(page.read_text(encoding="utf-8")):
        reduce(getattr, name.split("."), importlib.import_module(module))


def test_every_decision_is_listed() -> None:
    index = (DOCS / "adr" / "index.md").read_text(encoding="utf-8")
    files = [path.name for path in sorted((DOCS / "adr").glob("0*.md"))]
    assert re.findall(r"\]\((0.*?\.md)\)", index) == files
    for number, name in enumerate(files, start=1):
        assert (DOCS / "adr" / name).read_text(encoding="utf-8").startswith(f"# {number}. ")


@pytest.mark.slow
def test_site_builds_strictly_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    loads = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*(?:src|href)=["'](?:https?:)?//""")
    assert not [path for path, text in pages.items() if loads.search(text)]
